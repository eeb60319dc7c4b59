"""Found things as pixels: masks put into pictures, tiles joined, overlaps decided by score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from segstudio.annotation.bitmap import Box, boxes_meet, intersect_boxes, union_boxes
from segstudio.learning.inference import Prediction

SURE: Final = 0.5
"""The score from which on a thing is shown."""
_HIDDEN: Final = 0.5
"""The share of a thing that must be left when surer ones have taken their pixels."""
_SAME: Final = 0.5
"""The overlap (IoU), where two tiles overlap, from which on what they found is one thing."""
_PAD: Final = 1
"""Mask cells added around a box, so that its outline can be rounded, as in the authors' program."""


@dataclass(frozen=True, eq=False)
class Instance:
    """One thing: its class's row (1..k-1), its score 0..1, and `mask` (h, w) bool at `corner`
    (x, y)."""

    row: int
    score: float
    mask: NDArray[np.bool_]
    corner: tuple[int, int]

    @property
    def box(self) -> Box:
        """x0, y0, x1, y1, ends exclusive."""
        (x, y), (height, width) = self.corner, self.mask.shape
        return x, y, x + width, y + height

    def within(self, box: Box) -> NDArray[np.bool_]:
        """The mask in a box that meets its own, False outside it."""
        x0, y0, x1, y1 = box
        whole = np.zeros((y1 - y0, x1 - x0), np.bool_)
        a, b, c, d = intersect_boxes(self.box, box)
        x, y = self.corner
        whole[b - y0 : d - y0, a - x0 : c - x0] = self.mask[b - y : d - y, a - x : c - x]
        return whole


def pasted(
    row: int,
    score: float,
    mask: NDArray[np.float32],
    box: Sequence[float],
    size: tuple[int, int],
) -> Instance | None:
    """A thing of its probabilities (m, m) over `box` (x0, y0, x1, y1) in a picture of `size`
    (h, w); None when no pixel is left."""
    side = mask.shape[0]
    x0, y0, x1, y1 = _widened(box, (side + 2 * _PAD) / side)
    width, height = max(x1 - x0 + 1, 1), max(y1 - y0 + 1, 1)
    stretched = cv2.resize(np.pad(mask, _PAD), (width, height), interpolation=cv2.INTER_LINEAR)
    left, top, right, bottom = intersect_boxes(
        (x0, y0, x0 + width, y0 + height), (0, 0, size[1], size[0])
    )
    if right <= left or bottom <= top:
        return None
    inside = np.asarray(stretched[top - y0 : bottom - y0, left - x0 : right - x0] > 0.5)
    return Instance(row, score, inside, (left, top)) if inside.any() else None


def _widened(box: Sequence[float], factor: float) -> Box:
    """The box about its middle, in whole pixels towards zero."""
    middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half = (box[2] - box[0]) / 2 * factor, (box[3] - box[1]) / 2 * factor
    low = (int(middle[0] - half[0]), int(middle[1] - half[1]))
    return *low, int(middle[0] + half[0]), int(middle[1] + half[1])


def joined(parts: Sequence[tuple[Box, Sequence[Instance]]]) -> list[Instance]:
    """What tiles found, each with its place in the picture, the surest first.

    Things of one class from two tiles that agree where the tiles overlap are one.
    """
    whole: list[Instance] = []
    homes: list[list[Box]] = []
    for tile, found in parts:
        before = len(whole)
        for one in found:
            same = next((i for i in range(before) if _is_same(whole[i], homes[i], one, tile)), None)
            if same is None:
                whole.append(one)
                homes.append([tile])
            else:
                whole[same] = _union(whole[same], one)
                homes[same].append(tile)
    return sorted(whole, key=lambda one: -one.score)


def _is_same(old: Instance, homes: Sequence[Box], new: Instance, tile: Box) -> bool:
    if old.row != new.row or not boxes_meet(old.box, new.box):
        return False
    for home in homes:
        shared = intersect_boxes(home, tile)
        if not boxes_meet(shared, old.box) or not boxes_meet(shared, new.box):
            continue
        first, second = old.within(shared), new.within(shared)
        if (first & second).sum() > _SAME * (first | second).sum():
            return True
    return False


def _union(one: Instance, other: Instance) -> Instance:
    box = union_boxes(one.box, other.box)
    assert box is not None
    mask = one.within(box) | other.within(box)
    return replace(one, score=max(one.score, other.score), mask=mask, corner=box[:2])


def painted(found: Sequence[Instance], size: tuple[int, int]) -> Prediction:
    """A picture of `size` (h, w) with the sure ones of `found` (the surest first) painted.

    A surer thing keeps its pixels; one of which less than half is left is not shown. The margin
    of a thing of score s is 2 s - 1: it is there, or not. Where something unsure would be it is
    1 - 2 s, elsewhere all is sure.
    """
    kind = np.uint8 if all(one.row < 256 for one in found) else np.int16
    labels = np.zeros(size, kind)
    numbers = np.zeros(size, np.uint16)
    margin = np.full(size, 255, np.uint8)
    for number, one in enumerate(found, start=1):
        x0, y0, x1, y1 = one.box
        part = np.s_[y0:y1, x0:x1]
        free = one.mask & (numbers[part] == 0)
        if one.score < SURE:
            doubt = np.uint8(round(255 * (1 - 2 * one.score)))
            margin[part][free] = np.minimum(margin[part][free], doubt)
        elif free.sum() >= _HIDDEN * one.mask.sum():
            labels[part][free], numbers[part][free] = one.row, number
            margin[part][free] = round(255 * (2 * one.score - 1))
    return Prediction(labels, margin, tuple(found), numbers)
