"""What was taken for what: the confusion matrix, small enough for a panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QHelpEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from segstudio.studio import theme
from segstudio.studio.i18n import tr

_ROW: Final = 20
_HEAD: Final = 16
_NAMES: Final = 0.34
"""Part of the width that the names of the rows take."""
_ROOM: Final = 30
"""Pixels that a number in a cell needs."""
_SWATCH: Final = 8
_GREY: Final = (138, 143, 152)
Colour = tuple[int, int, int]


def row_words(name: str) -> str:
    """What a person reads for a row of scores: a class, or what is no class."""
    return tr("background") if name == "background" else name


class ConfusionView(QWidget):
    """Rows are what was confirmed, columns what was shown; a cell is as dark as its share of the
    row. Columns have the colours of their classes; a tooltip tells each cell in words."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.names: list[str] = []
        self.shares: list[list[float]] = []
        self._colours: Mapping[str, Colour] = {}
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(tr("What was taken for what"))

    def show_counts(
        self,
        names: Sequence[str],
        counts: Sequence[Sequence[int]],
        colours: Mapping[str, Colour],
    ) -> None:
        """Pixels confirmed as row and shown as column; classes that never occur are left out."""
        totals = [sum(row) + sum(other[i] for other in counts) for i, row in enumerate(counts)]
        there = [index for index, total in enumerate(totals) if total]
        self.names, self._colours = [names[index] for index in there], colours
        self.shares = [
            [counts[row][column] / max(1, sum(counts[row])) for column in there] for row in there
        ]
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(160, _HEAD + _ROW * len(self.names))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, _HEAD + _ROW * len(self.names))

    # -- drawing

    def paintEvent(self, event: QPaintEvent) -> None:
        look, painter = theme.current(), QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for index, name in enumerate(self.names):
            head = self._cell(-1, index).center()
            self._swatch(painter, name, head)
            line = QRectF(0, _HEAD + index * _ROW, self._left() - 6, _ROW)
            self._swatch(painter, name, QPointF(_SWATCH / 2 + 1, line.center().y()))
            line.setLeft(_SWATCH + 6)
            words = self.fontMetrics().elidedText(
                row_words(name), Qt.TextElideMode.ElideRight, int(line.width())
            )
            painter.setPen(QColor(look.text))
            painter.drawText(line, int(Qt.AlignmentFlag.AlignVCenter), words)
            for column, share in enumerate(self.shares[index]):
                self._paint_cell(painter, index, column, share)
        painter.end()

    def _paint_cell(self, painter: QPainter, row: int, column: int, share: float) -> None:
        look, cell = theme.current(), self._cell(row, column).adjusted(1, 1, -1, -1)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(look.field))
        painter.drawRoundedRect(cell, 2, 2)
        tint = QColor(look.good if row == column else look.bad)
        tint.setAlphaF(min(1.0, share**0.5))
        painter.setBrush(tint)
        painter.drawRoundedRect(cell, 2, 2)
        if cell.width() >= _ROOM and share >= 0.005:
            painter.setPen(QColor(look.on_accent if share > 0.5 else look.text))
            painter.drawText(cell, int(Qt.AlignmentFlag.AlignCenter), f"{100 * share:.0f}")

    def _swatch(self, painter: QPainter, name: str, at: QPointF) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(*self._colours.get(name, _GREY)))
        painter.drawRoundedRect(
            QRectF(at.x() - _SWATCH / 2, at.y() - _SWATCH / 2, _SWATCH, _SWATCH), 2, 2
        )

    def _left(self) -> float:
        return self.width() * _NAMES

    def _cell(self, row: int, column: int) -> QRectF:
        """Of the heads when `row` is -1."""
        wide = (self.width() - self._left()) / max(1, len(self.names))
        top, high = (0, _HEAD) if row < 0 else (_HEAD + row * _ROW, _ROW)
        return QRectF(self._left() + column * wide, top, wide, high)

    # -- in words

    def words_at(self, x: float, y: float) -> str:
        """What the cell at a point of the widget says, "" where there is none."""
        for row, name in enumerate(self.names):
            for column, other in enumerate(self.names):
                if self._cell(row, column).contains(QPointF(x, y)):
                    words = tr("Confirmed as {name}, shown as {other}: {share} %")
                    share = f"{100 * self.shares[row][column]:.1f}"
                    names = {"name": row_words(name), "other": row_words(other)}
                    return words.format(**names, share=share)
        return ""

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            words = self.words_at(event.pos().x(), event.pos().y())
            QToolTip.showText(event.globalPos(), words, self)
            return True
        return super().event(event)
