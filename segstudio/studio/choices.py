"""What a person has chosen: the current class, what is hidden or locked, the brush."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Signal

from segstudio.annotation.document import replace_shapes
from segstudio.annotation.shape import BACKGROUND_CLASS, IGNORE_CLASS, Shape
from segstudio.project.classes import ClassTable, Colour
from segstudio.studio.i18n import tr
from segstudio.tools import Desk, Options

if TYPE_CHECKING:
    from segstudio.studio.session import Session

MAX_BRUSH: Final = 500.0


class Choices(QObject):
    """Choices of the open project; `put_on` lays them on the desk of an image."""

    classes_changed = Signal()
    desk_changed = Signal()
    hidden_changed = Signal()
    """Other shapes of the open image are hidden."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self.class_name = ""
        self.brush_radius = 8.0
        self.options = Options()
        self.locked_classes: frozenset[str] = frozenset()
        self.hidden_classes: frozenset[str] = frozenset()

    def start(self) -> None:
        """Another project is open: its first class, nothing hidden or locked."""
        names = self.classes.names
        self.class_name = names[0] if names else ""
        self.locked_classes = self.hidden_classes = frozenset()
        self.classes_changed.emit()

    def follow(self) -> None:
        """Classes were renamed, merged or deleted: what was chosen is called otherwise."""
        table = self.classes

        def now(names: frozenset[str]) -> frozenset[str]:
            return frozenset(name for name in map(table.now, names) if name in _known(table))

        self.hidden_classes = now(self.hidden_classes)
        self.locked_classes = now(self.locked_classes)
        current = table.now(self.class_name)
        fallback = table.names[0] if len(table) else ""
        self.class_name = current if current in _known(table) else fallback
        self._put()
        self.classes_changed.emit()
        self.desk_changed.emit()

    def put_on(self, desk: Desk) -> None:
        desk.class_name, desk.brush_radius = self.class_name, self.brush_radius
        desk.locked_classes, desk.options = self.locked_classes, self.options
        desk.hide(self.hidden_classes, desk.hidden_shapes)

    def _put(self) -> None:
        if self._session.image is not None:
            self.put_on(self._session.image.desk)

    # -- classes

    @property
    def classes(self) -> ClassTable:
        project = self._session.project
        return project.classes if project is not None else ClassTable()

    def set_classes(self, table: ClassTable) -> bool:
        """Change the classes and write them; whether that worked."""
        if not self._session.try_(lambda project: project.set_classes(table)):
            return False
        names = self.classes.names
        if self.class_name not in (*names, IGNORE_CLASS, BACKGROUND_CLASS):
            self.choose_class(names[0] if names else "")
        self.classes_changed.emit()
        return True

    def add_class(self, name: str, colour: Colour | None = None) -> None:
        """A new class, which becomes the current one."""
        name = name.strip()
        if name and self.set_classes(self.classes.with_class(name, colour)):
            self.choose_class(name)

    def choose_class(self, name: str) -> None:
        """The class that tools draw from now on."""
        self.class_name = name
        self._put()
        self.desk_changed.emit()

    def lock_class(self, name: str, locked: bool) -> None:
        self.locked_classes = _with(self.locked_classes, name, locked)
        self._put()
        self.classes_changed.emit()

    def hide_class(self, name: str, hidden: bool) -> None:
        self.hidden_classes = _with(self.hidden_classes, name, hidden)
        self._put()
        self.classes_changed.emit()

    # -- shapes of the open image

    def hide_selection(self) -> None:
        """Take the selected shapes and drafts out of sight, until `show_hidden`."""
        image = self._session.image
        numbers = [n for n, _ in image.desk.selected()] if image is not None else []
        if image is None or not numbers:
            self._session.message.emit(tr("Select a shape first."), "info")
            return
        image.desk.hide(self.hidden_classes, image.desk.hidden_shapes.union(numbers))
        image.desk.select([])
        self.hidden_changed.emit()
        words = tr("{n} hidden. Alt+H shows them again.", n=len(image.desk.hidden_shapes))
        self._session.message.emit(words, "info")

    def show_hidden(self) -> None:
        """Show the shapes that `hide_selection` has hidden, and select them."""
        image = self._session.image
        if image is None or not image.desk.hidden_shapes:
            self._session.message.emit(tr("No shape is hidden."), "info")
            return
        numbers = sorted(image.desk.hidden_shapes)
        image.desk.hide(self.hidden_classes, frozenset())
        image.desk.select([n for n in numbers if image.document.shape(n) is not None])
        self.hidden_changed.emit()
        self._session.message.emit(tr("All shapes are shown again."), "info")

    def reclass_selection(self, name: str) -> None:
        """Give the selected shapes another class, as one step."""
        image = self._session.image
        if image is None or self._session.is_read_only():
            return
        desk = image.desk
        shapes = {n: s for n, s in desk.selected() if n in desk.document.ids()}
        if any(shape.locked for shape in shapes.values()):
            self._session.message.emit(tr("Locked shapes keep their class."), "info")
        changed: dict[int, Shape | None] = {
            n: s.with_class(name)
            for n, s in shapes.items()
            if not s.locked and s.class_name != name
        }
        if changed:
            desk.document.apply(replace_shapes(tr("Change class"), desk.document, changed))

    # -- how tools work

    def set_option(self, name: str, on: bool) -> None:
        """One of segstudio.tools.Options."""
        self.options = replace(self.options, **{name: on})
        self._put()
        self.desk_changed.emit()

    def set_brush_radius(self, radius: float) -> None:
        """In image pixels, half a pixel at least."""
        self.brush_radius = min(max(radius, 0.5), MAX_BRUSH)
        self._put()
        self.desk_changed.emit()


def _known(table: ClassTable) -> tuple[str, ...]:
    return (*table.names, IGNORE_CLASS, BACKGROUND_CLASS)


def _with(names: frozenset[str], name: str, inside: bool) -> frozenset[str]:
    return names | {name} if inside else names - {name}
