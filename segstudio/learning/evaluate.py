"""Scores of a model: its predictions against the project's labels, or against label maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segstudio.errors import Cancelled, UserError
from segstudio.learning import events
from segstudio.learning.events import Log, Progress
from segstudio.learning.metrics import Confusion
from segstudio.learning.predictor import LabelMap, Predictor, open_predictor
from segstudio.learning.trainingset import row_table
from segstudio.project.models import ModelInfo
from segstudio.project.project import Project

Truth = Mapping[str, Callable[[], LabelMap]]


def evaluate(
    project: Project,
    model: ModelInfo,
    against: Path | None = None,
    device: str = "auto",
    on_event: events.OnEvent = events.ignore,
    should_stop: Callable[[], bool] = events.never,
) -> dict[str, Any]:
    """mIoU, mAcc, pixel accuracy, frequency-weighted IoU and per class IoU, accuracy and Dice.

    One confusion matrix over all images, void pixels skipped. Truth is the confirmed images'
    labels, or the label-map PNGs of `against` with the pictures' stems and the project's class
    numbers (255, or 65535 in 16 bit, is void). Scores on confirmed images come apart for the
    validation side too, since the model was trained on the rest. Predictions of this model
    that are on the disk are used, the others are made and not kept.
    """
    truth = _labels(project) if against is None else _label_maps(project, against)
    predictions = _predictions(project, model, list(truth), device, on_event)
    classes = project.classes.names
    table = row_table(project.classes.values, classes)
    parts: dict[str, Confusion] = {}
    strange: set[int] = set()
    for done, (key, predicted) in enumerate(predictions, start=1):
        if should_stop():
            raise Cancelled
        real = truth[key]()
        _same_size(key, real, predicted)
        strange |= _strange(real, project)
        parts[key] = Confusion(len(classes) + 1).add(np.maximum(table[predicted], 0), table[real])
        on_event(Progress(done, len(truth)))
    if strange:
        on_event(Log(f"Values that are no class of the project were left out: {sorted(strange)}"))
    return _result(project, model, parts, against is None)


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
    keys = project.confirmed_keys()
    if not keys:
        raise UserError(
            "No image is confirmed, so there is nothing to compare with",
            remedy="Confirm images, or name a folder of label maps",
        )
    return {key: lambda key=key: project.training_map(key) for key in keys}  # type: ignore[misc]


def _label_maps(project: Project, folder: Path) -> Truth:
    if not folder.is_dir():
        raise UserError("There is no such folder", path=folder)
    files = {file.stem: file for file in sorted(folder.rglob("*.png"))}
    found = {key: files[Path(key).stem] for key in project.included() if Path(key).stem in files}
    if not found:
        raise UserError(
            "No PNG here has the name of one of the project's pictures",
            path=folder,
            remedy="Label maps need the pictures' stems: a.jpg and a.png",
        )
    return {key: lambda file=file: _read(file) for key, file in found.items()}  # type: ignore[misc]


def _read(file: Path) -> LabelMap:
    """Values of a grey (8 or 16 bit) or palette PNG; a palette's numbers, not its colours."""
    try:
        with Image.open(file) as image:
            labels = np.asarray(image)
    except OSError as error:
        raise UserError(f"The label map cannot be read: {error}", path=file) from error
    if labels.ndim != 2 or labels.dtype.kind not in "ui":
        raise UserError("This is no grey or index PNG", path=file)
    return labels


def _predictions(
    project: Project, model: ModelInfo, keys: list[str], device: str, on_event: events.OnEvent
) -> Iterator[tuple[str, LabelMap]]:
    predictor: Predictor | None = None
    for key in keys:
        kept = project.predictions.read(model.id, key)
        if kept is not None:
            yield key, kept[0]
            continue
        if predictor is None:
            predictor = open_predictor(project, model, device, on_event)
        yield key, predictor.predict(project.read_image(key))[0]


def _same_size(key: str, truth: LabelMap, predicted: LabelMap) -> None:
    if truth.shape != predicted.shape:
        raise UserError(
            f"The label map of {key} is {truth.shape[1]} x {truth.shape[0]} pixels, "
            f"the picture {predicted.shape[1]} x {predicted.shape[0]}"
        )


def _strange(truth: LabelMap, project: Project) -> set[int]:
    known = {0, 255, 65535, *project.classes.values.values()}
    return {int(value) for value in np.unique(truth)} - known
