"""Training on a project: from its labels to a numbered model, promoted or kept as a candidate."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from segstudio.errors import Cancelled, UserError
from segstudio.learning import checkpoint, events, promotion, store
from segstudio.learning import device as devices
from segstudio.learning.boxlabels import box_labels
from segstudio.learning.checkpoint import Checkpoint
from segstudio.learning.device import DeviceReport
from segstudio.learning.events import Log, ModelSaved, Saving
from segstudio.learning.finish import Finishes
from segstudio.learning.inference import Reader
from segstudio.learning.judge import Judge
from segstudio.learning.keeper import Keeper
from segstudio.learning.loop import Control, Fit, Run, seed_everything
from segstudio.learning.normalise import Normalisation
from segstudio.learning.samples import Library
from segstudio.learning.scoring import pooled, precision
from segstudio.learning.start import (
    FROM_SCRATCH,
    LIVE,
    Start,
    TrainRequest,
    architecture_of,
    interrupted,
    prepare,
    steps_of,
)
from segstudio.learning.task import Task, task_of
from segstudio.learning.trainingset import TrainingSet, spread
from segstudio.networks.fuse import fused
from segstudio.project.models import ModelInfo
from segstudio.project.project import Project

__all__ = ["FROM_SCRATCH", "TrainRequest", "TrainResult", "train"]

_SAVING: Final = 4.0
"""Seconds kept back for choosing a finish and writing the model."""
_FINISHED: Final = 3
"""Validation images that the finish is chosen by."""
_SCORING = 0.1
_ASTRAY = 0.7
"""The share of its best mIoU that a round must end with to be gone on with."""


@dataclass(frozen=True)
class TrainResult:
    """The model that was written and what became of it."""

    model: str
    promoted: bool
    provisional: bool
    reason: str
    scores: Mapping[str, Any]
    worse: tuple[str, ...]
    steps: int
    seconds: float
    stopped: bool


def train(
    project: Project,
    request: TrainRequest,
    on_event: events.OnEvent = events.ignore,
    should_stop: Callable[[], bool] = events.never,
    wait_while_paused: Callable[[], None] = events.at_once,
) -> TrainResult:
    """Train, write the model, and promote it when it is better.

    Stopped early, what was validated so far is written all the same; Cancelled is raised when
    there is nothing worth writing yet.
    """
    began = time.monotonic()
    keeper = Keeper(project.root / checkpoint.PLACE, on_event)
    report = devices.probe(request.device)
    _settle(request.seed)
    overrides = {**project.manifest.recipe, **request.overrides}
    weak = box_labels(project, overrides, request.minutes, on_event, should_stop)
    start = interrupted(project, request, weak is not None)
    task = task_of(architecture_of(project, request) if start is None else start.architecture)
    data = TrainingSet.of(project, weak, task.instances)
    control = Control(on_event, should_stop, wait_while_paused, keeper)
    library = Library(data.train, Normalisation())
    if start is None:
        start = prepare(project, data, library, request, report, control)
    keeper.of(start, data)
    library.normalisation = start.recipe.normalisation
    for note in (data.note, start.note):
        if note:
            on_event(Log(note))
    judge = Judge(project, project.models.current(), library, data, control, report)
    if request.minutes is not None:
        _afford(judge, start, request.minutes * 60)
    judge.score()
    left = None if request.minutes is None else request.minutes * 60 - _SAVING
    run = Run(
        start.network,
        library,
        data.validation,
        data.classes,
        start.recipe,
        report.device,
        task=task,
        seconds=None if left is None else max(1.0, left - (time.monotonic() - began)),
        since=_made(start.parent),
        learned=start.parent is not None or start.kept is not None,
        control=control,
        refresh=data.refresh,
    )
    if start.kept is not None:
        _restore(run, start.kept, keeper)
    fit = run.fit()
    if fit.stopped and not fit.scores:
        raise Cancelled

    def reader() -> Reader:
        network = fused(fit.network).to(report.device)
        return task.reader(network, fit.recipe.normalisation, report.device)

    decision = judge.decide(fit, reader)
    shown = _shown(task, start, fit, data, library, control, report)
    on_event(Saving())
    result = _save(project, data, start, fit, decision, shown, on_event)
    if fit.recipe.name == LIVE and not (result.promoted or fit.stopped or _is_astray(fit)):
        keeper.end(run, result.model)
    else:
        keeper.forget()
    return result


def _is_astray(fit: Fit) -> bool:
    """Whether the last state is so much worse than the best that nothing should go on from it."""
    scores = [float(str(line["miou"])) for line in fit.curves if "miou" in line]
    return not scores or scores[-1] < _ASTRAY * max(scores)


@dataclass(frozen=True)
class _Shown:
    """How predictions are shown: None where there is nothing fair to measure confidence on."""

    temperature: float | None
    finishes: Finishes


def _shown(
    task: Task,
    start: Start,
    fit: Fit,
    data: TrainingSet,
    library: Library,
    control: Control,
    report: DeviceReport,
) -> _Shown:
    """Makes confidence honest, and drafts such that least is left to mend; without images that
    the network has not learned from, and when that fails or is cancelled, drafts are as those of
    the model it began from."""
    before = start.parent.card.get("finish", {}) if start.parent is not None else {}
    finishes = Finishes.from_card(before)
    if data.lent or fit.stopped:
        return _Shown(None, finishes)
    network = fused(fit.network).to(report.device)
    inputs = fit.recipe.normalisation
    reader = task.reader(network, inputs, report.device)
    heat = task.temperature(reader, data.validation, library)
    as_shown = task.reader(network, inputs, report.device, temperature=heat or 1.0)
    few = spread(data.validation, _FINISHED)
    with suppress(Cancelled, RuntimeError, MemoryError):  # the model is worth more than its finish
        finishes = task.finishes(as_shown, few, library, control.check)
    return _Shown(heat, finishes)


def _settle(seed: int) -> None:
    """This process is for training: fixed seeds, and no threads of OpenCV beside torch's."""
    seed_everything(seed)
    devices.keep_memory()
    devices.share_cores()
    cv2.setNumThreads(1)


def _afford(judge: Judge, start: Start, seconds: float) -> None:
    """Take no more validation images than a tenth of the time can score once, the guesses that
    the network competes with among it."""
    data, device = judge.data, judge.report.device
    network = fused(start.network).to(device)
    reader = task_of(start.architecture).reader(network, start.recipe.normalisation, device)
    picture = judge.library.get(data.validation[0]).picture
    began = time.monotonic()
    reader.read(picture)
    each = time.monotonic() - began + judge.seconds_of_a_guess()
    data.most_validation = int(max(promotion.FEWEST_IMAGES, _SCORING * seconds / each))
    data.collect()


def _made(parent: ModelInfo | None) -> float:
    """When the model we start from was written; labels after that are new to it."""
    return np.inf if parent is None else parent.weights.stat().st_mtime


def _restore(run: Run, kept: Checkpoint, keeper: Keeper) -> None:
    """Go on from a checkpoint; UserError, and it is gone, when it does not fit after all."""
    try:
        run.restore(kept.state, kept.seconds)
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        keeper.forget()
        raise UserError(
            "The training that was cut off cannot go on: its record is damaged",
            path=keeper.path,
            remedy="It was removed: train again",
        ) from error


# writing ---------------------------------------------------------------------------------------


def _save(
    project: Project,
    data: TrainingSet,
    start: Start,
    fit: Fit,
    decision: promotion.Decision,
    shown: _Shown,
    on_event: events.OnEvent,
) -> TrainResult:
    scores = {
        **pooled(fit.scores, len(data.classes)).scores(data.classes),
        **precision(fit.scores, data.classes),
        "images": len(fit.scores),
        "provisional": decision.provisional,
    }
    before = steps_of(start.parent) if start.parent else 0
    facts = {
        "parent": start.parent.id if start.parent else None,
        "data_hash": data.hash(),
        "images": {"train": len(data.train), "validation": len(data.validation)},
        "steps": fit.steps,
        "steps_in_all": None if before is None else before + fit.steps,
        "seconds": fit.seconds,
        "promoted": decision.promote,
        "reason": decision.reason,
        "worse": list(decision.worse),
        "scores": scores,
        "temperature": shown.temperature,
        "finish": shown.finishes.to_card(),
        "recipe": fit.recipe.to_dict(),
    }

    def write(folder: Path) -> None:
        store.write_model(
            folder,
            fit.network,
            architecture=start.architecture,
            classes=data.classes,
            options=start.recipe.options,
            normalisation=start.recipe.normalisation,
            facts=facts,
            curves=fit.curves,
        )

    project.ensure_written()
    info = project.models.add(start.architecture, write)
    if decision.promote:
        project.models.promote(info.id)
    told = decision.promote, decision.reason, scores, decision.worse, decision.guesses
    on_event(ModelSaved(info.id, *told))
    return TrainResult(
        info.id,
        decision.promote,
        decision.provisional,
        decision.reason,
        scores,
        decision.worse,
        fit.steps,
        fit.seconds,
        fit.stopped,
    )
