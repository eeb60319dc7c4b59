"""A guess of what the unlabelled pixels are, shown under everything a person drew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter

from segstudio.studio.canvas.colouring import Colour
from segstudio.studio.canvas.picture import Pixels, as_qimage
from segstudio.studio.canvas.view import View

_SHADES: Final = 8
"""Steps of certainty that can be seen apart."""
_STRONGEST: Final = 0.45
"""Opacity of a sure guess; an unsure one is fainter."""
_GAINED: Final = 0xE0_1C_D0_60
_LOST: Final = 0xE0_D0_20_B0
_HOTTEST: Final = 0.7
"""Opacity where the model does not know at all."""


@dataclass(frozen=True, slots=True)
class Guess:
    """Pixels (h, w), premultiplied 0xAARRGGBB."""

    pixels: Pixels
    image: QImage

    @classmethod
    def of(
        cls,
        labels: NDArray[np.integer],
        margin: NDArray[np.uint8],
        colours: Mapping[int, Colour],
    ) -> Guess:
        """Labels (h, w), 0 for nothing, and how sure each is (h, w), 0..255."""
        table = np.zeros((max([*colours, 0]) + 1, _SHADES), np.uint32)
        for value, colour in colours.items():
            table[value] = [_premultiplied(colour, (s + 1) / _SHADES) for s in range(_SHADES)]
        pixels = table[labels, margin // (256 // _SHADES)]
        return cls(pixels, as_qimage(pixels, transparent=True))

    @classmethod
    def heat(cls, margin: NDArray[np.uint8]) -> Guess:
        """Where a model is unsure: from nothing over yellow to red; margin (h, w), 255 for sure."""
        pixels = _heat_table()[margin]
        return cls(pixels, as_qimage(pixels, transparent=True))

    @classmethod
    def changes(cls, gained: NDArray[np.bool_], lost: NDArray[np.bool_]) -> Guess:
        """Pixels (h, w) that something would gain, in green, and lose, in magenta."""
        pixels = np.zeros(gained.shape, np.uint32)
        pixels[gained], pixels[lost] = _GAINED, _LOST
        return cls(pixels, as_qimage(pixels, transparent=True))

    def draw(self, painter: QPainter, view: View, ratio: float) -> None:
        """Draw over the picture in device pixels, within the painter's clip."""
        x, y = view.to_screen(0, 0)
        height, width = self.pixels.shape
        scale = view.scale * ratio
        painter.drawImage(QRectF(x * ratio, y * ratio, width * scale, height * scale), self.image)


@cache
def _heat_table() -> Pixels:
    """A colour for each margin."""
    doubt = 1 - np.arange(256) / 255
    alpha = _HOTTEST * np.clip(2 * doubt, 0, 1)
    green = np.clip(2 - 2 * doubt, 0, 1) * 210
    channels = [np.round(alpha * colour).astype(np.uint32) for colour in (255.0, green, 0.0)]
    opacity = np.round(255 * alpha).astype(np.uint32)
    table = opacity << 24 | channels[0] << 16 | channels[1] << 8 | channels[2]
    return np.asarray(table, np.uint32)


def _premultiplied(colour: Colour, share: float) -> int:
    opacity = _STRONGEST * share
    red, green, blue = (round(channel * opacity) for channel in colour)
    return round(255 * opacity) << 24 | red << 16 | green << 8 | blue
