"""The networks that come with the program, as cards by family, in the order they are offered."""

from __future__ import annotations

from typing import Final

from segstudio.networks.card import Card
from segstudio.networks.cards import context, deeplab, fcn, instances, light, unet

CARDS: Final[tuple[Card, ...]] = (
    *unet.CARDS,
    *deeplab.CARDS,
    *fcn.CARDS,
    *context.CARDS,
    *light.CARDS,
    *instances.CARDS,
)
