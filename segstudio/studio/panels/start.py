"""The start page: new project, open folder, the sample, and recent projects."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from segstudio.project import recent
from segstudio.studio import theme
from segstudio.studio.i18n import tr
from segstudio.studio.widgets import faint, heading, named


class StartPage(QFrame):
    """What a person sees with no project open."""

    new_asked = Signal()
    open_asked = Signal()
    sample_asked = Signal()
    recent_asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("start page")
        title = named(QLabel("segstudio"), "title")
        line = faint(tr("Draw a few, let the model fill the rest, correct it, and it learns."))
        self.sample = _card(
            "sample", tr("Try the sample"), tr("pictures of cell nuclei and a small starter model")
        )
        self.open = _card("open", tr("Open folder"), tr("pictures, Labelme files, or a project"))
        self.new = _card("new", tr("New project"), tr("in a folder of its own"))
        self.sample.clicked.connect(self.sample_asked)
        self.open.clicked.connect(self.open_asked)
        self.new.clicked.connect(self.new_asked)
        self._recent = QVBoxLayout()
        self._recent.setSpacing(2)
        column = QVBoxLayout()
        column.setSpacing(10)
        column.addWidget(title)
        column.addWidget(line)
        column.addSpacing(14)
        for card in (self.open, self.new, self.sample):
            column.addWidget(card)
        column.addSpacing(14)
        column.addLayout(self._recent)
        inner = QWidget()
        inner.setLayout(column)
        inner.setFixedWidth(460)
        across = QHBoxLayout()
        across.addStretch(1)
        across.addWidget(inner)
        across.addStretch(1)
        layout = QVBoxLayout(self)
        layout.addStretch(2)
        layout.addLayout(across)
        layout.addStretch(3)

    def restyle(self) -> None:
        """The look of the program has changed."""
        for card in (self.open, self.new, self.sample):
            card.setIcon(theme.icon(str(card.property("icon_name"))))

    def reload(self) -> None:
        """Read the recent projects."""
        while (item := self._recent.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        roots = recent.load()[:6]
        if roots:
            self._recent.addWidget(heading(tr("RECENT")))
        for root in roots:
            self._recent.addWidget(self._recent_button(root))

    def _recent_button(self, root: Path) -> QPushButton:
        button = QPushButton(f"{root.name}   {_short(root.parent)}")
        button.setObjectName("card")
        button.setStyleSheet("padding: 7px 12px; border: none;")
        button.setToolTip(str(root))
        button.setCursor(Qt.CursorShape.PointingHandCursor)
        button.clicked.connect(lambda: self.recent_asked.emit(str(root)))
        return button


def _card(icon: str, words: str, more: str) -> QPushButton:
    button = named(QPushButton(f"{words}\n{more}"), "card")
    button.setProperty("icon_name", icon)
    button.setIcon(theme.icon(icon))
    button.setIconSize(QSize(26, 26))
    button.setCursor(Qt.CursorShape.PointingHandCursor)
    button.setAccessibleName(words)
    return button


def _short(path: Path) -> str:
    text = str(path)
    home = str(Path.home())
    if text.startswith(home):
        text = "~" + text[len(home) :]
    return text if len(text) <= 48 else f"…{text[-46:]}"
