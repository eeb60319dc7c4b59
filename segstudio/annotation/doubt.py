"""Where a prediction is in doubt: regions that are worth a person's look, the worst first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from segstudio.annotation.bitmap import Box
from segstudio.annotation.rasterise import LabelMap

Margin = NDArray[np.uint8]
_REACH: Final = 40
"""A neighbourhood is this part of the picture's shorter side: every border of every object is
unsure by itself, but only a line, which in its neighbourhood does not weigh much."""
_UNSURE: Final = 0.4
"""Mean doubt of a neighbourhood that is worth a look."""
_MOST: Final = 200
_LEAST: Final = 6.0
"""Summed doubt of a region that is worth a look."""
_LOOK: Final = 3
"""A region that is wider or higher than this part of the shorter side is looked at in pieces: a
model that is unsure everywhere says nothing by one region that is all of the picture."""
_PATCH: Final = 8
"""Part of the shorter side that one look takes in."""


@dataclass(frozen=True, slots=True)
class Region:
    """A doubtful part of a picture: its box, and the sum of its pixels' doubt (0..1 each)."""

    box: Box
    doubt: float

    @property
    def centre(self) -> tuple[float, float]:
        x0, y0, x1, y1 = self.box
        return (x0 + x1) / 2, (y0 + y1) / 2


def doubtful_regions(margin: Margin, settled: NDArray[np.bool_] | None = None) -> list[Region]:
    """The doubtful regions of a margin (h, w) uint8, 255 for sure, the worst first; large ones in
    pieces of up to a third of the shorter side.

    Pixels that are `settled` (h, w), because a person has labelled them, are in no doubt.
    """
    doubt = _doubt(margin, settled)
    mean = _blurred(doubt, _REACH)
    unsure = (mean > _UNSURE).astype(np.uint8)
    count, numbers, stats, _ = cv2.connectedComponentsWithStats(unsure, connectivity=8)
    sums = np.bincount(numbers.ravel(), weights=doubt.ravel(), minlength=count)
    found: list[Region] = []
    for number in (np.argsort(-sums[1:], kind="stable") + 1)[:_MOST].tolist():
        if sums[number] < _LEAST:
            break
        x, y, width, height, _ = stats[number].tolist()
        part = np.s_[y : y + height, x : x + width]
        found += _pieces((numbers[part] == number) * doubt[part], (x, y), min(doubt.shape))
    return sorted(found, key=lambda region: -region.doubt)[:_MOST]


def _pieces(doubt: NDArray[np.float32], corner: tuple[int, int], shorter: int) -> list[Region]:
    """A region's doubt (h, w), 0 outside of it, cut into equal cells that one look takes in; what
    there is of it in each. `corner` is its first pixel's place (x, y)."""
    most = max(1, shorter // _LOOK)
    found = []
    for rows in np.array_split(np.arange(doubt.shape[0]), math.ceil(doubt.shape[0] / most)):
        strip = doubt[rows[0] : rows[-1] + 1]
        for columns in np.array_split(np.arange(strip.shape[1]), math.ceil(strip.shape[1] / most)):
            cell = strip[:, columns[0] : columns[-1] + 1]
            total = float(cell.sum(dtype=np.float64))
            if total >= _LEAST:
                left, top = corner[0] + int(columns[0]), corner[1] + int(rows[0])
                found.append(Region(_box_of(cell > 0, left, top), round(total, 2)))
    return found


def _box_of(there: NDArray[np.bool_], left: int, top: int) -> Box:
    x, y, width, height = cv2.boundingRect(there.view(np.uint8))
    return left + x, top + y, left + x + width, top + y + height


def image_doubt(margin: Margin) -> float:
    """One number for a whole picture, 0..1: the mean doubt of its worst patch.

    A mean over all would rank pictures by how much of them is border (ClaSP PE, arXiv 2601.13677,
    aggregates by the worst patch for the same reason).
    """
    return round(float(_blurred(_doubt(margin, None), _PATCH).max()), 4)


def class_doubts(margin: Margin, labels: LabelMap) -> dict[int, float]:
    """By value of `labels` (h, w): the mean doubt of the worst patch, counting only its pixels."""
    doubt = _doubt(margin, None)
    return {
        int(value): round(float(_blurred(doubt * (labels == value), _PATCH).max()), 4)
        for value in np.unique(labels)
    }


def _doubt(margin: Margin, settled: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    doubt = np.float32(1) - margin.astype(np.float32) / np.float32(255)
    if settled is not None:
        doubt[settled] = 0
    return np.asarray(doubt, np.float32)


def _blurred(doubt: NDArray[np.float32], part: int) -> NDArray[np.float32]:
    """Means over squares that are `part` times smaller than the shorter side."""
    side = max(3, min(doubt.shape) // part) | 1
    return np.asarray(cv2.blur(doubt, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)
