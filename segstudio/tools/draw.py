"""Tools that place points: polygon and rectangle."""

from __future__ import annotations

import math

from segstudio.annotation.document import add_shapes
from segstudio.annotation.shape import Kind, Shape, as_points, drawn_points
from segstudio.tools.desk import NO_CLASS, Desk, Pointer, Preview, Tool

MIN_SIDE = 1.0
"""A rectangle thinner than this many image pixels is a slip of the hand."""


class _DrawTool(Tool):
    """Collects points and, when done, puts one shape on top and selects it."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.points: list[tuple[float, float]] = []
        self.hover: tuple[float, float] | None = None

    @property
    def busy(self) -> bool:
        return bool(self.points)

    @property
    def refusal(self) -> str:
        return "" if self.desk.class_name else NO_CLASS

    def move(self, pointer: Pointer) -> None:
        self.hover = self.desk.clamp(pointer.x, pointer.y)

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


class PolygonTool(_DrawTool):
    """Click for each point; close on the first one, with Enter, or by a double click."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._closing = False

    def press(self, pointer: Pointer) -> None:
        if self._meets_first(pointer):
            self._close()
            return
        point = self.desk.clamp(pointer.x, pointer.y)
        if not self.points or self.points[-1] != point:
            self.points.append(point)

    def move(self, pointer: Pointer) -> None:
        super().move(pointer)
        self._closing = self._meets_first(pointer)

    def double_click(self, pointer: Pointer) -> None:
        """The first click of the two has placed its point already."""
        self._close()

    def key(self, name: str) -> bool:
        if name == "Enter":
            return self._close()
        if name == "Backspace" and self.points:
            self.points.pop()
            return True
        return super().key(name)

    def _meets_first(self, pointer: Pointer) -> bool:
        if len(self.points) < 3:
            return False
        x, y = self.points[0]
        return math.hypot(pointer.x - x, pointer.y - y) <= pointer.reach

    def _close(self) -> bool:
        if len(self.points) < 3:
            return False
        self._closing = False
        self._finish("polygon", "Draw polygon")
        return True

    def preview(self) -> Preview:
        if not self.points:
            return Preview()
        ahead = [] if self.hover is None or self._closing else [self.hover]
        return Preview(as_points([*self.points, *ahead]), closed=self._closing, closing=True)


class RectangleTool(_DrawTool):
    """Drag from corner to corner, or click the two corners."""

    def press(self, pointer: Pointer) -> None:
        if self.points:
            self._place(pointer)
        else:
            self.points = [self.desk.clamp(pointer.x, pointer.y)]
            self.hover = self.points[0]

    def release(self, pointer: Pointer) -> None:
        """After a drag the second corner is here; after a mere click the next click sets it."""
        if self.points and math.dist(self.points[0], (pointer.x, pointer.y)) > pointer.reach / 2:
            self._place(pointer)

    def double_click(self, pointer: Pointer) -> None:
        self.cancel()

    def _place(self, pointer: Pointer) -> None:
        (x0, y0), (x1, y1) = self.points[0], self.desk.clamp(pointer.x, pointer.y)
        if min(abs(x1 - x0), abs(y1 - y0)) < MIN_SIDE:
            return
        self.points = [(min(x0, x1), min(y0, y1)), (max(x0, x1), max(y0, y1))]
        self._finish("rectangle", "Draw rectangle")

    def preview(self) -> Preview:
        if not self.points or self.hover is None:
            return Preview()
        (x0, y0), (x1, y1) = self.points[0], self.hover
        return Preview(as_points([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]), closed=True)
