"""Drafts from the frame before: in a film, labels are carried along from frame to frame."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject, Signal

from segstudio.engine import protocol as p
from segstudio.project.frames import FRAME_BEFORE, is_expected
from segstudio.project.project import Project
from segstudio.studio.i18n import tr
from segstudio.studio.jobs import Job, Jobs
from segstudio.studio.session import Session

_LABELLED: Final = ("edited", "confirmed")


class Following(QObject):
    """Asks for them when an image is opened that nobody has labelled after one that somebody has.

    Other drafts wait for the answer, since drafts that a person has seen do not change.
    """

    settled = Signal()
    """There are no such drafts for the open image; others may be shown."""

    def __init__(self, session: Session, jobs: Jobs, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.enabled = True
        self._session, self._jobs = session, jobs
        self._asked = self._waiting = ""
        self._held: set[str] = set()
        session.let_wait(self.expects, lambda key: key == self._waiting)
        session.image_changed.connect(self._on_image)
        session.saving.connect(lambda state, _: self._ask() if state != "saving" else None)
        jobs.changed.connect(self._take)

    def set_enabled(self, enabled: bool) -> None:
        self.enabled = enabled
        if enabled:
            self._on_image()
        else:
            self._settle()

    def expects(self, project: Project, key: str) -> bool:
        """Whether drafts of an image may come from a frame before; may be called on any thread.

        What was drawn counts before it is on the disk.
        """
        if not self.enabled or project.read_only:
            return False
        found = is_expected(project, key, lambda one: self._session.state(one) in _LABELLED)
        if found:
            self._held.add(key)
        return found

    def _on_image(self) -> None:
        image, project = self._session.image, self._session.project
        self._asked = self._waiting = ""
        if image is None or project is None or not self._is_untouched():
            return
        if not self.expects(project, image.key):
            if image.key in self._held:  # they have waited in vain
                self._settle()
            return
        self._waiting = image.key
        if not self._session.writing.soon():
            self._ask()

    def _is_untouched(self) -> bool:
        """Whether the open image has no drafts but such, and nothing became of these."""
        image = self._session.image
        if image is None or image.document.confirmed or image.document.shapes:
            return False
        pending = len(image.document.drafts) == len(image.drafts.shapes)
        return pending and image.drafts.model in ("", FRAME_BEFORE)

    def _ask(self) -> None:
        project = self._session.project
        if project is None or not self._waiting or self._asked:
            return
        request = p.Forecast(self._jobs.new_id(), str(project.root), self._waiting)
        self._asked = request.job
        self._jobs.run("predictor", tr("Looking at the frame before"), request, quiet=True)

    def _take(self, job: Job) -> None:
        if job.id != self._asked or not job.is_over:
            return
        source = str(job.result.get("source", ""))
        if not source or not self._is_untouched():
            self._settle()
            return
        key, self._asked, self._waiting = self._waiting, "", ""
        self._session.reviewing.show_drafts_of(FRAME_BEFORE)
        self._session.refresh_states({key})
        words = tr("Drafts from the frame before: {name}", name=source.rpartition("/")[2])
        self._session.message.emit(words, "info")

    def _settle(self) -> None:
        """Other drafts need not wait any more."""
        self._asked = self._waiting = ""
        self._held.clear()
        self._session.reviewing.show_newest_drafts(only_if_untouched=True)
        self.settled.emit()
