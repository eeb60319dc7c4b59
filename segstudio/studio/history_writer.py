"""Undo histories reach the disk in the background, in the order in which steps were made."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from segstudio.project.project import Project
from segstudio.studio.open_image import OpenImage


class HistoryWriter:
    """One thread that appends to history files; `on_failed` is called on it."""

    def __init__(self, on_failed: Callable[[BaseException], object]) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="history")
        self._on_failed = on_failed

    def write(self, image: OpenImage) -> None:
        """Append the steps that the image's file does not have yet."""
        if image.history.has_news:
            self._pool.submit(image.history.take()).add_done_callback(self._after)

    def begin_anew(self, project: Project, image: OpenImage) -> None:
        """All steps of an image are forgotten; those that come make a new file."""
        image.history = project.histories.fresh(image.key, image.document)
        old = project.histories.path(image.key)
        self._pool.submit(lambda: old.unlink(missing_ok=True))

    def wait(self) -> None:
        """On any thread: until all that was asked for is on the disk."""
        self._pool.submit(lambda: None).result()

    def close(self) -> None:
        """Finish what was asked for, and end the thread."""
        self._pool.shutdown(wait=True)

    def _after(self, done: Future[None]) -> None:
        error = done.exception()
        if error is not None:
            self._on_failed(error)
