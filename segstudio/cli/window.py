"""`open` and `--self-test`: the only commands that load Qt."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

from segstudio.cli import doctor
from segstudio.cli.console import FAILED, OK, Result, note, say
from segstudio.errors import UserError

_WITHOUT_QT = ("segstudio.project.project", "segstudio.tools", "segstudio.engine.child")
"""Rooms loaded first: PySide reads the source of every module that is imported after it."""


def open_window(folder: Path | None, json: bool) -> Result:
    if folder is not None and not folder.is_dir():
        raise UserError("There is no such folder", path=folder)
    if not has_display():
        remedy = "Set DISPLAY, or use the commands without a window: segstudio --help."
        raise UserError("There is no display to open a window on", remedy=remedy)
    gc.disable()  # nothing of what is imported now is garbage
    app = _app()
    gc.enable()
    gc.freeze()
    code: int = app.main(folder)
    return code, None


def self_test(json: bool) -> Result:
    """Load the big libraries; open the sample offscreen in the real window, segment one picture,
    export it."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    for name in ("torch", "opencv"):
        why = doctor.library_fails(name)
        if why:
            note(f"self-test: {name}: {why}")
            return FAILED, {"passed": False}
    code: int = _app().self_test()
    say("self-test passed" if code == 0 else "self-test FAILED")
    return (OK if code == 0 else FAILED), {"passed": code == 0}


def has_display() -> bool:
    """Whether a window could be seen; true when Qt was told to paint elsewhere."""
    if os.environ.get("QT_QPA_PLATFORM"):
        return True
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _app() -> ModuleType:
    for name in _WITHOUT_QT:
        import_module(name)
    try:
        return import_module("segstudio.studio.app")
    except ImportError as error:
        if "PySide6" not in str(error) and ".so" not in str(error):
            raise
        remedy = "Run `segstudio doctor`: it names what is missing and how to install it."
        raise UserError(f"The window cannot be loaded: {error}", remedy=remedy) from error
