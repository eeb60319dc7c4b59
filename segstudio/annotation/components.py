"""A prediction as drafts: one mask shape for each thing found, or connected part of a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from segstudio.annotation.bitmap import Bitmap, Box
from segstudio.annotation.rasterise import LabelMap
from segstudio.annotation.shape import Shape, mask_shape

PARTS: Final = 100
"""Parts of a class that are drafts of their own whatever their size."""
SPECK: Final = 16
"""Of the others, those with fewer pixels are one draft together."""


def of_prediction(
    labels: LabelMap,
    margin: NDArray[np.uint8],
    instances: NDArray[np.uint16] | None,
    names: Mapping[int, str],
    model: str,
    shapes: Sequence[Shape] = (),
) -> list[Shape]:
    """A model's drafts: of its things where it found such, else the parts of its classes.

    `shapes` are those the image has: groups of things get other numbers than theirs.
    """
    if instances is None:
        return drafts(labels, margin, names, model=model)
    above = max((shape.group_id or 0 for shape in shapes), default=0)
    return things(labels, margin, instances, names, model=model, above=above)


def things(
    labels: LabelMap,
    margin: NDArray[np.uint8],
    instances: NDArray[np.uint16],
    names: Mapping[int, str],
    model: str | None = None,
    above: int = 0,
) -> list[Shape]:
    """A shape of source "model" for each number in `instances` (h, w), however they touch.

    `labels` (h, w) is its class, `margin` (h, w) uint8 is 2 s - 1 for a score s, over 255. Its
    group is its number on top of `above`.
    """
    found: list[Shape] = []
    for number, (x0, y0, x1, y1) in _boxes(instances).items():
        part = np.s_[y0:y1, x0:x1]
        mask = instances[part] == number
        value = int(labels[part][mask][0])
        if value not in names:
            continue
        score = round((1 + float(margin[part][mask].mean()) / 255) / 2, 4)
        bitmap = Bitmap.from_array(mask, x0, y0)
        group = above + number
        found.append(
            mask_shape(
                names[value], bitmap, source="model", model=model, score=score, group_id=group
            )
        )
    return found


def _boxes(numbers: NDArray[np.uint16]) -> dict[int, Box]:
    """Where each number above 0 is: x0, y0, x1, y1, ends exclusive."""
    down, across = np.nonzero(numbers)
    values = numbers[down, across]
    order = np.argsort(values, kind="stable")
    there, starts = np.unique(values[order], return_index=True)
    ends = [
        reduce.reduceat(places[order], starts) if len(there) else starts
        for reduce in (np.minimum, np.maximum)
        for places in (across, down)
    ]
    boxes = np.column_stack([ends[0], ends[1], ends[2] + 1, ends[3] + 1])
    return {
        int(n): (x0, y0, x1, y1) for n, (x0, y0, x1, y1) in zip(there, boxes.tolist(), strict=True)
    }


def drafts(
    labels: LabelMap,
    margin: NDArray[np.uint8] | None,
    names: Mapping[int, str],
    taken: NDArray[np.bool_] | None = None,
    model: str | None = None,
) -> list[Shape]:
    """The 8-connected parts of every class of `labels` (h, w) as shapes of source "model".

    All specks of a class beyond its largest parts are one shape together.

    `margin` (h, w) uint8 is the model's certainty; a draft's score is its mean over 255.
    `names` maps values of `labels` to classes, several to one when classes were merged; other
    values are left out. Pixels where `taken`
    is true already belong to a human shape and are left out too.
    """
    found: list[Shape] = []
    there: dict[str, list[int]] = {}
    for value in np.unique(labels).tolist():
        if value in names:
            there.setdefault(names[value], []).append(value)
    for name, values in there.items():
        part = labels == values[0] if len(values) == 1 else np.isin(labels, values)
        if taken is not None:
            part &= ~taken
        found += _of_class(part, margin, name, model)
    return found


def _of_class(
    part: NDArray[np.bool_], margin: NDArray[np.uint8] | None, name: str, model: str | None
) -> list[Shape]:
    count, numbers, stats, _ = cv2.connectedComponentsWithStats(
        part.view(np.uint8), connectivity=8, ltype=cv2.CV_32S
    )
    sums = None
    if margin is not None:
        sums = np.bincount(numbers.ravel(), weights=margin.ravel(), minlength=count)
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.int64)
    specks = _specks(areas)
    shapes: list[Shape] = []
    for number in np.flatnonzero(~specks)[1:].tolist():
        x, y, width, height, area = stats[number].tolist()
        mask = numbers[y : y + height, x : x + width] == number
        score = None if sums is None else round(float(sums[number]) / (255 * area), 4)
        bitmap = Bitmap.from_array(mask, x, y)
        shapes.append(mask_shape(name, bitmap, source="model", model=model, score=score))
    if specks.any():
        bitmap = Bitmap.from_array(specks[numbers])
        total = 255 * float(areas[specks].sum())
        score = None if sums is None else round(float(sums[specks].sum()) / total, 4)
        shapes.append(mask_shape(name, bitmap, source="model", model=model, score=score))
    return shapes


def _specks(areas: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which parts (the first is the background) are small ones beyond the largest.

    A young model scatters thousands of specks; they stay together as one draft.
    """
    specks = np.zeros(len(areas), dtype=np.bool_)
    by_size = np.argsort(-areas[1:], kind="stable") + 1
    beyond = by_size[PARTS:]
    specks[beyond[areas[beyond] < SPECK]] = True
    return specks
