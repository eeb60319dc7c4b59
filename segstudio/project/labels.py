"""Label files of a project: finding, reading, writing, and what each says in short."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import class_names
from segstudio.errors import UserError
from segstudio.project import labelme
from segstudio.project.index import LabelFacts, Stamp, stamp
from segstudio.project.labelme import LabelFile
from segstudio.project.labelme_text import ShapeTexts
from segstudio.project.pictures import Pictures
from segstudio.project.scan import ImageKey, name_of, scan, stem_of
from segstudio.project.scan import Root as ScanRoot

_REMEMBERED: Final = 16
_HEAD: Final = 65536
_GONE: Final = (0, 0)
"""The stamp of a file that is not there."""
DAMAGED: Final = "damaged"
"""The status of a label file that cannot be read: somebody's work all the same."""


class ChangedOutside(UserError):
    """Another program has written the label file since it was read."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A label file as it is (`stamp`, `before`) and as it would be (`after`, its bytes `data`)."""

    path: Path
    stamp: Stamp
    before: Annotation
    after: Annotation
    data: bytes


class LabelFiles:
    """Label files beside their pictures, or mirrored under `labels/`."""

    def __init__(self, root: Path, pictures: Pictures, mirrored: bool) -> None:
        self._root = root
        self._pictures = pictures
        self.mirrored = mirrored
        self._listed: set[str] = set()
        self._written: set[str] = set()
        self._originals: OrderedDict[Path, tuple[Stamp | None, LabelFile]] = OrderedDict()
        self._seen: dict[ImageKey, Stamp | None] = {}
        self._texts = ShapeTexts()
        self._lock = threading.RLock()

    # -- finding

    def rescan(self) -> None:
        """Note which label files there are; call after `Pictures.rescan`."""
        mirror = scan([ScanRoot("labels/", self._root / "labels")], self._root)
        # the last look at the pictures' folders may be older than what was written here
        written = (key for key in self._written if self._exists(key))
        self._listed = {*self._pictures.listing.label_files, *mirror.label_files, *written}

    def find(self, key: ImageKey) -> Path | None:
        """The label file of a picture, None when it has none."""
        label_key = self._choose(key, self._exists)
        return self._path(label_key) if label_key else None

    def summary(self, key: ImageKey) -> LabelFacts | None:
        """What a picture's label file says in short; None when it has none."""
        label_key = self._choose(key, self._exists)
        return self._facts(label_key) if label_key else None

    def listed_summary(self, key: ImageKey) -> LabelFacts | None:
        """Like `summary`, from the last scan and our own writes: no search on the disk."""
        label_key = self._choose(key, self._listed.__contains__)
        facts = self._facts(label_key) if label_key else None
        return None if facts is not None and facts.stamp == _GONE else facts

    def place(self, key: ImageKey) -> Path:
        """The label file of a picture, or where a new one goes."""
        found = self.find(key)
        if found is not None:
            return found
        beside = self._pictures.file(key).parent
        # never a second owner of one label file: a.jpg and a.png have a.jpg.json and a.png.json
        stem = key if self._pictures.listing.is_ambiguous(key) else stem_of(key)
        if self.mirrored or not os.access(beside, os.W_OK):
            return self._root / "labels" / f"{stem}.json"
        return self._pictures.file(f"{stem}.json")

    def _choose(self, key: ImageKey, exists: Callable[[str], bool]) -> str | None:
        for label_key in _label_keys(key):
            if exists(label_key) and self._belongs(label_key, key):
                return label_key
        return None

    def _exists(self, label_key: str) -> bool:
        return os.path.isfile(self._locate(label_key))

    def _belongs(self, label_key: str, key: ImageKey) -> bool:
        """Of two pictures a.jpg and a.png, a.json belongs to the one that it names."""
        by_full_name = name_of(label_key) == name_of(key) + ".json"
        if by_full_name or not self._pictures.listing.is_ambiguous(key):
            return True
        return name_of(self._facts(label_key).image) == name_of(key)

    def _path(self, label_key: str) -> Path:
        return Path(self._locate(label_key))

    def _locate(self, label_key: str) -> str:
        if label_key.startswith("labels/"):
            return f"{self._root}{os.sep}{label_key}"
        return self._pictures.locate(label_key)

    def holds_picture(self, key: ImageKey) -> bool:
        """Whether the label file `key`, which no picture claims, has its own picture inside."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                head = file.read(_HEAD)
        except OSError:
            return False
        if b'"shapes"' not in head and b'"imageData"' not in head:
            return False  # somebody's other JSON, perhaps a huge one
        return self._facts(key).image == labelme.EMBEDDED

    # -- what a file says in short

    def _facts(self, label_key: str) -> LabelFacts:
        """Status, classes and picture of a label file, from the index unless it has changed."""
        now = stamp(self._locate(label_key)) or _GONE
        if now == _GONE:
            return LabelFacts(_GONE, DAMAGED)
        known = self._pictures.index.label(label_key)
        if known is not None and known.stamp == now:
            return known
        facts = _read_facts(self._path(label_key), now)
        self._pictures.index.set_label(label_key, facts)
        return facts

    # -- reading and writing

    def read(self, key: ImageKey) -> LabelFile | None:
        """The label file of a picture, for the picture's true size; None when it has none."""
        path = self.find(key)
        if path is None:
            return None
        before = stamp(path)
        found = self.read_copy(key, path)
        self._remember(path, found, before)
        return found

    def read_copy(self, key: ImageKey, path: Path) -> LabelFile:
        """A label file of a picture that lies elsewhere, for the picture's true size."""
        facts = self._pictures.facts(key)
        size = None if facts.problem else (facts.width, facts.height)
        return labelme.read_for(self._pictures.file(key), size, path)

    def stamp(self, key: ImageKey) -> Stamp | None:
        """The stamp of a picture's label file; None when it has none."""
        path = self.find(key)
        return stamp(path) if path else None

    def base_on(self, key: ImageKey, seen: Stamp | None) -> None:
        """What is written for a picture from now on was made from the file of this stamp."""
        self._seen[key] = seen

    def write(
        self,
        key: ImageKey,
        annotation: Annotation,
        source: LabelFile | None = None,
        *,
        over: bool = False,
    ) -> Path:
        """Write the label file of a picture over the one it has, losing nothing of that.

        `source` is the file a new one was read from elsewhere. UserError when the old file
        cannot be understood: it is never overwritten. ChangedOutside, unless `over`, when it is
        not the one that was read or written here last.
        """
        with self._lock:
            path = self.place(key)
            if not over:
                self._check_unchanged(key, path)
            old = self._original(path) or source or LabelFile(annotation)
            new = self._renewed(key, path, annotation, old)
            labelme.write_file(path, new, self._texts)
            written = stamp(path)
            self._seen[key] = written
            self._remember(path, new, written)
            self._note(path, key, annotation)
        return path

    def rewritten(
        self, key: ImageKey, change: Callable[[Annotation], Annotation | None]
    ) -> Rewritten | None:
        """What the label file of a picture would be by `change`; nothing is written.

        None when there is none, or `change` gives None. UserError when it cannot be read.
        """
        path = self.find(key)
        before = stamp(path) if path is not None else None
        found = self.read(key)
        after = change(found.annotation) if found is not None else None
        if path is None or before is None or found is None or after is None:
            return None
        data = labelme.encoded_file(self._renewed(key, path, after, found))
        return Rewritten(path, before, found.annotation, after, data)

    def remove_empty(self, key: ImageKey) -> bool:
        """Remove the label file of a picture when it says nothing; whether it is gone."""
        path = self.find(key)
        found = self.read(key) if path is not None else None
        if path is None or found is None or status_of(found.annotation) != "none":
            return False
        with self._lock:
            path.unlink()
            self._seen[key] = None
        return True

    def _renewed(
        self, key: ImageKey, path: Path, annotation: Annotation, old: LabelFile
    ) -> LabelFile:
        """The file `old` with another annotation, losing nothing of what else it says."""
        return replace(
            old,
            annotation=replace(annotation, extra={**old.annotation.extra, **annotation.extra}),
            image_path=self._image_path(key, path, old),
        )

    def _check_unchanged(self, key: ImageKey, path: Path) -> None:
        """A file that went away is no hindrance: nothing of anybody is lost by writing it."""
        now = stamp(path)
        if now is not None and now != self._seen.get(key, now):
            raise ChangedOutside(
                "The label file was changed by another program",
                path=path,
                remedy="Open the image again to take its version, or save once more to replace it.",
            )

    def _image_path(self, key: ImageKey, path: Path, old: LabelFile) -> str:
        """What the file says already while that is right, else the way to the picture."""
        picture = self._pictures.file(key)
        if old.image_path:
            named = path.parent / old.image_path
            if picture == path or not picture.exists() or _same(named, picture):
                return old.image_path
        try:
            return Path(os.path.relpath(picture, path.parent)).as_posix()
        except ValueError:
            return picture.as_posix()

    def _original(self, path: Path) -> LabelFile | None:
        if not path.exists():
            return None
        known = self._originals.get(path)
        if known is not None and known[0] == stamp(path):
            return known[1]
        return labelme.read(path)

    def _remember(self, path: Path, found: LabelFile, at: Stamp | None) -> None:
        """Keep the files used last: they need not be read again before each save, and undone
        changes are written with the numbers they had."""
        with self._lock:
            before = self._originals.pop(path, None)
            if before is not None and before[1].verbatim is not found.verbatim:
                found = replace(found, verbatim=found.verbatim.joined(before[1].verbatim))
            self._originals[path] = (at, found)
            while len(self._originals) > _REMEMBERED:
                self._originals.popitem(last=False)

    def _note(self, path: Path, key: ImageKey, annotation: Annotation) -> None:
        """Tell the index what was written."""
        facts = LabelFacts(
            stamp(path) or (0, 0),
            status_of(annotation),
            tuple(class_names(annotation.shapes)),
            labelme.EMBEDDED if key.endswith(".json") else name_of(key),
        )
        label_key = next(k for k in _label_keys(key) if self._path(k) == path)
        self._pictures.index.set_label(label_key, facts)
        self._pictures.index.flush()
        self._listed.add(label_key)
        self._written.add(label_key)


def status_of(annotation: Annotation) -> str:
    """`confirmed`, `edited`, or `none` for a file that says nothing yet."""
    if annotation.is_confirmed:
        return "confirmed"
    return "edited" if annotation.shapes or annotation.flags else "none"


def _read_facts(path: Path, now: tuple[int, int]) -> LabelFacts:
    try:
        brief = labelme.brief(labelme.load_json(path))
    except UserError:
        return LabelFacts(now, DAMAGED)
    embedded = brief.embedded and labelme.find_image(path, brief.image_path) is None
    image = labelme.EMBEDDED if embedded else brief.image_path
    return LabelFacts(now, status_of(brief.annotation), brief.classes, image)


def _label_keys(key: ImageKey) -> Iterator[str]:
    """Where a picture's label file may be, the first existing one counts."""
    if key.endswith(".json"):
        yield key
        return
    for name in dict.fromkeys((f"{stem_of(key)}.json", f"{key}.json")):
        yield name
        yield f"labels/{name}"


def _same(a: Path, b: Path) -> bool:
    try:
        return os.path.samefile(a, b)
    except OSError:
        return False
