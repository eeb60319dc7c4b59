"""How much a person would have to mend of a label map: what drafts are judged by."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from segstudio.learning.metrics import VOID

NEAR: Final = 2
"""Pixels: nobody minds an error so close to a border."""
_WAY: Final = 10.0
"""Pixels of an outline that are drawn with as much work as one click."""
_DISC: Final = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * NEAR + 1, 2 * NEAR + 1))


def mending(labels: NDArray[Any], truth: NDArray[Any]) -> float:
    """About how many actions make `labels` (h, w) the `truth` (h, w), VOID where nothing is known.

    One for every connected part that is wrong, and one for every 10 px of its outline; a part that
    lies within 2 px of where two classes meet is left.
    """
    wrong = (labels != truth) & (truth != VOID)
    counts = wrong & ~near_borders(truth)
    total = 0.0
    for row in np.unique(truth[counts]).tolist():
        there = truth == row
        _, numbers = cv2.connectedComponents((wrong & there).astype(np.uint8), connectivity=4)
        minded = np.isin(numbers, np.unique(numbers[counts & there]))
        outlines, _ = cv2.findContours(
            minded.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        total += sum(1 + cv2.arcLength(outline, True) / _WAY for outline in outlines)
    return total


def near_borders(truth: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels (h, w) at most NEAR px from where two classes meet."""
    border = np.zeros(truth.shape, np.uint8)
    border[:, 1:] |= truth[:, 1:] != truth[:, :-1]
    border[1:] |= truth[1:] != truth[:-1]
    return np.asarray(cv2.dilate(border, _DISC) > 0)
