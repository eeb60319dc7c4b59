"""Carrying weights over to a network with other classes, row by row and by class name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from segstudio.errors import UserError
from segstudio.networks import registry

BACKGROUND = "background"


def head_keys(architecture: str, **options: Any) -> frozenset[str]:
    """The tensors whose rows are classes, found by building the network for 1 and for 2."""
    with torch.device("meta"):
        one = registry.build(architecture, 1, **options).state_dict()
        two = registry.build(architecture, 2, **options).state_dict()
    return frozenset(key for key in one if one[key].shape != two[key].shape)


def carry_over(
    network: nn.Module,
    state: Mapping[str, Tensor],
    old: Sequence[str],
    new: Sequence[str],
    heads: frozenset[str],
) -> list[str]:
    """Load `state` of a network for classes `old` into one for classes `new`.

    Rows of classes that both have are kept, wherever they move; the background stays row 0.
    Rows of new classes keep their fresh weights. Returns the new classes. UserError when
    anything but the rows of the head does not fit.
    """
    own = network.state_dict()
    _check(own, state, heads, 1 + len(old))
    rows = [BACKGROUND, *old]
    for key, target in own.items():
        source = state[key]
        if key not in heads:
            target.copy_(source)
            continue
        for row, name in enumerate([BACKGROUND, *new]):
            if row == 0 or name in old:
                target[row] = source[0 if row == 0 else rows.index(name, 1)].to(target.dtype)
    network.load_state_dict(own)
    return [name for name in new if name not in old]


def _check(
    own: Mapping[str, Tensor], state: Mapping[str, Tensor], heads: frozenset[str], rows: int
) -> None:
    for key, target in own.items():
        if key not in state:
            raise UserError(f"The weights do not fit this network: {key} is missing")
        wanted = (rows, *target.shape[1:]) if key in heads else tuple(target.shape)
        if tuple(state[key].shape) != wanted:
            raise UserError(
                f"The weights do not fit this network: {key} is {tuple(state[key].shape)}, "
                f"expected {wanted}"
            )
    extra = sorted(state.keys() - own.keys())
    if extra:
        raise UserError(f"The weights do not fit this network: it has no {extra[0]}")
