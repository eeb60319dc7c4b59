"""Changes of all images at once, in the real window with the real process for files."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from segstudio.project.bulk import BulkEdit
from segstudio.project.project import Project
from segstudio.studio.dialogs.classes import DeleteClass, MergeClass, RenameClass
from segstudio.studio.main_window import MainWindow
from tests.studio.conftest import followed, press, sweep


def labels(root: Path, number: int = 0) -> list[str]:
    file = root / "images" / f"{number}.json"
    return [shape["label"] for shape in json.loads(file.read_text())["shapes"]]


def draw(window: MainWindow, *corners: tuple[float, float]) -> None:
    press(window, Qt.Key.Key_R)
    sweep(window, *corners)


def classes_shown(window: MainWindow) -> list[str]:
    image = window.session.image
    return [s.class_name for s in image.document.shapes] if image is not None else []


def shows(window: MainWindow, qtbot: QtBot, *names: str) -> None:
    qtbot.waitUntil(lambda: classes_shown(window) == list(names), timeout=20000)


def dialog_of(kind: type[RenameClass | MergeClass | DeleteClass]) -> RenameClass:
    found = next(w for w in QApplication.topLevelWidgets() if isinstance(w, kind))
    return found  # type: ignore[return-value]


def test_rename_by_the_dialog_and_the_open_image_follows_with_its_history(
    studio: MainWindow, root: Path, qtbot: QtBot
) -> None:
    draw(studio, (10, 10), (40, 40), (70, 50))
    draw(studio, (20, 50), (40, 60), (60, 80))
    studio.canvas.zoom(2)
    view = studio.canvas.view
    studio.actions_["rename_class"].trigger()
    dialog = dialog_of(RenameClass)
    assert not dialog.ok.isEnabled()
    dialog.field.setText("dirt")
    assert not dialog.ok.isEnabled()
    assert "already" in dialog.problem.text()
    dialog.field.clear()
    QTest.keyClicks(dialog.field, "nucleus")
    assert dialog.ok.isEnabled()
    qtbot.waitUntil(lambda: "1 image." in dialog.count.text(), timeout=20_000)
    QTest.keyClick(dialog.field, Qt.Key.Key_Return)
    assert studio.session.paused
    draw(studio, (80, 10), (90, 20), (100, 30))  # nothing can be drawn meanwhile
    followed(studio, qtbot)
    shows(studio, qtbot, "nucleus", "nucleus")
    assert labels(root) == ["nucleus"] * 2
    assert studio.canvas.view == view
    assert [row.shown.name for row in studio.classes.rows] == ["nucleus", "dirt"]
    assert studio.session.choices.class_name == "nucleus"
    image = studio.session.image
    assert image is not None
    assert "Draw rectangle" in studio.actions_["undo"].text()
    studio.actions_["undo"].trigger()
    assert classes_shown(studio) == ["nucleus"]
    studio.actions_["redo"].trigger()
    assert studio.session.writing.now()
    studio._show_allowed_now()
    assert studio.actions_["undo_bulk"].text() == "Undo: Rename class cell to nucleus"
    studio.actions_["undo_bulk"].trigger()
    followed(studio, qtbot)
    shows(studio, qtbot, "cell", "cell")
    assert labels(root) == ["cell"] * 2
    studio._show_allowed_now()
    assert not studio.actions_["undo_bulk"].isEnabled()
    draw(studio, (80, 10), (90, 20), (100, 30))
    assert classes_shown(studio) == ["cell"] * 3


def test_merge_and_delete_by_the_menu_of_a_class(
    studio: MainWindow, root: Path, qtbot: QtBot
) -> None:
    draw(studio, (10, 10), (40, 40), (70, 50))
    studio.classes.rows[0].wished.emit("merge_class", "cell")
    dialog_of(MergeClass).accept()
    followed(studio, qtbot)
    shows(studio, qtbot, "dirt")
    assert [row.shown.name for row in studio.classes.rows] == ["dirt"]
    studio.classes.rows[0].wished.emit("delete_class", "dirt")
    dialog_of(DeleteClass).accept()
    followed(studio, qtbot)
    shows(studio, qtbot)
    assert labels(root) == []
    assert "Delete a class" in studio.actions_["undo"].text()
    for _ in range(2):
        studio.actions_["undo_bulk"].trigger()
        followed(studio, qtbot)
    shows(studio, qtbot, "cell")
    assert [row.shown.name for row in studio.classes.rows] == ["cell", "dirt"]


def test_recolour_is_undone_too(studio: MainWindow, root: Path, qtbot: QtBot) -> None:
    before = studio.session.choices.classes[0].colour
    studio.bulk.run(BulkEdit("recolour", "cell", "#010203"))
    assert studio.classes.rows[0].shown.colour == (1, 2, 3)
    studio.bulk.undo()
    followed(studio, qtbot)
    assert studio.classes.rows[0].shown.colour == before


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="SIGKILL")
def test_a_killed_child_leaves_a_window_that_goes_on(
    studio: MainWindow, root: Path, qtbot: QtBot
) -> None:
    draw(studio, (10, 10), (40, 40), (70, 50))
    studio.jobs.start_child("files")
    pid = studio.jobs.pid("files")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    studio.bulk.run(BulkEdit("rename", "cell", "nucleus"))
    assert studio.session.paused
    os.kill(pid, signal.SIGKILL)
    followed(studio, qtbot)
    shows(studio, qtbot, "cell")
    assert labels(root) == ["cell"]
    draw(studio, (80, 10), (90, 20), (100, 30))
    assert classes_shown(studio) == ["cell"] * 2


def test_what_another_program_left_half_done_is_told(
    window: MainWindow, root: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Project.open(root) as project, monkeypatch.context() as patch:
        patch.setattr(type(project.bulk), "_commit", lambda *_: None)
        project.bulk.run(BulkEdit("rename", "cell", "nucleus"))
    window.open_folder(root)
    qtbot.waitUntil(lambda: window.session.image is not None, timeout=20000)
    assert "Rename class cell to nucleus" in window.status.message.toolTip()
    assert [row.shown.name for row in window.classes.rows] == ["nucleus", "dirt"]
