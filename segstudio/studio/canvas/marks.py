"""What is drawn over the backing as vectors: hover, selection, handles, the tool's preview."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen, QPolygonF

from segstudio.annotation.bitmap import Box
from segstudio.annotation.geometry import simplify, trace
from segstudio.annotation.shape import POINT_RADIUS, Shape
from segstudio.studio.canvas.view import View
from segstudio.tools.desk import Preview, handles

_HANDLE = 7.0
_AROUND: Final = 8.0
"""Screen pixels between a part of the picture and the frame around it."""
FRAME: Final = _AROUND + 5.0
"""Screen pixels that the frame takes beyond the part."""
NOTE: Final = 40.0
"""Screen pixels that a note takes beside its place and its words."""


def pen(colour: QColor, width: float, dashed: bool = False) -> QPen:
    """A pen of `width` screen pixels."""
    result = QPen(colour, width)
    if dashed:
        result.setStyle(Qt.PenStyle.DashLine)
    result.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    return result


_SMALL: Final = 8
"""Tiles of a mask whose outline is drawn as a vector."""
_POINTS: Final = 4000
_UNSEEN: Final = 0.4
"""Screen pixels that nobody sees."""
_THIN: Final = 3.0
"""Screen pixels an image pixel."""


def has_outline(shape: Shape, scale: float) -> bool:
    """Whether the outline is drawn as a vector, at `scale` screen pixels an image pixel.

    Masks are marked by the white line of the overlay, which follows their pixels; from afar a
    vector makes that thicker, unless the mask is so large that the path would take seconds.
    """
    if shape.bitmap is not None:
        return scale < _THIN and shape.bitmap.tile_count <= _SMALL
    return len(shape.points) <= _POINTS


class Outlines:
    """The outline of a shape as a path in image pixels; the last few are remembered."""

    def __init__(self) -> None:
        self._kept: list[tuple[Shape, float, QPainterPath]] = []

    def of(self, shape: Shape, scale: float) -> QPainterPath:
        """As fine as is to be seen at `scale` screen pixels an image pixel: a wide pen takes a
        hundred times longer for a thousand steps within one screen pixel than for a line."""
        tolerance = _UNSEEN / 2 ** math.ceil(math.log2(scale))
        for known, at, path in self._kept:
            if known is shape and at == tolerance:
                return path
        path = _outline(shape, tolerance)
        self._kept = [*self._kept[-31:], (shape, tolerance, path)]
        return path


def _outline(shape: Shape, tolerance: float) -> QPainterPath:
    path = QPainterPath()
    points = shape.points
    if shape.bitmap is not None:
        x, y, mask = shape.bitmap.crop()
        for ring in trace(mask) if mask.size else []:
            placed = ring + np.array((x + 0.5, y + 0.5))
            path.addPolygon(_polygon(simplify(placed, tolerance)))
            path.closeSubpath()
    elif shape.kind == "circle" and len(points) >= 2:
        radius = float(np.hypot(*(points[1] - points[0])))
        path.addEllipse(QPointF(*points[0].tolist()), radius, radius)
    elif shape.kind in ("point", "points"):
        for place in points.tolist():
            path.addEllipse(QPointF(*place), POINT_RADIUS, POINT_RADIUS)
    elif len(points):
        closed = shape.kind not in ("line", "linestrip")
        path.addPolygon(_polygon(simplify(handles(shape), tolerance, closed)))
        if closed:
            path.closeSubpath()
    return path


def _polygon(points: NDArray[np.float64]) -> QPolygonF:
    return QPolygonF([QPointF(x, y) for x, y in points.tolist()])


def draw_outline(painter: QPainter, view: View, path: QPainterPath, colour: QColor) -> None:
    """An outline in image pixels, two screen pixels wide over a dark halo."""
    painter.save()
    painter.translate(view.x, view.y)
    painter.scale(view.scale, view.scale)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    ratio = painter.device().devicePixelRatioF()  # a cosmetic pen counts device pixels
    for shade, width in ((QColor(0, 0, 0, 130), 3.5), (colour, 1.6)):
        line = pen(shade, width * ratio)
        line.setCosmetic(True)
        painter.setPen(line)
        painter.drawPath(path)
    painter.restore()


def draw_handles(painter: QPainter, view: View, shape: Shape, colour: QColor) -> None:
    """Squares on the points a person can drag."""
    points = handles(shape)
    size = _HANDLE * min(1.0, _spacing(points) * view.scale / (1.6 * _HANDLE))
    if size < 2.5:
        return
    painter.setPen(pen(QColor(20, 20, 20), 1.0) if size > 4 else Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    for x, y in points.tolist():
        sx, sy = view.to_screen(x, y)
        painter.drawRect(QRectF(sx - size / 2, sy - size / 2, size, size))


def _spacing(points: NDArray[np.float64]) -> float:
    """The usual distance between neighbouring points in image pixels."""
    if len(points) < 3:
        return 1e9
    # not np.median: it loads numpy.ma, which would take the first frame with a selection 50 ms
    return float(np.sort(np.hypot(*np.diff(points, axis=0).T))[(len(points) - 1) // 2])


def draw_grid(painter: QPainter, view: View, size: tuple[int, int]) -> None:
    """Lines between the pixels of a picture of `size` (width, height) that are in sight."""
    room = painter.viewport()
    x0, y0 = view.to_image(0, 0)
    x1, y1 = view.to_image(room.width(), room.height())
    left, top = max(0, int(x0)), max(0, int(y0))
    right, bottom = min(size[0], int(x1) + 1), min(size[1], int(y1) + 1)
    lines = [
        QLineF(*view.to_screen(x, top), *view.to_screen(x, bottom)) for x in range(left, right + 1)
    ]
    lines += [
        QLineF(*view.to_screen(left, y), *view.to_screen(right, y)) for y in range(top, bottom + 1)
    ]
    painter.setPen(pen(QColor(128, 128, 128, 90), 1.0))
    painter.drawLines(lines)


def draw_frame(painter: QPainter, view: View, box: Box) -> None:
    """Corners around a part of the picture, which leave its border free to be seen."""
    (x0, y0), (x1, y1) = view.to_screen(box[0], box[1]), view.to_screen(box[2], box[3])
    x0, y0, x1, y1 = x0 - _AROUND, y0 - _AROUND, x1 + _AROUND, y1 + _AROUND
    arm = max(6.0, min(18.0, (x1 - x0) / 4, (y1 - y0) / 4))
    lines = [
        QLineF(x, y, x + across * arm, y + down * arm)
        for x, across in ((x0, 1), (x1, -1))
        for y, down in ((y0, 1), (y1, -1))
        for across, down in ((across, 0), (0, down))
    ]
    for shade, width in ((QColor(0, 0, 0, 170), 5.0), (QColor(255, 214, 10), 2.0)):
        painter.setPen(pen(shade, width))
        painter.drawLines(lines)


def draw_preview(painter: QPainter, view: View, preview: Preview, colour: QColor) -> None:
    """The tool at work."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
    if len(preview.path):
        _draw_path(painter, view, preview, colour)
    if preview.band is not None:
        x0, y0 = view.to_screen(*preview.band[:2])
        x1, y1 = view.to_screen(*preview.band[2:])
        painter.setPen(pen(QColor(255, 255, 255), 1.0, dashed=True))
        painter.setBrush(QColor(90, 150, 255, 50))
        painter.drawRect(QRectF(QPointF(x0, y0), QPointF(x1, y1)).normalized())
    if preview.brush is not None:
        x, y, radius = preview.brush
        centre = QPointF(*view.to_screen(x, y))
        size = max(radius * view.scale, 1.5)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for shade, width in ((QColor(0, 0, 0, 160), 3.0), (colour, 1.5)):
            painter.setPen(pen(shade, width))
            if preview.square:
                painter.drawRect(QRectF(centre.x() - size, centre.y() - size, 2 * size, 2 * size))
            else:
                painter.drawEllipse(centre, size, size)
    if preview.snapped is not None:
        centre = QPointF(*view.to_screen(*preview.snapped))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for shade, width in ((QColor(0, 0, 0, 160), 4.0), (QColor(255, 255, 255), 2.0)):
            painter.setPen(pen(shade, width))
            painter.drawEllipse(centre, _HANDLE, _HANDLE)
    if preview.note is not None:
        x, y, words = preview.note
        _draw_note(painter, QPointF(*view.to_screen(x, y)), words)


def _draw_note(painter: QPainter, place: QPointF, words: str) -> None:
    """A few signs right below a place."""
    room = QRectF(painter.fontMetrics().boundingRect(words)).adjusted(-6, -3, 6, 3)
    room.moveTopLeft(place + QPointF(14, 14))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(20, 20, 20, 190))
    painter.drawRoundedRect(room, 4, 4)
    painter.setPen(QColor(255, 255, 255))
    painter.drawText(room, Qt.AlignmentFlag.AlignCenter, words)


def _draw_path(painter: QPainter, view: View, preview: Preview, colour: QColor) -> None:
    path = simplify(preview.path, _UNSEEN / view.scale, preview.closed)
    places = [QPointF(*view.to_screen(x, y)) for x, y in path.tolist()]
    fill = QColor(colour)
    fill.setAlpha(60)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(fill)
    if preview.filled:
        painter.drawPolygon(places)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for shade, width in ((QColor(0, 0, 0, 140), 3.5), (colour, 1.8)):
        painter.setPen(pen(shade, width))
        (painter.drawPolygon if preview.closed else painter.drawPolyline)(places)
    if not preview.handles:
        return
    nodes = preview.path if preview.nodes is None else preview.nodes
    places = [QPointF(*view.to_screen(x, y)) for x, y in nodes.tolist()]
    painter.setPen(pen(QColor(20, 20, 20), 1.0))
    painter.setBrush(colour)
    half = _HANDLE / 2
    for number, place in enumerate(places):
        first = number == 0 and preview.closing
        size = half * 1.8 if first and preview.closed else half
        painter.drawEllipse(place, size, size)


__all__ = ["Outlines", "draw_handles", "draw_outline", "draw_preview", "pen"]
