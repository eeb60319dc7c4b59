"""Real child processes; every wait is for a message or for the end of the process."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from segstudio.engine import protocol
from segstudio.engine.child import Child
from segstudio.engine.protocol import (
    Cancelled,
    Done,
    Failed,
    Message,
    Progress,
    Saving,
    Segment,
)

ROLES = [sys.executable, str(Path(__file__).with_name("roles.py"))]
PATIENCE = 60.0


class Talk:
    """A child, and what it said, to be taken in order."""

    def __init__(self, command: list[str], role: str = "predictor") -> None:
        self.events: queue.Queue[Message] = queue.Queue()
        self.exits: queue.Queue[tuple[int, str]] = queue.Queue()
        self.child = Child(
            role, self.events.put, lambda code, why: self.exits.put((code, why)), command
        )
        self.child.start()

    def ask(self, what: str, job: str = "1", model: str = "") -> None:
        self.child.send(Segment(job, what, model, ("a",)))

    def until(self, kind: type[Message]) -> Message:
        """The next event of that kind; others before it are dropped."""
        while True:
            event = self.events.get(timeout=PATIENCE)
            if isinstance(event, kind):
                return event

    def end(self) -> tuple[int, str]:
        return self.exits.get(timeout=PATIENCE)


@pytest.fixture
def talk() -> Iterator[Talk]:
    talking = Talk(ROLES)
    yield talking
    talking.child.close()


def test_a_request_is_answered(talk: Talk) -> None:
    talk.ask("works")
    assert talk.until(Done) == Done("1", {"images": ["a"]})


def test_a_stray_print_does_not_break_the_line(talk: Talk) -> None:
    talk.ask("prints")
    assert talk.until(Done)


def test_an_error_ends_the_job_and_not_the_child(talk: Talk) -> None:
    talk.ask("is wrong")
    assert talk.until(Failed) == Failed("1", "That cannot be", "Do something else")
    talk.ask("breaks")
    failed = talk.until(Failed)
    assert isinstance(failed, Failed)
    assert "ZeroDivisionError: by zero" in failed.message
    talk.ask("works")
    assert talk.until(Done)


def test_a_running_job_is_cancelled(talk: Talk) -> None:
    talk.ask("waits")
    talk.until(Progress)
    talk.child.cancel("1")
    assert talk.until(Cancelled) == Cancelled("1")
    assert talk.child.alive


def test_a_waiting_job_is_cancelled_at_once(talk: Talk) -> None:
    talk.ask("waits", "1")
    talk.until(Progress)
    talk.ask("works", "2")
    talk.child.cancel("2")
    assert talk.until(Cancelled) == Cancelled("2")
    talk.child.cancel("1")
    assert talk.until(Cancelled) == Cancelled("1")


def test_a_job_that_writes_what_it_has_is_not_killed(talk: Talk) -> None:
    talk.ask("saves")
    talk.until(Progress)
    talk.child.cancel("1")
    assert talk.child._timers
    talk.until(Saving)
    assert not talk.child._timers
    talk.child.cancel("1")
    assert not talk.child._timers
    talk.child.send(protocol.Cancel("1"))  # so much for the job
    assert talk.until(Done)
    talk.ask("waits", "2")
    talk.until(Progress)
    talk.child.cancel("2")
    assert talk.child._timers
    assert talk.until(Cancelled)


def test_a_job_that_does_not_stop_is_killed_after_two_seconds(talk: Talk) -> None:
    talk.ask("hangs")
    talk.until(Progress)
    began = time.monotonic()
    talk.child.cancel("1")
    code, why = talk.end()
    assert 1.5 < time.monotonic() - began < 10
    assert code != 0
    assert "did not stop" in why
    assert not talk.child.alive


def test_a_child_that_dies_is_reported_with_its_last_words_and_started_again(talk: Talk) -> None:
    talk.ask("dies")
    code, why = talk.end()
    assert code == 7
    assert "last words" in why
    assert "Start it again" in why
    with pytest.raises(ConnectionError):
        talk.ask("works")
    talk.child.start()
    talk.ask("works")
    assert talk.until(Done)


def test_a_child_that_talks_nonsense_is_ended_and_reported(talk: Talk) -> None:
    talk.ask("talks nonsense")
    code, why = talk.end()
    assert code != 0
    assert "Start it again" in why


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_child_is_explained(talk: Talk) -> None:
    talk.ask("is killed")
    code, why = talk.end()
    assert code == -9
    assert "memory ran out" in why


def test_a_child_that_never_calls_is_reported() -> None:
    talking = Talk([sys.executable, "-c", "raise SystemExit('no such thing')"])
    code, why = talking.end()
    assert code == 1
    assert "no such thing" in why
    talking.child.close()


def test_an_urgent_request_overtakes(talk: Talk) -> None:
    talk.ask("lets pass", "folder")
    talk.until(Progress)
    talk.ask("works", "next")
    talk.ask("works", "one", model="urgent")
    talk.child.send(protocol.Resume("folder"))
    order = [talk.until(Done) for _ in range(3)]
    assert [event.job for event in order if isinstance(event, Done)] == ["one", "folder", "next"]


def test_closing_ends_a_busy_child(talk: Talk) -> None:
    talk.ask("waits")
    talk.until(Progress)
    talk.child.close()
    assert not talk.child.alive
    assert talk.end()[0] == 0


def test_a_child_ends_when_the_window_dies() -> None:
    script = (
        "import sys; from segstudio.engine.child import Child; import os\n"
        f"c = Child('x', print, print, {ROLES!r}); c.start()\n"
        "from segstudio.engine.protocol import Segment\n"
        "import queue; q = queue.Queue(); c._on_event = q.put\n"
        "c.send(Segment('1', 'hangs', '', ())); q.get(timeout=60)\n"
        "print(c.pid, flush=True); os._exit(1)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=False
    )
    pid = int(answer.stdout.split()[-1])
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(timeout=PATIENCE)
    assert not psutil.pid_exists(pid)


def test_the_window_side_loads_neither_torch_nor_qt() -> None:
    script = (
        "import sys, segstudio.engine.child, segstudio.engine.protocol, segstudio.engine.jobs\n"
        "print([m for m in ('torch', 'PySide6') if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
