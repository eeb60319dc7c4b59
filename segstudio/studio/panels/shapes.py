"""The shapes panel: everything on the image in z-order, the top first, drafts below."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any, Final

from PySide6.QtCore import (
    QAbstractListModel,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    QTimer,
)
from PySide6.QtGui import QColor, QIcon, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from segstudio.annotation.shape import Shape
from segstudio.studio import theme
from segstudio.studio.canvas.colouring import UNKNOWN
from segstudio.studio.i18n import tr
from segstudio.studio.session import Session
from segstudio.studio.widgets import faint

_SETTLE: Final = 60
_LIST: Final = 100
"""Of more selected shapes, only so many are marked in the list."""
Index = QModelIndex | QPersistentModelIndex


def kind_word(kind: str) -> str:
    """A kind of shape for a person."""
    return {
        "polygon": tr("polygon"),
        "rectangle": tr("rectangle"),
        "oriented_rectangle": tr("oriented rectangle"),
        "circle": tr("circle"),
        "line": tr("line"),
        "linestrip": tr("linestrip"),
        "point": tr("point"),
        "points": tr("points"),
        "mask": tr("mask"),
        "opaque": tr("unknown"),
    }[kind]


_Row = tuple[int, Shape, bool]
"""A shape's number, the shape, and whether it is a draft."""


def _middle(old: Sequence[int], new: Sequence[int]) -> tuple[int, int, int]:
    """(first, end in old, end in new) of what differs; before and after it both are the same."""
    first, shorter = 0, min(len(old), len(new))
    while first < shorter and old[first] == new[first]:
        first += 1
    same = 0
    while same < shorter - first and old[-1 - same] == new[-1 - same]:
        same += 1
    return first, len(old) - same, len(new) - same


class ShapeList(QAbstractListModel):
    """Rows from the top shape down, then the drafts."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._rows: list[_Row] = []
        self._places: dict[int, int] = {}

    def reload(self) -> None:
        """Follow the image; rows that stay are left alone, for a view of thousands is slow to
        build."""
        rows = self._now()
        first, last, fresh_last = _middle([n for n, *_ in self._rows], [n for n, *_ in rows])
        root = QModelIndex()
        if last > first:
            self.beginRemoveRows(root, first, last - 1)
            del self._rows[first:last]
            self.endRemoveRows()
        if fresh_last > first:
            self.beginInsertRows(root, first, fresh_last - 1)
            self._rows[first:first] = rows[first:fresh_last]
            self.endInsertRows()
        changed = [
            i for i, (a, b) in enumerate(zip(self._rows, rows, strict=True)) if a[1] is not b[1]
        ]
        self._rows = rows
        self._places = {number: row for row, (number, _, _) in enumerate(rows)}
        if changed:
            self.dataChanged.emit(self.index(changed[0]), self.index(changed[-1]))

    def recolour(self) -> None:
        """The classes have changed: every row may look different."""
        if self._rows:
            self.dataChanged.emit(self.index(0), self.index(len(self._rows) - 1))

    def _now(self) -> list[_Row]:
        image = self._session.image
        if image is None:
            return []
        document = image.document
        shapes = zip(document.ids(), document.shapes, repeat(False))
        drafts = zip(document.ids("drafts"), document.drafts, repeat(True))
        return [*list(shapes)[::-1], *list(drafts)[::-1]]

    def number(self, row: int) -> int:
        return self._rows[row][0]

    def row_of(self, number: int) -> int | None:
        return self._places.get(number)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  # Qt's own signature
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        _, shape, is_draft = self._rows[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return f"{shape.class_name} · {self._facts(shape, is_draft)}"
            case Qt.ItemDataRole.DecorationRole:
                return self._icon(shape, is_draft)
            case Qt.ItemDataRole.ForegroundRole:
                return QColor(theme.current().faint if is_draft else theme.current().text)
        return None

    @staticmethod
    def _facts(shape: Shape, is_draft: bool) -> str:
        facts = [tr("draft") if is_draft else kind_word(shape.kind)]
        if not is_draft and shape.source != "human":
            facts.append(tr("corrected") if shape.source == "corrected" else tr("by the model"))
        if shape.score is not None:
            facts.append(f"{shape.score:.2f}")
        if shape.locked:
            facts.append(tr("locked"))
        return " · ".join(facts)

    def _icon(self, shape: Shape, is_draft: bool) -> QIcon:
        known = self._session.choices.classes.get(shape.class_name)
        colour = QColor(*(known.colour if known is not None else UNKNOWN))
        pixmap = QPixmap(12, 12)
        pixmap.fill(colour)
        if is_draft:
            colour.setAlpha(110)
            pixmap.fill(colour)
        return QIcon(pixmap)


class ShapesPanel(QWidget):
    """The list, and buttons for what is selected."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._session = session
        self._following = False
        self.model = ShapeList(session, self)
        self.list = QTableView()  # a list view lays all its rows out, thousands at every change
        self.list.setModel(self.model)
        self.list.setShowGrid(False)
        self.list.horizontalHeader().hide()
        self.list.horizontalHeader().setStretchLastSection(True)
        self.list.verticalHeader().hide()
        self.list.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.list.verticalHeader().setDefaultSectionSize(self.list.fontMetrics().height() + 8)
        self.list.setWordWrap(False)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setAccessibleName("shapes")
        self.empty = faint(tr("Nothing drawn here yet. Press P for polygon or B for brush."))
        self.empty.setWordWrap(True)
        self.accept = QPushButton(tr("Accept drafts"))
        self.reject = QPushButton(tr("Reject"))
        for button in (self.accept, self.reject):
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        row = QHBoxLayout()
        row.addWidget(self.accept)
        row.addWidget(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addWidget(self.empty)
        layout.addWidget(self.list, 1)
        layout.addLayout(row)
        self._settle = QTimer(self, singleShot=True, interval=_SETTLE)
        self._settle.timeout.connect(self.reload)
        self.list.selectionModel().selectionChanged.connect(self._select)
        session.image_changed.connect(self.reload)
        session.choices.classes_changed.connect(self.model.recolour)
        session.document_changed.connect(self._after_change)
        session.selection_changed.connect(self._follow)

    def _after_change(self, change: object) -> None:
        image = self._session.image
        if image is not None and not image.document.is_live:
            self._settle.start()

    def reload(self) -> None:
        self._following = True
        self.model.reload()
        self._following = False
        self._follow()
        image = self._session.image
        drafts = len(image.document.drafts) if image is not None else 0
        self.accept.setText(tr("Accept {n} drafts", n=drafts) if drafts else tr("Accept drafts"))
        self.accept.setEnabled(drafts > 0)
        self.reject.setEnabled(drafts > 0)
        self.empty.setVisible(image is not None and self.model.rowCount() == 0)

    def _follow(self) -> None:
        """The canvas has another selection."""
        image = self._session.image
        if image is None or self._following:
            return
        self._following = True
        chosen = QItemSelection()
        for number in image.desk.selection[:_LIST]:
            row = self.model.row_of(number)
            if row is not None:
                chosen.select(self.model.index(row), self.model.index(row))
        self.list.selectionModel().select(chosen, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        if not chosen.isEmpty():
            self.list.scrollTo(chosen.indexes()[0])
        self._following = False

    def _select(self) -> None:
        image = self._session.image
        if image is not None and not self._following:
            self._following = True
            rows = [index.row() for index in self.list.selectionModel().selectedIndexes()]
            image.desk.select([self.model.number(row) for row in rows])
            self._following = False
