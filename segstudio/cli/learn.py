"""`train`, `segment` and `evaluate`: the functions of `segstudio.learning`, in this process."""

from __future__ import annotations

import json as jsons
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from segstudio.annotation import components
from segstudio.cli import console, folders
from segstudio.cli.console import FAILED, INTERRUPTED, OK, Progress, Result, note, say
from segstudio.errors import UserError
from segstudio.formats import Numbering, Truth, find_truth
from segstudio.project import sample
from segstudio.project.frames import FRAME_BEFORE
from segstudio.project.models import ModelInfo, best
from segstudio.project.project import Project
from segstudio.project.rectangles import only_rectangles
from segstudio.project.runs import BatchRun

STARTER: Final = "starter"
SCRATCH: Final = "scratch"


def train(
    folder: Path,
    arch: str | None,
    minutes: float | None,
    start_from: str | None,
    overrides: list[str],
    weak: str | None,
    seed: int,
    device: str,
    resume: bool,
    json: bool,
) -> Result:
    with Project.open(folder) as project:
        project.ensure_written()
        if weak is not None:
            overrides = [*overrides, f"weak={'' if weak == 'none' else weak}"]
        elif "weak" not in project.manifest.recipe and only_rectangles(project):
            note("Only rectangles are labelled. --weak boxes learns what is in them.")
        return train_project(project, arch, minutes, start_from, overrides, seed, device, resume)


def train_project(
    project: Project,
    arch: str | None = None,
    minutes: float | None = None,
    start_from: str | None = None,
    overrides: list[str] | None = None,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
) -> Result:
    from segstudio.learning.trainer import FROM_SCRATCH, TrainRequest, train

    request = TrainRequest(
        architecture=arch,
        minutes=minutes,
        start_from=FROM_SCRATCH if start_from == SCRATCH else start_from,
        overrides=dict(_override(text) for text in overrides or []),
        device=device,
        seed=seed,
        resume=resume,
    )
    teller = Teller("training")
    with console.stoppable() as stopper:
        result = train(project, request, teller, stopper)
    teller.close()
    say(f"{result.model}: {'promoted' if result.promoted else 'kept as a candidate'}")
    say(result.reason)
    for text in result.worse:
        say(f"worse: {text}")
    return (INTERRUPTED if stopper.stopped else OK), asdict(result)


def segment(
    folder: Path,
    model: str | None,
    from_previous: bool,
    only: str,
    thorough: bool,
    accept: bool,
    device: str,
    json: bool,
) -> Result:
    if from_previous and thorough:
        raise UserError("--from-previous asks no model", remedy="Leave out --thorough.")
    if from_previous and model is not None:
        raise UserError("--from-previous takes no model", remedy="Leave out one of the two.")
    with Project.open(folder) as project:
        project.ensure_written()
        if from_previous:
            return _segment_frames(project, accept)
        chosen = choose_model(project, model)
        if accept and model is None:
            _check_not_lost(project, chosen)
        with project.runs.start(chosen.id, len(project.included()), thorough) as run:
            code, result = segment_project(project, chosen, only, device, run, thorough)
            if accept and code != INTERRUPTED:
                result["accepted"] = _accept(project, chosen.id, run)
        return code, _with_run(result, run)


def _check_not_lost(project: Project, chosen: ModelInfo) -> None:
    """Nobody has asked for labels from a model that lost its test."""
    if chosen.is_unproven and project.models.current() is None:
        raise UserError(
            f"No model is in force, and the best, {chosen.id}, lost its test",
            path=project.root,
            remedy=f"--model {chosen.id} accepts its drafts all the same.",
        )


def _with_run(result: dict[str, Any], run: BatchRun) -> dict[str, Any]:
    if run.number:
        result["run"] = run.number
        say(f"`segstudio runs FOLDER --undo {run.number}` takes it back")
    return result


def _segment_frames(project: Project, accept: bool) -> Result:
    """Drafts from the labels of frames before."""
    from segstudio.learning.forecast import forecast_folder

    labelled = set(project.labelled_keys())
    keys = [key for key in project.included() if key not in labelled]
    teller = Teller("carrying labels along")
    with project.runs.start(FRAME_BEFORE, len(keys)) as run:
        with console.stoppable() as stopper:
            found = forecast_folder(project, keys, teller, stopper, run)
        teller.close()
        seconds = console.duration(found.seconds)
        say(f"{found.done} frames have drafts from a frame before, in {seconds}")
        if found.without:
            say(f"{found.without} images have none: nothing before them in their film has labels")
        if found.agreement is not None:
            say(f"mIoU of such drafts with what is confirmed before them: {found.agreement:.2f}")
        result = asdict(found)
        if accept:
            result["accepted"] = _accept(project, FRAME_BEFORE, run)
    return OK, _with_run(result, run)


def _accept(project: Project, model: str, run: BatchRun) -> int:
    """Make the drafts of images that nobody has labelled their labels, not confirmed."""
    names = project.classes.by_value
    accepted = 0
    for key in project.included():
        found = project.predictions.read(model, key)
        review = project.reviews.load(key)
        if found is None or project.label_stamp(key) is not None:
            continue
        if review is not None and (review.accepted or review.rejected):
            note(f"{key} is left out: somebody has begun to review it in the window")
            continue
        if project.is_blind(key):
            note(f"{key} is left out: it is blind, its drafts are hidden until it is confirmed")
            continue
        things = project.predictions.read_instances(model, key)
        shapes = components.of_prediction(*found, things, names, model)
        run.note_accepted(key)
        project.save(key, replace(project.load(key), shapes=tuple(shapes)))
        accepted += 1
    say(f"{accepted} images have the drafts as their labels; none is confirmed")
    return accepted


def segment_project(
    project: Project,
    model: ModelInfo,
    only: str,
    device: str,
    run: BatchRun | None = None,
    thorough: bool = False,
) -> Result:
    from segstudio.learning.inference import QUICK, THOROUGH
    from segstudio.learning.predictor import segment

    keys = project.included()
    if only == "unlabelled":
        labelled = set(project.labelled_keys())
        keys = [key for key in keys if key not in labelled]
    teller = Teller("segmenting")
    with console.stoppable() as stopper:
        care = THOROUGH if thorough else QUICK
        result = segment(project, model, keys, device, teller, stopper, run=run, care=care)
    teller.close()
    say(
        f"{result.done} images segmented with {result.model} in "
        f"{console.duration(result.seconds)}; {result.skipped} had been before"
    )
    for key, reason in result.failed.items():
        note(f"failed: {key}: {reason}")
    return (FAILED if result.failed else OK), asdict(result)


def evaluate(
    folder: Path,
    model: str | None,
    against: Path | None,
    classes: tuple[str, ...],
    first_value: int,
    void_value: int | None,
    device: str,
    json: bool,
) -> Result:
    with Project.open(folder) as project:
        if classes and against is None:
            raise UserError(
                "--classes says what label maps mean", remedy="Name their folder with --against."
            )
        chosen = choose_model(project, model, in_force=False)
        truth = None
        if against is not None:
            truth = find_truth(project, against, Numbering(classes, first_value, void_value))
            if truth.by_order:
                note(
                    "note: nothing says what the values of these maps mean, so they are taken for "
                    f"the project's classes in their order, from {first_value}; --classes names "
                    "others."
                )
        return evaluate_project(project, chosen, truth, device)


def evaluate_project(
    project: Project, model: ModelInfo, truth: Truth | None = None, device: str = "auto"
) -> Result:
    from segstudio.learning.evaluate import evaluate

    readers = truth.readers if truth is not None else None
    teller = Teller("evaluating")
    with console.stoppable() as stopper:
        result = evaluate(project, model, readers, device, teller, stopper)
    teller.close()
    if truth is not None:
        truth.check()
        folders.say_values(truth.meanings)
        result["values"] = [asdict(meaning) for meaning in truth.meanings]
    unseen = result.get("validation")
    if isinstance(unseen, dict):
        say(f"{result['model']} on {unseen['images']} validation images it did not learn from:")
        _say_scores(unseen)
        say(f"on all {result['images']} images, those it learned from among them:")
    else:
        say(f"{result['model']} on {result['images']} images")
    if result["boxes"]:
        say(
            f"in {result['boxes']} of them rectangles are boxes around things: compared with the "
            "segments that training makes of them"
        )
    _say_scores(result)
    return OK, result


def choose_model(project: Project, wanted: str | None, in_force: bool = True) -> ModelInfo:
    """The wanted model, else the one in force, else the best; UserError says what to do.

    The starter is copied into the project, and is in force there unless another one is.
    """
    if wanted == STARTER:
        return _starter(project, in_force)
    if wanted is not None:
        return project.models.get(wanted)
    chosen = project.models.default()
    if chosen is not None:
        return chosen
    found = best(project.models.all())
    if found is None:
        remedy = "Train one, or use the nuclei model that ships with --model starter."
        raise UserError("There is no model yet", path=project.root, remedy=remedy)
    note(
        f"note: no model is in force, so {found.id} is used, the one with the highest score; "
        "--model names another one."
    )
    return found


def _starter(project: Project, in_force: bool) -> ModelInfo:
    """The starter model, copied into the project unless a copy is there; its classes are added."""
    shipped = sample.shipped_starter()
    have = [m for m in project.models.all() if sample.is_copy(m, shipped)]
    table = project.classes
    for name in shipped.classes:
        table = table.with_class(name)
    if table != project.classes:
        others = project.classes.names
        project.set_classes(table)
        if others:
            note(
                f"note: the starter model knows {', '.join(shipped.classes)} only, which is a new "
                f"class beside {', '.join(others)}. For another name of the same thing add the "
                "model with `segstudio models --adopt … --map THEIRS=OURS`."
            )
    if have:
        return have[-1]
    nothing_before = project.models.current() is None
    return sample.add_starter(project, in_force=in_force and nothing_before) or shipped


class Teller:
    """Tells the events of a job on stderr."""

    def __init__(self, verb: str) -> None:
        self._progress = Progress(verb)

    def __call__(self, event: Any) -> None:
        tell = getattr(self, f"_on_{type(event).__name__.lower()}", None)
        if tell is not None:
            tell(event)

    def close(self) -> None:
        self._progress.close()

    def _on_progress(self, event: Any) -> None:
        self._progress.step(event.done, event.total, event.text, event.rate, event.seconds_left)

    def _on_validation(self, event: Any) -> None:
        scores = {"mIoU": event.miou, "AP50": event.precision.get("ap50")}
        words = ", ".join(
            f"{name} {value:.4f}" for name, value in scores.items() if value is not None
        )
        self._line(f"step {event.step}: validation {words} ({event.images} images)")

    def _on_log(self, event: Any) -> None:
        self._line(event.text)

    def _line(self, text: str) -> None:
        self._progress.close()
        note(text)


def _say_scores(result: Mapping[str, Any]) -> None:
    say(f"mIoU {_number(result['miou'])}   mAcc {_number(result['macc'])}")
    if "ap" in result:
        say(f"AP {_number(result['ap'])}   AP50 {_number(result['ap50'])}")
    rows = [(name, iou, result["accuracy"].get(name)) for name, iou in result["iou"].items()]
    console.say_table(("class", "IoU", "accuracy"), rows)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _override(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"{text!r} is not KEY=VALUE")
    try:
        return key.strip(), jsons.loads(value)
    except ValueError:
        return key.strip(), value


def quality(folder: Path, report: Path | None, json: bool) -> Result:
    from segstudio.learning import quality as room
    from segstudio.learning import quality_report

    with Project.open(folder, read_only=True) as project:
        teller = Teller("comparing")
        with console.stoppable() as stopper:
            found = room.quality(project, teller, stopper)
        teller.close()
        if report is not None:
            quality_report.write_report(found, report, project.manifest.name)
    say(quality_report.summary(found))
    hidden = found.blind.iou if found.blind is not None else {}
    head = ("class", "IoU of what was shown", "blind")[: 3 if hidden else 2]
    rows = [
        (name, score, hidden.get(name))[: len(head)]
        for name, score in found.iou.items()
        if score is not None or hidden.get(name) is not None
    ]
    console.say_table(head, rows)
    suspicious = [
        (s.image, f"{s.x}, {s.y}", s.labelled, s.predicted, s.doubt) for s in found.suspicious
    ]
    if suspicious:
        console.say_table(("look again at", "at", "labelled", "predicted", "sure"), suspicious)
    return OK, found.to_json()
