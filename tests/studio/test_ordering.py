"""Going where the model learns most, in the window on a real project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from segstudio.project.order import Choice
from segstudio.project.project import Project
from segstudio.studio import ordering
from segstudio.studio.main_window import MainWindow
from tests.studio.conftest import make_project, press
from tests.studio.test_doubts import predict
from tests.studio.test_window import open_image, shown

SHIFT, CTRL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier


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
