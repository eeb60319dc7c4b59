"""The window: puts the parts together and connects them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from PySide6.QtCore import QByteArray, Qt, QTimer
from PySide6.QtGui import QCloseEvent, QColor, QKeySequence, QPaintEvent, QShortcut
from PySide6.QtWidgets import (
    QHBoxLayout,
    QMainWindow,
    QMessageBox,
    QSplitter,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from segstudio.annotation.bitmap import Box
from segstudio.annotation.document import Change
from segstudio.annotation.shape import BACKGROUND_CLASS, IGNORE_CLASS, Shape
from segstudio.project import settings
from segstudio.studio import dialogs, theme
from segstudio.studio.actions import OPTION_NAMES, TOOL_NAMES, Actions
from segstudio.studio.arranging import Arranging
from segstudio.studio.bulk import Bulk
from segstudio.studio.canvas.canvas import READ_ONLY, Canvas
from segstudio.studio.canvas.colouring import Look, colour_table
from segstudio.studio.canvas.rulers import Ruled
from segstudio.studio.class_wishes import ClassWishes
from segstudio.studio.class_words import class_words, source_words
from segstudio.studio.doubts import Doubts
from segstudio.studio.finder import Finder
from segstudio.studio.following import Following
from segstudio.studio.guessing import Guessing
from segstudio.studio.i18n import tr
from segstudio.studio.jobs import Jobs
from segstudio.studio.live import DraftsAhead, LiveTraining
from segstudio.studio.looking import Looking
from segstudio.studio.ordering import Ordering
from segstudio.studio.panels.blind import BlindStrip
from segstudio.studio.panels.classes import ClassesPanel
from segstudio.studio.panels.image_bar import ImageBar
from segstudio.studio.panels.images import ImagesPanel
from segstudio.studio.panels.model import ModelPanel
from segstudio.studio.panels.quality import QualityPanel
from segstudio.studio.panels.shapes import ShapesPanel
from segstudio.studio.panels.start import StartPage
from segstudio.studio.panels.status import StatusBar
from segstudio.studio.panels.toolbox import Toolbox
from segstudio.studio.panels.top import TopBar
from segstudio.studio.refining import Refining
from segstudio.studio.session import Session
from segstudio.studio.side import Side
from segstudio.studio.spare import SpareTime
from segstudio.studio.training import TrainingLog
from segstudio.studio.wishes import Wishes
from segstudio.studio.work import Work
from segstudio.tools import TOOLS

_FRAME: Final = 40
"""Pixels that the frame of a window may add to its height."""
_SETTLE: Final = 40
"""Milliseconds over which changes are gathered before actions are looked at again."""


class MainWindow(QMainWindow):
    """One window, one project."""

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("segstudio")
        self.setWindowIcon(theme.app_icon())
        room = self.screen().availableSize()
        self.resize(min(1440, room.width()), min(900, room.height() - _FRAME))
        now = settings.load()
        self.session = Session(self, autosave=bool(now["autosave"]))
        self.jobs = Jobs(self)
        self.jobs.device = str(now["device"])
        self.log = TrainingLog(self)
        self.work = Work(self.session, self.jobs, self.log, self)
        self.work.models_kept = int(now["models_kept"])
        self.following = Following(self.session, self.jobs, self)
        self.following.enabled = bool(now["follow_frames"])
        self.guessing = Guessing(self.session, self.jobs, self.work, self)
        self.guessing.enabled = bool(now["guess_along"])
        self.live = LiveTraining(self.session, self.jobs, self.work, self)
        self.live.set_enabled(bool(now["train_by_itself"]))
        self.ahead = DraftsAhead(self.session, self.jobs, self.work, self)
        self.ahead.enabled = bool(now["drafts_ahead"])
        self.spare = SpareTime(self.session, self.jobs, self.work, self)
        self.spare.enabled = bool(now["drafts_ahead"])
        self.doubts = Doubts(self.session, self)
        self.refining = Refining(self.session, self.jobs, self)
        self.ordering = Ordering(self.session, self.doubts, self)
        self._order_by(bool(now["smart_order"]))
        self.arranging = Arranging(self.session, self)
        self.bulk = Bulk(self.session, self.jobs, self)
        self.finder = Finder(self.session, self.jobs, self)
        self.actions_ = Actions(self)
        self._shown_key = ""
        self._region_wanted: tuple[str, Box | None] = ("", None)
        self._on_paint: Callable[[], None] | None = None
        self._allowed_due = QTimer(self, singleShot=True, interval=_SETTLE)
        self._allowed_due.timeout.connect(self._show_allowed_now)
        self._make_parts()
        self._lay_out()
        self.wishes = Wishes(self)
        self.class_wishes = ClassWishes(self)
        self._connect()
        self.looking = Looking(self)  # looks at an image that the canvas has
        self.top.hide()
        self._show_state()

    def _make_parts(self) -> None:
        self.canvas = Canvas()
        self.ruled = Ruled(self.canvas)
        self.start = StartPage()
        self.images = ImagesPanel(self.session)
        self.classes = ClassesPanel(self.session)
        self.shapes = ShapesPanel(self.session)
        self.model = ModelPanel(self.session, self.log)
        self.quality = QualityPanel(self.session, self.jobs)
        self.status = StatusBar()
        self.top = TopBar(self.session, self.jobs)
        self.toolbox = Toolbox(self.session, self.actions_)
        self.image_bar = ImageBar(self.session, self.actions_)

    def _lay_out(self) -> None:
        self.actions_.fill(self.menuBar())
        self.top.add_button("train", self.actions_["train"], tr("Train"))
        self.top.add_button("segment", self.actions_["segment"], tr("Segment folder"), True)
        self.top.add_button("export", self.actions_["export"], tr("Export"))
        self.tabs = QTabWidget()
        self.tabs.addTab(self.shapes, tr("Shapes"))
        self.tabs.addTab(self.model, tr("Model"))
        self.tabs.addTab(self.quality, tr("Quality"))
        self.tabs.tabBar().setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.right = Side(self.classes, self.tabs)
        self.across = QSplitter(Qt.Orientation.Horizontal)
        for part in (self.images, self._under_strip(), self.right):
            self.across.addWidget(part)
        self.across.setSizes([270, 890, 280])
        for index, stretch in enumerate((0, 1, 0)):
            self.across.setStretchFactor(index, stretch)
            self.across.setCollapsible(index, index != 1)
        middle = QWidget()
        row = QHBoxLayout(middle)
        row.addWidget(self.toolbox)
        row.addWidget(self.across, 1)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.start)
        self.stack.addWidget(middle)
        whole = QWidget()
        column = QVBoxLayout(whole)
        column.addWidget(self.top)
        column.addWidget(self.stack, 1)
        column.addWidget(self.status)
        for layout in (row, column):
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(0)
        self.setCentralWidget(whole)

    def _under_strip(self) -> QWidget:
        """The canvas under the bar of its image, and the strip that speaks up for blind ones."""
        place = QWidget()
        column = QVBoxLayout(place)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.image_bar)
        column.addWidget(BlindStrip(self.session))
        column.addWidget(self.ruled, 1)
        return place

    # -- connections

    def _connect(self) -> None:
        session = self.session
        session.opening.connect(self.await_project)
        session.closing.connect(self.work.stop_all)
        session.project_changed.connect(self._after_project)
        session.image_changed.connect(self._after_image)
        session.choices.classes_changed.connect(self._recolour)
        session.selection_changed.connect(self.canvas.reselect)
        session.document_changed.connect(self._after_change)
        session.paused_changed.connect(self._show_paused)
        session.paused_changed.connect(self._show_allowed)
        session.choices.classes_changed.connect(self._show_allowed)
        session.choices.desk_changed.connect(self._show_allowed)
        session.states_changed.connect(lambda _: self._show_allowed())
        session.saving.connect(self.status.show_saving)
        session.message.connect(self.status.say)
        session.leaving.connect(self.canvas.leave_image)
        self.canvas.pointer_moved.connect(self._show_pointer)
        self.canvas.view_changed.connect(lambda: self._show_pointer(-1, -1))
        self.canvas.brush_resized.connect(session.choices.set_brush_radius)
        self.canvas.refused.connect(lambda why: self.status.say(tr(why), "warn"))
        self.canvas.key_unused.connect(self._canvas_key)
        self.canvas.tool_busy.connect(self._show_undo)
        self.classes.opacity_changed.connect(self._set_opacity)
        session.choices.desk_changed.connect(self.canvas.update)
        session.choices.hidden_changed.connect(self.canvas.redraw)
        self.jobs.changed.connect(self.status.show_job)
        self.jobs.changed.connect(lambda _: self._show_allowed())
        self.status.cancel_asked.connect(self.jobs.cancel)
        self.status.pause_asked.connect(self.jobs.pause)
        self.status.retry_asked.connect(session.writing.now)
        self.work.models_changed.connect(self._after_models)
        self.guessing.made.connect(self.canvas.show_guess)
        self.guessing.made.connect(lambda _: self._show_allowed())
        self.guessing.made.connect(lambda _: self.image_bar.refresh())
        self.following.settled.connect(self.guessing.look_again)
        self.refining.changes_made.connect(self.canvas.show_changes)
        self.spare.looked.connect(self.doubts.learn)
        self.spare.ended.connect(self.quality.look_again)
        self.doubts.learned.connect(self.ordering.foresee)
        self.ordering.foresaw.connect(self.ahead.prepare)
        self.doubts.heat_made.connect(self.canvas.show_heat)
        self.doubts.region_found.connect(self.canvas.show_region)
        self.quality.image_asked.connect(self._look_at)
        self.live.turned_off.connect(self._live_ended)
        self.images.exclude_asked.connect(session.exclude)
        self.images.segment_asked.connect(lambda key: self.work.segment([key]))
        self.model.promote_asked.connect(self.work.promote)
        self.model.roll_back_asked.connect(self.work.roll_back)
        self.model.pin_asked.connect(self.work.pin)
        self._connect_actions()

    def _connect_actions(self) -> None:
        on, canvas, session = self.actions_.on, self.canvas, self.session
        reviewing = session.reviewing
        for name in TOOL_NAMES:
            on(name, partial(self.use_tool, name))
        for name in OPTION_NAMES:
            on(name, partial(self._set_option, name))
        simple: dict[str, Callable[[], object]] = {
            "save": session.writing.now,
            "rescan": self._rescan,
            "quit": self.close,
            "undo": self._undo,
            "redo": self._redo,
            "delete": lambda: self._canvas_key("Delete"),
            "select_all": self._select_all,
            "reclass": lambda: session.choices.reclass_selection(session.choices.class_name),
            "hide_shapes": session.choices.hide_selection,
            "show_shapes": session.choices.show_hidden,
            "find_class": self.classes.field.setFocus,
            "smaller": lambda: session.choices.set_brush_radius(
                session.choices.brush_radius / 1.25
            ),
            "larger": lambda: session.choices.set_brush_radius(session.choices.brush_radius * 1.25),
            "fit": canvas.fit,
            "fit_selection": canvas.fit_selection,
            "actual": canvas.actual_size,
            "zoom_in": lambda: canvas.zoom(1.25),
            "zoom_out": lambda: canvas.zoom(0.8),
            "outlines": self._toggle_outlines,
            "overview": lambda: canvas.show_overview(self.actions_["overview"].isChecked()),
            "doubt": self.doubts.walk,
            "refine": self._refine,
            "teaching": self.ordering.go,
            "smart_order": self._toggle_order,
            "heat": lambda: self.doubts.show_heat(self.actions_["heat"].isChecked()),
            "guess": self._toggle_guessing,
            "live": self._toggle_live,
            "ahead": self._toggle_ahead,
            "follow": self._toggle_following,
            "next": lambda: session.step(1),
            "previous": lambda: session.step(-1),
            "confirm": session.reviewing.confirm_and_next,
            "unconfirm": lambda: session.reviewing.set_confirmed(False),
            "accept": lambda: reviewing.accept_here(canvas.pointer_pixel()),
            "accept_class": reviewing.accept_class,
            "accept_all": reviewing.accept_all,
            "reject_all": reviewing.reject_all,
            "newest": session.reviewing.show_newest_drafts,
            "segment_image": self._segment_image,
            "segment": self.work.segment,
            "segment_thoroughly": lambda: self.work.segment(thorough=True),
            "evaluate": self.work.evaluate,
            "roll_back": self.work.roll_back,
            "prune": self.work.free_space,
        }
        for name, act in {**simple, **self.arranging.acts()}.items():
            on(name, act)
        self.actions_["outlines"].setChecked(True)
        self.actions_["pressure"].setChecked(session.choices.options.pressure)
        self.actions_["guess"].setChecked(self.guessing.enabled)
        self.actions_["live"].setChecked(self.live.enabled)
        self.actions_["ahead"].setChecked(self.ahead.enabled)
        self.actions_["follow"].setChecked(self.following.enabled)
        self.actions_["smart_order"].setChecked(self.ordering.enabled)
        self.actions_["select"].setChecked(True)
        for number in range(1, 10):
            key = QShortcut(QKeySequence(str(number)), self)
            key.activated.connect(lambda digit=str(number): self._pick_by_key(digit))
        for letter, name in ((",", BACKGROUND_CLASS), (".", IGNORE_CLASS)):
            key = QShortcut(QKeySequence(letter), self)
            key.activated.connect(partial(session.choices.choose_class, name))

    # -- project and image

    def open_folder(self, folder: Path, read_only: bool = False) -> None:
        """Open a project or a folder of pictures; trouble is said in the window."""
        self.wishes.open(folder, read_only)

    def show_start(self) -> None:
        """The start page, unless a project is open."""
        self.start.reload()
        if self.session.project is None:
            self.top.hide()
            self.stack.setCurrentIndex(0)

    def await_project(self, folder: Path) -> None:
        """Look like a window with a project while it is being opened."""
        if self.session.project is not None:
            return
        self.canvas.notice = tr("Opening {name} …", name=folder.name)
        self.top.project.setText(folder.name)
        self.top.show()
        self.stack.setCurrentIndex(1)

    def _after_project(self) -> None:
        project = self.session.project
        self.stack.setCurrentIndex(0 if project is None else 1)
        self.top.setVisible(project is not None)
        self.setWindowTitle(f"{project.name} – segstudio" if project is not None else "segstudio")
        self._show_paused()
        self.log.clear()
        self.work.forget_models()
        if project is not None:  # keys are tools, not letters of the filter
            QTimer.singleShot(0, self, self.canvas.setFocus)
        if project is None:
            self.start.reload()
        elif not project.read_only:
            # the predictor takes seconds to start: have it ready before it is asked for
            QTimer.singleShot(0, self, self._warm_up)
        self.top.refresh()
        self._show_state()

    def _show_paused(self) -> None:
        """Nobody may edit a project that is read-only, or whose images are all being changed."""
        project = self.session.project
        read_only = project is not None and project.read_only
        self.canvas.read_only = read_only or bool(self.session.paused)
        self.canvas.why_read_only = READ_ONLY if read_only else self.session.paused

    def _warm_up(self) -> None:
        project = self.session.project
        if project is not None and (self.guessing.enabled or project.models.all()):
            self.jobs.start_child("predictor")

    def _after_image(self) -> None:
        image, wanted = self.session.image, self.session.wanted
        sketch = self.session.sketch
        self.canvas.notice = ""
        if image is None:
            project = self.session.project
            self.canvas.notice = self.session.problems.get(wanted, "")
            if project is not None and not project.images():
                self.canvas.notice = tr("No pictures in this folder yet.")
            self.canvas.show_image(sketch, None)
            self._shown_key = wanted if sketch is not None else ""
        else:
            same = image.key == self._shown_key
            self.canvas.show_image(image.picture, image.desk, keep_view=same)
            self._shown_key = image.key
        self._show_wanted()
        self._show_state()

    def _after_change(self, change: Change) -> None:
        self._show_undo()
        if any(splice.layer == "drafts" for splice in change.splices):
            self._show_allowed()

    def _rescan(self) -> None:
        """Pictures and models that another program has brought."""
        self.session.rescan()
        self.work.models_changed.emit()

    def _after_models(self) -> None:
        self.work.forget_models()
        self.model.reload()
        self.top.refresh()
        self._show_allowed()

    def _show_state(self) -> None:
        self._show_undo()
        self._show_allowed_now()
        self._show_pointer(-1, -1)

    def _show_undo(self) -> None:
        image = self.session.image
        document = image.document if image is not None else None
        for name, words, step in (
            ("undo", tr("Undo"), document.undo_name if document is not None else None),
            ("redo", tr("Redo"), document.redo_name if document is not None else None),
        ):
            action = self.actions_[name]
            action.setText(f"{words}: {tr(step)}" if step else words)
            action.setEnabled(bool(step) or (name == "undo" and self._tool_busy()))

    def _tool_busy(self) -> bool:
        return self.canvas.tool is not None and self.canvas.tool.busy

    def _show_allowed(self) -> None:
        """Actions that cannot be done now say why; asked often, so done once per pause."""
        if not self._allowed_due.isActive():
            self._allowed_due.start()

    def _show_allowed_now(self) -> None:
        disable, project = self.actions_.disable, self.session.project
        no_project = "" if project is not None else tr("Open a project first.")
        no_image = no_project or ("" if self.session.image else tr("Open an image first."))
        read_only = tr(READ_ONLY) if project is not None and project.read_only else ""
        no_change, no_edit = no_project or read_only, no_image or read_only
        no_model = self.work.no_model()
        no_way = (
            ""
            if project is None or project.models.previous() is not None
            else tr("There is no model before this one.")
        )
        no_run = no_change or (
            "" if project is not None and project.runs.any() else tr("No batch has run yet.")
        )
        image = self.session.image
        nothing_there = tr("No draft waits here.")
        no_offer = no_edit or ("" if image is not None and image.has_offers else nothing_there)
        no_draft = no_edit or ("" if image is not None and image.document.drafts else nothing_there)
        for name in ("segment", "segment_thoroughly"):
            disable(name, self.work.no_segment())
        disable("segment_image", no_image or self.work.no_segment())
        disable("train", self.work.no_train(besides=self.live.job))
        for why, names in (
            *self.class_wishes.allowed(no_project, read_only),
            (no_project, ("export", "close", "find_class")),
            (no_change, ("import", "rescan", "save", "adopt", "starter", "prune")),
            (no_change or no_way, ("roll_back",)),
            (no_run, ("undo_run",)),
            (no_project or no_model, ("evaluate",)),
            (no_image or no_model, ("doubt",)),
            (no_project, ("teaching",)),
            (no_offer, ("accept", "accept_class", "accept_all")),
            (no_draft, ("reject_all",)),
            (no_edit, ("refine", "confirm", "unconfirm", "newest", "reclass", "delete")),
            (no_image, ("select_all", "copy")),
            (no_edit, tuple(name for name in self.arranging.acts() if name != "copy")),
        ):
            for name in names:
                disable(name, why)

    def _show_pointer(self, x: float, y: float) -> None:
        image = self.session.image
        zoom = f"{self.canvas.view.scale * self.canvas.devicePixelRatioF() * 100:.0f} %"
        if image is None:
            self.status.pointer.clear()
        elif not (0 <= x < image.picture.width and 0 <= y < image.picture.height):
            self.status.pointer.setText(zoom)
        else:
            number = image.desk.idmap.at(int(x), int(y))
            shape = image.document.shape(number) if number else None
            guess = image.guessed.class_at(int(x), int(y)) if image.guessed is not None else None
            what = _shape_words(shape) if shape is not None else _guess_words(guess)
            self.status.pointer.setText(f"{int(x)}, {int(y)}{what} · {zoom}")

    # -- looks

    def _recolour(self) -> None:
        table = colour_table((c.name, c.colour) for c in self.session.choices.classes)
        self.canvas.set_colours(table)

    def _set_opacity(self, opacity: float) -> None:
        self.canvas.set_look(Look(opacity, self.canvas.look.outlines))

    def _toggle_outlines(self) -> None:
        look = self.canvas.look
        self.canvas.set_look(Look(look.opacity, self.actions_["outlines"].isChecked()))

    def _set_option(self, name: str) -> None:
        """A switch for how tools work; tools that were at work go on with it."""
        self.session.choices.set_option(name, self.actions_[name].isChecked())

    def _look_at(self, key: str, box: Box | None) -> None:
        """Open an image and frame a part of it."""
        self._region_wanted = (key, box)
        self.session.go(key)
        self._show_wanted()

    def _show_wanted(self) -> None:
        key, box = self._region_wanted
        is_there = self.session.image is not None and self._shown_key == key
        if box is not None and is_there:
            self._region_wanted = ("", None)
            self.canvas.show_region(box)

    def _refine(self) -> None:
        """Show what refining would change, and do it when that is accepted."""
        if not self.refining.begin():
            return
        dialog = dialogs.RefineDialog(self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.changed.connect(self.refining.ask)
        dialog.accepted.connect(self.refining.apply)
        dialog.rejected.connect(self.refining.end)
        self.refining.counted.connect(dialog.show_counts)
        self.refining.ended.connect(dialog.close)
        dialog.show()

    def _toggle_guessing(self) -> None:
        enabled = self.actions_["guess"].isChecked()
        self.guessing.set_enabled(enabled)
        settings.save({"guess_along": enabled})

    def _toggle_live(self) -> None:
        enabled = self.actions_["live"].isChecked()
        self.live.set_enabled(enabled)
        settings.save({"train_by_itself": enabled})

    def _toggle_order(self) -> None:
        enabled = self.actions_["smart_order"].isChecked()
        self._order_by(enabled)
        settings.save({"smart_order": enabled})

    def _order_by(self, learning: bool) -> None:
        """After confirming: the image that teaches most, or the next of the list."""
        self.ordering.enabled = learning
        self.session.reviewing.choose_next = self.ordering.go if learning else None
        self.ordering.foresee()

    def _live_ended(self) -> None:
        self.actions_["live"].setChecked(False)
        settings.save({"train_by_itself": False})

    def _toggle_ahead(self) -> None:
        enabled = self.actions_["ahead"].isChecked()
        self.ahead.set_enabled(enabled)
        self.spare.set_enabled(enabled)
        settings.save({"drafts_ahead": enabled})

    def _toggle_following(self) -> None:
        enabled = self.actions_["follow"].isChecked()
        self.following.set_enabled(enabled)
        settings.save({"follow_frames": enabled})

    def restyle(self) -> None:
        """The look of the program has changed."""
        self.canvas.ground = QColor(theme.current().canvas)
        self.actions_.restyle()
        self.start.restyle()
        self.top.restyle()
        self.image_bar.restyle()
        self.model.restyle()
        self.quality.restyle()
        self.classes.rebuild()
        self.canvas.redraw()

    # -- edits

    def use_tool(self, name: str) -> None:
        """Take a tool in hand."""
        self.canvas.use_tool(name)
        self.actions_[name].setChecked(True)
        self.canvas.setFocus()

    def _undo(self) -> None:
        """A tool at work takes back its last point or itself; else the last step goes."""
        tool, image = self.canvas.tool, self.session.image
        if tool is not None and tool.busy:
            if not tool.key("Backspace"):
                tool.cancel()
            self.canvas.update()
        elif image is not None and not self.canvas.read_only:
            image.document.undo()

    def _redo(self) -> None:
        image = self.session.image
        if image is not None and not self._tool_busy() and not self.canvas.read_only:
            image.document.redo()

    def _canvas_key(self, name: str) -> None:
        """A key the tool had no use for."""
        image = self.session.image
        if image is None or name not in ("Delete", "Backspace") or self.canvas.read_only:
            return
        if self.session.reviewing.reject_here(self.canvas.pointer_pixel()):
            return
        if image.desk.selection:
            TOOLS["select"](image.desk).key("Delete")

    def _select_all(self) -> None:
        image = self.session.image
        if image is not None:
            own = set(image.document.ids())
            image.desk.select([number for number, _ in image.desk.visible() if number in own])

    def _segment_image(self) -> None:
        if self.session.image is not None:
            self.work.segment([self.session.image.key])

    def _pick_by_key(self, digit: str) -> None:
        chosen = next((c for c in self.session.choices.classes if c.key == digit), None)
        if chosen is not None:
            self.session.choices.choose_class(chosen.name)

    # -- the end

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self._on_paint is not None:
            QTimer.singleShot(0, self, self._on_paint)
            self._on_paint = None

    def when_painted(self, act: Callable[[], None]) -> None:
        """Call `act` once, right after the window's next paint."""
        self._on_paint = act

    def closeEvent(self, event: QCloseEvent) -> None:
        if not self.session.shut_down():
            words = tr("Some work could not be saved. Close and lose it?")
            answer = QMessageBox.question(self, "segstudio", words)
            if answer != QMessageBox.StandardButton.Yes:
                event.ignore()
                return
        self.images.model.close()
        self.ordering.close()
        self.finder.close()
        self.jobs.close()
        self.wishes.keep_layout()
        event.accept()

    def layout_state(self) -> dict[str, Any]:
        """Where the parts are, for the next start."""
        return {
            "geometry": bytes(self.saveGeometry().toBase64().data()).decode(),
            "across": self.across.sizes(),
            "side": self.right.sizes() if self.right.by_hand else [],
        }

    def restore_layout(self, state: dict[str, Any]) -> None:
        """Put the parts where they were; what does not fit is left as it is."""
        if isinstance(state.get("geometry"), str):
            self.restoreGeometry(QByteArray.fromBase64(state["geometry"].encode()))
        for name, count, put in (("across", 3, self.across.setSizes), ("side", 2, self.right.put)):
            sizes = state.get(name)
            if isinstance(sizes, list) and len(sizes) == count:
                put([int(size) for size in sizes])


def _guess_words(class_name: str | None) -> str:
    return f" · {class_words(class_name)} ({tr('guess')})" if class_name else ""


def _shape_words(shape: Shape) -> str:
    """What is under the pointer: its class, and who made it."""
    what = f" · {class_words(shape.class_name)}"
    if not shape.model:
        return what
    score = f", {shape.score:.2f}" if shape.score is not None else ""
    return f"{what} ({source_words(shape.model)}{score})"
