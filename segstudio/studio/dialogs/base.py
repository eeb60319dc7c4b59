"""What the dialogs share: a form over buttons, never blocking the window's loop."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from segstudio.studio.dialogs import files
from segstudio.studio.i18n import tr
from segstudio.studio.widgets import named


class Form(QDialog):
    """A title, rows, and OK / Cancel; deleted when closed. `problem` says why OK is off."""

    def __init__(self, parent: QWidget | None, title: str, ok: str) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        self.setMinimumWidth(520)
        self.rows = QFormLayout()
        self.rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.rows.setVerticalSpacing(10)
        self.problem = named(QLabel(), "warn")
        self.problem.setWordWrap(True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.ok = QPushButton(ok)
        self.ok.setDefault(True)
        buttons.addButton(self.ok, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        cancel = buttons.button(QDialogButtonBox.StandardButton.Cancel)
        cancel.setText(tr("Cancel"))
        cancel.setAutoDefault(False)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(20, 18, 20, 16)
        self.column.setSpacing(12)
        self.column.addLayout(self.rows)
        self.column.addWidget(self.problem)
        self.column.addWidget(buttons)
        self.problem.hide()

    def grow(self) -> None:
        """Be as high as the texts are now that they wrap at this width."""
        width = self.width()
        self.column.activate()
        for label in self.findChildren(QLabel):  # a form's rows are not as high as wrapped words
            if label.wordWrap() and label.isVisible():
                label.setMinimumHeight(0)
                label.setMinimumHeight(label.heightForWidth(label.width()))
        self.column.activate()
        self.resize(width, max(self.heightForWidth(width), self.sizeHint().height()))

    def refuse(self, why: str) -> None:
        """Switch OK off with a reason, or on with none."""
        self.problem.setText(why)
        self.problem.setVisible(bool(why))
        self.ok.setEnabled(not why)


def beside(field: QWidget, button: QWidget) -> QWidget:
    """One row: a field that takes what room there is, and a button."""
    both = QWidget()
    row = QHBoxLayout(both)
    row.setContentsMargins(0, 0, 0, 0)
    row.addWidget(field, 1)
    row.addWidget(button)
    return both


class FolderField(QWidget):
    """A path that can be typed or chosen."""

    changed = Signal(str)

    def __init__(self, start: str = "", hint: str = "", wanted: str = "") -> None:
        super().__init__()
        self._files = wanted
        self.field = QLineEdit(start, placeholderText=hint)
        choose = QPushButton(tr("Choose …"))
        choose.setAutoDefault(False)
        choose.clicked.connect(self._choose)
        self.field.textChanged.connect(self.changed)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.field, 1)
        row.addWidget(choose)

    def text(self) -> str:
        return self.field.text().strip()

    def _choose(self) -> None:
        if self._files:
            chosen = files.ask_file(self, tr("Choose a file"), self.text(), self._files)
        else:
            chosen = files.ask_folder(self, tr("Choose a folder"), self.text())
        if chosen:
            self.field.setText(chosen)
