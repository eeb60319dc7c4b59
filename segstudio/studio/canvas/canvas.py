"""The canvas widget: shows the open image and hands pointer events to the tool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import QEvent, QPointF, QRect, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QKeyEvent,
    QMouseEvent,
    QNativeGestureEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QTabletEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from segstudio.annotation.bitmap import Box, union_boxes
from segstudio.annotation.document import Change
from segstudio.annotation.idmap import IdMap
from segstudio.studio.canvas.backing import Backing, set_cursor_shape
from segstudio.studio.canvas.colouring import Colour, Look, Table
from segstudio.studio.canvas.guess import Guess
from segstudio.studio.canvas.marking import MARKED, Mark, Marks, Scene, changed
from segstudio.studio.canvas.marks import draw_grid, has_outline
from segstudio.studio.canvas.overview import Overview
from segstudio.studio.canvas.pen import Pen
from segstudio.studio.canvas.picture import Picture
from segstudio.studio.canvas.tone import Tone
from segstudio.studio.canvas.view import View, fit
from segstudio.tools import TOOLS, Desk, Pointer, Tool
from segstudio.tools.desk import Preview

_KEYS: Final = {
    Qt.Key.Key_Return: "Enter",
    Qt.Key.Key_Enter: "Enter",
    Qt.Key.Key_Backspace: "Backspace",
    Qt.Key.Key_Delete: "Delete",
    Qt.Key.Key_Escape: "Escape",
    Qt.Key.Key_Left: "Left",
    Qt.Key.Key_Right: "Right",
    Qt.Key.Key_Up: "Up",
    Qt.Key.Key_Down: "Down",
}
_ARROWS: Final = frozenset({"Left", "Right", "Up", "Down"})
_WHEEL_STEP: Final = 1.2
READ_ONLY: Final = "This project is open read-only."
_CLOSEST: Final = 0.3
"""Part of the canvas that a doubtful region takes: what is around it says what it is."""
_REGION_SCALE: Final = 5.0
"""Screen pixels an image pixel, at most, for a doubtful region."""
_AT_ONCE: Final = 700_000
"""Device pixels that are drawn within a frame; a larger viewport is drawn coarsely first."""
_GRID_FROM: Final = 16.0
"""Screen pixels an image pixel from which on lines part the image pixels."""
_STRIP: Final = 100_000
"""Pixels that are drawn in full between two events."""
_ROUGH: Final = 3
"""What is drawn coarsely has one pixel for so many by so many device pixels."""
_BESIDE_WORK: Final = 30
"""Milliseconds between two such parts while a tool is at work, whose frames come first."""
_REST: Final = 70
"""Milliseconds without another zoom step after which what is coarse is made fine."""


class Canvas(QWidget):
    """Picture, overlay and tool.

    Wheel zooms, Space or the middle button pans, Ctrl+wheel sizes the brush; everything else
    goes to the tool in hand.
    """

    pointer_moved = Signal(float, float)
    view_changed = Signal()
    brush_resized = Signal(float)
    refused = Signal(str)
    key_unused = Signal(str)
    painted = Signal()
    tool_busy = Signal()
    """The tool has begun something, or ended it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMouseTracking(True)
        self.setAttribute(Qt.WidgetAttribute.WA_TabletTracking)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMinimumSize(QSize(200, 150))
        self.setAccessibleName("canvas")
        self.ground = QColor(40, 42, 46)
        self.look = Look()
        self.view = View()
        self.overlay_hidden = False
        self.notice = ""
        self.tone = Tone()
        self.overview = Overview()
        self.read_only = False
        self.why_read_only = READ_ONLY
        self._desk: Desk | None = None
        self._picture: Picture | None = None
        self._guess: Guess | None = None
        self._heat: Guess | None = None
        self._changes: Guess | None = None
        self._colours: Mapping[str, Colour] = {}
        self._table: Table | None = None
        self._tool: Tool | None = None
        self._tool_name = "select"
        self._backing = Backing()
        self._marks = Marks()
        self._marked: list[Mark] = []
        """The marks on the screen."""
        self._stale = True
        self._rough: Backing | None = None
        self._strips: list[QRect] = []
        self._rest = QTimer(self, singleShot=True)
        self._rest.timeout.connect(self._refine)
        self._space = False
        self._pan_from: QPointF | None = None
        self._pan_by = Qt.MouseButton.MiddleButton
        self._jumping = False
        self._pointer: QPointF | None = None
        self._pressure = 1.0
        self._pen = Pen()
        self._fitted = True

    # -- what is shown

    def show_image(
        self, picture: Picture | None, desk: Desk | None, keep_view: bool = False
    ) -> None:
        """Show another image, or nothing."""
        if self._desk is not None and self._on_change in self._desk.document.listeners:
            self._desk.document.listeners.remove(self._on_change)
        if self._picture is not None:
            self._picture.changed = _ignore
        self._picture, self._desk = picture, desk
        if picture is not None:
            picture.changed = self._mend
            picture.set_tone(self.tone)
        self._guess = self._heat = self._changes = None
        self._marks.forget()
        if self._tool is not None:
            self._tool.cancel()  # while the image was on its way something may have begun
        self._tool = None
        if desk is not None:
            desk.document.listeners.append(self._on_change)
            self._tool = TOOLS[self._tool_name](desk)
        if not keep_view:
            self.fit()
        self.recolour()
        self._follow_cursor()

    def leave_image(self) -> None:
        """Another image is coming: what the tool has begun is finished or given up."""
        if self._tool is not None:
            self._tool.leave()
        self.setFocus()

    def use_tool(self, name: str) -> None:
        """Take another tool in hand; what the old one has begun is finished or given up."""
        if self._tool is not None:
            self._tool.leave()
        self._tool_name = name
        self._tool = None if self._desk is None else TOOLS[name](self._desk)
        self._follow_cursor()
        self.update()

    @property
    def picture(self) -> Picture | None:
        return self._picture

    @property
    def tool(self) -> Tool | None:
        return self._tool

    @property
    def tool_name(self) -> str:
        return self._tool_name

    @property
    def idmap(self) -> IdMap | None:
        return self._desk.idmap if self._desk is not None else None

    def set_colours(self, colours: Mapping[str, Colour]) -> None:
        self._colours = colours
        self.recolour()

    def set_look(self, look: Look) -> None:
        self.look = look
        self.recolour()

    def set_tone(self, tone: Tone) -> None:
        """How bright the pictures are shown."""
        self.tone = tone
        if self._picture is not None:
            self._picture.set_tone(tone)
        self.redraw()

    def show_overview(self, shown: bool) -> None:
        self.overview.enabled = shown
        self.update()

    def show_guess(self, guess: Guess | None) -> None:
        """Show what the unlabelled pixels may be, or nothing."""
        self._guess = guess
        self.redraw()

    def show_heat(self, heat: Guess | None) -> None:
        """Show where the model is unsure, or nothing."""
        self._heat = heat
        self.redraw()

    def show_changes(self, changes: Guess | None) -> None:
        """Show which pixels would change, or nothing."""
        self._changes = changes
        self.redraw()

    def show_region(self, box: Box | None) -> None:
        """Bring a part of the picture into sight, with what is around it, and frame it."""
        self._marks.region = box
        if box is not None:
            self._bring(box, most=_CLOSEST, closest=_REGION_SCALE)
        self.update()

    def hide_overlay(self, hidden: bool) -> None:
        if hidden != self.overlay_hidden:
            self.overlay_hidden = hidden
            self.redraw()

    def recolour(self) -> None:
        """Colours or look have changed: a new table, everything drawn anew."""
        desk = self._desk
        self._table = None
        if desk is not None:
            self._table = Table(desk.document, self._colours, self.look, self._whitened(desk))
        self.redraw()

    def reselect(self) -> None:
        """Other shapes are selected: their outlines are drawn anew."""
        desk, table = self._desk, self._table
        if desk is None or table is None:
            return
        white = self._whitened(desk)
        changed = set(table.selected) ^ set(white)
        table.select(white)
        if len(changed) > MARKED:
            self.redraw()
            return
        for number in changed:
            shape = desk.document.shape(number)
            box = shape.bounds() if shape is not None else None
            if box is not None:
                self._mend(box)
        self._update_marks()

    @staticmethod
    def _whitened(desk: Desk) -> list[int]:
        """Selected shapes that are marked in the overlay; the others have a vector outline."""
        if len(desk.selection) > MARKED:
            return list(desk.selection)
        return [
            number
            for number, shape in desk.selected()
            if shape.bitmap is not None or not has_outline(shape, 1.0)
        ]

    def redraw(self) -> None:
        self._stale = True
        self.update()

    def _on_change(self, change: Change) -> None:
        if self._desk is not None and self._table is not None:
            self._table.follow(self._desk.document, change)
        if change.dirty is not None:
            self._mend(change.dirty)
        self._update_marks()

    def _mend(self, box: Box) -> None:
        """Draw what shows these image pixels anew."""
        if self._stale:
            return
        for backing in (self._backing, self._rough):
            if backing is not None:
                self._draw(backing, backing.device_rect(box, self.view))
        self.update(self._backing.logical_rect(box, self.view))

    def _update_marks(self) -> None:
        """The tool or the selection may look different: paint where they were and where they are,
        for a whole canvas takes several milliseconds."""
        self.update(changed(self._marked, self._marks_of(self._scene())))

    def _scene(self) -> Scene | None:
        if self._desk is None:
            return None
        preview = self._tool.preview() if self._tool is not None else Preview()
        hidden = self.overlay_hidden
        return Scene(self._desk, preview, self._tool_name, self.view, hidden, self._colours)

    def _marks_of(self, scene: Scene | None) -> list[Mark]:
        return [] if scene is None else self._marks.of(scene, self.fontMetrics())

    # -- the view

    def set_view(self, view: View) -> None:
        if self._picture is not None:
            size = self._picture.width, self._picture.height
            view = view.kept_in(size, (self.width(), self.height()))
        view = view.snapped(self.devicePixelRatioF())
        if view == self.view:
            return
        whole = self._stale or self._rough is not None
        strips = None if whole else self._backing.scroll(self.view, view)
        self.view = view
        self._fitted = False
        if strips is None:
            self._stale = True
            self._rest.start(_REST)
            self.update()
        else:
            for strip in strips:
                self._draw(self._backing, strip)
            self.update()
        self.view_changed.emit()

    def fit(self) -> None:
        """The whole picture, centred."""
        if self._picture is None:
            return
        size = self._picture.width, self._picture.height
        view = fit(size, (self.width(), self.height()))
        self.view = view.snapped(self.devicePixelRatioF())
        self._fitted = True
        self.redraw()
        self.view_changed.emit()

    def fit_selection(self) -> None:
        """The selected shapes, with some room around them."""
        box: Box | None = None
        for _, shape in self._desk.selected() if self._desk is not None else ():
            box = union_boxes(box, shape.bounds())
        if box is not None:
            self._bring(box, most=0.8)

    def _bring(self, box: Box, most: float, closest: float = 16.0) -> None:
        """Show a box as large as can be, on `most` of the canvas."""
        width, height = max(box[2] - box[0], 1), max(box[3] - box[1], 1)
        scale = min(self.width() / width, self.height() / height, 16.0 / most) * most
        scale = min(scale, closest)
        x = (self.width() - (box[0] + box[2]) * scale) / 2
        y = (self.height() - (box[1] + box[3]) * scale) / 2
        self.set_view(View(scale, x, y))

    def zoom(self, factor: float, at: QPointF | None = None) -> None:
        place = at or QPointF(self.width() / 2, self.height() / 2)
        self.set_view(self.view.zoomed(factor, place.x(), place.y()))

    def actual_size(self) -> None:
        """One image pixel per device pixel."""
        self.zoom(1 / self.devicePixelRatioF() / self.view.scale)

    # -- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._backing.resize(self.size(), self.devicePixelRatioF()) or self._stale:
            self._draw_whole()
        painter = QPainter(self)
        (self._rough or self._backing).show(painter)
        scene = self._scene()
        if scene is not None:
            if self._picture is not None and self.view.scale >= _GRID_FROM:
                draw_grid(painter, self.view, (self._picture.width, self._picture.height))
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
            self._marked = self._marks_of(scene)
            for mark in self._marked:
                if event.region().intersects(mark.room):
                    mark.draw(painter)
        elif self.notice:
            self._draw_notice(painter)
        if self._picture is not None:
            self.overview.draw(painter, self._picture, self.view, self.size())
        painter.end()
        self.painted.emit()

    def _draw_notice(self, painter: QPainter) -> None:
        """Why there is no picture."""
        painter.setPen(self.palette().placeholderText().color())
        room = self.rect().adjusted(40, 40, -40, -40)
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(room, flags, self.notice)

    def _draw_whole(self) -> None:
        """All of the viewport; a large one coarsely for now, so that no frame comes late.
        `_refine` does the rest between events."""
        self._stale = False
        whole = self._backing.whole()
        if whole.width() * whole.height() <= _AT_ONCE:
            self._rest.stop()
            self._rough = None
            self._draw(self._backing, whole)
            return
        self._rough = self._rough or Backing()
        self._rough.resize(self.size(), self.devicePixelRatioF() / _ROUGH)
        self._draw(self._rough, self._rough.whole(), rough=True)
        self._strips = _strips(whole)
        if not self._rest.isActive():
            self._rest.start(0)

    def _refine(self) -> None:
        """Draw the next strip in full; the last one makes it what is shown."""
        if self._stale or not self._strips:
            return
        self._draw(self._backing, self._strips.pop())
        if self._strips:
            at_work = self._tool is not None and self._tool.busy
            self._rest.start(_BESIDE_WORK if at_work else 0)
        else:
            self._rough = None
            self.update()

    def _draw(self, backing: Backing, part: QRect, rough: bool = False) -> None:
        overlay = None
        if self._desk is not None and self._table is not None and not self.overlay_hidden:
            overlay = (self._desk.idmap, self._table, self.look)
        guess = None if self.overlay_hidden else self._changes or self._heat or self._guess
        backing.draw(part, self.view, self.ground, self._picture, overlay, guess, rough)

    def resizeEvent(self, event: QResizeEvent) -> None:
        if self._fitted:
            self.fit()
        self.redraw()

    # -- pointer

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        pan = event.button() == Qt.MouseButton.MiddleButton or (
            self._space and event.button() == Qt.MouseButton.LeftButton
        )
        if pan and not (self._tool is not None and self._tool.busy and self._is_held(event)):
            self._pan_from, self._pan_by = event.position(), event.button()
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
        elif event.button() == Qt.MouseButton.LeftButton and self._jump(event.position()):
            self._jumping = True
        elif event.button() == Qt.MouseButton.LeftButton and self._may_edit():
            self._tell("press", event)

    @staticmethod
    def _is_held(event: QMouseEvent) -> bool:
        """Whether the tool's button is down beside the one that was pressed."""
        others = event.buttons() & ~event.button()
        return bool(others & Qt.MouseButton.LeftButton)

    def _jump(self, place: QPointF) -> bool:
        """Go where the overview was pressed; whether it was."""
        if self._picture is None:
            return False
        view = self.overview.centred(self._picture, self.view, self.size(), place)
        if view is not None:
            self.set_view(view)
        return view is not None

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._pointer = event.position()
        if self._pan_from is not None:
            step = event.position() - self._pan_from
            self._pan_from = event.position()
            self.set_view(self.view.moved(step.x(), step.y()))
        elif self._jumping:
            self._jump(event.position())
        else:
            held = bool(event.buttons() & Qt.MouseButton.LeftButton) and not self.read_only
            self._tell("drag" if held else "move", event)
        self.pointer_moved.emit(*self.view.to_image(event.position().x(), event.position().y()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._pan_from is not None and event.button() == self._pan_by:
            self._pan_from = None
            self._follow_cursor()
        elif self._jumping:
            self._jumping = False
        elif event.button() == Qt.MouseButton.LeftButton and not self.read_only:
            self._tell("release", event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        if self._jump(event.position()):
            self._jumping = True
        elif self._may_edit():
            self._tell("double_click", event)

    def tabletEvent(self, event: QTabletEvent) -> None:
        """A pen is a mouse that knows how hard it presses."""
        self._pressure = event.pressure()
        self._pen.play(self, event)
        self._pressure = 1.0
        event.accept()

    def pointer_pixel(self) -> tuple[int, int] | None:
        """The image pixel under the pointer, None when it is elsewhere."""
        if self._pointer is None:
            return None
        x, y = self.view.to_image(self._pointer.x(), self._pointer.y())
        return int(x // 1), int(y // 1)

    def _may_edit(self) -> bool:
        """Whether the tool may work now; says why when it may not."""
        reason = self._tool.refusal if self._tool is not None else ""
        if self.read_only and self._tool_name != "select":
            reason = self.why_read_only
        if reason:
            self.refused.emit(reason)
        return not reason and not (self.read_only and self._tool_name != "select")

    def _tell(self, what: str, event: QMouseEvent) -> None:
        if self._tool is None:
            return
        x, y = self.view.to_image(event.position().x(), event.position().y())
        keys = event.modifiers()
        pointer = Pointer(
            x,
            y,
            self.view.scale,
            shift=bool(keys & Qt.KeyboardModifier.ShiftModifier),
            ctrl=bool(keys & Qt.KeyboardModifier.ControlModifier),
            alt=bool(keys & Qt.KeyboardModifier.AltModifier),
            pressure=self._pressure,
        )
        was_busy = self._tool.busy
        getattr(self._tool, what)(pointer)
        if self._tool.busy != was_busy:
            self.tool_busy.emit()
        self._follow_cursor()
        self._update_marks()

    def _follow_cursor(self) -> None:
        if self._pan_from is not None or self._space:
            return
        shape = set_cursor_shape(self._tool.cursor if self._tool is not None else "arrow")
        if self.cursor().shape() != shape:
            self.setCursor(shape)

    def leaveEvent(self, event: QEvent) -> None:
        self._pointer = None
        self.pointer_moved.emit(-1.0, -1.0)

    def wheelEvent(self, event: QWheelEvent) -> None:
        steps = event.angleDelta().y() / 120
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier and self._desk is not None:
            self.brush_resized.emit(self._desk.brush_radius * 1.15**steps)
        elif event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.set_view(self.view.moved(event.angleDelta().y() / 2, 0))
        else:
            sideways = event.angleDelta().x() / 2
            self.set_view(self.view.moved(sideways, 0))
            self.zoom(_WHEEL_STEP**steps, event.position())
        event.accept()

    def event(self, event: QEvent) -> bool:
        if (
            isinstance(event, QNativeGestureEvent)
            and event.gestureType() == Qt.NativeGestureType.ZoomNativeGesture
        ):
            self.zoom(1 + event.value(), event.position())
            return True
        return super().event(event)

    # -- keys

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab hides the overlay while it is held."""
        return False

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        name = _KEYS.get(key)
        if key == Qt.Key.Key_Space:
            self._hold_space(True)
        elif key == Qt.Key.Key_Tab:
            self.hide_overlay(True)
        elif name is not None:
            fast = "Shift+" if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else ""
            word = f"{fast}{name}" if name in _ARROWS else name
            used = self._tool is not None and not self.read_only and self._tool.key(word)
            if not used:
                self.key_unused.emit(name)
            self.update()
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if event.isAutoRepeat():
            return
        if event.key() == Qt.Key.Key_Space:
            self._hold_space(False)
        elif event.key() == Qt.Key.Key_Tab:
            self.hide_overlay(False)
        else:
            super().keyReleaseEvent(event)

    def _hold_space(self, held: bool) -> None:
        self._space = held
        if held:
            self.setCursor(Qt.CursorShape.OpenHandCursor)
        else:
            self._follow_cursor()


def _ignore(box: Box) -> None:
    """The picture is shown no more."""


def _strips(whole: QRect) -> list[QRect]:
    """The viewport in strips that each take some milliseconds, the lowest first."""
    height = max(16, _STRIP // max(1, whole.width()))
    tops = range(0, whole.height(), height)
    return [QRect(0, top, whole.width(), height).intersected(whole) for top in reversed(tops)]
