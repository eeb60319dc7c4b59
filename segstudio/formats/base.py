"""What every format is made of: detect, read and write as plain functions, and what they pass."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from segstudio.project.labelme import LabelFile
from segstudio.project.project import Project
from segstudio.project.scan import ImageKey
from segstudio.project.splits import Side

OnProgress = Callable[[int, int, str], None]
"""(done, total, what is done now)"""
ShouldStop = Callable[[], bool]


def quiet(done: int, total: int, text: str) -> None:
    """For callers that want no progress."""


def never() -> bool:
    """For callers that never stop."""
    return False


@dataclass(frozen=True, slots=True)
class ImportItem:
    """One picture of a foreign set: its file, its path in the set, and how to load its labels.

    `load` gives the annotation for the picture as shown; it may raise UserError or OSError.
    """

    image: Path
    place: str
    load: Callable[[], LabelFile]
    side: Side | None = None


Legend = Counter[tuple[str, str]]
"""(value or colour in a label map, the class it was taken for) -> pixels"""


@dataclass(frozen=True, slots=True)
class Numbering:
    """What the values of label maps mean where no file of names says it.

    `classes` are the names in the order of their values, the first of them has the value
    `first`: 1 when 0 is background, 0 when it is a class like any other. `void` is a value
    for pixels nobody labelled, beside 255 (65535 in 16 bits), which always is.
    """

    classes: tuple[str, ...] = ()
    first: int = 1
    void: int | None = None


DEFAULT_NUMBERING: Final = Numbering()


@dataclass(frozen=True, slots=True)
class Source:
    """A foreign set: its folder, and what it does not say itself.

    Readers of label maps count in `legend` what they took each value for.
    """

    folder: Path
    images: Path | None = None
    numbering: Numbering = DEFAULT_NUMBERING
    legend: Legend = field(default_factory=Counter)


Notes = defaultdict[str, list[str]]
"""What was done to pictures -> their names."""


def note_lines(notes: Notes) -> tuple[str, ...]:
    """One line for each thing done: "turned as its EXIF says: a.jpg, b.jpg, c.jpg and 20 more"."""
    return tuple(f"{what}: {_some(names)}" for what, names in notes.items())


def _some(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


@dataclass(frozen=True, slots=True)
class ExportJob:
    """What a writer gets: `folder` is a staging folder, `tick` is called once per image."""

    project: Project
    keys: Sequence[ImageKey]
    folder: Path
    tick: Callable[[ImageKey], None]
    notes: Notes = field(default_factory=lambda: defaultdict(list))

    def values(self) -> dict[int, int]:
        """Project class number -> 1..n without gaps, in the table's order."""
        return {c.id: i for i, c in enumerate(self.project.classes, 1)}

    def names(self) -> tuple[str, ...]:
        return self.project.classes.names


Written = Mapping[ImageKey, str]
"""Where a writer put each image: the `place` that the reader of the format will give it."""


@dataclass(frozen=True, slots=True)
class Format:
    """A row of the table of formats; `detect` scores a folder from 0 (no) to 1 (surely)."""

    name: str
    title: str
    detect: Callable[[Path], float]
    read: Callable[[Source], Iterator[ImportItem]]
    write: Callable[[ExportJob], Written] | None = None


@dataclass(frozen=True, slots=True)
class ClassLoss:
    """Pixels of one class: written, read back as the same class at the same place, and lost."""

    name: str
    written: int
    back: int

    @property
    def lost(self) -> int:
        return self.written - self.back


@dataclass(frozen=True, slots=True)
class Report:
    """What an export wrote and what came back when it was read again."""

    format: str
    out: Path
    images: int
    classes: tuple[ClassLoss, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def lost(self) -> int:
        return sum(c.lost for c in self.classes)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": self.format,
            "out": str(self.out),
            "images": self.images,
            "lost": self.lost,
            "classes": {
                c.name: {"written": c.written, "back": c.back, "lost": c.lost} for c in self.classes
            },
            "skipped": dict(self.skipped),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a value of label maps was taken for, and its share of all their pixels, 0..1."""

    value: str
    name: str
    share: float


def meanings(legend: Legend) -> tuple[Meaning, ...]:
    """The legend in the order of its values."""
    total = max(1, legend.total())
    ordered = sorted(legend.items(), key=lambda row: (len(row[0][0]), row[0]))
    return tuple(Meaning(value, name, pixels / total) for (value, name), pixels in ordered)


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import brought in; `repairs` are (image, what was mended)."""

    format: str
    images: int
    shapes: int
    classes: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    repairs: tuple[tuple[str, str], ...] = ()
    values: tuple[Meaning, ...] = ()
    cancelled: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "format": self.format,
            "images": self.images,
            "shapes": self.shapes,
            "classes": list(self.classes),
            "skipped": dict(self.skipped),
            "repairs": [list(pair) for pair in self.repairs],
            "values": [asdict(meaning) for meaning in self.values],
            "cancelled": self.cancelled,
        }
