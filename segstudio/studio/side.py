"""The column on the right: classes above, what is known of the image and the model below."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSplitter, QWidget

from segstudio.studio.panels.classes import ClassesPanel

_LEAST: Final = 240
"""Pixels that the classes have, however few they are."""
_ROOM: Final = (304, 400)
"""Pixels across and down that every panel below can do with: neither the tabs nor the picture move
when one is chosen."""


class Side(QSplitter):
    """The classes have the room that their rows take, up to half, until a person moves the
    border."""

    def __init__(self, classes: ClassesPanel, below: QWidget) -> None:
        super().__init__(Qt.Orientation.Vertical)
        self._classes = classes
        self.by_hand = False
        self._due = QTimer(self, singleShot=True, interval=0)
        self._due.timeout.connect(self._share)
        self.addWidget(classes)
        below.setMinimumSize(*_ROOM)
        self.addWidget(below)
        self.splitterMoved.connect(self._moved)
        classes.rebuilt.connect(self._due.start)

    def put(self, sizes: list[int]) -> None:
        """Where a person had the border."""
        self.by_hand = True
        self.setSizes(sizes)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._due.start()

    def _moved(self) -> None:
        self.by_hand = True

    def _share(self) -> None:
        if not self.by_hand:
            most = min(self.height() // 2, self.height() - _ROOM[1] - self.handleWidth())
            height = min(max(_LEAST, self._classes.needed_height()), most)
            self.setSizes([height, self.height() - height])
