"""What the model in force looks at in spare time: images that nobody waits for."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject, QTimer, Signal

from segstudio.project.glances import glances
from segstudio.studio.jobs import Job, Jobs
from segstudio.studio.session import Session
from segstudio.studio.work import Work

_PAUSE: Final = 1000
"""Milliseconds without a person's doing before the next few images are looked at."""
_FEW: Final = 4
"""Images of one job; a stroke lets the next job wait."""


class SpareTime(QObject):
    """Has a new model predict some hundred images: confirmed ones, for labels that it contradicts,
    and others, for what it is unsure of.

    It gives way: whatever else the predictor is asked for ends the job that goes on, and edits and
    other images put off the next one.
    """

    looked = Signal(list)
    """Keys of images that were predicted."""
    ended = Signal()
    """Nothing is left to look at."""

    def __init__(
        self, session: Session, jobs: Jobs, work: Work, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.enabled = True
        self._session, self._jobs, self._work = session, jobs, work
        self._left: list[str] = []
        self._now: list[str] = []
        self._job = ""
        self._round = 0
        self._due = QTimer(self, singleShot=True, interval=_PAUSE)
        self._due.timeout.connect(self._go_on)
        session.project_changed.connect(self._plan)
        work.models_changed.connect(self._plan)
        session.document_changed.connect(lambda _: self._put_off())
        session.image_changed.connect(self._put_off)
        jobs.changed.connect(self._after_job)

    def set_enabled(self, enabled: bool) -> None:
        self.enabled = enabled
        self._plan()

    def _plan(self) -> None:
        """Find out what the model in force has yet to look at."""
        self._round += 1
        self._left = []
        self._stop()
        project, session, number = self._session.project, self._session, self._round
        if not self.enabled or project is None or project.read_only:
            return
        model = project.models.current()
        if model is None:
            return
        states = {key: session.state(key) for key in project.included()}

        def take(found: list[str] | Exception) -> None:
            if number == self._round and not isinstance(found, Exception):
                self._left = [key for key in found if key not in session.problems]
                self._due.start()

        session.in_background(lambda: glances(project, model.id, states), take)

    def _put_off(self) -> None:
        if self._due.isActive():
            self._due.start()

    def _go_on(self) -> None:
        """Ask for the next few, when nobody needs the predictor."""
        if not self._left:
            self.ended.emit()
            return
        if self._session.paused or self._work.no_segment() or self._jobs.running("predictor"):
            self._due.start()
            return
        self._now = self._left[:_FEW]
        job = self._work.segment(self._now, quiet=True, spare=True)
        self._job = job.id if job is not None else ""

    def _stop(self) -> None:
        if self._job:
            self._jobs.cancel(self._job)

    def _after_job(self, job: Job) -> None:
        if job.id != self._job:
            if job.role == "predictor" and not job.is_over:
                self._stop()
        elif job.is_over:
            self._job = ""
            self._take(job)

    def _take(self, job: Job) -> None:
        if job.state == "failed":  # the next model may do better
            self._left = []
            return
        if job.state == "done":
            self._left = [key for key in self._left if key not in self._now]
            self.looked.emit(self._now)
        self._due.start()
