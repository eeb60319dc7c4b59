"""Brush and eraser: strokes as bitmaps, shown live, one undo step each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from segstudio.annotation.bitmap import Bitmap, Box, boxes_meet, intersect_boxes, union_boxes
from segstudio.annotation.document import Edit, Layer, Splice
from segstudio.annotation.geometry import stroke
from segstudio.annotation.rasterise import coverage
from segstudio.annotation.shape import Shape, mask_shape
from segstudio.tools.desk import NO_CLASS, Desk, Pointer, Preview, Tool

_LAYERS: Final[tuple[Layer, ...]] = ("shapes", "drafts")


@dataclass(slots=True, eq=False)
class _Target:
    """A shape under the stroke as it was before: its place, and its pixels."""

    layer: Layer
    index: int
    shape: Shape
    bitmap: Bitmap = field(default_factory=Bitmap)


class _StrokeTool(Tool):
    """A round stroke that follows the pointer; Shift draws a straight line from the last end."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._stroke = Bitmap()
        self._last: tuple[float, float] | None = None
        self._hover: tuple[float, float] | None = None
        self._down = False

    def press(self, pointer: Pointer) -> None:
        if self.refusal:
            return
        self._down = True
        self._stroke = Bitmap()
        self._begin()
        start = self._last if pointer.shift and self._last else (pointer.x, pointer.y)
        self._dab(start, (pointer.x, pointer.y))

    def move(self, pointer: Pointer) -> None:
        self._hover = (pointer.x, pointer.y)

    def drag(self, pointer: Pointer) -> None:
        self.move(pointer)
        if self._down and self._last is not None:
            self._dab(self._last, (pointer.x, pointer.y))

    def release(self, pointer: Pointer) -> None:
        if self._down:
            self._down = False
            self._end()

    def cancel(self) -> None:
        self._down = False
        super().cancel()

    @property
    def busy(self) -> bool:
        return self._down

    def preview(self) -> Preview:
        if self._hover is None:
            return Preview()
        brush = (*self._hover, self.desk.brush_radius)
        return Preview(brush=brush, square=self.desk.options.square)

    @property
    def cursor(self) -> str:
        return "blank"

    def _dab(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        height, width = self.desk.document.size
        x, y, mask = stroke(start, end, self.desk.brush_radius, self.desk.options.square)
        dab = (x, y, x + mask.shape[1], y + mask.shape[0])
        x0, y0, x1, y1 = intersect_boxes(dab, (0, 0, width, height))
        self._last = end
        if x1 > x0 and y1 > y0:
            piece = Bitmap.from_array(mask[y0 - y : y1 - y, x0 - x : x1 - x], x0, y0)
            self._stroke = self._stroke | piece
            self._show(piece, (x0, y0, x1, y1))

    def _begin(self) -> None:
        raise NotImplementedError

    def _show(self, piece: Bitmap, dirty: Box) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        self.desk.document.commit()


class _Losses:
    """Shapes that lose the pixels of a stroke, as the stroke comes to them."""

    def __init__(self, desk: Desk, candidates: Iterable[_Target]) -> None:
        self._desk = desk
        self._candidates = [t for t in candidates if not desk.is_locked(t.shape)]
        self._targets: list[_Target] = []

    def __bool__(self) -> bool:
        return bool(self._targets)

    def meet(self, dirty: Box) -> Box:
        """Take in the shapes that meet a new piece; what may look different now."""
        fresh = [target for target in self._candidates if _meets(target.shape, dirty)]
        if fresh:
            self._candidates = [t for t in self._candidates if not _meets(t.shape, dirty)]
        for target in fresh:
            target.bitmap = coverage(target.shape, self._desk.document.size)
        self._targets += fresh
        for target in self._targets:
            # a draft that was taken gets a new number with every step
            if target in fresh or target.layer == "drafts":
                dirty = union_boxes(dirty, target.shape.bounds()) or dirty
        return dirty

    def splices(self, stroke: Bitmap, keep_empty: bool) -> tuple[Splice, ...]:
        """Without the stroke's pixels; shapes that have none left go, unless they are kept."""
        replaced: list[Splice] = []
        moved: list[Splice] = []
        for target in sorted(self._targets, key=lambda t: -t.index):
            left = target.bitmap - stroke
            if left == target.bitmap and not keep_empty:
                continue
            shape = target.shape.with_bitmap(left)
            if target.layer == "drafts":
                moved += _take_draft(target, shape if left or keep_empty else None, "").splices
            else:
                kept = (shape,) if left or keep_empty else ()
                replaced.append(Splice("shapes", target.index, (target.shape,), kept))
        return (*replaced, *moved)


class BrushTool(_StrokeTool):
    """Paints the current class: on the selected shape of that class, else on a new mask on top.

    What is locked keeps its pixels. With the option `exclusive` all others lose them.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._target: _Target | None = None
        self._grown = Bitmap()
        self._fresh = Bitmap()
        self._locked: list[Shape] = []
        self._losses = _Losses(desk, ())

    @property
    def refusal(self) -> str:
        return "" if self.desk.class_name else NO_CLASS

    def _begin(self) -> None:
        self._target = self._find_target()
        self._grown = self._target.bitmap if self._target else Bitmap()
        self._fresh = Bitmap()
        shapes = self.desk.document.shapes
        self._locked = [shape for shape in shapes if self.desk.is_locked(shape)]
        others = [
            _Target("shapes", index, shape)
            for index, shape in enumerate(shapes if self.desk.options.exclusive else ())
            if self._target is None or (self._target.layer, self._target.index) != ("shapes", index)
        ]
        self._losses = _Losses(self.desk, others)

    def _find_target(self) -> _Target | None:
        document = self.desk.document
        for number, shape in reversed(self.desk.selected()):
            if shape.class_name == self.desk.class_name and not self.desk.is_locked(shape):
                layer: Layer = "shapes" if number in document.ids() else "drafts"
                index = document.index_of(number, layer)
                if index is not None:
                    return _Target(layer, index, shape, coverage(shape, document.size))
        return None

    def _show(self, piece: Bitmap, dirty: Box) -> None:
        for shape in self._locked:
            if _meets(shape, dirty):
                piece = piece - coverage(shape, self.desk.document.size).clipped(dirty)
        self._grown, self._fresh = self._grown | piece, self._fresh | piece
        if not self._grown:
            return
        dirty = self._losses.meet(dirty)
        target = self._target
        if target is not None and target.layer == "shapes":
            dirty = union_boxes(dirty, self._converted(target)) or dirty
        elif target is not None:
            # it gets a new number with every step, so all of it must be drawn anew
            dirty = union_boxes(dirty, self._grown.bounds()) or dirty
        self.desk.document.live(self._edit(keep_empty=True), dirty)

    def _edit(self, keep_empty: bool) -> Edit:
        """The paint, and what others lose by it."""
        document, target = self.desk.document, self._target
        lost = self._losses.splices(self._fresh, keep_empty)
        if target is None:
            shape = mask_shape(self.desk.class_name, self._grown)
            top = len(document.shapes) - document.is_live
            return Edit("Paint", (Splice("shapes", top, (), (shape,)), *lost))
        painted = target.shape.with_bitmap(self._grown)
        if target.layer == "drafts":
            return Edit("Paint", (*lost, *_take_draft(target, painted, "").splices))
        splice = Splice("shapes", target.index, (target.shape,), (painted,))
        return Edit("Paint", (splice, *lost))

    @staticmethod
    def _converted(target: _Target) -> Box | None:
        """A vector that becomes a mask may look different anywhere."""
        return None if target.shape.is_mask else target.shape.bounds()

    def _end(self) -> None:
        document, target = self.desk.document, self._target
        if not document.is_live:
            return
        if self._losses:  # those that lost nothing stay as they were, those that lost all go
            document.cancel()
            document.apply(self._edit(keep_empty=False))
        else:
            super()._end()
        if target is None:
            self.desk.select([document.ids()[-1]])
        elif target.layer == "drafts":
            self.desk.select([document.ids()[0]])


class EraserTool(_StrokeTool):
    """Erases from the selected shapes, or, with none selected, from all under the stroke; with the
    option `only_class` from those of the current class."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._losses = _Losses(desk, ())

    def _begin(self) -> None:
        """What may be erased, and where it is before the stroke changes any place."""
        desk = self.desk
        only = {number for number, _ in desk.selected()}
        one_class = desk.options.only_class and not only
        candidates = [
            _Target(layer, index, shape)
            for layer in _LAYERS
            for index, (number, shape) in enumerate(desk.document.layer(layer))
            if (not only or number in only)
            and (not one_class or shape.class_name == desk.class_name)
        ]
        self._losses = _Losses(desk, candidates)

    def _show(self, piece: Bitmap, dirty: Box) -> None:
        dirty = self._losses.meet(dirty)
        if self._losses:
            splices = self._losses.splices(self._stroke, keep_empty=True)
            self.desk.document.live(Edit("Erase", splices), dirty)

    def _end(self) -> None:
        """Only what really lost pixels changes; what lost all of them goes."""
        document = self.desk.document
        splices = self._losses.splices(self._stroke, keep_empty=False)
        document.cancel()
        if splices:
            document.apply(Edit("Erase", splices))


def _meets(shape: Shape, box: Box) -> bool:
    bounds = shape.bounds()
    return bounds is not None and boxes_meet(bounds, box)


def _take_draft(target: _Target, shape: Shape | None, name: str) -> Edit:
    """A draft becomes a corrected shape under all human work, or goes."""
    steps = [Splice("drafts", target.index, (target.shape,), ())]
    if shape is not None:
        steps.append(Splice("shapes", 0, (), (replace(shape, source="corrected"),)))
    return Edit(name, tuple(steps))
