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
    """What a shape can be. `id` is its value in every label map and is never used again."""

    id: int
    name: str
    colour: Colour
    key: str | None = None


_FACTS: Final = ("name", "colour", "key")


class ClassTable:
    """The classes in the order a person sees; immutable, every change gives a new table."""

    __slots__ = ("_classes", "_next_id")

    def __init__(self, classes: Iterable[ProjectClass] = (), next_id: int = 1) -> None:
        self._classes = tuple(classes)
        self._next_id = max([next_id, *(c.id + 1 for c in self._classes)])
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
        return self._changed(old, name=new)

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

    def _changed(self, name: str, /, **facts: object) -> ClassTable:
        if name not in self.names:
            raise UserError(f"There is no class {name!r}", remedy="Add it first.")
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
