"""Which batch run to take back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QWidget

from segstudio.project.runs import RunInfo, when
from segstudio.studio.class_words import source_words
from segstudio.studio.dialogs.base import Form
from segstudio.studio.i18n import tr
from segstudio.studio.widgets import faint

_ROW: Final = 28
"""Pixels of a line of the list."""


def run_line(run: RunInfo) -> str:
    """A run in one line: "Run 12 · #3 unet · 2026-03-01 12:03 · 400 images"; of a thorough
    run with that word."""
    facts = tr("Run {n} · {model} · {when} · {images} images")
    model = source_words(run.model)
    line = facts.format(n=run.number, model=model, when=when(run.began), images=run.images)
    more = [tr("thorough") if run.thorough else "", _state(run)]
    return " · ".join([line, *(words for words in more if words)])


def _state(run: RunInfo) -> str:
    if run.state == "undone":
        return tr("undone")
    if run.state == "undoing":
        return tr("is being taken back")
    return "" if run.can_undo else tr("nothing of it is left")


class RunsDialog(Form):
    """Emits `chosen`: the run to take back."""

    chosen = Signal(object)

    def __init__(self, runs: Sequence[RunInfo], parent: QWidget | None = None) -> None:
        super().__init__(parent, tr("Undo a run"), tr("Undo this run"))
        self.list = QListWidget()
        self.list.setAccessibleName(tr("Runs"))
        for run in reversed(runs):
            item = QListWidgetItem(run_line(run))
            item.setData(Qt.ItemDataRole.UserRole, run)
            item.setSizeHint(QSize(0, _ROW))
            if not run.can_undo:
                item.setFlags(Qt.ItemFlag.NoItemFlags)
            self.list.addItem(item)
            if run.can_undo and self.list.currentItem() is None:
                self.list.setCurrentItem(item)
        self.setMinimumWidth(620)
        self.rows.addRow(self.list)
        words = tr(
            "The drafts of that run go away in all images, and what was there before comes back. "
            "What you drew, accepted, rejected or corrected since stays as it is, and so do "
            "images that you have confirmed."
        )
        about = faint(words)
        about.setWordWrap(True)
        self.rows.addRow(about)
        self.list.currentItemChanged.connect(lambda *_: self._check())
        self.accepted.connect(self._tell)
        self._check()

    def _check(self) -> None:
        there = self.list.currentItem() is not None
        self.refuse("" if there else tr("There is no run that can be undone."))

    def _tell(self) -> None:
        item = self.list.currentItem()
        if item is not None:
            self.chosen.emit(item.data(Qt.ItemDataRole.UserRole))
