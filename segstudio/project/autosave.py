"""Saves the newest annotation of every image within a second of its last edit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from segstudio.annotation.document import Annotation

DELAY: Final = 0.8
RETRY: Final = 5.0


class Target(Protocol):
    """What can save: a `Project`."""

    def save(self, key: str, annotation: Annotation) -> None: ...


class Saver:
    """One background thread that writes; of several annotations of one image the newest wins.

    A key stays dirty until its newest annotation is on the disk. `on_saved` and `on_failed` are
    called on the writer's thread. A failed save is tried again every `RETRY` seconds, and at
    once by `flush`.
    """

    def __init__(
        self,
        target: Target,
        *,
        delay: float = DELAY,
        on_saved: Callable[[str], None] = lambda key: None,
        on_failed: Callable[[str, Exception], None] = lambda key, error: None,
    ) -> None:
        self._target = target
        self._delay = delay
        self._on_saved = on_saved
        self._on_failed = on_failed
        self._waiting: dict[str, tuple[float, Annotation]] = {}
        self._failed: set[str] = set()
        self._writing: str | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="autosave", daemon=True)
        self._thread.start()

    def put(self, key: str, annotation: Annotation) -> None:
        """Save this annotation of `key` soon.

        The wait counts from the first edit not yet saved, so steady drawing cannot postpone it.
        """
        with self._changed:
            due = time.monotonic() + self._delay
            if key in self._waiting and key not in self._failed:
                due = self._waiting[key][0]
            self._waiting[key] = (due, annotation)
            self._changed.notify_all()

    def drop(self, key: str) -> None:
        """Forget what waits for `key`: the person took what is on the disk instead."""
        with self._changed:
            self._changed.wait_for(lambda: self._writing != key)
            self._waiting.pop(key, None)
            self._failed.discard(key)
            self._changed.notify_all()

    @property
    def dirty(self) -> frozenset[str]:
        """Keys whose newest annotation is not on the disk yet."""
        with self._changed:
            return frozenset(self._waiting) | ({self._writing} if self._writing else frozenset())

    def hurry(self) -> None:
        """Save everything as soon as can be, without waiting for it."""
        with self._changed:
            self._waiting = {
                key: (0.0, annotation) for key, (_, annotation) in self._waiting.items()
            }
            self._changed.notify_all()

    def flush(self, timeout: float | None = None) -> bool:
        """Save everything now; False when something failed or the time was over."""
        with self._changed:
            self._failed.clear()
            self.hurry()
            self._changed.wait_for(self._is_settled, timeout)
            return not self._waiting and self._writing is None

    def close(self, timeout: float | None = 30.0) -> bool:
        """Flush and end the thread; whether everything was saved."""
        saved = self.flush(timeout)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout)
        return saved

    def _is_settled(self) -> bool:
        return self._writing is None and self._waiting.keys() <= self._failed

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._closed or self._next_is_due()):
                    self._changed.wait(self._time_to_next())
                if self._closed:
                    return
                key = min(self._waiting, key=lambda k: self._waiting[k][0])
                annotation = self._waiting.pop(key)[1]
                self._writing = key
                self._failed.discard(key)
            self._write(key, annotation)

    def _write(self, key: str, annotation: Annotation) -> None:
        failure: Exception | None = None
        try:
            self._target.save(key, annotation)
        except Exception as error:  # whatever it is, the work must stay dirty and be tried again
            failure = error
        with self._changed:
            self._writing = None
            if failure is not None:
                again = (time.monotonic() + RETRY, annotation)
                self._waiting.setdefault(key, again)
                self._failed.add(key)
            self._changed.notify_all()
        if failure is None:
            self._on_saved(key)
        else:
            self._on_failed(key, failure)

    def _next_is_due(self) -> bool:
        return bool(self._waiting) and min(self._dues()) <= time.monotonic()

    def _time_to_next(self) -> float | None:
        return max(0.0, min(self._dues()) - time.monotonic()) if self._waiting else None

    def _dues(self) -> list[float]:
        return [due for due, _ in self._waiting.values()]
