"""The labelled images of a project as training and validation items."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from segstudio.annotation.rasterise import IdArray, LabelMap
from segstudio.errors import UserError
from segstudio.learning.metrics import VOID
from segstudio.learning.samples import Item, Labelled
from segstudio.project.project import Project

if TYPE_CHECKING:
    from segstudio.learning.boxlabels import BoxLabels

MOST_VALIDATION = 200
"""Validation images used; more would cost time and say little more."""
_NAMED = 5


@dataclass(eq=False)
class TrainingSet:
    """Items of both sides; `note` says what is unusual about them.

    With `instances` the items have them, and only confirmed images count: of a thing that nobody
    has drawn yet, a network that finds things would learn that it is none.

    `lent` is true when validation images are training images, because there are no others:
    their scores say little, and no model may be replaced on their word. `doubt` says why scores
    are better than they should be: validation images with near-duplicates in training, as when
    all pictures are frames of one video, or validation images that are a model's own drafts.
    """

    project: Project
    classes: tuple[str, ...]
    instances: bool = False
    train: Sequence[Item] = ()
    validation: Sequence[Item] = ()
    note: str = ""
    lent: bool = False
    doubt: str = ""
    most_validation: int = MOST_VALIDATION
    weak: BoxLabels | None = None
    _corrected: dict[tuple[str, float], tuple[bool, tuple[tuple[float, float], ...]]] = field(
        default_factory=dict
    )

    @classmethod
    def of(
        cls, project: Project, weak: BoxLabels | None = None, instances: bool = False
    ) -> TrainingSet:
        """Read the project's labels, with `weak` their rectangles as boxes around things;
        UserError when there is nothing to learn from."""
        if not len(project.classes):
            raise UserError("The project has no classes yet", remedy="Label an image first")
        found = cls(project, project.classes.names, instances, weak=weak)
        found.collect()
        return found

    def collect(self) -> None:
        """Sort the labelled images by side.

        An image that is not confirmed yet has a side as well: on that of training it is learned
        from, on that of validation it waits for being confirmed.
        """
        items = {key: self._item(key) for key in self.project.labelled_keys()}
        usable = {key: item for key, item in items.items() if item is not None}
        confirmed = set(self.project.confirmed_keys())
        splits = self.project.ensure_splits([key for key in usable if key not in confirmed])
        sides = {key: splits.side(key) or "train" for key in usable}
        self.train = [item for key, item in usable.items() if sides[key] == "train"]
        held = [i for key, i in usable.items() if sides[key] == "val" and key in confirmed]
        held = held or ([] if self.train else list(usable.values()))
        self.validation = spread(held, self.most_validation)
        self.note = ""
        if not self.train and not held:
            remedy = "Confirm" if self.instances else "Label"
            raise UserError(
                "There are no labels to learn from", remedy=f"{remedy} at least one image first"
            )
        self._lend()
        self.doubt = ". ".join(filter(None, (self._kinship(), self._flattery(), self._weakness())))
        self.note = ". ".join(filter(None, (self.note, self.doubt, self._damaged())))

    def _kinship(self) -> str:
        """Groups that lie on both sides, which happens when there are hardly any others."""
        groups = self.project.splits.groups
        learned = {groups.get(item.key) for item in self.train}
        kin = sum(bool(g := groups.get(i.key)) and g in learned for i in self.validation)
        if not kin or self.lent:
            return ""
        return (
            f"{kin} of {len(self.validation)} validation images are like training images "
            "(frames of one video?): scores are too good"
        )

    def _flattery(self) -> str:
        """Validation images whose labels are a model's own drafts, when they are the most.

        They stay: a candidate that breaks what was right must not pass. But people accept what
        they are shown, and the model that made the drafts scores perfectly on them.
        """
        reviews = (self.project.reviews.load(item.key) for item in self.validation)
        same = sum(review is not None and review.accepted_unchanged for review in reviews)
        if self.lent or 2 * same <= len(self.validation):
            return ""
        return (
            f"{same} of {len(self.validation)} validation images are drafts that were accepted "
            "unchanged: scores flatter the model that made them"
        )

    def _weakness(self) -> str:
        """Validation images that nobody has outlined."""
        if self.weak is None or self.lent:
            return ""
        count = sum(self.weak.concerns(item.key) for item in self.validation)
        if not count:
            return ""
        return f"{count} of {len(self.validation)} validation images are made of rectangles"

    def _damaged(self) -> str:
        damaged = self.project.damaged_keys()
        if not damaged:
            return ""
        some = ", ".join(self.project.label_file(key).name for key in damaged[:_NAMED])
        more = f" and {len(damaged) - _NAMED} more" if len(damaged) > _NAMED else ""
        return f"Label files that cannot be read are left out: {some}{more}"

    def _lend(self) -> None:
        """With too few images, one side has to do for both: rough scores beat none. Images that
        are learned from for want of others stay on the side of training."""
        self.lent = not self.train or not self.validation
        if not self.train:
            self.train = self.validation
            if not self.project.read_only:
                self.project.splits.give_to_training(item.key for item in self.train)
        if self.lent:
            self.validation = spread(self.train, self.most_validation)
            self.note = "No validation image is confirmed: scores are on training images"

    def refresh(self) -> tuple[Sequence[Item], Sequence[Item]] | None:
        """Both sides again when label files have changed since the last look, else None."""
        before = self._state()
        if self.weak is not None:
            self.weak.refine_when_due([item.key for item in self.train])
        self.project.reload_manifest()
        self.project.rescan()
        try:
            self.collect()
        except UserError:  # the last label was removed while training: keep what we have
            return None
        return (self.train, self.validation) if self._state() != before else None

    def _state(self) -> list[tuple[str, float]]:
        return [(item.key, item.version) for item in (*self.train, *self.validation)]

    def _item(self, key: str) -> Item | None:
        try:
            version = self.project.label_file(key).stat().st_mtime_ns / 1e9
        except OSError:
            return None
        name = (key, version)
        if name not in self._corrected:
            self._corrected[name] = self._look(key)
        usable, corrected = self._corrected[name]
        if not usable:
            return None
        if self.weak is not None:
            version += self.weak.version(key)
        width, height = self.project.image_size(key)
        return Item(key, partial(self._read, key), version, corrected, width * height)

    def _look(self, key: str) -> tuple[bool, tuple[tuple[float, float], ...]]:
        """Whether an image can be learned from, and centres of what a person corrected."""
        if self.project.problem(key):
            return False, ()
        try:
            annotation = self.project.load(key)
        except UserError:  # a label file that cannot be read stops nobody; the window says why
            return False, ()
        boxes = [shape.bounds() for shape in annotation.shapes if shape.source == "corrected"]
        centres = tuple(((b[0] + b[2]) / 2, (b[1] + b[3]) / 2) for b in boxes if b is not None)
        begun = bool(annotation.shapes) and not self.instances
        return annotation.is_confirmed or begun, centres

    def _read(self, key: str) -> Labelled:
        picture = self.project.read_image(key)
        known = [self.project.classes.now(name) for name in self.classes]  # renamed meanwhile
        found, instances = self._maps(key)
        labels = to_rows(found, self.project, known)
        if labels.shape != picture.shape[:2]:
            raise UserError(
                f"The labels are {labels.shape[::-1]} pixels, the picture {picture.shape[1::-1]}",
                path=self.project.label_file(key),
                remedy="Open the image and save it again",
            )
        return Labelled(picture, labels, instances=instances)

    def _maps(self, key: str) -> tuple[LabelMap, IdArray | None]:
        """Class numbers and, where they are wanted, instances of an image, (h, w) each."""
        if self.weak is None:
            return self.project.training_maps(key, self.instances)
        found = self.weak.map(key)
        return found, self.weak.instances(key, found) if self.instances else None

    def hash(self) -> str:
        """SHA-256 over the class names and label files of both sides."""
        digest = hashlib.sha256("\n".join(self.classes).encode())
        for item in sorted({item.key: item for item in (*self.train, *self.validation)}):
            digest.update(item.encode())
            with suppress(FileNotFoundError):  # removed since the run looked last
                digest.update(self.project.label_file(item).read_bytes())
        return digest.hexdigest()


def spread(items: Sequence[Item], most: int) -> Sequence[Item]:
    """At most that many of the items, evenly spaced."""
    return items[:: -(-len(items) // max(1, most))] if len(items) > most else items


def to_rows(
    labels: NDArray[np.uint8] | NDArray[np.uint16], project: Project, classes: Sequence[str]
) -> NDArray[np.int16]:
    """A project's label map (h, w) with class numbers to model rows, VOID where unknown."""
    return row_table(project.classes.values, classes)[labels]


def row_table(values: Mapping[str, int], classes: Sequence[str]) -> NDArray[np.int16]:
    """(65536,) from class number to model row; classes the model lacks are void."""
    table = np.full(65536, VOID, np.int16)
    table[0] = 0
    for row, name in enumerate(classes, start=1):
        if name in values:
            table[values[name]] = row
    return table


def number_table(values: Mapping[str, int], classes: Sequence[str]) -> NDArray[np.integer]:
    """From model row to the project's class number, for predictions; unknown classes are 0.

    uint8 as long as every number of the project is below 255, else uint16, as label files are.
    """
    kind = np.uint8 if max(values.values(), default=0) < 255 else np.uint16
    return np.array([0, *(values.get(name, 0) for name in classes)], dtype=kind)
