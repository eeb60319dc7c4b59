"""The bar above the canvas: which image is open, its state, and the button that confirms it."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QAction, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton, QWidget

from segstudio.studio import theme
from segstudio.studio.actions import Actions
from segstudio.studio.i18n import tr
from segstudio.studio.open_image import OpenImage
from segstudio.studio.panels.image_list import state_word
from segstudio.studio.session import Session
from segstudio.studio.widgets import faint, follow_action, named

_GATHER = 60
"""Milliseconds over which changes are gathered before the words are made again."""
_REST = 120
"""Pixels of the arrows and of the spaces between the parts."""


class ImageBar(QFrame):
    """Previous, next · name · state and what waits — Confirm, or, once it is, the way back."""

    def __init__(self, session: Session, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("image")
        self._session = session
        self.name = named(QLabel(), "project")
        self.name.setTextInteractionFlags(Qt.TextInteractionFlag.NoTextInteraction)
        self.name.setMinimumWidth(40)
        self.state = faint()
        self.confirm = QPushButton(tr("Confirm"))
        self.reopen = QPushButton(tr("Not finished"))
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 4, 10, 4)
        row.setSpacing(8)
        for name in ("previous", "next"):
            row.addWidget(_step(actions[name]))
        row.addWidget(self.name)
        row.addWidget(self.state)
        row.addStretch(1)
        for button, name in ((self.reopen, "unconfirm"), (self.confirm, "confirm")):
            follow_action(button, actions[name])
            row.addWidget(button)
        self._due = QTimer(self, singleShot=True, interval=_GATHER)
        self._due.timeout.connect(self.refresh)
        session.image_changed.connect(self.refresh)
        session.states_changed.connect(lambda _: self._due.start())
        session.document_changed.connect(lambda _: self._due.start())
        self.restyle()
        self.refresh()

    def refresh(self) -> None:
        """Say what is open, and in which state."""
        image = self._session.image
        # while a large image is being read, and for one that cannot be, its name stands here too
        key = image.key if image is not None else self._session.wanted
        self.setVisible(bool(key))
        done = image is not None and image.document.confirmed
        self.name.setToolTip(key)
        self.state.setText(" · ".join(self._words(image, done)) if key else "")
        self.confirm.setVisible(not done)
        self.reopen.setVisible(done)
        self._fit(key.rpartition("/")[2])

    def _fit(self, name: str) -> None:
        """The name, shortened to what the rest leaves it."""
        button = self.confirm if self.reopen.isHidden() else self.reopen
        taken = self.state.sizeHint().width() + button.sizeHint().width() + _REST
        room = max(self.name.minimumWidth(), self.width() - taken)
        metrics = self.name.fontMetrics()
        self.name.setText(metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, room))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._due.start()

    def _words(self, image: OpenImage | None, done: bool) -> list[str]:
        if image is None or done:
            key = image.key if image is not None else self._session.wanted
            return [state_word("confirmed" if done else self._session.state(key))]
        state, waiting = self._session.state(image.key), len(image.document.drafts)
        words = [] if state == "draft" and waiting else [state_word(state)]
        if waiting:
            words.append(tr("{n} draft waits|{n} drafts wait", n=waiting))
        if image.has_guesses:
            words.append(tr("guesses shown"))
        return words

    def restyle(self) -> None:
        """The look has changed."""
        self.confirm.setIcon(theme.icon("confirm"))
        self.reopen.setIcon(theme.icon("undo"))


def _step(action: QAction) -> QToolButton:
    button = named(QToolButton(), "flat")
    button.setDefaultAction(action)
    button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
    button.setIconSize(QSize(16, 16))
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return button
