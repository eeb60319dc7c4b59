"""Magic wand: pixels of about the same colour as the one pressed on."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from segstudio.annotation.bitmap import Bitmap
from segstudio.tools.desk import RGB, Desk, Pointer, Preview
from segstudio.tools.growth import Growth
from segstudio.tools.regions import PixelTool, around

_TOLERANCE: Final = 16
"""Grey levels by which every channel may differ, at first."""
_PER_LEVEL: Final = 3.0
"""Screen pixels of a drag that change the tolerance by one level."""


class WandTool(PixelTool):
    """Press on a colour; drag right for more of it, left for less; Alt takes what is not connected
    too.

    It reaches 1000 pixels from the press, so that it follows the pointer on any picture.
    """

    step = "Magic wand"
    _room = 1000

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.tolerance = _TOLERANCE
        self._before = _TOLERANCE
        self._start: Pointer | None = None
        self._pixels: RGB = np.empty((0, 0, 3), np.uint8)
        self._corner = (0, 0)
        self._growth: Growth | None = None

    def press(self, pointer: Pointer) -> None:
        self.move(pointer)
        x, y = pointer.pixel
        height, width = self.desk.document.size
        if self.refusal or not (0 <= x < width and 0 <= y < height):
            return
        box = around(self.desk, (x, y), self._room)
        pixels = self.desk.pixels(box)
        if pixels is None:
            return
        self._start, self._before = pointer, self.tolerance
        self._pixels, self._corner = pixels, box[:2]
        self._growth = Growth(self.desk, self.step)
        self._show()

    def drag(self, pointer: Pointer) -> None:
        self.move(pointer)
        if self._start is None:
            return
        levels = (pointer.x - self._start.x) * pointer.scale / _PER_LEVEL
        tolerance = min(max(self._before + round(levels), 0), 255)
        if tolerance != self.tolerance:
            self.tolerance = tolerance
            self._show()

    def release(self, pointer: Pointer) -> None:
        if self._growth is not None:
            self._growth.end()
        self._start = self._growth = None

    def cancel(self) -> None:
        if self._start is not None:
            self.tolerance = self._before
        self._start = self._growth = None
        super().cancel()

    @property
    def busy(self) -> bool:
        return self._start is not None

    def preview(self) -> Preview:
        if self._start is None or self.hover is None:
            return Preview()
        return Preview(note=(self.hover.x, self.hover.y, f"± {self.tolerance}"))

    def _show(self) -> None:
        if self._start is None or self._growth is None:
            return
        left, top = self._corner
        x, y = self._start.pixel
        find = alike if self._start.alt else connected
        mask = find(self._pixels, (x - left, y - top), self.tolerance)
        self._growth.show(Bitmap.from_array(mask, left, top))


def connected(rgb: RGB, seed: tuple[int, int], tolerance: int) -> NDArray[np.bool_]:
    """Pixels 4-connected with `seed` (x, y) whose channels all differ from its by at most
    `tolerance`: (h, w), of a picture (h, w, 3)."""
    height, width = rgb.shape[:2]
    frame = np.zeros((height + 2, width + 2), np.uint8)
    flags = 4 | cv2.FLOODFILL_FIXED_RANGE | cv2.FLOODFILL_MASK_ONLY | (1 << 8)
    span = (tolerance,) * 3
    cv2.floodFill(rgb.copy(), frame, seed, (0, 0, 0), span, span, flags)
    return frame[1:-1, 1:-1].view(np.bool_)


def alike(rgb: RGB, seed: tuple[int, int], tolerance: int) -> NDArray[np.bool_]:
    """All pixels whose channels all differ from those of `seed` (x, y) by at most `tolerance`."""
    colour = rgb[seed[1], seed[0]].astype(int)
    low, high = np.clip(colour - tolerance, 0, 255), np.clip(colour + tolerance, 0, 255)
    inside = cv2.inRange(rgb, low.astype(np.uint8), high.astype(np.uint8))
    return np.asarray(inside) > 0
