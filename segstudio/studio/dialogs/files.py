"""Which file or folder: the system's own dialog where there is one, else Qt's in our icons."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PySide6.QtWidgets import QFileDialog, QToolButton, QWidget

from segstudio.studio import theme

_ICONS: Final = {
    "backButton": "previous",
    "forwardButton": "next",
    "toParentButton": "up",
    "newFolderButton": "new",
    "listModeButton": "list",
    "detailModeButton": "details",
}
"""Buttons of Qt's own dialog by their names; its icons cannot be seen on a dark ground."""


def ask_folder(parent: QWidget, title: str = "", start: str = "") -> str:
    """The chosen folder, "" for none."""
    dialog = QFileDialog(parent, title, start)
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly)
    return _asked(dialog)


def ask_file(parent: QWidget, title: str = "", start: str = "", files: str = "") -> str:
    """The chosen file that is there, "" for none; `files` as QFileDialog's filter."""
    dialog = QFileDialog(parent, title, start, files)
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    return _asked(dialog)


def ask_new_file(parent: QWidget, title: str, proposed: Path, files: str = "") -> str:
    """The file to be written, "" for none."""
    dialog = QFileDialog(parent, title, str(proposed.parent), files)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.selectFile(proposed.name)
    return _asked(dialog)


def dress(dialog: QFileDialog) -> None:
    """Give Qt's own dialog our icons; the system's has no such buttons."""
    for name, icon in _ICONS.items():
        button = dialog.findChild(QToolButton, name)
        if isinstance(button, QToolButton):
            button.setIcon(theme.icon(icon))


def _asked(dialog: QFileDialog) -> str:
    dress(dialog)
    chosen = dialog.selectedFiles() if dialog.exec() else []
    dialog.deleteLater()
    return chosen[0] if chosen else ""
