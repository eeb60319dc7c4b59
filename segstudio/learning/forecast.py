"""Drafts of a frame from the labels of a frame before it, carried along by the motion between.

Luc et al. 2017 (`segstudio.networks.s2s`) predict the next label map without the next picture.
Here that picture is there, so the motion can be seen, frame by frame from the labelled one; this
is far better than their network where both can be measured (`benchmarks.temporal`).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segstudio.annotation.rasterise import void_value
from segstudio.errors import UserError
from segstudio.learning import events
from segstudio.learning.metrics import Confusion
from segstudio.learning.motion import Motion, motion, path
from segstudio.learning.trainingset import to_rows
from segstudio.project.frames import FRAME_BEFORE, before, is_expected, way_back
from segstudio.project.index import Stamp, stamp
from segstudio.project.project import Project
from segstudio.project.runs import BatchRun
from segstudio.project.scan import ImageKey
from segstudio.project.touching import count_touching

_KEPT: Final = 32
"""Motions that are remembered."""
_COMPARED: Final = 3
"""Confirmed frames whose forecasts say how good the next one will be."""


class Forecast(NamedTuple):
    """The labels of `source` as they lie `steps` frames later: label map and margin (h, w), and
    `things` (h, w) where some of a class touch, 0 for none."""

    source: ImageKey
    steps: int
    labels: NDArray[np.uint8] | NDArray[np.uint16]
    margin: NDArray[np.uint8]
    things: NDArray[np.uint16] | None


@dataclass(frozen=True)
class Offer:
    """What is best for an image: a forecast, or none, and how its like agreed with what was
    confirmed (mIoU), None where nothing can be compared."""

    forecast: Forecast | None
    agreement: float | None = None


class Forecaster:
    """Forecasts for one project at a time; keeps what it has seen of pictures and agreements."""

    def __init__(self) -> None:
        self._motions: OrderedDict[tuple[object, ...], Motion | None] = OrderedDict()
        self._agreements: dict[tuple[object, ...], Confusion | None] = {}

    def offer(self, project: Project, key: ImageKey) -> Offer:
        """A forecast for an image, unless the model in force does better: its mIoU on validation
        images is at least that of the last forecasts for confirmed frames, or there are none."""
        found = self.forecast(project, way_back(project, key))
        model = project.models.current()
        if found is None or model is None:
            return Offer(found)
        ours, theirs = self.agreement(project, key, found.steps), model.scores.get("miou")
        better = ours is not None and theirs is not None and ours > float(theirs)
        return Offer(found if better else None, ours)

    def forecast(self, project: Project, way: Sequence[ImageKey]) -> Forecast | None:
        """For the first image of `way` from the labels of its last; None where the scene changes
        on the way, pictures cannot be read or differ in size, or nothing is labelled."""
        seen = self._seen(project, way)
        if not seen:
            return None
        try:
            labels, numbers = project.training_maps(way[-1], True)
        except (UserError, OSError):
            return None
        labels = np.where(labels == void_value(project.classes.values.values()), 0, labels)
        if not labels.any() or labels.shape != _shape(project, way[0]):
            return None
        carried = path(seen)
        things = None
        if numbers is not None and count_touching(labels, numbers)[0]:
            things = carried.carry(numbers.astype(np.uint16)) * (carried.carry(labels) > 0)
        return Forecast(
            way[-1],
            len(way) - 1,
            carried.carry(labels),
            carried.margin(labels.shape),
            None if things is None else things.astype(np.uint16),
        )

    def _seen(self, project: Project, way: Sequence[ImageKey]) -> list[Motion]:
        """The motions back along `way`; [] as soon as the scene changes."""
        found: list[Motion] = []
        for later, earlier in pairwise(way):
            one = self._motion(project, earlier, later)
            if one is None or not one.is_same_scene:
                return []
            found.append(one)
        return found

    def agreement(self, project: Project, key: ImageKey, steps: int = 1) -> float | None:
        """Mean IoU of forecasts over at least so many frames with what is confirmed on the last
        few frames before an image; None where there are none."""
        done = [k for k in before(project.included(), key) if project.state(k) == "confirmed"]
        found: list[Confusion] = []
        for earlier in done:
            compared = self._compare(project, earlier, steps)
            found += [compared] if compared is not None else []
            if len(found) == _COMPARED:
                break
        score = Confusion.total(found, len(project.classes) + 1).miou() if found else np.nan
        return None if np.isnan(score) else float(score)

    def _compare(self, project: Project, key: ImageKey, steps: int) -> Confusion | None:
        way = way_back(project, key, steps)
        if not way:
            return None
        stamps = (project.label_stamp(key), project.label_stamp(way[-1]))
        name = (project.root, *way, *stamps)
        if name not in self._agreements:
            found = self.forecast(project, way)
            self._agreements[name] = _confusion(project, key, found) if found else None
        return self._agreements[name]

    def _motion(self, project: Project, earlier: ImageKey, later: ImageKey) -> Motion | None:
        files = (project.image_file(key) for key in (earlier, later))
        name = (project.root, earlier, later, *map(stamp, files))  # a picture may be replaced
        if name not in self._motions:
            try:
                pictures = project.read_image(earlier), project.read_image(later)
                self._motions[name] = motion(*pictures)
            except (UserError, OSError):
                self._motions[name] = None
            while len(self._motions) > _KEPT:
                self._motions.popitem(last=False)
        self._motions.move_to_end(name)
        return self._motions[name]


@dataclass(frozen=True)
class ForecastResult:
    """How many images got drafts from a frame before, and how many none because no frame before
    has labels or the scene changes; `agreement` is the mIoU of such drafts with what is confirmed
    on the frames before the first of them. `run` as in SegmentResult."""

    done: int
    without: int
    agreement: float | None
    seconds: float
    run: int = 0


def forecast_folder(
    project: Project,
    keys: Sequence[ImageKey],
    on_event: events.OnEvent = events.ignore,
    should_stop: Callable[[], bool] = events.never,
    run: BatchRun | None = None,
) -> ForecastResult:
    """Write drafts for each of `keys` that may have some from a frame before, whatever the model
    in force says. When stopped, raises Cancelled between two images; what was written stays."""
    began = time.monotonic()
    project.ensure_written()
    forecaster, done, agreement = Forecaster(), 0, None
    for place, key in enumerate(keys):
        if should_stop():
            raise events.Cancelled
        found = None
        if is_expected(project, key):
            found = forecaster.forecast(project, way_back(project, key))
        if found is not None and not done:
            agreement = forecaster.agreement(project, key, found.steps)
        done += write(project, key, found, run) if found is not None else False
        on_event(events.Progress(place + 1, len(keys)))
    seconds = round(time.monotonic() - began, 3)
    return ForecastResult(
        done, len(keys) - done, agreement, seconds, run.number if run is not None else 0
    )


def write(
    project: Project, key: ImageKey, found: Forecast | None, run: BatchRun | None = None
) -> bool:
    """Keep a forecast as the drafts of an image, or take an old one away; whether there is one.

    One that a person has seen stays, unless the labels it came from have changed since and he
    has decided nothing about it.
    """
    predictions = project.predictions
    seen = predictions.paths(FRAME_BEFORE, key).shown.exists()
    if seen and (found is None or not _is_stale(project, key, found.source)):
        return predictions.has(FRAME_BEFORE, key)
    predictions.remove(FRAME_BEFORE, key, shown=True)
    if found is None:
        return False
    if run is not None:
        run.note(key)
    predictions.write(FRAME_BEFORE, key, found.labels, found.margin, found.things)
    return True


def _is_stale(project: Project, key: ImageKey, source: ImageKey) -> bool:
    review = project.reviews.load(key)
    if review is not None and (review.accepted or review.rejected or review.confirmed_at):
        return False
    made, labelled = project.predictions.stamp(FRAME_BEFORE, key), project.label_stamp(source)
    return made is None or (labelled is not None and _time(labelled) > _time(made))


def _time(stamp: Stamp) -> int:
    return int(stamp[0])


def _confusion(project: Project, key: ImageKey, found: Forecast) -> Confusion | None:
    names = project.classes.names
    try:
        truth = to_rows(project.training_map(key), project, names)
    except (UserError, OSError):
        return None
    rows = np.maximum(to_rows(found.labels, project, names), 0)
    return Confusion(len(names) + 1).add(rows, truth)


def _shape(project: Project, key: ImageKey) -> tuple[int, int]:
    width, height = project.image_size(key)
    return height, width
