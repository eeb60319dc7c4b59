"""Undo reaches back over a restart, in the real window."""

from __future__ import annotations

import json
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from segstudio.project.project import Project
from segstudio.studio.main_window import MainWindow
from tests.studio.conftest import click, press, sweep
from tests.studio.test_window import CTRL, add_prediction, open_image, saved, shown, two_drafts


def restarted(qtbot: QtBot, root: Path) -> MainWindow:
    """Another window, as after a restart."""
    window = MainWindow()
    window.guessing.enabled = window.ahead.enabled = False
    window.resize(1280, 800)
    window.show()
    window.open_folder(root)
    qtbot.waitUntil(lambda: window.session.image is not None, timeout=20000)
    return window


def end(window: MainWindow) -> None:
    window.close()
    window.deleteLater()
    QApplication.processEvents()


def test_steps_of_the_last_session_are_taken_back(
    studio: MainWindow, root: Path, qtbot: QtBot
) -> None:
    studio.use_tool("brush")
    sweep(studio, (20, 20), (40, 30))
    sweep(studio, (60, 60), (70, 70))
    studio.session.image.desk.select([])  # type: ignore[union-attr]
    studio.use_tool("rectangle")
    sweep(studio, (80, 20), (100, 40))
    studio._undo()
    shapes = list(studio.session.image.document.shapes)  # type: ignore[union-attr]
    studio.close()

    again = restarted(qtbot, root)
    image = again.session.image
    assert image is not None
    assert list(image.document.shapes) == shapes
    assert again.actions_["undo"].text().startswith("Undo: Paint")
    assert again.actions_["redo"].text() == "Redo: Draw rectangle"
    again._redo()
    assert len(image.document.shapes) == len(shapes) + 1
    for _ in range(3):
        again._undo()
    assert not image.document.shapes
    assert not again.actions_["undo"].isEnabled()
    end(again)

    last = restarted(qtbot, root)
    assert last.session.image is not None
    assert not last.session.image.document.shapes
    assert len(last.session.image.document.history[1]) == 3
    assert last.session.writing.forget_histories() > 0
    sweep(last, (20, 20), (40, 30))
    end(last)


def test_deleting_the_history_leaves_what_is_open_its_own(
    studio: MainWindow, root: Path, qtbot: QtBot
) -> None:
    studio.use_tool("brush")
    sweep(studio, (20, 20), (40, 30))
    qtbot.waitUntil(lambda: any(root.rglob("*.jsonl")), timeout=20_000)
    assert studio.session.writing.forget_histories() > 0
    assert not any(root.rglob("history/**/*.jsonl"))
    sweep(studio, (60, 60), (70, 70))
    studio.close()
    again = restarted(qtbot, root)
    assert again.session.image is not None
    assert len(again.session.image.document.history[0]) == 2
    end(again)


def test_undo_of_accepting_reaches_over_a_restart(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    add_prediction(root, "images/0.png", two_drafts())
    open_image(window, root, qtbot)
    click(window, 20, 20)
    press(window, Qt.Key.Key_Y)
    saved(window, qtbot)
    window.close()

    again = restarted(qtbot, root)
    image = again.session.image
    assert image is not None
    assert [len(image.document.shapes), len(image.document.drafts)] == [1, 1]
    press(again, Qt.Key.Key_Z, CTRL)
    assert [len(image.document.shapes), len(image.document.drafts)] == [0, 2]
    saved(again, qtbot)
    again.session.go("images/1.png")
    shown(again, "images/1.png", qtbot)
    file = root / "reviews" / "images" / "0.json"
    qtbot.waitUntil(lambda: not json.loads(file.read_text())["accepted"], timeout=20_000)
    with Project.open(root, read_only=True) as project:
        review = project.reviews.load("images/0.png")
        assert review is None or not (review.accepted or review.rejected)
    end(again)
