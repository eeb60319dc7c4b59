"""What rectangles are is asked where a model is trained."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from segstudio.networks.choosing import Situation
from segstudio.project.project import Project
from segstudio.studio.dialogs.train import TrainDialog
from segstudio.studio.main_window import MainWindow
from tests.studio.conftest import press, sweep


def opened(window: MainWindow) -> TrainDialog:
    window.actions_["train"].trigger()
    found = (w for w in QApplication.topLevelWidgets() if isinstance(w, TrainDialog))
    return next(dialog for dialog in found if dialog.isVisible())


def test_the_answer_is_the_project_s_and_training_by_itself_hears_it(
    studio: MainWindow, qtbot: QtBot, monkeypatch: Any
) -> None:
    trained: list[tuple[Any, ...]] = []
    monkeypatch.setattr(studio.work, "train", lambda *given, **more: trained.append((given, more)))
    press(studio, Qt.Key.Key_R)
    sweep(studio, (10, 10), (40, 40), (70, 50))
    studio.session.reviewing.set_confirmed(True)
    assert studio.session.writing.now()
    qtbot.waitUntil(studio.actions_["train"].isEnabled, timeout=20000)
    dialog = opened(studio)
    asked = dialog.rows
    qtbot.waitUntil(lambda: asked.isRowVisible(dialog.rectangles), timeout=20000)
    assert dialog.rectangles.currentData() == "boxes"
    dialog.accept()
    project = studio.session.project
    assert project is not None
    with Project.open(project.root, read_only=True) as again:
        assert again.manifest.recipe == {"weak": "boxes"}
    assert len(trained) == 1

    again_asked = opened(studio)
    assert again_asked.rows.isRowVisible(again_asked.rectangles)
    again_asked.rectangles.setCurrentIndex(1)
    again_asked.accept()
    assert project.manifest.recipe == {"weak": ""}


def test_a_word_that_is_no_answer_offers_the_first(qapp: QApplication) -> None:
    dialog = TrainDialog([], None, Situation(labelled=3))
    dialog.ask_rectangles("scribbles")
    assert dialog.rectangles.currentData() == "boxes"
    dialog.ask_rectangles("")
    assert dialog.rectangles.currentData() == ""


def test_polygons_raise_no_question(studio: MainWindow, qtbot: QtBot) -> None:
    press(studio, Qt.Key.Key_F)
    sweep(studio, (10, 10), (40, 10), (40, 40), (10, 40))
    studio.session.reviewing.set_confirmed(True)
    assert studio.session.writing.now()
    qtbot.waitUntil(studio.actions_["train"].isEnabled, timeout=20000)
    dialog = opened(studio)
    looked: list[object] = []
    studio.session.in_background(lambda: None, looked.append)
    studio.session.in_background(lambda: None, looked.append)
    qtbot.waitUntil(lambda: len(looked) == 2, timeout=20000)
    assert not dialog.rows.isRowVisible(dialog.rectangles)
    dialog.reject()
