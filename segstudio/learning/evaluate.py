"""Scores of a model: its predictions against the project's labels, or against label maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudio.errors import Cancelled, UserError
from segstudio.learning import events
from segstudio.learning.events import Log, Progress
from segstudio.learning.metrics import Confusion
from segstudio.learning.predictor import LabelMap, Predictor, open_predictor
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
    """mIoU, mAcc, pixel accuracy, frequency-weighted IoU and per class IoU, accuracy and Dice.

    One confusion matrix over all images, void pixels skipped. Truth is the confirmed images'
    labels unless other label maps are given. Scores on confirmed images come apart for the
    validation side too, since the model was trained on the rest. Predictions of this model
    that are on the disk are used, the others are made and not kept. An image whose labels
    cannot be read is left out and listed under "skipped".
    """
    chosen = _labels(project) if truth is None else truth
    classes = project.classes.names
    table = rows_of(project)
    parts: dict[str, Confusion] = {}
    skipped: dict[str, str] = {}
    predict = _Predict(project, model, device, on_event)
    for done, (key, read) in enumerate(chosen.items(), start=1):
        if should_stop():
            raise Cancelled
        try:
            real = read()
        except UserError as error:
            skipped[key] = str(error)
            on_event(Log(f"{key} is left out: {error}"))
            continue
        predicted = predict(key)
        _same_size(key, real, predicted)
        parts[key] = Confusion(len(classes) + 1).add(np.maximum(table[predicted], 0), table[real])
        on_event(Progress(done, len(chosen)))
    return {**_result(project, model, parts, truth is None), "skipped": skipped}


def rows_of(project: Project) -> NDArray[np.int16]:
    """From numbers in label maps and predictions to rows: 0 background, 1..k, VOID."""
    table = row_table(project.classes.values, project.classes.names)
    for one in project.classes:  # predictions made before a merge
        table[list(one.absorbed)] = table[one.id]
    return table


def _result(
    project: Project, model: ModelInfo, parts: Mapping[str, Confusion], by_side: bool
) -> dict[str, Any]:
    classes = project.classes.names
    result: dict[str, Any] = {
        "model": model.id,
        "images": len(parts),
        **Confusion.total(parts.values(), len(classes) + 1).scores(classes),
    }
    held = [part for key, part in parts.items() if project.splits.side(key) == "val"]
    if by_side and held:
        scores = Confusion.total(held, len(classes) + 1).scores(classes)
        result["validation"] = {"images": len(held), **scores}
    return result


def _labels(project: Project) -> Truth:
    """Of the confirmed images, and of those whose label file is damaged, to name them."""
    keys = project.confirmed_keys()
    if not keys:
        raise UserError(
            "No image is confirmed, so there is nothing to compare with",
            remedy="Confirm images, or name a folder of label maps",
        )
    return {key: partial(project.training_map, key) for key in (*keys, *project.damaged_keys())}


@dataclass(eq=False)
class _Predict:
    """A model's label map of an image: the kept one, else made now; the network waits for need."""

    project: Project
    model: ModelInfo
    device: str
    on_event: events.OnEvent
    _predictor: Predictor | None = None

    def __call__(self, key: str) -> LabelMap:
        kept = self.project.predictions.read(self.model.id, key)
        if kept is not None:
            return kept[0]
        if self._predictor is None:
            self._predictor = open_predictor(self.project, self.model, self.device, self.on_event)
        return self._predictor.predict(self.project.read_image(key))[0]


def _same_size(key: str, truth: LabelMap, predicted: LabelMap) -> None:
    if truth.shape != predicted.shape:
        raise UserError(
            f"The label map of {key} is {truth.shape[1]} x {truth.shape[0]} pixels, "
            f"the picture {predicted.shape[1]} x {predicted.shape[0]}"
        )
