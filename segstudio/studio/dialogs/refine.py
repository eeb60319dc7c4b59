"""How outlines are refined; the canvas shows what would change."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QComboBox, QSpinBox, QWidget

from segstudio.studio.dialogs.base import Form
from segstudio.studio.i18n import tr
from segstudio.studio.widgets import faint

_PAUSE = 150
"""Milliseconds in which changes of the form are gathered."""


class RefineDialog(Form):
    """Emits `changed` with (edges, holes, parts); Esc leaves everything as it was."""

    changed = Signal(str, int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, tr("Refine outlines"), tr("Apply"))
        self.edges = QComboBox()
        for words, name in (
            (tr("snap to edges (dense CRF)"), "crf"),
            (tr("smooth along edges (guided filter)"), "guided"),
            (tr("leave as they are"), "none"),
        ):
            self.edges.addItem(words, name)
        self.holes, self.parts = QSpinBox(), QSpinBox()
        for box in (self.holes, self.parts):
            box.setRange(0, 1_000_000)
            box.setSuffix(" px")
        self.counts = faint(tr("working …"))
        self.rows.addRow(tr("Outlines"), self.edges)
        self.rows.addRow(tr("Fill holes up to"), self.holes)
        self.rows.addRow(tr("Drop parts smaller than"), self.parts)
        self.rows.addRow("", self.counts)
        self._due = QTimer(self, singleShot=True, interval=_PAUSE)
        self._due.timeout.connect(self._tell)
        self.edges.currentIndexChanged.connect(lambda _: self._wait())
        self.holes.valueChanged.connect(lambda _: self._wait())
        self.parts.valueChanged.connect(lambda _: self._wait())
        self._wait()

    def _wait(self) -> None:
        self.ok.setEnabled(False)
        self.counts.setText(tr("working …"))
        self._due.start()

    def _tell(self) -> None:
        self.changed.emit(str(self.edges.currentData()), self.holes.value(), self.parts.value())

    def show_counts(self, gained: int, lost: int) -> None:
        """How many pixels would change."""
        self.ok.setEnabled(True)
        words = tr("{gained} px more, {lost} px less", gained=f"{gained:,}", lost=f"{lost:,}")
        self.counts.setText(words)
