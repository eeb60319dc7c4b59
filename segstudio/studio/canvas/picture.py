"""The picture at every zoom: halved copies, so that drawing costs what the screen shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QImage

from segstudio.annotation.bitmap import Box, intersect_boxes
from segstudio.studio.canvas.tone import Tone
from segstudio.studio.canvas.view import View

_SMALLEST: Final = 512
_SMOOTH_UP_TO: Final = 2.0
"""From this zoom on pixels are shown as the squares they are."""
RGB = NDArray[np.uint8]
Pixels = NDArray[np.uint32]


class Picture:
    """An RGB picture of `width` x `height` pixels as copies at several sizes.

    It may begin with a small copy and get the whole picture later (`complete`). `changed` is
    called on the window's thread with the image pixels that look different then.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.changed: Callable[[Box], None] = lambda box: None
        self.revision = 0
        """Counts how often the picture has looked different."""
        self._table: NDArray[np.uint8] | None = None
        self._levels: list[RGB] = []  # the finest first

    @classmethod
    def of(cls, rgb: RGB) -> Picture:
        """The picture (h, w, 3) uint8 and its halved copies."""
        picture = cls(rgb.shape[1], rgb.shape[0])
        picture._levels = halved(rgb)
        return picture

    @classmethod
    def preview(cls, width: int, height: int, small: RGB) -> Picture:
        """A picture of which there is only a small copy as yet."""
        picture = cls(width, height)
        picture._levels = halved(small)
        return picture

    def complete(self, levels: list[RGB]) -> None:
        """Here is the whole picture, halved."""
        self._levels = levels
        self.revision += 1
        self.changed((0, 0, self.width, self.height))

    def set_tone(self, tone: Tone) -> None:
        """Show it brighter or darker; its pixels stay what they are."""
        self._table = None if tone.is_plain else tone.table()
        self.revision += 1

    @property
    def is_whole(self) -> bool:
        """Whether every pixel is there."""
        return bool(self._levels) and self._levels[0].shape[:2] == (self.height, self.width)

    def pixels(self, box: Box) -> RGB | None:
        """The whole picture's pixels in a box that lies in it, (h, w, 3) uint8, not a copy;
        None while they are not all there."""
        x0, y0, x1, y1 = box
        return self._levels[0][y0:y1, x0:x1] if self.is_whole else None

    @property
    def nbytes(self) -> int:
        return sum(level.nbytes for level in self._levels)

    def is_smooth(self, scale: float) -> bool:
        """Whether `render` shows it at this many device pixels a pixel, and not `sample`."""
        return scale < _SMOOTH_UP_TO

    def sample(self, columns: NDArray[np.intp], rows: NDArray[np.intp]) -> Pixels:
        """Pixels where ascending rows and columns cross: (len(rows), len(columns)), 0xffRRGGBB."""
        level, fx, fy = self._level(1.0)
        xs = np.minimum((columns * fx).astype(np.intp), level[0] - 1)
        ys = np.minimum((rows * fy).astype(np.intp), level[1] - 1)
        left, top = int(xs[0]), int(ys[0])
        there = self._region(1.0, (left, top, int(xs[-1]) + 1, int(ys[-1]) + 1))
        return packed(self._toned(there.take(ys - top, axis=0).take(xs - left, axis=1)))

    def _toned(self, rgb: RGB) -> RGB:
        return rgb if self._table is None else np.asarray(cv2.LUT(rgb, self._table), np.uint8)

    def render(self, part: Box, view: View, ratio: float, ground: tuple[int, int, int]) -> Pixels:
        """The device pixels of `part` on a screen with `ratio` of them a logical pixel.

        (h, w) as 0xffRRGGBB, with the colour `ground` beside the picture.
        """
        left, top, right, bottom = part
        size = right - left, bottom - top
        scale = view.scale * ratio
        (width, height), fx, fy = self._level(scale)
        ax, ay = fx / scale, fy / scale  # copy's pixels per device pixel
        x0 = (left + 0.5 - view.x * ratio) * ax - 0.5
        y0 = (top + 0.5 - view.y * ratio) * ay - 0.5
        needed = (
            int(np.floor(x0)) - 1,
            int(np.floor(y0)) - 1,
            int(np.ceil(x0 + size[0] * ax)) + 2,
            int(np.ceil(y0 + size[1] * ay)) + 2,
        )
        box = intersect_boxes(needed, (0, 0, width, height))
        if box[2] <= box[0] or box[3] <= box[1]:
            return packed(np.full((size[1], size[0], 3), ground, np.uint8))
        source = self._toned(self._region(scale, box))
        move = np.array([[ax, 0, x0 - box[0]], [0, ay, y0 - box[1]]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        drawn = cv2.warpAffine(
            source, move, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=ground
        )
        return packed(np.asarray(drawn, np.uint8))

    def _level(self, scale: float) -> tuple[tuple[int, int], float, float]:
        """(width, height) of the copy for so many device pixels a pixel, and its share of ours."""
        level = self._levels[self._depth(scale)]
        height, width = level.shape[:2]
        return (width, height), width / self.width, height / self.height

    def _region(self, scale: float, box: Box) -> RGB:
        """A part of that copy."""
        x0, y0, x1, y1 = box
        return self._levels[self._depth(scale)][y0:y1, x0:x1]

    def _depth(self, scale: float) -> int:
        """The smallest copy that still has a pixel for every device pixel, or the finest."""
        for depth in range(len(self._levels) - 1, 0, -1):
            if self._levels[depth].shape[1] >= scale * self.width:
                return depth
        return 0


def halved(rgb: RGB) -> list[RGB]:
    """A picture, half of it, half of that, and so on."""
    levels = [np.ascontiguousarray(rgb)]
    while max(rgb.shape[:2]) > _SMALLEST:
        half = max(1, rgb.shape[1] // 2), max(1, rgb.shape[0] // 2)
        rgb = cv2.resize(rgb, half, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        levels.append(rgb)
    return levels


def packed(rgb: RGB) -> Pixels:
    """(h, w, 3) RGB as (h, w) 0xffRRGGBB."""
    bgra = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2BGRA)
    return np.ascontiguousarray(bgra).view(np.uint32).reshape(rgb.shape[:2])


def as_qimage(pixels: Pixels, transparent: bool = False) -> QImage:
    """A view of contiguous pixels (h, w) as a QImage; the array must outlive it."""
    height, width = pixels.shape
    alpha, solid = QImage.Format.Format_ARGB32_Premultiplied, QImage.Format.Format_RGB32
    return QImage(pixels.data, width, height, 4 * width, alpha if transparent else solid)


NO_PICTURE: Final = Picture.of(np.zeros((1, 1, 3), dtype=np.uint8))
"""Stands for the picture of an image that is not shown."""
