"""The classes panel: pick one, see it, lock it; colours, keys, and what each has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QColor, QKeySequence, QPixmap, QShortcut
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QScrollArea,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from segstudio.annotation.shape import BACKGROUND_CLASS, IGNORE_CLASS
from segstudio.project.classes import ProjectClass
from segstudio.studio import theme
from segstudio.studio.canvas.colouring import RESERVED
from segstudio.studio.class_words import class_words
from segstudio.studio.i18n import tr
from segstudio.studio.session import Session
from segstudio.studio.widgets import faint, flat_button, heading, named

_SETTLE: Final = 150
"""Milliseconds over which edits are gathered before shapes are counted again."""


def swatch(colour: tuple[int, int, int], side: int = 14) -> QPixmap:
    """A filled square."""
    pixmap = QPixmap(side, side)
    pixmap.fill(QColor(*colour))
    return pixmap


class ClassRow(QWidget):
    """One class: key, colour, name, seen or not, locked or not, count.

    With `words` it is one of the two that every project has, and cannot be changed.
    """

    wished = Signal(str, str)

    def __init__(
        self, session: Session, shown: ProjectClass, count: int, words: str = "", tip: str = ""
    ) -> None:
        super().__init__()
        self._fixed = bool(words)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._session, self.shown = session, shown
        hidden = shown.name in session.choices.hidden_classes
        locked = shown.name in session.choices.locked_classes
        self.eye = flat_button("eye-off" if hidden else "eye", tr("Show or hide this class"))
        self.lock = flat_button("lock" if locked else "unlock", tr("Protect this class"))
        self.eye.clicked.connect(lambda: session.choices.hide_class(shown.name, not hidden))
        self.lock.clicked.connect(lambda: session.choices.lock_class(shown.name, not locked))
        key = faint(shown.key or "")
        key.setFixedWidth(12)
        square = QLabel(pixmap=swatch(shown.colour))
        name = faint(words) if words else QLabel(shown.name)
        name.setToolTip(tip or shown.name)
        number = faint(str(count) if count else "")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 2, 6, 2)
        layout.setSpacing(6)
        for label in (key, square, name, number):
            layout.addWidget(label, int(label is name))
        layout.addWidget(self.eye)
        layout.addWidget(self.lock)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.DefaultContextMenu)
        self.mark(session.choices.class_name == shown.name)

    def mark(self, current: bool) -> None:
        look = theme.current()
        ground = look.hover if current else "transparent"
        edge = look.accent if current else "transparent"
        sheet = f"ClassRow {{ background: {ground}; border-left: 3px solid {edge}; }}"
        if sheet != self.styleSheet():  # to set one takes milliseconds
            self.setStyleSheet(sheet)

    def mousePressEvent(self, event: object) -> None:
        self._session.choices.choose_class(self.shown.name)

    def mouseDoubleClickEvent(self, event: object) -> None:
        self._session.choices.reclass_selection(self.shown.name)

    def contextMenuEvent(self, event: object) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for action, words in self._wishes():
            menu.addAction(words).triggered.connect(
                lambda _=False, action=action: self.wished.emit(action, self.shown.name)
            )
        menu.addAction(tr("Give the selected shapes this class")).triggered.connect(
            lambda: self._session.choices.reclass_selection(self.shown.name)
        )
        menu.popup(event.globalPos())  # type: ignore[attr-defined]

    def _wishes(self) -> list[tuple[str, str]]:
        find = ("find_shapes", tr("Find its shapes …"))
        if self._fixed:
            return [find]
        return [
            ("rename_class", tr("Rename …")),
            ("recolour_class", tr("Change colour …")),
            ("merge_class", tr("Merge into another …")),
            ("delete_class", tr("Delete …")),
            find,
        ]


class ClassesPanel(QWidget):
    """Classes, a field to add or find one, and the overlay's opacity."""

    opacity_changed = Signal(float)
    wished = Signal(str, str)
    """An action of `class_wishes` for a class."""
    rebuilt = Signal()
    """There are other rows."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._session = session
        self.rows: list[ClassRow] = []
        self.reserved: list[ClassRow] = []
        self.field = QLineEdit(placeholderText=tr("Add or find a class  (/)"))
        self.field.returnPressed.connect(self._take_field)
        leave = QShortcut(QKeySequence(Qt.Key.Key_Escape), self.field)
        leave.setContext(Qt.ShortcutContext.WidgetShortcut)
        leave.activated.connect(self._leave_field)
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setValue(45)
        self.opacity.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.opacity.setAccessibleName(tr("Overlay opacity"))
        self.opacity.valueChanged.connect(lambda value: self.opacity_changed.emit(value / 100))
        self._list = QVBoxLayout()
        self._list.setContentsMargins(0, 0, 0, 0)
        self._list.setSpacing(1)
        self._lay_out()
        session.choices.classes_changed.connect(self.rebuild)
        session.image_changed.connect(self._after_image)
        session.project_changed.connect(self.rebuild)
        session.choices.desk_changed.connect(self._mark)
        self._count_due = QTimer(self, singleShot=True, interval=_SETTLE)
        self._count_due.timeout.connect(self._count)
        session.document_changed.connect(self._count_soon)

    def _lay_out(self) -> None:
        title = heading(tr("CLASSES"))
        inner = named(QWidget(), "panel")
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(self._list)
        column.addStretch(1)
        self.area = area = QScrollArea(widgetResizable=True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inner)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        below = QHBoxLayout()
        below.addWidget(faint(tr("Overlay")))
        below.addWidget(self.opacity, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 10, 8, 8)
        layout.setSpacing(6)
        layout.addWidget(title)
        layout.addWidget(area, 1)
        layout.addWidget(self.field)
        layout.addLayout(below)

    def needed_height(self) -> int:
        """Pixels with which every class is in sight."""
        around = self.height() - self.area.viewport().height()
        rows = [*self.rows, *self.reserved]
        return around + sum(row.sizeHint().height() + self._list.spacing() for row in rows)

    def _after_image(self) -> None:
        self._count()
        self._mark()

    def rebuild(self) -> None:
        """Make the rows anew."""
        while (item := self._list.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        counts = self._counts()
        self.rows = [
            ClassRow(self._session, c, counts.get(c.name, 0)) for c in self._session.choices.classes
        ]
        self.reserved = self._reserved(counts) if self.rows else []
        for row in (*self.rows, *self.reserved):
            row.wished.connect(self.wished)
            self._list.addWidget(row)
        if not self.rows and self._session.project is not None:
            hint = faint(tr("No class yet. Type a name below and press Enter."))
            hint.setWordWrap(True)
            self._list.addWidget(hint)
        self.rebuilt.emit()

    def _reserved(self, counts: Mapping[str, int]) -> list[ClassRow]:
        """Rows for what is no class of the project, and can be painted all the same."""
        rows = []
        for name, key, tip in (
            (
                BACKGROUND_CLASS,
                ",",
                tr("Paint where surely nothing is: a model learns that before you confirm"),
            ),
            (IGNORE_CLASS, ".", tr("Paint what no model should learn from")),
        ):
            shown, count = ProjectClass(1, name, RESERVED[name], key), counts.get(name, 0)
            rows.append(ClassRow(self._session, shown, count, class_words(name), tip))
        return rows

    def _counts(self) -> Mapping[str, int]:
        image = self._session.image
        return Counter(s.class_name for s in image.document.shapes) if image is not None else {}

    def _count_soon(self) -> None:
        """Edits come fast; the numbers follow when there is a pause."""
        image = self._session.image
        is_live = image is not None and image.document.is_live
        if not is_live and not self._count_due.isActive():
            self._count_due.start()

    def _count(self) -> None:
        counts = self._counts()
        for row in (*self.rows, *self.reserved):
            labels = row.findChildren(QLabel)
            labels[-1].setText(str(counts.get(row.shown.name, "") or ""))

    def _mark(self) -> None:
        for row in (*self.rows, *self.reserved):
            current = row.shown.name == self._session.choices.class_name
            row.mark(current)
            if current:
                QTimer.singleShot(0, row, lambda row=row: self.area.ensureWidgetVisible(row))

    def _take_field(self) -> None:
        """Enter picks a class, or makes a new one; after a new one the field waits for the next."""
        words = self.field.text().strip()
        if not words:
            return
        names = self._session.choices.classes.names
        found = words if words in names else None
        self.field.clear()
        if found is None:
            self._session.choices.add_class(words)
        else:
            self._session.choices.choose_class(found)
            self.field.clearFocus()

    def _leave_field(self) -> None:
        self.field.clear()
        self.field.clearFocus()
