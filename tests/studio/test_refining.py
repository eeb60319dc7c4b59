"""Refining outlines in the window, by the real predictor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import add_shapes
from segstudio.annotation.rasterise import label_map
from segstudio.annotation.shape import mask_shape
from segstudio.studio.dialogs.refine import RefineDialog
from segstudio.studio.main_window import MainWindow
from tests.studio.conftest import press, sweep
from tests.studio.test_region_tools import disc, drawn, share
from tests.studio.test_window import add_prediction, open_image

CTRL = Qt.KeyboardModifier.ControlModifier
PATIENCE = 120_000


def opened(window: MainWindow) -> RefineDialog:
    window.actions_["refine"].trigger()
    (dialog,) = (d for d in window.findChildren(RefineDialog) if d.isVisible())
    return dialog


def paint_roughly(window: MainWindow) -> None:
    """About the disc, a few pixels too far to one side."""
    window.use_tool("brush")
    window.session.choices.set_brush_radius(14)
    press(window, Qt.Key.Key_1)
    sweep(window, (43, 42), (43.5, 42))


def test_nothing_changes_before_it_is_accepted_and_then_in_one_step(
    studio: MainWindow, qtbot: QtBot
) -> None:
    paint_roughly(studio)
    before, rough = drawn(studio).copy(), share(studio)
    dialog = opened(studio)
    qtbot.waitUntil(lambda: studio.canvas._changes is not None, timeout=PATIENCE)
    assert np.array_equal(drawn(studio), before)
    assert "px more" in dialog.counts.text()
    dialog.accept()
    assert share(studio) > max(rough + 0.05, 0.95)
    assert studio.canvas._changes is None
    image = studio.session.image
    assert image is not None
    assert image.document.undo_name == "Refine outlines"
    studio.actions_["undo"].trigger()
    assert np.array_equal(drawn(studio), before)
    root = studio.session.project.root  # type: ignore[union-attr]
    assert not list((root / ".segstudio" / "refining").iterdir())


def test_escape_leaves_everything_and_others_keep_their_pixels(
    studio: MainWindow, qtbot: QtBot
) -> None:
    paint_roughly(studio)
    studio.session.image.desk.select([])  # type: ignore[union-attr]
    studio.use_tool("rectangle")
    press(studio, Qt.Key.Key_2)
    sweep(studio, (20, 20), (30, 40), (36, 60))
    image = studio.session.image
    assert image is not None
    image.desk.select([image.document.ids()[0]])
    dialog = opened(studio)
    qtbot.waitUntil(lambda: studio.canvas._changes is not None, timeout=PATIENCE)
    dialog.reject()
    assert image.document.undo_name == "Draw rectangle"
    dialog = opened(studio)
    qtbot.waitUntil(lambda: studio.canvas._changes is not None, timeout=PATIENCE)
    dialog.accept()
    found = label_map(image.document.shapes, {"cell": 1, "dirt": 2}, (90, 120))
    assert (found[22:58, 22:34] == 2).all()


def test_refined_drafts_are_corrected_shapes(window: MainWindow, root: Path, qtbot: QtBot) -> None:
    labels = np.zeros((90, 120), np.uint8)
    labels[np.roll(disc(), (3, 3), (0, 1))] = 1
    labels[36:39, 40:43] = 0
    add_prediction(root, "images/0.png", labels, margin=90)
    open_image(window, root, qtbot)
    dialog = opened(window)
    dialog.holes.setValue(20)
    qtbot.waitUntil(lambda: window.canvas._changes is not None, timeout=PATIENCE)
    qtbot.waitUntil(lambda: "px more" in dialog.counts.text(), timeout=PATIENCE)
    dialog.accept()
    image = window.session.image
    assert image is not None
    assert not image.document.drafts
    assert [s.source for s in image.document.shapes] == ["corrected"]
    assert share(window) > 0.93
    assert drawn(window)[36:39, 40:43].all()


@pytest.mark.parametrize("locked", [True, False])
def test_without_anything_to_refine_it_says_so(studio: MainWindow, locked: bool) -> None:
    if locked:
        paint_roughly(studio)
        studio.session.choices.lock_class("cell", True)
    press(studio, Qt.Key.Key_R, CTRL)
    assert not studio.findChildren(RefineDialog)
    assert "locked" in studio.status.message.text()


def test_what_was_drawn_meanwhile_is_not_undone(studio: MainWindow, qtbot: QtBot) -> None:
    paint_roughly(studio)
    dialog = opened(studio)
    assert not dialog.ok.isEnabled()
    qtbot.waitUntil(dialog.ok.isEnabled, timeout=PATIENCE)
    studio.use_tool("eraser")
    sweep(studio, (30, 42), (40, 42))
    erased = drawn(studio).copy()
    dialog.accept()
    assert np.array_equal(drawn(studio), erased)
    assert "changed meanwhile" in studio.status.message.text()


def test_what_lies_under_another_shape_stays_where_it_is(studio: MainWindow, qtbot: QtBot) -> None:
    image = studio.session.image
    assert image is not None
    below, above = np.zeros((90, 120), bool), np.zeros((90, 120), bool)
    below[20:60, 20:60], above[20:60, 40:80] = True, True
    below[30, 30] = False
    shapes = [mask_shape("cell", Bitmap.from_array(m)) for m in (below, above)]
    image.document.apply(add_shapes("add", image.document, shapes))
    image.desk.select(image.document.ids()[::-1])
    dialog = opened(studio)
    dialog.edges.setCurrentIndex(2)
    dialog.holes.setValue(5)
    qtbot.waitUntil(lambda: dialog.counts.text().startswith("1 px"), timeout=PATIENCE)
    dialog.accept()
    areas = [shape.bitmap.area for shape in image.document.shapes if shape.bitmap is not None]
    assert areas == [1600, 1600]
