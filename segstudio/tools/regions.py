"""What tools share that look at the picture: its pixels about the pointer, and a region that
grows on the current class."""

from __future__ import annotations

from dataclasses import replace

from segstudio.annotation.bitmap import Bitmap, Box, union_boxes
from segstudio.annotation.document import Edit, Layer, Splice
from segstudio.annotation.rasterise import coverage
from segstudio.annotation.shape import Shape, mask_shape
from segstudio.tools.desk import NO_CLASS, NO_PIXELS, Desk, Pointer, Tool


class PixelTool(Tool):
    """A tool that looks at the picture within `_room` pixels of the pointer."""

    _room = 256

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.hover: Pointer | None = None

    @property
    def refusal(self) -> str:
        return refusal(self.desk, self.hover, self._room)

    def move(self, pointer: Pointer) -> None:
        self.hover = pointer

    def double_click(self, pointer: Pointer) -> None:
        """Its first click has done the work already."""


def refusal(desk: Desk, pointer: Pointer | None, room: int) -> str:
    """Why a tool that looks `room` pixels about the pointer cannot draw now, or nothing."""
    if not desk.class_name:
        return NO_CLASS
    place = desk.clamp(pointer.x, pointer.y) if pointer is not None else (0.0, 0.0)
    near = around(desk, place, room if pointer is not None else 1)
    return NO_PIXELS if desk.pixels(near) is None else ""


def around(desk: Desk, place: tuple[float, float], room: int) -> Box:
    """The part of the picture within `room` pixels of a place in it; never empty."""
    height, width = desk.document.size
    x, y = min(int(place[0]), width - 1), min(int(place[1]), height - 1)
    return desk.clipped((x - room, y - room, x + room + 1, y + room + 1))


class Growth:
    """A region added to the selected shape of the current class, else a new mask on top.

    It is a live edit until `end`; each `show` replaces the region shown before.
    """

    def __init__(self, desk: Desk, name: str) -> None:
        self._desk = desk
        self._name = name
        self._layer: Layer = "shapes"
        self._index = len(desk.document.shapes)
        self._shape: Shape | None = None
        self._find()
        whole = coverage(self._shape, desk.document.size) if self._shape else Bitmap()
        self._before = self._grown = whole
        self._region = Bitmap()

    def _find(self) -> None:
        desk = self._desk
        for number, shape in reversed(desk.selected()):
            if shape.class_name != desk.class_name or desk.is_locked(shape):
                continue
            layer: Layer = "shapes" if number in desk.document.ids() else "drafts"
            index = desk.document.index_of(number, layer)
            if index is not None:
                self._layer, self._index, self._shape = layer, index, shape
                return

    def show(self, region: Bitmap) -> None:
        """Show `region` as what is added."""
        dirty = union_boxes(region.bounds(), self._region.bounds())
        if self._shape is not None and (self._layer == "drafts" or not self._shape.is_mask):
            # a draft gets a new number with every step, a vector may look different anywhere
            dirty = union_boxes(dirty, self._before.bounds())
        self._region = region
        self._grown = self._before | region
        self._desk.document.live(self._edit(), dirty)

    def _edit(self) -> Edit:
        shape = self._shape
        if shape is None:
            made = mask_shape(self._desk.class_name, self._grown)
            return Edit(self._name, (Splice("shapes", self._index, (), (made,)),))
        grown = shape.with_bitmap(self._grown)
        if self._layer == "shapes":
            return Edit(self._name, (Splice("shapes", self._index, (shape,), (grown,)),))
        out = Splice("drafts", self._index, (shape,), ())
        # it becomes a corrected shape under all human work
        into = Splice("shapes", 0, (), (replace(grown, source="corrected"),))
        return Edit(self._name, (out, into))

    def end(self) -> None:
        """Make it an undo step and select the shape; nothing when no pixel was added."""
        document = self._desk.document
        if self._grown == self._before:
            document.cancel()
            return
        document.commit()
        place = 0 if self._layer == "drafts" else self._index
        self._desk.select([document.ids()[place]])
