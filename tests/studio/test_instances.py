"""Drafts of a model that finds things, in the window, and where such a network is advised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import mask_shape
from segstudio.networks.choosing import Situation
from segstudio.project.project import Project
from segstudio.project.touching import share_touching
from segstudio.studio.dialogs.train import TrainDialog
from segstudio.studio.main_window import MainWindow
from tests.studio.conftest import at, press

KEY = "images/0.png"


def predict_things(root: Path) -> None:
    """A model in force, and two cells that touch."""
    card = 'architecture = "maskrcnn_light"\nclasses = ["cell", "dirt"]\n[scores]\nmiou = 0.8\n'
    numbers = np.zeros((90, 120), np.uint16)
    numbers[10:30, 10:30], numbers[10:30, 30:50] = 1, 2
    margin = np.where(numbers == 1, 204, 153).astype(np.uint8)
    with Project.open(root) as project:
        model = project.models.add(
            "maskrcnn_light",
            lambda folder: (folder / "model.toml").write_text(card + "ap50 = 0.7\n") and None,
        )
        project.models.promote(model.id)
        labels = (numbers > 0).astype(np.uint8)
        project.predictions.write(model.id, KEY, labels, margin, numbers)


def test_each_thing_is_a_draft_with_its_score(window: MainWindow, root: Path, qtbot: QtBot) -> None:
    predict_things(root)
    window.open_folder(root)
    qtbot.waitUntil(lambda: window.session.image is not None, timeout=20000)
    image = window.session.image
    assert image is not None
    drafts = image.document.drafts
    assert [d.score for d in drafts] == pytest.approx([0.9, 0.8])
    assert [d.group_id for d in drafts] == [1, 2]

    def says_the_score() -> bool:
        """Pointed at anew each time, for the view may still be fitted to the window; and not by
        the cursor, above which another test's window may lie."""
        place, no = QPointF(at(window, 20, 20)), Qt.MouseButton.NoButton
        world = window.canvas.mapToGlobal(place)
        keys = Qt.KeyboardModifier.NoModifier
        move = QMouseEvent(QEvent.Type.MouseMove, place, world, no, no, keys)
        QApplication.sendEvent(window.canvas, move)
        return "0.90" in window.status.pointer.text()

    qtbot.waitUntil(says_the_score, timeout=20000)
    window.canvas.setFocus()
    press(window, Qt.Key.Key_Y)
    qtbot.waitUntil(lambda: len(image.document.shapes) == 1, timeout=20000)
    assert len(image.document.drafts) == 1
    assert image.document.shapes[0].group_id == 1
    assert "AP50 0.70" in window.model.history.item(0).text()


def test_things_that_touch_are_noticed(root: Path) -> None:
    def cell(x: int) -> object:
        return mask_shape("cell", Bitmap.from_array(np.ones((20, 20), np.bool_), x, 10))

    with Project.open(root) as project:
        assert share_touching(project) == 0
        shapes = (cell(10), cell(30), cell(60), cell(90))
        project.save(KEY, Annotation(120, 90, shapes, confirmed=True))  # type: ignore[arg-type]
        assert share_touching(project) == 0.5


def test_the_advice_follows_but_a_choice_stays(qtbot: QtBot) -> None:
    dialog = TrainDialog([], None, Situation(labelled=30))
    qtbot.addWidget(dialog)
    assert dialog.network.currentData() == "unet"
    dialog.know_touching(0.5)
    assert dialog.network.currentData() == "maskrcnn_light"
    assert "recommended" in dialog.network.currentText()
    assert "each shape is a thing" in dialog.good_for.text()
    dialog.network.activated.emit(0)
    dialog.know_touching(0.0)
    assert dialog.network.currentData() == "maskrcnn_light"
    assert "recommended" not in dialog.network.currentText()
