"""What each child can do. torch is imported when a request needs it, never by this module."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from filelock import FileLock, Timeout

from segstudio.engine import protocol
from segstudio.engine.guess import Guesser
from segstudio.engine.protocol import Message
from segstudio.engine.worker import Control, Handler, Worker
from segstudio.errors import Cancelled
from segstudio.learning import events
from segstudio.project import atomic
from segstudio.project.bulk import BulkEdit
from segstudio.project.frames import FRAME_BEFORE, is_expected
from segstudio.project.prepared import Prepared
from segstudio.project.project import Project
from segstudio.project.runs import BatchRun
from segstudio.project.shape_index import ShapeIndex

if TYPE_CHECKING:
    from segstudio.learning.device import DeviceReport
    from segstudio.learning.forecast import Forecaster
    from segstudio.learning.predictor import Predictor

_PREDICTING: Final = Path(".segstudio", "predicting.lock")
_LOOK_AGAIN: Final = 0.1
"""Seconds between two looks at whether a waiting job was cancelled."""


_PROMPT: Final = (
    protocol.Guess,
    protocol.Forecast,
    protocol.Refine,
    protocol.Bulk,
    protocol.UndoRun,
    protocol.Export,
    protocol.Import,
)


def is_urgent(request: Message) -> bool:
    """A person waits for one image, a folder can wait; of files, what he asked for goes first."""
    if isinstance(request, _PROMPT):
        return True
    if not isinstance(request, protocol.Segment):
        return False
    return len(request.images) == 1 and not request.spare


def teller(worker: Worker, job: str) -> events.OnEvent:
    """Sends learning's events as messages of the same names."""

    def tell(event: events.Event) -> None:
        kind = getattr(protocol, type(event).__name__)
        facts = {f.name: getattr(event, f.name) for f in fields(event)}
        if isinstance(event, events.Progress):
            facts |= {"done": round(event.done), "total": round(event.total)}
        worker.send(kind(job=job, **facts))

    return tell


# the device ------------------------------------------------------------------------------------


def _probe(role: str) -> Handler:
    def probe(worker: Worker, request: protocol.Probe, control: Control) -> None:
        from segstudio.learning import device

        worker.send(_ready(role, device.probe(request.device)))

    return probe


def _ready(role: str, report: DeviceReport) -> protocol.Ready:
    from segstudio.learning.machine import machine

    here = machine(report)
    return protocol.Ready(
        role,
        report.kind,
        report.name,
        report.reason_not_gpu,
        report.gpu_unused,
        here.free,
        tuple(sorted(here.weights)),
    )


# the predictor ---------------------------------------------------------------------------------


@dataclass
class _Kept:
    """The network that stays loaded between requests, and what it was loaded for."""

    key: tuple[object, ...] = ()
    predictor: Predictor | None = None

    def get(self, project: Project, model_id: str, device: str, tell: events.OnEvent) -> Predictor:
        from segstudio.learning.predictor import open_predictor

        model = project.models.get(model_id)
        key = (project.root, model.id, device, *sorted(project.classes.old_values.items()))
        if self.predictor is None or key != self.key:
            # the old one is dropped only when the new one is there
            self.predictor, self.key = open_predictor(project, model, device, tell), key
        return self.predictor


def predictor_role() -> Mapping[type[Message], Handler]:
    kept = _Kept()
    guesser = Guesser()

    @cache
    def forecaster() -> Forecaster:
        from segstudio.learning.forecast import Forecaster

        return Forecaster()

    def guess(worker: Worker, request: protocol.Guess, control: Control) -> Mapping[str, Any]:
        with _first(Path(request.project), request):
            return guesser.guess(request)

    def forecast(worker: Worker, request: protocol.Forecast, control: Control) -> Mapping[str, Any]:
        from segstudio.learning.forecast import write

        with Project.open(Path(request.project)) as project, _first(project.root, request):
            found, taken_back = None, request.image in project.runs.refused(FRAME_BEFORE)
            if is_expected(project, request.image) and not taken_back:
                found = forecaster().offer(project, request.image).forecast
                found = found if write(project, request.image, found) else None
        return {"image": request.image, "source": found.source if found else ""}

    def segment(worker: Worker, request: protocol.Segment, control: Control) -> Mapping[str, Any]:
        from segstudio.learning import predictor
        from segstudio.learning.inference import CARES

        tell = teller(worker, request.job)
        with Project.open(Path(request.project)) as project, _first(project.root, request):
            ready = kept.get(project, request.model, request.device, tell)
            ahead = Prepared(project.root, ready.model.id) if request.ahead else None
            with _batch_run(project, ready.model.id, request) as run, _cores(request):
                result = predictor.segment(
                    project,
                    ready.model,
                    request.images,
                    request.device,
                    tell,
                    control.should_stop,
                    between_images=lambda: _let_urgent_pass(worker, request),
                    predictor=ready,
                    run=run,
                    note=ahead.note if ahead is not None else None,
                    care=CARES[request.care],
                )
        return asdict(result)

    def evaluate(worker: Worker, request: protocol.Evaluate, control: Control) -> Mapping[str, Any]:
        from segstudio.learning.evaluate import evaluate

        with Project.open(Path(request.project)) as project:
            return evaluate(
                project,
                project.models.get(request.model),
                device=request.device,
                on_event=teller(worker, request.job),
                should_stop=control.should_stop,
            )

    return {
        protocol.Probe: _probe("predictor"),
        protocol.Refine: _refine,
        protocol.Segment: segment,
        protocol.Guess: guess,
        protocol.Forecast: forecast,
        protocol.Evaluate: evaluate,
        protocol.Adopt: _adopt,
    }


def _batch_run(
    project: Project, model: str, request: protocol.Segment
) -> AbstractContextManager[BatchRun | None]:
    if not request.as_run:
        return nullcontext()
    return project.runs.start(model, len(request.images), request.care == "thorough")


@contextmanager
def _cores(request: protocol.Segment) -> Iterator[None]:
    """One processor core for what nobody waits for, all for the rest."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1 if request.spare else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _refine(worker: Worker, request: protocol.Refine, control: Control) -> Mapping[str, Any]:
    import numpy as np

    from segstudio.learning.refine import Refinement, refine

    with np.load(request.file) as found:
        labels, margin, fixed = found["labels"], found["margin"], found["fixed"]
    height, width = labels.shape
    x, y = request.corner
    with Project.open(Path(request.project), read_only=True) as project:
        picture = project.read_image(request.image)[y : y + height, x : x + width]
    refined = refine(labels, margin, picture, Refinement.from_json(request.how), fixed)
    out = Path(request.file).with_suffix(".out.npz")
    with atomic.replacing(out, durable=False) as temporary, temporary.open("wb") as stream:
        np.savez(stream, labels=refined)
    return {"file": str(out), "image": request.image}


def _let_urgent_pass(worker: Worker, request: protocol.Segment) -> None:
    if not is_urgent(request):  # an urgent request does not make way for another
        worker.take_urgent()


@contextmanager
def _first(root: Path, request: Message) -> Iterator[None]:
    """Hold the lock for which training waits, while a person waits for one image."""
    if not is_urgent(request):
        yield
        return
    lock = root / _PREDICTING
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        yield


# the trainer -----------------------------------------------------------------------------------


def trainer_role() -> Mapping[type[Message], Handler]:
    return {protocol.Probe: _probe("trainer"), protocol.Train: _train, protocol.Adopt: _adopt}


def _train(worker: Worker, request: protocol.Train, control: Control) -> Mapping[str, Any]:
    from segstudio.learning.trainer import TrainRequest, train

    with Project.open(Path(request.project)) as project:
        result = train(
            project,
            TrainRequest(
                request.architecture,
                request.minutes,
                request.start_from,
                dict(request.overrides),
                request.device,
                resume=request.resume,
            ),
            teller(worker, request.job),
            control.should_stop,
            _waiting(project, control),
        )
    return asdict(result)


def _waiting(project: Project, control: Control) -> Callable[[], None]:
    """Waits while the job is paused, and while the predictor serves a person's request.

    The lock is the operating system's: a predictor that dies does not stop training for good.
    """
    path = project.root / _PREDICTING
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)

    def wait() -> None:
        control.wait_while_paused()
        while os.path.exists(path) and not control.should_stop():
            try:
                lock.acquire(timeout=_LOOK_AGAIN)
            except Timeout:
                continue
            lock.release()
            return

    return wait


def _adopt(worker: Worker, request: protocol.Adopt, control: Control) -> Mapping[str, Any]:
    from segstudio.learning.adopt import adopt_model

    with Project.open(Path(request.project)) as project:
        info = adopt_model(project, Path(request.file), request.mapping, request.architecture)
    return {"model": info.id, "architecture": info.architecture, "classes": list(info.classes)}


# long file work --------------------------------------------------------------------------------


def _quality(worker: Worker, request: protocol.Quality, control: Control) -> Mapping[str, Any]:
    from segstudio.learning.quality import quality
    from segstudio.learning.quality_report import write_report

    with Project.open(Path(request.project), read_only=True) as project:
        tell = teller(worker, request.job)
        found = quality(project, tell, control.should_stop, worker.take_urgent)
        if request.report:
            write_report(found, Path(request.report), project.manifest.name)
    return {"quality": found.to_json(), "report": request.report}


def files_role() -> Mapping[type[Message], Handler]:
    return {
        protocol.Quality: _quality,
        protocol.Export: _export,
        protocol.Import: _import,
        protocol.Bulk: _bulk,
        protocol.UndoRun: _undo_run,
        protocol.IndexShapes: _index_shapes,
    }


def _export(worker: Worker, request: protocol.Export, control: Control) -> Mapping[str, Any]:
    from segstudio import formats

    with Project.open(Path(request.project)) as project:
        report = formats.export(
            project,
            Path(request.out),
            request.format,
            request.images,
            on_progress=_counter(worker, request.job),
            should_stop=control.should_stop,
        )
    return report.to_json()


def _import(worker: Worker, request: protocol.Import, control: Control) -> Mapping[str, Any]:
    from segstudio import formats

    with Project.open(Path(request.project)) as project:
        report = formats.import_into(
            project,
            formats.find_set(Path(request.source), request.format),
            on_progress=_counter(worker, request.job),
            should_stop=control.should_stop,
        )
    return report.to_json()


def _bulk(worker: Worker, request: protocol.Bulk, control: Control) -> Mapping[str, Any]:
    tell = _counter(worker, request.job)
    with Project.open(Path(request.project)) as project:
        if request.edit is None:
            undone = project.bulk.undo(tell)
            return undone.to_json() if undone is not None else {}
        edit = BulkEdit.from_json(request.edit)
        return project.bulk.run(edit, tell, control.should_stop).to_json()


def _undo_run(worker: Worker, request: protocol.UndoRun, control: Control) -> Mapping[str, Any]:
    with Project.open(Path(request.project)) as project:
        return project.runs.undo(request.run, _counter(worker, request.job)).to_json()


def _index_shapes(
    worker: Worker, request: protocol.IndexShapes, control: Control
) -> Mapping[str, Any]:
    index = ShapeIndex(Path(request.index))
    try:
        with Project.open(Path(request.project)) as project:
            tell = _counter(worker, request.job)
            read = index.refresh(project, tell, control.should_stop, worker.take_urgent)
    finally:
        index.close()
    if control.should_stop():
        raise Cancelled
    return {"read": read}


def _counter(worker: Worker, job: str) -> Callable[[int, int, str], None]:
    return lambda done, total, text: worker.send(protocol.Progress(job, done, total, text=text))


ROLES: Final[Mapping[str, Callable[[], Mapping[type[Message], Handler]]]] = {
    "predictor": predictor_role,
    "trainer": trainer_role,
    "files": files_role,
}
