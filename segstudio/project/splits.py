"""The sticky split: an image's side is drawn once, at its first confirmation, and never again."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from segstudio.project import atomic

Side = Literal["train", "val", "test"]
_SHARE: Final = 1 / 6  # of all images are validation: 5 to 1
_CROWDED: Final = 1 / 2  # of all images on one side: groups no longer pull others there
_HEADER: Final = ["image", "side", "group", "classes"]


@dataclass(frozen=True, slots=True)
class SplitItem:
    """An image to put on a side: its group (near-duplicates share one) and its classes."""

    key: str
    group: str = ""
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Line:
    side: Side
    group: str
    classes: tuple[str, ...]


class Splits:
    """`splits.csv`: image, side, group, classes; lines are only ever added."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lines: dict[str, _Line] = {}
        self.reload()

    def reload(self) -> None:
        """Read the file again: another process may have added lines."""
        try:
            text = self._file.read_text(encoding="utf-8-sig")
        except OSError:
            text = ""
        rows = csv.DictReader(io.StringIO(text))
        self._lines = {row["image"]: _line(row) for row in rows if row.get("side") in _SIDES}

    def side(self, key: str) -> Side | None:
        line = self._lines.get(key)
        return line.side if line else None

    def keys(self, side: Side) -> list[str]:
        return [key for key, line in self._lines.items() if line.side == side]

    @property
    def groups(self) -> Mapping[str, str]:
        """Group by image."""
        return {key: line.group for key, line in self._lines.items()}

    def assign(self, items: Sequence[SplitItem]) -> None:
        """Draw sides for images that have none.

        The first image of all is validation; then every image goes where its group is, or to
        validation when validation has less than a sixth of all images and of its classes.
        """
        self.reload()
        for item in items:
            if item.key not in self._lines:
                self._lines[item.key] = _Line(self._draw(item), item.group, item.classes)
        self._save()

    def put(self, key: str, side: Side, group: str = "", classes: tuple[str, ...] = ()) -> None:
        """Set the side of an image that has none, as an imported list of images says."""
        self._lines.setdefault(key, _Line(side, group, classes))

    def put_all(self, sides: Mapping[str, Side]) -> None:
        """Set sides that somebody else has drawn; images that have one keep it."""
        for key, side in sides.items():
            self.put(key, side)
        self._save()

    def _draw(self, item: SplitItem) -> Side:
        sides = Counter(line.side for line in self._lines.values())
        total = sides["train"] + sides["val"]
        if not sides["val"]:
            return "val"
        if not sides["train"]:
            return "train"
        kin = next(
            (v.side for v in self._lines.values() if item.group and v.group == item.group), None
        )
        if kin is not None and (total < 6 or kin != "val" or sides["val"] < total * _CROWDED):
            return kin
        wants = [self._lack(None), *(self._lack(name) for name in item.classes)]
        return "val" if sum(wants) / len(wants) > 1e-9 else "train"

    def _lack(self, name: str | None) -> float:
        """How many images (of class `name`) validation is short of, with one more image."""
        lines = [v for v in self._lines.values() if name is None or name in v.classes]
        return (len(lines) + 1) * _SHARE - sum(line.side == "val" for line in lines)

    def _save(self) -> None:
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(_HEADER)
        for key, line in self._lines.items():
            writer.writerow([key, line.side, line.group, ";".join(line.classes)])
        atomic.write_text(self._file, buffer.getvalue())


_SIDES: Final[Mapping[str, Side]] = {"train": "train", "val": "val", "test": "test"}


def _line(row: Mapping[str, str | None]) -> _Line:
    classes: Iterable[str] = (row.get("classes") or "").split(";")
    return _Line(
        _SIDES[row["side"] or ""], row.get("group") or "", tuple(name for name in classes if name)
    )
