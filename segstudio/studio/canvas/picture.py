"""The picture at every zoom: halved copies, so that drawing costs what the screen shows."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter

from segstudio.studio.canvas.view import View

_SMALLEST: Final = 512
_SMOOTH_UP_TO: Final = 2.0
"""From this zoom on pixels are shown as the squares they are."""
Pixels = NDArray[np.uint32]


class Picture:
    """An RGB picture (h, w, 3) uint8 with its halved copies."""

    def __init__(self, rgb: NDArray[np.uint8]) -> None:
        self.height, self.width = rgb.shape[:2]
        self._pixels = [_packed(rgb)]
        while max(rgb.shape[:2]) > _SMALLEST:
            half = max(1, rgb.shape[1] // 2), max(1, rgb.shape[0] // 2)
            rgb = cv2.resize(rgb, half, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
            self._pixels.append(_packed(rgb))
        self._levels = [as_qimage(pixels) for pixels in self._pixels]

    def is_smooth(self, scale: float) -> bool:
        """Whether `draw` shows it at this many device pixels a pixel, and not `sample`."""
        return scale < _SMOOTH_UP_TO

    def sample(self, columns: NDArray[np.intp], rows: NDArray[np.intp]) -> Pixels:
        """The pixels where rows and columns cross, (len(rows), len(columns)) as 0xffRRGGBB."""
        return self._pixels[0].take(rows, axis=0).take(columns, axis=1)

    def draw(self, painter: QPainter, view: View, area: QRectF, ratio: float) -> None:
        """Draw what lies in `area` (logical pixels) of a screen with `ratio` device pixels."""
        x0, y0 = view.to_image(area.left(), area.top())
        x1, y1 = view.to_image(area.right(), area.bottom())
        # whole image pixels, so that a part redrawn meets its neighbours
        left, top = max(0, int(np.floor(x0)) - 1), max(0, int(np.floor(y0)) - 1)
        right, bottom = (
            min(self.width, int(np.ceil(x1)) + 1),
            min(self.height, int(np.ceil(y1)) + 1),
        )
        if right <= left or bottom <= top:
            return
        level = self._level(view.scale * ratio)
        shrink_x, shrink_y = level.width() / self.width, level.height() / self.height
        source = QRectF(
            left * shrink_x, top * shrink_y, (right - left) * shrink_x, (bottom - top) * shrink_y
        )
        sx, sy = view.to_screen(left, top)
        target = QRectF(sx, sy, (right - left) * view.scale, (bottom - top) * view.scale)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
        painter.drawImage(target, level, source)

    def _level(self, scale: float) -> QImage:
        """The smallest copy that still has a pixel for every device pixel."""
        depth = int(np.floor(np.log2(1 / scale))) if scale < 1 else 0
        return self._levels[min(max(depth, 0), len(self._levels) - 1)]


def _packed(rgb: NDArray[np.uint8]) -> Pixels:
    """(h, w, 3) RGB as (h, w) 0xffRRGGBB."""
    bgra = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2BGRA)
    return np.ascontiguousarray(bgra).view(np.uint32).reshape(rgb.shape[:2])


def as_qimage(pixels: Pixels, transparent: bool = False) -> QImage:
    """A view of contiguous pixels (h, w) as a QImage; the array must outlive it."""
    height, width = pixels.shape
    alpha, solid = QImage.Format.Format_ARGB32_Premultiplied, QImage.Format.Format_RGB32
    return QImage(pixels.data, width, height, 4 * width, alpha if transparent else solid)


NO_PICTURE: Final = Picture(np.zeros((1, 1, 3), dtype=np.uint8))
"""Stands for the picture of an image that is not shown."""
