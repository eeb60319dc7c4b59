"""Rulers along the canvas: image pixels, and a mark where the pointer is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QWidget

from segstudio.studio import theme
from segstudio.studio.canvas.canvas import Canvas

THICK: Final = 20
_ROOM: Final = 56.0
"""Screen pixels between two numbers, at least."""
_MARK: Final = 2


def spacing(scale: float) -> int:
    """Image pixels between two numbers at so many screen pixels a pixel: 1, 2 or 5 times a power
    of ten."""
    least = max(_ROOM / scale, 1.0)
    power = 10 ** math.floor(math.log10(least))
    return int(next(step * power for step in (1, 2, 5, 10) if step * power >= least - 1e-9))


def ticks(start: float, end: float, scale: float) -> Iterator[tuple[int, bool]]:
    """(image pixel, whether it has a number) of the ticks between two places of the picture."""
    long = spacing(scale)
    short = max(1, long // (5 if long % 5 == 0 else 2 if long % 2 == 0 else 1))
    for pixel in range(math.ceil(start / short) * short, math.floor(end) + 1, short):
        yield pixel, pixel % long == 0


class Ruler(QWidget):
    """One ruler, across or down."""

    def __init__(self, canvas: Canvas, across: bool) -> None:
        super().__init__()
        self._canvas, self._across = canvas, across
        fixed, free = QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Ignored
        if across:
            self.setFixedHeight(THICK)
            self.setSizePolicy(free, fixed)
        else:
            self.setFixedWidth(THICK)
            self.setSizePolicy(fixed, free)
        self._pointer: float | None = None

    @property
    def pointer(self) -> float | None:
        """Where the pointer is, in image pixels; None when it is elsewhere."""
        return self._pointer

    def show_pointer(self, x: float, y: float) -> None:
        """Where the pointer is, in image pixels; both -1 when it has left the canvas."""
        place = None if (x, y) == (-1.0, -1.0) else (x if self._across else y)
        if place != self._pointer:
            self._pointer = place
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        look = theme.current()
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(look.panel))
        font = QFont(self.font())
        font.setPixelSize(10)
        painter.setFont(font)
        if self._canvas.picture is not None:
            self._draw_ticks(painter)
            if self._pointer is not None:
                place = self._screen(self._pointer)
                painter.fillRect(self._line(place, 0, _MARK), QColor(look.accent))
        painter.fillRect(self._edge(), QColor(look.line))
        painter.end()

    def _draw_ticks(self, painter: QPainter) -> None:
        look, view = theme.current(), self._canvas.view
        length = self.width() if self._across else self.height()
        offset = view.x if self._across else view.y
        line, words = QColor(look.line), QColor(look.faint)
        start, end = -offset / view.scale, (length - offset) / view.scale
        for pixel, is_long in ticks(start, end, view.scale):
            place = self._screen(pixel)
            painter.fillRect(self._line(place, THICK // 2 if is_long else THICK - 5), line)
            if is_long:
                painter.setPen(words)
                self._write(painter, place, str(pixel))

    def _write(self, painter: QPainter, place: float, text: str) -> None:
        middle, left = Qt.AlignmentFlag.AlignVCenter, Qt.AlignmentFlag.AlignLeft
        painter.save()
        if not self._across:
            painter.rotate(-90)  # from below to above, beside the tick
            place = -place
        painter.drawText(QRectF(place + 3, 0, _ROOM, THICK - 5), middle | left, text)
        painter.restore()

    def _screen(self, place: float) -> float:
        view = self._canvas.view
        return place * view.scale + (view.x if self._across else view.y)

    def _line(self, place: float, start: int, width: int = 1) -> QRectF:
        if self._across:
            return QRectF(round(place), start, width, THICK - start)
        return QRectF(start, round(place), THICK - start, width)

    def _edge(self) -> QRectF:
        if self._across:
            return QRectF(0, THICK - 1, self.width(), 1)
        return QRectF(THICK - 1, 0, 1, self.height())


class Ruled(QWidget):
    """The canvas with a ruler above and one on its left, which can be put away."""

    def __init__(self, canvas: Canvas) -> None:
        super().__init__()
        self.above, self.beside = Ruler(canvas, across=True), Ruler(canvas, across=False)
        self._corner = QWidget()
        self._corner.setFixedSize(THICK, THICK)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(0)
        grid.addWidget(self._corner, 0, 0)
        grid.addWidget(self.above, 0, 1)
        grid.addWidget(self.beside, 1, 0)
        grid.addWidget(canvas, 1, 1)
        for ruler in (self.above, self.beside):
            canvas.view_changed.connect(ruler.update)
            canvas.pointer_moved.connect(ruler.show_pointer)
        self.show_rulers(False)

    def show_rulers(self, shown: bool) -> None:
        for part in (self._corner, self.above, self.beside):
            part.setVisible(shown)
