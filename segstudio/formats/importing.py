"""Bringing a foreign set into a project."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from PIL import Image

from segstudio.annotation.shape import BACKGROUND_CLASS, IGNORE_CLASS
from segstudio.errors import UserError
from segstudio.formats.base import (
    DEFAULT_NUMBERING,
    Format,
    ImportItem,
    ImportReport,
    Numbering,
    OnProgress,
    ShouldStop,
    Source,
    meanings,
    never,
    quiet,
)
from segstudio.formats.table import TABLE
from segstudio.project import atomic, images
from segstudio.project.labelme import LabelFile
from segstudio.project.project import Project
from segstudio.project.scan import ImageKey
from segstudio.project.splits import Side


@dataclass(frozen=True)
class ForeignSet:
    """A set that was found and understood, and not read yet."""

    format: Format
    source: Source
    items: Sequence[ImportItem]


def find_set(
    folder: Path,
    fmt: str = "auto",
    *,
    images: Path | None = None,
    numbering: Numbering = DEFAULT_NUMBERING,
) -> ForeignSet:
    """The labelled pictures of a folder; UserError when it is not understood, or has none."""
    if not folder.is_dir():
        raise UserError("There is no such folder", path=folder)
    chosen = find_format(folder, fmt, images, several=len(numbering.classes) > 1)
    source = Source(folder.absolute(), images, numbering)
    items = list(chosen.read(source))
    if not items:
        raise UserError(f"Nothing of format {chosen.name} was found", path=folder)
    return ForeignSet(chosen, source, items)


def import_into(
    project: Project,
    found: ForeignSet,
    on_progress: OnProgress = quiet,
    should_stop: ShouldStop = never,
) -> ImportReport:
    """Copy the pictures and labels of a set into the project.

    Images that have labels already are left alone, so an import can be repeated or gone on with
    after a stop. Pictures that are the project's own are not copied. A picture or label that
    cannot be read is listed in the report and skipped.
    """
    job = _Import(project, found)
    items = found.items
    project.ensure_written()
    for number, item in enumerate(items):
        if should_stop():
            job.cancelled = True
            break
        on_progress(number, len(items), item.place)
        job.bring(item)
    on_progress(len(items), len(items), "")
    return job.finish()


def find_format(
    source: Path, fmt: str = "auto", images: Path | None = None, several: bool = False
) -> Format:
    """The format of a folder; UserError when none fits, or the name is unknown.

    A folder of PNGs whose pictures lie in `images` holds label maps, or, with 16 bits,
    instance maps. Values that are `several` classes are no numbers of objects.
    """
    if fmt != "auto":
        if fmt.replace("-", "_") in TABLE:
            return TABLE[fmt.replace("-", "_")]
        raise UserError(f"There is no format {fmt!r}", remedy=f"Formats: {', '.join(TABLE)}.")
    scores = {name: row.detect(source) for name, row in TABLE.items()}
    if several and scores["index_png"] > 0:
        scores["instance_png"] = 0.0
    best = max(scores, key=lambda name: scores[name])
    if scores[best] <= 0 and images is not None:
        first = next(iter(sorted(source.glob("*.png"))), None)
        if first is not None:
            return TABLE["instance_png" if _has_16_bits(first) else "index_png"]
    if scores[best] <= 0:
        remedy = f"Name the format with --format: {', '.join(TABLE)}."
        raise UserError("The format of this folder is not known", path=source, remedy=remedy)
    return TABLE[best]


def _has_16_bits(file: Path) -> bool:
    try:
        with Image.open(file) as image:
            return image.mode.startswith("I")
    except (OSError, SyntaxError):
        return False


@dataclass
class _Import:
    """An import under way."""

    project: Project
    set: ForeignSet
    cancelled: bool = False
    count: Counter[str] = field(default_factory=Counter)
    names: dict[str, None] = field(default_factory=dict)
    sides: dict[ImageKey, Side] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    repairs: list[tuple[str, str]] = field(default_factory=list)

    def bring(self, item: ImportItem) -> None:
        try:
            found = item.load()
            key = self._place(item)
            if self.project.label_file(key).exists():
                self.skipped.append((item.place, "has labels already"))
                return
            self.project.save_imported(key, found)
        except (UserError, OSError) as error:
            self.skipped.append((item.place, str(error)))
            return
        self._note(item, key, found)

    def _note(self, item: ImportItem, key: ImageKey, found: LabelFile) -> None:
        self.count.update(images=1, shapes=len(found.annotation.shapes))
        self.repairs += [(item.place, repair) for repair in found.repairs]
        if item.side is not None:
            self.sides[key] = item.side

    def _place(self, item: ImportItem) -> ImageKey:
        """The key of the picture, which is copied into the project unless it is there."""
        own = _own_key(self.project, item.image)
        if own is not None:
            return own
        key = self._target(item)
        target = self.project.image_file(key)
        if target.exists() and not _same_bytes(target, _content(item.image)):
            raise UserError("Another picture of this name is in the project", path=target)
        if not target.exists():
            atomic.write_bytes(target, _content(item.image))
        return key

    def _target(self, item: ImportItem) -> ImageKey:
        root = self.project.manifest.image_roots[0] if self.project.manifest.image_roots else "."
        prefix = f"{root.partition(':')[0]}/" if root != "." else ""
        place = PurePosixPath(item.place)
        if item.image.suffix.lower() == ".json":
            place = place.with_suffix(_suffix_of(_content(item.image)))
        return f"{prefix}{place}"

    def _add_in_order(self) -> None:
        """Classes come in the order of their values, not of the first picture that has them."""
        source, table = self.set.source, self.project.classes
        read = [meaning.name for meaning in meanings(source.legend)]
        for name in (*source.numbering.classes, *read):
            if name not in (BACKGROUND_CLASS, IGNORE_CLASS):
                table = table.with_class(name)
        if table != self.project.classes:
            self.project.set_classes(table)

    def finish(self) -> ImportReport:
        self.project.rescan()
        before = set(self.project.classes.names)
        self._add_in_order()
        self.project.collect_classes()
        added = [name for name in self.project.classes.names if name not in before]
        if self.sides:
            self.project.splits.put_all(self.sides)
        return ImportReport(
            self.set.format.name,
            self.count["images"],
            self.count["shapes"],
            tuple(added),
            tuple(self.skipped),
            tuple(self.repairs),
            meanings(self.set.source.legend),
            self.cancelled,
        )


def _own_key(project: Project, image: Path) -> ImageKey | None:
    """The key of a picture that is in the project already."""
    if not image.is_relative_to(project.root):
        return None
    key = image.relative_to(project.root).as_posix()
    return key if key in project else None


def _content(image: Path) -> bytes:
    return images.embedded_image(image) if image.suffix.lower() == ".json" else image.read_bytes()


def _same_bytes(path: Path, data: bytes) -> bool:
    return os.path.getsize(path) == len(data) and path.read_bytes() == data


def _suffix_of(data: bytes) -> str:
    return ".jpg" if data[:2] == b"\xff\xd8" else ".png"
