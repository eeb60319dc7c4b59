"""Training on a project: from its labels to a numbered model, promoted or kept as a candidate."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch import nn

from segstudio.errors import Cancelled, UserError
from segstudio.learning import checkpoint, events, promotion, recipe, store
from segstudio.learning import device as devices
from segstudio.learning.boxlabels import BOXES, box_labels
from segstudio.learning.checkpoint import Checkpoint
from segstudio.learning.device import DeviceReport
from segstudio.learning.events import Log, ModelSaved, Progress, Saving
from segstudio.learning.judge import Judge
from segstudio.learning.loop import (
    Control,
    Fit,
    Run,
    pooled,
    precision,
    seed_everything,
)
from segstudio.learning.normalise import Normalisation
from segstudio.learning.recipe import Recipe
from segstudio.learning.samples import Library
from segstudio.learning.task import Task, task_of
from segstudio.learning.trainingset import TrainingSet
from segstudio.networks import registry, weights
from segstudio.networks.fuse import fused
from segstudio.project.models import ModelInfo
from segstudio.project.project import Project

_STUDIED = 50
"""Images looked at for the recipe."""
_BETWEEN = 20
"""Times as long as the run takes to be written down, it is not written down again."""
_SAVING = 2.0
"""Seconds kept back for writing the model."""
_SCORING = 0.1
_YOUNG = 3000
"""Steps, with those of the models before it, after which a network is trained on gently."""
_ASTRAY = 0.7
"""The share of its best mIoU that a round must end with to be gone on with."""
FROM_SCRATCH = ""
LIVE = str(recipe.LIVE["name"])


@dataclass(frozen=True)
class TrainRequest:
    """What to train. Nothing chosen means: go on from the model in force, else a U-Net.

    `start_from` is a model id, or FROM_SCRATCH. `minutes` is wall clock for the whole job;
    without it training ends when the scores stop rising or the caller stops it. With `resume` a
    run that was interrupted goes on, when it trained what would be trained now; so does, with the
    recipe `live`, a round that brought nothing better: the next one learns on from its last state.
    """

    architecture: str | None = None
    minutes: float | None = None
    start_from: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"
    seed: int = 0
    resume: bool = False


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


@dataclass(frozen=True)
class _Start:
    """A network to begin with and where it comes from."""

    network: nn.Module
    architecture: str
    recipe: Recipe
    parent: ModelInfo | None
    note: str = ""
    kept: Checkpoint | None = None


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
    keeper = _Keeper(project.root / checkpoint.PLACE, on_event)
    report = devices.probe(request.device)
    _settle(request.seed)
    overrides = {**project.manifest.recipe, **request.overrides}
    weak = box_labels(project, overrides, request.minutes, on_event, should_stop)
    start = _interrupted(project, request, weak is not None)
    task = task_of(_architecture(project, request) if start is None else start.architecture)
    data = TrainingSet.of(project, weak, task.instances)
    control = Control(on_event, should_stop, wait_while_paused, keeper)
    library = Library(data.train, Normalisation())
    if start is None:
        start = _prepare(project, data, library, request, report, control)
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
    if fit.stopped:
        on_event(Saving())
    decision = judge.decide(fit)
    heat = _temperature(task, fit, data, library, report)
    result = _save(project, data, start, fit, decision, heat, on_event)
    if fit.recipe.name == LIVE and not (result.promoted or fit.stopped or _is_astray(fit)):
        keeper.end(run, result.model)
    else:
        keeper.forget()
    return result


def _is_astray(fit: Fit) -> bool:
    """Whether the last state is so much worse than the best that nothing should go on from it."""
    scores = [float(str(line["miou"])) for line in fit.curves if "miou" in line]
    return not scores or scores[-1] < _ASTRAY * max(scores)


@dataclass(eq=False)
class _Keeper:
    """Writes the run down after validations, and lets weak labels hear of it.

    A large network takes long to write: there is always much more training than writing between
    two times. A full disk stops no training.
    """

    path: Path
    on_event: events.OnEvent
    _next: float = 0.0
    _facts: Checkpoint | None = None
    _data: TrainingSet | None = None

    def of(self, start: _Start, data: TrainingSet) -> None:
        self._data = data
        parent = start.parent.id if start.parent is not None else ""
        facts = {**start.recipe.to_dict(), "patience": start.recipe.patience}
        self._facts = Checkpoint(start.architecture, data.classes, parent, facts, 0.0)

    def __call__(self, run: Run) -> None:
        if self._facts is not None and time.monotonic() >= self._next:
            self._write(replace(self._facts, seconds=run.seconds, state=run.state()))
        if self._data is not None and self._data.weak is not None:
            self._data.weak.learned(run, self._data.classes)

    def _write(self, found: Checkpoint) -> None:
        began = time.monotonic()
        try:
            found.write(self.path)
        except OSError as error:
            why = f"Training could not be written down ({error}), and cannot go on after a restart"
            self.on_event(Log(why))
        ended = time.monotonic()
        self._next = ended + _BETWEEN * (ended - began)

    def end(self, run: Run, model: str) -> None:
        """The run has come to its end with `model`: another may go on from where it is."""
        if self._facts is not None:
            self._write(replace(self._facts, ended=model, state=run.state()))

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)


def _temperature(
    task: Task, fit: Fit, data: TrainingSet, library: Library, report: DeviceReport
) -> float | None:
    """Makes confidence honest; None when there is nothing fair to measure it on."""
    if data.lent or fit.stopped:
        return None
    network = fused(fit.network).to(report.device)
    reader = task.reader(network, fit.recipe.normalisation, report.device)
    return task.temperature(reader, data.validation, library)


def _settle(seed: int) -> None:
    """This process is for training: fixed seeds, and no threads of OpenCV beside torch's."""
    seed_everything(seed)
    devices.keep_memory()
    devices.share_cores()
    cv2.setNumThreads(1)


def _afford(judge: Judge, start: _Start, seconds: float) -> None:
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


def _restore(run: Run, kept: Checkpoint, keeper: _Keeper) -> None:
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


def _interrupted(project: Project, request: TrainRequest, weak: bool) -> _Start | None:
    """The run that did not come to its end, when it is what would be trained now."""
    found = checkpoint.read(project.root / checkpoint.PLACE) if request.resume else None
    if found is None or request.start_from == FROM_SCRATCH:
        return None
    parent = project.models.get(request.start_from) if request.start_from else None
    parent = parent or project.models.current()
    begun = _goes_on(found, request, parent.id if parent is not None else "")
    same = found.classes == project.classes.names and begun
    if not same or request.architecture not in (None, found.architecture):
        return None
    try:
        how = Recipe().overridden(found.recipe)
        if (how.weak == BOXES) != weak:
            return None
        if how.overridden(request.overrides) != how:
            return None
        network = registry.build(found.architecture, len(found.classes), **how.options)
        network.load_state_dict(found.state["network"])
    except (UserError, RuntimeError, KeyError, TypeError):
        return None  # of another version of the program
    parent = parent if found.parent else None
    note = f"Going on where training was interrupted, after {found.seconds:.0f} s"
    if found.ended:
        note = "Going on from where the last round came to"
    return _Start(network, found.architecture, how, parent, note, found)


def _goes_on(found: Checkpoint, request: TrainRequest, parent: str) -> bool:
    """Whether what is wanted now begins where the run that is kept did."""
    if not found.ended:
        return found.parent == parent or not (found.parent or request.start_from)
    is_round = request.overrides.get("name") == LIVE
    return is_round and (found.parent == parent or found.ended == request.start_from)


# what to start from ----------------------------------------------------------------------------


def _prepare(
    project: Project,
    data: TrainingSet,
    library: Library,
    request: TrainRequest,
    report: DeviceReport,
    control: Control,
) -> _Start:
    parent = _parent(project, request)
    facts = recipe.study(
        (library.get(item) for item in list(data.train)[:_STUDIED]),
        len(data.classes),
        len(data.train),
    )
    overrides = {**project.manifest.recipe, **request.overrides, "seed": request.seed}
    if parent is not None:
        return _from_parent(parent, data, facts, report, overrides)
    chosen = str(overrides.get("weights", ""))
    architecture = _architecture(project, request)
    failures: list[UserError] = []
    watch = _download_watch(control)
    options = Recipe().overridden(overrides).options
    pretrained = weights.choose(architecture, chosen, watch, failures.append, options)
    try:
        start = _from_scratch(architecture, data, facts, report, overrides, pretrained)
    except weights.MisfitError as error:
        if chosen:
            raise
        failures.append(error)
        start = _from_scratch(architecture, data, facts, report, overrides, None)
    for failure in failures:
        start = replace(start, note=f"Starting without its published weights: {failure}")
    return start


def _architecture(project: Project, request: TrainRequest) -> str:
    """What is trained, unless an interrupted run goes on."""
    parent = _parent(project, request)
    return parent.architecture if parent is not None else request.architecture or "unet"


def _download_watch(control: Control) -> weights.OnProgress:
    """Tells how far a download is, and ends it when the job is cancelled."""

    def watch(done: int, total: int | None) -> None:
        if control.should_stop():
            raise Cancelled
        size = done if total is None else total
        control.on_event(Progress(done / 1e6, size / 1e6, text="MB of weights"))

    return watch


def _parent(project: Project, request: TrainRequest) -> ModelInfo | None:
    if request.start_from == FROM_SCRATCH:
        return None
    if request.start_from is not None:
        parent = project.models.get(request.start_from)
        if request.architecture not in (None, parent.architecture):
            raise UserError(
                f"{parent.id} is a {parent.architecture}, not a {request.architecture}",
                remedy="Leave the architecture out, or train from scratch",
            )
        return parent
    current = project.models.current()
    if current is None or request.architecture not in (None, current.architecture):
        return None
    return current


def _from_parent(
    parent: ModelInfo,
    data: TrainingSet,
    facts: recipe.Facts,
    report: DeviceReport,
    overrides: Mapping[str, Any],
) -> _Start:
    """Go on from a model: its options and normalisation stay, its head grows."""
    known = data.project.classes.now_each(parent.classes)
    if not set(known) & set(data.classes):
        raise UserError(
            f"{parent.id} knows none of this project's classes",
            path=parent.path,
            remedy="Load it again with a mapping of its classes, or train from scratch",
        )
    options = dict(parent.card.get("options", {}))
    how = task_of(parent.architecture).configure(
        facts,
        report.kind,
        pretrained=True,
        memory=report.memory,
        overrides={**_pace(parent, overrides), **overrides},
    )
    how = replace(
        how,
        options=options,
        normalisation=Normalisation.from_card(parent.card.get("normalisation", {})),
        encoder_factor=parent.card.get("recipe", {}).get("encoder_factor", 1.0),
    )
    network, new = store.network_from(parent, known, data.classes, options)
    note = f"Classes new to {parent.id}: {', '.join(new)}" if new else ""
    return _Start(network, parent.architecture, how, parent, note)


def _pace(parent: ModelInfo, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """How a model is trained on: gently, or, when it has only begun to learn, as it began, for
    then it learns new images better and forgets old ones less. A rate means something to its own
    optimiser only, and a named recipe may have one."""
    steps, before = _steps(parent), parent.card.get("recipe", {})
    began = before.get("learning_rate")
    named = {**recipe.NAMED.get(str(overrides.get("name")), {}), **overrides}
    same = before.get("optimiser") == named.get("optimiser", Recipe.optimiser)
    if steps is None or steps >= _YOUNG or not isinstance(began, float) or began <= 0:
        return {"freeze_statistics": 0.0}
    return {"learning_rate": began} if same and "learning_rate" not in named else {}


def _steps(model: ModelInfo) -> int | None:
    """Steps a model and those it went on from have taken; None where nobody knows, as of models
    that came from elsewhere."""
    found = model.card.get("steps_in_all")
    return found if isinstance(found, int) else None


def _from_scratch(
    architecture: str,
    data: TrainingSet,
    facts: recipe.Facts,
    report: DeviceReport,
    overrides: Mapping[str, Any],
    pretrained: weights.Chosen | None,
) -> _Start:
    card = registry.card_of(architecture)
    how = task_of(architecture).configure(
        facts,
        report.kind,
        pretrained=pretrained is not None,
        memory=report.memory,
        overrides=recipe.with_inputs_of(card, overrides),
    )
    small = pretrained is None and recipe.may_be_light(facts, report.kind, how.options)
    light = card.light if small else {}
    options = {**card.options, **light, **how.options}
    network = registry.build(architecture, len(data.classes), **options)
    note = f"{card.title} in its light form, which learns faster without a GPU" if light else ""
    if pretrained is not None:
        anew = weights.load_into(store.body_of(network), pretrained)
        note = f"Starting from {pretrained.title}{_but_for(anew)}"
    return _Start(network, architecture, replace(how, options=options), None, note)


def _but_for(anew: Sequence[str]) -> str:
    """The layers of those tensors, in words."""
    layers = dict.fromkeys(name.rpartition(".")[0] for name in anew)
    return f"; begins anew: {', '.join(layers)}" if layers else ""


# writing ---------------------------------------------------------------------------------------


def _save(
    project: Project,
    data: TrainingSet,
    start: _Start,
    fit: Fit,
    decision: promotion.Decision,
    temperature: float | None,
    on_event: events.OnEvent,
) -> TrainResult:
    scores = {
        **pooled(fit.scores, len(data.classes)).scores(data.classes),
        **precision(fit.scores, data.classes),
        "images": len(fit.scores),
        "provisional": decision.provisional,
    }
    before = _steps(start.parent) if start.parent else 0
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
        "temperature": temperature,
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
