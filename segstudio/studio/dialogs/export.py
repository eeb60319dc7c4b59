"""Ask what to export and where, and show what came back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from segstudio.studio.dialogs.base import FolderField, Form
from segstudio.studio.i18n import tr


def export_formats() -> list[tuple[str, str]]:
    """(name, words) of what can be written."""
    return [
        ("index_png", tr("Label maps as PNG (index and palette)")),
        ("instance_png", tr("Instance maps as PNG (16 bits)")),
        ("voc", tr("PASCAL VOC")),
        ("labelme", tr("Labelme JSON")),
    ]


class ExportDialog(Form):
    """Emits `chosen`: format, folder, and whether only confirmed images are wanted."""

    chosen = Signal(str, str, bool)

    def __init__(
        self, default: Path, confirmed: int, everything: int, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent, tr("Export masks"), tr("Export"))
        self.format = QComboBox()
        for name, words in export_formats():
            self.format.addItem(words, name)
        self.which = QComboBox()
        self.which.addItem(tr("{n} confirmed image|{n} confirmed images", n=confirmed), True)
        self.which.addItem(tr("the one image|all {n} images", n=everything), False)
        if not confirmed:
            self.which.setCurrentIndex(1)
        self.folder = FolderField(str(default))
        self.rows.addRow(tr("Format"), self.format)
        self.rows.addRow(tr("Images"), self.which)
        self.rows.addRow(tr("Into"), self.folder)
        self.format.currentIndexChanged.connect(self._check)
        self.folder.changed.connect(self._check)
        self.accepted.connect(self._tell)
        self._check()

    def _check(self) -> None:
        place = Path(self.folder.text()) if self.folder.text() else None
        if place is None:
            self.refuse(tr("Choose a folder."))
        elif place.exists() and (not place.is_dir() or any(place.iterdir())):
            self.refuse(tr("This folder is not empty; nothing in it would be overwritten."))
        else:
            self.refuse("")

    def _tell(self) -> None:
        only_confirmed = bool(self.which.currentData())
        self.chosen.emit(self.format.currentData(), self.folder.text(), only_confirmed)


class ReportDialog(QDialog):
    """Per class: pixels written, pixels that came back, pixels lost."""

    def __init__(self, out: str, report: Mapping[str, Any], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Exported"))
        self.setMinimumSize(520, 340)
        classes: Mapping[str, Mapping[str, int]] = report.get("classes", {})
        lost = sum(int(facts.get("lost", 0)) for facts in classes.values())
        words = tr(
            "{n} image written to {out} and read back.|{n} images written to {out} and read back.",
            n=report.get("images", 0),
            out=out,
        )
        verdict = (
            tr("Nothing was lost.")
            if not lost
            else tr("{n} pixel was lost.|{n} pixels were lost.", n=f"{lost:,}")
        )
        head = QLabel(f"{words}\n{verdict}")
        head.setWordWrap(True)
        close = QPushButton(tr("Close"))
        close.clicked.connect(self.accept)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 18, 20, 16)
        layout.addWidget(head)
        layout.addWidget(_table(classes), 1)
        remarks = [*map(str, report.get("notes", ()))]
        remarks += [f"{key}: {why}" for key, why in dict(report.get("skipped", {})).items()]
        if remarks:
            notes = QPlainTextEdit("\n".join(remarks))
            notes.setReadOnly(True)
            notes.setMaximumHeight(110)
            layout.addWidget(notes)
        layout.addWidget(close, 0, Qt.AlignmentFlag.AlignRight)


def _table(classes: Mapping[str, Mapping[str, int]]) -> QTableWidget:
    table = QTableWidget(len(classes), 4)
    table.setHorizontalHeaderLabels([tr("class"), tr("written"), tr("came back"), tr("lost")])
    table.verticalHeader().hide()
    table.horizontalHeader().setStretchLastSection(True)
    table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
    for row, (name, facts) in enumerate(classes.items()):
        numbers = [f"{int(facts.get(key, 0)):,}" for key in ("written", "back", "lost")]
        for column, text in enumerate((name, *numbers)):
            table.setItem(row, column, QTableWidgetItem(text))
    table.resizeColumnsToContents()
    return table
