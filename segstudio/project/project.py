"""A project: one folder that holds pictures, labels, models and everything made from them."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final, Literal, cast

from segstudio.annotation import rasterise
from segstudio.annotation.document import Annotation
from segstudio.errors import UserError
from segstudio.project import atomic, blind, grouping, images, manifest, order, pictures
from segstudio.project.bands import Raw, read_raw
from segstudio.project.bulk import BulkEdit
from segstudio.project.bulk_store import BulkStore
from segstudio.project.classes import ClassTable
from segstudio.project.frames import FRAME_BEFORE
from segstudio.project.history import Histories
from segstudio.project.images import RGB
from segstudio.project.index import Index, LabelFacts, Stamp, stamp
from segstudio.project.labelme import LabelFile
from segstudio.project.labels import DAMAGED, LabelFiles
from segstudio.project.manifest import Manifest
from segstudio.project.models import ModelStore
from segstudio.project.predictions import LabelMap, Predictions
from segstudio.project.reviews import Reviews
from segstudio.project.runs import Runs
from segstudio.project.scan import ImageKey, stem_of
from segstudio.project.splits import SplitItem, Splits
from segstudio.project.tiles import TileReader, open_tiles

State = Literal["none", "draft", "edited", "confirmed"]
_INDEX: Final = Path(".segstudio", "cache", "index.sqlite")
_LARGE: Final = 24_000_000
"""Pixels."""
_PARTS: Final = ("models", "predictions", "exports", "reviews", "labels", ".segstudio")


class Project:
    """A project folder that is open.

    Nothing is written before something changes: a folder of pictures opened in place stays as
    it is until a label is saved, a class is added, or `ensure_written` is called.
    """

    def __init__(
        self, root: Path, facts: Manifest, at: Stamp | None, *, read_only: bool = False
    ) -> None:
        """`at` is the stamp of the manifest file that says `facts`, None when there is none."""
        self.root: Final = root
        self.read_only: Final = read_only
        self._manifest = facts
        self._changing = threading.RLock()
        self.label_round = 0
        """How often another process has written label files since."""
        self.recovered: tuple[BulkEdit, ...] = ()
        """Bulk edits that another process had begun and that opening has finished."""
        self.recovered_runs: tuple[int, ...] = ()
        """Runs whose taking back another process had begun and opening has finished."""
        # what the manifest file says as far as we know, and when it said so
        self._stored, self._stored_at = facts, at
        kept = self.is_project(root) and not read_only
        index = Index(root / _INDEX if kept else None)
        self._pictures = pictures.Pictures(root, facts.image_roots, index)
        self._labels = LabelFiles(root, self._pictures, facts.labels == "mirrored")
        self._looks = order.Looks(lambda key: order.embed(self.thumbnail(key)))
        self.rescan()

    # -- making, opening, closing

    @classmethod
    def create(
        cls,
        root: Path,
        *,
        name: str | None = None,
        images: Path | None = None,
        classes: Sequence[str] = (),
    ) -> Project:
        """Make a project in `root`, with the picture folder `images` (default `root/images`, or
        `root` itself when it holds files), and with the classes of the label files there.

        UserError when there is one already.
        """
        root = Path(os.path.abspath(root))
        if cls.is_project(root):
            raise UserError("There is a project already", path=root, remedy="Open it.")
        if images is not None and not images.is_dir():
            raise UserError("The picture folder does not exist", path=images)
        root.mkdir(parents=True, exist_ok=True)
        facts = Manifest(
            name=name or root.name,
            classes=ClassTable.of(*classes),
            image_roots=(_first_root(root, images),),
        )
        manifest.save(root, facts)
        project = cls(root, facts, stamp(manifest.path_of(root)))
        project.collect_classes()
        return project

    @classmethod
    def open(cls, root: Path, *, read_only: bool = False, collect: bool = True) -> Project:
        """Open a project, or any folder of pictures in place.

        Without a manifest the classes are collected from the label files, unless `collect` is
        False because the caller does so in the background. UserError when there is no folder.
        """
        root = Path(os.path.abspath(root))
        if not root.is_dir():
            raise UserError("There is no such folder", path=root)
        at = stamp(manifest.path_of(root))
        facts = manifest.load(root) if at else Manifest(root.name, image_roots=(".",))
        project = cls(root, facts, at, read_only=read_only)
        if not at and collect:
            project.collect_classes()
        if not read_only and cls.is_project(root):
            for name in _PARTS:
                atomic.sweep(root / name)
            project.recovered = project.bulk.recover()
            project.recovered_runs = project.runs.recover()
        return project

    @staticmethod
    def is_project(root: Path) -> bool:
        return manifest.path_of(root).is_file()

    def ensure_written(self) -> None:
        """Make a folder opened in place a project, so that its class numbers are fixed.

        Call it before anything is made that uses them: models, predictions. When another process
        has made it one meanwhile, its facts count and ours are added.
        """
        self._check_writable()
        with self._changing:
            if self._stored_at is None or not self.is_project(self.root):
                self._write_manifest(self._manifest)

    def close(self) -> None:
        """Write the index; the object is not to be used afterwards."""
        self._pictures.index.close()

    def __enter__(self) -> Project:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- facts

    @property
    def name(self) -> str:
        return self._manifest.name

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    @property
    def classes(self) -> ClassTable:
        return self._manifest.classes

    def set_manifest(self, facts: Manifest) -> None:
        """Change the project's facts and write them.

        What another process has changed in the file meanwhile stays, unless it is changed here
        too; two new classes never get one number, so look at `classes` again afterwards.
        """
        with self._changing:
            before = self._manifest
            self.ensure_written()
            self._write_manifest(facts.merged(before, self._manifest))

    def reload_manifest(self) -> bool:
        """Take over what another process has written; whether anything is different now."""
        with self._changing:
            now, before = stamp(manifest.path_of(self.root)), self._manifest
            if now is not None and now != self._stored_at:
                theirs = manifest.load(self.root)
                merged = before.merged(self._stored, theirs)
                self._stored, self._stored_at = theirs, now
                self._adopt(merged)
            return self._manifest != before

    def _write_manifest(self, facts: Manifest) -> None:
        """Write `facts`, with what another process has changed since we knew the file."""
        path = manifest.path_of(self.root)
        with self._changing, manifest.locked(self.root):
            now, theirs = stamp(path), self._stored
            if now is not None and now != self._stored_at:
                theirs = manifest.load(self.root)
            merged = facts.merged(self._stored, theirs)
            if now is None or merged != theirs:
                manifest.save(self.root, merged)
            self._stored, self._stored_at = merged, stamp(path)
            self._adopt(merged)

    def _adopt(self, facts: Manifest) -> None:
        moved = facts.image_roots != self._manifest.image_roots
        self._manifest = facts
        self._labels.mirrored = facts.labels == "mirrored"
        if moved:
            self._pictures = pictures.Pictures(self.root, facts.image_roots, self._pictures.index)
            self._labels = LabelFiles(self.root, self._pictures, self._labels.mirrored)
            self.rescan()

    def set_classes(self, table: ClassTable) -> None:
        self.set_manifest(replace(self._manifest, classes=table))

    def collect_classes(self) -> list[str]:
        """Add the classes that label files use; returns the new ones.

        From the last scan, and as quick as `states`: call it when `rescan` found new label files.
        In a folder opened in place they are not written before something else is.
        """
        found: dict[str, None] = {}
        for key in self.images():
            facts = self._labels.listed_summary(key)
            found.update(dict.fromkeys(facts.classes if facts else ()))
        self._pictures.index.flush()
        with self._changing:
            table = self.classes
            for name in found:
                table = table.with_class(name)
            new = [name for name in found if name not in self.classes]
            if new and self.is_project(self.root) and not self.read_only:
                self.set_classes(table)
            else:
                self._manifest = replace(self._manifest, classes=table)
        return new

    def exclude(self, key: ImageKey, excluded: bool = True) -> None:
        """Leave an image out of training, segmenting and export, or take it back."""
        keys = [k for k in self._manifest.excluded if k != key] + [key] * excluded
        self.set_manifest(replace(self._manifest, excluded=tuple(keys)))

    # -- images

    def images(self) -> tuple[ImageKey, ...]:
        """All pictures as of the last scan, in natural order, excluded ones too."""
        return self._pictures.listing.images

    def __contains__(self, key: object) -> bool:
        return key in self._pictures.listing.known

    def included(self) -> list[ImageKey]:
        """All pictures but the excluded ones."""
        out = set(self._manifest.excluded)
        return [key for key in self.images() if key not in out]

    def rescan(self) -> tuple[list[ImageKey], list[ImageKey]]:
        """Look for pictures and label files again; returns keys that came and that went."""
        change = self._pictures.rescan(self._labels.holds_picture)
        self._labels.rescan()
        return change

    @property
    def missing_folders(self) -> tuple[Path, ...]:
        """Picture folders that are not there now; `pictures.link` says where they are."""
        return self._pictures.listing.missing

    def image_file(self, key: ImageKey) -> Path:
        return self._pictures.file(key)

    def image_size(self, key: ImageKey) -> tuple[int, int]:
        """(width, height) as shown; UserError when the picture cannot be read."""
        return self._pictures.size(key)

    def problem(self, key: ImageKey) -> str:
        """Why a picture cannot be used, "" when it can.

        Its header tells, and since somebody tried to read the whole of it, its pixels too.
        """
        return self._pictures.facts(key).problem

    def read_image(self, key: ImageKey) -> RGB:
        """The picture as uint8 (h, w, 3) RGB; UserError when it cannot be read."""
        return self._pictures.read(key)

    def read_raw(self, key: ImageKey) -> Raw | None:
        """A picture of 16 bits or many bands as it is on the disk; None for any other."""
        return read_raw(self.image_file(key))

    def is_large(self, key: ImageKey) -> bool:
        """Whether a picture takes so much memory that it is not decoded before it is needed."""
        facts = self._pictures.facts(key)
        return facts.width * facts.height > _LARGE

    def tiles(self, key: ImageKey) -> TileReader | None:
        """A reader of parts, for a picture that is too large to be read as a whole."""
        return open_tiles(self.image_file(key), self.image_size(key))

    def preview(self, key: ImageKey, px: int) -> RGB | None:
        """The picture at about `px` pixels, when that is much quicker to read than all of it."""
        return images.preview(self.image_file(key), px)

    def thumbnail(self, key: ImageKey, px: int = 128) -> RGB:
        """The picture, at most `px` on its longer side, cached on the disk."""
        return self._pictures.thumbnail(key, px)

    def prediction_stem(self, key: ImageKey) -> str:
        """The name of what is made from a picture; its full name where its stem is not unique."""
        return key if self._pictures.listing.is_ambiguous(key) else stem_of(key)

    # -- labels

    def label_file(self, key: ImageKey) -> Path:
        """The label file of an image, or where a new one will be."""
        return self._labels.place(key)

    def load(self, key: ImageKey) -> Annotation:
        """The annotation of an image, an empty one when it has no label file."""
        found = self.load_label_file(key)
        return found.annotation if found else Annotation(*self.image_size(key))

    def load_label_file(self, key: ImageKey) -> LabelFile | None:
        """The label file as read, with the list of repairs; None when there is none."""
        seen = self._labels.stamp(key)
        found = self._labels.read(key)
        self._labels.base_on(key, seen)
        return found

    def seconds(self, key: ImageKey) -> float:
        """How long a person has worked on the labels of an image, as its file says; 0 for never."""
        found = self._labels.read(key)
        return found.annotation.seconds if found is not None else 0.0

    def reload_labels(self) -> None:
        """Another process has written label files: look at what it has learnt about them."""
        self.label_round += 1
        self._labels.rescan()
        self._pictures.index.reload_labels()

    def label_stamp(self, key: ImageKey) -> Stamp | None:
        """Time (ns) and size of an image's label file as it is now; None when there is none."""
        return self._labels.stamp(key)

    def save(self, key: ImageKey, annotation: Annotation, replace: bool = False) -> None:
        """Write an annotation, atomically; safe to call from any one thread at a time.

        `labels.ChangedOutside` when another program has written the label file since `load` or
        `save` here, unless it is to be replaced.
        """
        self.ensure_written()
        self._labels.write(key, annotation, over=replace)

    def save_imported(self, key: ImageKey, found: LabelFile) -> None:
        """Write a label file that was read elsewhere, with its numbers and unknown keys."""
        self.ensure_written()
        self._labels.write(key, found.annotation, source=found)

    def state(self, key: ImageKey) -> State:
        state = _state_of(self._labels.summary(key))
        return "draft" if state == "none" and self._has_draft(key) else state

    def is_blind(self, key: ImageKey) -> bool:
        """Whether drafts of an image are hidden until it is confirmed."""
        return blind.is_blind(self, key)

    def states(self, keys: Iterable[ImageKey] | None = None) -> dict[ImageKey, State]:
        """The state of many images, from the last scan and our own writes."""
        drafted = set[ImageKey]().union(*map(self.predictions.done, self._drafting()))
        states: dict[ImageKey, State] = {}
        for key in self.images() if keys is None else keys:
            state = _state_of(self._labels.listed_summary(key))
            states[key] = "draft" if state == "none" and key in drafted else state
        self._pictures.index.flush()
        return states

    def images_with(self, class_name: str) -> list[ImageKey]:
        """Images with shapes of a class, excluded ones too."""
        summaries = ((key, self._labels.listed_summary(key)) for key in self.images())
        return [key for key, facts in summaries if facts and class_name in facts.classes]

    def labelled_keys(self) -> list[ImageKey]:
        """Included images that a person has worked on."""
        states = self.states(self.included())
        return [key for key, state in states.items() if state in ("edited", "confirmed")]

    def confirmed_keys(self) -> list[ImageKey]:
        """Included images whose labels count as complete."""
        return [k for k, state in self.states(self.included()).items() if state == "confirmed"]

    def damaged_keys(self) -> list[ImageKey]:
        """Included images whose label file cannot be read, as of the last scan."""
        summaries = ((key, self._labels.listed_summary(key)) for key in self.included())
        return [key for key, facts in summaries if facts and facts.status == DAMAGED]

    def training_map(self, key: ImageKey) -> LabelMap:
        """The label map (h, w) to learn from: 0 background, void 255 (65535 in uint16).

        Unlabelled pixels are background in a confirmed image, unless the project says
        otherwise, and void in every other.
        """
        return self.training_maps(key, False)[0]

    def training_maps(
        self, key: ImageKey, instances: bool
    ) -> tuple[LabelMap, rasterise.IdArray | None]:
        """`training_map`, and where `instances` are wanted the one of every pixel, 0 for none."""
        found = self._labels.read(key)  # not to edit it: see `load`
        annotation = found.annotation if found else Annotation(*self.image_size(key))
        shapes, values = annotation.shapes, self.classes.values
        numbers = None
        if instances:
            labels, numbers = rasterise.instance_map(shapes, values, annotation.size)
        else:
            labels = rasterise.label_map(shapes, values, annotation.size)
        if not annotation.is_confirmed or self._manifest.unlabelled == "ignore":
            labels[~rasterise.covered(shapes, annotation.size)] = rasterise.void_value(
                values.values()
            )
        return labels, numbers

    # -- what is made from them

    @cached_property
    def models(self) -> ModelStore:
        return ModelStore(self.root / "models", self.predictions.has_shown)

    @cached_property
    def predictions(self) -> Predictions:
        return Predictions(self.root / "predictions", self.prediction_stem, self.images)

    @property
    def label_files(self) -> LabelFiles:
        return self._labels

    @cached_property
    def bulk(self) -> BulkStore:
        return BulkStore(self)

    @cached_property
    def runs(self) -> Runs:
        return Runs(self)

    @cached_property
    def histories(self) -> Histories:
        folder = self.root / ".segstudio" / "history"
        return Histories(folder, self.prediction_stem, self._class_now)

    @cached_property
    def reviews(self) -> Reviews:
        return Reviews(self.root / "reviews", self.prediction_stem)

    @cached_property
    def splits(self) -> Splits:
        return Splits(self.root / "splits.csv")

    def ensure_splits(self, begun: Collection[ImageKey] = ()) -> Splits:
        """Draw a side for every confirmed image that has none, and for those that are `begun`:
        labelled, not confirmed, and about to be learned from."""
        splits = self.splits
        if self.read_only:
            return splits
        confirmed = self.confirmed_keys()
        new = [key for key in (*confirmed, *begun) if splits.side(key) is None]
        if new:
            items, groups = self._grouped(new, splits)
            is_begun = set(begun) - set(confirmed)
            items = [replace(item, begun=item.key in is_begun) for item in items]
            splits.assign(items, groups, self.labelled_keys())
            self._pictures.index.flush()
        return splits

    def disk_use(self) -> dict[str, int]:
        """Bytes of each part of the folder that the program itself made."""
        return {name: _bytes_below(self.root / name) for name in _PARTS}

    def _grouped(
        self, keys: Sequence[ImageKey], splits: Splits
    ) -> tuple[list[SplitItem], dict[ImageKey, str]]:
        """Those of `keys` whose pictures can be read, each with the group of its kin; and the
        groups of images that have a side and no group, as those of imported lists."""
        known = {key: group for key, group in splits.groups.items() if key in self}
        members: list[grouping.Member] = []
        groups: dict[ImageKey, str] = {}
        for key in (*sorted(known, key=lambda key: not known[key]), *keys):
            hashed = self._pictures.fingerprint(key)
            if not hashed:
                continue
            group = known.get(key) or grouping.group_of(key, hashed, members)
            members.append(grouping.Member(key, group, hashed))
            groups[key] = group
        items: list[SplitItem] = []
        before = [key for key in known if key in groups]
        for key in (key for key in keys if key in groups):
            alike = self._looks.like(key, before)
            items.append(SplitItem(key, groups[key], self._classes_in(key), alike))
            before.append(key)
        return items, {key: group for key, group in groups.items() if key in known}

    def _classes_in(self, key: ImageKey) -> tuple[str, ...]:
        facts = self._labels.listed_summary(key)
        return facts.classes if facts else ()

    def _class_now(self, name: str) -> str:
        return self.classes.now(name)

    def _has_draft(self, key: ImageKey) -> bool:
        return any(self.predictions.has(name, key) for name in self._drafting())

    def _drafting(self) -> tuple[str, ...]:
        """Whose predictions are shown as drafts."""
        model = self.models.current()
        return (FRAME_BEFORE,) if model is None else (FRAME_BEFORE, model.id)

    def _check_writable(self) -> None:
        if self.read_only:
            remedy = "Close the other window, or open a copy."
            raise UserError("The project is open read-only", path=self.root, remedy=remedy)


def _state_of(facts: LabelFacts | None) -> State:
    """Of an image by its label file alone; one that cannot be read is somebody's work, too."""
    if facts is None:
        return "none"
    return "edited" if facts.status == DAMAGED else cast(State, facts.status)


def _first_root(root: Path, images_folder: Path | None) -> str:
    if images_folder is not None:
        return pictures.entry_for(root, images_folder)
    if any(images.is_image(name) for name in os.listdir(root)):
        return "."
    (root / "images").mkdir(exist_ok=True)
    return "images"


def _bytes_below(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            total += os.lstat(os.path.join(parent, name)).st_size
    return total
