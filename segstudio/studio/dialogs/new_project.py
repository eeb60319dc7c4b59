"""Ask for a new project: where, with which pictures, which classes."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLineEdit, QWidget

from segstudio.project.project import Project
from segstudio.studio.dialogs.base import FolderField, Form
from segstudio.studio.i18n import tr


class NewProject(Form):
    """Emits `chosen`: folder, picture folder or "", and class names."""

    chosen = Signal(str, str, list)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, tr("New project"), tr("Create"))
        self.folder = FolderField(hint=tr("a new or empty folder"))
        self.images = FolderField(hint=tr("optional: pictures that are already somewhere"))
        self.classes = QLineEdit(placeholderText=tr("optional: road, car, tree"))
        self.rows.addRow(tr("Project folder"), self.folder)
        self.rows.addRow(tr("Pictures"), self.images)
        self.rows.addRow(tr("Classes"), self.classes)
        self.folder.changed.connect(self._check)
        self.images.changed.connect(self._check)
        self.accepted.connect(self._tell)
        self._check()

    def _check(self) -> None:
        folder, images = self.folder.text(), self.images.text()
        self.problem.setVisible(False)
        if not folder:
            self.ok.setEnabled(False)
        elif Project.is_project(Path(folder)):
            self.refuse(tr("There is a project in this folder already: open it instead."))
        elif images and not Path(images).is_dir():
            self.refuse(tr("The picture folder does not exist."))
        else:
            self.refuse("")

    def _tell(self) -> None:
        names = [name.strip() for name in self.classes.text().split(",") if name.strip()]
        self.chosen.emit(self.folder.text(), self.images.text(), names)
