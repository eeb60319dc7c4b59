"""What the eye sees: tone, overview, lines between pixels."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QSlider
from pytestqt.qtbot import QtBot

from segstudio.studio.canvas.tone import Tone
from segstudio.studio.dialogs.tone import ToneDialog
from segstudio.studio.main_window import MainWindow
from tests.studio.conftest import at, click, press, sweep

share = st.floats(-1, 1)


@given(share, share, st.floats(0.25, 4))
def test_a_tone_never_turns_the_order_of_greys(
    brightness: float, contrast: float, gamma: float
) -> None:
    table = Tone(brightness, contrast, gamma).table()
    assert table.shape == (256,)
    assert (np.diff(table.astype(int)) >= 0).all()


def test_a_tone_at_rest_changes_nothing() -> None:
    assert Tone().is_plain
    assert Tone().table().tolist() == list(range(256))


def test_what_a_tool_leaves_behind_is_painted_over(studio: MainWindow, qtbot: QtBot) -> None:
    """Only what may look different is painted; the screen still is as if all had been."""

    def screen() -> QImage:
        whole = studio.screen().grabWindow(studio.winId()).toImage()
        ratio = whole.devicePixelRatio()
        place = studio.canvas.mapTo(studio, QPoint(0, 0)) * ratio
        return whole.copy(QRect(place, studio.canvas.size() * ratio))

    def look() -> None:
        qtbot.waitUntil(lambda: studio.canvas._rough is None, timeout=20_000)
        QApplication.processEvents()
        partly = screen()
        studio.canvas.repaint()
        assert partly == screen()

    canvas = studio.canvas
    studio.resize(1279, 797)  # on finer screens no whole number of their pixels
    press(studio, Qt.Key.Key_B)
    for x, y in ((20, 20), (100, 70), (60, 30)):
        QTest.mouseMove(canvas, at(studio, x, y))
        look()
    sweep(studio, (40, 40), (50, 45), (90, 42))
    look()
    press(studio, Qt.Key.Key_P)
    look()
    for x, y in ((10, 10), (60, 12), (40, 70)):
        click(studio, x, y)
        look()
    QTest.mouseMove(canvas, at(studio, 110, 80))
    look()
    press(studio, Qt.Key.Key_Return)
    look()
    press(studio, Qt.Key.Key_V)
    sweep(studio, (60, 12), (80, 20), (100, 5))
    look()
    sweep(studio, (2, 88), (60, 40), (118, 2))
    look()
    press(studio, Qt.Key.Key_Escape)
    look()
    press(studio, Qt.Key.Key_W)
    QTest.mouseMove(canvas, at(studio, 30, 30))
    look()
    press(studio, Qt.Key.Key_V)
    look()
    studio.actions_["undo"].trigger()
    look()


@pytest.mark.parametrize("scale", ["1.75", "2"])
def test_so_it_is_on_finer_screens(scale: str) -> None:
    """The scale of a screen is fixed when Qt starts: the test above, in a process of its own."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    ran = subprocess.run(
        [*command, "-k", "leaves_behind"],
        env={**os.environ, "QT_SCALE_FACTOR": scale, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:]
    assert "1 passed" in ran.stdout


def grey_at(window: MainWindow, x: float, y: float) -> int:
    return window.canvas.grab().toImage().pixelColor(at(window, x, y)).green()


@pytest.mark.parametrize("scale", [1.5, 5.0])
def test_brightness_is_for_the_eye_only(studio: MainWindow, scale: float, qtbot: QtBot) -> None:
    studio.canvas.zoom(scale / studio.canvas.view.scale)
    before = grey_at(studio, 100, 80)
    studio.actions_["tone"].trigger()
    dialog = studio.findChild(ToneDialog)
    assert dialog is not None
    dialog.brightness.setValue(40)
    brighter = grey_at(studio, 100, 80)
    assert brighter > before + 80
    assert studio.session.project is not None
    assert studio.session.project.read_image("images/0.png")[80, 100, 1] == before
    studio.session.step(1)
    qtbot.waitUntil(
        lambda: studio.session.image is not None and studio.session.image.key == "images/1.png"
    )
    assert grey_at(studio, 110, 85) == brighter  # the next image is shown so too
    dialog.reset()
    assert grey_at(studio, 110, 85) == before
    assert [slider.value() for slider in dialog.findChildren(QSlider)] == [0, 0, 0]
    dialog.close()


def test_the_overview_shows_where_one_is_and_takes_one_elsewhere(studio: MainWindow) -> None:
    canvas = studio.canvas
    studio.actions_["overview"].trigger()
    image = studio.session.image
    assert image is not None
    assert canvas.overview.place(image.picture, canvas.view, canvas.size()) is None
    canvas.zoom(3)
    place = canvas.overview.place(image.picture, canvas.view, canvas.size())
    assert place is not None
    corner = place.topLeft() + QPoint(place.width() // 4, place.height() // 4)
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, corner)
    x, y = canvas.view.to_image(canvas.width() / 2, canvas.height() / 2)
    assert abs(x - 30) < 4
    assert abs(y - 22.5) < 4
    QTest.mouseMove(canvas, place.center())
    x, y = canvas.view.to_image(canvas.width() / 2, canvas.height() / 2)
    assert abs(x - 60) < 4
    QTest.mouseRelease(
        canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place.center()
    )
    assert not image.document.shapes
    disc = (
        canvas.grab()
        .toImage()
        .pixelColor(place.topLeft() + QPoint(40 * place.width() // 120, 40 * place.height() // 90))
    )
    assert disc.green() > 150  # the picture's bright disc
    studio.actions_["overview"].trigger()
    assert canvas.overview.place(image.picture, canvas.view, canvas.size()) is None


def test_pixels_are_parted_from_near_only(studio: MainWindow) -> None:
    canvas = studio.canvas

    def greys() -> set[int]:
        shown = canvas.grab().toImage()
        y = at(studio, 60, 45.5).y()
        return {shown.pixelColor(x, y).green() for x in range(440, 520)}

    canvas.zoom(12 / canvas.view.scale)
    assert len(greys()) == 1
    canvas.zoom(20 / canvas.view.scale)
    assert len(greys()) > 1
