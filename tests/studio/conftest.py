"""A real window on small projects; every wait is for a condition, never for a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from segstudio.project.project import Project
from segstudio.studio import i18n, theme
from segstudio.studio.main_window import MainWindow

Click = Callable[..., None]


def make_project(root: Path, count: int = 3, classes: tuple[str, ...] = ("cell", "dirt")) -> Path:
    """A project with pictures of one bright disc each."""
    (root / "images").mkdir(parents=True)
    down, across = np.mgrid[:90, :120]
    for number in range(count):
        disc = (across - 40 - 10 * number) ** 2 + (down - 40) ** 2 < 15**2
        grey = np.where(disc, 200, 40).astype(np.uint8)
        Image.fromarray(np.stack([grey] * 3, axis=-1)).save(root / "images" / f"{number}.png")
    Project.create(root, classes=classes).close()
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_project(tmp_path / "cells")


@pytest.fixture
def window(qtbot: QtBot, qapp: QApplication) -> Iterator[MainWindow]:
    """A shown window with no project; closed at the end."""
    i18n.use_language("en")
    theme.apply(qapp, "dark")
    shown = MainWindow()
    for helper in (shown.guessing, shown.ahead, shown.following, shown.spare):
        helper.enabled = False  # a predictor for every stroke, where no test is about it
    shown.resize(1280, 800)
    shown.show()
    qtbot.waitExposed(shown)
    yield shown
    shown.close()
    shown.deleteLater()
    qapp.processEvents()


@pytest.fixture
def studio(window: MainWindow, root: Path, qtbot: QtBot) -> MainWindow:
    """The window with a project open and its first image shown."""
    window.open_folder(root)
    qtbot.waitUntil(lambda: window.session.image is not None, timeout=20000)
    return window


def followed(window: MainWindow, qtbot: QtBot) -> None:
    """A change of all images is done and shown."""
    session = window.session
    qtbot.waitUntil(lambda: not window.jobs.running() and not session.paused, timeout=60000)
    window._show_allowed_now()


def at(window: MainWindow, x: float, y: float) -> QPoint:
    """The canvas point that shows an image point."""
    sx, sy = window.canvas.view.to_screen(x, y)
    return QPoint(round(sx), round(sy))


def hover(window: MainWindow, x: float, y: float) -> None:
    """The pointer comes to an image point, from a pixel beside it: Qt tells of no move to where
    an earlier window was left."""
    QTest.mouseMove(window.canvas, at(window, x, y) + QPoint(1, 1))
    QTest.mouseMove(window.canvas, at(window, x, y))


def click(window: MainWindow, x: float, y: float) -> None:
    QTest.mouseMove(window.canvas, at(window, x, y))
    QTest.mouseClick(
        window.canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at(window, x, y)
    )


def sweep(window: MainWindow, *places: tuple[float, float]) -> None:
    """Press at the first place, drag through all, release at the last."""
    none, left = Qt.KeyboardModifier.NoModifier, Qt.MouseButton.LeftButton
    QTest.mousePress(window.canvas, left, none, at(window, *places[0]))
    for place in places[1:]:
        QTest.mouseMove(window.canvas, at(window, *place))
    QTest.mouseRelease(window.canvas, left, none, at(window, *places[-1]))


def press(window: MainWindow, key: Qt.Key, keys: Qt.KeyboardModifier | None = None) -> None:
    """A key on the canvas."""
    QTest.keyClick(window.canvas, key, keys or Qt.KeyboardModifier.NoModifier)
