"""What a training run starts from: a model, published weights, nothing, or an unfinished run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from segstudio.errors import Cancelled, UserError
from segstudio.learning import checkpoint, recipe, store
from segstudio.learning.boxlabels import BOXES
from segstudio.learning.checkpoint import Checkpoint
from segstudio.learning.device import DeviceReport
from segstudio.learning.events import Progress
from segstudio.learning.loop import Control
from segstudio.learning.normalise import Normalisation
from segstudio.learning.recipe import Recipe
from segstudio.learning.samples import Library
from segstudio.learning.task import task_of
from segstudio.learning.trainingset import TrainingSet
from segstudio.networks import registry, weights
from segstudio.project.models import ModelInfo
from segstudio.project.project import Project

FROM_SCRATCH = ""
LIVE = str(recipe.LIVE["name"])
_STUDIED = 50
"""Images looked at for the recipe."""
_YOUNG = 3000
"""Steps, with those of the models before it, after which a network is trained on gently."""


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
class Start:
    """A network to begin with and where it comes from."""

    network: nn.Module
    architecture: str
    recipe: Recipe
    parent: ModelInfo | None
    note: str = ""
    kept: Checkpoint | None = None


def interrupted(project: Project, request: TrainRequest, weak: bool) -> Start | None:
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
    # after a round that ended, what came of it is what there is to read
    note = (
        ""
        if found.ended
        else f"Going on where training was interrupted, after {found.seconds:.0f} s"
    )
    return Start(network, found.architecture, how, parent, note, found)


def _goes_on(found: Checkpoint, request: TrainRequest, parent: str) -> bool:
    """Whether what is wanted now begins where the run that is kept did."""
    if not found.ended:
        return found.parent == parent or not (found.parent or request.start_from)
    is_round = request.overrides.get("name") == LIVE
    return is_round and (found.parent == parent or found.ended == request.start_from)


def prepare(
    project: Project,
    data: TrainingSet,
    library: Library,
    request: TrainRequest,
    report: DeviceReport,
    control: Control,
) -> Start:
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
    architecture = architecture_of(project, request)
    failures: list[UserError] = []
    watch = download_watch(control)
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


def architecture_of(project: Project, request: TrainRequest) -> str:
    """What is trained, unless an interrupted run goes on."""
    parent = _parent(project, request)
    return parent.architecture if parent is not None else request.architecture or "unet"


def download_watch(control: Control) -> weights.OnProgress:
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
) -> Start:
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
    return Start(network, parent.architecture, how, parent, note)


def _pace(parent: ModelInfo, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """How a model is trained on: gently, or, when it has only begun to learn, as it began, for
    then it learns new images better and forgets old ones less. A rate means something to its own
    optimiser only, and a named recipe may have one."""
    steps, before = steps_of(parent), parent.card.get("recipe", {})
    began = before.get("learning_rate")
    named = {**recipe.NAMED.get(str(overrides.get("name")), {}), **overrides}
    same = before.get("optimiser") == named.get("optimiser", Recipe.optimiser)
    if steps is None or steps >= _YOUNG or not isinstance(began, float) or began <= 0:
        return {"freeze_statistics": 0.0}
    return {"learning_rate": began} if same and "learning_rate" not in named else {}


def steps_of(model: ModelInfo) -> int | None:
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
) -> Start:
    card = registry.card_of(architecture)
    how = task_of(architecture).configure(
        facts,
        report.kind,
        pretrained=pretrained is not None,
        memory=report.memory,
        overrides=recipe.with_wishes_of(card, overrides, pretrained=pretrained is not None),
    )
    small = pretrained is None and recipe.may_be_light(facts, report.kind, how.options)
    light = card.light if small else {}
    options = {**card.options, **light, **how.options}
    network = registry.build(architecture, len(data.classes), **options)
    note = f"{card.title} in its light form, which learns faster without a GPU" if light else ""
    if pretrained is not None:
        anew = weights.load_into(store.body_of(network), pretrained)
        note = f"Starting from {pretrained.title}{_but_for(anew)}"
    return Start(network, architecture, replace(how, options=options), None, note)


def _but_for(anew: Sequence[str]) -> str:
    """The layers of those tensors, in words."""
    layers = dict.fromkeys(name.rpartition(".")[0] for name in anew)
    return f"; begins anew: {', '.join(layers)}" if layers else ""
