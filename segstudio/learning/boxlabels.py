"""The targets that a project's rectangles stand for: made once, made better while a network learns.

They are files in the project's cache; label files are only read.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from segstudio.annotation.document import Annotation
from segstudio.annotation.rasterise import IdArray, LabelMap
from segstudio.errors import Cancelled, UserError
from segstudio.learning import events
from segstudio.learning.events import Log, Progress
from segstudio.learning.normalise import Picture
from segstudio.learning.trainingset import number_table
from segstudio.learning.weak import grab_cut_targets, has_boxes, instances_in, refined_targets
from segstudio.networks.fuse import fused
from segstudio.project import atomic
from segstudio.project.models import ModelInfo
from segstudio.project.predictions import png_bytes, read_png
from segstudio.project.project import Project

if TYPE_CHECKING:
    from segstudio.learning.loop import Run

BOXES: Final = "boxes"
"""What the recipe calls it."""
PLACE: Final = Path(".segstudio", "cache", "weak")
ROUNDS: Final = 2
"""How often the targets are made better in one training."""
STRETCH: Final = 300.0
"""Seconds until then, when the training has no end set."""
METHOD: Final = 1
"""Grows when the same boxes give other targets: older ones in the cache are made anew."""
_REFINING: Final = 0.1
"""Of the training's time: what one round may take at most."""
Predict = Callable[[Picture], tuple[NDArray[np.integer], NDArray[np.uint8]]]
"""A picture to the project's class numbers and the margin, both (h, w)."""


@dataclass(eq=False)
class BoxLabels:
    """The targets of a project's images, and when they are made better: `ROUNDS` times in
    `seconds` of training."""

    project: Project
    on_event: events.OnEvent = events.ignore
    should_stop: Callable[[], bool] = events.never
    seconds: float | None = None
    rounds: int = 0
    _refined: dict[str, int] = field(default_factory=dict)
    _predictor: Callable[[], Predict] | None = None
    _pause_point: Callable[[], None] = events.at_once
    _since: float = field(default_factory=time.monotonic)

    def concerns(self, key: str) -> bool:
        """Whether there are boxes in the labels of an image; False when they cannot be read."""
        try:
            return has_boxes(self.project.load(key))
        except UserError:
            return False

    def map(self, key: str) -> LabelMap:
        """The target (h, w) of an image: from its label file where that has no boxes."""
        kept = read_png(self._file(key, refined=key in self._refined))
        return kept if kept is not None else self._made(key)

    def instances(self, key: str, target: LabelMap) -> IdArray:
        """The instance of every pixel of an image's target, (h, w) each; 0 for none."""
        return instances_in(target, self.project.load(key), self.project.classes.values)

    def version(self, key: str) -> float:
        """Grows with each better target of an image, in seconds that are none."""
        return 1e-3 * self._refined.get(key, 0)

    def prepare(self, keys: Sequence[str]) -> None:
        """Make the first targets of images, in as many threads as there are cores."""
        todo = [key for key in keys if read_png(self._file(key)) is None]
        pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="boxes")
        try:
            for done, _ in enumerate(pool.map(self.map, todo), start=1):
                self._check_stop()
                self.on_event(Progress(done, len(todo), text="images: boxes to segments"))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        now = time.monotonic()  # training begins: what is left of the time is divided
        if self.seconds is not None:
            self.seconds = max(0.0, self.seconds - (now - self._since))
        self._since = now

    def _check_stop(self) -> None:
        if self.should_stop():
            raise Cancelled

    def learned(self, run: Run, classes: Sequence[str]) -> None:
        """The network in training, after a validation; `classes` are those of its rows."""
        self._predictor = partial(_predictor, run, self.project, classes, self._check_stop)
        self._pause_point = run.pause_point

    def refine_when_due(self, keys: Sequence[str]) -> bool:
        """Put the network's own predictions in the place of the targets of these images when the
        time has come, of as many as there is time for; whether that was done."""
        stretch = STRETCH if self.seconds is None else self.seconds / (ROUNDS + 1)
        due = time.monotonic() - self._since >= stretch * (self.rounds + 1)
        if self._predictor is None or self.rounds >= ROUNDS or not due:
            return False
        boxed = [key for key in keys if self.concerns(key)]
        changed = self._refine_some(boxed, self._predictor(), _REFINING * stretch * (ROUNDS + 1))
        self.rounds += 1
        self._refined.update(dict.fromkeys(changed, self.rounds))
        count = f"{len(changed)} of {len(boxed)}"
        self.on_event(Log(f"The segments in the boxes of {count} images were refined"))
        return bool(changed)

    def _refine_some(self, keys: Sequence[str], predict: Predict, seconds: float) -> list[str]:
        """Which images were refined: one, and by lot as many more as fit into that time."""
        done: list[str] = []
        spent = 0.0
        for index in np.random.default_rng(self.rounds).permutation(len(keys)).tolist():
            self._wait_while_paused()
            began = time.monotonic()
            if self._refine(keys[index], predict):
                done.append(keys[index])
            spent += time.monotonic() - began
            if spent + spent / max(1, len(done)) > seconds:
                break
        return done

    def _wait_while_paused(self) -> None:
        """Time spent paused does not count."""
        before = time.monotonic()
        self._pause_point()
        self._since += time.monotonic() - before
        self._check_stop()

    def _refine(self, key: str, predict: Predict) -> bool:
        before, after = self._file(key), self._file(key, refined=True)  # see `_file`
        annotation = self.project.load(key)
        if not has_boxes(annotation):
            return False
        first = read_png(before)
        first = first if first is not None else self._made(key)
        facts = annotation, self.project.classes.values, self._is_silent(annotation)
        better = refined_targets(first, predict(self.project.read_image(key)), *facts)
        atomic.write_bytes(after, png_bytes(better), durable=False)
        return True

    def _made(self, key: str) -> LabelMap:
        file = self._file(key)  # see there
        annotation = self.project.load(key)
        if not has_boxes(annotation):
            return self.project.training_map(key)
        facts = annotation, self.project.classes.values, self._is_silent(annotation)
        made = grab_cut_targets(self.project.read_image(key), *facts)
        if not self.project.read_only:
            for old in file.parent.glob(f"{_bare(file)}.*.png"):
                old.unlink(missing_ok=True)
            atomic.write_bytes(file, png_bytes(made), durable=False)
        return made

    def _is_silent(self, annotation: Annotation) -> bool:
        return not annotation.is_confirmed or self._ignores_the_rest

    @property
    def _ignores_the_rest(self) -> bool:
        return self.project.manifest.unlabelled == "ignore"

    def _file(self, key: str, refined: bool = False) -> Path:
        """Named by all that a target follows from: the label file's stamp, what unlabelled pixels
        mean to the project, and the method.

        To be asked before the labels are read: if they are saved meanwhile, what was made of the
        old ones then has a name that nobody looks for any more.
        """
        stamp = self.project.label_stamp(key) or (0, 0)
        stem = self.project.root / PLACE / self.project.prediction_stem(key)
        how = f"{METHOD}i" if self._ignores_the_rest else f"{METHOD}"
        end = "better" if refined else "first"
        return stem.with_name(f"{stem.name}.{stamp[0]:x}-{stamp[1]:x}-{how}.{end}.png")


def _bare(file: Path) -> str:
    """The name of an image's targets up to the stamp, for `glob`."""
    name = file.name.rsplit(".", 3)[0]
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def judged_by_boxes(project: Project, model: ModelInfo | None) -> BoxLabels | None:
    """What a model is scored against where rectangles are boxes around things, for the project or
    for the training of the model: the first targets, as in training; else None."""
    learned = model.card.get("recipe", {}) if model is not None else {}
    recipes = (project.manifest.recipe, learned)
    return BoxLabels(project) if any(how.get("weak") == BOXES for how in recipes) else None


def box_labels(
    project: Project,
    recipe: Mapping[str, Any],
    minutes: float | None,
    on_event: events.OnEvent,
    should_stop: Callable[[], bool],
) -> BoxLabels | None:
    """The targets for a training by `recipe`, with the first ones made; None when its rectangles
    are the things themselves."""
    if recipe.get("weak", "") != BOXES:
        return None
    labels = BoxLabels(project, on_event, should_stop, minutes and minutes * 60)
    labels.prepare([key for key in project.labelled_keys() if not project.problem(key)])
    return labels


def _predictor(
    run: Run, project: Project, classes: Sequence[str], check: Callable[[], None]
) -> Predict:
    """What the network of a run says now; `check` ends it, between tiles too."""
    network = fused(run.average.network)
    reader = run.task.reader(network, run.recipe.normalisation, run.device)
    numbers = number_table(project.classes.old_values, classes)

    def predict(picture: Picture) -> tuple[NDArray[np.integer], NDArray[np.uint8]]:
        rows, margin, *_ = reader.read(picture, check)
        return numbers[rows], margin

    return predict
