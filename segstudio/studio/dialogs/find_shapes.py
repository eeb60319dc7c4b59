"""Find shapes in all images by class, size, source and words; go to them, change or delete them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QSpinBox,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from segstudio.annotation.shape import BACKGROUND_CLASS, IGNORE_CLASS
from segstudio.project.bulk import BulkEdit, Pick
from segstudio.project.shape_index import SOURCES, Hit, Query
from segstudio.studio.canvas.colouring import RESERVED, UNKNOWN
from segstudio.studio.class_words import class_words
from segstudio.studio.finder import Finder, Found
from segstudio.studio.i18n import tr
from segstudio.studio.panels.classes import swatch
from segstudio.studio.panels.shapes import kind_word
from segstudio.studio.session import Session
from segstudio.studio.widgets import faint

_TYPING: Final = 120
"""Milliseconds without another key after which hits are asked for."""
_MOST_PIXELS: Final = 2**31 - 1
_LEFT, _RIGHT = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight
_SIDES: Final = (_LEFT, _LEFT, _RIGHT, Qt.AlignmentFlag.AlignHCenter, _LEFT)
Index = QModelIndex | QPersistentModelIndex


def source_word(source: str) -> str:
    """Who made a shape, for a person."""
    return {
        "human": tr("by hand"),
        "guess": tr("a guess"),
        "model": tr("by the model"),
        "corrected": tr("corrected"),
        "foreign": tr("by another program"),
    }[source]


class HitList(QAbstractTableModel):
    """One row a hit: image, class, area, kind, source."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.hits: tuple[Hit, ...] = ()
        self._icons: dict[str, QIcon] = {}

    def show(self, hits: tuple[Hit, ...]) -> None:
        self.beginResetModel()
        self.hits, self._icons = hits, {}
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  # Qt's own signature
        return 0 if parent.isValid() else len(self.hits)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else 5

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return int(_SIDES[section] | Qt.AlignmentFlag.AlignVCenter)
        if role != Qt.ItemDataRole.DisplayRole or orientation != Qt.Orientation.Horizontal:
            return None
        return (tr("image"), tr("class"), tr("pixels"), tr("kind"), tr("source"))[section]

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        hit = self.hits[index.row()]
        column = index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            kind, source = kind_word(hit.kind), source_word(hit.source)
            return (hit.key, class_words(hit.class_name), f"{hit.area:,}", kind, source)[column]
        if role == Qt.ItemDataRole.DecorationRole and column == 1:
            return self._icon(hit.class_name)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return int(_SIDES[column] | Qt.AlignmentFlag.AlignVCenter)
        if role == Qt.ItemDataRole.ToolTipRole:
            return hit.key
        return None

    def _icon(self, name: str) -> QIcon:
        if name not in self._icons:
            self._icons[name] = class_icon(self._session, name)
        return self._icons[name]


def class_icon(session: Session, name: str) -> QIcon:
    """A square of a class's colour."""
    known = session.choices.classes.get(name)
    return QIcon(swatch(known.colour if known is not None else RESERVED.get(name, UNKNOWN), 12))


class FindShapes(QDialog):
    """Stays open beside the work; what it lists follows what is typed and what is drawn."""

    opened = Signal(object)
    """A Hit to go to."""
    bulk_asked = Signal(object)
    """A BulkEdit over hits."""

    def __init__(self, session: Session, finder: Finder, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Tool)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Find shapes in all images"))
        self.resize(680, 520)
        self._session, self._finder = session, finder
        self._learning = (0, 0)
        self._total = 0
        self.words = QLineEdit(placeholderText=tr("words in class, group (#3), flags, description"))
        self.words.setClearButtonEnabled(True)
        self.class_name, self.source = QComboBox(), QComboBox()
        self.smallest, self.largest = _pixels(), _pixels()
        self.largest.setSpecialValueText(tr("any"))
        self.model = HitList(session, self)
        self.list = self._table()
        self.state = faint()
        self.reclass = QPushButton(tr("Change class"))
        self.delete = QPushButton(tr("Delete"))
        self._fill()
        self._lay_out()
        self._connect()
        finder.watch(self)
        self._ask()

    def _table(self) -> QTableView:
        table = QTableView()
        table.setModel(self.model)
        table.setShowGrid(False)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        table.verticalHeader().hide()
        table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        table.verticalHeader().setDefaultSectionSize(table.fontMetrics().height() + 8)
        table.setWordWrap(False)
        table.setTextElideMode(Qt.TextElideMode.ElideLeft)
        for column, width in enumerate((220, 130, 80, 110)):
            table.setColumnWidth(column, width)
        table.horizontalHeader().setStretchLastSection(True)
        table.horizontalHeader().setHighlightSections(False)
        return table

    def _fill(self) -> None:
        """The choices; the class that was chosen stays while it is there."""
        chosen = self.class_name.currentData()
        self.class_name.blockSignals(True)
        self.class_name.clear()
        self.class_name.addItem(tr("any class"), "")
        names = self._session.choices.classes.names
        for name in (*names, IGNORE_CLASS, BACKGROUND_CLASS):
            self.class_name.addItem(class_icon(self._session, name), class_words(name), name)
        self.class_name.setCurrentIndex(max(0, self.class_name.findData(chosen)))
        self.class_name.blockSignals(False)
        if not self.source.count():
            self.source.addItem(tr("any source"), "")
            for source in SOURCES:
                self.source.addItem(source_word(source), source)
        menu = QMenu(self)
        for name in names:
            action = menu.addAction(class_icon(self._session, name), name)
            action.triggered.connect(lambda _=False, name=name: self._change("reclass", name))
        self.reclass.setMenu(menu)

    def _lay_out(self) -> None:
        choices = QHBoxLayout()
        choices.addWidget(self.class_name, 1)
        choices.addWidget(self.source, 1)
        choices.addWidget(QLabel(tr("pixels")))
        choices.addWidget(self.smallest)
        choices.addWidget(QLabel("–"))
        choices.addWidget(self.largest)
        below = QHBoxLayout()
        below.addWidget(self.state, 1)
        below.addWidget(self.reclass)
        below.addWidget(self.delete)
        column = QVBoxLayout(self)
        column.addWidget(self.words)
        column.addLayout(choices)
        column.addWidget(self.list, 1)
        column.addLayout(below)

    def _connect(self) -> None:
        self._typed = QTimer(self, singleShot=True, interval=_TYPING)
        self._typed.timeout.connect(self._ask)
        for changed in (
            self.words.textChanged,
            self.class_name.currentIndexChanged,
            self.source.currentIndexChanged,
            self.smallest.valueChanged,
            self.largest.valueChanged,
        ):
            changed.connect(lambda _: self._typed.start())
        self.delete.clicked.connect(lambda: self._change("remove", ""))
        for button in (self.reclass, self.delete):
            button.setAutoDefault(False)
        self.list.doubleClicked.connect(lambda index: self._open(index.row()))
        self.list.activated.connect(lambda index: self._open(index.row()))
        self.list.selectionModel().currentRowChanged.connect(lambda now, _: self._open(now.row()))
        self.list.selectionModel().selectionChanged.connect(lambda *_: self._say())
        self._finder.found.connect(self._show)
        self._finder.learning.connect(self._show_learning)
        self._session.choices.classes_changed.connect(self._fill)
        self._session.paused_changed.connect(self._say)
        self._session.project_changed.connect(self.close)

    # -- asking

    @property
    def query(self) -> Query:
        """What is asked for."""
        chosen, source = self.class_name.currentData(), self.source.currentData()
        return Query(
            (chosen,) if chosen else (),
            (source,) if source else (),
            self.smallest.value(),
            self.largest.value() or None,
            self.words.text(),
        )

    def choose_class(self, name: str) -> None:
        self.class_name.setCurrentIndex(max(0, self.class_name.findData(name)))

    def _ask(self) -> None:
        self._finder.ask(self.query)

    def _show(self, found: Found) -> None:
        self._total = found.total
        if found.hits != self.model.hits:
            self.list.selectionModel().blockSignals(True)
            self.model.show(found.hits)
            self.list.selectionModel().blockSignals(False)
        self._say()

    def _show_learning(self, done: int, total: int) -> None:
        self._learning = (done, total)
        self._say()

    def chosen(self) -> tuple[Hit, ...]:
        """The selected hits, none when all are meant."""
        rows = sorted(index.row() for index in self.list.selectionModel().selectedRows())
        return tuple(self.model.hits[row] for row in rows if row < len(self.model.hits))

    def _say(self) -> None:
        done, total = self._learning
        parts = [tr("{n} shape|{n} shapes", n=f"{self._total:,}")]
        if len(self.model.hits) < self._total:
            parts.append(tr("the largest {n} are listed", n=f"{len(self.model.hits):,}"))
        if done < total:
            parts.append(tr("reading labels {done}/{total}", done=done, total=total))
        self.state.setText(" · ".join(parts))
        count = len(self.chosen())
        for button, words in zip((self.reclass, self.delete), self._words(count), strict=True):
            button.setText(words)
        project = self._session.project
        may = project is not None and not project.read_only and not self._session.paused
        for button in (self.reclass, self.delete):
            button.setEnabled(may and self._total > 0)

    @staticmethod
    def _words(count: int) -> tuple[str, str]:
        if count > 1:
            return tr("Change class of {n}", n=count), tr("Delete {n}", n=count)
        if count:
            return tr("Change class"), tr("Delete")
        return tr("Change class of all"), tr("Delete all")

    # -- acting

    def _open(self, row: int) -> None:
        if 0 <= row < len(self.model.hits):
            self.opened.emit(self.model.hits[row])

    def _change(self, kind: str, to: str) -> None:
        def run(picks: Mapping[str, Pick]) -> None:
            if picks:
                what = BulkEdit("reclass" if kind == "reclass" else "remove", "", to, picks)
                self.bulk_asked.emit(what)

        self._finder.picks(self.query, self.chosen(), run)


def _pixels() -> QSpinBox:
    box = QSpinBox()
    box.setRange(0, _MOST_PIXELS)
    box.setGroupSeparatorShown(True)
    box.setMaximumWidth(110)
    return box
