"""Which marks lie over the picture, and what part of the canvas they take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from PySide6.QtCore import QPointF, QRect, QRectF
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QRegion

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


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """One thing over the picture: where it is, in logical screen pixels, and how to draw it.

    Marks of equal `look` at the same place are the same to the eye; None equals nothing.
    """

    room: QRect
    look: tuple[object, ...] | None
    draw: Callable[[QPainter], None]


class Marks:
    """Outlines of what is selected, a framed region, and the tool's preview."""

    def __init__(self) -> None:
        self.region: Box | None = None
        self._outlines = Outlines()

    def forget(self) -> None:
        """Another image is shown."""
        self.region = None
        self._outlines = Outlines()

    def of(self, scene: Scene, metrics: QFontMetrics) -> list[Mark]:
        """All of them, from the bottom up; `metrics` are those of the painter."""
        marks = [self._outline(shape, scene) for shape in _outlined(scene)]
        if self.region is not None:
            marks.append(_frame(self.region, scene.view))
        room = QRectF()
        for part in _parts(scene.preview, scene.view, metrics):
            room |= part
        if room.isValid():
            colour = _colour(scene, scene.desk.class_name)
            draw = partial(draw_preview, view=scene.view, preview=scene.preview, colour=colour)
            marks.append(Mark(_around(room), None, draw))
        return marks

    def _outline(self, shape: Shape, scene: Scene) -> Mark:
        view, colour = scene.view, _colour(scene, shape.class_name)
        path = self._outlines.of(shape, view.scale)
        handled = scene.tool_name == "select" and len(scene.desk.selection) <= _WITH_HANDLES

        def draw(painter: QPainter) -> None:
            draw_outline(painter, view, path, QColor(255, 255, 255))
            if handled:
                draw_handles(painter, view, shape, colour)

        room = _around(_on_screen(path.controlPointRect(), view))
        return Mark(room, (id(path), handled, colour.rgba()), draw)


def _frame(box: Box, view: View) -> Mark:
    x0, y0, x1, y1 = box
    room = _on_screen(QRectF(QPointF(x0, y0), QPointF(x1, y1)), view)
    room = room.adjusted(-FRAME, -FRAME, FRAME, FRAME)
    return Mark(_around(room), (box,), partial(draw_frame, view=view, box=box))


def _around(room: QRectF) -> QRect:
    return room.adjusted(-_EDGE, -_EDGE, _EDGE, _EDGE).toAlignedRect()


def changed(before: Sequence[Mark], after: Sequence[Mark]) -> QRegion:
    """Where the screen looks different once these marks have taken the place of those."""
    region = QRegion()
    for marks, others in ((before, after), (after, before)):
        same = {mark.look: mark.room for mark in others if mark.look is not None}
        for mark in marks:
            if mark.look is None or same.get(mark.look) != mark.room:
                region += mark.room
    return region


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
