"""The shapes panel: everything on the image in z-order, the top first, drafts below."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress, count
from operator import is_not, ne
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

from segstudio.annotation.shape import ROUND_0, Shape
from segstudio.project.frames import FRAME_BEFORE
from segstudio.studio import theme
from segstudio.studio.canvas.colouring import UNKNOWN
from segstudio.studio.class_words import class_words
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


def _common(old: Sequence[int], new: Sequence[int]) -> int:
    """How many numbers at the beginning are the same; quick, for lists of thousands."""
    return next(compress(count(), map(ne, old, new)), min(len(old), len(new)))


def _middle(old: Sequence[int], new: Sequence[int]) -> tuple[int, int, int]:
    """(first, end in old, end in new) of what differs; before and after it both are the same."""
    first = _common(old, new)
    same = _common(old[first:][::-1], new[first:][::-1])
    return first, len(old) - same, len(new) - same


def _words_of(shape: Shape) -> tuple[object, ...]:
    """What a row says of a shape: it may be moved or painted on and still read the same."""
    return (
        shape.class_name,
        shape.kind,
        shape.source,
        shape.model,
        shape.score,
        shape.group_id,
        shape.locked,
    )


class ShapeList(QAbstractListModel):
    """Rows from the top shape down, then the drafts."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._numbers: list[int] = []
        self._shapes: list[Shape] = []
        self._places: dict[int, int] = {}
        self._drafts_from = 0

    def reload(self) -> None:
        """Follow the image; rows that stay are left alone, for a view of thousands is slow to
        build."""
        numbers, shapes, drafts_from = self._now()
        first, last, fresh_last = _middle(self._numbers, numbers)
        root = QModelIndex()
        if last > first:
            self.beginRemoveRows(root, first, last - 1)
            del self._numbers[first:last], self._shapes[first:last]
            self.endRemoveRows()
        if fresh_last > first:
            self.beginInsertRows(root, first, fresh_last - 1)
            self._numbers[first:first] = numbers[first:fresh_last]
            self._shapes[first:first] = shapes[first:fresh_last]
            self.endInsertRows()
        others = compress(count(), map(is_not, self._shapes, shapes))
        changed = [row for row in others if _words_of(self._shapes[row]) != _words_of(shapes[row])]
        self._shapes, self._drafts_from, self._places = shapes, drafts_from, {}
        if changed:
            self.dataChanged.emit(self.index(changed[0]), self.index(changed[-1]))

    def recolour(self) -> None:
        """The classes have changed: every row may look different."""
        if self._shapes:
            self.dataChanged.emit(self.index(0), self.index(len(self._shapes) - 1))

    def _now(self) -> tuple[list[int], list[Shape], int]:
        """Numbers and shapes from the first row down, and the row at which drafts begin."""
        image = self._session.image
        if image is None:
            return [], [], 0
        document = image.document
        numbers = [*document.ids()[::-1], *document.ids("drafts")[::-1]]
        shapes = [*document.shapes[::-1], *document.drafts[::-1]]
        return numbers, shapes, len(document.shapes)

    def number(self, row: int) -> int:
        return self._numbers[row]

    def row_of(self, number: int) -> int | None:
        if not self._places:
            self._places = dict(zip(self._numbers, count()))  # only when it is asked for
        return self._places.get(number)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  # Qt's own signature
        return 0 if parent.isValid() else len(self._shapes)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._shapes):
            return None
        row = index.row()
        shape, is_draft = self._shapes[row], row >= self._drafts_from
        is_hidden = self._is_hidden(self._numbers[row])
        match role:
            case Qt.ItemDataRole.DisplayRole:
                facts = self._facts(shape, is_draft)
                return " · ".join(
                    [class_words(shape.class_name), *facts, *([tr("hidden")] * is_hidden)]
                )
            case Qt.ItemDataRole.DecorationRole:
                return self._icon(shape, is_draft)
            case Qt.ItemDataRole.ForegroundRole:
                look = theme.current()
                return QColor(look.faint if is_draft or is_hidden else look.text)
        return None

    def _is_hidden(self, number: int) -> bool:
        image = self._session.image
        return image is not None and number in image.desk.hidden_shapes

    @staticmethod
    def _facts(shape: Shape, is_draft: bool) -> list[str]:
        facts = [tr("draft") if is_draft else kind_word(shape.kind)]
        if not is_draft and shape.source != "human":
            facts.append(_maker(shape))
        if shape.score is not None:
            facts.append(f"{shape.score:.2f}")
        if shape.group_id is not None:
            facts.append(f"#{shape.group_id}")
        if shape.locked:
            facts.append(tr("locked"))
        return facts

    def _icon(self, shape: Shape, is_draft: bool) -> QIcon:
        known = self._session.choices.classes.get(shape.class_name)
        colour = QColor(*(known.colour if known is not None else UNKNOWN))
        pixmap = QPixmap(12, 12)
        pixmap.fill(colour)
        if is_draft:
            colour.setAlpha(110)
            pixmap.fill(colour)
        return QIcon(pixmap)


def _maker(shape: Shape) -> str:
    """Who made a shape that was not drawn by hand."""
    if shape.source == "corrected":
        return tr("corrected")
    words = {ROUND_0: tr("a guess"), FRAME_BEFORE: tr("from the frame before")}
    return words.get(shape.model or "", tr("by the model"))


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
        session.choices.hidden_changed.connect(self.model.recolour)
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
        self.accept.setText(
            tr("Accept {n} draft|Accept {n} drafts", n=drafts) if drafts else tr("Accept drafts")
        )
        self.accept.setEnabled(drafts > 0)
        self.reject.setText(tr("Reject {n}", n=drafts) if drafts else tr("Reject"))
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
