"""The classes in numbers: a table, a small chart, and a file for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from segstudio.annotation.shape import BACKGROUND_CLASS, IGNORE_CLASS
from segstudio.project import atomic
from segstudio.project.shape_index import ClassStatistics
from segstudio.studio import theme
from segstudio.studio.canvas.colouring import UNKNOWN
from segstudio.studio.class_words import class_words
from segstudio.studio.dialogs import files
from segstudio.studio.dialogs.find_shapes import class_icon
from segstudio.studio.finder import Finder
from segstudio.studio.i18n import tr
from segstudio.studio.session import Session
from segstudio.studio.widgets import faint

_BAR: Final = 14
_GAP: Final = 6
_MOST_BARS: Final = 12
_NAMES: Final = 120
_NUMBERS: Final = 64
FIELDS: Final = ("class", "images", "shapes", "pixels", "share", "median_area")
"""The head of the CSV file."""

Bar = tuple[str, float, QColor]
"""A name, a share from 0 to 1, and a colour."""


class BarChart(QWidget):
    """One bar a class, its length the share of pixels; the longest fills the width."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.bars: tuple[Bar, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(tr("Share of pixels"))

    def show_bars(self, bars: Sequence[Bar]) -> None:
        """The largest ones, the largest first."""
        self.bars = tuple(sorted(bars, key=lambda bar: -bar[1])[:_MOST_BARS])
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(420, max(1, len(self.bars)) * (_BAR + _GAP) + _GAP)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        longest = max((share for _, share, _ in self.bars), default=0.0)
        room = max(1, self.width() - _NAMES - _NUMBERS)
        for row, (name, share, colour) in enumerate(self.bars):
            top = _GAP + row * (_BAR + _GAP)
            self._draw_words(painter, name, share, top)
            length = room * share / longest if longest else 0.0
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour)
            painter.drawRoundedRect(QRectF(_NAMES, top, max(length, 1.0), _BAR), 3, 3)
        painter.end()

    def _draw_words(self, painter: QPainter, name: str, share: float, top: int) -> None:
        look = theme.current()
        middle, right = Qt.AlignmentFlag.AlignVCenter, Qt.AlignmentFlag.AlignRight
        painter.setPen(QColor(look.text))
        elided = self.fontMetrics().elidedText(name, Qt.TextElideMode.ElideRight, _NAMES - 12)
        painter.drawText(QRectF(0, top - 2, _NAMES - 10, _BAR + 4), middle | right, elided)
        painter.setPen(QColor(look.faint))
        place = QRectF(self.width() - _NUMBERS, top - 2, _NUMBERS, _BAR + 4)
        painter.drawText(place, middle | right, f"{share:.2%}")


class Statistics(QDialog):
    """Stays open beside the work and follows it."""

    class_opened = Signal(str)
    """A class whose shapes are to be listed."""

    def __init__(self, session: Session, finder: Finder, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Tool)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Classes in numbers"))
        self.resize(640, 480)
        self._session, self._finder = session, finder
        self.rows: list[ClassStatistics] = []
        self.chart = BarChart()
        self.table = self._make_table()
        self.state = faint(tr("counting …"))
        self.save = QPushButton(tr("Save as CSV …"))
        self.save.setAutoDefault(False)
        self.save.clicked.connect(self._ask_file)
        below = QHBoxLayout()
        below.addWidget(self.state, 1)
        below.addWidget(self.save)
        column = QVBoxLayout(self)
        column.addWidget(faint(tr("Share of all pixels of labelled images")))
        column.addWidget(self.chart)
        column.addWidget(self.table, 1)
        column.addLayout(below)
        self.table.cellDoubleClicked.connect(
            lambda row, _: self.class_opened.emit(self.rows[row].name)
        )
        finder.counted.connect(self.show_rows)
        finder.learning.connect(self._show_learning)
        session.choices.classes_changed.connect(finder.count)
        session.project_changed.connect(self.close)
        finder.watch(self)
        finder.count()

    @staticmethod
    def _make_table() -> QTableWidget:
        table = QTableWidget(0, 6)
        heads = [tr("class"), tr("images"), tr("shapes"), tr("pixels"), tr("share")]
        table.setHorizontalHeaderLabels([*heads, tr("median px")])
        first = QTableWidgetItem(heads[0])
        first.setTextAlignment(Qt.AlignmentFlag.AlignLeft)
        table.setHorizontalHeaderItem(0, first)
        table.verticalHeader().hide()
        table.setShowGrid(False)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.horizontalHeader().setHighlightSections(False)
        table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignRight)
        table.horizontalHeader().setStretchLastSection(True)
        for column, width in enumerate((150, 70, 80, 110, 70)):
            table.setColumnWidth(column, width)
        return table

    def show_rows(self, rows: list[ClassStatistics]) -> None:
        """Other numbers."""
        self.rows = rows
        self.table.setRowCount(len(rows))
        for place, row in enumerate(rows):
            self._show_row(place, row)
        special = (IGNORE_CLASS, BACKGROUND_CLASS)
        shown = [row for row in rows if row.name not in special]
        self.chart.show_bars([(r.name, r.share, self._colour(r.name)) for r in shown])

    def _show_row(self, place: int, row: ClassStatistics) -> None:
        name = QTableWidgetItem(class_icon(self._session, row.name), class_words(row.name))
        self.table.setItem(place, 0, name)
        numbers = (
            f"{row.images:,}",
            f"{row.shapes:,}",
            f"{row.pixels:,}",
            f"{row.share:.2%}",
            f"{row.median_area:,.0f}",
        )
        for column, text in enumerate(numbers, start=1):
            item = QTableWidgetItem(text)
            item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.table.setItem(place, column, item)

    def _colour(self, name: str) -> QColor:
        known = self._session.choices.classes.get(name)
        return QColor(*(known.colour if known is not None else UNKNOWN))

    def _show_learning(self, done: int, total: int) -> None:
        words = tr("reading labels {done}/{total}", done=done, total=total) if done < total else ""
        self.state.setText(words)

    # -- the file

    def _ask_file(self) -> None:
        project = self._session.project
        if project is None:
            return
        start = project.root / f"{project.name}-classes.csv"
        chosen = files.ask_new_file(self, self.windowTitle(), start, "CSV (*.csv)")
        if chosen:
            self.save_as(Path(chosen))

    def save_as(self, file: Path) -> None:
        """Write the numbers as CSV."""
        try:
            atomic.write_text(file, csv_text(self.rows))
        except OSError as error:
            self._session.message.emit(str(error), "bad")
            return
        self._session.message.emit(tr("Saved as {file}", file=file), "info")


def csv_text(rows: Sequence[ClassStatistics]) -> str:
    """The numbers as CSV, with a head; shares from 0 to 1."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FIELDS)
    for row in rows:
        share, median = f"{row.share:.6f}", f"{row.median_area:g}"
        writer.writerow((row.name, row.images, row.shapes, row.pixels, share, median))
    return out.getvalue()
