"""How pictures are looked at: tone, bands, rulers, and the view that each image had."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from segstudio.project import settings
from segstudio.project.bands import RawFacts
from segstudio.project.project import Project
from segstudio.project.views import FILE, ImageView, Views
from segstudio.studio import dialogs
from segstudio.studio.canvas.tone import Tone
from segstudio.studio.canvas.view import View
from segstudio.studio.developing import Developing

if TYPE_CHECKING:
    from segstudio.studio.main_window import MainWindow


class Looking(QObject):
    """The view's actions of the main window."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window, self._session, self._canvas = window, window.session, window.canvas
        self.developing = Developing(window)
        self._dialog: dialogs.ToneDialog | None = None
        self._views: Views | None = None
        self._shown = ""
        self.remembers = bool(settings.load()["remember_view"])
        window.actions_["remember_view"].setChecked(self.remembers)
        window.actions_.on("tone", self.show_tone)
        window.actions_.on("rulers", self._toggle_rulers)
        window.actions_.on("remember_view", self._toggle_memory)
        self._session.image_opening.connect(lambda _: self._keep())
        self._session.closing.connect(lambda _: self._forget())
        self._session.project_changed.connect(self._load)
        self._session.image_changed.connect(self._restore)
        self.developing.read.connect(self._show_raw)

    def _toggle_rulers(self) -> None:
        self._window.ruled.show_rulers(self._window.actions_["rulers"].isChecked())

    # -- tone and bands

    def show_tone(self) -> None:
        """Sliders beside the work."""
        if self._dialog is None:
            self._dialog = dialog = dialogs.ToneDialog(self._canvas.tone, self._window)
            dialog.changed.connect(self._canvas.set_tone)
            dialog.bands_changed.connect(self.developing.choose)
            dialog.finished.connect(lambda _: self._watch(False))
        self._dialog.show()
        self._watch(True)
        self.developing.look()

    def _watch(self, watched: bool) -> None:
        self.developing.is_watched = watched

    def _show_raw(self, facts: RawFacts | None) -> None:
        if self._dialog is not None:
            self._dialog.show_raw(facts, self.developing.bands)

    # -- the view of every image

    def _toggle_memory(self) -> None:
        self.remembers = self._window.actions_["remember_view"].isChecked()
        settings.save({"remember_view": self.remembers})

    def _load(self) -> None:
        project = self._session.project
        own = project is not None and Project.is_project(project.root)
        self._views = Views(project.root / FILE) if project is not None and own else None

    def _forget(self) -> None:
        self._keep()
        self._shown = ""

    def _keep(self) -> None:
        """The image on the canvas is left: note how it was seen."""
        project, canvas = self._session.project, self._canvas
        if not self.remembers or not self._shown or project is None or project.read_only:
            return
        if self._views is None:
            self._load()
        if self._views is None:
            return
        x, y = canvas.view.to_image(canvas.width() / 2, canvas.height() / 2)
        tone = canvas.tone.brightness, canvas.tone.contrast, canvas.tone.gamma
        self._views.put(
            self._shown, ImageView(x, y, canvas.view.scale, tone, self.developing.bands)
        )
        self._views.save()

    def _restore(self) -> None:
        """Another image is on the canvas: see it as it was seen."""
        session = self._session
        key = session.image.key if session.image is not None else ""
        if session.sketch is not None:  # a large one whose labels are still being read
            key = session.wanted
        same, self._shown = key == self._shown, key
        if key and not same and self.remembers and self._views is not None:
            view = self._views.get(key)
            if view is not None:
                self._set(view)
        self.developing.follow()

    def _set(self, view: ImageView) -> None:
        canvas, tone = self._canvas, Tone(*view.tone)
        x = canvas.width() / 2 - view.x * view.scale
        y = canvas.height() / 2 - view.y * view.scale
        canvas.set_view(View(view.scale, x, y))
        if astuple(tone) != astuple(canvas.tone):
            canvas.set_tone(tone)
        if self._dialog is not None:
            self._dialog.show_tone(tone)
        self.developing.bands = view.bands
