"""Pictures of 16 bits and many bands on the canvas: read as they are, shown as chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from PySide6.QtCore import QObject, QTimer, Signal

from segstudio.project.bands import Bands, Raw, RawFacts, developed, facts_of
from segstudio.studio.canvas.picture import RGB, Picture, halved

if TYPE_CHECKING:
    from segstudio.studio.main_window import MainWindow

_PAUSE: Final = 60
"""Milliseconds without another choice after which it is shown."""


class Developing(QObject):
    """Shows the open picture in the chosen bands and values; its file is read when that is needed.

    What is chosen holds for all pictures that have bands to choose from, until it is changed.
    """

    read = Signal(object)
    """RawFacts of the open picture, None when it is an ordinary one."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._session = window.session
        self.bands = Bands()
        self.is_watched = False
        """Whether somebody shows what can be chosen."""
        self._raw: tuple[str, Raw | None, RawFacts | None] | None = None
        self._reading = ""
        self._shown: WeakKeyDictionary[Picture, Bands] = WeakKeyDictionary()
        self._due = QTimer(self, singleShot=True, interval=_PAUSE)
        self._due.timeout.connect(self._develop)

    def choose(self, bands: Bands) -> None:
        """Show the open picture, and those that come, so."""
        self.bands = bands
        self._due.start()

    def follow(self) -> None:
        """Another picture is on the canvas: show it as chosen."""
        image = self._session.image
        if image is None:
            return
        if self._raw is not None and self._raw[0] != image.key:
            self._raw = None
        if self.is_watched or self.bands != self._shown.get(image.picture, Bands()):
            self.look()

    def look(self) -> None:
        """Read the open picture as it is on the disk, if it has anything to choose from."""
        image, project = self._session.image, self._session.project
        if image is None or project is None or self._reading == image.key:
            return
        if self._raw is not None and self._raw[0] == image.key:
            self.read.emit(self._raw[2])
            self._develop()
            return
        key = self._reading = image.key

        def work() -> tuple[Raw | None, RawFacts | None]:
            raw = project.read_raw(key)
            return raw, None if raw is None else facts_of(raw)

        def show(answer: tuple[Raw | None, RawFacts | None] | Exception) -> None:
            self._reading = ""
            now = self._session.image
            if now is None or now.key != key or project is not self._session.project:
                return
            raw, facts = (None, None) if isinstance(answer, Exception) else answer
            self._raw = key, raw, facts
            self.read.emit(facts)
            self._develop()

        self._session.in_background(work, show)

    def _develop(self) -> None:
        image, project = self._session.image, self._session.project
        if image is None or project is None or self._raw is None or self._raw[0] != image.key:
            return
        raw, bands, picture = self._raw[1], self.bands, image.picture
        if raw is None or bands == self._shown.get(picture, Bands()):
            return
        key = image.key

        def work() -> list[RGB]:
            return halved(project.read_image(key) if bands.is_plain else developed(raw, bands))

        def show(levels: list[RGB] | Exception) -> None:
            if not isinstance(levels, Exception) and bands == self.bands:
                self._shown[picture] = bands
                picture.complete(levels)

        self._session.in_background(work, show)
