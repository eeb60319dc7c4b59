"""What shapes there are in a whole project: found by class, size, source and words; counted.

SQLite, `.segstudio/cache/shapes.sqlite`: the shapes of every label file, which count while the
file has the time and size that it had. Delete it and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from segstudio.annotation import rasterise
from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import ROUND_0, Shape, class_names
from segstudio.errors import UserError
from segstudio.project.bulk import Pick
from segstudio.project.index import Stamp, connect
from segstudio.project.scan import ImageKey

if TYPE_CHECKING:
    from segstudio.project.project import Project

FILE: Final = Path(".segstudio", "cache", "shapes.sqlite")
FOREIGN: Final = "foreign"
"""The source of what another program drew."""
GUESS: Final = "guess"
"""The source of guesses of round 0 that a person took over."""
SOURCES: Final = ("human", GUESS, "model", "corrected", FOREIGN)
_VERSION: Final = 2
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY, key TEXT UNIQUE, mtime INTEGER, bytes INTEGER, pixels INTEGER
);
CREATE TABLE IF NOT EXISTS shapes (
    file INTEGER, place INTEGER, class TEXT, kind TEXT, area INTEGER, source TEXT, words TEXT,
    PRIMARY KEY (file, place)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS covered (
    file INTEGER, class TEXT, pixels INTEGER, PRIMARY KEY (file, class)
) WITHOUT ROWID;
"""
_BATCH: Final = 200
"""Label files between two times that what was learnt is written."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which shapes: of these classes and sources (all when empty), so many pixels large, with
    every one of these words in class, group, flags or description."""

    classes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    smallest: int = 0
    largest: int | None = None
    words: str = ""

    def where(self) -> tuple[str, list[Any]]:
        """The condition in SQL, and its values."""
        parts, values = ["area >= ?"], [self.smallest]  # type: tuple[list[str], list[Any]]
        if self.largest is not None:
            parts.append("area <= ?")
            values.append(self.largest)
        for column, chosen in (("class", self.classes), ("source", self.sources)):
            if chosen:
                parts.append(f"{column} IN ({', '.join('?' * len(chosen))})")
                values += chosen
        for word in self.words.casefold().split():
            parts.append("instr(words, ?) > 0")
            values.append(word)
        return " AND ".join(parts), values


@dataclass(frozen=True, slots=True)
class Hit:
    """A shape: its image, its place among the shapes there, and its area in pixels."""

    key: ImageKey
    place: int
    class_name: str
    kind: str
    area: int
    source: str


@dataclass(frozen=True, slots=True)
class ClassStatistics:
    """A class in numbers. `pixels` are those that show it, as a label map has them; `share` is
    theirs of all pixels of labelled images; `median_area` is of its shapes, covered or not."""

    name: str
    images: int = 0
    shapes: int = 0
    pixels: int = 0
    share: float = 0.0
    median_area: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class ShapeIndex:
    """The index in one file, or in memory; one thread at a time."""

    def __init__(self, file: Path | None) -> None:
        self._database = connect(file, _SCHEMA, _VERSION, ("files", "shapes", "covered"))

    def close(self) -> None:
        self._database.close()

    def interrupt(self) -> None:
        """End what is being asked on another thread: sqlite3.OperationalError there."""
        self._database.interrupt()

    # -- learning

    def refresh(
        self,
        project: Project,
        on_progress: Callable[[int, int, str], None] = lambda done, total, text: None,
        should_stop: Callable[[], bool] = lambda: False,
        between: Callable[[], object] = lambda: None,
    ) -> int:
        """Read the label files that are new or have changed, all images, excluded ones too.

        Stops when asked to, and keeps what it has; how many were read. `between` is called
        between two files. What cannot be read has no shapes.
        """
        known = self._stamps()
        there = {key: at for key in project.images() if (at := project.label_stamp(key))}
        self._forget(known.keys() - there.keys())
        stale = [key for key, at in there.items() if known.get(key) != at]
        for done, key in enumerate(stale):
            if should_stop():
                stale = stale[:done]
                break
            on_progress(done, len(stale), "")
            self._learn(project, key, there[key])
            if done % _BATCH == _BATCH - 1:
                self._database.commit()
            between()
        self._database.commit()
        return len(stale)

    def _stamps(self) -> dict[ImageKey, Stamp]:
        rows = self._database.execute("SELECT key, mtime, bytes FROM files")
        return {key: (mtime, size) for key, mtime, size in rows}

    def _forget(self, keys: Iterable[ImageKey]) -> None:
        for key in keys:
            for table in ("shapes", "covered"):
                where = "file = (SELECT id FROM files WHERE key = ?)"
                self._database.execute(f"DELETE FROM {table} WHERE {where}", (key,))
            self._database.execute("DELETE FROM files WHERE key = ?", (key,))

    def _learn(self, project: Project, key: ImageKey, at: Stamp) -> None:
        try:
            annotation = project.load(key)
        except UserError:
            annotation = Annotation(0, 0)
        self._forget([key])
        do = self._database.execute
        pixels = annotation.width * annotation.height
        row = do("INSERT INTO files VALUES (NULL, ?, ?, ?, ?)", (key, *at, pixels))
        number = row.lastrowid
        shapes = [(number, place, *facts) for place, facts in enumerate(_facts(annotation))]
        self._database.executemany("INSERT INTO shapes VALUES (?, ?, ?, ?, ?, ?, ?)", shapes)
        covered = [(number, name, count) for name, count in _covered(annotation).items()]
        self._database.executemany("INSERT INTO covered VALUES (?, ?, ?)", covered)

    # -- asking

    def find(self, query: Query, most: int) -> tuple[int, list[Hit]]:
        """(how many there are, the first `most` of them), the largest first."""
        where, values = query.where()
        tables = "shapes JOIN files ON files.id = shapes.file"
        total = self._database.execute(f"SELECT COUNT(*) FROM shapes WHERE {where}", values)
        rows = self._database.execute(
            f"SELECT key, place, class, kind, area, source FROM {tables} WHERE {where} "
            "ORDER BY area DESC, file, place LIMIT ?",
            (*values, most),
        )
        return int(total.fetchone()[0]), [Hit(*row) for row in rows]

    def picks(self, query: Query) -> dict[ImageKey, Pick]:
        """All of them, for a bulk edit."""
        where, values = query.where()
        rows = self._database.execute(
            "SELECT key, mtime, bytes, place FROM shapes JOIN files ON files.id = shapes.file "
            f"WHERE {where} ORDER BY file, place",
            values,
        )
        return picked((key, (mtime, size), place) for key, mtime, size, place in rows)

    def picks_of(self, hits: Iterable[Hit]) -> dict[ImageKey, Pick]:
        """These hits, for a bulk edit."""
        stamps = self._stamps()
        return picked((h.key, stamps[h.key], h.place) for h in hits if h.key in stamps)

    def statistics(self, names: Iterable[str] = ()) -> list[ClassStatistics]:
        """Every class in numbers: `names` first, in their order, then what else there is."""
        ask = self._database.execute
        areas: dict[str, list[int]] = {}
        for name, area in ask("SELECT class, area FROM shapes"):
            areas.setdefault(name, []).append(area)
        images = dict(ask("SELECT class, COUNT(DISTINCT file) FROM shapes GROUP BY class"))
        pixels = dict(ask("SELECT class, SUM(pixels) FROM covered GROUP BY class"))
        whole = ask("SELECT SUM(pixels) FROM files").fetchone()[0] or 0
        return [
            ClassStatistics(
                name,
                images.get(name, 0),
                len(areas.get(name, ())),
                pixels.get(name, 0),
                pixels.get(name, 0) / whole if whole else 0.0,
                float(np.median(areas[name])) if name in areas else 0.0,
            )
            for name in dict.fromkeys((*names, *sorted(areas)))
        ]


def picked(rows: Iterable[tuple[ImageKey, Stamp, int]]) -> dict[ImageKey, Pick]:
    """(image, stamp of its label file, place) of many shapes, by image."""
    stamps: dict[ImageKey, Stamp] = {}
    places: dict[ImageKey, list[int]] = {}
    for key, at, place in rows:
        stamps[key] = at
        places.setdefault(key, []).append(place)
    return {key: Pick(stamps[key], tuple(found)) for key, found in places.items()}


def _facts(annotation: Annotation) -> list[tuple[str, str, int, str, str]]:
    """(class, kind, area, source, words) of every shape."""
    return [
        (
            shape.class_name,
            shape.kind,
            _area(shape, annotation),
            _source(shape, annotation),
            _words(shape),
        )
        for shape in annotation.shapes
    ]


def _source(shape: Shape, annotation: Annotation) -> str:
    """One of SOURCES."""
    if annotation.foreign and shape.source == "human":
        return FOREIGN
    return GUESS if shape.source == "model" and shape.model == ROUND_0 else shape.source


def _area(shape: Shape, annotation: Annotation) -> int:
    """Pixels of a shape inside its picture, as if it were alone."""
    box = shape.bounds()
    if box is None:
        return 0
    height, width = annotation.size
    x0, y0, x1, y1 = max(box[0], 0), max(box[1], 0), min(box[2], width), min(box[3], height)
    if x1 <= x0 or y1 <= y0:
        return 0
    if shape.bitmap is not None:
        inside = (x0, y0, x1, y1) == box
        return shape.bitmap.area if inside else int(shape.bitmap.to_array((x0, y0, x1, y1)).sum())
    return int(np.count_nonzero(rasterise.draw_ids([shape], [1], (0, y0, width, y1), "L")))


def _words(shape: Shape) -> str:
    group = "" if shape.group_id is None else f"#{shape.group_id}"
    flags = (name for name, on in shape.flags.items() if on)
    parts = (shape.class_name, group, *flags, shape.description or "")
    return "\n".join(part for part in parts if part).casefold()


def _covered(annotation: Annotation) -> dict[str, int]:
    """Pixels that show each class."""
    names = class_names(annotation.shapes)
    if not names or not annotation.width:
        return {}
    values = {name: value for value, name in enumerate(names, start=1)}
    labels = rasterise.label_map(annotation.shapes, values, annotation.size)
    counts = np.bincount(labels.ravel(), minlength=len(names) + 1)
    return {name: int(counts[value]) for name, value in values.items()}
