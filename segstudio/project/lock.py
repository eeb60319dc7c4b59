"""One window per project: a lock that dies with its process."""

from __future__ import annotations

import os
import platform
from datetime import datetime
from pathlib import Path


class ProjectLock:
    """An operating-system lock on `.segstudio/lock`; a killed process frees it by dying."""

    def __init__(self, root: Path) -> None:
        from filelock import FileLock  # the window's start does not wait for it

        self._folder = root / ".segstudio"
        # one lock per object: two windows of one process are two windows too
        self._lock = FileLock(self._folder / "lock", timeout=0, is_singleton=False)

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
