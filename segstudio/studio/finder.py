"""Asks what shapes the project has, in the background; the process for files learns them."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QDialog

from segstudio.engine import protocol as p
from segstudio.project.bulk import Pick
from segstudio.project.project import Project
from segstudio.project.shape_index import FILE, ClassStatistics, Hit, Query, ShapeIndex
from segstudio.studio.i18n import tr
from segstudio.studio.jobs import Job, Jobs
from segstudio.studio.session import Session

MOST: Final = 5000
"""Hits that are listed."""
_SETTLE: Final = 400
"""Milliseconds after something was saved until it is learnt."""
_ASK_AGAIN: Final = 1000
"""Milliseconds between two answers while the project is being learnt."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """How many shapes there are, and the first of them."""

    total: int
    hits: tuple[Hit, ...]


class Finder(QObject):
    """The shape index of the open project, while somebody watches.

    Of several questions of one kind only the last is answered.
    """

    found = Signal(object)
    counted = Signal(object)
    """A list of ClassStatistics."""
    learning = Signal(int, int)
    """(label files read, to be read); both the same at the end."""
    _arrived = Signal(object)

    def __init__(self, session: Session, jobs: Jobs, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._jobs = session, jobs
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="shapes")
        self._index: ShapeIndex | None = None
        self._index_file = Path()
        self._temporary: Path | None = None
        self._job = ""
        self._again = False
        self._watchers: set[int] = set()
        self._query: Query | None = None
        self._counting = False
        self._asked: dict[str, int] = {"found": 0, "counted": 0}
        self._due = QTimer(self, singleShot=True, interval=_SETTLE)
        self._due.timeout.connect(self.refresh)
        self._renew = QTimer(self, interval=_ASK_AGAIN)
        self._renew.timeout.connect(self._ask_again)
        self._arrived.connect(self._act, Qt.ConnectionType.QueuedConnection)
        session.states_changed.connect(lambda _: self._learn_soon())
        session.paused_changed.connect(self._learn_soon)
        session.closing.connect(lambda _: self._forget())
        jobs.changed.connect(self._follow)

    # -- watching

    def _act(self, act: Callable[[], object]) -> None:
        act()

    def watch(self, dialog: QDialog) -> None:
        """A dialog wants to know until it is closed."""
        who = id(dialog)
        self._watchers.add(who)
        dialog.finished.connect(lambda _: self._leave(who))
        self.refresh()

    def _leave(self, who: int) -> None:
        self._watchers.discard(who)
        if not self._watchers:
            self._query, self._counting = None, False
            self._jobs.cancel(self._job)

    def _learn_soon(self) -> None:
        if self._watchers:
            self._due.start()

    def refresh(self) -> None:
        """Have the label files read that are new or have changed."""
        project = self._session.project
        if project is None or not self._watchers or self._session.paused:
            return
        if self._job:
            self._again = True
            return
        self._session.writing.soon()
        self._again = False
        file = self._file(project)
        request = p.IndexShapes(self._jobs.new_id(), str(project.root), str(file))
        self._job = request.job
        self._jobs.run("files", tr("Learning what shapes there are"), request, quiet=True)
        self._renew.start()

    def close(self) -> None:
        self._forget()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _forget(self) -> None:
        """Another project."""
        self._due.stop()
        self._renew.stop()
        self._job, self._query, self._counting = "", None, False
        index, self._index = self._index, None
        if index is not None:
            index.interrupt()
            self._pool.submit(index.close)
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    def _file(self, project: Project) -> Path:
        """In the project's cache, or elsewhere when nothing may be written there."""
        if Project.is_project(project.root) and not project.read_only:
            return project.root / FILE
        if self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="segstudio-"))
        return self._temporary / FILE.name

    def _follow(self, job: Job) -> None:
        if job.id != self._job:
            return
        if not job.is_over:
            self.learning.emit(job.done, job.total)
            return
        self._job = ""
        self._renew.stop()
        self.learning.emit(job.total, job.total)
        self._ask_again()
        if self._again:
            self.refresh()

    # -- asking

    def ask(self, query: Query) -> None:
        """Answered by `found`, again and again while the project is being learnt."""
        self._query = query
        self._ask_for_hits()

    def count(self) -> None:
        """Answered by `counted`, in the same way."""
        self._counting = True
        self._ask_for_numbers()

    def picks(
        self, query: Query, chosen: tuple[Hit, ...], then: Callable[[Mapping[str, Pick]], None]
    ) -> None:
        """The chosen hits, or all that there are when none is, for a bulk edit."""
        project = self._session.project
        if project is None:
            return
        file = self._file(project)

        def pick() -> Mapping[str, Pick]:
            index = ShapeIndex(file)  # its own: no later question interrupts it
            try:
                return index.picks_of(chosen) if chosen else index.picks(query)
            finally:
                index.close()

        def report(done: Future[Mapping[str, Pick]]) -> None:
            if not done.cancelled():
                self._arrived.emit(lambda: then(done.result()))

        self._pool.submit(pick).add_done_callback(report)

    def _ask_again(self) -> None:
        if self._query is not None:
            self._ask_for_hits()
        if self._counting:
            self._ask_for_numbers()

    def _ask_for_hits(self) -> None:
        query = self._query
        if query is None:
            return
        if self._index is not None:
            self._index.interrupt()

        def find(index: ShapeIndex) -> Found:
            total, hits = index.find(query, MOST)
            return Found(total, tuple(hits))

        self._submit(find, self.found.emit, "found")

    def _ask_for_numbers(self) -> None:
        names = self._session.choices.classes.names

        def count(index: ShapeIndex) -> list[ClassStatistics]:
            return index.statistics(names)

        self._submit(count, self.counted.emit, "counted")

    def _opened(self, file: Path) -> ShapeIndex:
        """On the thread: the index in `file`, which stays open."""
        if self._index is not None and self._index_file != file:
            self._index.close()
            self._index = None
        if self._index is None:
            self._index, self._index_file = ShapeIndex(file), file
        return self._index

    def _submit(
        self, ask: Callable[[ShapeIndex], T], then: Callable[[T], object], kind: str
    ) -> None:
        project = self._session.project
        if project is None:
            return
        file = self._file(project)
        number = self._asked[kind] = self._asked.get(kind, 0) + 1

        def work() -> T | None:
            if self._asked[kind] != number:
                return None
            return ask(self._opened(file))

        def report(done: Future[T | None]) -> None:
            if done.cancelled() or isinstance(done.exception(), sqlite3.Error):
                return  # another question came
            answer = done.result()
            if answer is not None:
                self._arrived.emit(lambda: self._asked[kind] == number and then(answer))

        self._pool.submit(work).add_done_callback(report)
