"""The viewport as pixels: picture and overlay, kept between frames and mended in parts."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter

from segstudio.annotation.bitmap import Box
from segstudio.annotation.idmap import COARSEST, IdMap
from segstudio.studio.canvas.colouring import Look, Table, colour_ids
from segstudio.studio.canvas.guess import Guess
from segstudio.studio.canvas.picture import Picture, as_qimage
from segstudio.studio.canvas.view import View

Places = NDArray[np.intp]


class Backing:
    """One image of the viewport's size in device pixels."""

    def __init__(self) -> None:
        self.image = QImage()
        self._spare = QImage()
        self._ratio = 1.0

    def resize(self, size: QSize, ratio: float) -> bool:
        """Fit the viewport (logical size); returns whether everything must be drawn again."""
        device = QSize(math.ceil(size.width() * ratio), math.ceil(size.height() * ratio))
        if self.image.size() == device and self._ratio == ratio:
            return False
        self.image = QImage(device, QImage.Format.Format_RGB32)
        self._spare = QImage(device, QImage.Format.Format_RGB32)
        self._ratio = ratio
        return True

    def show(self, painter: QPainter) -> None:
        """Draw what is there on a widget, one pixel for one: at a ratio like 1.75 it is a part of a
        pixel larger than the widget, and squeezed into that a part would not look as the whole."""
        painter.save()
        painter.scale(1 / self._ratio, 1 / self._ratio)
        painter.drawImage(0, 0, self.image)
        painter.restore()

    def whole(self) -> QRect:
        return QRect(0, 0, self.image.width(), self.image.height())

    def device_rect(self, box: Box, view: View) -> QRect:
        """The device pixels that show image pixels of `box`, with their outlines."""
        x0, y0 = view.to_screen(box[0], box[1])
        x1, y1 = view.to_screen(box[2], box[3])
        left, top = math.floor(x0 * self._ratio) - 2, math.floor(y0 * self._ratio) - 2
        right, bottom = math.ceil(x1 * self._ratio) + 2, math.ceil(y1 * self._ratio) + 2
        return QRect(left, top, right - left, bottom - top).intersected(self.whole())

    def logical_rect(self, box: Box, view: View) -> QRect:
        """The logical screen pixels of `device_rect`."""
        part, ratio = self.device_rect(box, view), self._ratio
        left, top = math.floor(part.x() / ratio), math.floor(part.y() / ratio)
        right = math.ceil((part.x() + part.width()) / ratio)
        bottom = math.ceil((part.y() + part.height()) / ratio)
        return QRect(left, top, right - left, bottom - top)

    def scroll(self, old: View, new: View) -> list[QRect] | None:
        """Shift what is there from the old view to the new one; returns what must be drawn anew.

        None when the views do not differ by whole device pixels, or by too many.
        """
        dx, dy = (new.x - old.x) * self._ratio, (new.y - old.y) * self._ratio
        across, down = round(dx), round(dy)
        whole = self.whole()
        if abs(dx - across) > 1e-6 or abs(dy - down) > 1e-6 or new.scale != old.scale:
            return None
        if abs(across) >= whole.width() // 2 or abs(down) >= whole.height() // 2:
            return None
        painter = QPainter(self._spare)
        painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Source)
        painter.drawImage(across, down, self.image)
        painter.end()
        self.image, self._spare = self._spare, self.image
        column = QRect(0 if across > 0 else whole.width() + across, 0, abs(across), whole.height())
        row = QRect(0, 0 if down > 0 else whole.height() + down, whole.width(), abs(down))
        # a pixel more, for the outlines that the edge of the screen had cut off
        return [part.adjusted(-1, -1, 1, 1).intersected(whole) for part in (column, row)]

    def draw(
        self,
        part: QRect,
        view: View,
        ground: QColor,
        picture: Picture | None,
        overlay: tuple[IdMap, Table, Look] | None,
        guess: Guess | None = None,
        rough: bool = False,
    ) -> None:
        """Draw `part` (device pixels) anew; `rough` takes ids that are at hand."""
        if part.isEmpty():
            return
        painter = QPainter(self.image)
        ratio = self._ratio
        painter.setClipRect(part)
        if picture is not None and picture.is_smooth(view.scale * ratio):
            box = (part.x(), part.y(), part.x() + part.width(), part.y() + part.height())
            colour = ground.red(), ground.green(), ground.blue()
            shown = picture.render(box, view, ratio, colour)
            painter.drawImage(part.topLeft(), as_qimage(shown))
        else:
            painter.fillRect(part, ground)
        if picture is not None and not picture.is_smooth(view.scale * ratio):
            across, down, corner = self._grid(part, view, (picture.width, picture.height))
            if len(across) > 1 and len(down) > 1:
                shown = picture.sample(across[:-1], down[:-1])
                painter.drawImage(*corner, as_qimage(shown))
        if guess is not None:
            guess.draw(painter, view, ratio)
        if overlay is not None:
            self._draw_overlay(painter, part, view, *overlay, rough=rough)
        painter.end()

    def _draw_overlay(
        self,
        painter: QPainter,
        part: QRect,
        view: View,
        idmap: IdMap,
        table: Table,
        look: Look,
        rough: bool,
    ) -> None:
        across, down, (left, top) = self._grid(part, view, (idmap.width, idmap.height))
        if len(across) < 2 or len(down) < 2:
            return
        step = _step(1 / (view.scale * self._ratio))
        if rough:
            step = idmap.at_hand(across, down, step)
        ids = idmap.sample(across, down, step)
        # beyond the picture's last row and column there is nothing, and that makes an outline
        if left + len(across) - 1 < part.x() + part.width():
            ids[:, -1] = 0
        if top + len(down) - 1 < part.y() + part.height():
            ids[-1, :] = 0
        if not ids.any():
            return
        corner = round(view.x * self._ratio), round(view.y * self._ratio)
        pixels = colour_ids(ids, table, look, (left - corner[0], top - corner[1]))
        painter.drawImage(left, top, as_qimage(pixels, transparent=True))

    def _grid(
        self, part: QRect, view: View, size: tuple[int, int]
    ) -> tuple[Places, Places, tuple[int, int]]:
        """Image columns and rows under the device pixels of `part`, and the first of these."""
        ratio = self._ratio
        across, left = _pixels(part.x(), part.width(), view.x, view.scale, ratio, size[0])
        down, top = _pixels(part.y(), part.height(), view.y, view.scale, ratio, size[1])
        return across, down, (left, top)


def _pixels(
    start: int, count: int, offset: float, scale: float, ratio: float, limit: int
) -> tuple[Places, int]:
    """The image pixel under each device pixel from `start` on and one more beyond the last.

    Device pixels that show no image pixel are left out; also returns the first one left in.
    """
    device = np.arange(start, start + count + 1)
    image = np.floor(((device + 0.5) / ratio - offset) / scale).astype(np.intp)
    inside = np.flatnonzero((image >= 0) & (image < limit))
    if not len(inside):
        return np.zeros(0, dtype=np.intp), start
    first, last = int(inside[0]), int(inside[-1])
    chosen = image[first : last + 1]
    if last < len(image) - 1:  # the picture ends here: repeat its last pixel as the one beyond
        chosen = np.append(chosen, chosen[-1])
    return chosen, start + first


def _step(pixels: float) -> int:
    """The largest power of two that is no more than so many image pixels."""
    return min(COARSEST, 1 << max(0, math.floor(math.log2(pixels))))


def set_cursor_shape(name: str) -> Qt.CursorShape:
    """The pointer for a tool's cursor name."""
    return {
        "arrow": Qt.CursorShape.ArrowCursor,
        "cross": Qt.CursorShape.CrossCursor,
        "move": Qt.CursorShape.SizeAllCursor,
        "blank": Qt.CursorShape.BlankCursor,
    }[name]
