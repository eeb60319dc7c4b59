"""Scores of a model: its predictions against the project's labels, or against label maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudio.errors import Cancelled, UserError
from segstudio.learning import events
from segstudio.learning.boxlabels import BoxLabels, judged_by_boxes
from segstudio.learning.events import Log, Progress
from segstudio.learning.inference import Prediction
from segstudio.learning.metrics import Confusion
from segstudio.learning.precision import Compared, compared
from segstudio.learning.predictor import LabelMap, Predictor, open_predictor
from segstudio.learning.scoring import Scored, Scores, pooled, precision
from segstudio.learning.task import task_of
from segstudio.learning.trainingset import row_table
from segstudio.project.models import ModelInfo
from segstudio.project.project import Project

Truth = Mapping[str, Callable[[], LabelMap]]
"""By image, what reads its label map: the project's class numbers, 255 (65535 in 16 bits) void."""


def evaluate(
    project: Project,
    model: ModelInfo,
    truth: Truth | None = None,
    device: str = "auto",
    on_event: events.OnEvent = events.ignore,
    should_stop: Callable[[], bool] = events.never,
) -> dict[str, Any]:
    """mIoU, mAcc, pixel accuracy, frequency-weighted IoU and per class IoU, accuracy and Dice; of
    a network that finds things also `ap`, `ap50`, `ap75` and `ap_by_class` on the project's own
    labels (label maps of others do not say what is one thing).

    One confusion matrix over all images, void pixels skipped. Truth is the confirmed images'
    labels unless other label maps are given. Scores on confirmed images come apart for the
    validation side too, since the model was trained on the rest. Where rectangles are boxes around
    things, truth is the segments that training makes of them, and "boxes" says in how many images.
    Predictions of this model
    that are on the disk are used, the others are made and not kept, and so are all where things
    are judged, since what it is unsure of is not on the disk. An image whose labels
    cannot be read is left out and listed under "skipped".
    """
    weak = judged_by_boxes(project, model) if truth is None else None
    chosen = _labels(project, weak) if truth is None else truth
    classes = project.classes.names
    table = rows_of(project)
    parts: Scores = {}
    skipped: dict[str, str] = {}
    finds = truth is None and task_of(model.architecture).instances
    predict = _Predict(project, model, device, on_event, fresh=finds)
    for done, (key, read) in enumerate(chosen.items(), start=1):
        if should_stop():
            raise Cancelled
        try:
            real = read()
        except UserError as error:
            skipped[key] = str(error)
            on_event(Log(f"{key} is left out: {error}"))
            continue
        found = predict(key)
        _same_size(key, real, found.labels)
        confusion = Confusion(len(classes) + 1)
        confusion.add(np.maximum(table[found.labels], 0), table[real])
        things = _things(project, key, found, predict.rows, weak) if finds else None
        parts[key] = Scored(0.0, confusion, things)
        on_event(Progress(done, len(chosen)))
    boxes = sum(map(weak.concerns, parts)) if weak is not None else 0
    return {**_result(project, model, parts, truth is None), "skipped": skipped, "boxes": boxes}


def _things(
    project: Project,
    key: str,
    found: Prediction,
    rows: NDArray[np.int16],
    weak: BoxLabels | None,
) -> Compared | None:
    if weak is None:
        labels, instances = project.training_maps(key, True)
    else:
        labels = weak.map(key)
        instances = weak.instances(key, labels)
    if found.instances is None or instances is None:
        return None
    return compared(found.instances, rows_of(project)[labels], instances, rows)


def rows_of(project: Project) -> NDArray[np.int16]:
    """From numbers in label maps and predictions to rows: 0 background, 1..k, VOID."""
    table = row_table(project.classes.values, project.classes.names)
    for one in project.classes:  # predictions made before a merge
        table[list(one.absorbed)] = table[one.id]
    return table


def _result(project: Project, model: ModelInfo, parts: Scores, by_side: bool) -> dict[str, Any]:
    classes = project.classes.names
    result: dict[str, Any] = {"model": model.id, **_scores(parts, classes)}
    held = {key: part for key, part in parts.items() if project.splits.side(key) == "val"}
    if by_side and held:
        result["validation"] = _scores(held, classes)
    return result


def _scores(parts: Scores, classes: Sequence[str]) -> dict[str, Any]:
    scores = pooled(parts, len(classes)).scores(classes)
    return {"images": len(parts), **scores, **precision(parts, classes)}


def _labels(project: Project, weak: BoxLabels | None) -> Truth:
    """Of the confirmed images, and of those whose label file is damaged, to name them."""
    keys = project.confirmed_keys()
    if not keys:
        raise UserError(
            "No image is confirmed, so there is nothing to compare with",
            remedy="Confirm images, or name a folder of label maps",
        )
    read = project.training_map if weak is None else weak.map
    return {key: partial(read, key) for key in (*keys, *project.damaged_keys())}


@dataclass(eq=False)
class _Predict:
    """A model's prediction for an image: the kept one, unless a `fresh` one is needed, else made
    now; the network waits for need."""

    project: Project
    model: ModelInfo
    device: str
    on_event: events.OnEvent
    fresh: bool = False

    @cached_property
    def _predictor(self) -> Predictor:
        return open_predictor(self.project, self.model, self.device, self.on_event)

    @property
    def rows(self) -> NDArray[np.int16]:
        """From the model's rows to the project's, 0 where it has none."""
        return np.asarray(np.maximum(rows_of(self.project)[self._predictor.numbers], 0))

    def __call__(self, key: str) -> Prediction:
        kept = None if self.fresh else self.project.predictions.read(self.model.id, key)
        if kept is not None:
            return Prediction(*kept)
        predictor = self._predictor
        return predictor.predict_prepared(predictor.prepare(self.project.read_image(key)))


def _same_size(key: str, truth: LabelMap, predicted: LabelMap) -> None:
    if truth.shape != predicted.shape:
        raise UserError(
            f"The label map of {key} is {truth.shape[1]} x {truth.shape[0]} pixels, "
            f"the picture {predicted.shape[1]} x {predicted.shape[0]}"
        )
