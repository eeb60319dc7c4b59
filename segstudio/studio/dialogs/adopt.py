"""Take a model file of one's own: which network it is, and which of its classes is which."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QFormLayout, QGroupBox, QLineEdit, QWidget

from segstudio.errors import UserError
from segstudio.project.models import CARD, read_model
from segstudio.studio.dialogs.base import FolderField, Form
from segstudio.studio.dialogs.networks import NetworkBox
from segstudio.studio.i18n import tr


class AdoptDialog(Form):
    """Emits `chosen`: file or folder, architecture ("" as its card says), and the class mapping.

    The mapping gives each class of the model a class of the project; "" leaves it out.
    """

    chosen = Signal(str, str, dict)

    def __init__(
        self, classes: tuple[str, ...], start: Path | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent, tr("Add a model"), tr("Add"))
        self._project_classes = classes
        files = tr("models") + " (*.safetensors *.pt *.pth model.toml)"
        self.file = FolderField(str(start or ""), wanted=files)
        self.network = NetworkBox()
        self.names = QLineEdit(placeholderText=tr("its classes in order, without background"))
        self.mapping = QGroupBox(tr("Its class → class of this project"))
        self._boxes: dict[str, QComboBox] = {}
        self._mapping_rows = QFormLayout(self.mapping)
        self.rows.addRow(tr("Model"), self.file)
        self.rows.addRow(tr("Network"), self.network)
        self.rows.addRow(tr("Classes"), self.names)
        self.rows.addRow(self.mapping)
        self.file.changed.connect(self._read)
        self.names.textChanged.connect(self._rebuild)
        self.accepted.connect(self._tell)
        self._read()

    def _folder(self) -> Path | None:
        """The model folder, when a card lies beside the chosen file."""
        path = Path(self.file.text()) if self.file.text() else None
        if path is None:
            return None
        folder = path if path.is_dir() else path.parent
        return folder if (folder / CARD).is_file() else None

    def _read(self) -> None:
        """A model folder knows its network and classes; a bare file must be told."""
        folder = self._folder()
        for widget in (self.network, self.names):
            widget.setEnabled(folder is None)
        if folder is not None:
            try:
                self.names.setText(", ".join(read_model(folder).classes))
            except UserError as error:
                self.refuse(str(error))
                return
        self._rebuild()

    def _rebuild(self) -> None:
        while self._mapping_rows.rowCount():
            self._mapping_rows.removeRow(0)
        self._boxes = {}
        for name in (n.strip() for n in self.names.text().split(",")):
            if name and name not in self._boxes:
                self._boxes[name] = self._box(name)
                self._mapping_rows.addRow(name, self._boxes[name])
        path = self.file.text()
        if not path or not Path(path).exists():
            self.refuse(tr("Choose a model: its folder's model.toml, or a weights file."))
        elif not self._boxes:
            self.refuse(tr("Name the model's classes, in the order it was trained with."))
        else:
            self.refuse("")

    def _box(self, name: str) -> QComboBox:
        box = QComboBox()
        box.addItem(tr("leave out"), "")
        if name not in self._project_classes:
            box.addItem(tr("new class {name}", name=name), name)
        for known in self._project_classes:
            box.addItem(known, known)
        box.setCurrentIndex(max(0, box.findData(name)))
        return box

    def _tell(self) -> None:
        targets = {name: str(box.currentData()) for name, box in self._boxes.items()}
        folder = self._folder()
        rows = enumerate(targets.values(), start=1)
        mapping = targets if folder is not None else {str(row): name for row, name in rows}
        network = "" if folder is not None else str(self.network.currentData())
        self.chosen.emit(str(folder or self.file.text()), network, mapping)
