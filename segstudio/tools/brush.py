"""Brush and eraser: strokes as bitmaps, shown live, one undo step each."""

from __future__ import annotations

from typing import Final

from segstudio.annotation.bitmap import Bitmap, Box, intersect_boxes
from segstudio.annotation.document import Edit, Layer
from segstudio.annotation.geometry import stroke
from segstudio.tools.desk import NO_CLASS, Desk, Pointer, Preview, Tool
from segstudio.tools.growth import Growth, Losses, Target

_LIGHTEST: Final = 0.08
"""Share of the brush's size that the lightest touch of a pen paints with."""
_LAYERS: Final[tuple[Layer, ...]] = ("shapes", "drafts")


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
        self._dab(start, (pointer.x, pointer.y), pointer.pressure)

    def move(self, pointer: Pointer) -> None:
        self._hover = (pointer.x, pointer.y)

    def drag(self, pointer: Pointer) -> None:
        self.move(pointer)
        if self._down and self._last is not None:
            self._dab(self._last, (pointer.x, pointer.y), pointer.pressure)

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

    def _dab(self, start: tuple[float, float], end: tuple[float, float], pressure: float) -> None:
        height, width = self.desk.document.size
        share = min(max(pressure, _LIGHTEST), 1.0) if self.desk.options.pressure else 1.0
        radius = self.desk.brush_radius * share
        x, y, mask = stroke(start, end, radius, self.desk.options.square)
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
    """Paints the current class: on the selected shape of that class, else on a new mask on top.

    What is locked keeps its pixels. With the option `exclusive` all others lose them.
    """

    step = "Paint"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._growth: Growth | None = None

    @property
    def refusal(self) -> str:
        return "" if self.desk.class_name else NO_CLASS

    def _begin(self) -> None:
        self._growth = Growth(self.desk, self.step)

    def _show(self, piece: Bitmap, dirty: Box) -> None:
        if self._growth is not None:
            self._growth.show(self._stroke, dirty)

    def cancel(self) -> None:
        self._growth = None
        super().cancel()

    def _end(self) -> None:
        if self._growth is not None:
            self._growth.end()
        self._growth = None


class EraserTool(_StrokeTool):
    """Erases from the selected shapes, or, with none selected, from all under the stroke; with the
    option `only_class` from those of the current class."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._losses = Losses(desk, ())

    def _begin(self) -> None:
        """What may be erased, and where it is before the stroke changes any place."""
        desk = self.desk
        desk.document.commit()
        only = {number for number, _ in desk.selected()}
        one_class = desk.options.only_class and not only
        candidates = [
            Target(layer, index, shape)
            for layer in _LAYERS
            for index, (number, shape) in enumerate(desk.document.layer(layer))
            if (not only or number in only)
            and (not one_class or shape.class_name == desk.class_name)
        ]
        self._losses = Losses(desk, candidates)

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
