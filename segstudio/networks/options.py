"""Whether the options that somebody chose are ones that a network can be built with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from segstudio.errors import UserError
from segstudio.networks.card import Card

_MOST: Final = 4096
"""Of a whole number for which a card says no more: a mistyped width must not fill the memory."""


def check(card: Card, options: Mapping[str, Any]) -> None:
    """UserError names an option that the card does not have, or a value that it cannot be."""
    for name, value in options.items():
        if name not in card.options:
            raise UserError(
                f"{card.title} has no option {name!r}",
                remedy=f"Options: {', '.join(card.options) or 'none'}",
            )
        wanted = _wanted(value, card.options[name], card.choices.get(name))
        if wanted:
            raise UserError(f"The option {name} of {card.title} cannot be {value!r}", remedy=wanted)


def _wanted(value: Any, default: Any, choices: Sequence[Any] | None) -> str:
    """What the option should be, "" where the value will do."""
    if choices is None and isinstance(default, int) and not isinstance(default, bool):
        choices = range(min(default, 1), _MOST + 1)
    if choices is not None:
        fits = type(value) is type(choices[0]) and value in choices
        return "" if fits else _either(choices)
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "It is true or false."
    if isinstance(default, float):
        fits = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
        return "" if fits else "It is a number from 0 on."
    if isinstance(default, str):
        return "" if isinstance(value, str) else f'It is a word, such as "{default}".'
    if isinstance(default, tuple):
        fits = isinstance(value, list | tuple) and all(type(n) is int and n > 0 for n in value)
        return "" if fits else f"It is a list of whole numbers, such as {list(default)}."
    return ""


def _either(choices: Sequence[Any]) -> str:
    if isinstance(choices, range):
        return f"It is a whole number from {choices[0]} to {choices[-1]}."
    *some, last = (str(choice) for choice in choices)
    return f"It is {', '.join(some)} or {last}."
