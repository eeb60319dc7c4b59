"""Ask how a class is to be called, what it is to be part of, and whether it may go."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QComboBox, QLabel, QLineEdit, QWidget

from segstudio.project.bulk import BulkEdit
from segstudio.project.classes import ProjectClass
from segstudio.studio.dialogs.base import Form
from segstudio.studio.i18n import tr
from segstudio.studio.panels.classes import swatch
from segstudio.studio.widgets import faint

Check = Callable[[BulkEdit], str]
"""Why an edit cannot be made, "" when it can."""


class ClassForm(Form):
    """A form about one class; emits the edit it was filled in for."""

    chosen = Signal(object)

    def __init__(
        self, parent: QWidget | None, title: str, ok: str, name: str, check: Check
    ) -> None:
        super().__init__(parent, title, ok)
        self._name, self._check = name, check
        self.count = faint(tr("counting …"), wrap=True)
        self.accepted.connect(lambda: self.chosen.emit(self.edit()))

    def edit(self) -> BulkEdit:
        raise NotImplementedError

    def look(self) -> None:
        """Say why it cannot be done."""
        self.refuse(self._check(self.edit()))
        self.adjustSize()

    def show_count(self, images: int) -> None:
        """In how many images there are shapes of the class."""
        words = tr(
            "Shapes of this class in {n} image. One undo takes it back.|"
            "Shapes of this class in {n} images. One undo takes it back.",
            n=images,
        )
        self.count.setText(words)
        self.adjustSize()


class RenameClass(ClassForm):
    """A line for the new name."""

    def __init__(self, parent: QWidget | None, name: str, check: Check) -> None:
        super().__init__(parent, tr("Rename class {name}", name=name), tr("Rename"), name, check)
        self.field = QLineEdit(name)
        self.field.selectAll()
        self.field.textChanged.connect(self.look)
        self.rows.addRow(tr("New name"), self.field)
        self.field.setFocus()  # it is in the dialog now, which shows itself with it
        self.rows.addRow("", self.count)
        self.ok.setEnabled(False)

    def edit(self) -> BulkEdit:
        return BulkEdit("rename", self._name, self.field.text().strip())


class MergeClass(ClassForm):
    """A list of the other classes."""

    def __init__(
        self, parent: QWidget | None, name: str, others: list[ProjectClass], check: Check
    ) -> None:
        super().__init__(parent, tr("Merge class {name}", name=name), tr("Merge"), name, check)
        self.into = QComboBox()
        for other in others:
            self.into.addItem(QIcon(swatch(other.colour)), other.name)
        self.into.currentIndexChanged.connect(self.look)
        self.rows.addRow(tr("Into"), self.into)
        self.rows.addRow("", self.count)
        self.look()

    def edit(self) -> BulkEdit:
        return BulkEdit("merge", self._name, self.into.currentText())


class DeleteClass(ClassForm):
    """A question."""

    def __init__(self, parent: QWidget | None, name: str, check: Check) -> None:
        super().__init__(parent, tr("Delete class {name}", name=name), tr("Delete"), name, check)
        what = tr("The class {name} and all its shapes go, in every image, and its drafts too.")
        words = QLabel(what.format(name=name))
        words.setWordWrap(True)
        self.rows.addRow(words)
        self.rows.addRow(self.count)
        self.look()

    def edit(self) -> BulkEdit:
        return BulkEdit("delete", self._name)
