"""The overview: the whole picture small in a corner, with a frame around what the canvas shows."""

from __future__ import annotations

import weakref
from typing import Final

from PySide6.QtCore import QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen

from segstudio.studio.canvas.picture import Picture, as_qimage
from segstudio.studio.canvas.view import View

_SIDE: Final = 180
_MARGIN: Final = 12
_GROUND: Final = (40, 42, 46)


class Overview:
    """Drawn over the canvas as long as not all of the picture is in sight."""

    def __init__(self) -> None:
        self.enabled = False
        self._small = QImage()
        self._of: tuple[weakref.ref[Picture], int] | None = None

    def place(self, picture: Picture, view: View, room: QSize) -> QRect | None:
        """Where it is on a canvas of this size; None while it is not needed."""
        if not self.enabled or min(room.width(), room.height()) < 2 * _SIDE:
            return None
        left, top = view.to_screen(0, 0)
        right, bottom = view.to_screen(picture.width, picture.height)
        if left >= 0 and top >= 0 and right <= room.width() and bottom <= room.height():
            return None
        scale = _SIDE / max(picture.width, picture.height)
        width, height = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        return QRect(
            room.width() - width - _MARGIN, room.height() - height - _MARGIN, width, height
        )

    def draw(self, painter: QPainter, picture: Picture, view: View, room: QSize) -> None:
        place = self.place(picture, view, room)
        if place is None:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.drawImage(place, self._image(picture, place.size()))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(0, 0, 0, 160), 1))
        painter.drawRect(place.adjusted(-1, -1, 0, 0))
        scale = place.width() / picture.width
        x0, y0 = view.to_image(0, 0)
        x1, y1 = view.to_image(room.width(), room.height())
        shown = QRectF(
            place.x() + x0 * scale, place.y() + y0 * scale, (x1 - x0) * scale, (y1 - y0) * scale
        ).intersected(QRectF(place))
        for colour, width in ((QColor(0, 0, 0, 160), 3), (QColor(255, 255, 255), 1)):
            painter.setPen(QPen(colour, width))
            painter.drawRect(shown)
        painter.restore()

    def centred(self, picture: Picture, view: View, room: QSize, at: QPointF) -> View | None:
        """The view with the picture's place under `at` in the middle; None beside the overview."""
        place = self.place(picture, view, room)
        if place is None or not QRectF(place).contains(at):
            return None
        x = (at.x() - place.x()) * picture.width / place.width()
        y = (at.y() - place.y()) * picture.height / place.height()
        return View(
            view.scale, room.width() / 2 - x * view.scale, room.height() / 2 - y * view.scale
        )

    def _image(self, picture: Picture, size: QSize) -> QImage:
        if self._of is None or (self._of[0](), self._of[1]) != (picture, picture.revision):
            view = View(size.width() / picture.width)
            pixels = picture.render((0, 0, size.width(), size.height()), view, 1.0, _GROUND)
            self._small = as_qimage(pixels).copy()
            self._of = weakref.ref(picture), picture.revision
        return self._small
