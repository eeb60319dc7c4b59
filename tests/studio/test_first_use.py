"""What a person meets in the first hour: confirming, models in force, networks, messages."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialogButtonBox, QFileDialog, QPushButton, QToolButton
from pytestqt.qtbot import QtBot

from segstudio.annotation.document import add_shapes
from segstudio.annotation.shape import Shape, as_points
from segstudio.engine import protocol as p
from segstudio.networks.choosing import Situation
from segstudio.networks.registry import ARCHITECTURES
from segstudio.project.project import Project
from segstudio.studio import open_image
from segstudio.studio.dialogs import files
from segstudio.studio.dialogs.adopt import AdoptDialog
from segstudio.studio.dialogs.networks import NetworkBox
from segstudio.studio.dialogs.train import TrainDialog
from segstudio.studio.jobs import Job
from segstudio.studio.main_window import MainWindow
from segstudio.studio.panels.status import JobRow
from tests.studio.conftest import click, hover, press, sweep

CARD = 'architecture = "unet"\nclasses = ["cell", "dirt"]\ncreated = "2026-03-01T12:00:00+00:00"\n'
LOST = "promoted = false\n[images]\ntrain = 4\nvalidation = 2\n"


def with_models(root: Path, *cards: str) -> list[str]:
    """Models of these cards, the first in force; its drafts of the first image: a square."""
    labels = np.zeros((90, 120), np.uint8)
    labels[10:30, 10:30] = 1
    with Project.open(root) as project:
        ids = [
            project.models.add(
                "unet", lambda folder, card=card: (folder / "model.toml").write_text(card) and None
            ).id
            for card in cards
        ]
        project.models.promote(ids[0])
        project.predictions.write(ids[0], "images/0.png", labels, np.full((90, 120), 200, np.uint8))
    return ids


def opened(window: MainWindow, root: Path, qtbot: QtBot) -> None:
    window.open_folder(root)
    qtbot.waitUntil(lambda: window.session.image is not None, timeout=20_000)
    window._show_allowed_now()


def test_the_bar_above_the_picture_confirms_and_takes_that_back(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    with_models(root, CARD)
    opened(window, root, qtbot)
    image, bar = window.session.image, window.image_bar
    assert image is not None
    bar.refresh()
    assert bar.name.text() == "0.png"
    assert "1 draft waits" in bar.state.text()
    assert "Ctrl+Return" in bar.confirm.toolTip()
    assert bar.confirm.isVisible()
    assert not bar.reopen.isVisible()
    QTest.mouseClick(bar.confirm, Qt.MouseButton.LeftButton)
    assert image.document.confirmed
    qtbot.waitUntil(lambda: window.session.image is not image, timeout=20_000)
    window.session.go("images/0.png")
    qtbot.waitUntil(bar.reopen.isVisible, timeout=20_000)
    assert bar.state.text() == "confirmed"
    window._show_allowed_now()
    QTest.mouseClick(bar.reopen, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(bar.confirm.isVisible, timeout=20_000)
    assert window.session.image is not None
    assert not window.session.image.document.confirmed


def test_the_stroke_after_accepting_is_not_for_what_was_accepted(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    with_models(root, CARD)
    opened(window, root, qtbot)
    image = window.session.image
    assert image is not None
    window.use_tool("brush")
    hover(window, 20, 20)
    press(window, Qt.Key.Key_Y)
    (accepted,) = image.document.shapes
    assert image.desk.selection == ()
    press(window, Qt.Key.Key_1)
    sweep(window, (80, 60), (90, 60))
    assert image.document.shapes[0] is accepted
    assert len(image.document.shapes) == 2


def test_any_model_or_none_is_put_in_force_from_the_list(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    first, lost = with_models(root, CARD, CARD + LOST)
    opened(window, root, qtbot)
    panel, session = window.model, window.session
    assert session.project is not None
    models = session.project.models
    texts = [panel.history.item(row).text() for row in range(panel.history.count())]
    assert texts[0].startswith("○ #2 unet")
    assert "6 images" in texts[0]
    assert texts[1].startswith("● #1 unet · in force\n    2026-03-01")
    assert texts[2] == "○ No model, only guesses"
    assert not panel.promote.isEnabled()  # the one in force is chosen
    panel.history.setCurrentRow(2)
    assert panel.promote.isEnabled()
    panel.promote.click()
    assert models.current() is None
    assert window.top.model.text() == "no model in force"
    assert "choose one" in window.work.no_segment()
    window._show_allowed_now()
    window.actions_["roll_back"].trigger()
    assert models.current() == models.get(first)
    panel.history.setCurrentRow(0)
    panel.promote.click()
    assert models.current() == models.get(lost)


def test_a_first_model_that_loses_says_how_far_it_falls_short(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    opened(window, root, qtbot)
    scores = {"miou": 0.31, "images": 4}
    window.work._model_saved(p.ModelSaved("j", "000001-unet", False, "…", scores, guesses=0.42))
    said = window.status.message.whole
    assert "mIoU 0.31 against 0.42 on 4 images" in said
    assert "More confirmed images help" in said


def test_first_models_that_lose_do_not_fill_the_disk(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    def lost(folder: Path) -> None:
        card = 'architecture = "unet"\nclasses = ["cell"]\npromoted = false\n'
        (folder / "model.toml").write_text(card)

    opened(window, root, qtbot)
    project = window.session.project
    assert project is not None
    ids = [project.models.add("unet", lost).id for _ in range(window.work.models_kept + 3)]
    window.work._model_saved(p.ModelSaved("j", ids[-1], False, "…", {}))
    assert [m.id for m in project.models.all()] == ids[3:]


def test_a_message_that_does_not_fit_is_whole_at_a_click_and_goes_when_it_is_bad(
    window: MainWindow,
) -> None:
    words = "The disk is full. " * 30
    window.status.say(words, "bad")
    message = window.status.message
    assert message.text().endswith("…")
    assert message.whole == message.toolTip() == words
    assert not window.status._fade.isActive()
    window.status.dismiss.click()
    assert message.text() == ""
    assert not window.status.dismiss.isVisible()
    window.status.say("a", "info")
    short = window.status._fade.interval()
    window.status.say(words, "info")
    assert window.status._fade.interval() > short


def test_networks_stand_in_groups_and_the_recommended_comes_first(qtbot: QtBot) -> None:
    dialog = TrainDialog([], None, Situation(3))
    qtbot.addWidget(dialog)
    box = dialog.network
    assert isinstance(box, NetworkBox)
    assert (box.itemText(0), box.currentIndex()) == ("Recommended", 1)
    names = [box.itemData(row) for row in range(box.count())]
    assert sorted(name for name in names if name) == sorted(ARCHITECTURES)
    headings = [box.itemText(row) for row, name in enumerate(names) if not name]
    assert headings[:3] == ["Recommended", "Quick to start", "U-Nets"]
    assert {"DeepLab and dilated", "Classics", "Transformers", "Things, one by one"} <= {*headings}
    model = box.model()
    for row, name in enumerate(names):
        assert bool(model.flags(model.index(row, 0)) & Qt.ItemFlag.ItemIsEnabled) == bool(name)
    QTest.keyClicks(box, "segf")  # typing finds a title, across the headings
    assert box.currentData() == "segformer"
    box.advise("segnet")
    assert box.currentData() == "segformer"


def test_buttons_of_dialogs_have_no_icons_of_qt(qtbot: QtBot, window: MainWindow) -> None:
    dialog = AdoptDialog(("cell",), None, window)
    qtbot.addWidget(dialog)
    dialog.show()
    (box,) = dialog.findChildren(QDialogButtonBox)
    assert all(button.icon().isNull() for button in box.findChildren(QPushButton))
    chooser = QFileDialog(window)
    chooser.setOption(QFileDialog.Option.DontUseNativeDialog)
    qtbot.addWidget(chooser)
    up = chooser.findChild(QToolButton, "toParentButton")
    assert isinstance(up, QToolButton)
    before = up.icon().cacheKey()
    files.dress(chooser)
    assert up.icon().cacheKey() != before
    assert not up.icon().isNull()


def test_the_model_that_comes_along_has_a_menu_entry_of_its_own(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    opened(window, root, qtbot)
    window.actions_["starter"].trigger()
    (dialog,) = window.findChildren(AdoptDialog)
    assert dialog.file.text().endswith("model.toml")
    assert dialog.names.text() == "nucleus"
    dialog.reject()
    assert window.actions_["recolour_class"].isEnabled()  # as the guide says of the menu Class


def test_several_classes_are_typed_one_after_the_other(studio: MainWindow) -> None:
    field = studio.classes.field
    field.setFocus()
    for name in ("road", "car", "person"):
        QTest.keyClicks(field, name)
        QTest.keyClick(field, Qt.Key.Key_Return)
    assert studio.session.choices.classes.names[-3:] == ("road", "car", "person")
    assert field.hasFocus()
    QTest.keyClicks(field, "bu")
    QTest.keyClick(field, Qt.Key.Key_Escape)
    assert (field.text(), field.hasFocus()) == ("", False)


@pytest.mark.parametrize("way", ["tool", "image", "close"])
def test_points_that_were_set_are_not_lost(
    studio: MainWindow, root: Path, qtbot: QtBot, way: str
) -> None:
    press(studio, Qt.Key.Key_P)
    for x, y in ((20, 20), (60, 25), (40, 60)):
        click(studio, x, y)
    image = studio.session.image
    assert image is not None
    assert not image.document.shapes
    if way == "tool":
        press(studio, Qt.Key.Key_B)
        press(studio, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        assert not image.document.shapes, "undo takes it away"
        return
    if way == "image":
        press(studio, Qt.Key.Key_D)
        qtbot.waitUntil(lambda: studio.session.image is not image, timeout=20_000)
    else:
        assert studio.session.close_project()
    with Project.open(root, read_only=True) as project:
        qtbot.waitUntil(lambda: project.label_stamp("images/0.png") is not None, timeout=20_000)
        assert [shape.kind for shape in project.load("images/0.png").shapes] == ["polygon"]


def test_two_points_are_no_polygon(studio: MainWindow) -> None:
    press(studio, Qt.Key.Key_P)
    click(studio, 20, 20)
    click(studio, 60, 25)
    press(studio, Qt.Key.Key_V)
    assert studio.session.image is not None
    assert not studio.session.image.document.shapes


def test_locked_shapes_and_those_of_the_class_already_are_left_as_they_are(
    studio: MainWindow,
) -> None:
    image = studio.session.image
    assert image is not None
    shapes = [
        Shape("cell", "rectangle", as_points([[5, 5], [20, 20]]), locked=True),
        Shape("dirt", "rectangle", as_points([[30, 5], [50, 20]]), source="model"),
        Shape("cell", "rectangle", as_points([[60, 5], [80, 20]])),
    ]
    image.document.apply(add_shapes("add", image.document, shapes))
    image.desk.select(image.document.ids())
    studio.session.choices.reclass_selection("dirt")
    assert [s.class_name for s in image.document.shapes] == ["cell", "dirt", "dirt"]
    assert [s.source for s in image.document.shapes] == ["human", "model", "human"]
    steps = len(image.document.history[0])
    studio.session.choices.reclass_selection("dirt")
    assert len(image.document.history[0]) == steps, "nothing happened"


def test_time_spent_on_another_image_is_not_this_one_s(
    window: MainWindow, root: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = Shape("cell", "rectangle", as_points([[1, 1], [5, 5]]))
    opened(window, root, qtbot)
    image = window.session.image
    assert image is not None
    now = image._last_edit
    monkeypatch.setattr(open_image, "time", SimpleNamespace(monotonic=lambda: now))
    before = image.annotation().seconds
    now += 2
    image.document.apply(add_shapes("add", image.document, [box]))
    window.session.go("images/1.png")
    qtbot.waitUntil(lambda: window.session.image not in (None, image), timeout=20_000)
    now += 25
    window.session.go("images/0.png")
    qtbot.waitUntil(lambda: window.session.image is image, timeout=20_000)
    now += 1
    image.document.apply(add_shapes("add", image.document, [box]))
    assert image.annotation().seconds - before == pytest.approx(3)


def test_an_image_confirmed_without_labels_is_said_to_be_background(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    opened(window, root, qtbot)
    image, said = window.session.image, list[str]()
    assert image is not None
    assert not image.document.shapes
    window.session.message.connect(lambda words, _: said.append(words))
    window.session.reviewing.confirm_and_next()
    assert "images/0.png is confirmed without labels: all of it is background." in said


def test_a_paused_job_says_so(qtbot: QtBot) -> None:
    row = JobRow(Job("1", "Learning", "trainer", done=3, total=9))
    qtbot.addWidget(row)
    asked: list[bool] = []
    row.pause_asked.connect(lambda _, paused: asked.append(paused))
    QTest.mouseClick(row.pause, Qt.MouseButton.LeftButton)
    assert row.words.whole.startswith("Paused · Learning")
    row.show_job(Job("1", "Learning", "trainer", done=4, total=9))
    assert row.words.whole.startswith("Paused · Learning 4/9")
    QTest.mouseClick(row.pause, Qt.MouseButton.LeftButton)
    assert row.words.whole == "Learning 4/9"
    assert asked == [True, False]
    assert row.minimumSizeHint().width() < 300  # however long the words: jobs widen no window


def test_keys_are_tools_once_a_project_is_open(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    window.images.search.setText("zzz")
    opened(window, root, qtbot)
    qtbot.waitUntil(window.canvas.hasFocus, timeout=20_000)
    assert window.images.search.text() == ""


def test_the_tabs_stay_where_they_are_when_one_is_chosen(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    with_models(root, CARD)
    opened(window, root, qtbot)
    window.resize(1280, 740)
    for number in range(12):  # more than there is room for
        window.session.choices.add_class(f"class {number}")
    bar = window.tabs.tabBar()
    qtbot.waitUntil(lambda: window.right.sizes()[0] > 240, timeout=20_000)
    place = bar.mapTo(window, bar.rect().topLeft())
    for panel in (window.model, window.quality, window.shapes):
        window.tabs.setCurrentWidget(panel)
        if panel is window.model:
            for second in (1.0, 2.0):
                window.log.take(p.Loss("1", 10, second, 0.7))
            window.log.take(p.Validation("1", 20, 6.5, 0.61, {"cell": 0.7, "dirt": None}, 4))
        for _ in range(3):  # a layout asks for another one
            QApplication.processEvents()
        assert bar.mapTo(window, bar.rect().topLeft()) == place
