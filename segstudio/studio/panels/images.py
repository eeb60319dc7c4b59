"""The images panel: filter, list with thumbnails and states."""

from __future__ import annotations

from PySide6.QtCore import (
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QListView,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from segstudio.studio import theme
from segstudio.studio.i18n import tr
from segstudio.studio.panels.image_list import EXCLUDED, KEY, PROBLEM, STATE, ImageList, state_word
from segstudio.studio.session import Session
from segstudio.studio.widgets import faint

_ROW = 58
_THUMB = 48
Index = QModelIndex | QPersistentModelIndex


class ImagesPanel(QWidget):
    """Click an image to open it; the filter narrows the list by name and state."""

    exclude_asked = Signal(str, bool)
    segment_asked = Signal(str)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._session = session
        self.model = ImageList(session, self)
        self.search = QLineEdit(placeholderText=tr("Filter by name"))
        self.search.setClearButtonEnabled(True)
        self.states = QComboBox()
        for word, state in (
            (tr("all"), None),
            (state_word("none"), "none"),
            (state_word("draft"), "draft"),
            (state_word("edited"), "edited"),
            (state_word("confirmed"), "confirmed"),
            (tr("excluded"), "excluded"),
        ):
            self.states.addItem(word, state)
        self.states.setMinimumContentsLength(6)
        self.states.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.list = _make_list(self.model)
        self.empty = faint(tr("No picture matches the filter."))
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setWordWrap(True)
        self._lay_out()
        self.search.textChanged.connect(self._filter)
        self.states.currentIndexChanged.connect(self._filter)
        self.list.chosen.connect(session.go)
        self.list.customContextMenuRequested.connect(self._menu)
        self.model.modelReset.connect(self._after_reset)
        session.image_opening.connect(self.show_current)
        session.project_changed.connect(self.search.clear)

    def _lay_out(self) -> None:
        self.setMinimumWidth(210)
        row = QHBoxLayout()
        row.addWidget(self.search, 3)
        row.addWidget(self.states, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 0, 0)
        layout.setSpacing(6)
        row.setContentsMargins(0, 0, 8, 0)
        layout.addLayout(row)
        layout.addWidget(self.empty)
        layout.addWidget(self.list, 1)

    def _filter(self) -> None:
        self.model.filter(self.search.text(), self.states.currentData())

    def _after_reset(self) -> None:
        nothing = self.model.rowCount() == 0
        project = self._session.project
        self.empty.setVisible(nothing)
        if nothing and project is not None and not project.images():
            self.empty.setText(tr("No pictures here yet. Put some into the folder, then press F5."))
        else:
            self.empty.setText(tr("No picture matches the filter."))
        image = self._session.image
        if image is not None:
            self.show_current(image.key)

    def show_current(self, key: str) -> None:
        """Mark the image that is open."""
        row = self.model.row_of(key)
        if row is not None:
            index = self.model.index(row)
            self.list.setCurrentIndex(index)
            self.list.scrollTo(index)

    def _menu(self, place: QPoint) -> None:
        index = self.list.indexAt(place)
        if not index.isValid():
            return
        key, excluded = index.data(KEY), bool(index.data(EXCLUDED))
        menu = QMenu(self)
        menu.addAction(tr("Segment this image")).triggered.connect(
            lambda: self.segment_asked.emit(key)
        )
        words = tr("Take back into the project") if excluded else tr("Exclude from the project")
        menu.addAction(words).triggered.connect(lambda: self.exclude_asked.emit(key, not excluded))
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.list.viewport().mapToGlobal(place))


class _List(QListView):
    """What is marked when the button goes up is chosen, wherever the pointer went meanwhile."""

    chosen = Signal(str)

    _is_pressed = False

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        on_row = self.indexAt(event.position().toPoint()).isValid()
        self._is_pressed = on_row and event.button() == Qt.MouseButton.LeftButton

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        if self._is_pressed and event.button() == Qt.MouseButton.LeftButton:
            self._is_pressed = False
            self.chosen.emit(self.currentIndex().data(KEY))


def _make_list(model: ImageList) -> _List:
    view = _List()
    view.setModel(model)
    view.setItemDelegate(_Delegate(view))
    view.setUniformItemSizes(True)
    view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
    view.setAccessibleName("images")
    return view


class _Delegate(QStyledItemDelegate):
    """Thumbnail, name, and the state as a dot and a word."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(120, _ROW)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        look = theme.current()
        area: QRect = option.rect
        flags: QStyle.StateFlag = option.state
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        chosen = bool(flags & QStyle.StateFlag.State_Selected)
        if chosen or flags & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(look.hover))
            painter.drawRoundedRect(area.adjusted(0, 1, -8, -1), 6, 6)
        if chosen:
            painter.setBrush(QColor(look.accent))
            painter.drawRoundedRect(QRectF(area.x(), area.y() + 8, 3, area.height() - 16), 1.5, 1.5)
        self._thumbnail(painter, area, index)
        self._words(painter, area, index)
        painter.restore()

    @staticmethod
    def _thumbnail(painter: QPainter, area: QRect, index: Index) -> None:
        look = theme.current()
        box = QRectF(area.x() + 8, area.y() + (_ROW - _THUMB) / 2, _THUMB, _THUMB)
        image = index.data(Qt.ItemDataRole.DecorationRole)
        if not isinstance(image, QImage):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(look.line))
            painter.drawRoundedRect(box, 4, 4)
            return
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
        side = min(image.width(), image.height())
        middle = QRectF((image.width() - side) / 2, (image.height() - side) / 2, side, side)
        if index.data(EXCLUDED):
            painter.setOpacity(0.35)
        painter.drawImage(box, image, middle)
        painter.setOpacity(1.0)

    @staticmethod
    def _words(painter: QPainter, area: QRect, index: Index) -> None:
        look = theme.current()
        left = area.x() + _THUMB + 18
        width = area.right() - left - 12
        faint = bool(index.data(EXCLUDED))
        painter.setPen(QColor(look.faint if faint else look.text))
        name = painter.fontMetrics().elidedText(
            str(index.data()), Qt.TextElideMode.ElideMiddle, width
        )
        top = QRect(left, area.y() + 9, width, 20)
        painter.drawText(top, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, name)
        problem, state = index.data(PROBLEM), index.data(STATE)
        words = tr("cannot be read") if problem else tr("excluded") if faint else state_word(state)
        draw_state(painter, QPointF(left + 5, area.y() + 41), "bad" if problem else state)
        painter.setPen(QColor(look.bad if problem else look.faint))
        below = QRect(left + 16, area.y() + 31, width - 16, 20)
        painter.drawText(below, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, words)


def draw_state(painter: QPainter, centre: QPointF, state: str) -> None:
    """The mark of a state: ring, dashed ring, half disc, disc."""
    look = theme.current()
    colour = {"confirmed": look.good, "edited": look.warn, "draft": look.accent, "bad": look.bad}
    shade = QColor(colour.get(state, look.faint))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    line = QPen(shade, 1.6)
    if state == "draft":
        line.setDashPattern([1.6, 1.4])
    painter.setPen(line)
    if state in ("confirmed", "bad"):
        painter.setBrush(shade)
    painter.drawEllipse(centre, 4.5, 4.5)
    if state == "edited":
        painter.setBrush(shade)
        painter.drawPie(QRectF(centre.x() - 4.5, centre.y() - 4.5, 9, 9), 90 * 16, 180 * 16)
