"""The child's side of the line: takes requests, runs jobs one by one, answers. Loads no torch."""

from __future__ import annotations

import os
import threading
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final

from segstudio.engine import protocol
from segstudio.engine.protocol import Message
from segstudio.errors import Cancelled, UserError

_GRACE: Final = 1.5
"""Seconds a job has to stop after the window has gone or closed the child."""


@dataclass(eq=False)
class Control:
    """The switches of one job; set by the thread that listens, read by the job."""

    job: str
    stopped: threading.Event = field(default_factory=threading.Event)
    running: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.running.set()

    def should_stop(self) -> bool:
        return self.stopped.is_set()

    def wait_while_paused(self) -> None:
        """Return at once, or when the job is resumed or stopped."""
        self.running.wait()

    def stop(self) -> None:
        self.stopped.set()
        self.running.set()


Handler = Callable[["Worker", Any, Control], Mapping[str, Any] | None]
"""Does a request's work; what it returns is the result in Done, None sends no Done."""


class Worker:
    """Runs requests in the order they come, except that urgent ones can be taken between.

    One thread listens, so that cancelling works at any time; jobs run on the thread that calls
    `run`. Errors of a job end that job, not the child.
    """

    def __init__(
        self,
        connection: Connection,
        handlers: Mapping[type[Message], Handler],
        is_urgent: Callable[[Message], bool] = lambda request: False,
    ) -> None:
        self._connection, self._handlers, self._is_urgent = connection, handlers, is_urgent
        self._requests: deque[Message] = deque()
        self._arrived = threading.Condition()
        self._controls: dict[str, Control] = {}
        self._sending = threading.Lock()
        self._closed = False

    def send(self, event: Message) -> None:
        """Send an event; a window that has gone is no error here."""
        try:
            with self._sending:
                self._connection.send_bytes(protocol.encode(event))
        except OSError:
            self._shut()

    def run(self) -> None:
        """Work until the window closes the child or goes away."""
        listener = threading.Thread(target=self._listen, name="requests", daemon=True)
        listener.start()
        while (request := self._next()) is not None:
            self.do(request)

    def take_urgent(self) -> bool:
        """Do waiting urgent requests now, between two steps of a job; whether there were any."""
        done = False
        while (request := self._pop(self._is_urgent)) is not None:
            self.do(request)
            done = True
        return done

    def do(self, request: Message) -> None:
        """Run one request and report its end."""
        job = getattr(request, "job", "")
        control = self._controls.setdefault(job, Control(job))
        try:
            if control.should_stop():
                raise Cancelled
            result = self._handlers[type(request)](self, request, control)
            if result is not None:
                self.send(protocol.Done(job, result))
        except Cancelled:
            self.send(protocol.Cancelled(job))
        except UserError as error:
            self.send(protocol.Failed(job, _where(error), error.remedy))
        except MemoryError:
            remedy = "Close other programs, or take a smaller network, batch or crop"
            self.send(protocol.Failed(job, "Memory ran out", remedy))
        except Exception as error:  # the child must live on; the traceback goes to its log
            traceback.print_exc()
            self.send(protocol.Failed(job, _unexpected(error), "Please report this"))
        finally:
            self._controls.pop(job, None)

    # listening ---------------------------------------------------------------------------------

    def _listen(self) -> None:
        try:
            while True:
                self._take(protocol.decode(self._connection.recv_bytes()))
        except (EOFError, OSError):
            self._shut()

    def _take(self, request: Message) -> None:
        match request:
            case protocol.Close():
                self._shut()
            case protocol.Cancel():
                self._cancel(request.job)
            case protocol.Pause() | protocol.Resume():
                control = self._controls.get(request.job)
                if control is not None and not control.should_stop():
                    pause = isinstance(request, protocol.Pause)
                    (control.running.clear if pause else control.running.set)()
            case _ if type(request) in self._handlers:
                self._queue(request)
            case _:
                job = getattr(request, "job", "")
                kind = type(request).__name__
                self.send(protocol.Failed(job, f"This child does not do {kind}"))

    def _queue(self, request: Message) -> None:
        job = getattr(request, "job", "")
        self._controls.setdefault(job, Control(job))
        with self._arrived:
            self._requests.append(request)
            self._arrived.notify()

    def _cancel(self, job: str) -> None:
        """Stop a running job; take a waiting one out of the queue and answer at once."""
        control = self._controls.get(job)
        if control is not None:
            control.stop()
        waiting = self._pop(lambda request: getattr(request, "job", "") == job)
        if waiting is not None or control is None:
            self._controls.pop(job, None)
            self.send(protocol.Cancelled(job))

    def _next(self) -> Message | None:
        with self._arrived:
            self._arrived.wait_for(lambda: self._requests or self._closed)
            if self._closed:
                return None
            urgent = next((r for r in self._requests if self._is_urgent(r)), self._requests[0])
            self._requests.remove(urgent)
            return urgent

    def _pop(self, wanted: Callable[[Message], bool]) -> Message | None:
        with self._arrived:
            found = next((r for r in self._requests if wanted(r)), None)
            if found is not None:
                self._requests.remove(found)
            return found

    def _shut(self) -> None:
        """Stop everything; a job that does not stop in time is left to the system."""
        with self._arrived:
            if self._closed:
                return
            self._closed = True
            self._requests.clear()
            self._arrived.notify_all()
        for control in list(self._controls.values()):
            control.stop()
        last = threading.Timer(_GRACE, os._exit, args=(0,))
        last.daemon = True
        last.start()


def _where(error: UserError) -> str:
    return f"{error.message} ({error.path})" if error.path is not None else error.message


def _unexpected(error: Exception) -> str:
    text = str(error).splitlines()
    return f"Something unexpected happened: {type(error).__name__}: {text[0] if text else ''}"
