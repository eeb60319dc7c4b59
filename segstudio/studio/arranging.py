"""The selection's actions in the window: each is one step of segstudio.tools.arrange."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QWidget

from segstudio.annotation.document import Edit, Splice
from segstudio.annotation.shape import Shape
from segstudio.studio import dialogs
from segstudio.studio.i18n import tr
from segstudio.studio.session import Session
from segstudio.tools import Desk, arrange

_ABOVE: Final = 60
"""Screen pixels of the window that stay in sight below a dialog that must not cover the canvas."""
_SIMPLER: Final = 1.0
"""Image pixels by which outlines may change, until another number is chosen."""


class Arranging:
    """What actions do with the selected shapes; copied shapes live as long as the window."""

    def __init__(self, session: Session, parent: QWidget) -> None:
        self._session, self._parent = session, parent
        self._copied: tuple[Shape, ...] = ()

    def acts(self) -> dict[str, Callable[[], None]]:
        """What to do, by action name."""
        steps: dict[str, Callable[[Desk], bool]] = {
            "duplicate": arrange.duplicate,
            "unite": lambda desk: arrange.combine(desk, "union"),
            "subtract": lambda desk: arrange.combine(desk, "subtract"),
            "intersect": lambda desk: arrange.combine(desk, "intersect"),
            "to_masks": arrange.to_masks,
            "to_polygons": arrange.to_polygons,
            "to_front": lambda desk: arrange.reorder(desk, to_top=True),
            "to_back": lambda desk: arrange.reorder(desk, to_top=False),
            "group": lambda desk: arrange.group(desk, together=True),
            "ungroup": lambda desk: arrange.group(desk, together=False),
            "lock_shapes": arrange.lock,
            "paste": lambda desk: arrange.paste(desk, self._copied),
        }
        acts = {name: partial(self._do, name, step) for name, step in steps.items()}
        return {**acts, "cut": self._cut, "copy": self._copy, "simplify": self._simplify}

    def _simplify(self) -> None:
        """A slider beside the canvas; what it does is seen at once."""
        image = self._session.image
        if image is None or self._session.is_read_only():
            return
        if not arrange.simplified(image.desk, _SIMPLER).splices:
            self._say_what_is_missing("simplify", image.desk)
            return
        dialog = dialogs.SimplifyDialog(_SIMPLER, self._parent)
        live = Simplifying(image.desk)
        dialog.changed.connect(lambda px: dialog.show_counts(*live.show(px)))
        dialog.accepted.connect(lambda: live.keep(dialog.number.value()))
        dialog.rejected.connect(live.give_up)
        dialog.show_counts(*live.show(_SIMPLER))
        dialog.open()
        low = self._parent.height() - dialog.height() - _ABOVE
        middle = (self._parent.width() - dialog.width()) // 2
        dialog.move(self._parent.mapToGlobal(QPoint(middle, low)))  # off what it changes

    def _do(self, name: str, step: Callable[[Desk], bool]) -> None:
        image = self._session.image
        if image is None or self._session.is_read_only():
            return
        if not step(image.desk):
            self._say_what_is_missing(name, image.desk)

    def _say_what_is_missing(self, name: str, desk: Desk) -> None:
        """Why an act did nothing."""
        own = set(desk.document.ids())
        chosen = [shape for number, shape in desk.selected() if number in own]
        if name == "paste" and self._copied:
            words = tr("What was copied lies outside this picture.")
        elif name == "paste":
            words = tr("Copy or cut some shapes first.")
        elif desk.selection and not chosen:
            words = tr("A draft is selected: accept it first.")
        elif chosen and all(map(desk.is_locked, chosen)):
            words = tr("What is selected is locked.")
        elif chosen and name in ("to_front", "to_back"):
            words = tr("It is there already.")
        else:
            words = _what_is_missing(name)
        self._session.message.emit(words, "info")

    def _cut(self) -> None:
        image = self._session.image
        if image is None or self._session.is_read_only():
            return
        cut = tuple(shape for _, shape in arrange.movable(image.desk))
        if arrange.cut(image.desk):
            self._copied = cut
            words = tr("{n} shape cut|{n} shapes cut", n=len(cut))
            self._session.message.emit(words, "info")
        else:
            self._say_what_is_missing("cut", image.desk)

    def _copy(self) -> None:
        image = self._session.image
        if image is None:
            return
        copied = tuple(shape for _, shape in image.desk.selected())
        if not copied:
            self._say_what_is_missing("copy", image.desk)
            return
        self._copied = copied
        words = tr("{n} shape copied|{n} shapes copied", n=len(copied))
        self._session.message.emit(words, "info")


def _what_is_missing(name: str) -> str:
    match name:
        case "unite" | "subtract" | "intersect" | "group":
            return tr("Select two unlocked shapes or more first.")
        case "to_masks":
            return tr("Select a polygon or another outline first.")
        case "to_polygons":
            return tr("Select a mask first; one part of it must have no hole.")
        case "simplify":
            return tr("Select a polygon, a line of many points or a mask first.")
        case "ungroup":
            return tr("Select a group first.")
        case _:
            return tr("Select a shape first.")


class Simplifying:
    """The selected shapes made simpler, shown while a number is sought."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._first = arrange.simplified(desk, 0.0)

    def show(self, tolerance: float) -> tuple[int, int]:
        """Points before and then, masks left out; live in the document."""
        document = self._desk.document
        splices = tuple(
            Splice(s.layer, s.index, s.removed, tuple(arrange.simpler(s.removed[0], tolerance)))
            for s in self._first.splices
        )
        edit = Edit(self._first.name, splices)
        document.live(edit, edit.bounds())
        self._select(shape for splice in splices for shape in splice.inserted)
        before = sum(len(shape.points) for s in self._first.splices for shape in s.inserted)
        return before, sum(len(shape.points) for s in splices for shape in s.inserted)

    def keep(self, tolerance: float) -> None:
        """Make it a step, if anything is another."""
        before, now = self.show(tolerance)
        masks = any(s.removed[0].bitmap is not None for s in self._first.splices)
        if before == now and not masks:
            self.give_up()
        else:
            self._desk.document.commit()

    def give_up(self) -> None:
        """Everything as it was."""
        self._desk.document.cancel()
        self._select(splice.removed[0] for splice in self._first.splices)

    def _select(self, shapes: Iterable[Shape]) -> None:
        wanted = {id(shape) for shape in shapes}
        pairs = self._desk.document.layer("shapes")
        self._desk.select([number for number, shape in pairs if id(shape) in wanted])
