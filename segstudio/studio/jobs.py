"""Long work in child processes, as the window sees it: jobs with progress that can be cancelled."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QObject, Signal

from segstudio.engine import protocol as p
from segstudio.engine.child import Child
from segstudio.studio.i18n import tr

if TYPE_CHECKING:
    from segstudio.networks.choosing import Machine


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work. `state` is "running", "done", "failed" or "cancelled"; `request` is the
    name of the message that asked for it."""

    id: str
    title: str
    role: p.Role
    project: str = ""
    request: str = ""
    state: str = "running"
    done: int = 0
    total: int = 0
    rate: float = 0.0
    seconds_left: float | None = None
    text: str = ""
    quiet: bool = False
    stopping: bool = False
    result: Mapping[str, Any] = field(default_factory=dict)
    failures: tuple[tuple[str, str], ...] = ()

    @property
    def is_over(self) -> bool:
        return self.state != "running"


class Jobs(QObject):
    """The three children (predictor, trainer, files) and the jobs they work on.

    Children start when they are first needed and end with the window. Events arrive here on the
    window's thread.
    """

    changed = Signal(object)
    """A Job, each time something about it is new."""
    told = Signal(object)
    """Every protocol event."""
    device_changed = Signal()
    trouble = Signal(str)
    """A child ended by itself: what happened and what to do."""
    _arrived = Signal(object, object)
    _exited = Signal(str, int, int, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.jobs: dict[str, Job] = {}
        self.device = "auto"
        self.ready: p.Ready | None = None
        self._children: dict[p.Role, Child] = {}
        self._child_numbers: dict[str, int] = {}
        self._numbers: Final = itertools.count(1)
        self._arrived.connect(self._take)
        self._exited.connect(self._after_exit)

    # -- children

    def start_child(self, role: p.Role) -> Child:
        """The child for a role, started when it is not running."""
        child = self._children.get(role)
        if child is not None and child.alive:
            return child
        number = next(self._numbers)
        child = Child(
            role,
            on_event=lambda event: self._arrived.emit(role, event),
            on_exit=lambda code, why: self._exited.emit(role, number, code, why),
        )
        self._children[role], self._child_numbers[role] = child, number
        child.start()
        if role != "files":
            child.send(p.Probe(self.device))
        return child

    def pid(self, role: p.Role) -> int | None:
        """The process of a role, None when it does not run."""
        child = self._children.get(role)
        return child.pid if child is not None and child.alive else None

    def use_device(self, device: str) -> None:
        """Work on another device from the next job on."""
        self.device = device
        child = self._children.get("predictor")
        if child is not None and child.alive:
            child.send(p.Probe(device))

    def probe(self) -> None:
        """Ask what the machine has now; `device_changed` tells when `ready` knows."""
        with contextlib.suppress(OSError):  # it cannot start: nothing is known, as before
            child = self._children.get("predictor")
            if child is not None and child.alive:
                child.send(p.Probe(self.device))
            else:
                self.start_child("predictor")

    def machine(self) -> Machine:
        """What there is to learn with, as far as it is known."""
        from segstudio.networks.choosing import Machine  # the start does not wait for networks

        if self.ready is None or not self.ready.device:
            return Machine()
        return Machine(self.ready.device, self.ready.free, frozenset(self.ready.weights))

    def close(self) -> None:
        """End all children."""
        for child in self._children.values():
            child.close(3.0)
        self._children.clear()

    # -- jobs

    def new_id(self) -> str:
        return f"job-{next(self._numbers)}"

    def run(
        self, role: p.Role, title: str, request: p.Message, total: int = 0, quiet: bool = False
    ) -> Job:
        """Send a request that names its job; progress comes by `changed`."""
        facts = asdict(request)
        kind = type(request).__name__
        job = Job(facts["job"], title, role, facts["project"], kind, total=total, quiet=quiet)
        self._set(job)
        try:
            self.start_child(role).send(request)
        except OSError as error:
            self._set(replace(job, state="failed", text=str(error)))
        return self.jobs[job.id]

    def cancel(self, job_id: str) -> None:
        job = self.jobs.get(job_id)
        if job is not None and not job.is_over:
            self._set(replace(job, stopping=True, text=tr("stopping …")))
            self._children[job.role].cancel(job_id)

    def pause(self, job_id: str, paused: bool) -> None:
        job = self.jobs.get(job_id)
        if job is not None and not job.is_over:
            self._children[job.role].send(p.Pause(job_id) if paused else p.Resume(job_id))

    def running(self, role: p.Role | None = None) -> list[Job]:
        """Jobs that are not over, the oldest first."""
        wanted = (j for j in self.jobs.values() if not j.is_over)
        return [j for j in wanted if role is None or j.role == role]

    def _set(self, job: Job) -> None:
        self.jobs[job.id] = job
        self.changed.emit(job)

    # -- what children say

    def _take(self, role: str, event: p.Message) -> None:
        if isinstance(event, p.Ready):
            if role == "predictor" or self.ready is None:
                self.ready = event
                self.device_changed.emit()
        else:
            job = self.jobs.get(getattr(event, "job", ""))
            if job is not None and not job.is_over:
                self._set(_advanced(job, event))
        self.told.emit(event)

    def _after_exit(self, role: str, number: int, code: int, why: str) -> None:
        if self._child_numbers.get(role) != number:
            return  # its successor works already
        lost = [job for job in self.running() if job.role == role]
        for job in lost:
            # a child that did not stop in time was killed, as the person wished
            state = "cancelled" if job.stopping else "failed"
            self._set(replace(job, state=state, text=why))
        if code != 0 and not any(job.stopping for job in lost):
            self.trouble.emit(why)


def _advanced(job: Job, event: p.Message) -> Job:
    """The job after an event."""
    match event:
        case p.Progress():
            return replace(
                job,
                done=event.done,
                total=event.total,
                rate=event.rate,
                seconds_left=event.seconds_left,
                text=event.text,
            )
        case p.ImageFailed():
            return replace(job, failures=(*job.failures, (event.image, event.reason)))
        case p.Done():
            return replace(job, state="done", result=event.result, text="")
        case p.Failed():
            return replace(job, state="failed", text=_sentence(event.message, event.remedy))
        case p.Cancelled():
            return replace(job, state="cancelled", text="")
    return job


def _sentence(*parts: str) -> str:
    return " ".join(part.rstrip(".") + "." for part in parts if part)


def time_left(seconds: float | None) -> str:
    """A duration for a person: "40 s", "3 min", "2 h 10 min"."""
    if seconds is None:
        return ""
    if seconds < 90:
        return tr("{n} s", n=max(1, round(seconds)))
    minutes = round(seconds / 60)
    if minutes < 90:
        return tr("{n} min", n=minutes)
    return tr("{h} h {m} min", h=minutes // 60, m=minutes % 60)


def progress_line(job: Job) -> str:
    """What the status bar says of a job."""
    parts: Sequence[str] = [job.title]
    if job.total:
        parts = [f"{job.title} {job.done}/{job.total}"]
    if job.rate > 0:
        unit = tr("{rate}/s", rate=f"{job.rate:.1f}")
        parts = [*parts, unit]
    left = time_left(job.seconds_left)
    texts = [*parts, *([left] if left else []), *([job.text] if job.text else [])]
    return " · ".join(texts)
