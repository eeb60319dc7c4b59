"""One confusion matrix for every score: per class, over the whole set, void pixels skipped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

VOID: Final = -1
"""The value of pixels that count nowhere, in label maps inside this package."""
Floats = NDArray[np.float64]


@dataclass(eq=False)
class Confusion:
    """Pixels by true class (row) and predicted class (column), int64 of shape (k, k).

    Class 0 is the background. A class that is neither labelled nor predicted has no score
    (NaN, left out of means); one that is predicted but nowhere labelled scores 0.
    """

    k: int
    counts: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros((self.k, self.k), dtype=np.int64)

    def add(self, predicted: NDArray[np.integer], truth: NDArray[np.integer]) -> Confusion:
        """Count two label maps of one shape with values 0..k-1; truth outside that is void."""
        truth = truth.astype(np.int64, copy=False).ravel()
        valid = (truth >= 0) & (truth < self.k)
        pairs = truth[valid] * self.k + predicted.ravel()[valid]
        self.counts += np.bincount(pairs, minlength=self.k**2).reshape(self.k, self.k)
        return self

    @classmethod
    def total(cls, parts: Iterable[Confusion], k: int) -> Confusion:
        """The sum of several, as if their pixels were one picture."""
        whole = cls(k)
        for part in parts:
            whole.counts += part.counts
        return whole

    @property
    def pixels(self) -> int:
        return int(self.counts.sum())

    def iou(self) -> Floats:
        """Intersection over union of each class, shape (k,); NaN where there is nothing."""
        hits = np.diag(self.counts)
        return _ratio(hits, self.counts.sum(0) + self.counts.sum(1) - hits)

    def dice(self) -> Floats:
        """2 x intersection over the sum of areas, shape (k,)."""
        return _ratio(2 * np.diag(self.counts), self.counts.sum(0) + self.counts.sum(1))

    def accuracy(self) -> Floats:
        """The share of each class's pixels that was found, shape (k,); NaN where unlabelled."""
        return _ratio(np.diag(self.counts), self.counts.sum(1))

    def miou(self) -> float:
        """Mean IoU over classes that are labelled or predicted; NaN when no pixel counts."""
        return _mean(self.iou())

    def macc(self) -> float:
        return _mean(self.accuracy())

    def pixel_accuracy(self) -> float:
        return float(_ratio(np.trace(self.counts), self.counts.sum()))

    def frequency_weighted_iou(self) -> float:
        """IoU of each labelled class weighted by its share of the pixels."""
        share = _ratio(self.counts.sum(1), self.counts.sum())
        return float(np.nansum(share * np.nan_to_num(self.iou()))) if self.pixels else np.nan

    def scores(self, classes: Sequence[str]) -> dict[str, object]:
        """Every score by name, as written to files; per class by name, None for no score."""
        names = ["background", *classes]
        return {
            "miou": or_none(self.miou()),
            "macc": or_none(self.macc()),
            "pixel_accuracy": or_none(self.pixel_accuracy()),
            "frequency_weighted_iou": or_none(self.frequency_weighted_iou()),
            "iou": by_name(names, self.iou()),
            "accuracy": by_name(names, self.accuracy()),
            "dice": by_name(names, self.dice()),
            "pixels": self.pixels,
        }


_BORDER: Final = 0.02
"""Of the diagonal: how far a class's border reaches inwards."""


def boundary_iou(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """IoU of the borders of two masks (h, w), each 2 % of the diagonal wide; NaN when neither
    has a pixel. Cheng et al. 2021, arXiv 2103.16562."""
    if not predicted.any() and not truth.any():
        return float("nan")
    width = max(1, round(_BORDER * float(np.hypot(*truth.shape))))
    mine, theirs = (_border(mask, width) for mask in (predicted, truth))
    return float((mine & theirs).sum() / max(1, int((mine | theirs).sum())))


def _border(mask: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """A mask's pixels at most `width` px from what is outside it, or outside the picture."""
    padded = np.pad(mask, 1).view(np.uint8)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]
    return np.asarray(mask & (depth <= width))


def by_name(names: Sequence[str], values: Floats) -> dict[str, float | None]:
    return {name: or_none(float(value)) for name, value in zip(names, values, strict=True)}


def or_none(value: float) -> float | None:
    """The value rounded to 6 decimals, None for NaN."""
    return None if np.isnan(value) else round(float(value), 6)


def or_zero(value: float) -> float:
    """NaN as 0: a model without any score must never win, nor be impossible to replace."""
    return 0.0 if np.isnan(value) else float(value)


def _ratio(part: ArrayLike, whole: ArrayLike) -> Floats:
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    result: Floats = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return result


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
