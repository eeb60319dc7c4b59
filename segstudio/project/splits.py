"""The sticky split: an image's side is drawn once, when it is first confirmed or learned from.

It changes in one case only: a validation image that had to be learned from, because there was no
other, is a training image from then on.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from segstudio.errors import UserError
from segstudio.project import atomic
from segstudio.project.lock import held

Side = Literal["train", "val", "test"]
_SHARE: Final = 1 / 6  # of all images are validation: 5 to 1
_CROWDED: Final = 1 / 2  # of all images on one side: groups no longer pull others there
_PATIENCE: Final = 10.0
_HEADER: Final = ["image", "side", "group", "classes"]


@dataclass(frozen=True, slots=True)
class SplitItem:
    """An image to put on a side: its group (near-duplicates share one), its classes, and images
    with a side that look most like it. One that is `begun` has labels that nobody has confirmed."""

    key: str
    group: str = ""
    classes: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()
    begun: bool = False


@dataclass(frozen=True, slots=True)
class _Line:
    side: Side
    group: str
    classes: tuple[str, ...]


class Splits:
    """`splits.csv`: image, side, group, classes."""

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

    def assign(
        self,
        items: Sequence[SplitItem],
        groups: Mapping[str, str] | None = None,
        there: Collection[str] | None = None,
    ) -> None:
        """Draw sides for images that have none; give `groups` to images that have none.

        The first confirmed image of all is validation; then every image goes where its group is,
        or to validation when validation has less than a sixth of all images, of its classes, and
        of those that look like it: what validation does not show, no comparison sees. Only
        images that are `there` count, all of them when nothing is said.
        """
        with self._changing():
            for key, group in (groups or {}).items():
                if key in self._lines and not self._lines[key].group:
                    self._lines[key] = replace(self._lines[key], group=group)
            counted = dict(self._lines)
            if there is not None:
                counted = {key: line for key, line in counted.items() if key in there}
            for item in items:
                if item.key not in self._lines:
                    line = _Line(_draw(item, counted), item.group, item.classes)
                    self._lines[item.key] = counted[item.key] = line

    def put(self, key: str, side: Side, group: str = "", classes: tuple[str, ...] = ()) -> None:
        """Set the side of an image that has none."""
        with self._changing():
            self._lines.setdefault(key, _Line(side, group, classes))

    def put_all(self, sides: Mapping[str, Side]) -> None:
        """Set sides as an imported list of images says; images that have one keep it."""
        with self._changing():
            for key, side in sides.items():
                self._lines.setdefault(key, _Line(side, "", ()))

    def give_to_training(self, keys: Iterable[str]) -> None:
        """Images that are learned from now: they can never be fair validation images again."""
        with self._changing():
            for key in keys:
                if key in self._lines:
                    self._lines[key] = replace(self._lines[key], side="train")

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Read, change and write the file while nobody else does."""
        remedy = "Try again, or end the other segstudio."
        busy = UserError("Another process is changing the split", path=self._file, remedy=remedy)
        with held(self._file.parent / ".segstudio" / "splits.lock", busy, _PATIENCE):
            self.reload()
            yield
            self._save()

    def _save(self) -> None:
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(_HEADER)
        for key, line in self._lines.items():
            writer.writerow([key, line.side, line.group, ";".join(line.classes)])
        atomic.write_text(self._file, buffer.getvalue())


def _draw(item: SplitItem, there: Mapping[str, _Line]) -> Side:
    lines = list(there.values())
    sides = Counter(line.side for line in lines)
    if not sides["val"]:
        return "train" if item.begun else "val"
    if not sides["train"]:
        return "train"
    kin = {line.side for line in lines if item.group and line.group == item.group}
    if kin == {"train"}:
        return "train"
    # a group on both sides is torn already, and one that is alone has to be
    others = any(line.side == "train" and line.group != item.group for line in lines)
    if kin == {"val"} and others and sides["val"] < (sides["train"] + sides["val"]) * _CROWDED:
        return "val"
    by_class = ([line for line in lines if name in line.classes] for name in item.classes)
    wants = [_lack(lines), *map(_lack, by_class)]
    alike = [there[key] for key in item.alike if key in there]
    unseen = len(alike) * _SHARE - sum(line.side == "val" for line in alike)
    return "val" if sum(wants) / len(wants) + unseen > 1e-9 else "train"


def _lack(lines: Sequence[_Line]) -> float:
    """How many images validation is short of, with one more image."""
    return (len(lines) + 1) * _SHARE - sum(line.side == "val" for line in lines)


_SIDES: Final[Mapping[str, Side]] = {"train": "train", "val": "val", "test": "test"}


def _line(row: Mapping[str, str | None]) -> _Line:
    classes: Iterable[str] = (row.get("classes") or "").split(";")
    return _Line(
        _SIDES[row["side"] or ""], row.get("group") or "", tuple(name for name in classes if name)
    )
