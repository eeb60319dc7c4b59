"""The classes of a project: number, name, colour and key."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from segstudio.errors import UserError

Colour = tuple[int, int, int]

# Okabe and Ito (2008), then each time the colour that is farthest (CIE Lab) from all before it,
# for normal eyes and, by the matrices of Machado et al. (2009), for red- and green-blind ones.
_HEX: Final = (
    "E69F00 56B4E9 009E73 F0E442 0072B2 D55E00 CC79A7 6611FF 00FF88 8877FF EE1155 55EEEE "
    "556633 BBDDAA BB0077 8822CC BBAA55 DD11BB AADD55 775500 FF7788 8899FF 119911 5555FF "
    "993399 FFAABB FF77DD 66CC22 88CC77 AA2255 BB3333 886699"
)
PALETTE: Final[tuple[Colour, ...]] = tuple(
    (int(h[:2], 16), int(h[2:4], 16), int(h[4:], 16)) for h in _HEX.split()
)


@dataclass(frozen=True, slots=True)
class ProjectClass:
    """What a shape can be. `id` is its value in every label map and is never used again.

    `formerly` are names it had before, and those of classes merged into it; `absorbed` are the
    ids of these. Models, predictions and undo histories made at that time still speak of them.
    """

    id: int
    name: str
    colour: Colour
    key: str | None = None
    formerly: tuple[str, ...] = ()
    absorbed: tuple[int, ...] = ()


_FACTS: Final = ("name", "colour", "key", "formerly", "absorbed")


class ClassTable:
    """The classes in the order a person sees; immutable, every change gives a new table."""

    __slots__ = ("_classes", "_next_id")

    def __init__(self, classes: Iterable[ProjectClass] = (), next_id: int = 1) -> None:
        self._classes = tuple(classes)
        used = (i for c in self._classes for i in (c.id, *c.absorbed))
        self._next_id = max([next_id, *(i + 1 for i in used)])
        self._check()

    @classmethod
    def of(cls, *names: str) -> ClassTable:
        """A table of new classes, numbered from 1."""
        table = cls()
        for name in names:
            table = table.with_class(name)
        return table

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self._classes)

    @property
    def values(self) -> dict[str, int]:
        """Label map value by class name, as `rasterise.label_map` wants it."""
        return {c.name: c.id for c in self._classes}

    @property
    def old_values(self) -> dict[str, int]:
        """Like `values`, with former names too: for what was made when they were in use."""
        former = {name: c.id for c in self._classes for name in c.formerly}
        return {**former, **self.values}

    @property
    def by_value(self) -> dict[int, str]:
        """Class name by label map value, those of merged classes too."""
        return {value: c.name for c in self._classes for value in (*c.absorbed, c.id)}

    def now(self, name: str) -> str:
        """What a class of this name, then or now, is called; itself when nobody knows it."""
        if name in self.names:
            return name
        return next((c.name for c in self._classes if name in c.formerly), name)

    def now_each(self, names: Iterable[str]) -> tuple[str, ...]:
        """What classes that were there together are called; of those merged since, one keeps
        the name and the others their own."""
        asked = tuple(names)
        found: list[str] = []
        for name in asked:
            new = self.now(name)
            taken = new != name and (new in found or new in asked)
            found.append(name if taken else new)
        return tuple(found)

    @property
    def next_id(self) -> int:
        """The number the next new class gets; removed classes keep theirs."""
        return self._next_id

    def get(self, name: str) -> ProjectClass | None:
        return next((c for c in self._classes if c.name == name), None)

    def by_id(self, class_id: int) -> ProjectClass | None:
        return next((c for c in self._classes if c.id == class_id), None)

    def with_class(self, name: str, colour: Colour | None = None) -> ClassTable:
        """The table with the class `name` at its end; itself when the class is there already."""
        if name in self.names:
            return self
        chosen = colour or default_colour(self._next_id)
        new = ProjectClass(self._next_id, name, chosen, self._free_key())
        return ClassTable((*self._classes, new), self._next_id + 1)

    def without(self, name: str) -> ClassTable:
        return ClassTable((c for c in self._classes if c.name != name), self._next_id)

    def renamed(self, old: str, new: str) -> ClassTable:
        """The table where `old` is called `new`; what was made before still finds it."""
        known = self._known(old)
        formerly = _without((*known.formerly, old), new)
        return self._changed(old, name=new, formerly=formerly)

    def joined(self, name: str, into: str) -> ClassTable:
        """The table where the class `name` has become part of `into`."""
        gone, kept = self._known(name), self._known(into)
        return self.without(name)._changed(
            into,
            formerly=_without((*kept.formerly, *gone.formerly, name), into),
            absorbed=tuple(dict.fromkeys((*kept.absorbed, *gone.absorbed, gone.id))),
        )

    def parted(self, gone: ProjectClass, into: str, place: int) -> ClassTable:
        """The table where `gone`, once joined to `into`, is a class of its own again."""
        table = self
        if into in table:
            kept = table._known(into)
            mine = {*gone.formerly, gone.name}
            table = table._changed(
                into,
                formerly=tuple(n for n in kept.formerly if n not in mine),
                absorbed=tuple(i for i in kept.absorbed if i not in (gone.id, *gone.absorbed)),
            )
        return table.with_entry(gone, place)

    def with_entry(self, entry: ProjectClass, place: int) -> ClassTable:
        """The table with a class that was taken out, at its place; itself when it is there."""
        if entry.name in self.names or self.by_id(entry.id) is not None:
            return self
        if any(c.key == entry.key for c in self._classes):
            entry = replace(entry, key=None)
        rows = [*self._classes[:place], entry, *self._classes[place:]]
        return ClassTable(rows, self._next_id)

    def recoloured(self, name: str, colour: Colour) -> ClassTable:
        return self._changed(name, colour=colour)

    def with_key(self, name: str, key: str | None) -> ClassTable:
        """The table where `key` picks `name`, and no other class."""
        cleared = (replace(c, key=None) if key and c.key == key else c for c in self._classes)
        return ClassTable(cleared, self._next_id)._changed(name, key=key)

    def merged(self, base: ClassTable, theirs: ClassTable) -> ClassTable:
        """This table's changes since `base`, made to `theirs` instead, matched by name.

        Classes of `theirs` keep their numbers; those that are only here get fresh ones.
        """
        if theirs == base:
            return self
        table = theirs
        for old in base:
            there = theirs.get(old.name) or theirs.by_id(old.id)
            mine = self.by_id(old.id)
            if there is None or (there.name != old.name and there.name in base):
                continue  # removed there
            table = table.without(there.name) if mine is None else table._with(there, old, mine)
        for mine in self:
            if base.by_id(mine.id) is None and mine.name not in table:
                chosen = None if mine.colour == default_colour(mine.id) else mine.colour
                table = table.with_class(mine.name, chosen)
        return ClassTable(table, max(self.next_id, table.next_id))

    def _with(self, there: ProjectClass, old: ProjectClass, mine: ProjectClass) -> ClassTable:
        """The table where `there` has what `mine` changed of `old`."""
        facts = {n: getattr(mine, n) for n in _FACTS if getattr(mine, n) != getattr(old, n)}
        return self._changed(there.name, **facts)

    def _known(self, name: str) -> ProjectClass:
        found = self.get(name)
        if found is None:
            raise UserError(f"There is no class {name!r}", remedy="Add it first.")
        return found

    def _changed(self, name: str, /, **facts: object) -> ClassTable:
        self._known(name)
        changed = (replace(c, **facts) if c.name == name else c for c in self._classes)  # type: ignore[arg-type]
        return ClassTable(changed, self._next_id)

    def _free_key(self) -> str | None:
        used = {c.key for c in self._classes}
        return next((key for key in "123456789" if key not in used), None)

    def _check(self) -> None:
        for what, values in (("name", self.names), ("number", [c.id for c in self._classes])):
            if len(set(values)) != len(values):
                raise UserError(f"Two classes have the same {what}", remedy="Rename one of them.")
        if any(not c.name.strip() or c.id < 1 for c in self._classes):
            raise UserError("A class needs a name and a number from 1 up")

    def __iter__(self) -> Iterator[ProjectClass]:
        return iter(self._classes)

    def __len__(self) -> int:
        return len(self._classes)

    def __getitem__(self, index: int) -> ProjectClass:
        return self._classes[index]

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ClassTable):
            return NotImplemented
        return self._classes == other._classes and self._next_id == other._next_id

    def __hash__(self) -> int:
        return hash(self._classes)

    def __repr__(self) -> str:
        return f"ClassTable({', '.join(f'{c.id} {c.name}' for c in self._classes)})"


def _without(names: Iterable[str], name: str) -> tuple[str, ...]:
    return tuple(n for n in dict.fromkeys(names) if n != name)


def default_colour(class_id: int) -> Colour:
    """The colour of a class nobody chose one for; after the palette, evenly spread hues."""
    if class_id <= len(PALETTE):
        return PALETTE[class_id - 1]
    hue = (class_id * 0.618034) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.45 + 0.4 * (class_id % 2), 0.9)
    return round(red * 255), round(green * 255), round(blue * 255)


def colour_text(colour: Colour) -> str:
    """`#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def parse_colour(text: str) -> Colour:
    """A colour from `#rrggbb`; ValueError for anything else."""
    digits = text.removeprefix("#")
    if len(digits) != 6:
        raise ValueError(f"{text!r} is not a colour like #e69f00")
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
