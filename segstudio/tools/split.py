"""Split: a line across a shape makes two of it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Edit, Splice
from segstudio.annotation.geometry import split_ring
from segstudio.annotation.shape import Shape
from segstudio.tools.arrange import movable
from segstudio.tools.desk import handles
from segstudio.tools.draw import LineTool, Point

_RINGS = frozenset(("polygon", "rectangle", "oriented_rectangle"))
_WORTH = 1.0
"""Square pixels: a part that has fewer is no part."""


class SplitTool(LineTool):
    """Drag, or click both ends of, a line: the selected shapes that it crosses, else the top-most
    one under its middle, fall apart along it."""

    @property
    def refusal(self) -> str:
        return ""

    def _finish(self, kind: object, name: str) -> None:
        start, end = self.points[:2]
        self.points.clear()
        document = self.desk.document
        splices = [
            Splice("shapes", index, (shape,), tuple(parts))
            for index, shape in document.places(self._targets(start, end))
            if len(parts := parts_of(shape, start, end)) > 1
        ]
        if splices:
            document.apply(Edit("Split", tuple(sorted(splices, key=lambda s: -s.index))))
            self._select([(s.index, len(s.inserted)) for s in splices])

    def _targets(self, start: Point, end: Point) -> dict[int, Shape]:
        chosen = dict(movable(self.desk))
        if chosen:
            return chosen
        middle = int((start[0] + end[0]) // 2), int((start[1] + end[1]) // 2)
        number = self.desk.idmap.at(*middle)
        shape = self.desk.document.shape(number)
        own = number in self.desk.document.ids()
        return {number: shape} if shape and own and not self.desk.is_locked(shape) else {}

    def _select(self, places: list[tuple[int, int]]) -> None:
        ids, before = self.desk.document.ids(), 0
        chosen: list[int] = []
        for index, count in sorted(places):
            chosen += ids[index + before : index + before + count]
            before += count - 1
        self.desk.select(chosen)


def parts_of(shape: Shape, start: Point, end: Point) -> list[Shape]:
    """The parts into which a segment cuts a shape; the shape itself when it does not.

    Parts are things of their own: they leave the group of the shape.
    """
    alone = replace(shape, group_id=None)
    if shape.bitmap is not None:
        parts = _split_mask(shape.bitmap, start, end)
        return [alone.with_bitmap(part) for part in parts] or [shape]
    if shape.kind not in _RINGS:
        return [shape]
    rings = [ring for ring in split_ring(handles(shape), start, end) if _area(ring) >= _WORTH]
    if len(rings) < 2:
        return [shape]
    return [replace(alone, kind="polygon").with_points(ring) for ring in rings]


def _area(ring: NDArray[np.float64]) -> float:
    return float(cv2.contourArea(ring.astype(np.float32)))


def _split_mask(bitmap: Bitmap, start: Point, end: Point) -> list[Bitmap]:
    """The 4-connected parts left and right of the line; nothing when it does not part any.

    The line's own pixels go to a part beside them.
    """
    x, y, mask = bitmap.crop()
    a, b = ((round((px - x - 0.5) * 16), round((py - y - 0.5) * 16)) for px, py in (start, end))
    line = cv2.line(np.zeros(mask.shape, np.uint8), a, b, (1,), 1, cv2.LINE_8, 4) > 0
    before, _ = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    open_mask = (mask & ~line).astype(np.uint8)
    count, parts = cv2.connectedComponents(open_mask, connectivity=4)
    touched = np.unique(parts[cv2.dilate((line & mask).astype(np.uint8), np.ones((3, 3))) > 0])
    sides = [part for part in touched.tolist() if part]
    if len(sides) < 2 or count <= before:
        return []
    near = cv2.dilate(np.where(np.isin(parts, sides), parts, 0).astype(np.float32), np.ones((3, 3)))
    parts = np.where(line & mask, near.astype(parts.dtype), parts)
    rest = mask & ~np.isin(parts, sides)
    split = [parts == side for side in sides]
    split[0] |= rest  # parts that the line does not come near stay with the first
    return [Bitmap.from_array(part, x, y) for part in split if part.any()]
