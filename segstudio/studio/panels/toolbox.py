"""The tools on the left, and the brush's size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QToolButton, QVBoxLayout, QWidget

from segstudio.studio.actions import OPTION_NAMES, TOOL_NAMES, Actions
from segstudio.studio.i18n import tr
from segstudio.studio.session import Session
from segstudio.studio.widgets import faint, named

_COLUMNS: Final = 2


class Toolbox(QFrame):
    """One button per tool, then undo and redo, then the view."""

    def __init__(self, session: Session, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("tools")
        self.setFixedWidth(84)
        self._session = session
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 8, 4, 8)
        layout.setSpacing(4)
        layout.addLayout(_grid(actions, TOOL_NAMES))
        self.brush = faint()
        self.brush.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.brush.setToolTip(tr("Brush radius in image pixels: [ and ], or Ctrl + wheel"))
        layout.addWidget(self.brush)
        layout.addLayout(_grid(actions, OPTION_NAMES))
        layout.addSpacing(10)
        layout.addLayout(_grid(actions, ("undo", "redo")))
        layout.addStretch(1)
        layout.addLayout(_grid(actions, ("zoom_in", "zoom_out", "fit", "actual")))
        session.choices.desk_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        self.brush.setText(f"r = {self._session.choices.brush_radius:.0f} px")


def _grid(actions: Actions, names: Sequence[str]) -> QGridLayout:
    """Buttons in two columns."""
    grid = QGridLayout()
    grid.setSpacing(2)
    for place, name in enumerate(names):
        grid.addWidget(_button(actions, name), place // _COLUMNS, place % _COLUMNS)
    return grid


def _button(actions: Actions, name: str) -> QToolButton:
    button = named(QToolButton(), "tool")
    button.setDefaultAction(actions[name])
    button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
    button.setIconSize(QSize(22, 22))
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    button.setFixedSize(38, 38)
    return button
