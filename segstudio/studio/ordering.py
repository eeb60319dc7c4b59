"""Which image next: goes where the model learns most, and says why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from segstudio.errors import UserError
from segstudio.project.doubts import DoubtBook
from segstudio.project.order import Choice, Vector, choose, embed
from segstudio.project.project import Project
from segstudio.studio.doubts import Doubts
from segstudio.studio.i18n import tr
from segstudio.studio.session import Session

_AT_ONCE: Final = 16
"""Images looked at between two looks at whether the project is still open."""
_SOON: Final = 150
"""Milliseconds after an image is shown until the next is chosen; painting comes first."""
_SCORED: Final = 300
"""Images whose doubts are looked up for one choice."""


class Ordering(QObject):
    """Chooses the image to label next.

    What images look like is worked out in the background from their thumbnails, which are kept
    on the disk, so that a second time is quick. Doubts come with predictions: after a promotion
    the order goes by those known before until new ones are there.
    """

    foresaw = Signal(str)
    """The image that confirming the open one will probably open; "" for the next of the list."""
    _came = Signal(object, object)

    def __init__(self, session: Session, doubts: Doubts, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.enabled = False
        self._session, self._doubts = session, doubts
        self._vectors: dict[str, Vector] = {}
        self._looked: set[str] = set()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="order")
        self._choosing = self._foreseeing = False
        self._soon = QTimer(self, singleShot=True, interval=_SOON)
        self._soon.timeout.connect(self._look_ahead)
        self._came.connect(self._take, Qt.ConnectionType.QueuedConnection)
        session.project_changed.connect(self._begin)
        session.image_changed.connect(self.foresee)

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def go(self) -> None:
        """Open the image that teaches the model most."""
        project, book = self._session.project, self._doubts.book
        if project is None or book is None or self._choosing:
            return
        self._start_looking(project)
        self._choosing = True
        wanted = self._session.wanted

        def is_wanted() -> bool:
            return project is self._session.project and wanted == self._session.wanted

        def show(choice: Choice | Exception | None) -> None:
            self._choosing = False
            if is_wanted():
                self._open(choice)

        self._session.in_background(self._choice(project, book, is_wanted), show)

    def _choice(
        self,
        project: Project,
        book: DoubtBook,
        is_wanted: Callable[[], bool],
        here_is_done: bool = False,
    ) -> Callable[[], Choice | None]:
        """What chooses the next image, on any thread; as if the open one were confirmed when
        `here_is_done`.

        The doubts of an older model count until the new one has looked at an image.
        """
        keys = [key for key in project.included() if key not in self._session.problems]
        here = self._session.image.key if self._session.image is not None else ""
        confirmed = {key for key in keys if self._session.state(key) == "confirmed"}
        confirmed |= {here} if here_is_done else set()
        done = [key for key in keys if key in confirmed]
        left = [key for key in keys if key != here and key not in confirmed]
        vectors = dict(self._vectors)

        def work() -> Choice | None:
            doubts = {**book.known(left), **book.of(_part(left, len(done)), is_wanted)}
            by_class = {key: dict(doubt.classes) for key, doubt in doubts.items()}
            return choose(left, done, vectors, by_class)

        return work

    def foresee(self) -> None:
        """Find out soon which image will be next: something about it may be new."""
        if self.enabled and self._session.image is not None:
            self._soon.start()
        elif not self.enabled:
            self.foresaw.emit("")

    def _look_ahead(self) -> None:
        project, book, wanted = self._session.project, self._doubts.book, self._session.wanted
        if project is None or book is None or self._foreseeing:
            return
        self._foreseeing = True

        def is_wanted() -> bool:
            return project is self._session.project and wanted == self._session.wanted

        def tell(choice: Choice | Exception | None) -> None:
            self._foreseeing = False
            if is_wanted() and isinstance(choice, Choice):
                self.foresaw.emit(choice.key)

        self._session.in_background(self._choice(project, book, is_wanted, True), tell)

    def _open(self, choice: Choice | Exception | None) -> None:
        if isinstance(choice, Exception):
            self._session.message.emit(str(choice), "warn")
        elif choice is None:
            self._session.message.emit(tr("Every image is confirmed."), "info")
        else:
            self._session.go(choice.key)
            self._session.message.emit(reason(choice), "info")

    # -- what images look like

    def _begin(self) -> None:
        self._vectors.clear()
        self._looked.clear()
        self._choosing = False
        if self._session.project is not None and self.enabled:
            self._start_looking(self._session.project)

    def _start_looking(self, project: Project) -> None:
        missing = [key for key in project.included() if key not in self._looked][:_AT_ONCE]
        if missing:
            self._looked.update(missing)
            self._submit(project, missing)

    def _submit(self, project: Project, keys: list[str]) -> None:
        def work() -> dict[str, Vector]:
            return {key: vector for key in keys if (vector := _look(project, key)) is not None}

        def hand_over(done: Future[dict[str, Vector]]) -> None:
            if not done.cancelled() and done.exception() is None:
                self._came.emit(project, done.result())

        self._pool.submit(work).add_done_callback(hand_over)

    def _take(self, project: Project, vectors: Mapping[str, Vector]) -> None:
        if project is self._session.project:
            self._vectors.update(vectors)
            self._start_looking(project)


def reason(choice: Choice) -> str:
    """Why this image, for a person."""
    match choice.kind:
        case "uncertain":
            words = tr("Next: the model is unsure of {name} here ({doubt}).")
            return words.format(name=choice.class_name, doubt=f"{choice.doubt:.0%}")
        case "unlike":
            return tr("Next: unlike every image that is labelled.")
        case "typical":
            return tr("Next: typical of many images that are not labelled.")
        case "random":
            return tr("Next: drawn at random, which keeps the scores honest.")


def _look(project: Project, key: str) -> Vector | None:
    try:
        return embed(project.thumbnail(key))
    except (UserError, OSError, ValueError):
        return None


def _part(keys: list[str], turn: int) -> list[str]:
    """Some hundreds of many images, others at every turn."""
    step = -(-len(keys) // _SCORED)
    return keys[turn % step :: step] if step > 1 else keys
