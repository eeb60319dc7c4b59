"""What round 0 shows of an image: pixels at once, shapes when they are asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
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


class Guesses:
    """Labels (h, w) of class numbers, 0 for nothing, how sure each is (h, w) uint8, and the names.

    Specks are taken out of `labels`. Shapes may be asked for on any thread, and are made once.
    """

    def __init__(
        self, labels: LabelMap, margin: NDArray[np.uint8], names: Mapping[int, str]
    ) -> None:
        for value in names:
            _drop_specks(labels, value)
        self.labels, self.margin, self._names = labels, margin, names
        self.is_empty = not labels.any()
        self._lock = threading.Lock()
        self._shapes: tuple[Shape, ...] | None = None
        self._taken: set[int] = set()

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The connected parts of each class, but for those that were taken over."""
        with self._lock:
            if self._shapes is None:
                found = components.drafts(self.labels, self.margin, self._names, model=ROUND_0)
                self._shapes = tuple(found)
        return tuple(shape for shape in self._shapes if id(shape) not in self._taken)

    def take(self, shapes: Iterable[Shape]) -> None:
        """These are guesses no more."""
        self._taken.update(id(shape) for shape in shapes)

    def class_at(self, x: int, y: int) -> str | None:
        """The class that a pixel of the picture is taken for."""
        return self._names.get(int(self.labels[y, x]))

    def at(self, x: int, y: int) -> Shape | None:
        """The shape at a pixel of the picture."""
        box: Box = (x, y, x + 1, y + 1)
        near = self.shapes if self.labels[y, x] else ()
        return next((s for s in near if s.bitmap and s.bitmap.to_array(box).any()), None)


def _drop_specks(labels: LabelMap, value: int) -> None:
    """Thousands of them are dropped faster than shapes are made of them."""
    part = (labels == value).view(np.uint8)
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=8, ltype=cv2.CV_32S)
    small = stats[:, cv2.CC_STAT_AREA] < _SPECK * labels.size
    small[0] = False
    if small.any():
        labels[small[numbers]] = 0
