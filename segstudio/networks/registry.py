"""The architectures a person can choose; a builder imports its library when it is called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from segstudio.errors import UserError
from segstudio.networks import plugins
from segstudio.networks.card import Card as Card
from segstudio.networks.card import WeightsSource as WeightsSource
from segstudio.networks.cards import CARDS
from segstudio.networks.options import check

if TYPE_CHECKING:
    from torch import nn


class Architectures(Mapping[str, Card]):
    """All cards by name: the program's own, then those of installed packages, which are looked
    for at the first use. `faults` says what was wrong with them, a line each."""

    def __getitem__(self, name: str) -> Card:
        return self._found[0][name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found[0])

    def __len__(self) -> int:
        return len(self._found[0])

    @property
    def faults(self) -> tuple[str, ...]:
        return self._found[1]

    @cached_property
    def _found(self) -> tuple[dict[str, Card], tuple[str, ...]]:
        own = {card.name: card for card in CARDS}
        others, faults = plugins.find(own)
        return own | {card.name: card for card in others}, tuple(faults)


ARCHITECTURES: Final = Architectures()


def build(name: str, classes: int, channels: int = 3, **options: Any) -> nn.Module:
    """A fresh network for that many classes: (n, channels, h, w) of any size to logits
    (n, 1 + classes, h, w), the background first, or to instances, as its card says."""
    from segstudio.networks.anysize import AnySize
    from segstudio.networks.norms import patient

    card = card_of(name)
    check(card, options)
    body = card.builder(channels, classes + 1, {**card.options, **options})
    if card.answers == "instances":
        return body
    return AnySize(patient(body), getattr(body, "divisor", card.divisor), card.auxiliary)


def outline(name: str, classes: int, channels: int = 3, **options: Any) -> nn.Module:
    """`build` for names and shapes only: without memory for weights, where the library can."""
    import torch

    try:
        with torch.device("meta"):
            return build(name, classes, channels, **options)
    except (RuntimeError, NotImplementedError):  # some constructors look at values
        return build(name, classes, channels, **options)


def card_of(name: str) -> Card:
    if name not in ARCHITECTURES:
        faults = "".join(f"; {fault}" for fault in ARCHITECTURES.faults)
        alike = _alike(name)
        meant = f"Do you mean {' or '.join(alike)}? " if alike else ""
        raise UserError(
            f"There is no network called {name!r}",
            remedy=f"{meant}Choose {', '.join(ARCHITECTURES)}{faults}",
        )
    return ARCHITECTURES[name]


def _alike(name: str) -> list[str]:
    """Networks whose names, or titles, begin as this one does or are much like it."""
    plain = name.lower().replace("-", "").replace("+", "plus").replace(" ", "")
    begins = [n for n in ARCHITECTURES if n.replace("_", "").startswith(plain)] if plain else []
    return begins[:7] or get_close_matches(plain, ARCHITECTURES, n=3)
