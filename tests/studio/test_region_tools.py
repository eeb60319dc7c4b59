"""The tools that look at the picture, in the window with real events on a real project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from segstudio.annotation.rasterise import label_map
from segstudio.project.tiles import TileReader
from segstudio.studio.canvas.picture import Picture
from segstudio.studio.canvas.tiled import TiledPicture
from segstudio.studio.main_window import MainWindow
from tests.studio.conftest import at, click, press, sweep


def disc() -> np.ndarray:
    """The bright disc of the first picture."""
    down, across = np.mgrid[:90, :120]
    return np.asarray((across - 40) ** 2 + (down - 40) ** 2 < 15**2)


def drawn(window: MainWindow) -> np.ndarray:
    assert window.session.image is not None
    return label_map(window.session.image.document.shapes, {"cell": 1}, (90, 120)) == 1


def share(window: MainWindow) -> float:
    """Intersection over union with the disc."""
    found = drawn(window)
    return float((found & disc()).sum() / (found | disc()).sum())


def test_each_tool_by_its_key_marks_the_disc_and_undo_takes_it_back(studio: MainWindow) -> None:
    press(studio, Qt.Key.Key_W)
    assert studio.canvas.tool_name == "wand"
    click(studio, 40, 40)
    assert share(studio) == 1.0
    studio.actions_["undo"].trigger()
    assert not drawn(studio).any()

    press(studio, Qt.Key.Key_Q)
    assert studio.canvas.tool_name == "superpixels"
    sweep(studio, (32, 40), (40, 32), (48, 40), (40, 48), (40, 40))
    assert share(studio) > 0.6
    assert drawn(studio)[disc()].sum() > 0.95 * drawn(studio).sum()
    studio.actions_["undo"].trigger()

    press(studio, Qt.Key.Key_S)
    assert studio.canvas.tool_name == "scissors"
    for x, y in [(55, 40), (40, 55), (25, 40), (40, 25)]:
        click(studio, x, y)
    press(studio, Qt.Key.Key_Return)
    assert share(studio) > 0.85
    studio.actions_["undo"].trigger()

    press(studio, Qt.Key.Key_G)
    assert studio.canvas.tool_name == "smart_box"
    sweep(studio, (20, 20), (40, 40), (60, 60))
    assert share(studio) > 0.95
    studio.actions_["undo"].trigger()
    assert not drawn(studio).any()


def test_the_live_wand_is_drawn_and_escape_takes_it_back(studio: MainWindow) -> None:
    press(studio, Qt.Key.Key_W)
    none, left = Qt.KeyboardModifier.NoModifier, Qt.MouseButton.LeftButton
    QTest.mousePress(studio.canvas, left, none, at(studio, 40, 40))
    QTest.mouseMove(studio.canvas, at(studio, 45, 40))
    studio.canvas.grab()
    assert drawn(studio).any()
    press(studio, Qt.Key.Key_Escape)
    assert not drawn(studio).any()
    assert studio.session.image is not None
    assert studio.session.image.document.undo_name is None


@pytest.mark.parametrize("name", ["brush", "wand", "superpixels"])
def test_after_escape_a_new_shape_begins(studio: MainWindow, name: str) -> None:
    studio.actions_[name].trigger()
    image = studio.session.image
    assert image is not None
    for (x, y), count in [((40, 40), 1), ((40, 44), 1), ((100, 70), 2)]:
        if count > 1:
            press(studio, Qt.Key.Key_Escape)
        click(studio, x, y)
        assert len(image.document.shapes) == count


@pytest.mark.parametrize("name", ["wand", "superpixels", "scissors", "smart_box"])
def test_a_picture_still_on_its_way_is_said_in_the_window(
    studio: MainWindow, name: str, qtbot: QtBot
) -> None:
    image = studio.session.image
    assert image is not None
    image.picture = Picture.preview(120, 90, np.zeros((30, 40, 3), np.uint8))
    studio.actions_[name].trigger()
    with qtbot.waitSignal(studio.canvas.refused) as said:
        click(studio, 40, 40)
    assert "still being read" in said.args[0]
    image.picture.complete([np.full((90, 120, 3), 90, np.uint8)])
    assert studio.canvas.tool is not None
    assert studio.canvas.tool.refusal == ""


def test_pixels_of_tiles_come_when_they_were_asked_for(tmp_path: Path) -> None:
    rgb = np.random.default_rng(5).integers(0, 256, (96, 160, 3), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", rgb, tile=(32, 32), photometric="rgb")
    woken: list[TiledPicture] = []
    picture = TiledPicture(TileReader(tmp_path / "a.tif"), woken.append)
    box = (20, 10, 100, 70)
    assert picture.pixels(box) is None
    assert woken == [picture]
    while (take := picture.work()) is not None:
        take()
    found = picture.pixels(box)
    assert found is not None
    assert np.array_equal(found, rgb[10:70, 20:100])
    picture.close()
    assert picture.work() is None
