"""Brush and eraser: strokes as bitmaps, shown live, one undo step each."""

from __future__ import annotations

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
        return Preview(brush=(*self._hover, self.desk.brush_radius))

    @property
    def cursor(self) -> str:
        return "blank"

    def _dab(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        height, width = self.desk.document.size
        x, y, mask = stroke(start, end, self.desk.brush_radius)
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


class BrushTool(_StrokeTool):
    """Paints the current class: on the selected shape of that class, else on a new mask on top."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._target: _Target | None = None
        self._grown = Bitmap()

    @property
    def refusal(self) -> str:
        return "" if self.desk.class_name else NO_CLASS

    def _begin(self) -> None:
        self._target = self._find_target()
        self._grown = self._target.bitmap if self._target else Bitmap()

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
        self._grown = self._grown | piece
        document, target = self.desk.document, self._target
        if target is None:
            shape = mask_shape(self.desk.class_name, self._grown)
            splice = Splice("shapes", len(document.shapes) - document.is_live, (), (shape,))
            document.live(Edit("Paint", (splice,)), dirty)
        elif target.layer == "shapes":
            splice = Splice(
                "shapes", target.index, (target.shape,), (target.shape.with_bitmap(self._grown),)
            )
            document.live(Edit("Paint", (splice,)), union_boxes(dirty, self._converted(target)))
        else:
            edit = _take_draft(target, target.shape.with_bitmap(self._grown), "Paint")
            # it gets a new number with every step, so all of it must be drawn anew
            document.live(edit, union_boxes(dirty, self._grown.bounds()))

    @staticmethod
    def _converted(target: _Target) -> Box | None:
        """A vector that becomes a mask may look different anywhere."""
        return None if target.shape.is_mask else target.shape.bounds()

    def _end(self) -> None:
        document, target = self.desk.document, self._target
        if not document.is_live:
            return
        super()._end()
        if target is None:
            self.desk.select([document.ids()[-1]])
        elif target.layer == "drafts":
            self.desk.select([document.ids()[0]])


class EraserTool(_StrokeTool):
    """Erases from the selected shapes, or, with none selected, from all under the stroke."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._candidates: list[_Target] = []
        self._targets: list[_Target] = []

    def _begin(self) -> None:
        """What may be erased, and where it is before the stroke changes any place."""
        document = self.desk.document
        only = {number for number, _ in self.desk.selected()}
        self._targets = []
        self._candidates = [
            _Target(layer, index, shape)
            for layer in _LAYERS
            for index, (number, shape) in enumerate(document.layer(layer))
            if not self.desk.is_locked(shape) and (not only or number in only)
        ]

    def _show(self, piece: Bitmap, dirty: Box) -> None:
        fresh = [target for target in self._candidates if _meets(target.shape, dirty)]
        if fresh:
            self._candidates = [t for t in self._candidates if not _meets(t.shape, dirty)]
        for target in fresh:
            target.bitmap = coverage(target.shape, self.desk.document.size)
        self._targets += fresh
        for target in self._targets:
            # a draft that was taken gets a new number with every step
            if target in fresh or target.layer == "drafts":
                dirty = union_boxes(dirty, target.shape.bounds()) or dirty
        if self._targets:
            self.desk.document.live(self._edit(keep_empty=True), dirty)

    def _edit(self, keep_empty: bool) -> Edit:
        replaced: list[Splice] = []
        moved: list[Splice] = []
        for target in sorted(self._targets, key=lambda t: -t.index):
            left = target.bitmap - self._stroke
            if left == target.bitmap and not keep_empty:
                continue
            shape = target.shape.with_bitmap(left)
            if target.layer == "drafts":
                moved += _take_draft(target, shape if left or keep_empty else None, "").splices
            else:
                kept = (shape,) if left or keep_empty else ()
                replaced.append(Splice("shapes", target.index, (target.shape,), kept))
        return Edit("Erase", (*replaced, *moved))

    def _end(self) -> None:
        """Only what really lost pixels changes; what lost all of them goes."""
        document = self.desk.document
        edit = self._edit(keep_empty=False)
        document.cancel()
        if edit.splices:
            document.apply(edit)


def _meets(shape: Shape, box: Box) -> bool:
    bounds = shape.bounds()
    return bounds is not None and boxes_meet(bounds, box)


def _take_draft(target: _Target, shape: Shape | None, name: str) -> Edit:
    """A draft becomes a corrected shape under all human work, or goes."""
    steps = [Splice("drafts", target.index, (target.shape,), ())]
    if shape is not None:
        steps.append(Splice("shapes", 0, (), (replace(shape, source="corrected"),)))
    return Edit(name, tuple(steps))
