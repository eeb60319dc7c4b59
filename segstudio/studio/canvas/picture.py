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
"""Above this zoom pixels are shown as the squares they are."""


class Picture:
    """An RGB picture (h, w, 3) uint8 with its halved copies."""

    def __init__(self, rgb: NDArray[np.uint8]) -> None:
        self.height, self.width = rgb.shape[:2]
        self._levels = [_to_qimage(rgb)]
        while max(rgb.shape[:2]) > _SMALLEST:
            half = max(1, rgb.shape[1] // 2), max(1, rgb.shape[0] // 2)
            rgb = cv2.resize(rgb, half, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
            self._levels.append(_to_qimage(rgb))

    def draw(self, painter: QPainter, view: View, area: QRectF, ratio: float) -> None:
        """Draw what lies in `area` (logical pixels) of a screen with `ratio` device pixels."""
        x0, y0 = view.to_image(area.left(), area.top())
        x1, y1 = view.to_image(area.right(), area.bottom())
        # whole image pixels, so that a part redrawn meets its neighbours exactly
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
        smooth = view.scale * ratio < _SMOOTH_UP_TO
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, smooth)
        painter.drawImage(target, level, source)

    def _level(self, scale: float) -> QImage:
        """The smallest copy that still has a pixel for every device pixel."""
        depth = int(np.floor(np.log2(1 / scale))) if scale < 1 else 0
        return self._levels[min(max(depth, 0), len(self._levels) - 1)]


def _to_qimage(rgb: NDArray[np.uint8]) -> QImage:
    pixels = np.ascontiguousarray(rgb)
    height, width = pixels.shape[:2]
    image = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888)
    return image.convertToFormat(QImage.Format.Format_RGB32)


NO_PICTURE: Final = Picture(np.zeros((1, 1, 3), dtype=np.uint8))
"""Stands for the picture of an image that is not shown."""
