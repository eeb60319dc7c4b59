"""Regions that grow on the current class, and shapes that lose pixels to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from segstudio.annotation.bitmap import Bitmap, Box, boxes_meet, union_boxes
from segstudio.annotation.document import Edit, Layer, Splice
from segstudio.annotation.rasterise import coverage
from segstudio.annotation.shape import Shape, mask_shape
from segstudio.tools.desk import Desk


@dataclass(slots=True, eq=False)
class Target:
    """A shape under the stroke as it was before: its place, and its pixels."""

    layer: Layer
    index: int
    shape: Shape
    bitmap: Bitmap = field(default_factory=Bitmap)


class Losses:
    """Shapes that lose the pixels of a stroke, as the stroke comes to them."""

    def __init__(self, desk: Desk, candidates: Iterable[Target]) -> None:
        self._desk = desk
        self._candidates = [t for t in candidates if not desk.is_locked(t.shape)]
        self._targets: list[Target] = []

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
                moved += _take_draft(target, shape if left or keep_empty else None)
            else:
                kept = (shape,) if left or keep_empty else ()
                replaced.append(Splice("shapes", target.index, (target.shape,), kept))
        return (*replaced, *moved)


class Growth:
    """A region added to the selected shape of the current class, else a new mask on top.

    What is locked keeps its pixels; with the option `exclusive` all other shapes lose them. It
    is a live edit until `end`; each `show` replaces the region shown before.
    """

    def __init__(self, desk: Desk, name: str) -> None:
        self._desk = desk
        self._name = name
        desk.document.commit()  # what another hand has begun ends here
        shapes = desk.document.shapes
        self._target = self._find()
        self._top = len(shapes)
        self._before = self._grown = self._target.bitmap if self._target else Bitmap()
        self._region = Bitmap()
        self._locked = _locked(desk)
        mine = (self._target.layer, self._target.index) if self._target else None
        others = enumerate(shapes if desk.options.exclusive else ())
        self._losses = Losses(
            desk, [Target("shapes", i, s) for i, s in others if ("shapes", i) != mine]
        )

    def _find(self) -> Target | None:
        document = self._desk.document
        for number, shape in reversed(self._desk.selected()):
            if shape.class_name == self._desk.class_name and not self._desk.is_locked(shape):
                layer: Layer = "shapes" if number in document.ids() else "drafts"
                index = document.index_of(number, layer)
                if index is not None:
                    return Target(layer, index, shape, coverage(shape, document.size))
        return None

    def show(self, region: Bitmap, dirty: Box | None = None) -> None:
        """Show `region` as what is added; `dirty` is where it differs from the one before."""
        dirty = dirty or union_boxes(region.bounds(), self._region.bounds())
        if dirty is None:
            return
        self._region = region = self._without_locked(region)
        self._grown = self._before | region
        dirty = self._losses.meet(dirty)
        target = self._target
        if target is not None and target.layer == "drafts":
            # it gets a new number with every step, so all of it must be drawn anew
            dirty = union_boxes(dirty, self._grown.bounds()) or dirty
        elif target is not None and not target.shape.is_mask:
            # a vector that becomes a mask may look different anywhere
            dirty = union_boxes(dirty, target.shape.bounds()) or dirty
        self._desk.document.live(self._edit(keep_empty=True), dirty)

    def _without_locked(self, region: Bitmap) -> Bitmap:
        return _keeping_off(region, self._locked, self._desk.document.size)

    def _edit(self, keep_empty: bool) -> Edit:
        """What is added, and what others lose by it."""
        target = self._target
        lost = self._losses.splices(self._region, keep_empty)
        if target is None:
            shape = mask_shape(self._desk.class_name, self._grown)
            return Edit(self._name, (Splice("shapes", self._top, (), (shape,)), *lost))
        grown = target.shape.with_bitmap(self._grown)
        if target.layer == "drafts":
            return Edit(self._name, (*lost, *_take_draft(target, grown)))
        splice = Splice("shapes", target.index, (target.shape,), (grown,))
        return Edit(self._name, (splice, *lost))

    def end(self) -> None:
        """Make it an undo step and select the shape; nothing when no pixel was added."""
        document = self._desk.document
        if self._grown == self._before:
            document.cancel()
            return
        if self._losses:  # those that lost nothing stay as they were, those that lost all go
            document.cancel()
            document.apply(self._edit(keep_empty=False))
        else:
            document.commit()
        self._desk.select([self._number()])

    def _number(self) -> int:
        """The shape that has grown."""
        ids = self._desk.document.ids()
        if self._target is None:
            return ids[-1]
        if self._target.layer == "drafts":
            return ids[0]
        gone = self._desk.document.shapes
        place = next(i for i, s in enumerate(gone) if s.bitmap is self._grown)
        return ids[place]


def _meets(shape: Shape, box: Box) -> bool:
    bounds = shape.bounds()
    return bounds is not None and boxes_meet(bounds, box)


def _take_draft(target: Target, shape: Shape | None) -> list[Splice]:
    """A draft becomes a corrected shape under all human work, or goes."""
    steps = [Splice("drafts", target.index, (target.shape,), ())]
    if shape is not None:
        steps.append(Splice("shapes", 0, (), (replace(shape, source="corrected"),)))
    return steps


def without_locked(desk: Desk, region: Bitmap) -> Bitmap:
    """The pixels of `region` that no locked shape covers."""
    return _keeping_off(region, _locked(desk), desk.document.size)


def _locked(desk: Desk) -> list[Target]:
    shapes, classes = desk.document.shapes, desk.locked_classes
    places = [i for i, s in enumerate(shapes) if s.locked or s.class_name in classes]
    return [Target("shapes", index, shapes[index]) for index in places]


def _keeping_off(region: Bitmap, locked: Iterable[Target], size: tuple[int, int]) -> Bitmap:
    """`region` without what is locked, whose pixels are found when they are needed first."""
    bounds = region.bounds()
    for target in locked:
        if bounds is not None and _meets(target.shape, bounds):
            target.bitmap = target.bitmap or coverage(target.shape, size)
            region = region - target.bitmap
    return region
