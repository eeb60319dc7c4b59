"""Shapes of all images: found while typing, gone to, changed, deleted, counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import Shape, as_points, mask_shape
from segstudio.project.project import Project
from segstudio.studio.dialogs.find_shapes import FindShapes
from segstudio.studio.dialogs.statistics import Statistics
from segstudio.studio.main_window import MainWindow
from tests.studio.conftest import press, sweep
from tests.studio.test_bulk import followed, labels, shows


def square(name: str, side: int, at: int = 5) -> Shape:
    end = at + side - 1
    return Shape(name, "rectangle", as_points([[at, at], [end, end]]))


@pytest.fixture
def labelled(root: Path) -> Path:
    """Squares of 10 and 20 pixels a side, and a mask of a model in the second image."""
    guess = mask_shape("dirt", Bitmap.from_array(np.ones((5, 4), np.bool_), 60, 60), source="model")
    with Project.open(root) as project:
        project.save(
            "images/0.png", Annotation(120, 90, (square("cell", 10), square("dirt", 20, 40)))
        )
        project.save("images/1.png", Annotation(120, 90, (square("cell", 20), guess)))
    return root


@pytest.fixture
def studio_with(window: MainWindow, labelled: Path, qtbot: QtBot) -> MainWindow:
    window.open_folder(labelled)
    qtbot.waitUntil(lambda: window.session.image is not None, timeout=20000)
    return window


def found(window: MainWindow) -> FindShapes:
    dialog = window.class_wishes._find
    assert dialog is not None
    return dialog


def counted(window: MainWindow) -> Statistics:
    dialog = window.class_wishes._statistics
    assert dialog is not None
    return dialog


def areas(dialog: FindShapes) -> list[int]:
    return [hit.area for hit in dialog.model.hits]


def test_hits_follow_what_is_typed_and_what_is_drawn(studio_with: MainWindow, qtbot: QtBot) -> None:
    studio_with.actions_["find_shapes"].trigger()
    dialog = found(studio_with)
    qtbot.waitUntil(lambda: areas(dialog) == [400, 400, 100, 20], timeout=60000)
    QTest.keyClicks(dialog.words, "dirt")
    qtbot.waitUntil(lambda: areas(dialog) == [400, 20], timeout=20_000)
    dialog.source.setCurrentIndex(dialog.source.findData("model"))
    qtbot.waitUntil(lambda: areas(dialog) == [20], timeout=20_000)
    dialog.source.setCurrentIndex(0)
    dialog.words.clear()
    dialog.choose_class("cell")
    dialog.smallest.setValue(101)
    qtbot.waitUntil(lambda: areas(dialog) == [400], timeout=20_000)
    assert [hit.key for hit in dialog.model.hits] == ["images/1.png"]
    dialog.smallest.setValue(0)
    dialog.largest.setValue(99)
    press(studio_with, Qt.Key.Key_R)
    sweep(studio_with, (70, 70), (72, 72), (75, 75))
    qtbot.waitUntil(lambda: len(areas(dialog)) == 1, timeout=30000)
    dialog.close()


def test_a_hit_opens_its_image_and_is_selected_in_sight(
    studio_with: MainWindow, qtbot: QtBot
) -> None:
    studio_with.actions_["find_shapes"].trigger()
    dialog = found(studio_with)
    qtbot.waitUntil(lambda: len(areas(dialog)) == 4, timeout=60000)
    row = next(i for i, hit in enumerate(dialog.model.hits) if hit.source == "model")
    dialog.list.selectRow(row)
    session = studio_with.session
    qtbot.waitUntil(lambda: bool(session.image and session.image.desk.selection), timeout=20000)
    assert session.image is not None
    assert session.image.key == "images/1.png"
    assert [s.source for _, s in session.image.desk.selected()] == ["model"]
    qtbot.waitUntil(lambda: studio_with.canvas.view.scale > 10, timeout=20_000)
    x, y = studio_with.canvas.view.to_screen(62, 62)
    assert studio_with.canvas.rect().contains(round(x), round(y))
    dialog.close()


def test_hits_change_class_and_go_as_one_undoable_step(
    studio_with: MainWindow, labelled: Path, qtbot: QtBot
) -> None:
    studio_with.actions_["find_shapes"].trigger()
    dialog = found(studio_with)
    dialog.choose_class("cell")
    qtbot.waitUntil(lambda: areas(dialog) == [400, 100], timeout=60000)
    assert dialog.reclass.text() == "Change class of all"
    dialog.reclass.menu().actions()[1].trigger()
    qtbot.waitUntil(lambda: bool(studio_with.session.paused), timeout=20000)
    followed(studio_with, qtbot)
    shows(studio_with, qtbot, "dirt", "dirt")
    assert labels(labelled, 1) == ["dirt", "dirt"]
    qtbot.waitUntil(lambda: areas(dialog) == [], timeout=30000)
    assert studio_with.actions_["undo_bulk"].text() == "Undo: Change class of 2 shapes to dirt"
    studio_with.actions_["undo_bulk"].trigger()
    followed(studio_with, qtbot)
    shows(studio_with, qtbot, "cell", "dirt")
    qtbot.waitUntil(lambda: areas(dialog) == [400, 100], timeout=30000)
    dialog.list.selectRow(1)
    qtbot.waitUntil(lambda: dialog.delete.text() == "Delete", timeout=20_000)
    QTest.mouseClick(dialog.delete, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(studio_with.session.paused), timeout=20000)
    followed(studio_with, qtbot)
    qtbot.waitUntil(lambda: areas(dialog) == [400], timeout=30000)
    assert labels(labelled) == ["dirt"]
    dialog.close()


def test_statistics_their_chart_and_their_file(
    studio_with: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    studio_with.actions_["statistics"].trigger()
    dialog = counted(studio_with)
    qtbot.waitUntil(lambda: [r.shapes for r in dialog.rows] == [2, 2], timeout=60000)
    cell, dirt = dialog.rows
    assert (cell.images, cell.pixels, cell.median_area) == (2, 500, 250.0)
    assert (dirt.images, dirt.pixels, dirt.median_area) == (2, 420, 210.0)
    assert dialog.table.item(0, 4).text() == "2.31%"
    assert [bar[0] for bar in dialog.chart.bars] == ["cell", "dirt"]
    pixels = dialog.chart.grab().toImage()
    colours = {pixels.pixelColor(x, 12).name() for x in range(pixels.width())}
    assert "#e69f00" in colours  # the first class's bar
    dialog.save_as(tmp_path / "classes.csv")
    lines = (tmp_path / "classes.csv").read_text().splitlines()
    assert lines[0] == "class,images,shapes,pixels,share,median_area"
    assert lines[1] == "cell,2,2,500,0.023148,250"
    dialog.table.cellDoubleClicked.emit(1, 0)
    assert found(studio_with).class_name.currentData() == "dirt"
    found(studio_with).close()
    dialog.close()


def test_a_folder_in_place_is_searched_without_being_written(
    window: MainWindow, labelled: Path, qtbot: QtBot
) -> None:
    (labelled / "segstudio.toml").unlink()
    window.open_folder(labelled / "images")
    qtbot.waitUntil(lambda: window.session.image is not None, timeout=20000)
    window.actions_["find_shapes"].trigger()
    dialog = found(window)
    qtbot.waitUntil(lambda: areas(dialog) == [400, 400, 100, 20], timeout=60000)
    assert not (labelled / "images" / ".segstudio").exists()
    assert not (labelled / "images" / "segstudio.toml").exists()
    dialog.close()
