"""What was drawn, on its way to the disk: label files, undo histories, what became of drafts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, QTimer

from segstudio.annotation.document import Annotation, Change
from segstudio.project.autosave import Saver
from segstudio.project.labels import ChangedOutside
from segstudio.project.project import Project
from segstudio.studio.history_writer import HistoryWriter
from segstudio.studio.i18n import tr
from segstudio.studio.open_image import OpenImage

if TYPE_CHECKING:
    from segstudio.studio.session import Session

_REVIEW_AFTER: Final = 500
"""Milliseconds after an edit until what became of drafts is written."""
_PATIENCE: Final = 20.0
"""Seconds that anybody waits for the disk."""


class Writing(QObject):
    """Hands the changes of images to threads that write them, and says on the session what came of
    it; nothing is let go before it is on the disk.

    `in_window` calls something on the window's thread. With `autosave` every edit is written within
    a second, else when the image is left.
    """

    def __init__(
        self, session: Session, in_window: Callable[[Callable[[], object]], object], autosave: bool
    ) -> None:
        super().__init__(session)
        self.autosave = autosave
        self._session, self._in_window = session, in_window
        self._saver: Saver | None = None
        self._unsaved: dict[str, Annotation] = {}
        self._asked: set[str] = set()
        self._histories = HistoryWriter(self._history_failed)
        self._reviews_due = QTimer(self, singleShot=True, interval=_REVIEW_AFTER)
        self._reviews_due.timeout.connect(self._review)

    # -- a project

    def begin(self, project: Project) -> None:
        """What is drawn from now on belongs to that project."""
        self._saver = Saver(project, on_saved=self._on_saved, on_failed=self._on_failed)

    def end(self) -> None:
        """All of the project is on the disk, and nothing of it is written any more."""
        if self._saver is not None:
            self._saver.close()
        self._histories.wait()
        self._saver = None

    def close(self) -> None:
        """End the threads, for good."""
        self._histories.close()

    # -- what was drawn

    def take(self, image: OpenImage, change: Change) -> None:
        """Remember the step that a document made."""
        project = self._session.project
        if change.step is None or project is None:
            return
        if change.step[0] == "forget":
            self._histories.begin_anew(project, image)
        else:
            image.history.note(*change.step)

    def put(self, image: OpenImage) -> None:
        """Write an image as it is now."""
        self._unsaved[image.key] = image.annotation()
        self._reviews_due.start()
        self._session.saving.emit("saving", "")
        if self.autosave:
            self.hand_over()

    def drop(self, key: str) -> None:
        """What was drawn in an image and not handed over counts no more."""
        self._unsaved.pop(key, None)

    def unwritten(self) -> set[str]:
        """Images of which the disk does not know the newest."""
        return set(self._unsaved).union(self._saver.dirty if self._saver is not None else ())

    def hand_over(self) -> bool:
        """Hand what was drawn to the threads; False, and it is kept, when that cannot be."""
        if not self._unsaved:
            return True
        if self._saver is None or not self._session.ensure_written():
            return False
        for key, annotation in self._unsaved.items():
            self._saver.put(key, annotation)
        self._unsaved.clear()
        for image in self._session.kept():
            self._histories.write(image)
        return True

    def soon(self) -> bool:
        """Have what was drawn written at once, without waiting; whether there is anything."""
        if self._saver is None or not self.autosave or not self.hand_over():
            return False
        self._saver.hurry()
        return bool(self._saver.dirty)

    def now(self) -> bool:
        """Write everything; False when that failed."""
        written = self.hand_over()
        return written and (self._saver is None or self._saver.flush(_PATIENCE))

    def wait(self) -> None:
        """On any thread but the window's: until what was handed over is on the disk."""
        if self._saver is not None:
            self._saver.flush(_PATIENCE)

    def wait_for(self, key: str) -> None:
        """On any thread but the window's: until an image may be read again."""
        if self._saver is not None and key in self._saver.dirty:
            self.wait()
        self.wait_for_histories()

    def wait_for_histories(self) -> None:
        """On any thread: until the histories are on the disk."""
        self._histories.wait()

    def forget_histories(self) -> int:
        """Delete the undo histories on the disk; the bytes freed. What is open keeps its own."""
        project = self._session.project
        if project is None or project.read_only or self._session.paused:
            return 0
        self._histories.wait()
        freed = project.histories.clear() + project.bulk.clear()
        for image in self._session.kept():
            image.history = project.histories.fresh(image.key, image.document)
        return freed

    # -- what became of drafts

    def keep_review(self, image: OpenImage) -> None:
        """Write what became of the drafts of an image, when anything did, and of a confirmed one
        the time and strokes that it took."""
        project = self._session.project
        if project is None or project.read_only:
            return
        if not image.drafts.model and not image.strokes:
            return  # it was only looked at
        if self._session.paused:  # all was written before; what is shown may be there no more
            return
        review = image.review()
        decided = review.accepted or review.rejected or review.blind or image.document.confirmed
        if decided or project.reviews.has(image.key):
            self._session.try_(lambda project: project.reviews.save(image.key, review))

    def _review(self) -> None:
        if self._session.image is not None:
            self.keep_review(self._session.image)

    # -- what came of it

    def settle(self, key: str, ours: Annotation | None) -> None:
        """Keep our version of an image that changed outside, or, with None, take the other one."""
        self._asked.discard(key)
        if self._saver is None:
            return
        self._saver.drop(key)
        if ours is not None:
            self._session.try_(lambda project: project.save(key, ours, replace=True))
        self._after_save(key)
        if ours is None:
            self._session.read_anew(key)

    def _on_saved(self, key: str) -> None:
        """On the writer's thread."""
        self._in_window(lambda: self._after_save(key))

    def _after_save(self, key: str) -> None:
        self._session.saving.emit("saved", "")
        self._session.refresh_states([key])

    def _on_failed(self, key: str, error: Exception) -> None:
        """On the writer's thread."""
        self._in_window(lambda: self._after_failure(key, error))

    def _after_failure(self, key: str, error: Exception) -> None:
        self._session.saving.emit("failed", f"{key}: {error}")
        image = next((image for image in self._session.kept() if image.key == key), None)
        if isinstance(error, ChangedOutside) and image is not None and key not in self._asked:
            self._asked.add(key)
            self._session.changed_outside.emit(key, image.annotation())

    def _history_failed(self, error: BaseException) -> None:
        """On the thread that writes histories."""
        words = tr("The undo history cannot be written: {why}", why=str(error))
        self._in_window(lambda: self._session.message.emit(words, "warn"))
