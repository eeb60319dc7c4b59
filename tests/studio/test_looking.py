"""Rulers, bands of deep pictures, and views that come back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PySide6.QtCore import QPointF
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from segstudio.project.project import Project
from segstudio.studio.canvas.rulers import spacing, ticks
from segstudio.studio.canvas.tone import Tone
from segstudio.studio.main_window import MainWindow
from tests.studio.conftest import at, make_project


def go(window: MainWindow, key: str, qtbot: QtBot) -> None:
    window.session.go(key)
    qtbot.waitUntil(
        lambda: window.session.image is not None and window.session.image.key == key,
        timeout=20000,
    )


@pytest.mark.parametrize(
    ("scale", "apart"), [(1 / 64, 5000), (0.2, 500), (1.0, 100), (2.0, 50), (12.0, 5), (64.0, 1)]
)
def test_numbers_on_a_ruler_are_round_and_never_crowded(scale: float, apart: int) -> None:
    assert spacing(scale) == apart
    assert apart * scale >= 56 or scale == 64
    shown = list(ticks(-0.5, 2.2 * apart, scale))
    assert [pixel for pixel, is_long in shown if is_long] == [0, apart, 2 * apart]


def test_rulers_show_and_follow_the_pointer(studio: MainWindow, qtbot: QtBot) -> None:
    assert not studio.ruled.above.isVisible()
    studio.actions_["rulers"].trigger()
    assert studio.ruled.above.isVisible()
    assert studio.ruled.beside.isVisible()
    QTest.mouseMove(studio.canvas, at(studio, 60, 45))
    above, beside = studio.ruled.above, studio.ruled.beside
    qtbot.waitUntil(lambda: above.pointer is not None, timeout=20_000)
    assert above.pointer == pytest.approx(60, abs=1)
    assert beside.pointer == pytest.approx(45, abs=1)
    x, _ = studio.canvas.view.to_screen(60, 45)
    row = above.grab().toImage()
    accent = {row.pixelColor(column, 3).name() for column in range(round(x) - 2, round(x) + 4)}
    assert len(accent) == 2  # the mark and the ground
    studio.canvas.zoom(3, QPointF(10, 10))
    assert row != above.grab().toImage()
    studio.actions_["rulers"].trigger()
    assert not studio.ruled.above.isVisible()


def test_the_view_of_an_image_comes_back_when_asked(
    studio: MainWindow, root: Path, qtbot: QtBot
) -> None:
    studio.canvas.zoom(3, QPointF(100, 100))
    go(studio, "images/1.png", qtbot)
    go(studio, "images/0.png", qtbot)
    fitted = studio.canvas.view
    assert not (root / ".segstudio" / "views.json").exists()
    studio.actions_["remember_view"].trigger()
    studio.canvas.zoom(3, QPointF(100, 100))
    studio.canvas.set_tone(Tone(0.2, 0.1, 1.5))
    seen = studio.canvas.view
    go(studio, "images/1.png", qtbot)
    studio.canvas.set_tone(Tone())
    assert studio.canvas.view != seen
    go(studio, "images/0.png", qtbot)
    assert studio.canvas.view.scale == seen.scale != fitted.scale
    assert studio.canvas.view.x == pytest.approx(seen.x, abs=1)
    assert studio.canvas.tone == Tone(0.2, 0.1, 1.5)
    studio.actions_["close"].trigger()
    assert (root / ".segstudio" / "views.json").exists()
    studio.open_folder(root)
    qtbot.waitUntil(lambda: studio.session.image is not None, timeout=20000)
    assert studio.canvas.view.scale == seen.scale


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """A project with a TIFF of five bands: a ramp, and one band of a bright square."""
    root = make_project(tmp_path / "cells", count=1)
    ramp = np.tile(np.linspace(0, 40000, 120).astype(np.uint16), (90, 1))
    square = np.zeros_like(ramp)
    square[30:60, 40:80] = 60000
    stack = np.stack([ramp, ramp, ramp, ramp, square], axis=-1)
    file = root / "images" / "a.tif"
    tifffile.imwrite(file, stack, photometric="minisblack", planarconfig="contig")
    return root


def green(window: MainWindow, x: float, y: float) -> int:
    return window.canvas.grab().toImage().pixelColor(at(window, x, y)).green()


def test_bands_and_values_of_a_deep_picture_are_chosen_for_the_eye_only(
    window: MainWindow, deep: Path, qtbot: QtBot
) -> None:
    window.open_folder(deep)
    qtbot.waitUntil(lambda: window.session.image is not None, timeout=20000)
    window.actions_["tone"].trigger()
    dialog = window.looking._dialog
    assert dialog is not None
    go(window, "images/0.png", qtbot)
    qtbot.waitUntil(lambda: not dialog.bands.isVisible(), timeout=20_000)
    go(window, "images/a.tif", qtbot)
    window.looking.developing.look()
    qtbot.waitUntil(dialog.bands.isVisible, timeout=20_000)
    assert dialog.bands.channels[0].count() == 5
    before = green(window, 60, 45)
    dialog.bands.channels[1].setCurrentIndex(4)
    dialog.bands.channels[1].activated.emit(4)
    qtbot.waitUntil(lambda: green(window, 60, 45) > 200 > before, timeout=20_000)
    assert green(window, 10, 10) < 20
    dialog.bands.white.setValue(60000)
    dialog.bands.black.setValue(59990)
    qtbot.waitUntil(lambda: window.looking.developing.bands.black == 59990, timeout=20_000)
    assert green(window, 60, 45) == 255
    with Project.open(deep, read_only=True) as project:
        plain = project.read_image("images/a.tif")
    assert plain[45, 60, 1] == plain[45, 60, 0]  # models see what they always saw
    go(window, "images/0.png", qtbot)
    go(window, "images/a.tif", qtbot)
    qtbot.waitUntil(lambda: green(window, 60, 45) > 200, timeout=20_000)
    dialog.reset()
    qtbot.waitUntil(lambda: abs(green(window, 60, 45) - before) < 3, timeout=20_000)


def test_many_classes_have_more_room_until_a_person_moves_the_border(
    studio: MainWindow, qtbot: QtBot
) -> None:
    few = studio.right.sizes()[0]
    for number in range(30):
        studio.session.choices.add_class(f"class {number}")
    qtbot.waitUntil(lambda: studio.right.sizes()[0] > few + 50, timeout=20_000)
    above, below = studio.right.sizes()
    assert above < below, "the tabs keep what they need"
    studio.resize(1280, 1100)
    qtbot.waitUntil(  # but not more than half
        lambda: abs(studio.right.sizes()[0] - studio.right.sizes()[1]) < 20, timeout=20_000
    )
    assert studio.layout_state()["side"] == []
    studio.right.setSizes([200, 500])
    studio.right.splitterMoved.emit(200, 1)
    mine = studio.right.sizes()
    studio.session.choices.add_class("one more")
    studio.right._due.start()
    qtbot.waitUntil(lambda: not studio.right._due.isActive(), timeout=20_000)
    assert studio.right.sizes() == mine
    assert studio.layout_state()["side"] == mine
