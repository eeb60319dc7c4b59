"""Predictions: one picture, or a folder with decoding ahead and writing behind."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from segstudio.errors import Cancelled, UserError
from segstudio.learning import device as devices
from segstudio.learning import events, store
from segstudio.learning.events import ImageDone, ImageFailed, Log, Progress
from segstudio.learning.inference import QUICK, Care, Check, Notice, Prediction
from segstudio.learning.normalise import Picture
from segstudio.learning.task import task_of
from segstudio.learning.trainingset import number_table
from segstudio.networks.fuse import fused
from segstudio.project.models import ModelInfo
from segstudio.project.prepared import Cares, lacking_care
from segstudio.project.project import Project
from segstudio.project.runs import BatchRun
from segstudio.project.scan import ImageKey

_AHEAD: Final = 3
_BEHIND: Final = 4
LabelMap = NDArray[np.integer]
Margin = NDArray[np.uint8]


class Predictor:
    """A model on a device, ready for pictures.

    `values` are the project's class numbers by name, former ones too; without them classes are
    numbered as in the model. `notice` hears of memory running out.
    """

    def __init__(
        self,
        model: ModelInfo,
        device: torch.device | str = "cpu",
        values: Mapping[str, int] | None = None,
        notice: Notice = lambda text: None,
    ) -> None:
        loaded = store.load_model(model)
        place = torch.device(device)
        if values is None:
            values = {name: row for row, name in enumerate(loaded.classes, start=1)}
        self.model = model
        self.numbers = number_table(values, loaded.classes)
        self.missing = tuple(name for name in loaded.classes if name not in values)
        network = fused(loaded.network).to(place).to(memory_format=devices.layout(place))
        self._reader = task_of(loaded.architecture).reader(
            network,
            loaded.normalisation,
            place,
            notice=notice,
            temperature=loaded.temperature,
            finishes=loaded.finishes,
        )

    def prepare(self, picture: Picture) -> NDArray[np.float32]:
        """Network inputs (3, h, w) float32; can run in another thread."""
        return self._reader.normalisation.apply(picture)

    def predict(
        self, picture: Picture, care: Care = QUICK, check: Check = lambda: None
    ) -> tuple[LabelMap, Margin]:
        """(h, w, 3) uint8 RGB to a label map (h, w) and the margin p1 - p2, 0..255 uint8."""
        labels, margin, *_ = self.predict_prepared(self.prepare(picture), care, check)
        return labels, margin

    def predict_prepared(
        self,
        inputs: NDArray[np.float32],
        care: Care = QUICK,
        check: Check = lambda: None,
    ) -> Prediction:
        """All that is found, with the project's class numbers in the label map."""
        found = self._reader.predict(inputs, care, check)
        return found._replace(labels=self.numbers[found.labels])


@dataclass(frozen=True)
class SegmentResult:
    """How many images were predicted now, were there already, or failed with a reason; `run` is
    the number of the batch run, 0 when it was none or did nothing."""

    model: str
    done: int
    skipped: int
    failed: Mapping[str, str]
    seconds: float
    run: int = 0


class _Read(NamedTuple):
    key: str
    inputs: NDArray[np.float32] | None
    problem: str


def segment(
    project: Project,
    model: ModelInfo,
    keys: Sequence[str],
    device: str = "auto",
    on_event: events.OnEvent = events.ignore,
    should_stop: Callable[[], bool] = events.never,
    between_images: Callable[[], None] = events.at_once,
    predictor: Predictor | None = None,
    run: BatchRun | None = None,
    note: Callable[[ImageKey], None] | None = None,
    care: Care = QUICK,
) -> SegmentResult:
    """Write a label map and a margin for each image that has none of this model yet.

    With more care than QUICK also for those that have one which was made with less, and which
    nobody has seen.

    With a batch run they are part of it, so that they can be taken back together, and so are
    those that were prepared ahead. Without one, `note` hears of each before it is written.

    Label files are never touched. An image that fails is reported and the rest goes on. When
    stopped, raises Cancelled between two tiles; what was written stays.
    """
    began = time.monotonic()
    project.ensure_written()
    if predictor is None:
        predictor = open_predictor(project, model, device, on_event)
    lacks = _lacking(project, model, care)
    todo = [key for key in keys if lacks(key)]
    if run is not None:
        note = run.note
        run.take_over(set(keys) - set(todo))
    job = _Folder(project, predictor, on_event, should_stop, note, lacks, care)
    failed = job.run(todo, between_images)
    done = len(todo) - len(failed)
    seconds = round(time.monotonic() - began, 3)
    return SegmentResult(
        model.id, done, len(keys) - len(todo), failed, seconds, run.number if run else 0
    )


def _lacking(project: Project, model: ModelInfo, care: Care) -> Callable[[ImageKey], bool]:
    """Whether an image is to be predicted by a model, as it is when that is asked."""
    if care.careful:
        return lacking_care(project, model, thorough=care.mirrored)
    return lambda key: not project.predictions.has(model.id, key)


def open_predictor(
    project: Project,
    model: ModelInfo,
    device: str = "auto",
    on_event: events.OnEvent = events.ignore,
) -> Predictor:
    """The model on the best device, giving the project's class numbers; says what is odd."""
    devices.keep_memory()
    cv2.setNumThreads(1)
    place = devices.probe(device).device
    predictor = Predictor(
        model, place, project.classes.old_values, notice=lambda text: on_event(Log(text))
    )
    if len(predictor.missing) == len(model.classes):
        raise UserError(
            f"{model.id} knows none of this project's classes",
            path=model.path,
            remedy="Load it with a mapping of its classes",
        )
    if predictor.missing:
        names = ", ".join(predictor.missing)
        on_event(Log(f"Not classes of this project, predicted as background: {names}"))
    return predictor


class _Folder:
    """One run over many images: decoding ahead in a thread, writing behind in another."""

    def __init__(
        self,
        project: Project,
        predictor: Predictor,
        on_event: events.OnEvent,
        should_stop: Callable[[], bool],
        note: Callable[[ImageKey], None] | None,
        lacks: Callable[[ImageKey], bool],
        care: Care,
    ) -> None:
        self._project, self._predictor, self._note = project, predictor, note
        self._lacks, self._care = lacks, care
        self._on_event, self._should_stop = on_event, should_stop
        self._model = predictor.model.id
        self._cares = Cares(project, self._model)
        self._failed: dict[str, str] = {}
        self._writing: deque[tuple[str, float, Future[None]]] = deque()
        self._finished = 0

    def run(self, keys: Sequence[str], between_images: Callable[[], None]) -> dict[str, str]:
        """Returns the reasons of images that failed, by key."""
        self._began, self._total = time.monotonic(), len(keys)
        with ExitStack() as stack:
            reader, writer = (
                stack.enter_context(ThreadPoolExecutor(1, name)) for name in ("decode", "write")
            )
            stack.callback(reader.shutdown, wait=False, cancel_futures=True)
            for read in self._ahead(reader, keys):
                self._check()
                between_images()
                self._one(read, writer)
                self._collect(most=_BEHIND)
            self._collect(most=0)
        return self._failed

    def _ahead(self, reader: ThreadPoolExecutor, keys: Sequence[str]) -> Iterator[_Read]:
        waiting: deque[Future[_Read]] = deque()
        for key in keys:
            waiting.append(reader.submit(self._read, key))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _read(self, key: str) -> _Read:
        try:
            return _Read(key, self._predictor.prepare(self._project.read_image(key)), "")
        except (UserError, OSError, ValueError, MemoryError) as error:
            return _Read(key, None, _sentence(error))

    def _one(self, read: _Read, writer: ThreadPoolExecutor) -> None:
        if read.inputs is None:
            return self._fail(read.key, read.problem)
        if not self._lacks(read.key):  # somebody could not wait for it, and may be looking at it
            return self._step()
        began = time.monotonic()
        try:
            found = self._predictor.predict_prepared(read.inputs, self._care, self._check)
        except (RuntimeError, MemoryError, ValueError) as error:
            return self._fail(read.key, _sentence(error))
        seconds = time.monotonic() - began
        task = writer.submit(self._write, read.key, found)
        self._writing.append((read.key, seconds, task))
        return None

    def _write(self, key: str, found: Prediction) -> None:
        if not self._lacks(key):
            return
        if self._note is not None:
            self._note(key)
        self._project.predictions.write(
            self._model, key, _as_map(found.labels), found.margin, found.numbers
        )
        if self._care.careful:
            self._cares.note(key, "thorough" if self._care.mirrored else "careful")

    def _collect(self, most: int) -> None:
        """Report what has been written; wait while more than `most` pictures are unwritten."""
        while self._writing and (len(self._writing) > most or self._writing[0][2].done()):
            key, seconds, task = self._writing.popleft()
            try:
                task.result()
            except (UserError, OSError) as error:
                self._fail(key, _sentence(error))
                continue
            self._on_event(ImageDone(key, self._model, round(seconds, 4)))
            self._step()

    def _fail(self, key: str, reason: str) -> None:
        self._failed[key] = reason
        self._on_event(ImageFailed(key, reason))
        self._step()

    def _step(self) -> None:
        self._finished += 1
        rate = self._finished / max(1e-9, time.monotonic() - self._began)
        left = (self._total - self._finished) / rate
        self._on_event(Progress(self._finished, self._total, round(rate, 3), round(left, 1)))

    def _check(self) -> None:
        if self._should_stop():
            raise Cancelled


def _as_map(labels: LabelMap) -> Any:
    return labels if labels.dtype in (np.uint8, np.uint16) else labels.astype(np.uint16)


def _sentence(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
