"""Going where the model learns most, in the window on a real project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from segstudio.project.doubts import DoubtBook
from segstudio.project.models import ModelInfo
from segstudio.project.order import Choice
from segstudio.project.project import Project
from segstudio.studio import ordering
from segstudio.studio.main_window import MainWindow
from tests.studio.conftest import make_project, press
from tests.studio.test_doubts import predict
from tests.studio.test_window import open_image, shown

SHIFT, CTRL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier


def add_model(project: Project) -> ModelInfo:
    card = 'architecture = "unet"\nclasses = ["cell", "dirt"]\n'
    return project.models.add("unet", lambda f: (f / "model.toml").write_text(card) and None)


def listen(window: MainWindow) -> list[str]:
    told: list[str] = []
    window.session.message.connect(lambda words, kind: told.append(words))
    return told


def test_before_there_is_a_model_a_typical_image_is_chosen(
    window: MainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    root = make_project(tmp_path / "many", count=6)
    odd = np.zeros((90, 120, 3), np.uint8)
    odd[::4] = (0, 250, 0)
    Image.fromarray(odd).save(root / "images" / "0.png")
    window._order_by(True)
    open_image(window, root, qtbot)
    qtbot.waitUntil(lambda: len(window.ordering._vectors) == 6, timeout=20000)
    told = listen(window)
    press(window, Qt.Key.Key_D, SHIFT)
    qtbot.waitUntil(lambda: bool(told), timeout=20_000)
    assert "typical" in told[-1]
    image = window.session.image
    assert window.session.wanted != "images/0.png"
    assert image is not None


def test_confirming_goes_to_the_doubtful_image_and_says_so(
    window: MainWindow, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segstudio.project.order._NOISE", 0.0)
    root = make_project(tmp_path / "many", count=5)
    boxes = {f"images/{n}.png": [(2, 2, 4, 4)] for n in range(5)}
    predict(root, {**boxes, "images/3.png": [(100, 5, 118, 25), (62, 52, 98, 78)]})
    with Project.open(root) as project:
        for key in ("images/1.png", "images/2.png"):
            project.save(key, project.load(key))
    window.actions_["smart_order"].trigger()
    open_image(window, root, qtbot)
    told = listen(window)
    press(window, Qt.Key.Key_D, SHIFT)  # none is confirmed: the first turn is for uncertain ones
    shown(window, "images/3.png", qtbot)
    assert any("unsure of" in words for words in told)
    press(window, Qt.Key.Key_Return, CTRL)
    image = window.session.image
    qtbot.waitUntil(lambda: window.session.image is not image, timeout=20_000)
    assert any("unlike" in words or "random" in words for words in told)


@pytest.mark.parametrize("kind", ["uncertain", "unlike", "typical", "random"])
def test_every_choice_has_its_reason(kind: str) -> None:
    words = ordering.reason(Choice("a", kind, "road", 0.5))  # type: ignore[arg-type]
    assert words.startswith("Next")
    assert ("road" in words) == (kind == "uncertain")


def test_one_prediction_of_a_new_model_leaves_the_doubts_of_the_old_one_in_the_choice(
    window: MainWindow, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segstudio.project.order._NOISE", 0.0)
    root = make_project(tmp_path / "many", count=6)
    boxes = {f"images/{n}.png": [(2, 2, 4, 4)] for n in range(6)}
    predict(root, {**boxes, "images/4.png": [(100, 5, 118, 25), (62, 52, 98, 78)]})
    with Project.open(root) as project:
        DoubtBook(project).of(project.images())  # another time the window was open
        project.models.promote(add_model(project).id)
    predict(root, {"images/1.png": [(2, 2, 4, 4)]})
    foreseen: list[str] = []
    window.ordering.foresaw.connect(foreseen.append)
    window.actions_["smart_order"].trigger()
    open_image(window, root, qtbot)
    told = listen(window)
    press(window, Qt.Key.Key_D, SHIFT)
    shown(window, "images/4.png", qtbot)
    assert any("unsure of" in words for words in told)


def test_the_image_that_comes_next_is_known_before_it_is_asked_for(
    window: MainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    root = make_project(tmp_path / "many", count=12)
    predict(root, {"images/0.png": []})
    asked: list[list[str]] = []
    window.work.segment = lambda keys, **_: asked.append(list(keys))  # type: ignore[assignment]
    foreseen: list[str] = []
    window.ordering.foresaw.connect(foreseen.append)
    window.ahead.enabled = True
    window.actions_["smart_order"].trigger()
    open_image(window, root, qtbot)
    qtbot.waitUntil(lambda: len(window.ordering._vectors) == 12, timeout=20_000)
    window.ordering.foresee()
    qtbot.waitUntil(lambda: bool(foreseen), timeout=20_000)
    before = len(foreseen)
    window.ordering.foresee()
    qtbot.waitUntil(lambda: len(foreseen) > before, timeout=20_000)
    qtbot.waitUntil(lambda: any(foreseen[-1] in keys for keys in asked), timeout=20_000)
    press(window, Qt.Key.Key_Return, CTRL)
    shown(window, foreseen[-1], qtbot)


def test_doubts_outlive_the_program_and_their_file_may_be_damaged(tmp_path: Path) -> None:
    root = make_project(tmp_path / "many", count=2)
    predict(root, {"images/0.png": [(100, 5, 118, 25)]})
    with Project.open(root) as project:
        found = DoubtBook(project).of(project.images())
        assert DoubtBook(project).known(project.images()) == found
        (root / ".segstudio" / "cache" / "doubts.json").write_text('{"images/0.png": 3}')
        assert DoubtBook(project).known(project.images()) == {}
        assert DoubtBook(project).of(project.images()) == found
