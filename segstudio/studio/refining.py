"""Refining outlines in the window: what is chosen goes to the predictor, what would change is
shown, and only then applied, as one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from segstudio.annotation.bitmap import Bitmap, Box, intersect_boxes, union_boxes
from segstudio.annotation.document import Edit, Layer, Splice
from segstudio.annotation.rasterise import coverage, draw_ids
from segstudio.annotation.shape import Shape
from segstudio.engine import protocol as p
from segstudio.project import atomic
from segstudio.studio.canvas.guess import Guess
from segstudio.studio.i18n import tr
from segstudio.studio.jobs import Job, Jobs
from segstudio.studio.open_image import OpenImage
from segstudio.studio.session import Session

_LAYERS: Final[tuple[Layer, ...]] = ("drafts", "shapes")
FOLDER: Final = Path(".segstudio", "refining")
_AROUND: Final = 40
"""Image pixels around the shapes that are looked at too."""
_DOUBT: Final = 25
"""Sureness (0..255) that a drawn outline gains with each pixel away from it."""


@dataclass(frozen=True, slots=True)
class _Task:
    """Shapes to refine, from the bottom up: by number as they were, their pixels, and the value
    of their class; and what they look like together in a part of the picture."""

    image: OpenImage
    shapes: dict[int, Shape]
    pixels: dict[int, Bitmap]
    values: dict[int, int]
    box: Box
    owners: NDArray[np.int32]
    labels: NDArray[np.int32]

    @property
    def is_fresh(self) -> bool:
        """Whether the shapes are still as they were."""
        document = self.image.document
        return all(document.shape(n) is shape for n, shape in self.shapes.items())


class Refining(QObject):
    """One refinement at a time; the newest question counts."""

    changes_made = Signal(object)
    """A canvas.guess.Guess of what would change, or None."""
    ended = Signal()
    counted = Signal(int, int)
    """Pixels gained and lost."""

    def __init__(self, session: Session, jobs: Jobs, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._jobs = session, jobs
        self._task: _Task | None = None
        self._asked = ""
        self._asked_for: _Task | None = None
        self._again: tuple[str, int, int] | None = None
        self._found: NDArray[np.int32] | None = None
        jobs.changed.connect(self._take)
        session.image_changed.connect(self.end)

    def begin(self) -> bool:
        """Take what is selected, else all drafts; False, and said why, when there is nothing."""
        image = self._session.image
        if self._session.is_read_only():
            return False
        numbers = self._chosen(image) if image is not None else []
        if image is None or not numbers:
            words = tr("Select masks or drafts to refine; locked shapes stay as they are.")
            self._session.message.emit(words, "warn")
            return False
        self._task, self._found = _task(image, numbers), None
        return True

    def end(self) -> None:
        """Forget it all."""
        self._task = self._found = self._again = None
        self.changes_made.emit(None)
        self.ended.emit()

    @staticmethod
    def _chosen(image: OpenImage) -> list[int]:
        desk = image.desk
        chosen = [n for n, s in desk.selected() if s.kind != "opaque" and not desk.is_locked(s)]
        return chosen or list(image.document.ids("drafts"))

    def ask(self, edges: str, holes: int, parts: int) -> None:
        """Work out what would change."""
        task, project = self._task, self._session.project
        if task is None or project is None:
            return
        self._found = None
        if self._asked:
            self._again = edges, holes, parts
            return
        name = self._jobs.new_id()
        file = project.root / FOLDER / f"{name}.npz"
        with atomic.replacing(file, durable=False) as temporary, temporary.open("wb") as stream:
            margin, fixed = self._margin(task), _fixed(task)
            np.savez(stream, labels=task.labels, margin=margin, fixed=fixed)
        how = {"edges": edges, "holes": holes, "parts": parts}
        request = p.Refine(name, str(project.root), task.image.key, str(file), task.box[:2], how)
        self._asked, self._asked_for = name, task
        self._jobs.run("predictor", tr("Refining"), request, quiet=True)

    def _margin(self, task: _Task) -> NDArray[np.uint8]:
        """The model's own where its drafts are refined, else doubt near the outlines."""
        project, image = self._session.project, task.image
        x0, y0, x1, y1 = task.box
        drafts = set(image.document.ids("drafts"))
        if project is not None and image.drafts.model and drafts.issuperset(task.shapes):
            margin = project.predictions.read_margin(image.drafts.model, image.key)
            if margin is not None and margin.shape == image.document.size:
                return np.ascontiguousarray(margin[y0:y1, x0:x1])
        depth = np.full(task.labels.shape, 1e6, np.float32)
        for value in np.unique(task.labels).tolist():
            inside = (task.labels == value).astype(np.uint8)
            if not inside.all():
                here = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_3)
                depth = np.where(inside > 0, here, depth)
        return np.asarray((depth * _DOUBT).clip(0, 250), np.uint8)

    def _take(self, job: Job) -> None:
        if job.id != self._asked or not job.is_over:
            return
        self._asked = ""
        if job.state == "failed":
            self._session.message.emit(job.text, "bad")
        labels = _read_away(Path(job.project) / FOLDER, job.id)
        task = self._task
        if labels is not None and task is not None and task is self._asked_for:
            self._show(task, labels)
        if self._again is not None:
            again, self._again = self._again, None
            self.ask(*again)

    def _show(self, task: _Task, labels: NDArray[np.int32]) -> None:
        self._found = labels
        before = task.labels
        gained, lost = (labels > 0) & (labels != before), (before > 0) & (labels != before)
        height, width = task.image.document.size
        whole = np.zeros((2, height, width), np.bool_)
        x0, y0, x1, y1 = task.box
        whole[0, y0:y1, x0:x1], whole[1, y0:y1, x0:x1] = gained, lost & ~gained
        self.changes_made.emit(Guess.changes(whole[0], whole[1]))
        self.counted.emit(int(gained.sum()), int(lost.sum()))

    def apply(self) -> None:
        """Make it so, as one step; drafts that were refined are corrected shapes from then on."""
        task, labels, session = self._task, self._found, self._session
        if (
            task is None
            or labels is None
            or session.image is not task.image
            or session.is_read_only()
        ):
            self.end()
        elif not task.is_fresh:
            words = tr("The shapes have changed meanwhile: nothing was refined.")
            session.message.emit(words, "warn")
            self.end()
        else:
            edit = _edit(task, labels)
            if edit.splices:
                task.image.document.apply(edit)
            self.end()


def _read_away(folder: Path, job: str) -> NDArray[np.int32] | None:
    """What a job has found, None when it has not; its files are removed."""
    out = folder / f"{job}.out.npz"
    labels: NDArray[np.int32] | None = None
    if out.exists():
        with np.load(out) as found:
            labels = found["labels"]
    for file in (out, folder / f"{job}.npz"):
        file.unlink(missing_ok=True)
    return labels


def _task(image: OpenImage, numbers: Sequence[int]) -> _Task:
    document = image.document
    height, width = document.size
    chosen = set(numbers)
    shapes = {
        number: shape
        for layer in _LAYERS
        for number, shape in zip(document.ids(layer), document.layer_shapes(layer), strict=True)
        if number in chosen
    }
    pixels = {number: coverage(shape, (height, width)) for number, shape in shapes.items()}
    names = dict.fromkeys(shape.class_name for shape in shapes.values())
    classes = {name: value for value, name in enumerate(names, start=1)}
    values = {number: classes[shape.class_name] for number, shape in shapes.items()}
    box: Box | None = None
    for bitmap in pixels.values():
        box = union_boxes(box, bitmap.bounds())
    left, top, right, bottom = box or (0, 0, 1, 1)
    grown = (left - _AROUND, top - _AROUND, right + _AROUND, bottom + _AROUND)
    box = intersect_boxes(grown, (0, 0, width, height))
    owners = np.zeros((box[3] - box[1], box[2] - box[0]), np.int32)
    labels = np.zeros_like(owners)
    for number, bitmap in pixels.items():
        covered = bitmap.to_array(box)
        owners[covered], labels[covered] = number, values[number]
    return _Task(image, shapes, pixels, values, box, owners, labels)


def _fixed(task: _Task) -> NDArray[np.bool_]:
    """Pixels that belong to other shapes and drafts."""
    document = task.image.document
    mine = task.shapes
    others = [
        shape
        for layer in _LAYERS
        for number, shape in zip(document.ids(layer), document.layer_shapes(layer), strict=True)
        if number not in mine
    ]
    return np.asarray(draw_ids(others, [1] * len(others), task.box, "L") > 0)


def _edit(task: _Task, labels: NDArray[np.int32]) -> Edit:
    """The shapes with what they gain and without what they lose; one with no pixel left goes.

    A pixel goes to the nearest shape of its new class, and is lost by all of the old one. What
    lies under another shape stays where it is.
    """
    nearest = _nearest(task.owners)
    document = task.image.document
    places = {layer: {n: i for i, n in enumerate(document.ids(layer))} for layer in _LAYERS}
    changed = labels != task.labels
    removed: list[Splice] = []
    replaced: list[Splice] = []
    taken: list[Shape] = []
    for number, shape in task.shapes.items():
        value, old = task.values[number], task.pixels[number].to_array(task.box)
        lost = changed & (task.labels == value)
        mask = (old & ~lost) | (changed & (labels == value) & (nearest == number))
        if np.array_equal(mask, old):
            continue
        fresh = shape.with_bitmap(Bitmap.from_array(mask, *task.box[:2])) if mask.any() else None
        if number in places["drafts"]:
            removed.append(Splice("drafts", places["drafts"][number], (shape,), ()))
            taken += [replace(fresh, source="corrected")] if fresh is not None else []
        else:
            kept = (fresh,) if fresh is not None else ()
            replaced.append(Splice("shapes", places["shapes"][number], (shape,), kept))
    backwards = [*replaced[::-1], *removed[::-1]]  # places before a change stay right
    inserted = [Splice("shapes", 0, (), tuple(taken))] if taken else []
    return Edit(tr("Refine outlines"), (*backwards, *inserted))


def _nearest(owners: NDArray[np.int32]) -> NDArray[np.int32]:
    """For each pixel the shape it belongs to, or the nearest one."""
    empty = (owners == 0).astype(np.uint8)
    if not empty.any() or empty.all():
        return owners
    _, numbers = cv2.distanceTransformWithLabels(
        empty, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros(int(numbers.max()) + 1, np.int32)
    table[numbers[empty == 0]] = owners[empty == 0]
    return np.asarray(table[numbers], np.int32)
