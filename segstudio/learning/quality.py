"""How the work goes: what was shown against what was confirmed, time, and labels to doubt.

Agreement with what a person really saw costs nobody extra work (RootPainter calls it corrective
Dice); predictions made later, or of images that were learned from, would flatter. It still flatters
a little, because people accept what they are shown (a randomised trial with 2,784 people, arXiv
2509.08514): agreement on blind images, whose drafts nobody saw, is told apart from it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from segstudio.errors import Cancelled, UserError
from segstudio.learning import events
from segstudio.learning.boxlabels import judged_by_boxes
from segstudio.learning.evaluate import rows_of
from segstudio.learning.events import Progress
from segstudio.learning.metrics import VOID, Confusion, boundary_iou, by_name, or_none
from segstudio.project.index import Stamp
from segstudio.project.predictions import LabelMap
from segstudio.project.project import Project
from segstudio.project.reviews import Review

ROLLING: Final = 10
"""Images over which figures roll."""
_PATCH: Final = 12
"""Part of the shorter side that a doubtful label fills."""
_SUSPICIOUS: Final = 0.5
_MOST: Final = 100


@dataclass(frozen=True)
class ImageQuality:
    """One confirmed image: how far what was shown agrees with what was confirmed.

    `agreement` is the share of pixels, `iou` by class, `boundary` the mean boundary IoU of the
    classes that are there. Without a prediction that was shown they are None and empty. Of a
    `blind` image nobody saw the prediction before it was confirmed.
    """

    image: str
    confirmed_at: float
    seconds: float
    strokes: int
    model: str = ""
    agreement: float | None = None
    miou: float | None = None
    boundary: float | None = None
    iou: dict[str, float | None] = field(default_factory=dict)
    unchanged: bool = False
    blind: bool = False


@dataclass(frozen=True)
class Suspicious:
    """A confirmed image where the model in force is sure of something else: the place of the
    worst patch, and how sure it is there, 0..1."""

    image: str
    x: int
    y: int
    doubt: float
    labelled: str
    predicted: str


@dataclass(frozen=True)
class Agreement:
    """Of so many images, all pixels together: IoU by class, its mean, and the median seconds."""

    images: int
    iou: dict[str, float | None]
    miou: float | None
    seconds: float | None


@dataclass(frozen=True)
class Quality:
    """Everything about a project's confirmed images, in the order they were confirmed.

    `confusion[i][j]` are pixels confirmed as class i that were shown as j, over all images that
    are not blind; so are `iou`, `miou` and `by_model`. `blind` is the same of the blind ones.
    `seconds_left` is what the images that are left will take at the pace of the last ones. Of
    `boxes` images the rectangles are boxes around things: what was shown is compared with the
    segments that training makes of them. `compared` labels were held against what the model in
    force says of their images now, which is how `suspicious` ones are found.
    """

    classes: tuple[str, ...]
    images: tuple[ImageQuality, ...]
    confusion: tuple[tuple[int, ...], ...]
    iou: dict[str, float | None]
    miou: float | None
    left: int
    seconds_left: float | None
    suspicious: tuple[Suspicious, ...]
    by_model: dict[str, float | None] = field(default_factory=dict)
    blind: Agreement | None = None
    boxes: int = 0
    compared: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def quality(
    project: Project,
    on_event: events.OnEvent = events.ignore,
    should_stop: Callable[[], bool] = events.never,
    between_images: Callable[[], object] = events.at_once,
) -> Quality:
    """Look at all confirmed images; those whose files cannot be read are left out."""
    names = ("background", *project.classes.names)
    table = rows_of(project)
    keys = project.confirmed_keys()
    weak = judged_by_boxes(project, project.models.current())
    read = project.training_map if weak is None else weak.map
    images: list[ImageQuality] = []
    parts: list[tuple[ImageQuality, Confusion]] = []
    suspicious: list[Suspicious] = []
    compared = 0
    for done, key in enumerate(keys, start=1):
        if should_stop():
            raise Cancelled
        between_images()
        try:
            truth = table[read(key)]
            image, confusion = _look(project, key, truth, table, names)
        except (UserError, OSError):
            continue
        images.append(image)
        if confusion is not None:
            parts.append((image, confusion))
        predicted = _predicted(project, key, truth)
        if predicted is not None:
            compared += 1
            found = _suspect(key, truth, *predicted, table, names)
            suspicious += [found] if found is not None else []
        on_event(Progress(done, len(keys)))
    images.sort(key=lambda image: image.confirmed_at)
    seen = [(image.model, part) for image, part in parts if not image.blind]
    total = Confusion.total((part for _, part in seen), len(names))
    left = len(project.included()) - len(keys)
    return Quality(
        names,
        tuple(images),
        tuple(tuple(row) for row in total.counts.tolist()),
        by_name(names, total.iou()),
        or_none(total.miou()),
        left,
        forecast(images, left),
        tuple(sorted(suspicious, key=lambda s: -s.doubt)[:_MOST]),
        _by_model(seen, len(names)),
        _agreement([(image, part) for image, part in parts if image.blind], names),
        sum(weak.concerns(image.image) for image in images) if weak is not None else 0,
        compared,
    )


def _agreement(
    parts: Sequence[tuple[ImageQuality, Confusion]], names: Sequence[str]
) -> Agreement | None:
    """None when there are no images."""
    if not parts:
        return None
    total = Confusion.total((part for _, part in parts), len(names))
    timed = [image.seconds for image, _ in parts if image.seconds > 0]
    seconds = round(statistics.median(timed), 1) if timed else None
    return Agreement(len(parts), by_name(names, total.iou()), or_none(total.miou()), seconds)


def forecast(images: Sequence[ImageQuality], left: int) -> float | None:
    """Seconds that `left` images take at the median of the last ones with a time."""
    timed = [image.seconds for image in images if image.seconds > 0][-ROLLING:]
    return round(left * statistics.median(timed), 1) if timed else None


def rolling(values: Sequence[float | None]) -> list[float | None]:
    """The mean of each value and those before it, ROLLING at most; None where there is none."""
    found: list[float | None] = []
    for end in range(1, len(values) + 1):
        known = [v for v in values[max(0, end - ROLLING) : end] if v is not None]
        found.append(statistics.fmean(known) if known else None)
    return found


def _look(
    project: Project,
    key: str,
    truth: NDArray[np.int16],
    table: NDArray[np.int16],
    names: Sequence[str],
) -> tuple[ImageQuality, Confusion | None]:
    review = project.reviews.load(key)
    stamp = project.label_stamp(key)
    image = ImageQuality(
        key,
        _confirmed_at(review, stamp),
        (review.seconds if review is not None else 0.0) or project.seconds(key),
        review.strokes if review is not None else 0,
        unchanged=review is not None and review.accepted_unchanged,
        blind=review is not None and review.blind,
    )
    if review is None or not review.shown:
        return image, None
    seen = project.predictions.read_shown(review.shown, key)
    if seen is None or seen.shape != truth.shape:
        return image, None
    shown = np.maximum(table[seen], 0)
    confusion = Confusion(len(names)).add(shown, truth)
    facts = {
        **asdict(image),
        "model": review.shown,
        "agreement": or_none(confusion.pixel_accuracy()),
        "miou": or_none(confusion.miou()),
        "boundary": or_none(_mean_boundary(shown, truth, len(names))),
        "iou": by_name(names, confusion.iou()),
    }
    return ImageQuality(**facts), confusion


def _confirmed_at(review: Review | None, stamp: Stamp | None) -> float:
    """When it was confirmed here; of labels from elsewhere, when their file was written."""
    if review is not None and review.confirmed_at:
        return review.confirmed_at
    return stamp[0] / 1e9 if stamp is not None else 0.0


def _mean_boundary(shown: NDArray[np.integer], truth: NDArray[np.integer], classes: int) -> float:
    known = truth != VOID
    scores = [boundary_iou((shown == row) & known, truth == row) for row in range(1, classes)]
    there = [score for score in scores if not np.isnan(score)]
    return statistics.fmean(there) if there else float("nan")


def _predicted(
    project: Project, key: str, truth: NDArray[np.int16]
) -> tuple[LabelMap, NDArray[np.uint8]] | None:
    """The label map and margin of the model in force, None where it has not looked yet."""
    model = project.models.current()
    read = project.predictions.read(model.id, key) if model is not None else None
    return read if read is not None and read[0].shape == truth.shape else None


def _suspect(
    key: str,
    truth: NDArray[np.int16],
    labels: LabelMap,
    margin: NDArray[np.uint8],
    table: NDArray[np.int16],
    names: Sequence[str],
) -> Suspicious | None:
    """The patch where the model in force contradicts the label with most confidence."""
    predicted = np.maximum(table[labels], 0)
    against = (predicted != truth) & (truth != VOID)
    side = max(3, min(truth.shape) // _PATCH) | 1
    sure = against * margin.astype(np.float32) / np.float32(255)
    means = cv2.blur(sure, (side, side), borderType=cv2.BORDER_CONSTANT)
    y, x = (int(v) for v in np.unravel_index(int(np.argmax(means)), means.shape))
    worst = float(means[y, x])
    if worst < _SUSPICIOUS:
        return None
    half = side // 2
    around = np.s_[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1]
    inside = against[around]
    pairs = truth[around][inside].astype(np.int64) * len(names) + predicted[around][inside]
    labelled, said = divmod(int(np.bincount(pairs).argmax()), len(names))
    return Suspicious(key, x, y, round(worst, 3), names[labelled], names[said])


def _by_model(parts: Sequence[tuple[str, Confusion]], k: int) -> dict[str, float | None]:
    """mIoU of what each model showed."""
    models = dict.fromkeys(model for model, _ in parts)
    return {
        model: or_none(Confusion.total((c for m, c in parts if m == model), k).miou())
        for model in models
    }
