"""Drafts from the frame before, in the real window with the real predictor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from moving import CLASSES, film, frame, label
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from segstudio.project import sample
from segstudio.project.frames import FRAME_BEFORE
from segstudio.project.project import Project
from segstudio.studio.main_window import MainWindow
from tests.studio.conftest import press

PATIENCE = 120_000
CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """Three frames of a film, the first one labelled, and one of another film."""
    root = tmp_path / "drive"
    film(root, 3)
    film(root, 1, "b", seed=1)
    with Project.create(root, classes=CLASSES) as project:
        label(project, "images/a_000.png", 0, confirmed=False)
    return root


def opened(window: MainWindow, root: Path, qtbot: QtBot) -> list[str]:
    """Open the project with following on; what the window says comes into the list."""
    said: list[str] = []
    window.session.message.connect(lambda words, _: said.append(words))
    window.following.enabled = window.guessing.enabled = True
    window.open_folder(root)
    qtbot.waitUntil(lambda: window.session.image is not None, timeout=20_000)
    return said


def wait_for_drafts(window: MainWindow, key: str, qtbot: QtBot) -> None:
    def there() -> bool:
        image = window.session.image
        return image is not None and image.key == key and bool(image.document.drafts)

    qtbot.waitUntil(there, timeout=PATIENCE)


def test_confirming_a_frame_brings_drafts_of_the_next(
    window: MainWindow, drive: Path, qtbot: QtBot
) -> None:
    said = opened(window, drive, qtbot)
    window.session.go("images/a_000.png")
    qtbot.waitUntil(lambda: window.session.image is not None, timeout=20_000)
    for number in (1, 2):
        press(window, Qt.Key.Key_Return, CTRL)
        wait_for_drafts(window, f"images/a_00{number}.png", qtbot)
        image = window.session.image
        assert image is not None
        assert {shape.model for shape in image.document.drafts} == {FRAME_BEFORE}
        assert {shape.class_name for shape in image.document.drafts} == set(CLASSES)
        covered = np.zeros((120, 160), np.bool_)
        for shape in image.document.drafts:
            assert shape.bitmap is not None
            covered |= shape.bitmap.to_array((0, 0, 160, 120))
        assert (covered == (frame(number)[1] > 0)).mean() > 0.97
        assert f"Drafts from the frame before: a_00{number - 1}.png" in said
    press(window, Qt.Key.Key_Return, CTRL)  # accepts, although no file of labels was there before
    qtbot.waitUntil(lambda: window.session.wanted == "images/b_000.png", timeout=20_000)
    window.session.writing.now()
    with Project.open(drive, read_only=True) as project:
        review = project.reviews.load("images/a_001.png")
        assert review is not None
        assert (review.shown, review.accepted_unchanged) == (FRAME_BEFORE, True)
        assert project.load("images/a_001.png").shapes
        assert not project.predictions.has(FRAME_BEFORE, "images/b_000.png")


def test_a_model_s_drafts_wait_and_come_when_there_are_no_better_ones(
    window: MainWindow, drive: Path, qtbot: QtBot
) -> None:
    key = "images/a_001.png"
    with Project.open(drive) as project:
        model = sample.add_starter(project)
        assert model is not None
        project.set_classes(project.classes.with_class("nucleus"))
        value = project.classes.values["nucleus"]
        sure = np.full((120, 160), 255, np.uint8)
        project.predictions.write(model.id, key, np.full((120, 160), value, np.uint8), sure)
    opened(window, drive, qtbot)
    window.session.go(key)
    wait_for_drafts(window, key, qtbot)  # nothing is confirmed that could be compared
    image = window.session.image
    assert image is not None
    assert image.drafts.model == model.id
    with Project.open(drive, read_only=True) as project:
        assert not project.predictions.has(FRAME_BEFORE, key)


def test_it_can_be_turned_off(window: MainWindow, drive: Path, qtbot: QtBot) -> None:
    opened(window, drive, qtbot)
    window.actions_["follow"].trigger()
    assert not window.following.enabled
    window.guessing.enabled = False
    window.session.go("images/a_001.png")
    qtbot.waitUntil(
        lambda: window.session.image is not None and window.session.image.key.endswith("1.png"),
        timeout=20_000,
    )
    assert not [job for job in window.jobs.jobs.values() if job.request == "Forecast"]
    window.actions_["follow"].trigger()
    wait_for_drafts(window, "images/a_001.png", qtbot)
    image = window.session.image
    assert image is not None
    assert image.document.drafts[0].model == FRAME_BEFORE
