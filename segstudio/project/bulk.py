"""Bulk edits: changes of many images at once. What each does to shapes and to the classes.

How they are written, undone and survive a crash is in `bulk_store`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, get_args

from segstudio.annotation.shape import BACKGROUND_CLASS, IGNORE_CLASS, Shape
from segstudio.errors import UserError
from segstudio.project.classes import ClassTable, ProjectClass, colour_text, parse_colour
from segstudio.project.index import Stamp
from segstudio.project.scan import ImageKey

BulkKind = Literal["rename", "merge", "delete", "recolour", "reclass", "remove"]
RESERVED: Final = (IGNORE_CLASS, BACKGROUND_CLASS)
Changes = Mapping[int, Shape | None]
"""What becomes of shapes, by place; None for one that goes."""
STEPS: Final[Mapping[str, str]] = {
    "delete": "Delete a class",
    "reclass": "Change class",
    "remove": "Delete",
}
"""What those that an image notes as a step are called in its undo history."""
_OF_SHAPES: Final = ("reclass", "remove")


@dataclass(frozen=True, slots=True)
class Pick:
    """Shapes of one image, by their places in its label file as that was at `stamp`."""

    stamp: Stamp
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BulkEdit:
    """A change over the whole project.

    `rename`, `merge`, `delete` and `recolour` are about the class `name`; `to` is its new name,
    the class it is merged into, or its colour as #rrggbb. `reclass` (to the class `to`) and
    `remove` are about the shapes in `picks`.
    """

    kind: BulkKind
    name: str = ""
    to: str = ""
    picks: Mapping[ImageKey, Pick] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        picks = {key: [*pick.stamp, *pick.places] for key, pick in self.picks.items()}
        return {"kind": self.kind, "name": self.name, "to": self.to, "picks": picks}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> BulkEdit:
        """ValueError or KeyError when it is none."""
        if raw["kind"] not in get_args(BulkKind):
            raise ValueError(f"no change of many images: {raw['kind']!r}")
        picks = {
            str(key): Pick((int(row[0]), int(row[1])), tuple(int(n) for n in row[2:]))
            for key, row in raw.get("picks", {}).items()
        }
        return cls(raw["kind"], str(raw.get("name", "")), str(raw.get("to", "")), picks)

    @property
    def title(self) -> str:
        """In English, for the command line."""
        match self.kind:
            case "rename":
                return f"Rename class {self.name} to {self.to}"
            case "merge":
                return f"Merge class {self.name} into {self.to}"
            case "delete":
                return f"Delete class {self.name}"
            case "recolour":
                return f"Recolour class {self.name}"
            case "reclass":
                return f"Change class of {self.count} shapes to {self.to}"
        return f"Delete {self.count} shapes"

    @property
    def count(self) -> int:
        """How many shapes were picked."""
        return sum(len(pick.places) for pick in self.picks.values())

    @property
    def takes_shapes_away(self) -> bool:
        return self.kind in ("delete", "remove")

    @property
    def step(self) -> str:
        """What images note in their undo history; "" for the names of classes, which are no step
        of any."""
        return STEPS.get(self.kind, "")

    def checked(self, table: ClassTable) -> BulkEdit:
        """This change as it can be made in a project with these classes; UserError when not."""
        edit = replace(self, name=self.name.strip(), to=self.to.strip())
        if edit.kind not in _OF_SHAPES:
            _check_there(edit.name, table)
        if edit.kind == "rename":
            _check_new(edit.name, edit.to, table)
        elif edit.kind == "merge":
            _check_there(edit.to, table)
            if edit.to == edit.name:
                raise UserError("A class cannot be merged into itself")
        elif edit.kind == "recolour":
            return replace(edit, to=_colour(edit.to))
        elif edit.kind == "reclass" and edit.to not in (*table.names, *RESERVED):
            _check_there(edit.to, table)
        return edit

    # -- what it does

    def may_touch(self, key: ImageKey, classes: Iterable[str]) -> bool:
        """Whether it can change an image whose shapes are of these classes."""
        if self.kind in _OF_SHAPES:
            return key in self.picks
        return self.kind != "recolour" and self.name in classes

    def changes(self, key: ImageKey, shapes: Sequence[Shape]) -> dict[int, Shape | None]:
        """What becomes of an image's shapes, by place; None for one that goes."""
        if self.kind in _OF_SHAPES:
            wanted = self.picks[key].places if key in self.picks else ()
            places = [place for place in wanted if 0 <= place < len(shapes)]
        else:
            places = [i for i, shape in enumerate(shapes) if shape.class_name == self.name]
        return {place: self._become(shapes[place]) for place in places}

    def undone(
        self, shapes: Sequence[Shape], before: Sequence[Shape], changes: Changes
    ) -> list[Shape]:
        """An image's shapes without `changes` that it made to `before`, keeping what came since.

        A name is given back to all shapes of the class, those drawn since too; else what a
        person has changed since stays.
        """
        if self.kind == "rename":
            return [_named(s, self.name) if s.class_name == self.to else s for s in shapes]
        return _restored(shapes, before, changes)

    def check_undo(self, table: ClassTable) -> None:
        """UserError when it cannot be undone any more."""
        if self.kind == "rename" and self.name in table:
            message = f"There is another class {self.name!r} now"
            raise UserError(message, remedy="Rename or merge the two by hand.")
        if self.kind == "rename" and self.to not in table:
            raise UserError(f"There is no class {self.to!r} any more")

    def _become(self, shape: Shape) -> Shape | None:
        if self.takes_shapes_away:
            return None
        changed = shape.with_class(self.to) if self.kind == "reclass" else _named(shape, self.to)
        if changed.kind == "opaque" and "label" in changed.extra:
            changed = replace(changed, extra={**changed.extra, "label": self.to})
        return changed

    def table_after(self, table: ClassTable) -> ClassTable:
        """The classes once it is done; done already, they stay as they are."""
        if self.name not in table:
            return table
        match self.kind:
            case "rename":  # the new name may have been met in a label file already
                whole = table.joined(self.to, self.name) if self.to in table else table
                return whole.renamed(self.name, self.to)
            case "merge":
                return table.joined(self.name, self.to) if self.to in table else table
            case "delete":
                return table.without(self.name)
            case "recolour":
                return table.recoloured(self.name, parse_colour(self.to))
        return table

    def table_before(self, table: ClassTable, was: ProjectClass, place: int) -> ClassTable:
        """The classes once it is undone: `was` is the class `name` as it had been, at `place`.

        What was changed since is left alone.
        """
        match self.kind:
            case "rename" if self.to in table and self.name not in table:
                return table.renamed(self.to, self.name)
            case "merge":
                return table.parted(was, self.to, place)
            case "delete":
                return table.with_entry(was, place)
            case "recolour":
                now = table.get(self.name)
                same = now is not None and colour_text(now.colour) == self.to
                return table.recoloured(self.name, was.colour) if same else table
        return table


def _named(shape: Shape, name: str) -> Shape:
    """The shape under another name of its class: nobody has corrected it."""
    return replace(shape, class_name=name)


def _check_there(name: str, table: ClassTable) -> None:
    if name not in table:
        known = ", ".join(table.names) or "none yet"
        raise UserError(f"There is no class {name!r}", remedy=f"The classes: {known}")


def _check_new(old: str, new: str, table: ClassTable) -> None:
    if not new:
        raise UserError("A class needs a name")
    if new in RESERVED:
        raise UserError(f"The name {new!r} means something else", remedy="Take another one.")
    if new == old:
        raise UserError(f"The class is called {old!r} already")
    if new in table:
        remedy = f"Merge {old} into it, or take another name."
        raise UserError(f"There is a class {new!r} already", remedy=remedy)


def _colour(text: str) -> str:
    try:
        return colour_text(parse_colour(text))
    except ValueError as error:
        raise UserError(str(error), remedy="Write it as #rrggbb.") from None


# -- taking back


def _restored(shapes: Sequence[Shape], before: Sequence[Shape], changes: Changes) -> list[Shape]:
    """A changed shape that is still as it was left becomes what it was; one that was taken away
    comes back over the one that lay below it, unless it is there again.
    """
    now = list(shapes)
    left = _Places(now)
    known: dict[int, int] = {}  # where the shapes of `before` are now
    for place, shape in enumerate(before):
        after = changes.get(place, shape)
        found = left.take(after) if after is not None else left.take(shape)
        if found is not None:
            known[place] = found
            now[found] = shape
    missing = [p for p, after in changes.items() if after is None and p not in known]
    for place in sorted(missing, reverse=True):
        below = [known[p] for p in range(place) if p in known]
        at = max(below[-1:], default=-1) + 1
        now.insert(at, before[place])
        known = {p: n + (n >= at) for p, n in known.items()}
    return now


class _Places:
    """Where shapes are, found by what they are; each is found once."""

    def __init__(self, shapes: Sequence[Shape]) -> None:
        self._shapes = shapes
        self._by_look: dict[object, list[int]] = {}
        for place, shape in enumerate(shapes):
            self._by_look.setdefault(_look(shape), []).append(place)

    def take(self, shape: Shape) -> int | None:
        places = self._by_look.get(_look(shape), [])
        for place in places:
            if self._shapes[place] == shape:
                places.remove(place)
                return place
        return None


def _look(shape: Shape) -> object:
    """Equal for equal shapes."""
    box = shape.bounds() if shape.bitmap is not None else None
    return shape.class_name, shape.kind, shape.points.tobytes(), box
