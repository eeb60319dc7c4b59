"""Find an action by its words (Ctrl+K), and the list of keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from segstudio.studio.i18n import tr


def _keys_of(action: QAction) -> str:
    form = QKeySequence.SequenceFormat.NativeText
    return ", ".join(key.toString(form) for key in action.shortcuts())


class Palette(QDialog):
    """Type some letters, Enter does it."""

    def __init__(self, actions: list[tuple[str, QAction]], parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(460, 360)
        self._actions = actions
        self.field = QLineEdit(placeholderText=tr("What do you want to do?"))
        self.list = QListWidget()
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        layout = QVBoxLayout(self)
        layout.addWidget(self.field)
        layout.addWidget(self.list)
        self.field.textChanged.connect(self._filter)
        self.field.returnPressed.connect(self._do)
        self.list.itemClicked.connect(lambda _: self._do())
        self._filter("")

    def _filter(self, words: str) -> None:
        parts = words.lower().split()
        self.list.clear()
        for menu, action in self._actions:
            text = f"{menu} › {action.text().removesuffix(' …')}"
            if all(part in text.lower() for part in parts):
                keys = _keys_of(action)
                item = QListWidgetItem(f"{text}   {keys}" if keys else text)
                item.setData(Qt.ItemDataRole.UserRole, action)
                if not action.isEnabled():
                    item.setFlags(Qt.ItemFlag.NoItemFlags)
                    item.setToolTip(action.toolTip())
                self.list.addItem(item)
        self.list.setCurrentRow(0)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
        else:
            row = self.list.currentRow() + step
            self.list.setCurrentRow(min(max(row, 0), self.list.count() - 1))

    def _do(self) -> None:
        item = self.list.currentItem()
        self.close()
        if item is not None and item.flags() & Qt.ItemFlag.ItemIsEnabled:
            item.data(Qt.ItemDataRole.UserRole).trigger()


class KeysDialog(QDialog):
    """All keys."""

    def __init__(self, actions: list[tuple[str, QAction]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Keys"))
        self.resize(560, 600)
        pointer = [
            (tr("Pick a class"), "1 – 9"),
            (tr("Paint background, paint what is to be ignored"), ",  ."),
            (tr("Pan"), tr("Space + drag, middle button")),
            (tr("Zoom"), tr("wheel, pinch")),
            (tr("Brush size"), tr("Ctrl + wheel")),
            (tr("Straight stroke from the last end"), tr("Shift + click")),
            (tr("Hide the overlay while held"), "Tab"),
            (tr("Close a polygon"), "Enter"),
            (tr("Take the last point back"), "Backspace"),
            (tr("Cancel, select nothing"), "Esc"),
            (tr("Delete shapes, reject drafts"), "Del"),
            (tr("Move the selected shapes by 1 px, by 10 px"), tr("arrows, Shift + arrows")),
            (tr("Add a vertex"), tr("double click on an edge")),
            (tr("Delete a vertex"), tr("Alt + click")),
        ]
        sections: dict[str, list[tuple[str, str]]] = {tr("On the canvas"): pointer}
        for menu, action in actions:
            if action.shortcuts():
                row = action.iconText().removesuffix(" …"), _keys_of(action)
                sections.setdefault(menu, []).append(row)
        QVBoxLayout(self).addWidget(_table(sections))


def _table(sections: Mapping[str, Sequence[tuple[str, str]]]) -> QTableWidget:
    """Actions and their keys, each menu under its name."""
    table = QTableWidget(sum(len(rows) + 1 for rows in sections.values()), 2)
    table.setHorizontalHeaderLabels([tr("action"), tr("keys")])
    table.verticalHeader().hide()
    table.horizontalHeader().setStretchLastSection(True)
    table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
    place = 0
    for title, rows in sections.items():
        head = QTableWidgetItem(title)
        font = head.font()
        font.setBold(True)
        head.setFont(font)
        table.setItem(place, 0, head)
        table.setSpan(place, 0, 1, 2)
        for row, texts in enumerate(rows, place + 1):
            for column, text in enumerate(texts):
                table.setItem(row, column, QTableWidgetItem(text))
        place += len(rows) + 1
    table.setColumnWidth(0, 330)
    return table
