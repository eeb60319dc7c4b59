"""Average precision of instances as COCO defines it, by pycocotools (Lin et al. 2014)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segstudio.learning.metrics import VOID, or_none
from segstudio.learning.painting import Instance

MOST: Final = 500
"""Things of a picture that count, the surest; COCO counts 100, and cells are more."""


class _Coded(NamedTuple):
    """A thing as COCO's run lengths; `score` is None for a labelled one."""

    row: int
    code: Any
    score: float | None = None


@dataclass(frozen=True)
class Compared:
    """What was found in one image of `size` (h, w), what is labelled there, and where nothing is
    known."""

    size: tuple[int, int]
    found: tuple[_Coded, ...]
    real: tuple[_Coded, ...]
    void: Any = None


def compared(
    found: Sequence[Instance],
    labels: NDArray[np.int16],
    instances: NDArray[np.int32],
    rows: NDArray[np.integer] | None = None,
) -> Compared:
    """Things found in a picture beside its label map and instance map, (h, w) each. Of a labelled
    thing the pixels in void are no part.

    `rows` translates the rows of what was found to those of the labels; background is left out.
    """
    height, width = labels.shape
    coded = []
    for one in found[:MOST]:
        row = one.row if rows is None else int(rows[one.row])
        if row > 0:
            coded.append(_Coded(row, _code(one.within((0, 0, width, height))), one.score))
    real = []
    for number in np.unique(instances[instances > 0]).tolist():
        mask = (instances == number) & (labels != VOID)
        if mask.any():
            real.append(_Coded(int(labels[mask][0]), _code(mask)))
    void = labels == VOID
    unknown = _code(void) if void.any() else None
    return Compared((height, width), tuple(coded), tuple(real), unknown)


def _code(mask: NDArray[np.bool_]) -> Any:
    from pycocotools import mask as coco

    return coco.encode(np.asfortranarray(mask, dtype=np.uint8))


def average_precision(images: Iterable[Compared], classes: Sequence[str]) -> dict[str, Any]:
    """`ap` (mean over IoU 0.5 to 0.95), `ap50`, `ap75`, and `ap_by_class`, over all images; None
    where nothing is labelled.

    What is found in void costs nothing, as in COCO's crowd regions.
    """
    precision = _precision(list(images), len(classes))
    by_class = {
        name: _mean(precision[..., row]) if precision.size else None
        for row, name in enumerate(classes)
    }
    return {
        "ap": _mean(precision),
        "ap50": _mean(precision[:1]),
        "ap75": _mean(precision[5:6]),
        "ap_by_class": by_class,
    }


def _mean(precision: NDArray[np.float64]) -> float | None:
    known = precision[precision >= 0]
    return or_none(float(known.mean())) if known.size else None


def _precision(images: Sequence[Compared], classes: int) -> NDArray[np.float64]:
    """Precision by IoU threshold (0.5, 0.55, …), recall and class; -1 where nothing is labelled."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    if not any(image.real for image in images):
        return np.zeros((0, 0, classes))
    rows = range(1, classes + 1)
    with contextlib.redirect_stdout(io.StringIO()):  # it talks
        truth, found = (_table(side, images, rows, COCO()) for side in _listed(images, rows))
        judge = COCOeval(truth, found, "segm")
        judge.params.maxDets = [MOST]
        judge.params.areaRng, judge.params.areaRngLbl = [[0, 1e10]], ["all"]
        judge.evaluate()
        judge.accumulate()
    return np.asarray(judge.eval["precision"][..., 0, 0], np.float64)


def _listed(
    images: Sequence[Compared], rows: Iterable[int]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """COCO's annotations of what is labelled and of what was found."""
    real, found = [], []
    for image, part in enumerate(images, start=1):
        real += [_entry(image, one.row, one.code) for one in part.real]
        if part.void is not None:
            real += [{**_entry(image, row, part.void), "iscrowd": 1} for row in rows]
        found += [{**_entry(image, o.row, o.code), "score": o.score} for o in part.found]
    return real, found


def _entry(image: int, row: int, code: Any) -> dict[str, Any]:
    from pycocotools import mask as coco

    return {
        "image_id": image,
        "category_id": row,
        "segmentation": code,
        "area": float(coco.area(code)),
        "iscrowd": 0,
    }


def _table(
    entries: Sequence[dict[str, Any]], images: Sequence[Compared], rows: Iterable[int], table: Any
) -> Any:
    """COCO's own table, filled."""
    table.dataset = {
        "images": [
            {"id": number, "height": image.size[0], "width": image.size[1]}
            for number, image in enumerate(images, start=1)
        ],
        "categories": [{"id": row} for row in rows],
        "annotations": [{**entry, "id": n} for n, entry in enumerate(entries, start=1)],
    }
    table.createIndex()
    return table
