"""Changes of all images at once, and of runs taken back, as the window makes them: a job that
everything waits for."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from segstudio.engine import protocol as p
from segstudio.errors import UserError
from segstudio.project.bulk import BulkEdit
from segstudio.project.runs import RunInfo
from segstudio.studio.bulk_words import bulk_title
from segstudio.studio.i18n import tr
from segstudio.studio.jobs import Job, Jobs
from segstudio.studio.session import Session


class Bulk(QObject):
    """Hands bulk edits to the process for files, and lets the session follow."""

    finished = Signal(object)
    """The Job, when the window shows what it has done."""

    def __init__(self, session: Session, jobs: Jobs, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._jobs = session, jobs
        self._job: Job | None = None
        self._takes_back = False
        self._is_told = False
        self._last: tuple[BulkEdit | None] | None = None
        jobs.changed.connect(self._after)
        session.paused_changed.connect(self._tell)
        session.project_changed.connect(self.forget)

    def last(self) -> BulkEdit | None:
        """What `undo` takes back; read once until something changes."""
        if self._last is None:
            project = self._session.project
            own = project is not None and not project.read_only
            self._last = (project.bulk.last() if project is not None and own else None,)
        return self._last[0]

    def forget(self) -> None:
        """Another project, or another change."""
        self._last = None

    def check(self, edit: BulkEdit) -> str:
        """Why an edit cannot be made, "" when it can."""
        try:
            edit.checked(self._session.choices.classes)
        except UserError as error:
            return str(error)
        return ""

    def run(self, edit: BulkEdit) -> None:
        """Make a change, in the background; one of colours alone at once."""
        if edit.kind == "recolour":
            if self._session.try_(lambda project: project.bulk.run(edit)):
                self._session.choices.follow()
                self._session.paused_changed.emit()
            return
        self._start(bulk_title(edit), edit)

    def undo(self) -> None:
        """Take the last one back, in the background."""
        last = self.last()
        if last is not None:
            self._start(tr("Undo: {what}", what=bulk_title(last)), None)

    def undo_run(self, run: RunInfo) -> None:
        """Take a batch run back, in the background."""
        if any(not job.quiet for job in self._jobs.running("predictor")):
            self._session.message.emit(tr("The folder is being segmented."), "warn")
            return
        self._start(tr("Undo run {n}", n=run.number), run)

    def _start(self, title: str, what: BulkEdit | RunInfo | None) -> None:
        project = self._session.project
        if project is None or self._session.is_read_only():
            return
        if any(not job.quiet for job in self._jobs.running("files")):
            words = tr("One moment: labels are being imported or exported.")
            self._session.message.emit(words, "warn")
            return
        why = tr("{what}: one moment, nothing can be drawn meanwhile.", what=title)
        if self._session.pause(why):
            request = _request(self._jobs.new_id(), str(project.root), what)
            self._is_told, self._takes_back = False, not isinstance(what, BulkEdit)
            self._job = self._jobs.run("files", title, request)
            self._after(self._job)

    def _after(self, job: Job) -> None:
        if self._job is None or job.id != self._job.id or not job.is_over or self._is_told:
            return
        self._job, self._is_told = job, True
        if job.state == "done":
            self._say(job)
        self._session.follow()

    def _say(self, job: Job) -> None:
        skipped, kept = job.result.get("skipped", ()), job.result.get("kept", 0)
        words = tr(
            "{what}: {n} image|{what}: {n} images", what=job.title, n=job.result.get("images", 0)
        )
        if not self._takes_back:
            hint = tr("Edit › Undo the last change of all images takes it back.")
            words = f"{words}. {hint}"
        if kept:
            words += ". " + tr("In {n} of them your decisions about its drafts stay.", n=kept)
        if skipped:
            left = tr("{n} label files were left alone: {why}", n=len(skipped), why=skipped[0][1])
            self._session.message.emit(f"{words}. {left}", "warn")
        else:
            self._session.message.emit(words, "info")

    def _tell(self) -> None:
        """The session has followed."""
        self.forget()
        if self._job is not None and self._job.is_over and not self._session.paused:
            job, self._job = self._job, None
            self.finished.emit(job)


def _request(job: str, root: str, what: BulkEdit | RunInfo | None) -> p.Message:
    """What the process for files is asked: a change, taking a run back, or the last change."""
    if isinstance(what, RunInfo):
        return p.UndoRun(job, root, what.number)
    return p.Bulk(job, root, what.to_json() if what is not None else None)
