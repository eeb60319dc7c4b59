"""What concerns a class or the shapes of all images: its dialogs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QColorDialog

from segstudio.annotation.shape import BACKGROUND_CLASS, IGNORE_CLASS
from segstudio.project.bulk import BulkEdit
from segstudio.project.classes import colour_text
from segstudio.project.shape_index import Hit
from segstudio.studio import dialogs
from segstudio.studio.bulk_words import bulk_title
from segstudio.studio.i18n import tr

if TYPE_CHECKING:
    from segstudio.studio.dialogs.classes import ClassForm
    from segstudio.studio.main_window import MainWindow

_OF_CLASS = ("rename_class", "recolour_class", "merge_class", "delete_class")


class ClassWishes:
    """Dialogs of the main window; each asks, then lets `Bulk` do it."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self._session, self._bulk = window.session, window.bulk
        self._acts: dict[str, Callable[[str], None]] = {
            "rename_class": self.rename,
            "merge_class": self.merge,
            "delete_class": self.delete,
            "recolour_class": self.recolour,
            "find_shapes": self.find,
        }
        self._find: dialogs.FindShapes | None = None
        self._statistics: dialogs.Statistics | None = None
        self._wanted: Hit | None = None
        for name in _OF_CLASS:
            window.actions_.on(name, partial(self._for_current, name))
        window.actions_.on("undo_bulk", self._bulk.undo)
        window.actions_.on("find_shapes", self.find)
        window.actions_.on("statistics", self.statistics)
        self._session.image_changed.connect(self._select_wanted)
        window.classes.wished.connect(lambda action, name: self._acts[action](name))

    def allowed(self, no_project: str, read_only: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Why actions cannot be done now, or "", and their names."""
        paused = self._session.paused
        chosen = self._session.choices.class_name
        no_change = no_project or read_only or paused
        fixed = chosen in ("", IGNORE_CLASS, BACKGROUND_CLASS)
        no_class = tr("Pick a class first.") if fixed else ""
        yield no_project, ("find_shapes", "statistics")
        yield no_change or no_class, _OF_CLASS
        last = None if no_change else self._bulk.last()
        action = self._window.actions_["undo_bulk"]
        words = tr("Undo: {what}", what=bulk_title(last)) if last is not None else ""
        action.setText(words or action.iconText())
        nothing = "" if words else tr("There is nothing to undo.")
        yield no_change or nothing, ("undo_bulk",)

    def _for_current(self, name: str) -> None:
        self._acts[name](self._session.choices.class_name)

    # -- one class

    def rename(self, name: str) -> None:
        self._ask(name, dialogs.RenameClass(self._window, name, self._bulk.check))

    def merge(self, name: str) -> None:
        others = [c for c in self._session.choices.classes if c.name != name]
        self._ask(name, dialogs.MergeClass(self._window, name, others, self._bulk.check))

    def delete(self, name: str) -> None:
        self._ask(name, dialogs.DeleteClass(self._window, name, self._bulk.check))

    def _ask(self, name: str, dialog: ClassForm) -> None:
        dialog.chosen.connect(self._bulk.run)
        is_open = [True]
        dialog.finished.connect(lambda _: is_open.clear())
        dialog.open()
        project = self._session.project

        def count() -> int:
            self._session.writing.wait()
            return len(project.images_with(name)) if project is not None else 0

        def show(found: int | Exception) -> None:
            if isinstance(found, int) and is_open:
                dialog.show_count(found)

        self._session.in_background(count, show)

    def recolour(self, name: str) -> None:
        shown = self._session.choices.classes.get(name)
        if shown is None or self._session.is_read_only():
            return
        dialog = QColorDialog(QColor(*shown.colour), self._window)
        dialog.setWindowTitle(tr("Colour of {name}", name=name))

        def choose(colour: QColor) -> None:
            rgb = colour_text((colour.red(), colour.green(), colour.blue()))
            self._bulk.run(BulkEdit("recolour", name, rgb))

        dialog.colorSelected.connect(choose)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    # -- all shapes

    def find(self, name: str = "") -> None:
        """The list of shapes, beside the work; of one class, or as it was."""
        if self._find is None:
            self._find = dialogs.FindShapes(self._session, self._window.finder, self._window)
            self._find.opened.connect(self._go_to)
            self._find.bulk_asked.connect(self._bulk.run)
            self._find.destroyed.connect(self._forget_find)
        if name:
            self._find.choose_class(name)
        self._find.show()
        self._find.raise_()
        self._find.activateWindow()
        self._find.words.setFocus()

    def _forget_find(self) -> None:
        self._find = None

    def statistics(self) -> None:
        """The classes in numbers, beside the work."""
        if self._statistics is None:
            self._statistics = dialogs.Statistics(self._session, self._window.finder, self._window)
            self._statistics.destroyed.connect(self._forget_statistics)
            self._statistics.class_opened.connect(self.find)
        self._statistics.show()
        self._statistics.raise_()

    def _forget_statistics(self) -> None:
        self._statistics = None

    def _go_to(self, hit: Hit) -> None:
        """Open a hit's image, if need be, and show the shape."""
        self._wanted = hit
        image = self._session.image
        if image is not None and image.key == hit.key and self._session.wanted == hit.key:
            self._select_wanted()
        else:
            self._session.go(hit.key)

    def _select_wanted(self) -> None:
        hit, image = self._wanted, self._session.image
        if hit is None or image is None or image.key != hit.key:
            return
        self._wanted = None
        document = image.document
        if hit.place < len(document.shapes):
            shape = document.shapes[hit.place]
            if (shape.class_name, shape.kind) == (hit.class_name, hit.kind):
                image.desk.select([document.ids()[hit.place]])
                QTimer.singleShot(0, self._window.canvas, self._window.canvas.fit_selection)
