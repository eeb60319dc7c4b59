"""The window's side of a child process: start, ask, listen, cancel, end. Loads no torch, no Qt."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import IO, Final

from segstudio.engine import protocol
from segstudio.engine.protocol import Message, Role
from segstudio.errors import UserError

ADDRESS: Final = "SEGSTUDIO_ENGINE_ADDRESS"
KEY: Final = "SEGSTUDIO_ENGINE_KEY"
CANCEL_SECONDS: Final = 2.0
_LAST_LINES: Final = 12
_ENDS: Final = (protocol.Done, protocol.Failed, protocol.Cancelled)
_HEARD: Final = (*_ENDS, protocol.Saving)
"""What says that a job is no longer at work: there is no reason to kill it."""

OnEvent = Callable[[Message], None]
OnExit = Callable[[int, str], None]
"""(exit code, what happened and what to do)."""


class Child:
    """One child process for one role.

    `on_event` and `on_exit` are called on threads of this object, never on the caller's. After
    its end a Child can be started again. Messages sent before the child listens wait for it.
    """

    def __init__(
        self,
        role: Role | str,
        on_event: OnEvent,
        on_exit: OnExit,
        command: Sequence[str] | None = None,
    ) -> None:
        self.role: Final = role
        self._on_event, self._on_exit = on_event, on_exit
        self._command = list(command) if command is not None else engine_command(role)
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._unsent: list[bytes] = []
        self._threads: list[threading.Thread] = []
        self._timers: dict[str, threading.Timer] = {}
        self._closing = False
        self._killed_for = ""
        self._saving = ""
        """The job that writes what it has."""

    # the process -------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the process; nothing happens when it runs. OSError when it cannot start."""
        if self.alive:
            return
        self._join()  # threads of the last process; not under the lock, which they need
        with self._lock:
            self._closing, self._killed_for, self._saving = False, "", ""
            self._connection = None
            key = secrets.token_bytes(32)
            listener = Listener(authkey=key)
            errors = tempfile.TemporaryFile()  # noqa: SIM115  the watching thread closes it
            try:
                self._process = self._spawn(str(listener.address), key, errors)
            except OSError:
                listener.close()
                errors.close()
                raise
            self._threads = [
                threading.Thread(target=self._listen, args=(listener,), name="engine-listen"),
                threading.Thread(
                    target=self._watch,
                    args=(self._process, str(listener.address), key, errors),
                    name="engine-watch",
                ),
            ]
            for thread in self._threads:
                thread.daemon = True
                thread.start()

    def _spawn(self, address: str, key: bytes, errors: IO[bytes]) -> subprocess.Popen[bytes]:
        environment = {**os.environ, ADDRESS: address, KEY: key.hex()}
        flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
        return subprocess.Popen(
            self._command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            creationflags=flags,
        )

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def close(self, timeout: float = 3.0) -> None:
        """End the child: ask, then kill after `timeout` seconds. Returns when it is gone."""
        with self._lock:
            self._closing = True
            process = self._process
            for timer in self._timers.values():
                timer.cancel()
        if process is None:
            return
        with contextlib.suppress(OSError):
            self.send(protocol.Close())
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._join()

    def _join(self) -> None:
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()
        self._threads = []

    # talking -----------------------------------------------------------------------------------

    def send(self, request: Message) -> None:
        """Send a request. ConnectionError when the child is not running."""
        data = protocol.encode(request)
        with self._lock:
            if not self.alive:
                raise ConnectionError(f"The {self.role} is not running")
            if self._connection is None:
                self._unsent.append(data)
            else:
                self._connection.send_bytes(data)

    def cancel(self, job: str) -> None:
        """Ask the child to stop a job, and kill it when in 2 s it has neither ended the job nor
        begun to write what it has. What is being written is waited for."""
        with self._lock:
            if not self.alive or job in self._timers or job == self._saving:
                return
            timer = threading.Timer(CANCEL_SECONDS, self._kill_for, args=(job,))
            timer.daemon = True
            self._timers[job] = timer
            timer.start()
        with contextlib.suppress(OSError):
            self.send(protocol.Cancel(job))

    def _kill_for(self, job: str) -> None:
        with self._lock:
            if job in self._timers and self._process is not None and self.alive:
                self._killed_for = job
                self._process.kill()

    def _answered(self, event: Message) -> None:
        if isinstance(event, _HEARD):
            with self._lock:
                if isinstance(event, protocol.Saving):
                    self._saving = event.job
                elif event.job == self._saving:
                    self._saving = ""
                timer = self._timers.pop(event.job, None)
            if timer is not None:
                timer.cancel()

    # threads -----------------------------------------------------------------------------------

    def _listen(self, listener: Listener) -> None:
        """Take the child's connection and hand on its events until it ends."""
        with listener:
            try:
                connection = listener.accept()
            except (OSError, EOFError):
                return
        with connection:
            with self._lock:
                unsent, self._unsent = self._unsent, []
                self._connection = connection
                with contextlib.suppress(OSError):
                    for data in unsent:
                        connection.send_bytes(data)
            with contextlib.suppress(EOFError, OSError):
                while (event := self._understood(connection.recv_bytes())) is not None:
                    self._answered(event)
                    self._on_event(event)

    def _understood(self, data: bytes) -> Message | None:
        """The event; a child that talks nonsense is ended, which `on_exit` reports."""
        try:
            return protocol.decode(data)
        except UserError:
            if self._process is not None:
                self._process.terminate()
            return None

    def _watch(
        self, process: subprocess.Popen[bytes], address: str, key: bytes, errors: IO[bytes]
    ) -> None:
        """Wait for the end of the process and tell why it came."""
        code = process.wait()
        if self._connection is None:  # it died before it called: nobody else wakes the listener
            with contextlib.suppress(OSError, EOFError):
                Client(address, authkey=key).close()
        listening = self._threads[0] if self._threads else None
        if listening is not None:
            listening.join()  # events that are still in the pipe come before the end
        with self._lock:
            self._connection = None
            self._unsent.clear()
            timers, self._timers = list(self._timers.values()), {}
        for timer in timers:
            timer.cancel()
        with errors:
            said = last_lines(errors)
        if self._closing:
            code = 0
        self._on_exit(code, describe_exit(self.role, code, said, self._killed_for))


def engine_command(role: str) -> list[str]:
    """How a child is started: by this Python, or by the engine program of a bundle."""
    if getattr(sys, "frozen", False):
        name = "segstudio-engine.exe" if sys.platform == "win32" else "segstudio-engine"
        return [str(Path(sys.executable).with_name(name)), role]
    return [sys.executable, "-m", "segstudio.engine.main", role]


def last_lines(file: IO[bytes], count: int = _LAST_LINES) -> str:
    """The end of what a child printed."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 8192))
    lines = file.read().decode("utf-8", "replace").splitlines()
    return "\n".join(lines[-count:])


def describe_exit(role: str, code: int, said: str, killed_for: str = "") -> str:
    """A sentence on how a child ended and what to do, with its last words."""
    if code == 0:
        return f"The {role} has ended."
    if killed_for:
        return f"The {role} did not stop in {CANCEL_SECONDS:.0f} s and was ended. Start it again."
    if code == -getattr(signal, "SIGKILL", 9) or "MemoryError" in said:
        return (
            f"The {role} was killed, most likely because memory ran out. Close other programs, "
            "or take a smaller network, batch or crop; then start it again."
        )
    how = f"by {_signal_name(-code)}" if code < 0 else f"with exit code {code}"
    words = f"\n{said}" if said else ""
    return f"The {role} ended unexpectedly {how}. Start it again.{words}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
