"""The model learns while a person labels: rounds of training, and drafts ahead of the person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject, QTimer, Signal

from segstudio.annotation.document import Change
from segstudio.engine import protocol as p
from segstudio.project.models import ModelInfo, best
from segstudio.project.prepared import lacking_care
from segstudio.project.project import Project
from segstudio.project.rounds import (
    AFTER,
    from_base_tried,
    last_round,
    learned_from,
    next_round,
    note_from_base,
    note_round,
)
from segstudio.studio.i18n import tr
from segstudio.studio.jobs import Job, Jobs
from segstudio.studio.session import Session
from segstudio.studio.work import Work

_LOOK: Final = 1000
"""Milliseconds over which changes are gathered before it is decided what to train."""
_POWER: Final = 30_000
"""Milliseconds between two looks at the battery."""
_AHEAD: Final = 4
"""Images after the open one that have their drafts before they are opened."""


def on_battery() -> bool:
    """Whether the machine runs on its battery now; False where that cannot be known."""
    import psutil  # the window's start does not wait for it

    battery = getattr(psutil, "sensors_battery", lambda: None)()
    return battery is not None and battery.power_plugged is False


class LiveTraining(QObject):
    """Starts rounds of training by itself, when the person has allowed it.

    A round that the person cancels ends it until it is allowed again; on battery a round waits.
    """

    turned_off = Signal()

    def __init__(
        self,
        session: Session,
        jobs: Jobs,
        work: Work,
        parent: QObject | None = None,
        is_on_battery: Callable[[], bool] = on_battery,
    ) -> None:
        super().__init__(parent)
        self.enabled = False
        self.after = AFTER
        self._session, self._jobs, self._work = session, jobs, work
        self._is_on_battery = is_on_battery
        self._job = ""
        self._waits = self._hinted = self._is_new = self._is_to_say = False
        self._learned: frozenset[str] = frozenset()
        self._corrected = False
        self._in_vain = self._rounds = 0
        self._root = ""
        self._after: Callable[[], object] | None = None
        self._due = QTimer(self, singleShot=True, interval=_LOOK)
        self._due.timeout.connect(self._decide)
        self._power = QTimer(self, interval=_POWER)
        self._power.timeout.connect(self._mind_battery)
        session.closing.connect(lambda _: self._forget())
        session.project_changed.connect(self._begin)
        session.states_changed.connect(lambda _: self._due.start())
        session.document_changed.connect(self._on_change)
        jobs.told.connect(self._hear)
        jobs.changed.connect(self._after_job)

    def set_enabled(self, enabled: bool) -> None:
        """Allow it, or end the round that goes on."""
        self.enabled = enabled
        self._in_vain = 0
        if enabled:
            self._power.start()
            self._due.start()
            self._say_when()
        else:
            self._power.stop()
            self.give_way()

    def give_way(self, then: Callable[[], object] = lambda: None) -> None:
        """The person trains something: the round ends with what it has learned, and `then`."""
        if not self._job:
            then()
            return
        self._after = then
        self._jobs.cancel(self._job)

    @property
    def job(self) -> str:
        """The round that goes on, "" when there is none."""
        return self._job

    # -- when

    def _begin(self) -> None:
        project = self._session.project
        if project is None or str(project.root) == self._root:
            return  # closed, or read anew: a round that goes on is still ours
        self._root = str(project.root)
        self._learned, self._corrected = frozenset(), False
        self._in_vain, self._rounds, self._job = 0, 0, ""
        self._is_new, self._after, self._waits = True, None, False
        self._due.start()

    def _forget(self) -> None:
        """The project is being closed, and its round with it: that is nobody's wish to end it."""
        self._root, self._job, self._after = "", "", None

    def _on_change(self, change: Change) -> None:
        image = self._session.image
        if change.is_edit and image is not None and image.document.confirmed:
            self._corrected = True
            self._due.start()

    def _confirmed(self) -> frozenset[str]:
        project, state = self._session.project, self._session.state
        keys = project.included() if project is not None else []
        return frozenset(key for key in keys if state(key) == "confirmed")

    def _decide(self) -> None:
        self._start_next()
        said, self._is_to_say = self._is_to_say, False
        if said and self.enabled and not self._work.no_train():
            words = tr("It learns when another image is confirmed or corrected.")
            self._session.message.emit(words, "info")

    def _start_next(self) -> None:
        """Start the next round when there is something to learn and nothing in the way."""
        if self._work.no_train() or self._is_on_battery():
            return
        confirmed = self._confirmed()
        if not self.enabled:
            self._hint(len(confirmed))
            return
        project = self._session.project
        models = project.models.all() if project is not None else []
        if self._is_new and project is not None:
            self._learned = _learned_before(project, models, confirmed)
        if self._corrected or confirmed - self._learned:
            self._in_vain = 0
        self._is_new = False
        if not self._corrected and not confirmed - self._learned and not self._rounds:
            return
        tried = from_base_tried(project) if project is not None else 0
        in_force = project is not None and project.models.current() is not None
        planned = next_round(len(confirmed), models, self._in_vain, self.after, tried, in_force)
        if planned is None or project is None:
            return
        if planned.is_from_base:
            note_from_base(project, len(confirmed))
        self._rounds += 1
        self._learned, self._corrected = confirmed, False
        begins = planned.is_from_base or not models
        architecture = self._network_anew(project, len(confirmed)) if begins else None
        title = tr("Learning anew") if planned.is_from_base else tr("Learning")
        job = self._work.train(
            architecture, planned.start_from, planned.minutes, title=title, resume=True, name="live"
        )
        self._job = job.id if job is not None else ""
        self._note(project.root, is_over=not self._job)

    def _network_anew(self, project: Project, confirmed: int) -> str | None:
        """The network of a round from the base weights; None for the usual one."""
        from segstudio.networks import choosing  # the window's start does not wait for networks

        model = self._work.model() or best(project.models.all())
        if self._jobs.ready is None:  # nobody knows what machine this is
            return model.architecture if model is not None else None
        machine = self._jobs.machine()
        situation = choosing.Situation(confirmed, len(project.classes.names)).on(machine)
        measured = choosing.remembered(machine.device)
        if model is None:
            return choosing.recommend(situation, measured).name
        return choosing.anew(model.architecture, situation, measured)

    def _note(self, root: Path, is_over: bool) -> None:
        with suppress(OSError):  # a round that is cut off then begins with the next label
            note_round(root, self._learned, is_over)

    def _say_when(self) -> None:
        """What will start the next round, when it does not start at once."""
        confirmed = len(self._confirmed())
        self._is_to_say = self._session.project is not None and confirmed >= self.after
        if self._session.project is not None and confirmed < self.after:
            words = tr("It learns after {n} confirmed images; {now} so far.")
            self._session.message.emit(words.format(n=self.after, now=confirmed), "info")

    def _hint(self, confirmed: int) -> None:
        if confirmed >= self.after and not self._hinted and self._work.model() is None:
            self._hinted = True
            words = tr(
                "{n} image is confirmed: press Train, or turn on Model › Train by itself.|"
                "{n} images are confirmed: press Train, or turn on Model › Train by itself.",
                n=confirmed,
            )
            self._session.message.emit(words, "info")

    # -- while it goes on

    def _mind_battery(self) -> None:
        """A round waits while the machine runs on its battery."""
        low = self._is_on_battery()
        if self._job and low != self._waits:
            self._waits = low
            self._jobs.pause(self._job, low)
            words = tr("Learning waits: the machine runs on its battery.")
            self._session.message.emit(words if low else tr("Learning goes on."), "info")
        elif not self._job and not low:
            self._due.start()

    def _hear(self, event: p.Message) -> None:
        if isinstance(event, p.ModelSaved) and event.job == self._job:
            self._in_vain = 0 if event.promoted else self._in_vain + 1

    def _after_job(self, job: Job) -> None:
        if job.id != self._job:
            if job.role == "trainer" and job.is_over:
                self._due.start()
            return
        if not job.is_over:
            return
        self._job, self._waits = "", False
        self._note(Path(job.project), is_over=True)
        project = self._session.project
        if project is None or job.project != str(project.root):
            return  # it ended with its project
        if job.stopping:
            self._stopped()
        elif job.state == "done":
            self._due.start()
        elif job.state == "failed":
            self._rounds = 0  # and only new labels start another

    def _stopped(self) -> None:
        """The round was cancelled: to give way, or because the person wants no more."""
        after, self._after = self._after, None
        if after is not None:
            after()
        elif self.enabled:
            self.enabled = False
            self._power.stop()
            self.turned_off.emit()
            words = tr("Training by itself is off until you turn it on again (menu Model).")
            self._session.message.emit(words, "info")


def _learned_before(
    project: Project, models: Sequence[ModelInfo], confirmed: frozenset[str]
) -> frozenset[str]:
    """Confirmed images that were learned from before the project was opened; none of them when
    the round was cut off, so that it goes on."""
    last = last_round(project.root)
    if last is not None:
        return last.learned if last.is_over else frozenset()
    return confirmed if learned_from(models) >= len(confirmed) else frozenset()


class DraftsAhead(QObject):
    """Has the model in force predict the open image and the next few before they are looked at."""

    def __init__(
        self, session: Session, jobs: Jobs, work: Work, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.enabled = True
        self._session, self._jobs, self._work = session, jobs, work
        self._asked: set[tuple[str, str]] = set()
        self._likely = ""
        self._due = QTimer(self, singleShot=True, interval=_LOOK // 4)
        self._due.timeout.connect(self._ask)
        session.project_changed.connect(self._asked.clear)
        session.image_changed.connect(self._due.start)
        work.models_changed.connect(self._due.start)

    def set_enabled(self, enabled: bool) -> None:
        self.enabled = enabled
        if enabled:
            self._due.start()

    def prepare(self, key: str) -> None:
        """The image that will probably be opened next is another than the next of the list; ""
        when it is not."""
        self._likely = key
        self._due.start()

    def _coming(self, project: Project, here: str) -> list[str]:
        """The open image and the few that will probably be opened after it."""
        keys, state = project.included(), self._session.state
        place = keys.index(here) if here in keys else 0
        likely = [self._likely] if self._likely in keys else []
        undone = (
            key
            for key in dict.fromkeys([here, *likely, *keys[place:]])
            if state(key) in ("none", "draft") and key not in self._session.problems
        )
        return list(islice(undone, 1 + _AHEAD))

    def _ask(self) -> None:
        session, project = self._session, self._session.project
        if not self.enabled or project is None or session.image is None or project.read_only:
            return
        model = project.models.current()
        if model is None or self._work.no_segment():
            return
        coming = self._coming(project, session.image.key)
        missing = [key for key in coming if (model.id, key) not in self._asked]
        if missing:
            missing = list(filter(lacking_care(project, model), missing))
        if missing:  # what was taken back comes only when it is asked for
            refused = project.runs.refused(model.id)
            missing = [key for key in missing if key not in refused]
        if missing:
            self._asked.update((model.id, key) for key in missing)
            self._work.segment(missing, quiet=True)
