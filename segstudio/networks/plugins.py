"""Cards that installed packages contribute, through the entry point group `segstudio.networks`.

An entry point names a Card, or a sequence of them. What is wrong with one is told and the others
still work.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from importlib import metadata
from typing import Final

from segstudio.networks.card import Card

GROUP: Final = "segstudio.networks"


def find(taken: Collection[str]) -> tuple[list[Card], list[str]]:
    """Cards of all installed packages whose names are not `taken`, and what went wrong."""
    cards: list[Card] = []
    faults: list[str] = []
    names = set(taken)
    for point in sorted(metadata.entry_points(group=GROUP), key=lambda p: (_package(p), p.name)):
        try:
            found = list(_cards_of(point.load()))
        except Exception as error:  # whatever foreign code does, the program goes on without it
            faults.append(f"{_package(point)}: {point.value} cannot be loaded: {error!r}")
            continue
        for card in found:
            if card.name in names:
                faults.append(f"{_package(point)}: there is a network {card.name!r} already")
            else:
                names.add(card.name)
                cards.append(card)
    return cards, faults


def _cards_of(found: object) -> Iterator[Card]:
    for card in found if isinstance(found, Sequence) else [found]:
        if not isinstance(card, Card):
            raise TypeError(f"{card!r} is not a Card")
        if strange := card.light.keys() - card.options.keys():
            raise ValueError(f"{card.name}: light has {min(strange)!r}, which is no option")
        yield card


def _package(point: metadata.EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.module
