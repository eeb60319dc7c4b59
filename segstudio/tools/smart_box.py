"""Smart box: what stands out inside a box becomes a mask; strokes correct it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from segstudio.annotation.bitmap import Bitmap, Box
from segstudio.annotation.document import Edit, Splice, add_shapes
from segstudio.annotation.geometry import stroke
from segstudio.annotation.shape import Shape, as_points, mask_shape
from segstudio.tools.desk import RGB, Desk, Pointer, Preview
from segstudio.tools.growth import without_locked
from segstudio.tools.regions import PixelTool

_SMALLEST: Final = 3.0
"""A box with a shorter side, in image pixels, is a slip of the hand."""
_COARSE: Final = 112 * 112
"""Pixels on which GrabCut works within a twentieth of a second; what is larger is made smaller."""
_FINE: Final = 640 * 640
"""Pixels up to which the border is then sought in the picture itself, else in a copy so large."""
_KEPT: Final = 50
_ROUNDS: Final = 2
Marks = NDArray[np.uint8]
Mask = NDArray[np.bool_]
_OUT, _IN, _HARDLY, _MAYBE = cv2.GC_BGD, cv2.GC_FGD, cv2.GC_PR_BGD, cv2.GC_PR_FGD
_CORE, _CORNER = 0.35, 0.9
"""Shares of the ellipse in the box: what is within the first is the thing, what is beyond the
second probably not."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The box a person drew, the part of the picture looked at, and what he said of its pixels.

    `marks` (h, w) holds cv2's GC_BGD, GC_FGD, GC_PR_BGD or GC_PR_FGD for the pixels of `part`, or
    of a smaller copy of it.
    """

    box: Box
    part: Box
    marks: Marks

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the part of the picture."""
        return self.part[2] - self.part[0], self.part[3] - self.part[1]

    def scaled(self, x: float, y: float) -> tuple[float, float]:
        """A place in the picture as one in `marks`."""
        (height, width), (wide, high) = self.marks.shape, self.size
        return (x - self.part[0]) * width / wide, (y - self.part[1]) * height / high

    def inside(self) -> Marks:
        """The marks in the box, to be written to."""
        left, top = self.scaled(*self.box[:2])
        right, bottom = self.scaled(*self.box[2:])
        return self.marks[round(top) : round(bottom), round(left) : round(right)]

    def contains(self, x: int, y: int) -> bool:
        x0, y0, x1, y1 = self.box
        return x0 <= x < x1 and y0 <= y < y1


class SmartBoxTool(PixelTool):
    """Drag a box around a thing; then, inside it, strokes over what is missing and, with Alt, over
    what is too much."""

    step = "Smart box"
    _room = 1

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._start: tuple[float, float] | None = None
        self._stroke: list[tuple[float, float]] = []
        self._is_more = True
        self._cuts: list[tuple[Shape, Cut]] = []

    # -- pointer

    def press(self, pointer: Pointer) -> None:
        self.move(pointer)
        if self.refusal:
            return
        if self._cut_at(pointer) is not None:
            self._stroke = [(pointer.x, pointer.y)]
            self._is_more = not pointer.alt
        else:
            self._start = self.desk.clamp(pointer.x, pointer.y)

    def drag(self, pointer: Pointer) -> None:
        self.move(pointer)
        if self._stroke:
            self._stroke.append((pointer.x, pointer.y))

    def release(self, pointer: Pointer) -> None:
        path, start = self._stroke, self._start
        self._stroke, self._start = [], None
        if path:
            self._correct(path)
        elif start is not None:
            self._cut_out(start, self.desk.clamp(pointer.x, pointer.y))

    def cancel(self) -> None:
        self._stroke, self._start = [], None
        super().cancel()

    @property
    def busy(self) -> bool:
        return self._start is not None or bool(self._stroke)

    def preview(self) -> Preview:
        if self.hover is None:
            return Preview()
        here = self.hover.x, self.hover.y
        if self._start is not None:
            return Preview(band=(*self._start, *self.desk.clamp(*here)))
        if not self._stroke and self._cut_at(self.hover) is None:
            return Preview()
        sign = "+" if (self._is_more if self._stroke else not self.hover.alt) else "−"
        return Preview(
            as_points(self._stroke),
            filled=False,
            handles=False,
            brush=(*here, self.desk.brush_radius),
            note=(*here, sign),
        )

    # -- cutting

    def _cut_at(self, pointer: Pointer) -> tuple[int, Shape, Cut] | None:
        """The selected mask made here, its place and its cut, when the pointer is in its box."""
        for number, shape in reversed(self.desk.selected()):
            index = self.desk.document.index_of(number)
            cut = next((c for s, c in self._cuts if s is shape), None)
            if index is None or cut is None or self.desk.is_locked(shape):
                continue
            if cut.contains(*pointer.pixel):
                return index, shape, cut
        return None

    def _cut_out(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        (left, right), (top, bottom) = (sorted(pair) for pair in zip(start, end, strict=True))
        if min(right - left, bottom - top) < _SMALLEST:
            return
        box = round(left), round(top), round(right), round(bottom)
        cut = begin(self.desk, box)
        found = self._solve(cut)
        if found is None:
            return
        shape = mask_shape(self.desk.class_name, found)
        document = self.desk.document
        document.apply(add_shapes(self.step, document, [shape]))
        self._remember(shape, cut)
        self.desk.select([document.ids()[-1]])

    def _correct(self, path: list[tuple[float, float]]) -> None:
        """Say of the pixels under a stroke what they are, and cut again."""
        at = self._cut_at(Pointer(*path[0]))
        if at is None:
            return
        index, shape, cut = at
        cut = marked(cut, path, self.desk.brush_radius, _IN if self._is_more else _OUT)
        found = self._solve(cut)
        if found is None or found == shape.bitmap:
            return
        better = shape.with_bitmap(found)
        self.desk.document.apply(Edit(self.step, (Splice("shapes", index, (shape,), (better,)),)))
        self._remember(better, cut)

    def _solve(self, cut: Cut) -> Bitmap | None:
        """The mask; None when nothing is left, and without pixels."""
        pixels = self.desk.pixels(cut.part)
        if pixels is None:
            return None
        height, width = cut.marks.shape
        if (width, height) != cut.size:
            copy = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
            pixels = np.asarray(copy, np.uint8)
        mask = cut_out(pixels, cut.marks).astype(np.uint8)
        whole = cv2.resize(mask, cut.size, interpolation=cv2.INTER_NEAREST)
        found = without_locked(self.desk, Bitmap.from_array(whole, *cut.part[:2]))
        return found or None

    def _remember(self, shape: Shape, cut: Cut) -> None:
        self._cuts = [*self._cuts[-_KEPT:], (shape, cut)]


def begin(desk: Desk, box: Box) -> Cut:
    """A cut with nothing said but the box; a quarter of it around it is background."""
    x0, y0, x1, y1 = box
    wide, high = max(8, (x1 - x0) // 4), max(8, (y1 - y0) // 4)
    part = desk.clipped((x0 - wide, y0 - high, x1 + wide, y1 + high))
    across, down = part[2] - part[0], part[3] - part[1]
    share = min(1.0, (_FINE / (across * down)) ** 0.5)
    size = max(1, round(down * share)), max(1, round(across * share))
    cut = Cut(box, part, np.full(size, _OUT, np.uint8))
    inside, marks = cut.inside(), cut.marks
    inside[:] = _MAYBE
    rows, columns = (np.abs(np.arange(n) - (n - 1) / 2) * 2 / n for n in inside.shape)
    far = np.hypot(rows[:, None], columns[None, :])
    inside[far < _CORE], inside[far > _CORNER] = _IN, _HARDLY
    if inside.shape == marks.shape:  # the whole picture: its rim must do as background
        marks[0], marks[-1], marks[:, 0], marks[:, -1] = (_OUT,) * 4
    return cut


def marked(cut: Cut, path: list[tuple[float, float]], radius: float, what: int) -> Cut:
    """The cut with `what` said of the pixels of the box within `radius` of a path."""
    said = replace(cut, marks=cut.marks.copy())
    inside = said.inside()
    corner = [round(value) for value in cut.scaled(*cut.box[:2])]
    places = [cut.scaled(*place) for place in path]
    radius *= cut.marks.shape[1] / cut.size[0]
    for start, end in zip([places[0], *places], places, strict=False):
        x, y, dab = stroke(start, end, radius)
        x, y = x - corner[0], y - corner[1]
        left, top = max(x, 0), max(y, 0)
        place = inside[top : max(y + dab.shape[0], 0), left : max(x + dab.shape[1], 0)]
        place[dab[top - y :, left - x :][: place.shape[0], : place.shape[1]]] = what
    return said


def cut_out(rgb: RGB, marks: Marks) -> Mask:
    """What stands out in a picture (h, w, 3), given what is known of its pixels: (h, w).

    GrabCut (Rother et al. 2004) on a small copy, then, between what is surely in and surely out,
    a watershed on the picture itself.
    """
    height, width = marks.shape
    share = min(1.0, (_COARSE / (height * width)) ** 0.5)
    if share == 1.0:
        return _grab_cut(rgb, marks)
    size = max(1, round(width * share)), max(1, round(height * share))
    small = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    few = np.asarray(cv2.resize(marks, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    coarse = _grab_cut(small, few).astype(np.float32)
    large = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)) > 0.5
    is_open = (marks == _MAYBE) | (marks == _HARDLY)
    rough = np.where(is_open, large, marks == _IN).astype(np.bool_)
    return _refined(rgb, rough, marks, 1 / share)


def _grab_cut(rgb: RGB, marks: Marks) -> Mask:
    """GrabCut; of marks that leave no choice, what they say."""
    inside = np.isin(marks, (_IN, _MAYBE))
    if inside.all() or not inside.any():
        return inside
    cv2.setRNGSeed(0)  # the same answer to the same question
    answer = marks.copy()
    models = np.zeros((1, 65)), np.zeros((1, 65))
    picture = np.ascontiguousarray(rgb)
    cv2.grabCut(picture, answer, (0, 0, 0, 0), *models, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    return np.isin(answer, (_IN, _MAYBE))


def _refined(rgb: RGB, rough: Mask, marks: Marks, blur: float) -> Mask:
    """The border of `rough`, known to `blur` pixels, where the picture has its edge."""
    far = 2 * int(np.ceil(blur)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (far, far))
    mask = rough.astype(np.uint8)
    seeds = np.zeros(rough.shape, np.int32)
    # what is thinner than the doubt has no sure inside: it stays as it is
    for inside, seed in ((mask, 1), (1 - mask, 2)):
        sure = cv2.erode(inside, disc)
        seeds[(sure > 0) | (inside > cv2.dilate(sure, disc))] = seed
    seeds[marks == _IN], seeds[marks == _OUT] = 1, 2
    if not ((seeds == 1).any() and (seeds == 2).any()):
        return rough
    cv2.watershed(np.ascontiguousarray(rgb), seeds)
    # the line between both, and the picture's rim, as they were
    found: Mask = np.where(seeds == -1, rough, seeds == 1) & (marks != _OUT)
    return found
