"""Fill: the region under the pointer, up to the edges of what is drawn, takes the current class."""

from __future__ import annotations

import cv2
import numpy as np

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Edit, Splice, add_shapes
from segstudio.annotation.rasterise import coverage
from segstudio.annotation.shape import Shape, mask_shape
from segstudio.tools.desk import NO_CLASS, Desk, Pointer, Tool


class FillTool(Tool):
    """Click in a hole, or on any connected region: it is added to the selected shape of the
    current class, else it is a new mask on top."""

    @property
    def refusal(self) -> str:
        return "" if self.desk.class_name else NO_CLASS

    def press(self, pointer: Pointer) -> None:
        region = region_at(self.desk, *pointer.pixel)
        if not region:
            return
        document = self.desk.document
        target = self._target()
        if target is None:
            shape = mask_shape(self.desk.class_name, region)
            document.apply(add_shapes("Fill", document, [shape]))
            self.desk.select([document.ids()[-1]])
            return
        index, shape = target
        grown = shape.with_bitmap(coverage(shape, document.size) | region)
        document.apply(Edit("Fill", (Splice("shapes", index, (shape,), (grown,)),)))

    def double_click(self, pointer: Pointer) -> None:
        """Its first click has filled the region already."""

    def _target(self) -> tuple[int, Shape] | None:
        """The place of the selected shape that the brush would paint on, and the shape."""
        for number, shape in reversed(self.desk.selected()):
            index = self.desk.document.index_of(number)
            if (
                index is not None
                and shape.class_name == self.desk.class_name
                and not self.desk.is_locked(shape)
            ):
                return index, shape
        return None


def region_at(desk: Desk, x: int, y: int) -> Bitmap:
    """The 4-connected pixels around (x, y) that show the same shape as it does, or none as it.

    Empty outside the picture, and on a shape that is locked or of the current class already.
    """
    height, width = desk.document.size
    if not (0 <= x < width and 0 <= y < height):
        return Bitmap()
    number = desk.idmap.at(x, y)
    shape = desk.document.shape(number) if number else None
    if shape is not None and (desk.is_locked(shape) or shape.class_name == desk.class_name):
        return Bitmap()
    ids = desk.idmap.sample(np.arange(width), np.arange(height))
    same = np.ascontiguousarray(ids == number, np.uint8)
    border = np.zeros((height + 2, width + 2), np.uint8)
    flags = 4 | cv2.FLOODFILL_MASK_ONLY | (1 << 8)
    _, _, _, (left, top, across, down) = cv2.floodFill(same, border, (x, y), 1, 0, 0, flags)
    part = border[1 + top : 1 + top + down, 1 + left : 1 + left + across]
    return Bitmap.from_array(part, left, top)
