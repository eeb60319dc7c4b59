"""Locks that die with their process; one of them keeps a project to one window."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from segstudio.errors import UserError

if TYPE_CHECKING:
    from filelock import FileLock


def file_lock(path: Path, seconds: float = 0) -> FileLock:
    """An operating-system lock on the file `path`; `acquire` waits at most so long. Each is one of
    its own, even in one process, and any thread may release it. Its folder must be there."""
    from filelock import FileLock  # the window's start does not wait for it

    return FileLock(path, timeout=seconds, is_singleton=False, thread_local=False)


@contextmanager
def held(path: Path, busy: UserError, seconds: float = 0) -> Iterator[None]:
    """Hold the lock file `path`, creating its folder; `busy` when another holds it too long."""
    from filelock import Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = file_lock(path, seconds)
    try:
        lock.acquire()
    except Timeout:
        raise busy from None
    try:
        yield
    finally:
        lock.release()


class ProjectLock:
    """An operating-system lock on `.segstudio/lock`; a killed process frees it by dying."""

    def __init__(self, root: Path) -> None:
        self._folder = root / ".segstudio"
        self._lock = file_lock(self._folder / "lock")

    def acquire(self) -> bool:
        """Whether this process holds the project now."""
        from filelock import Timeout

        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except Timeout:
            return False
        self._note.write_text(_who_we_are(), encoding="utf-8")
        return True

    def release(self) -> None:
        """Give the project back; nothing happens when it is not held."""
        if self._lock.is_locked:
            self._note.unlink(missing_ok=True)
            self._lock.release()

    @property
    def held(self) -> bool:
        return bool(self._lock.is_locked)

    def holder(self) -> str:
        """Who holds the project, for a person to read; "" when nobody left a note."""
        try:
            return self._note.read_text(encoding="utf-8").strip()
        except OSError:
            return ""

    @property
    def _note(self) -> Path:
        # beside the lock, not in it: Windows lets nobody read a locked file
        return self._folder / "lock.txt"

    def __enter__(self) -> ProjectLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _who_we_are() -> str:
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return f"process {os.getpid()} on {platform.node()}, since {since}"
