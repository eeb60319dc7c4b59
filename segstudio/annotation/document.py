"""The annotation being edited: shapes and drafts, changed only by edits that can be undone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from operator import is_not
from typing import Any, Final, Literal, TypeVar

from segstudio.annotation.bitmap import Box, union_boxes
from segstudio.annotation.shape import Shape

Layer = Literal["shapes", "drafts"]
Step = Literal["do", "more", "undo", "redo", "forget"]
"""What can happen to the history: "more" becomes part of the last step, "forget" is the end."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Annotation:
    """All shapes of one image, as a label file holds them.

    `foreign` marks a file that another program wrote; such labels count as confirmed.
    `seconds` is the time a person has spent on the image; `extra` holds unknown keys.
    """

    width: int
    height: int
    shapes: tuple[Shape, ...] = ()
    confirmed: bool = False
    foreign: bool = False
    seconds: float = 0.0
    flags: Mapping[str, bool] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_confirmed(self) -> bool:
        return self.confirmed or self.foreign

    @property
    def size(self) -> tuple[int, int]:
        """(height, width), the shape of its label map."""
        return self.height, self.width


@dataclass(frozen=True, slots=True)
class Splice:
    """In one layer, from `index` on, `removed` is replaced by `inserted`."""

    layer: Layer
    index: int
    removed: tuple[Shape, ...] = ()
    inserted: tuple[Shape, ...] = ()

    def inverse(self) -> Splice:
        return Splice(self.layer, self.index, self.inserted, self.removed)

    def bounds(self) -> Box | None:
        box: Box | None = None
        for shape in (*self.removed, *self.inserted):
            box = union_boxes(box, shape.bounds())
        return box


@dataclass(frozen=True, slots=True)
class Edit:
    """One undo step: splices applied in order, and the name that the menu shows.

    `confirmed` is the image's status before and after, None when the edit leaves it alone.
    """

    name: str
    splices: tuple[Splice, ...] = ()
    confirmed: tuple[bool, bool] | None = None

    def inverse(self) -> Edit:
        back = None if self.confirmed is None else (self.confirmed[1], self.confirmed[0])
        return Edit(self.name, tuple(s.inverse() for s in reversed(self.splices)), back)

    def bounds(self) -> Box | None:
        box: Box | None = None
        for splice in self.splices:
            box = union_boxes(box, splice.bounds())
        return box


@dataclass(frozen=True, slots=True)
class Change:
    """What listeners hear: the splices done, and the pixels that may look different.

    `numbers` are those of the shapes that the splices put in, some of which may be gone again.
    `is_edit` is false for what is not a person's work: other drafts, a live edit given up.
    `step` says what happened to the history, with the edit it happened to; None for nothing.
    """

    splices: tuple[Splice, ...]
    dirty: Box | None
    is_edit: bool = True
    numbers: tuple[int, ...] = ()
    step: tuple[Step, Edit] | None = None


@dataclass(slots=True)
class _Row:
    """One layer: shapes in z-order and, beside them, numbers that stay with them; `last` is the
    place that was found last."""

    shapes: list[Shape] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    last: int = 0


class Document:
    """Shapes and drafts of one image, with undo and redo without limit.

    Every shape carries a number (`ids`), unique in the document's life, that it keeps while it
    is changed in place. Drafts lie under shapes.
    """

    def __init__(self, annotation: Annotation, drafts: Iterable[Shape] = ()) -> None:
        self.annotation: Final = annotation
        self._numbers = count(1)
        self._rows: dict[Layer, _Row] = {"shapes": _Row(), "drafts": _Row()}
        self._by_number: dict[int, Shape] = {}
        self._undo: list[Edit] = []
        self._redo: list[Edit] = []
        self._live: Edit | None = None
        self.confirmed = annotation.is_confirmed
        self.revision = 0
        self.listeners: list[Callable[[Change], None]] = []
        self._splice(Splice("drafts", 0, (), tuple(drafts)))
        self._splice(Splice("shapes", 0, (), annotation.shapes))

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the picture in pixels."""
        return self.annotation.size

    @property
    def shapes(self) -> Sequence[Shape]:
        return self._rows["shapes"].shapes

    @property
    def drafts(self) -> Sequence[Shape]:
        return self._rows["drafts"].shapes

    def items(self) -> tuple[list[Shape], list[int]]:
        """Everything that can be seen, from the bottom up, and its numbers."""
        drafts, shapes = self._rows["drafts"], self._rows["shapes"]
        return drafts.shapes + shapes.shapes, drafts.ids + shapes.ids

    def ids(self, layer: Layer = "shapes") -> Sequence[int]:
        return self._rows[layer].ids

    def layer_shapes(self, layer: Layer) -> Sequence[Shape]:
        return self._rows[layer].shapes

    def layer(self, layer: Layer) -> list[tuple[int, Shape]]:
        """(number, shape) of a layer, from the bottom up."""
        row = self._rows[layer]
        return list(zip(row.ids, row.shapes, strict=True))

    def index_of(self, number: int, layer: Layer = "shapes") -> int | None:
        """The place of shape `number` in its layer, or None when it is gone."""
        row = self._rows[layer]
        # while one shape is being changed it is asked for again and again
        if row.last < len(row.ids) and row.ids[row.last] == number:
            return row.last
        try:
            row.last = row.ids.index(number)
        except ValueError:
            return None
        return row.last

    def shape(self, number: int) -> Shape | None:
        return self._by_number.get(number)

    def places(self, changed: Mapping[int, T]) -> list[tuple[int, T]]:
        """Values by number as (place among the shapes, value); what is gone is left out."""
        if len(changed) < 8:
            found = ((self.index_of(number), value) for number, value in changed.items())
            return [(index, value) for index, value in found if index is not None]
        ids = self._rows["shapes"].ids
        return [(index, changed[n]) for index, n in enumerate(ids) if n in changed]

    # -- edits

    def apply(self, edit: Edit) -> None:
        """Do `edit` and make it the step that undo takes back; what was undone is forgotten."""
        self.commit()
        self._push(edit)
        self._do(edit, edit.bounds(), step="do")

    def amend(self, splices: tuple[Splice, ...]) -> None:
        """Do more as part of the last step, with which it is undone. Not an edit of a person.

        ValueError when there is no last step, something was undone since, or an edit is live.
        """
        if not self._undo or self._redo or self.is_live:
            raise ValueError("There is no step that more could be part of")
        last, more = self._undo[-1], Edit("", splices)
        self._undo[-1] = Edit(last.name, (*last.splices, *splices), last.confirmed)
        self._do(more, more.bounds(), is_edit=False, step="more")

    def live(self, edit: Edit, dirty: Box | None) -> None:
        """Show `edit` while it is being made, in place of the live edit shown before.

        Successive live edits must remove the same shapes at the same places. `dirty` is what
        looks different from the last one. It becomes an undo step by `commit`.
        """
        steps = edit.splices if self._live is None else _between(self._live, edit)
        numbers = self._splice_all(steps)
        self._live = edit
        self._changed(steps, dirty, numbers=numbers)

    def commit(self) -> None:
        """Make the live edit, if there is one, an undo step."""
        if self._live is not None:
            edit, self._live = self._live, None
            self._push(edit)
            self._changed((), None, step=("do", edit))

    def cancel(self) -> None:
        """Take the live edit back as if it had never been."""
        if self._live is not None:
            edit, self._live = self._live, None
            self._do(edit.inverse(), edit.bounds(), is_edit=False)

    def undo(self) -> Edit | None:
        """Take back the last step; None when there is none."""
        self.cancel()
        if not self._undo:
            return None
        edit = self._undo.pop()
        self._redo.append(edit)
        self._do(edit.inverse(), edit.bounds(), step="undo")
        return edit

    def redo(self) -> Edit | None:
        """Do again the step last undone; None when there is none."""
        self.cancel()
        if not self._redo:
            return None
        edit = self._redo.pop()
        self._undo.append(edit)
        self._do(edit, edit.bounds(), step="redo")
        return edit

    @property
    def undo_name(self) -> str | None:
        return self._undo[-1].name if self._undo else None

    @property
    def redo_name(self) -> str | None:
        return self._redo[-1].name if self._redo else None

    @property
    def is_live(self) -> bool:
        return self._live is not None

    def set_drafts(self, drafts: Sequence[Shape]) -> None:
        """Show other drafts (another model's). Not an edit; steps that touched drafts go."""
        step: tuple[Step, Edit] | None = None
        if any(s.layer == "drafts" for e in self._undo + self._redo for s in e.splices):
            self._undo.clear()
            self._redo.clear()
            step = "forget", Edit("")
        splice = Splice("drafts", 0, tuple(self.drafts), tuple(drafts))
        numbers = self._splice_all((splice,))
        self._changed((splice,), splice.bounds(), is_edit=False, numbers=numbers, step=step)

    def restore(self, done: Iterable[Edit], undone: Iterable[Edit] = ()) -> None:
        """Take over the history of an earlier session: what was done, oldest first, and what was
        undone after it, the next to be done again last.

        Their last shapes must be the very ones that are here.
        """
        self._undo[:], self._redo[:] = done, undone

    @property
    def history(self) -> tuple[Sequence[Edit], Sequence[Edit]]:
        """What undo would take back, oldest first, and what redo would do, the next one last."""
        return self._undo, self._redo

    def _push(self, edit: Edit) -> None:
        self._undo.append(edit)
        self._redo.clear()

    def _do(
        self, edit: Edit, dirty: Box | None, is_edit: bool = True, step: Step | None = None
    ) -> None:
        numbers = self._splice_all(edit.splices)
        if edit.confirmed is not None:
            self.confirmed = edit.confirmed[1]
        done = None if step is None else (step, edit.inverse() if step == "undo" else edit)
        self._changed(edit.splices, dirty, is_edit, numbers, done)

    def _splice_all(self, splices: Iterable[Splice]) -> tuple[int, ...]:
        """Do splices in order; the numbers of what they put in."""
        return tuple(number for splice in splices for number in self._splice(splice))

    def _splice(self, splice: Splice) -> Sequence[int]:
        row = self._rows[splice.layer]
        end = splice.index + len(splice.removed)
        there = row.shapes[splice.index : end]
        if len(there) != len(splice.removed) or any(map(is_not, there, splice.removed)):
            raise ValueError("An edit removes shapes that are not where it says")
        if len(splice.removed) != len(splice.inserted):
            for number in row.ids[splice.index : end]:
                del self._by_number[number]
            fresh = [next(self._numbers) for _ in splice.inserted]
            row.ids[splice.index : end] = fresh
        else:
            fresh = row.ids[splice.index : end]
        row.shapes[splice.index : end] = splice.inserted
        self._by_number.update(zip(fresh, splice.inserted, strict=True))
        return fresh

    def _changed(
        self,
        splices: tuple[Splice, ...],
        dirty: Box | None,
        is_edit: bool = True,
        numbers: tuple[int, ...] = (),
        step: tuple[Step, Edit] | None = None,
    ) -> None:
        self.revision += 1
        change = Change(splices, dirty, is_edit, numbers, step)
        for listener in tuple(self.listeners):
            listener(change)


def _between(old: Edit, new: Edit) -> tuple[Splice, ...]:
    """The splices that lead from `old` done to `new` done; shapes that stay keep their number."""
    pairs = list(zip(old.splices, new.splices, strict=False))
    same = len(old.splices) == len(new.splices) and all(
        (a.layer, a.index, len(a.inserted)) == (b.layer, b.index, len(b.inserted)) for a, b in pairs
    )
    if same and (len(pairs) == 1 or all(len(a.removed) == len(a.inserted) for a, _ in pairs)):
        return tuple(Splice(b.layer, b.index, a.inserted, b.inserted) for a, b in pairs)
    return (*old.inverse().splices, *new.splices)


def replace_shapes(name: str, document: Document, changed: Mapping[int, Shape | None]) -> Edit:
    """An edit that gives shapes (by number) a new form, or removes them (None)."""
    splices = [
        Splice("shapes", index, (document.shapes[index],), () if shape is None else (shape,))
        for index, shape in document.places(changed)
    ]
    splices.sort(key=lambda s: -s.index)
    return Edit(name, tuple(splices))


def add_shapes(name: str, document: Document, shapes: Sequence[Shape]) -> Edit:
    """An edit that puts shapes on top."""
    return Edit(name, (Splice("shapes", len(document.shapes), (), tuple(shapes)),))
