"""What round 0 shows of an image: pixels at once, shapes when they are asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from segstudio.annotation import components
from segstudio.annotation.bitmap import Box
from segstudio.annotation.rasterise import LabelMap
from segstudio.annotation.shape import ROUND_0, Shape

_SPECK: Final = 1 / 2000
"""Of the picture; a smaller guess is not worth a person's look."""
_FAINT: Final = 20
"""Mean margin (of 255) below which a guess is hardly seen, and must not be confirmed unseen."""


class Guesses:
    """Labels (h, w) of class numbers, 0 for nothing, how sure each is (h, w) uint8, and the names.

    Specks, and what is hardly seen, are taken out of `labels`. Shapes may be asked for on any
    thread, and are made once.
    """

    def __init__(
        self, labels: LabelMap, margin: NDArray[np.uint8], names: Mapping[int, str]
    ) -> None:
        for value in names:
            _drop_specks(labels, margin, value)
        self.labels, self.margin, self._names = labels, margin, names
        self._any = bool(labels.any())
        self._lock = threading.Lock()
        self._shapes: tuple[Shape, ...] | None = None
        self._became: dict[int, Shape] = {}

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The connected parts of each class."""
        with self._lock:
            if self._shapes is None:
                found = components.drafts(self.labels, self.margin, self._names, model=ROUND_0)
                self._shapes = tuple(found)
        return self._shapes

    def take(self, guess: Shape, shape: Shape) -> None:
        """A guess is none any more as long as what became of it is in the document."""
        self._became[id(guess)] = shape

    def left(self, document: Iterable[Shape]) -> tuple[Shape, ...]:
        """The guesses that were not taken over, or are in the document no more."""
        if not self._became:
            return self.shapes
        there = {id(shape) for shape in document}
        taken = {guess for guess, shape in self._became.items() if id(shape) in there}
        return tuple(shape for shape in self.shapes if id(shape) not in taken)

    def is_any_left(self, document: Iterable[Shape]) -> bool:
        """Whether there are any; no shapes are made to know it."""
        return bool(self.left(document)) if self._became else self._any

    def class_at(self, x: int, y: int) -> str | None:
        """The class that a pixel is taken for; None outside the picture too."""
        return self._names.get(self._number_at(x, y))

    def at(self, x: int, y: int, among: Sequence[Shape]) -> Shape | None:
        """Which of some guesses is at a pixel; None outside the picture too."""
        box: Box = (x, y, x + 1, y + 1)
        near = among if self._number_at(x, y) else ()
        return next((s for s in near if s.bitmap and s.bitmap.to_array(box).any()), None)

    def _number_at(self, x: int, y: int) -> int:
        height, width = self.labels.shape
        return int(self.labels[y, x]) if 0 <= x < width and 0 <= y < height else 0


def _drop_specks(labels: LabelMap, margin: NDArray[np.uint8], value: int) -> None:
    """Thousands of them are dropped faster than shapes are made of them."""
    part = (labels == value).view(np.uint8)
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=8, ltype=cv2.CV_32S)
    areas = stats[:, cv2.CC_STAT_AREA]
    sure = np.bincount(numbers.ravel(), margin.ravel(), len(areas)) / np.maximum(areas, 1)
    small = (areas < _SPECK * labels.size) | (sure < _FAINT)
    small[0] = False
    if small.any():
        labels[small[numbers]] = 0
