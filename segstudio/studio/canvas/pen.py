"""A tablet's pen as a mouse: the same handlers for both."""

from __future__ import annotations

from typing import Final, Protocol

from PySide6.QtCore import QEvent, QPointF
from PySide6.QtGui import QMouseEvent, QTabletEvent
from PySide6.QtWidgets import QApplication

_AS_MOUSE: Final = {
    QEvent.Type.TabletPress: QEvent.Type.MouseButtonPress,
    QEvent.Type.TabletMove: QEvent.Type.MouseMove,
    QEvent.Type.TabletRelease: QEvent.Type.MouseButtonRelease,
}
_STEADY: Final = 8.0
"""Screen pixels between two touches of a double click."""


class _Mouse(Protocol):
    def mousePressEvent(self, event: QMouseEvent) -> None: ...

    def mouseMoveEvent(self, event: QMouseEvent) -> None: ...

    def mouseReleaseEvent(self, event: QMouseEvent) -> None: ...

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None: ...


class Pen:
    """Hands a pen's events to the handlers for the mouse's; two quick touches double click."""

    def __init__(self) -> None:
        self._touched: tuple[int, QPointF] | None = None

    def play(self, target: _Mouse, event: QTabletEvent) -> None:
        mouse = QMouseEvent(
            _AS_MOUSE[event.type()],
            event.position(),
            event.globalPosition(),
            event.button(),
            event.buttons(),
            event.modifiers(),
            event.pointingDevice(),
        )
        match event.type():
            case QEvent.Type.TabletPress if self._is_second(event):
                target.mouseDoubleClickEvent(mouse)
            case QEvent.Type.TabletPress:
                target.mousePressEvent(mouse)
            case QEvent.Type.TabletMove:
                target.mouseMoveEvent(mouse)
            case _:
                target.mouseReleaseEvent(mouse)

    def _is_second(self, event: QTabletEvent) -> bool:
        before, self._touched = self._touched, (event.timestamp(), event.position())
        if before is None:
            return False
        soon = event.timestamp() - before[0] <= QApplication.doubleClickInterval()
        near = (event.position() - before[1]).manhattanLength() <= _STEADY
        if soon and near:
            self._touched = None
        return soon and near
