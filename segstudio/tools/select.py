"""Select, move and reshape: the pointer's everyday work."""

from __future__ import annotations

import numpy as np

from segstudio.annotation.bitmap import Box, union_boxes
from segstudio.annotation.document import Edit, replace_shapes
from segstudio.annotation.geometry import nearest_edge, nearest_vertex
from segstudio.annotation.shape import MIN_POINTS, Shape, difference_bounds
from segstudio.tools.arrange import delete, nudge
from segstudio.tools.desk import Desk, Pointer, Preview, Tool, handles

_NUDGES = {
    f"{fast}{name}": (far * dx, far * dy)
    for name, dx, dy in (("Left", -1, 0), ("Right", 1, 0), ("Up", 0, -1), ("Down", 0, 1))
    for fast, far in (("", 1.0), ("Shift+", 10.0))
}
"""Image pixels by which an arrow key moves the selected shapes."""
_CLOSED = frozenset({"polygon"})
_OPEN = frozenset({"linestrip", "points"})


def with_handle(shape: Shape, index: int, x: float, y: float) -> Shape:
    """The shape with handle `index` at (x, y); a rectangle keeps its opposite corner."""
    if shape.kind == "rectangle" and len(shape.points) == 2:
        opposite = handles(shape)[(index + 2) % 4]
        low, high = np.minimum(opposite, (x, y)), np.maximum(opposite, (x, y))
        return shape.with_points([low, high])
    points = shape.points.copy()
    if shape.kind == "circle" and index == 0:
        points += np.array((x, y)) - points[0]
    else:
        points[index] = (x, y)
    return shape.with_points(points)


class SelectTool(Tool):
    """Click to select (again for what lies below), drag to move, drag a vertex to reshape.

    Double click on an edge adds a vertex, Alt+click on a vertex takes it away, a drag over
    nothing selects what is inside, Ctrl or Shift adds to the selection. Arrows move what is
    selected by a pixel, with Shift by ten.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._start: Pointer | None = None
        self._origin: dict[int, Shape] = {}
        self._vertex: tuple[int, int] | None = None
        self._band: tuple[float, float, float, float] | None = None
        self._cycle: tuple[int, int, int] | None = None
        self._over = "arrow"
        self._moved = False
        self._single: list[int] = []
        self._snapped: tuple[float, float] | None = None

    # -- pointer

    def press(self, pointer: Pointer) -> None:
        self._start, self._moved, self._band = pointer, False, None
        self._single = []
        self._origin = {}
        self._vertex = self._vertex_at(pointer)
        if self._vertex is not None:
            self._press_vertex(pointer)
            return
        self._pick(pointer)
        if self._adds(pointer) and not self.desk.idmap.at(*pointer.pixel):
            return  # a rubber band that adds
        self._origin = {
            n: shape
            for n, shape in self.desk.selected()
            if n in self.desk.document.ids() and not self.desk.is_locked(shape)
        }

    def drag(self, pointer: Pointer) -> None:
        start = self._start
        if start is None:
            return
        distance = np.hypot(pointer.x - start.x, pointer.y - start.y)
        if not self._moved and distance * pointer.scale < 3:
            return
        self._moved = True
        if self._vertex is not None:
            self._drag_vertex(pointer)
        elif self._origin:
            moved = {n: s.moved(*self._shift(pointer)) for n, s in self._origin.items()}
            self._show("Move", moved)
        else:
            self._band = (start.x, start.y, pointer.x, pointer.y)

    def release(self, pointer: Pointer) -> None:
        if self._band is not None:
            self._select_inside(self._start is not None and self._adds(self._start))
        if self._single and not self._moved:
            self.desk.select(self._single)  # a click on one of many, which might have been a drag
        self._start = self._vertex = self._band = self._snapped = None
        self.desk.document.commit()

    def move(self, pointer: Pointer) -> None:
        on_shape = self.desk.idmap.at(*pointer.pixel) in self.desk.selection
        over_vertex = self._vertex_at(pointer) is not None
        self._over = "cross" if over_vertex else "move" if on_shape else "arrow"

    def double_click(self, pointer: Pointer) -> None:
        for number, shape in self.desk.selected():
            closed = shape.kind in _CLOSED
            if not (closed or shape.kind in _OPEN) or self.desk.is_locked(shape):
                continue
            edge = nearest_edge(shape.points, pointer.x, pointer.y, pointer.reach, closed)
            if edge is not None and number in self.desk.document.ids():
                points = np.insert(shape.points, edge + 1, (pointer.x, pointer.y), axis=0)
                self._apply("Add vertex", {number: shape.with_points(points)})
                return

    def key(self, name: str) -> bool:
        if name == "Delete" and self.desk.selection:
            return delete(self.desk)
        if name in _NUDGES:
            return nudge(self.desk, *_NUDGES[name])
        if name == "Escape" and not self.busy and self.desk.selection:
            self.desk.select([])
            return True
        return super().key(name)

    def cancel(self) -> None:
        self._start = self._vertex = self._band = None
        super().cancel()

    @property
    def busy(self) -> bool:
        return self._start is not None

    def preview(self) -> Preview:
        return Preview(band=self._band, snapped=self._snapped)

    @property
    def cursor(self) -> str:
        return self._over

    # -- vertices

    def _vertex_at(self, pointer: Pointer) -> tuple[int, int] | None:
        for number, shape in self.desk.selected():
            if self.desk.is_locked(shape) or number not in self.desk.document.ids():
                continue
            index = nearest_vertex(handles(shape), pointer.x, pointer.y, pointer.reach)
            if index is not None:
                return number, index
        return None

    def _press_vertex(self, pointer: Pointer) -> None:
        if self._vertex is None:
            return
        number, index = self._vertex
        shape = self.desk.document.shape(number)
        if shape is None:
            return
        self._origin = {number: shape}
        if pointer.alt and shape.kind in _CLOSED | _OPEN:
            self._vertex = self._start = None
            if len(shape.points) > MIN_POINTS[shape.kind]:
                fewer = np.delete(shape.points, index, axis=0)
                self._apply("Delete vertex", {number: shape.with_points(fewer)})

    def _drag_vertex(self, pointer: Pointer) -> None:
        if self._vertex is None:
            return
        number, index = self._vertex
        self._snapped = self.desk.snapped(pointer, ignore=self.desk.document.shape(number))
        x, y = self._snapped or self.desk.clamp(pointer.x, pointer.y)
        self._show("Move vertex", {number: with_handle(self._origin[number], index, x, y)})

    # -- selection

    def _pick(self, pointer: Pointer) -> None:
        x, y = pointer.pixel
        top = self.desk.idmap.at(x, y)
        if self._adds(pointer):
            self._toggle(top)
            return
        stack = self.desk.idmap.stack(x, y) if top else []
        place = self._deeper(pointer, len(stack)) if stack else 0
        chosen = stack[place : place + 1]
        self._cycle = (x, y, place) if chosen else None
        if not set(chosen) <= set(self.desk.selection) or len(self.desk.selection) < 2:
            self.desk.select(chosen)
        else:
            self._single = chosen

    @staticmethod
    def _adds(pointer: Pointer) -> bool:
        return pointer.ctrl or pointer.shift

    def _toggle(self, number: int) -> None:
        if number:
            rest = [n for n in self.desk.selection if n != number]
            self.desk.select(rest if number in self.desk.selection else [*rest, number])

    def _deeper(self, pointer: Pointer, depth: int) -> int:
        """Clicking the same place again goes one shape further down."""
        if self._cycle is None:
            return 0
        x, y, place = self._cycle
        px, py = pointer.pixel
        near = max(abs(px - x), abs(py - y)) * pointer.scale <= 2
        return (place + 1) % depth if near else 0

    def _select_inside(self, adds: bool) -> None:
        if self._band is None:
            return
        x0, x1 = sorted(self._band[::2])
        y0, y1 = sorted(self._band[1::2])
        boxes = ((n, s.bounds()) for n, s in self.desk.visible())
        inside = [
            n
            for n, b in boxes
            if b and x0 <= b[0] + 1 and y0 <= b[1] + 1 and b[2] - 2 <= x1 and b[3] - 2 <= y1
        ]
        self.desk.select([*self.desk.selection, *inside] if adds else inside)

    # -- edits

    def _shift(self, pointer: Pointer) -> tuple[float, float]:
        if self._start is None:
            return 0.0, 0.0
        return pointer.x - self._start.x, pointer.y - self._start.y

    def _show(self, name: str, changed: dict[int, Shape]) -> None:
        document = self.desk.document
        dirty: Box | None = None
        for number, shape in changed.items():
            now = document.shape(number) or shape
            dirty = union_boxes(dirty, difference_bounds(now, shape))
        document.live(self._from_origin(name, changed), dirty)

    def _from_origin(self, name: str, changed: dict[int, Shape]) -> Edit:
        edit = replace_shapes(name, self.desk.document, dict(changed))
        origin = {self.desk.document.index_of(n): s for n, s in self._origin.items()}
        splices = tuple(
            type(s)(s.layer, s.index, (origin[s.index],), s.inserted) for s in edit.splices
        )
        return Edit(name, splices)

    def _apply(self, name: str, changed: dict[int, Shape | None]) -> None:
        self.desk.document.apply(replace_shapes(name, self.desk.document, changed))
