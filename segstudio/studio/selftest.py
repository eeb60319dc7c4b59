"""The program proves itself: the sample in the real window, one picture segmented, exported."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from PySide6.QtCore import QEventLoop
from PySide6.QtWidgets import QApplication

from segstudio.project import sample
from segstudio.studio import theme
from segstudio.studio.jobs import Job
from segstudio.studio.main_window import MainWindow

_PATIENCE: Final = 180.0


class _TestFailed(Exception):
    """A step of the self-test did not happen."""


def run(app: QApplication) -> int:
    """Go through the steps; says each on stderr and returns 0 or 1."""
    window = MainWindow()
    theme.dress(app)
    window.show()
    try:
        with tempfile.TemporaryDirectory() as folder:
            _steps(app, window, Path(folder))
    except _TestFailed as error:
        sys.stderr.write(f"self-test: {error}\n")
        return 1
    finally:
        window.close()
        app.processEvents()
    return 0


def _steps(app: QApplication, window: MainWindow, folder: Path) -> None:
    window.open_folder(sample.open_copy(folder / "sample"))
    _wait(app, "open the sample", lambda: window.session.image is not None)
    image = window.session.image
    if image is None or window.work.model() is None:
        raise _TestFailed("the sample has no picture or no model")
    _finish(app, window, "segment one picture", window.work.segment([image.key]))
    _wait(app, "show drafts", lambda: bool(image.document.drafts))
    window.session.reviewing.set_confirmed(True)
    window.session.reviewing.accept(list(image.document.drafts), "Accept all drafts")
    out = folder / "masks"
    _finish(app, window, "export", window.work.export("index_png", str(out), True))
    if not any(out.rglob("*.png")):
        raise _TestFailed("the export is empty")
    window.session.close_project()


def _finish(app: QApplication, window: MainWindow, what: str, job: Job | None) -> None:
    if job is None:
        raise _TestFailed(f"cannot {what}: {window.work.no_segment()}")
    _wait(app, what, lambda: window.jobs.jobs[job.id].is_over)
    end = window.jobs.jobs[job.id]
    if end.state != "done" or end.failures:
        raise _TestFailed(f"{what}: {end.state} {end.text} {end.failures}")


def _wait(app: QApplication, what: str, happened: Callable[[], bool]) -> None:
    limit = time.monotonic() + _PATIENCE
    while not happened():
        app.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 50)
        if time.monotonic() > limit:
            raise _TestFailed(f"{what}: nothing happened in {_PATIENCE:.0f} s")
    sys.stderr.write(f"self-test: {what}: ok\n")
