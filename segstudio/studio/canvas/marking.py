"""Which marks lie over the picture, and what part of the canvas they take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QFontMetrics, QPainter

from segstudio.annotation.bitmap import Box
from segstudio.annotation.shape import Shape
from segstudio.studio.canvas.colouring import UNKNOWN, Colour
from segstudio.studio.canvas.marks import (
    FRAME,
    NOTE,
    Outlines,
    draw_frame,
    draw_handles,
    draw_outline,
    draw_preview,
    has_outline,
)
from segstudio.studio.canvas.view import View
from segstudio.tools.desk import Desk, Preview

MARKED: Final = 24
"""More selected shapes than this are marked in the overlay only."""
_WITH_HANDLES: Final = 4
_EDGE: Final = 12.0
"""Screen pixels that pens and handles take around the points of a mark."""


@dataclass(slots=True)
class Scene:
    """What marks are made of: the open image, the tool at work, and how they are looked at."""

    desk: Desk
    preview: Preview
    tool_name: str
    view: View
    hides_shapes: bool
    colours: Mapping[str, Colour]


class Marks:
    """Outlines of what is selected, a framed region, and the tool's preview."""

    def __init__(self) -> None:
        self.region: Box | None = None
        self._outlines = Outlines()

    def forget(self) -> None:
        """Another image is shown."""
        self.region = None
        self._outlines = Outlines()

    def draw(self, painter: QPainter, scene: Scene) -> None:
        """Draw them all; `painter` counts logical screen pixels."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        view = scene.view
        outlined = list(_outlined(scene))
        for shape in outlined:
            draw_outline(painter, view, self._outlines.of(shape), QColor(255, 255, 255))
            if scene.tool_name == "select" and len(scene.desk.selection) <= _WITH_HANDLES:
                draw_handles(painter, view, shape, _colour(scene, shape.class_name))
        if self.region is not None:
            draw_frame(painter, view, self.region)
        draw_preview(painter, view, scene.preview, _colour(scene, scene.desk.class_name))

    def room(self, scene: Scene, metrics: QFontMetrics) -> QRectF:
        """Where `draw` draws, in logical screen pixels; `metrics` are those of the painter."""
        room = QRectF()
        for shape in _outlined(scene):
            room |= _on_screen(self._outlines.of(shape).controlPointRect(), scene.view)
        if self.region is not None:
            x0, y0, x1, y1 = self.region
            frame = _on_screen(QRectF(QPointF(x0, y0), QPointF(x1, y1)), scene.view)
            room |= frame.adjusted(-FRAME, -FRAME, FRAME, FRAME)
        for part in _parts(scene.preview, scene.view, metrics):
            room |= part
        return room.adjusted(-_EDGE, -_EDGE, _EDGE, _EDGE) if room.isValid() else room


def _outlined(scene: Scene) -> Iterator[Shape]:
    """The selected shapes whose outlines are drawn as vectors."""
    if scene.hides_shapes or len(scene.desk.selection) > MARKED:
        return
    for _, shape in scene.desk.selected():
        if has_outline(shape, scene.view.scale):
            yield shape


def _colour(scene: Scene, class_name: str) -> QColor:
    return QColor(*scene.colours.get(class_name, UNKNOWN))


def _on_screen(rect: QRectF, view: View) -> QRectF:
    """A box of image pixels on the screen, never empty: a line has a pen's width."""
    corners = view.to_screen(rect.left(), rect.top()), view.to_screen(rect.right(), rect.bottom())
    return QRectF(QPointF(*corners[0]), QPointF(*corners[1])).adjusted(-1, -1, 1, 1)


def _parts(preview: Preview, view: View, metrics: QFontMetrics) -> Iterator[QRectF]:
    """Where each thing of a preview is drawn."""
    for points in (preview.path, preview.nodes):
        if points is not None and len(points):
            low, high = np.min(points, axis=0).tolist(), np.max(points, axis=0).tolist()
            yield _on_screen(QRectF(QPointF(*low), QPointF(*high)), view)
    if preview.band is not None:
        x0, y0, x1, y1 = preview.band
        yield _on_screen(QRectF(QPointF(x0, y0), QPointF(x1, y1)).normalized(), view)
    if preview.brush is not None:
        x, y, radius = preview.brush
        yield _on_screen(QRectF(x - radius, y - radius, 2 * radius, 2 * radius), view)
    if preview.snapped is not None:
        yield _on_screen(QRectF(*preview.snapped, 0.0, 0.0), view)
    if preview.note is not None:
        x, y, words = preview.note
        place = QPointF(*view.to_screen(x, y))
        words_room = QRectF(metrics.boundingRect(words))
        yield QRectF(place, words_room.size()).adjusted(0, 0, NOTE, NOTE)
