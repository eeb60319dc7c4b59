"""The undo history of an image on the disk: it survives closing the program, and a crash.

One file an image, `.segstudio/history/<image>.jsonl`, to which every step is appended. Its first
line says how many shapes and drafts there were then, which are known by their place; shapes that
come later, or go, are written once, a mask as the tiles in which it differs from the shape it
replaces. The label file is the truth: at opening, the state after some step must be what it holds,
and steps after that one can be done again.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segstudio.annotation.bitmap import TILE, Bitmap
from segstudio.annotation.document import Document, Edit, Layer, Splice, Step
from segstudio.annotation.shape import Shape, as_points
from segstudio.project import atomic

MOST: Final = 64 * 2**20
"""Bytes of a file; when it has more at opening, its older half is forgotten."""
VERSION: Final = 1
_LAYERS: Final[tuple[Layer, Layer]] = ("shapes", "drafts")
_NEAR: Final = 0.002
"""Pixels: label files keep three decimals."""
_FULL: Final = "full"
_FIELDS: Final = tuple(f.name for f in fields(Shape) if f.name not in ("points", "bitmap"))


class Histories:
    """The history files of a project."""

    def __init__(
        self,
        folder: Path,
        stem_of: Callable[[str], str],
        class_now: Callable[[str], str] = lambda name: name,
    ) -> None:
        """`class_now` gives the name that a class of those days has now."""
        self._folder = folder
        self._stem_of = stem_of
        self._class_now = class_now

    def path(self, key: str) -> Path:
        stem = self._folder / self._stem_of(key)
        return stem.with_name(stem.name + ".jsonl")

    def clear(self) -> int:
        """Delete all of them; the bytes freed."""
        freed = 0
        for path in sorted(self._folder.rglob("*.jsonl")):
            freed += path.stat().st_size
            atomic.discard(path)
        return freed

    def fresh(self, key: str, document: Document) -> History:
        """A history file that will take the place of the one there is."""
        return History(self.path(key), document)

    def open(self, key: str, document: Document) -> History:
        """The history of an image, given back to `document`, to which steps are noted from now on.

        What cannot be read or does not fit the document is left behind.
        """
        path = self.path(key)
        found = _read(path, document, self._class_now)
        if found is None:
            return History(path, document)
        document.restore(found.done, found.undone)
        if found.size > MOST or not found.is_clean:
            kept = found.done[len(found.done) // 2 :] if found.size > MOST else found.done
            document.restore(kept, found.undone)
            return History(path, document)
        return History(path, document, found)


class History:
    """Notes the steps of one document. `note` is quick; what `take` gives does the work."""

    def __init__(self, path: Path, document: Document, found: _Found | None = None) -> None:
        self._path = path
        self._known: dict[int, tuple[int, Shape]] = {}
        self._written: set[int] = set()
        self._next = 0
        self._lines: list[str] = []
        self._news: list[tuple[Step, Edit]] = []
        self._is_new = found is None
        if found is not None:
            self._known = {id(shape): (n, shape) for n, shape in found.shapes.items()}
            self._written = set(found.written)
            self._next = max([*found.shapes, *found.written], default=-1) + 1
        elif any(document.history):
            self._begin_before(document)
        else:
            self._begin(document.shapes, document.drafts)

    def _begin(self, shapes: Iterable[Shape], drafts: Iterable[Shape]) -> None:
        counts = [self._name(row) for row in (shapes, drafts)]
        self._lines.append(_line({"v": VERSION, "base": counts}))

    def _name(self, row: Iterable[Shape]) -> int:
        before = self._next
        for shape in row:
            self._known[id(shape)] = (self._next, shape)
            self._next += 1
        return self._next - before

    def _begin_before(self, document: Document) -> None:
        """Write a history that is there already: from the state before its first step on."""
        done, undone = document.history
        rows = {layer: list(document.layer_shapes(layer)) for layer in _LAYERS}
        for edit in reversed(done):
            _apply(rows, edit.inverse())
        self._begin(rows["shapes"], rows["drafts"])
        for edit in (*done, *reversed(undone)):
            self.note("do", edit)
        for _ in undone:
            self.note("undo", Edit(""))

    def note(self, step: Step, edit: Edit) -> None:
        """Remember a step; which edit is undone or redone follows from the steps before."""
        self._news.append((step, edit))

    def _encode(self, step: Step, edit: Edit) -> None:
        if step == "do":
            splices = [self._splice(splice) for splice in edit.splices]
            entry: dict[str, Any] = {"do": edit.name, "s": splices}
            if edit.confirmed is not None:
                entry["c"] = edit.confirmed
            self._lines.append(_line(entry))
        elif step == "more":
            splices = [self._splice(splice) for splice in edit.splices]
            self._lines.append(_line({"more": splices}))
        else:
            self._lines.append(_line({step: 1}))

    def _splice(self, splice: Splice) -> list[Any]:
        old = [self._number(shape, None) for shape in splice.removed]
        paired = len(splice.removed) == len(splice.inserted)
        before: Sequence[Shape | None] = splice.removed if paired else [None] * len(splice.inserted)
        new = [self._number(s, b) for s, b in zip(splice.inserted, before, strict=True)]
        return [_LAYERS.index(splice.layer), splice.index, old, new]

    def _number(self, shape: Shape, before: Shape | None) -> int:
        """The shape's number; it is written when it is needed for the first time."""
        known = self._known.get(id(shape))
        number = self._next if known is None else known[0]
        if known is None:
            self._known[id(shape)] = (number, shape)
            self._next += 1
        if number not in self._written:
            self._written.add(number)
            base = self._known.get(id(before)) if before is not None else None
            basis = base if base is not None and base[0] in self._written else None
            self._lines.append(_line({"shape": number, **_shape_facts(shape, basis)}))
        return number

    def take(self) -> Callable[[], None]:
        """What writes the steps noted so far; to be called once, on one thread, in order."""
        news, self._news = self._news, []

        def write() -> None:
            for step, edit in news:
                self._encode(step, edit)
            text, self._lines = "".join(self._lines), []
            if self._is_new:
                atomic.write_text(self._path, text)
                self._is_new = False
                return
            with self._path.open("a", encoding="utf-8") as file:
                file.write(text)

        return write

    @property
    def has_news(self) -> bool:
        """Whether a step waits to be written."""
        return bool(self._news)


# -- reading


@dataclass
class _Found:
    """What a file holds: the steps, and the shapes that are named in it by number."""

    done: list[Edit]
    undone: list[Edit]
    shapes: dict[int, Shape]
    written: set[int]
    size: int
    is_clean: bool = True


@dataclass
class _Log:
    """A file's lines, numbers in the place of shapes."""

    counts: tuple[int, int] = (0, 0)
    shapes: dict[int, Shape] = field(default_factory=dict)
    steps: list[tuple[str, _Numbered | None]] = field(default_factory=list)
    is_clean: bool = True


_Splices = tuple[tuple[int, int, tuple[int, ...], tuple[int, ...]], ...]
"""(layer, index, removed, inserted), numbers for shapes."""


@dataclass(frozen=True)
class _Numbered:
    """An edit with numbers for shapes."""

    name: str
    splices: _Splices
    confirmed: tuple[bool, bool] | None

    def without_drafts(self) -> _Numbered:
        shapes = tuple(s for s in self.splices if _LAYERS[s[0]] == "shapes")
        return replace(self, splices=shapes)


_Rows = tuple[list[int], list[int]]


def _read(path: Path, document: Document, class_now: Callable[[str], str]) -> _Found | None:
    """The history that fits the document; None when there is none."""
    try:
        data = path.read_bytes()
        log = _parsed(data, class_now)
        return None if log is None else _fitted(log, len(data), document)
    except (OSError, ValueError, KeyError, TypeError, IndexError, zlib.error):
        return None


def _fitted(log: _Log, size: int, document: Document) -> _Found | None:
    done, undone = _played(log)
    shapes, drafts = log.counts
    base: _Rows = (list(range(shapes)), list(range(shapes, shapes + drafts)))
    fitted = _fit(base, done, undone, log.shapes, document)
    if fitted is None:
        return None
    done, undone, known, cut = fitted
    return _Found(
        [_edit(step, known) for step in done],
        [_edit(step, known) for step in undone],
        known,
        set(log.shapes),
        size,
        log.is_clean and not cut,
    )


def _parsed(data: bytes, class_now: Callable[[str], str]) -> _Log | None:
    """The lines of a file; a last one that was not finished is left out."""
    log = _Log()
    lines = data.split(b"\n")
    log.is_clean = lines[-1] == b""
    for number, line in enumerate(lines[:-1]):
        entry = json.loads(line)
        if number == 0:
            if entry.get("v") != VERSION:
                return None
            log.counts = tuple(entry["base"])
        elif "shape" in entry:
            log.shapes[entry["shape"]] = _shape(entry, log.shapes, class_now)
        elif "do" in entry:
            status = tuple(entry["c"]) if "c" in entry else None
            log.steps.append(("do", _Numbered(entry["do"], _splices(entry["s"]), status)))
        elif "more" in entry:
            log.steps.append(("more", _Numbered("", _splices(entry["more"]), None)))
        else:
            log.steps.append((next(iter(entry)), None))
    return log if len(lines) > 1 else None


def _splices(rows: Iterable[Sequence[Any]]) -> _Splices:
    return tuple((a, b, tuple(c), tuple(d)) for a, b, c, d in rows)


def _played(log: _Log) -> tuple[list[_Numbered], list[_Numbered]]:
    """What was done at the end, oldest first, and what was undone, the next to redo last."""
    done: list[_Numbered] = []
    undone: list[_Numbered] = []
    for step, edit in log.steps:
        if edit is not None and step == "more":
            done[-1] = replace(done[-1], splices=(*done[-1].splices, *edit.splices))
        elif edit is not None:
            done.append(edit)
            undone.clear()
        elif step == "undo":
            undone.append(done.pop())
        elif step == "redo":
            done.append(undone.pop())
        else:
            raise ValueError("a history that was ended")
    return done, undone


_Fitted = tuple[list[_Numbered], list[_Numbered], dict[int, Shape], bool]


def _fit(
    base: _Rows,
    done: list[_Numbered],
    undone: list[_Numbered],
    known: Mapping[int, Shape],
    document: Document,
) -> _Fitted | None:
    """The steps as they lead to the document, and its shapes by number.

    The file may be ahead of the labels (a crash), so that the last steps are to be done again.
    """
    row = list(base[0])
    for edit in done:
        _play(row, 0, edit)
    done, undone = list(done), list(undone)
    cut = False
    while True:
        shapes = _named(row, known, document.shapes)
        if shapes is not None:
            break
        if not done:
            return None
        edit = done.pop()
        undone.append(edit)
        _play(row, 0, edit, backwards=True)
        cut = True
    drafts = _drafts(base[1], done, known, document)
    if drafts is None:  # other drafts than then: what the steps did to those is left out
        done, undone = _without_drafts(done), _without_drafts(undone)
        drafts, cut = {}, True
    return done, undone, {**known, **shapes, **drafts}, cut


def _drafts(
    base: Sequence[int], done: Sequence[_Numbered], known: Mapping[int, Shape], document: Document
) -> dict[int, Shape] | None:
    """The drafts that are left, by number; None when they are others, or others came meanwhile."""
    row = list(base)
    try:
        for edit in done:
            _play(row, 1, edit)
    except ValueError:
        return None
    return _named(row, known, document.drafts)


def _without_drafts(steps: Sequence[_Numbered]) -> list[_Numbered]:
    """What the steps did to shapes; those that were about drafts alone are gone."""
    left = (step.without_drafts() for step in steps)
    return [step for step in left if step.splices or step.confirmed is not None]


def _named(
    numbers: Sequence[int], known: Mapping[int, Shape], there: Sequence[Shape]
) -> dict[int, Shape] | None:
    """The shapes of a layer by their numbers, when they can be the ones."""
    if len(there) != len(numbers):
        return None
    pairs = list(zip(numbers, there, strict=True))
    if any(n in known and not _is_same(known[n], shape) for n, shape in pairs):
        return None
    return dict(pairs)


def _is_same(a: Shape, b: Shape) -> bool:
    return (
        (a.class_name, a.kind, a.group_id) == (b.class_name, b.kind, b.group_id)
        and a.points.shape == b.points.shape
        and bool(np.all(np.abs(a.points - b.points) < _NEAR))
        and a.bitmap == b.bitmap
    )


def _play(row: list[int], layer: int, edit: _Numbered, backwards: bool = False) -> None:
    """What a step did to one layer. ValueError when it does not follow from the one before."""
    splices = reversed(edit.splices) if backwards else edit.splices
    for touched, index, removed, inserted in splices:
        old, new = (inserted, removed) if backwards else (removed, inserted)
        if touched != layer:
            continue
        if tuple(row[index : index + len(old)]) != old:
            raise ValueError("a step that does not follow from the one before")
        row[index : index + len(old)] = new


def _edit(step: _Numbered, shapes: Mapping[int, Shape]) -> Edit:
    splices = tuple(
        Splice(
            _LAYERS[layer],
            index,
            tuple(shapes[n] for n in removed),
            tuple(shapes[n] for n in inserted),
        )
        for layer, index, removed, inserted in step.splices
    )
    return Edit(step.name, splices, step.confirmed)


def _apply(rows: dict[Layer, list[Shape]], edit: Edit) -> None:
    for splice in edit.splices:
        end = splice.index + len(splice.removed)
        rows[splice.layer][splice.index : end] = splice.inserted


# -- shapes as text


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n"


def _shape_facts(shape: Shape, basis: tuple[int, Shape] | None) -> dict[str, Any]:
    facts: dict[str, Any] = {"f": {name: getattr(shape, name) for name in _FIELDS}}
    if len(shape.points):
        facts["p"] = shape.points.ravel().tolist()
    if shape.bitmap is not None:
        before = Bitmap()
        if basis is not None and basis[1].bitmap is not None:
            facts["of"], before = basis[0], basis[1].bitmap
        changes = shape.bitmap.changes_from(before)
        facts["t"] = [[*key, _tile_text(bits)] for key, bits in changes.items()]
    return facts


def _shape(
    entry: Mapping[str, Any], known: Mapping[int, Shape], class_now: Callable[[str], str]
) -> Shape:
    facts = {**entry["f"], "class_name": class_now(entry["f"]["class_name"])}
    shape = Shape(points=as_points(entry.get("p", [])), **facts)
    if "t" not in entry:
        return shape
    before = known[entry["of"]].bitmap if "of" in entry else None
    changes = {(row, column): _tile(text) for row, column, text in entry["t"]}
    return replace(shape, bitmap=(before or Bitmap()).patched(changes))


def _tile_text(bits: NDArray[np.uint8] | None) -> str | None:
    if bits is None:
        return None
    if bits.all() and bool((bits == 255).all()):
        return _FULL
    return base64.b64encode(zlib.compress(bits.tobytes(), 1)).decode("ascii")


def _tile(text: str | None) -> NDArray[np.uint8] | None:
    if text is None:
        return None
    if text == _FULL:
        return np.full((TILE, TILE // 8), 255, np.uint8)
    bits = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    return bits.reshape(TILE, TILE // 8).copy()
