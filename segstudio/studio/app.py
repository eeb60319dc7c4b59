"""The program with a window: start it, and let it prove itself."""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QTimer
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication

from segstudio.project import settings
from segstudio.studio import i18n, theme
from segstudio.studio.main_window import MainWindow


def make_app() -> QApplication:
    """The one application object, in the user's look and language."""
    existing = QApplication.instance()
    app = existing if isinstance(existing, QApplication) else QApplication(sys.argv[:1])
    # a thread at work hands the interpreter over sooner: no frame waits for a file being written
    sys.setswitchinterval(0.0005)
    app.setApplicationName("segstudio")
    app.setDesktopFileName("segstudio")
    now = settings.load()
    i18n.use_language(str(now["language"] or "system"))
    theme.choose(app, str(now["theme"]))
    return app


def make_window(app: QApplication) -> MainWindow:
    """The window, as it was left."""
    window = MainWindow()
    theme.dress(app)
    window.canvas.ground = QColor(theme.current().canvas)
    state = settings.load().get("layout")
    if isinstance(state, dict):
        window.restore_layout(state)
    window.start.reload()
    return window


def main(folder: Path | None = None) -> int:
    """Run the window until it is closed; returns the exit code."""
    app = make_app()
    window = make_window(app)
    _report_errors(window)
    app.aboutToQuit.connect(window.close)
    signal.signal(signal.SIGINT, lambda *_: window.close())
    heartbeat = QTimer(interval=300)  # lets Python see signals while Qt waits
    heartbeat.timeout.connect(lambda: None)
    heartbeat.start()
    if folder is not None:
        window.await_project(folder)
        window.when_painted(lambda: window.open_folder(folder))
    window.show()
    return app.exec()


def self_test() -> int:
    """Open the sample in the real window, segment one picture, export it; 0 when all works."""
    from segstudio.studio.selftest import run

    return run(make_app())


def _report_errors(window: MainWindow) -> None:
    """An error nobody foresaw is shown and printed; work goes on."""

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        traceback.print_exception(kind, error, trace)
        if threading.current_thread() is threading.main_thread():
            words = i18n.tr("Something went wrong: {what}", what=f"{kind.__name__}: {error}")
            window.status.say(words, "bad")

    sys.excepthook = show
