"""Tools that place points: polygon, freehand, rectangles, circle, line, linestrip, point."""

from __future__ import annotations

import math

import numpy as np

from segstudio.annotation.document import add_shapes
from segstudio.annotation.geometry import simplify
from segstudio.annotation.shape import Kind, Points, Shape, as_points, drawn_points
from segstudio.tools.desk import NO_CLASS, Desk, Pointer, Preview, Tool

MIN_SIDE = 1.0
"""A shape thinner than this many image pixels is a slip of the hand."""
_LASSO_STEP = 2.0
"""Screen pixels between two points of a freehand line."""
_LASSO_TOLERANCE = 0.75
"""Screen pixels by which its outline may be simpler than the hand's."""
_ROUND = 48
"""Corners of a circle while it is drawn."""


Point = tuple[float, float]


class _DrawTool(Tool):
    """Collects points and, when done, puts one shape on top and selects it."""

    snaps = True

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.points: list[Point] = []
        self.hover: Point | None = None
        self.snapped: Point | None = None

    @property
    def busy(self) -> bool:
        return bool(self.points)

    @property
    def refusal(self) -> str:
        return "" if self.desk.class_name else NO_CLASS

    def move(self, pointer: Pointer) -> None:
        self.hover = self._place_of(pointer)

    def _place_of(self, pointer: Pointer) -> Point:
        """Where a point goes: to what it snaps to, else to the pointer, within the picture."""
        self.snapped = self.desk.snapped(pointer) if self.snaps else None
        return self.snapped or self.desk.clamp(pointer.x, pointer.y)

    def drag(self, pointer: Pointer) -> None:
        self.move(pointer)

    def cancel(self) -> None:
        self.points.clear()

    def _finish(self, kind: Kind, name: str) -> None:
        shape = Shape(self.desk.class_name, kind, drawn_points(self.points))
        self.points.clear()
        document = self.desk.document
        document.apply(add_shapes(name, document, [shape]))
        self.desk.select([document.ids()[-1]])


class _PathTool(_DrawTool):
    """Click for each point; Enter or a double click ends it, Backspace takes the last one back."""

    kind: Kind = "linestrip"
    step = "Draw linestrip"
    fewest = 2

    def press(self, pointer: Pointer) -> None:
        point = self._place_of(pointer)
        if not self.points or self.points[-1] != point:
            self.points.append(point)

    def double_click(self, pointer: Pointer) -> None:
        """The first click of the two has placed its point already."""
        self._end()

    def key(self, name: str) -> bool:
        if name == "Enter":
            return self._end()
        if name == "Backspace" and self.points:
            self.points.pop()
            return True
        return super().key(name)

    def leave(self) -> None:
        """Many points are work: they become the shape, which undo takes away."""
        if not self._end():
            self.cancel()

    def _end(self) -> bool:
        if len(self.points) < self.fewest:
            return False
        self._finish(self.kind, self.step)
        return True

    def preview(self) -> Preview:
        if not self.points:
            return Preview(snapped=self.snapped)
        ahead = [] if self.hover is None else [self.hover]
        path = as_points([*self.points, *ahead])
        return Preview(path, filled=False, snapped=self.snapped)


class LinestripTool(_PathTool):
    """A line of many points."""


class PolygonTool(_PathTool):
    """A path that is closed on its first point too."""

    kind: Kind = "polygon"
    step = "Draw polygon"
    fewest = 3

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._closing = False

    def press(self, pointer: Pointer) -> None:
        if self._meets_first(pointer):
            self._end()
        else:
            super().press(pointer)

    def move(self, pointer: Pointer) -> None:
        super().move(pointer)
        self._closing = self._meets_first(pointer)

    def _meets_first(self, pointer: Pointer) -> bool:
        if len(self.points) < 3:
            return False
        x, y = self.points[0]
        return math.hypot(pointer.x - x, pointer.y - y) <= pointer.reach

    def _end(self) -> bool:
        ended = super()._end()
        self._closing = self._closing and not ended
        return ended

    def preview(self) -> Preview:
        if not self.points:
            return Preview(snapped=self.snapped)
        ahead = [] if self.hover is None or self._closing else [self.hover]
        path = as_points([*self.points, *ahead])
        place = None if self._closing else self.snapped
        return Preview(path, closed=self._closing, closing=True, snapped=place)


class LassoTool(_DrawTool):
    """Drag around it: a polygon along the hand's way, closed where the button is let go."""

    snaps = False

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._scale = 1.0

    def press(self, pointer: Pointer) -> None:
        self._scale = pointer.scale
        self.points = [self.desk.clamp(pointer.x, pointer.y)]

    def drag(self, pointer: Pointer) -> None:
        super().drag(pointer)
        point = self.desk.clamp(pointer.x, pointer.y)
        if self.points and math.dist(self.points[-1], point) * pointer.scale >= _LASSO_STEP:
            self.points.append(point)

    def release(self, pointer: Pointer) -> None:
        ring = simplify(as_points(self.points), _LASSO_TOLERANCE / self._scale)
        low, high = (ring.min(0), ring.max(0)) if len(ring) else (np.zeros(2), np.zeros(2))
        if len(ring) < 3 or (high - low).min() < MIN_SIDE:
            self.cancel()
            return
        self.points = [(x, y) for x, y in ring.tolist()]
        self._finish("polygon", "Draw freehand")

    def double_click(self, pointer: Pointer) -> None:
        self.cancel()

    def preview(self) -> Preview:
        return Preview(as_points(self.points), closed=True, handles=False)


class _SpanTool(_DrawTool):
    """Two points: drag from one to the other, or click both."""

    kind: Kind = "rectangle"
    step = "Draw rectangle"

    def press(self, pointer: Pointer) -> None:
        if self.points:
            self._place(pointer)
        else:
            self.points = [self._place_of(pointer)]
            self.hover = self.points[0]

    def release(self, pointer: Pointer) -> None:
        """After a drag the second point is here; after a mere click the next click sets it."""
        if self.points and math.dist(self.points[0], (pointer.x, pointer.y)) > pointer.reach / 2:
            self._place(pointer)

    def double_click(self, pointer: Pointer) -> None:
        self.cancel()

    def _place(self, pointer: Pointer) -> None:
        ends = self._ends(self.points[0], self._place_of(pointer))
        if self._is_slip(*ends):
            return
        self.points = list(ends)
        self._finish(self.kind, self.step)

    def _ends(self, start: Point, end: Point) -> tuple[Point, Point]:
        """The shape's own two points."""
        return start, end

    def _is_slip(self, start: Point, end: Point) -> bool:
        return math.dist(start, end) < MIN_SIDE

    def _outline(self, start: Point, end: Point) -> Points:
        return as_points([start, end])

    def preview(self) -> Preview:
        if not self.points or self.hover is None:
            return Preview(snapped=self.snapped)
        path = self._outline(self.points[0], self.hover)
        closed = len(path) > 2
        return Preview(path, closed, False, closed, len(path) < 9, snapped=self.snapped)


class RectangleTool(_SpanTool):
    """From corner to corner."""

    def _ends(self, start: Point, end: Point) -> tuple[Point, Point]:
        (x0, y0), (x1, y1) = start, end
        return (min(x0, x1), min(y0, y1)), (max(x0, x1), max(y0, y1))

    def _is_slip(self, start: Point, end: Point) -> bool:
        return min(abs(end[0] - start[0]), abs(end[1] - start[1])) < MIN_SIDE

    def _outline(self, start: Point, end: Point) -> Points:
        (x0, y0), (x1, y1) = start, end
        return as_points([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


class CircleTool(_SpanTool):
    """From the centre to the rim."""

    kind: Kind = "circle"
    step = "Draw circle"

    def _outline(self, start: Point, end: Point) -> Points:
        turns = np.linspace(0, 2 * np.pi, _ROUND, endpoint=False)
        rim = np.column_stack([np.cos(turns), np.sin(turns)]) * math.dist(start, end)
        return as_points(rim + np.array(start))


class LineTool(_SpanTool):
    """From end to end."""

    kind: Kind = "line"
    step = "Draw line"


class PointTool(_DrawTool):
    """One click, one point."""

    snaps = False

    def press(self, pointer: Pointer) -> None:
        self.points = [self.desk.clamp(pointer.x, pointer.y)]
        self._finish("point", "Draw point")


class OrientedRectangleTool(_DrawTool):
    """Click both ends of one side, then how far the opposite side is."""

    def press(self, pointer: Pointer) -> None:
        point = self._place_of(pointer)
        self.hover = point
        if len(self.points) < 2:
            if not self.points or math.dist(self.points[0], point) >= MIN_SIDE:
                self.points.append(point)
            return
        corners = self._corners(point)
        if math.dist(corners[1], corners[2]) >= MIN_SIDE:
            self.points = corners
            self._finish("oriented_rectangle", "Draw oriented rectangle")

    def key(self, name: str) -> bool:
        if name == "Backspace" and self.points:
            self.points.pop()
            return True
        return super().key(name)

    def double_click(self, pointer: Pointer) -> None:
        """Its first click has placed a point; a second one at the same place says nothing."""

    def _corners(self, point: Point) -> list[Point]:
        start, end = np.array(self.points[0]), np.array(self.points[1])
        along = (end - start) / np.hypot(*(end - start))
        across = np.array([-along[1], along[0]])
        depth = across * float((np.array(point) - start) @ across)
        return [(float(x), float(y)) for x, y in (start, end, end + depth, start + depth)]

    def preview(self) -> Preview:
        if not self.points or self.hover is None:
            return Preview()
        if len(self.points) == 1:
            return Preview(as_points([self.points[0], self.hover]), filled=False)
        return Preview(as_points(self._corners(self.hover)), closed=True)
