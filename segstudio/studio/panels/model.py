"""The model panel: live curves, IoU per class, the history of models, roll back."""

from __future__ import annotations

from typing import Any, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from segstudio.project.models import CARD, ModelInfo
from segstudio.project.sample import starter_folder
from segstudio.studio import theme
from segstudio.studio.class_words import source_words
from segstudio.studio.i18n import tr
from segstudio.studio.session import Session
from segstudio.studio.training import Curves, TrainingLog, stored_curves
from segstudio.studio.widgets import faint, heading

_THREE_ROWS: Final = 66
"""Pixels: two models and none can be seen at once in a low window."""


def score_of(model: ModelInfo) -> float | None:
    """The mIoU on validation images a model was saved with, None when it has none."""
    value = model.scores.get("miou")
    return float(value) if isinstance(value, (int, float)) else None


def model_line(model: ModelInfo) -> str:
    """A model in one line: "#7 unet · mIoU 0.81", with AP50 where it finds things."""
    score = score_of(model)
    tail = f" · mIoU {score:.2f}" if score is not None else ""
    found = model.scores.get("ap50")
    tail += f" · AP50 {found:.2f}" if isinstance(found, (int, float)) else ""
    return f"#{model.number} {model.architecture}{tail}"


def model_lines(model: ModelInfo) -> str:
    """A model in two lines: what it is and how good, then when it was made, of how many images."""
    pinned = f" · {tr('pinned')}" if model.pinned else ""
    images = tr("{n} image|{n} images", n=model.learned_from) if model.learned_from else ""
    facts = " · ".join(fact for fact in (model.made, images) if fact)
    return "\n".join(line for line in (model_line(model) + pinned, facts) if line)


class ModelPanel(QWidget):
    """What the model in force is worth, how training goes, and the way back."""

    promote_asked = Signal(str)
    """A model's id, or "" for no model."""
    roll_back_asked = Signal()
    pin_asked = Signal(str, bool)
    adopt_asked = Signal()
    starter_asked = Signal()

    def __init__(self, session: Session, log: TrainingLog, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._session, self._log = session, log
        self._plot: _Plot | None = None
        self._newest = ""
        self.caption = faint()
        self.caption.setWordWrap(True)
        self.place = QVBoxLayout()
        self.table = make_table(tr("class"), "IoU")
        self.history = QListWidget()
        self.history.setAccessibleName("models")
        self.history.setMinimumHeight(_THREE_ROWS)
        self.history.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.history.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.promote = QPushButton(tr("Put in force"))
        self.back = QPushButton(tr("Roll back"))
        self.pin = QPushButton(tr("Pin"))
        self.adopt = QPushButton(tr("Add a model file …"))
        self.starter = QPushButton(tr("Nuclei model …"))
        self.starter.setToolTip(tr("Add the small model for cell nuclei that comes along"))
        self._lay_out()
        self.history.currentItemChanged.connect(lambda *_: self._show_chosen())
        self.promote.clicked.connect(lambda: self.promote_asked.emit(self._chosen_id() or ""))
        self.back.clicked.connect(self.roll_back_asked)
        self.pin.clicked.connect(self._toggle_pin)
        self.adopt.clicked.connect(self.adopt_asked)
        self.starter.clicked.connect(self.starter_asked)
        log.changed.connect(self.refresh_curves)
        log.saved.connect(self._expect)
        session.project_changed.connect(self.reload)

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        for button in (self.promote, self.back, self.pin):
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            buttons.addWidget(button)
        more = QHBoxLayout()
        for button in (self.adopt, self.starter):
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            more.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(6)
        layout.addWidget(self.caption)
        layout.addLayout(self.place, 5)
        layout.addWidget(self.table, 3)
        layout.addWidget(heading(tr("MODELS")))
        layout.addWidget(self.history, 1)
        layout.addLayout(buttons)
        layout.addLayout(more)

    # -- history

    def _expect(self, model: str) -> None:
        """A model is being saved: it is chosen next, unless a person has chosen another."""
        project, chosen = self._session.project, self._chosen_id()
        current = project.models.current() if project is not None else None
        in_force = current.id if current is not None else ""
        self._newest = model if chosen in (None, in_force) else ""

    def reload(self) -> None:
        """Read the models of the project again."""
        project = self._session.project
        chosen = self._chosen_id()
        self.history.blockSignals(True)
        self.history.clear()
        current = project.models.current() if project is not None else None
        in_force = current.id if current is not None else ""
        models = project.models.all() if project is not None else []
        for model in reversed(models):
            item = self._add(model.id, model_lines(model), model.id == in_force)
            item.setToolTip(self._facts(model))
        if models:
            self._add("", tr("No model, only guesses"), not in_force)
        wanted = self._newest or (in_force if chosen is None else chosen)
        self._newest = ""
        for row in range(self.history.count()):
            if self.history.item(row).data(Qt.ItemDataRole.UserRole) == wanted:
                self.history.setCurrentRow(row)
                self.history.scrollToItem(self.history.item(row))
        self.history.blockSignals(False)
        self._show_chosen()

    def _add(self, model_id: str, words: str, is_in_force: bool) -> QListWidgetItem:
        """A row; the one in force says so in its first line, and is bold."""
        first, *rest = words.split("\n")
        mark = f"● {first} · {tr('in force')}" if is_in_force else f"○ {first}"
        item = QListWidgetItem("\n".join([mark, *(f"    {line}" for line in rest)]))
        item.setData(Qt.ItemDataRole.UserRole, model_id)
        font = item.font()
        font.setBold(is_in_force)
        item.setFont(font)
        self.history.addItem(item)
        return item

    @staticmethod
    def _facts(model: ModelInfo) -> str:
        facts = [model.id, tr("{n} parameters", n=f"{model.parameters:,}"), model.made]
        if model.parent:
            facts.append(tr("trained on from {parent}", parent=model.parent))
        facts.append(", ".join(model.classes))
        reason = model.card.get("reason")
        return "\n".join([*facts, str(reason)] if reason else facts)

    def _chosen_id(self) -> str | None:
        """The id of the chosen model, "" for no model; None when nothing is chosen."""
        item = self.history.currentItem()
        return str(item.data(Qt.ItemDataRole.UserRole)) if item is not None else None

    def _toggle_pin(self) -> None:
        project, chosen = self._session.project, self._chosen_id()
        if project is not None and chosen:
            self.pin_asked.emit(chosen, not project.models.get(chosen).pinned)

    def _show_chosen(self) -> None:
        project, chosen = self._session.project, self._chosen_id()
        current = project.models.current() if project is not None else None
        ours = project is not None and not project.read_only
        in_force = current.id if current is not None else ""
        may_promote = chosen is not None and chosen != in_force
        self.promote.setEnabled(ours and may_promote)
        self.back.setEnabled(ours and project is not None and project.models.previous() is not None)
        self.back.setToolTip(tr("Back to what was in force before: a model, or none"))
        self.pin.setEnabled(ours and bool(chosen))
        self.adopt.setEnabled(ours)
        self.starter.setEnabled(ours and (starter_folder() / CARD).is_file())
        self.refresh_curves()

    # -- curves

    def refresh_curves(self) -> None:
        """Show the run that goes on, or the curves of the chosen model."""
        curves = self._log.curves
        project, chosen = self._session.project, self._chosen_id()
        live = bool(curves.loss or curves.miou)
        if not live and project is not None and chosen:
            curves = stored_curves(project.models.get(chosen).path)
        self._caption(curves, live)
        if self._plot is not None or (self.isVisible() and (curves.loss or curves.miou)):
            self._ensure_plot().show_curves(curves)
        self._fill_table(curves)

    def _caption(self, curves: Curves, live: bool) -> None:
        if not (curves.loss or curves.miou):
            self.caption.setText(tr("Curves appear here while a model trains."))
        elif live and curves.miou:
            words = tr("Training: mIoU {score} (validation images: {n})")
            score = f"{curves.miou[-1][1]:.3f}"
            if curves.ap50 is not None:
                score += f", AP50 {curves.ap50:.3f}"
            self.caption.setText(words.format(score=score, n=curves.images))
        elif live:
            self.caption.setText(tr("Training: first scores follow soon"))
        else:
            self.caption.setText(tr("Curves of {name}", name=source_words(curves.title)))

    def _ensure_plot(self) -> _Plot:
        if self._plot is None:
            self._plot = _Plot()
            self.place.addWidget(self._plot.widget)
        return self._plot

    def _fill_table(self, curves: Curves) -> None:
        rows = list(curves.per_class.items())
        self.table.setVisible(bool(rows))
        self.table.setRowCount(len(rows))
        for row, (name, score) in enumerate(rows):
            words = "–" if score is None else f"{score:.3f}"
            for column, text in enumerate((name, words)):
                self.table.setItem(row, column, QTableWidgetItem(text))

    def showEvent(self, event: object) -> None:
        self.refresh_curves()

    def restyle(self) -> None:
        """The look has changed."""
        if self._plot is not None:
            self._plot.restyle()


def make_table(*columns: str) -> QTableWidget:
    """A table to look at, hidden while it is empty."""
    table = QTableWidget(0, len(columns))
    table.setHorizontalHeaderLabels(columns)
    table.horizontalHeader().setStretchLastSection(True)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(22)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    table.setShowGrid(False)
    table.setMinimumHeight(60)
    table.hide()
    return table


class _Plot:
    """Loss (left axis) and validation mIoU (right axis, 0..1) over seconds.

    pyqtgraph is imported here, after the first paint.
    """

    def __init__(self) -> None:
        import pyqtgraph as pg

        self._pg: Any = pg
        self.widget: Any = pg.PlotWidget()
        self.widget.setMinimumHeight(110)
        self.widget.setLimits(yMin=0)
        self.widget.setToolTip(tr("Loss (left) and validation mIoU (right) over seconds"))
        self.widget.setMouseEnabled(x=False, y=False)
        self.widget.hideButtons()
        self.widget.setMenuEnabled(False)
        item = self.widget.getPlotItem()
        item.showAxis("right")
        item.getAxis("left").setWidth(38)
        item.getAxis("right").setWidth(34)
        item.getAxis("right").setTicks([[(0, "0"), (0.5, "0.5"), (1, "1")]])
        self._right: Any = pg.ViewBox()
        item.scene().addItem(self._right)
        item.getAxis("right").linkToView(self._right)
        self._right.setXLink(item)
        self._right.setYRange(0, 1, padding=0.06)
        self._right.setMouseEnabled(x=False, y=False)
        item.vb.sigResized.connect(lambda: self._right.setGeometry(item.vb.sceneBoundingRect()))
        self._loss: Any = item.plot([], [])
        self._miou: Any = pg.PlotCurveItem()
        self._dots: Any = pg.ScatterPlotItem(size=6)
        self._right.addItem(self._miou)
        self._right.addItem(self._dots)
        self.restyle()

    def restyle(self) -> None:
        look = theme.current()
        self.widget.setBackground(look.panel)
        item = self.widget.getPlotItem()
        sides = (("left", look.warn), ("right", look.accent), ("bottom", look.faint))
        for side, colour in sides:
            axis = item.getAxis(side)
            axis.setPen(self._pg.mkPen(look.line))
            axis.setTextPen(self._pg.mkPen(colour))
        loss = f"<span style='color: {look.warn}'>{tr('loss')}</span>"
        miou = f"<span style='color: {look.accent}'>mIoU</span>"
        item.setTitle(f"{loss} &nbsp; {miou}", size="9pt")
        self._loss.setPen(self._pg.mkPen(look.warn, width=1.5))
        self._miou.setPen(self._pg.mkPen(look.accent, width=2))
        self._dots.setBrush(self._pg.mkBrush(look.accent))
        self._dots.setPen(self._pg.mkPen(look.panel))

    def show_curves(self, curves: Curves) -> None:
        if curves.loss:
            x, y = zip(*curves.loss, strict=True)
            self._loss.setData(list(x), list(y))
        else:
            self._loss.setData([], [])
        points = curves.miou
        last = max((p[0] for p in (*curves.loss, *points)), default=1.0)
        self.widget.setXRange(0, max(last, 1.0), padding=0.03)
        self._miou.setData([p[0] for p in points], [p[1] for p in points])
        self._dots.setData([p[0] for p in points], [p[1] for p in points])
