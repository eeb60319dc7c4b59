"""Where a prediction is in doubt: regions that are worth a person's look, the worst first."""

from __future__ import annotations

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
    """The doubtful regions of a margin (h, w) uint8, 255 for sure, the worst first.

    Pixels that are `settled` (h, w), because a person has labelled them, are in no doubt.
    """
    doubt = _doubt(margin, settled)
    mean = _blurred(doubt, _REACH)
    unsure = (mean > _UNSURE).astype(np.uint8)
    count, numbers, stats, _ = cv2.connectedComponentsWithStats(unsure, connectivity=8)
    sums = np.bincount(numbers.ravel(), weights=doubt.ravel(), minlength=count)
    found = []
    for number in (np.argsort(-sums[1:], kind="stable") + 1)[:_MOST].tolist():
        if sums[number] < _LEAST:
            break
        x, y, width, height, _ = stats[number].tolist()
        found.append(Region((x, y, x + width, y + height), round(float(sums[number]), 2)))
    return found


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
