"""All networks in one table: how large, and how fast here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from segstudio.networks.choosing import Measured
from segstudio.networks.registry import ARCHITECTURES, Card
from segstudio.studio.dialogs.base import Form
from segstudio.studio.dialogs.measuring import Measuring
from segstudio.studio.dialogs.networks import group_of
from segstudio.studio.i18n import tr
from segstudio.studio.widgets import faint

_SIZE: Final = (1040, 640)


class _Number(QTableWidgetItem):
    """A number as words, sorted as a number; what is not known is the largest."""

    def __init__(self) -> None:
        super().__init__()
        self.value = math.inf
        self.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)

    def show(self, value: float, words: str) -> None:
        self.value = value
        self.setText(words)

    def __lt__(self, other: QTableWidgetItem) -> bool:
        return isinstance(other, _Number) and self.value < other.value


class Comparing(Form):
    """Emits `chosen` with a network's name, and `measured` with what was found of one.

    Times are for one picture of 480x360. A click on a head sorts by that column.
    """

    chosen = Signal(str)
    measured = Signal(object)

    def __init__(
        self,
        measured: Mapping[str, Measured],
        now: str,
        advised: str,
        device: str,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent, tr("Compare networks"), tr("Choose"))
        self.resize(*_SIZE)
        self._measured = dict(measured)
        self._first: dict[str, QTableWidgetItem] = {}
        self._numbers: dict[str, list[_Number]] = {}
        self.table = _make_table()
        self.about = faint(wrap=True)
        self.about.setMinimumHeight(2 * self.about.fontMetrics().lineSpacing())
        self.about.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.measuring = Measuring(device)
        self.measuring.measured.connect(self._know)
        self.finished.connect(lambda _: self.measuring.stop())
        self.rows.addRow(self.table)
        self.rows.addRow(self.about)
        self.rows.addRow(self.measuring)
        for row, card in enumerate(ARCHITECTURES.values()):
            self._fill(row, card, card.name == advised)
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(2, Qt.SortOrder.AscendingOrder)
        self.table.setCurrentItem(self._first[now])
        self.table.itemSelectionChanged.connect(self._tell_of)
        self.table.doubleClicked.connect(self.accept)
        self.accepted.connect(lambda: self.chosen.emit(self.name()))
        self._tell_of()
        self._offer()

    def name(self) -> str:
        """The network of the row that is selected."""
        row = self.table.currentRow()
        return next(name for name, item in self._first.items() if item.row() == row)

    def _fill(self, row: int, card: Card, is_advised: bool) -> None:
        title = tr("{network} – recommended", network=card.title) if is_advised else card.title
        numbers = [_Number() for _ in range(4)]
        items = [QTableWidgetItem(title), QTableWidgetItem(group_of(card)), *numbers]
        for column, item in enumerate(items):
            self.table.setItem(row, column, item)
        self._first[card.name], self._numbers[card.name] = items[0], numbers
        if card.parameters:
            millions = card.parameters / 1e6
            numbers[0].show(millions, f"{millions:.1f}")
        self._fill_measured(card.name)

    def _fill_measured(self, name: str) -> None:
        one = self._measured.get(name)
        if one is not None:
            found = (one.predict_ms, one.train_ms, one.memory)
            for item, value in zip(self._numbers[name][1:], found, strict=True):
                item.show(value, f"{value:,.0f}")

    def _tell_of(self) -> None:
        card = ARCHITECTURES[self.name()]
        self.about.setText(f"{card.good_for}\n{card.source}")

    def _know(self, one: Measured) -> None:
        self._measured[one.name] = one
        self.table.setSortingEnabled(False)  # or its row may move while it is being filled
        self._fill_measured(one.name)
        self.table.setSortingEnabled(True)
        self._offer()
        self.measured.emit(one)

    def _offer(self) -> None:
        names = sorted(ARCHITECTURES, key=lambda name: ARCHITECTURES[name].parameters)
        unknown = [name for name in names if name not in self._measured]
        self.measuring.offer(*unknown or names, again=not unknown)


def _make_table() -> QTableWidget:
    words = [tr("network"), tr("kind")]
    numbers = [tr("million parameters"), tr("predict, ms"), tr("learn, ms"), tr("memory, MB")]
    table = QTableWidget(len(ARCHITECTURES), len(words) + len(numbers))
    table.setHorizontalHeaderLabels([*words, *numbers])
    for column, text in enumerate(words):
        head = QTableWidgetItem(text)
        head.setTextAlignment(Qt.AlignmentFlag.AlignLeft)
        table.setHorizontalHeaderItem(column, head)
    table.verticalHeader().hide()
    table.setShowGrid(False)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    header = table.horizontalHeader()
    header.setHighlightSections(False)
    header.setStyleSheet("QHeaderView::section { padding-right: 18px; }")  # for the arrow
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignRight)
    header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    header.sortIndicatorChanged.connect(lambda *_: table.scrollToTop())
    table.setAccessibleName(tr("Networks"))
    return table
