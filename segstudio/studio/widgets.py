"""Small helpers for widgets."""

from __future__ import annotations

from typing import TypeVar

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QLabel, QPushButton, QToolButton, QWidget

from segstudio.studio import theme

AnyWidget = TypeVar("AnyWidget", bound=QWidget)


def named(widget: AnyWidget, name: str) -> AnyWidget:
    """The widget with the name that the style sheet knows it by."""
    widget.setObjectName(name)
    return widget


def faint(words: str = "", wrap: bool = False) -> QLabel:
    """A quiet line of text."""
    label = named(QLabel(words), "faint")
    label.setWordWrap(wrap)
    return label


def heading(words: str) -> QLabel:
    """A small heading over a list."""
    return named(QLabel(words), "heading")


def follow_action(button: QPushButton, action: QAction, size: int = 16) -> None:
    """The button does what the action does, is off when it is, and says what that says."""
    button.setIconSize(QSize(size, size))
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    button.clicked.connect(action.trigger)

    def follow() -> None:
        button.setEnabled(action.isEnabled())
        button.setToolTip(action.toolTip())

    action.changed.connect(follow)
    follow()


def flat_button(icon: str, tip: str, size: int = 16) -> QToolButton:
    """A small button that is only its icon."""
    button = named(QToolButton(), "flat")
    button.setIcon(theme.icon(icon))
    button.setIconSize(QSize(size, size))
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return button
