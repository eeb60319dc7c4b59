"""Carrying weights over to a network with other classes, block by block and by class name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from segstudio.errors import UserError
from segstudio.networks import registry

BACKGROUND = "background"
Heads = Mapping[str, tuple[int, ...]]
"""By tensor, how many places each class has along each axis; 0 along axes of other things.

Mostly (1, 0, 0, 0): a row for each class. Upsampling of scores has (1, 1, 0, 0), a context module
with two maps for each class (2, 1, 0, 0). Classes lie one after the other.
"""


def head_keys(architecture: str, **options: Any) -> dict[str, tuple[int, ...]]:
    """The tensors that follow the classes, found by building the network for 1 and for 2."""
    one, two = (registry.outline(architecture, n, **options).state_dict() for n in (1, 2))
    return {
        key: tuple(b - a for a, b in zip(one[key].shape, two[key].shape, strict=True))
        for key in one
        if one[key].shape != two[key].shape
    }


def carry_over(
    network: nn.Module,
    state: Mapping[str, Tensor],
    old: Sequence[str],
    new: Sequence[str],
    heads: Heads,
) -> list[str]:
    """Load `state` of a network for classes `old` into one for classes `new`.

    What belongs to classes that both have is kept, wherever they move; the background stays
    first. New classes keep their fresh weights. Returns the new classes. UserError when anything
    but the heads does not fit.
    """
    own = network.state_dict()
    _check(own, state, heads, len(old) - len(new))
    before, after = [BACKGROUND, *old], [BACKGROUND, *new]
    moves = [(0, 0), *((after.index(n, 1), before.index(n, 1)) for n in new if n in old)]
    for key, target in own.items():
        source = state[key].to(target.dtype)
        if key not in heads:
            target.copy_(source)
            continue
        to, come = (_grid(target.shape, heads[key], side) for side in zip(*moves, strict=True))
        target[to] = source[come]
    network.load_state_dict(own)
    return [name for name in new if name not in old]


def _grid(shape: Sequence[int], places: Sequence[int], rows: Sequence[int]) -> tuple[Tensor, ...]:
    """An index of the places of those classes along every axis that has classes."""
    index = []
    for axis, (size, n) in enumerate(zip(shape, places, strict=True)):
        of_rows = [torch.arange(row * n, (row + 1) * n) for row in rows]
        along = torch.cat(of_rows) if n else torch.arange(size)
        index.append(along.reshape(-1, *[1] * (len(shape) - axis - 1)))
    return tuple(index)


def rows_of(state: Mapping[str, Tensor], heads: Heads) -> set[int]:
    """For how many classes, background included, the tensors of a state dict are."""
    return {
        state[key].shape[axis] // n
        for key, places in heads.items()
        if key in state
        for axis, n in enumerate(places)
        if n
    }


def _check(own: Mapping[str, Tensor], state: Mapping[str, Tensor], heads: Heads, more: int) -> None:
    """`more` is how many classes the state has above those of the network."""
    for key, target in own.items():
        if key not in state:
            raise UserError(f"The weights do not fit this network: {key} is missing")
        places = heads.get(key, (0,) * target.ndim)
        wanted = tuple(size + n * more for size, n in zip(target.shape, places, strict=True))
        if tuple(state[key].shape) != wanted:
            raise UserError(
                f"The weights do not fit this network: {key} is {tuple(state[key].shape)}, "
                f"expected {wanted}"
            )
    extra = sorted(state.keys() - own.keys())
    if extra:
        raise UserError(f"The weights do not fit this network: it has no {extra[0]}")
