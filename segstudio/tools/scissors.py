"""Scissors: click along a thing, and the line between two clicks follows its edge."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np

from segstudio.annotation.geometry import simplify
from segstudio.annotation.shape import Kind, as_points
from segstudio.tools.desk import Desk, Pointer, Preview
from segstudio.tools.draw import Point, PolygonTool
from segstudio.tools.regions import around, refusal

_ROOM: Final = 180
"""Pixels of the map about a point that the line can follow; more would stall the pointer."""
_COARSEST: Final = 3
"""Picture pixels for one of the map, when the picture is seen from afar."""
_TOLERANCE: Final = 0.75
"""Pixels by which the polygon may be simpler than the edge."""
_SMALLEST: Final = 1.0


class EdgeMap:
    """The cheapest lines along edges from one point to all others near it.

    Intelligent scissors (Mortensen & Barrett 1995), as OpenCV has them.
    """

    def __init__(self, desk: Desk, start: Point, step: int) -> None:
        box = around(desk, start, _ROOM * step)
        pixels = desk.pixels(box)
        self._start, self._step, self._corner = start, step, box[:2]
        self._size = (0, 0)
        self._lines = cv2.segmentation.IntelligentScissorsMB()
        if pixels is None or min(pixels.shape[:2]) < 3 * step:
            return
        size = (pixels.shape[1] // step, pixels.shape[0] // step)
        small = pixels if step == 1 else cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        self._size = size
        self._lines.setEdgeFeatureCannyParameters(32, 100)
        self._lines.setGradientMagnitudeMaxLimit(200)
        self._lines.applyImage(np.ascontiguousarray(small))
        self._lines.buildMap(self._cell(start))

    def path(self, end: Point) -> list[Point]:
        """The points from the start to `end`, both included; straight beyond the map."""
        if not self._size[0]:
            return [self._start, end]
        cells = np.asarray(self._lines.getContour(self._cell(end))).reshape(-1, 2)
        places = (cells + 0.5) * self._step + self._corner
        between = [(float(x), float(y)) for x, y in places[1:-1]]
        return [self._start, *between, end]

    def _cell(self, place: Point) -> tuple[int, int]:
        """The pixel of the map nearest to a place."""
        x, y = ((p - c) / self._step for p, c in zip(place, self._corner, strict=True))
        width, height = self._size
        return min(max(int(x), 0), width - 1), min(max(int(y), 0), height - 1)


class ScissorsTool(PolygonTool):
    """Click points of an outline; Enter, a double click or the first point closes it, Backspace
    takes the last piece back."""

    step = "Scissors"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._pieces: list[list[Point]] = []
        self._map: tuple[tuple[Point, int], EdgeMap] | None = None
        self._pointer: Pointer | None = None

    @property
    def refusal(self) -> str:
        return refusal(self.desk, self._pointer, _ROOM)

    def press(self, pointer: Pointer) -> None:
        self._pointer = pointer
        if self.refusal:
            return
        placed = len(self.points)
        super().press(pointer)
        if placed and len(self.points) > placed:
            self._pieces.append(self._path(self.points[-2], self.points[-1]))

    def move(self, pointer: Pointer) -> None:
        self._pointer = pointer
        super().move(pointer)

    def key(self, name: str) -> bool:
        if name == "Backspace" and self._pieces:
            self._pieces.pop()
        return super().key(name)

    def cancel(self) -> None:
        self._pieces.clear()
        super().cancel()

    def preview(self) -> Preview:
        if not self.points:
            return Preview()
        ahead = self.points[0] if self._closing else self.hover
        way = self._outline()
        if ahead is not None and ahead != self.points[-1]:
            way += self._path(self.points[-1], ahead)[1:]
        return Preview(
            as_points(way),
            closed=self._closing,
            closing=True,
            filled=self._closing,
            nodes=as_points(self.points),
        )

    def _finish(self, kind: Kind, name: str) -> None:
        ring = [*self._outline(), *self._path(self.points[-1], self.points[0])[1:-1]]
        self._pieces.clear()
        area = cv2.contourArea(np.array(ring, np.float32))
        self.points = [(x, y) for x, y in simplify(as_points(ring), _TOLERANCE).tolist()]
        if area < _SMALLEST:
            self.points.clear()
            return
        super()._finish(kind, name)

    def _outline(self) -> list[Point]:
        """The line through the points clicked so far."""
        return [self.points[0], *(place for piece in self._pieces for place in piece[1:])]

    def _path(self, start: Point, end: Point) -> list[Point]:
        scale = self._pointer.scale if self._pointer is not None else 1.0
        shrunk = min(max(math.ceil(1 / scale - 0.01), 1), _COARSEST)
        if self._map is None or self._map[0] != (start, shrunk):
            self._map = (start, shrunk), EdgeMap(self.desk, start, shrunk)
        return self._map[1].path(end)
