"""The window with real events on real files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QMessageBox
from pytestqt.qtbot import QtBot

from segstudio.project.lock import ProjectLock
from segstudio.project.project import Project
from segstudio.studio.main_window import MainWindow
from segstudio.studio.panels.image_list import KEY
from tests.studio.conftest import at, click, hover, make_project, press, sweep

CTRL = Qt.KeyboardModifier.ControlModifier


def add_prediction(root: Path, key: str, labels: np.ndarray, margin: int = 200) -> None:
    """A model in force, and what it predicts for one image."""
    with Project.open(root) as project:
        if project.models.current() is None:
            card = 'architecture = "unet"\nclasses = ["cell", "dirt"]\n'
            model = project.models.add(
                "unet", lambda folder: (folder / "model.toml").write_text(card) and None
            )
            project.models.promote(model.id)
        current = project.models.current()
        assert current is not None
        certain = np.full(labels.shape, margin, dtype=np.uint8)
        project.predictions.write(current.id, key, labels.astype(np.uint8), certain)


def two_drafts() -> np.ndarray:
    labels = np.zeros((90, 120), dtype=np.uint8)
    labels[10:30, 10:30] = 1
    labels[50:80, 60:100] = 2
    return labels


def open_image(window: MainWindow, root: Path, qtbot: QtBot) -> None:
    window.open_folder(root)
    qtbot.waitUntil(lambda: window.session.image is not None, timeout=20000)


def shown(window: MainWindow, key: str, qtbot: QtBot) -> None:
    qtbot.waitUntil(
        lambda: window.session.image is not None and window.session.image.key == key,
        timeout=20_000,
    )


def saved(window: MainWindow, qtbot: QtBot) -> None:
    assert window.session.writing.now()
    qtbot.waitUntil(lambda: window.status.saved.text() == "saved ✓", timeout=20_000)


def test_the_window_starts_without_torch() -> None:
    code = (
        "import sys, segstudio.studio.app; "
        "sys.exit(any(m.split('.')[0] in ('torch', 'torchvision', 'pyqtgraph') "
        "for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_start_page_then_project_and_back(studio: MainWindow, root: Path) -> None:
    assert studio.stack.currentIndex() == 1
    assert studio.top.project.text() == "cells"
    assert studio.images.model.rowCount() == 3
    studio.actions_["close"].trigger()
    assert studio.stack.currentIndex() == 0
    assert not studio.actions_["train"].isEnabled()
    assert "Open a project" in studio.actions_["train"].toolTip()


def test_draw_a_polygon_undo_redo_and_find_it_on_the_disk(
    studio: MainWindow, root: Path, qtbot: QtBot
) -> None:
    press(studio, Qt.Key.Key_P)
    assert studio.canvas.tool_name == "polygon"
    for x, y in [(20, 20), (60, 20), (60, 60)]:
        click(studio, x, y)
    press(studio, Qt.Key.Key_Return)
    image = studio.session.image
    assert image is not None
    assert [s.kind for s in image.document.shapes] == ["polygon"]
    assert "Draw polygon" in studio.actions_["undo"].text()
    press(studio, Qt.Key.Key_Z, CTRL)
    assert not image.document.shapes
    press(studio, Qt.Key.Key_Y, CTRL)
    saved(studio, qtbot)
    facts = json.loads((root / "images" / "0.json").read_text())
    assert facts["shapes"][0]["label"] == "cell"
    assert facts["shapes"][0]["shape_type"] == "polygon"
    assert studio.session.state("images/0.png") == "edited"


def test_ctrl_z_takes_back_points_of_a_polygon_first(studio: MainWindow) -> None:
    press(studio, Qt.Key.Key_P)
    click(studio, 20, 20)
    click(studio, 60, 20)
    press(studio, Qt.Key.Key_Z, CTRL)
    tool = studio.canvas.tool
    assert tool is not None
    assert tool.busy
    press(studio, Qt.Key.Key_Z, CTRL)
    assert not tool.busy


def test_autosave_writes_by_itself(studio: MainWindow, root: Path, qtbot: QtBot) -> None:
    press(studio, Qt.Key.Key_R)
    sweep(studio, (10, 10), (40, 40), (70, 50))
    file = root / "images" / "0.json"
    qtbot.waitUntil(file.exists, timeout=20_000)
    assert json.loads(file.read_text())["shapes"][0]["shape_type"] == "rectangle"


def test_brush_eraser_and_sizes(studio: MainWindow) -> None:
    press(studio, Qt.Key.Key_B)
    before = studio.session.choices.brush_radius
    press(studio, Qt.Key.Key_BracketRight)
    assert studio.session.choices.brush_radius > before
    sweep(studio, (30, 40), (50, 40), (70, 40))
    image = studio.session.image
    assert image is not None
    painted = image.document.shapes[0].bitmap
    assert painted is not None
    assert painted.contains(50, 40)
    press(studio, Qt.Key.Key_E)
    sweep(studio, (50, 20), (50, 60))
    erased = image.document.shapes[0].bitmap
    assert erased is not None
    assert not erased.contains(50, 40)
    assert erased.contains(30, 40)


def test_class_keys_and_new_classes(studio: MainWindow, root: Path) -> None:
    press(studio, Qt.Key.Key_2)
    assert studio.session.choices.class_name == "dirt"
    press(studio, Qt.Key.Key_Slash)
    studio.classes.field.setFocus()
    QTest.keyClicks(studio.classes.field, "fibre")
    QTest.keyClick(studio.classes.field, Qt.Key.Key_Return)
    assert studio.session.choices.class_name == "fibre"
    assert len(studio.classes.rows) == 3
    assert "fibre" in (root / "segstudio.toml").read_text()


def test_the_classes_panel_counts_every_shape(studio: MainWindow, qtbot: QtBot) -> None:
    def counts() -> list[str]:
        return [row.findChildren(QLabel)[-1].text() for row in studio.classes.rows]

    studio.use_tool("point")
    for number, key in enumerate((Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_2)):
        press(studio, key)
        click(studio, 20 + 30 * number, 20)
    qtbot.waitUntil(lambda: counts() == ["1", "2"], timeout=20_000)
    studio.actions_["undo"].trigger()
    qtbot.waitUntil(lambda: counts() == ["1", "1"], timeout=20_000)


def test_arranging_by_keys_and_pasting_into_another_image(studio: MainWindow, qtbot: QtBot) -> None:
    press(studio, Qt.Key.Key_1)
    studio.use_tool("rectangle")
    sweep(studio, (10, 10), (40, 40))
    sweep(studio, (30, 30), (60, 60))
    studio.use_tool("select")
    studio.actions_["select_all"].trigger()
    press(studio, Qt.Key.Key_Right)
    press(studio, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    image = studio.session.image
    assert image is not None
    first = image.document.shapes[0].points[0]
    assert first.round().tolist() == [11, 20]
    studio.actions_["copy"].trigger()
    studio.actions_["unite"].trigger()
    (whole,) = image.document.shapes
    assert whole.is_mask
    assert image.document.undo_name == "Unite shapes"
    studio.actions_["next"].trigger()
    qtbot.waitUntil(lambda: studio.session.image is not None and studio.session.image is not image)
    following = studio.session.image
    assert following is not None
    studio.actions_["paste"].trigger()
    assert [s.kind for s in following.document.shapes] == ["rectangle", "rectangle"]
    assert len(following.desk.selection) == 2


def test_what_is_cut_can_be_pasted_and_what_is_missing_is_said(studio: MainWindow) -> None:
    press(studio, Qt.Key.Key_1)
    studio.use_tool("rectangle")
    sweep(studio, (10, 10), (40, 40))
    image = studio.session.image
    assert image is not None
    image.desk.select([])
    studio.actions_["cut"].trigger()
    assert studio.status.message.whole == "Select a shape first."
    studio.actions_["paste"].trigger()
    assert studio.status.message.whole == "Copy or cut some shapes first."
    image.desk.select(image.document.ids())
    studio.actions_["unite"].trigger()
    assert studio.status.message.whole == "Select two unlocked shapes or more first."
    studio.actions_["cut"].trigger()
    assert not image.document.shapes
    assert image.document.undo_name == "Cut"
    studio.actions_["paste"].trigger()
    (pasted,) = image.document.shapes
    image.desk.select(image.document.ids())
    studio.actions_["lock_shapes"].trigger()
    studio.actions_["cut"].trigger()
    assert studio.status.message.whole == "What is selected is locked."
    assert len(image.document.shapes) == 1
    assert pasted.kind == "rectangle"


def test_an_image_pressed_and_dragged_off_is_opened_all_the_same(
    studio: MainWindow, qtbot: QtBot
) -> None:
    view = studio.images.list
    second = view.model().index(1, 0)
    place = view.visualRect(second).center()
    beside = place + QPoint(view.width() + 50, 0)
    QTest.mousePress(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    QTest.mouseMove(view.viewport(), beside)
    QTest.mouseRelease(view.viewport(), Qt.MouseButton.LeftButton, pos=beside)
    assert view.currentIndex() == second
    shown(studio, second.data(KEY), qtbot)


def test_a_click_below_the_list_opens_nothing(studio: MainWindow, qtbot: QtBot) -> None:
    first = studio.session.image
    assert first is not None
    studio.actions_["next"].trigger()
    qtbot.waitUntil(lambda: studio.session.image is not None and studio.session.image is not first)
    studio.images.search.setText(Path(first.key).name)  # what is open is not in the list
    view = studio.images.list
    assert view.model().rowCount() == 1
    view.setCurrentIndex(view.model().index(0, 0))
    asked: list[str] = []
    studio.session.image_opening.connect(asked.append)
    below = QPoint(20, view.viewport().height() - 5)
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=below)
    assert asked == []
    place = view.visualRect(view.model().index(0, 0)).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert asked == [first.key]


def test_hiding_and_locking_a_class(studio: MainWindow) -> None:
    press(studio, Qt.Key.Key_R)
    sweep(studio, (10, 10), (40, 40), (70, 50))
    image = studio.session.image
    assert image is not None
    assert image.desk.idmap.at(30, 30) != 0
    QTest.mouseClick(studio.classes.rows[0].eye, Qt.MouseButton.LeftButton)
    assert image.desk.idmap.at(30, 30) == 0
    QTest.mouseClick(studio.classes.rows[0].eye, Qt.MouseButton.LeftButton)
    QTest.mouseClick(studio.classes.rows[0].lock, Qt.MouseButton.LeftButton)
    press(studio, Qt.Key.Key_E)
    sweep(studio, (10, 30), (70, 30))
    assert image.document.shapes[0].kind == "rectangle"


def test_drafts_accept_reject_and_come_back(window: MainWindow, root: Path, qtbot: QtBot) -> None:
    add_prediction(root, "images/0.png", two_drafts())
    open_image(window, root, qtbot)
    image = window.session.image
    assert image is not None
    assert [s.class_name for s in image.document.drafts] == ["cell", "dirt"]
    assert window.session.project is not None
    paths = window.session.project.predictions.paths("000001-unet", "images/0.png")
    assert paths.shown.exists()
    click(window, 20, 20)
    press(window, Qt.Key.Key_Y)
    assert [(s.class_name, s.source) for s in image.document.shapes] == [("cell", "model")]
    click(window, 80, 60)
    press(window, Qt.Key.Key_Delete)
    assert not image.document.drafts
    press(window, Qt.Key.Key_Z, CTRL)
    assert len(image.document.drafts) == 1
    press(window, Qt.Key.Key_D)
    qtbot.waitUntil(lambda: window.session.image is not image, timeout=20_000)
    press(window, Qt.Key.Key_A)
    qtbot.waitUntil(
        lambda: window.session.image is not None and window.session.image.key == "images/0.png",
        timeout=20_000,
    )
    again = window.session.image
    assert again is not None
    assert [s.class_name for s in again.document.drafts] == ["dirt"]
    assert [s.class_name for s in again.document.shapes] == ["cell"]
    assert [s.source for s in again.document.shapes] == ["model"]


def test_the_draft_under_the_pointer_is_rejected_when_nothing_is_selected(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    add_prediction(root, "images/0.png", two_drafts())
    open_image(window, root, qtbot)
    image = window.session.image
    assert image is not None
    assert window.shapes.reject.text() == "Reject 2"
    hover(window, 80, 60)
    press(window, Qt.Key.Key_Delete)
    assert [s.class_name for s in image.document.drafts] == ["cell"]
    assert image.document.undo_name == "Reject draft"
    press(window, Qt.Key.Key_Delete)  # nothing is there any more
    assert len(image.document.drafts) == 1
    window._select_all()
    click(window, 20, 20)
    hover(window, 100, 10)
    press(window, Qt.Key.Key_Delete)  # what is selected goes, wherever the pointer is
    assert not image.document.drafts


def test_a_draft_never_covers_human_work(window: MainWindow, root: Path, qtbot: QtBot) -> None:
    labels = np.zeros((90, 120), dtype=np.uint8)
    labels[:, :] = 2
    add_prediction(root, "images/0.png", labels)
    open_image(window, root, qtbot)
    image = window.session.image
    assert image is not None
    press(window, Qt.Key.Key_R)
    sweep(window, (10, 10), (40, 40), (70, 50))
    press(window, Qt.Key.Key_Y, CTRL | Qt.KeyboardModifier.ShiftModifier)
    assert [s.class_name for s in image.document.shapes] == ["dirt", "cell"]
    draft = image.document.shapes[0].bitmap
    assert draft is not None
    assert not draft.contains(40, 30)


def test_confirm_accepts_what_waits_in_one_step_and_moves_on(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    add_prediction(root, "images/0.png", two_drafts())
    open_image(window, root, qtbot)
    image = window.session.image
    assert image is not None
    press(window, Qt.Key.Key_Return, CTRL)
    assert len(image.document.shapes) == 2
    qtbot.waitUntil(
        lambda: window.session.image is not None and window.session.image.key == "images/1.png",
        timeout=20_000,
    )
    saved(window, qtbot)
    facts = json.loads((root / "images" / "0.json").read_text())
    assert facts["segstudio"]["status"] == "confirmed"
    assert window.session.state("images/0.png") == "confirmed"
    review = json.loads((root / "reviews" / "images" / "0.json").read_text())
    assert review["accepted_unchanged"] is True
    qtbot.waitUntil(lambda: window.top.progress.text() == "1/3 confirmed", timeout=20_000)


def test_undo_takes_confirming_back_with_its_drafts(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    add_prediction(root, "images/0.png", two_drafts())
    open_image(window, root, qtbot)
    press(window, Qt.Key.Key_Return, CTRL)
    shown(window, "images/1.png", qtbot)
    window.session.go("images/0.png")
    shown(window, "images/0.png", qtbot)
    assert window.actions_["undo"].text() == "Undo: Confirm"
    press(window, Qt.Key.Key_Z, CTRL)
    image = window.session.image
    assert image is not None
    assert len(image.document.drafts) == 2
    assert not image.document.shapes
    saved(window, qtbot)
    facts = json.loads((root / "images" / "0.json").read_text())
    assert facts["segstudio"]["status"] != "confirmed"
    qtbot.waitUntil(lambda: window.session.state("images/0.png") == "draft", timeout=20_000)
    assert window.session.counts() == (0, 3)
    press(window, Qt.Key.Key_Y, CTRL)
    saved(window, qtbot)
    facts = json.loads((root / "images" / "0.json").read_text())
    assert facts["segstudio"]["status"] == "confirmed"
    assert len(facts["shapes"]) == 2


def test_a_rejected_draft_is_remembered_without_leaving_the_image(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    add_prediction(root, "images/0.png", two_drafts())
    open_image(window, root, qtbot)
    click(window, 20, 20)
    press(window, Qt.Key.Key_Delete)
    file = root / "reviews" / "images" / "0.json"
    qtbot.waitUntil(file.exists, timeout=20_000)
    assert len(json.loads(file.read_text())["rejected"]) == 1
    press(window, Qt.Key.Key_Z, CTRL)
    qtbot.waitUntil(lambda: not json.loads(file.read_text())["rejected"], timeout=20_000)


@pytest.mark.parametrize("key", [Qt.Key.Key_B, Qt.Key.Key_E])
def test_a_draft_that_was_painted_on_counts_as_accepted(
    window: MainWindow, root: Path, qtbot: QtBot, key: Qt.Key
) -> None:
    add_prediction(root, "images/0.png", two_drafts())
    open_image(window, root, qtbot)
    image = window.session.image
    assert image is not None
    click(window, 20, 20)
    press(window, key)
    sweep(window, (20, 20), (24, 60))
    assert [s.source for s in image.document.shapes] == ["corrected"]
    review = image.review()
    assert (len(review.accepted), review.rejected) == (1, ())
    press(window, Qt.Key.Key_Z, CTRL)
    assert image.review().accepted == ()
    press(window, Qt.Key.Key_Z, CTRL | Qt.KeyboardModifier.ShiftModifier)
    assert len(image.review().accepted) == 1
    press(window, Qt.Key.Key_Return, CTRL)
    assert not image.review().accepted_unchanged


def test_drafts_that_arrive_are_no_edit(window: MainWindow, root: Path, qtbot: QtBot) -> None:
    open_image(window, root, qtbot)
    add_prediction(root, "images/0.png", two_drafts())
    window.session.reviewing.show_newest_drafts()
    image = window.session.image
    assert image is not None
    assert len(image.document.drafts) == 2
    press(window, Qt.Key.Key_B)
    QTest.mousePress(
        window.canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at(window, 5, 5)
    )
    press(window, Qt.Key.Key_Escape)
    assert not image.document.shapes
    assert window.session.writing.now()
    assert not (root / "images" / "0.json").exists()
    window.session.refresh_states(["images/0.png"])
    assert window.session.state("images/0.png") == "draft"


def test_two_windows_on_one_folder_in_place_do_not_overwrite_each_other(
    window: MainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    folder = tmp_path / "plain"
    shutil.copytree(make_project(tmp_path / "p") / "images", folder)
    second = MainWindow()
    second.show()
    try:
        open_image(window, folder, qtbot)
        open_image(second, folder, qtbot)
        window.session.choices.add_class("cat")
        window.use_tool("rectangle")
        sweep(window, (10, 10), (40, 40), (70, 50))
        saved(window, qtbot)
        mine = (folder / "0.json").read_bytes(), (folder / "segstudio.toml").read_bytes()
        second.session.choices.add_class("dog")
        second.session.choices.choose_class("dog")
        second.use_tool("rectangle")
        sweep(second, (10, 10), (40, 40), (70, 50))
        assert not second.session.writing.now()
        assert second.status.saved.text() == "not saved"
        assert ((folder / "0.json").read_bytes(), (folder / "segstudio.toml").read_bytes()) == mine
    finally:
        second.session.writing._unsaved.clear()  # or it would ask before it closes
        second.close()
        second.deleteLater()


def test_labels_of_one_project_never_reach_another(
    window: MainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    """Both have an image of the same name; the first one's load ends after the switch."""
    first, second = make_project(tmp_path / "a"), make_project(tmp_path / "b")
    open_image(window, first, qtbot)
    old = window.session.project
    assert old is not None
    window.session.open_project(second)
    qtbot.waitUntil(
        lambda: window.session.project is not old and window.session.image is not None,
        timeout=20000,
    )
    there = window.session.image
    loader = window.session._loader
    with qtbot.waitSignal(loader.loaded, timeout=20_000):
        loader.load(old, "images/0.png", before=lambda: None)
    assert window.session.image is there


def test_next_then_back_before_the_next_has_come(studio: MainWindow, qtbot: QtBot) -> None:
    press(studio, Qt.Key.Key_D)
    press(studio, Qt.Key.Key_A)
    with qtbot.waitSignal(studio.session._loader.loaded, timeout=20_000):
        pass
    shown(studio, "images/0.png", qtbot)
    assert studio.session.wanted == "images/0.png"


def test_what_changed_outside_is_read_anew(studio: MainWindow, root: Path, qtbot: QtBot) -> None:
    press(studio, Qt.Key.Key_R)
    sweep(studio, (10, 10), (40, 40), (70, 50))
    studio.session.go("images/1.png")
    shown(studio, "images/1.png", qtbot)
    saved(studio, qtbot)
    file = root / "images" / "0.json"
    facts = json.loads(file.read_text())
    facts["shapes"].append({**facts["shapes"][0], "label": "dirt"})
    file.write_text(json.dumps(facts))
    studio.session.go("images/0.png")
    shown(studio, "images/0.png", qtbot)
    image = studio.session.image
    assert image is not None
    assert [s.class_name for s in image.document.shapes] == ["cell", "dirt"]


@pytest.mark.parametrize("keep", [True, False])
def test_an_image_changed_by_another_program_while_it_is_open_is_asked_about(
    studio: MainWindow, root: Path, qtbot: QtBot, keep: bool
) -> None:
    studio.use_tool("rectangle")
    sweep(studio, (10, 10), (40, 40), (70, 50))
    saved(studio, qtbot)
    file = root / "images" / "0.json"
    facts = json.loads(file.read_text())
    facts["shapes"].append({**facts["shapes"][0], "label": "dirt"})
    file.write_text(json.dumps(facts))
    theirs = file.read_bytes()
    with qtbot.waitSignal(studio.session.changed_outside, timeout=20_000):
        sweep(studio, (80, 60), (90, 70), (100, 80))
    assert file.read_bytes() == theirs
    (box,) = studio.findChildren(QMessageBox)
    role = QMessageBox.ButtonRole.AcceptRole if keep else QMessageBox.ButtonRole.DestructiveRole
    (button,) = (b for b in box.buttons() if box.buttonRole(b) == role)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    names = ["cell", "cell"] if keep else ["cell", "dirt"]
    qtbot.waitUntil(
        lambda: (
            studio.session.image is not None
            and [s.class_name for s in studio.session.image.document.shapes] == names
        ),
        timeout=20_000,
    )
    saved(studio, qtbot)
    assert [s["label"] for s in json.loads(file.read_text())["shapes"]] == names


def test_read_only_actions_say_so(window: MainWindow, root: Path, qtbot: QtBot) -> None:
    window.session.open_project(root, read_only=True)
    qtbot.waitUntil(lambda: window.session.image is not None, timeout=20000)
    window._show_allowed_now()
    for name in ("import", "adopt", "confirm", "delete", "segment", "train"):
        assert not window.actions_[name].isEnabled()
        assert "read-only" in window.actions_[name].toolTip()
    window.session.exclude("images/1.png", True)
    assert "read-only" in window.status.message.text()
    assert "1.png" not in (root / "segstudio.toml").read_text()


def test_undo_goes_on_where_it_was_after_a_look_at_another_image(
    studio: MainWindow, qtbot: QtBot
) -> None:
    press(studio, Qt.Key.Key_R)
    sweep(studio, (10, 10), (40, 40), (70, 50))
    for key, name in ((Qt.Key.Key_D, "images/1.png"), (Qt.Key.Key_A, "images/0.png")):
        press(studio, key)
        qtbot.waitUntil(
            lambda name=name: studio.session.image is not None and studio.session.image.key == name,
            timeout=20_000,
        )
    image = studio.session.image
    assert image is not None
    assert image.picture.width == 120
    assert len(image.document.shapes) == 1
    press(studio, Qt.Key.Key_Z, CTRL)
    assert not image.document.shapes


def test_an_unreadable_picture_is_listed_with_its_reason(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    (root / "images" / "0.png").write_bytes(b"not a picture")
    window.open_folder(root)
    qtbot.waitUntil(lambda: bool(window.session.problems), timeout=20_000)
    assert "0.png" in window.session.problems["images/0.png"]
    press(window, Qt.Key.Key_D)
    qtbot.waitUntil(lambda: window.session.image is not None, timeout=20_000)
    assert window.session.image is not None
    assert window.session.image.key == "images/1.png"


def test_a_second_window_may_only_look(studio: MainWindow, root: Path, qtbot: QtBot) -> None:
    second = MainWindow()
    try:
        second.session.open_project(root, read_only=True)
        qtbot.waitUntil(lambda: second.session.image is not None, timeout=20_000)
        second.show()
        press(second, Qt.Key.Key_R)
        sweep(second, (10, 10), (40, 40), (70, 50))
        image = second.session.image
        assert image is not None
        assert not image.document.shapes
        assert not ProjectLock(root).acquire()
    finally:
        second.close()
        second.deleteLater()


def test_an_empty_folder_says_so_and_shows_pictures_that_come(
    window: MainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    window.open_folder(folder)
    qtbot.waitUntil(lambda: window.session.project is not None, timeout=20_000)
    assert "No pictures" in window.canvas.notice
    Image.new("RGB", (40, 30)).save(folder / "a.png")
    press(window, Qt.Key.Key_F5)
    qtbot.waitUntil(lambda: window.session.image is not None, timeout=20_000)


def test_rescan_exclude_and_filter(studio: MainWindow, root: Path, qtbot: QtBot) -> None:
    shutil.copy(root / "images" / "0.png", root / "images" / "new.png")
    press(studio, Qt.Key.Key_F5)
    qtbot.waitUntil(lambda: studio.images.model.rowCount() == 4, timeout=20_000)
    studio.images.search.setText("new")
    assert studio.images.model.rowCount() == 1
    studio.images.search.setText("")
    studio.session.exclude("images/new.png", True)
    assert studio.session.counts() == (0, 3)


def test_opening_a_labelme_folder_changes_nothing(
    window: MainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    source = make_project(tmp_path / "p")
    folder = tmp_path / "labelme"
    shutil.copytree(source / "images", folder)
    facts = {
        "version": "4.0.0",
        "flags": {},
        "shapes": [
            {
                "label": "crack",
                "points": [[1, 1], [50, 1], [50, 50]],
                "group_id": None,
                "shape_type": "polygon",
                "flags": {},
            }
        ],
        "imagePath": "0.png",
        "imageData": None,
        "imageHeight": 90,
        "imageWidth": 120,
    }
    (folder / "0.json").write_text(json.dumps(facts))
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    window.open_folder(folder)
    qtbot.waitUntil(lambda: window.session.image is not None, timeout=20_000)
    assert window.session.choices.classes.names == ("crack",)
    assert window.session.counts() == (1, 3)
    window.actions_["close"].trigger()
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_a_tool_without_a_class_says_why(window: MainWindow, tmp_path: Path, qtbot: QtBot) -> None:
    open_image(window, make_project(tmp_path / "p", classes=()), qtbot)
    press(window, Qt.Key.Key_B)
    sweep(window, (30, 40), (50, 40))
    assert "class" in window.status.message.text()
    window.status.message.clear()
    press(window, Qt.Key.Key_P)
    click(window, 30, 30)
    assert "class" in window.status.message.text()


@pytest.mark.parametrize("zoomed", [False, True])
def test_a_part_drawn_anew_is_the_whole_drawn_anew(studio: MainWindow, zoomed: bool) -> None:
    """After a stroke the mended viewport equals one drawn from nothing."""
    if zoomed:
        studio.canvas.zoom(3.3)
    press(studio, Qt.Key.Key_B)
    sweep(studio, (40, 40), (50, 45), (60, 42))
    studio.canvas.grab()
    mended = studio.canvas._backing.image.copy()
    studio.canvas.redraw()
    studio.canvas.grab()
    assert mended == studio.canvas._backing.image


def test_a_panned_view_is_the_view_drawn_anew(studio: MainWindow) -> None:
    canvas = studio.canvas
    press(studio, Qt.Key.Key_B)
    sweep(studio, (40, 40), (50, 45), (60, 42))
    canvas.zoom(1.7)
    canvas.grab()
    for dx, dy in ((13, -7), (-31, 0), (0, 22), (-5, -9)):
        canvas.set_view(canvas.view.moved(dx, dy))
    shifted = canvas._backing.image.copy()
    canvas.redraw()
    canvas.grab()
    assert shifted == canvas._backing.image


def test_wheel_zooms_about_the_pointer_and_space_pans(studio: MainWindow) -> None:
    canvas = studio.canvas
    place = at(studio, 50, 40)
    x, y = canvas.view.to_image(place.x(), place.y())
    canvas.zoom(2.0, place.toPointF())
    stays = canvas.view.to_image(place.x(), place.y())
    assert stays == pytest.approx((x, y), abs=0.6 / canvas.view.scale)
    before = canvas.view
    QTest.keyPress(canvas, Qt.Key.Key_Space)
    sweep(studio, (50, 40), (60, 50))
    QTest.keyRelease(canvas, Qt.Key.Key_Space)
    assert canvas.view.x > before.x
    assert not studio.session.image.document.shapes  # type: ignore[union-attr]


def test_pictures_of_every_kind_open(window: MainWindow, tmp_path: Path, qtbot: QtBot) -> None:
    folder = tmp_path / "kinds"
    folder.mkdir()
    grey = np.arange(60 * 80, dtype=np.uint16).reshape(60, 80) * 13
    Image.fromarray(grey).save(folder / "a16.png")
    Image.fromarray((grey // 256).astype(np.uint8)).save(folder / "b.tif")
    Image.new("CMYK", (80, 60), (10, 20, 30, 40)).save(folder / "c.jpg")
    Image.new("RGBA", (80, 60), (10, 20, 30, 40)).save(folder / "d.webp")
    Image.new("P", (80, 60), 3).save(folder / "e.bmp")
    window.open_folder(folder)
    for name in ("a16.png", "b.tif", "c.jpg", "d.webp", "e.bmp"):
        window.session.go(name)
        qtbot.waitUntil(
            lambda name=name: window.session.image is not None and window.session.image.key == name,
            timeout=20_000,
        )
    assert not window.session.problems


def test_escape_lets_go_of_what_is_selected_with_every_tool(studio: MainWindow) -> None:
    image = studio.session.image
    assert image is not None
    for tool in ("brush", "polygon", "select"):
        studio.use_tool("brush")
        sweep(studio, (20, 20), (30, 30))
        assert image.desk.selection
        studio.use_tool(tool)
        press(studio, Qt.Key.Key_Escape)
        assert not image.desk.selection
    assert len(image.document.shapes) == 3


def test_switches_of_tools_reach_the_desk_of_every_image(studio: MainWindow, qtbot: QtBot) -> None:
    studio.actions_["square"].trigger()
    studio.actions_["snap"].trigger()
    image = studio.session.image
    assert image is not None
    assert (image.desk.options.square, image.desk.options.snap) == (True, True)
    studio.session.step(1)
    shown(studio, "images/1.png", qtbot)
    assert studio.session.image is not None
    assert studio.session.image.desk.options.square
    studio.actions_["square"].trigger()
    assert not studio.session.image.desk.options.square


def test_the_view_goes_to_the_selected_shapes(studio: MainWindow) -> None:
    studio.use_tool("brush")
    sweep(studio, (80, 60), (84, 64))
    studio.actions_["fit_selection"].trigger()
    assert studio.canvas.view.scale > 10
    x, y = studio.canvas.view.to_image(studio.canvas.width() / 2, studio.canvas.height() / 2)
    assert abs(x - 82) < 3
    assert abs(y - 62) < 3
    before = studio.canvas.view
    press(studio, Qt.Key.Key_Escape)
    studio.actions_["fit_selection"].trigger()
    assert studio.canvas.view == before


def test_what_is_drawn_while_going_back_to_the_image_on_the_canvas_stays(
    studio: MainWindow, root: Path, qtbot: QtBot
) -> None:
    """The next image is asked for, then this one again; a stroke falls between the two."""
    image = studio.session.image
    assert image is not None
    press(studio, Qt.Key.Key_D)
    press(studio, Qt.Key.Key_A)
    assert studio.session.image is image
    press(studio, Qt.Key.Key_B)
    sweep(studio, (40, 40), (60, 50))
    with qtbot.waitSignal(studio.session._loader.loaded, timeout=20_000):
        pass
    assert studio.session.image is image
    assert len(image.document.shapes) == 1
    sweep(studio, (20, 60), (30, 60))
    saved(studio, qtbot)
    assert json.loads((root / "images" / "0.json").read_text())["shapes"]
    press(studio, Qt.Key.Key_Z, CTRL)
    press(studio, Qt.Key.Key_Z, CTRL)
    assert not image.document.shapes


def test_the_middle_button_leaves_a_stroke_alone(studio: MainWindow) -> None:
    canvas, none = studio.canvas, Qt.KeyboardModifier.NoModifier
    left, middle = Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton
    image = studio.session.image
    assert image is not None
    studio.use_tool("brush")
    places = [at(studio, x, 40) for x in (20, 40, 60, 80)]
    before = canvas.view
    QTest.mousePress(canvas, left, none, places[0])
    QTest.mousePress(canvas, middle, none, places[0])
    QTest.mouseMove(canvas, places[1])
    QTest.mouseRelease(canvas, middle, none, places[1])
    QTest.mouseMove(canvas, places[2])
    QTest.mouseRelease(canvas, left, none, places[2])
    assert canvas.view == before
    (shape,) = image.document.shapes
    assert shape.bitmap is not None
    assert all(shape.bitmap.contains(x, 40) for x in (20, 39, 58))
    QTest.mouseMove(canvas, places[3])
    assert shape.bitmap == image.document.shapes[0].bitmap


def test_another_tool_and_another_image_end_what_has_begun(
    studio: MainWindow, qtbot: QtBot
) -> None:
    image = studio.session.image
    assert image is not None
    studio.use_tool("brush")
    studio.session.go("images/1.png")
    none, left = Qt.KeyboardModifier.NoModifier, Qt.MouseButton.LeftButton
    QTest.mousePress(studio.canvas, left, none, at(studio, 40, 40))
    shown(studio, "images/1.png", qtbot)
    QTest.mouseRelease(studio.canvas, left, none, at(studio, 60, 40))
    assert not image.document.shapes
    assert image.document.undo_name is None
    assert not studio.session.image.document.shapes  # type: ignore[union-attr]


def test_stepping_quickly_through_images_marks_none_as_broken(
    window: MainWindow, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = threading.Event()
    honest = Project.read_image

    def read(project: Project, key: str) -> np.ndarray:
        slow.wait(5)
        return honest(project, key)

    root = make_project(tmp_path / "many", count=12)
    open_image(window, root, qtbot)
    monkeypatch.setattr(Project, "read_image", read)
    for _ in range(10):
        window.session.step(1)
    slow.set()
    shown(window, "images/10.png", qtbot)
    qtbot.waitUntil(lambda: window.session.has_read_ahead, timeout=20_000)
    assert not window.session.problems


def test_a_slow_look_at_all_images_does_not_put_back_what_was_done_meanwhile(
    studio: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, project = studio.session, studio.session.project
    assert project is not None
    go_on = threading.Event()
    before = dict(project.states())

    def slow() -> list[tuple[str, str]]:
        go_on.wait(20)
        return list(before.items())

    monkeypatch.setattr(project, "states", slow)
    session.refresh_all_states()
    session.reviewing.set_confirmed(True)
    qtbot.waitUntil(lambda: project.state("images/0.png") == "confirmed", timeout=20_000)

    def at_all_images(keys: list[str]) -> bool:
        return "images/2.png" in keys

    with qtbot.waitSignal(session.states_changed, timeout=20_000, check_params_cb=at_all_images):
        go_on.set()
    assert session.state("images/0.png") == "confirmed"
