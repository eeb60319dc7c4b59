"""The walk from doubt to doubt and the heat, in the window on a real project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from segstudio.project.project import Project
from segstudio.studio import doubts
from segstudio.studio.main_window import MainWindow
from tests.studio.conftest import at, make_project, press, sweep
from tests.studio.test_window import add_prediction, open_image, shown, two_drafts


def predict_again(root: Path, key: str, boxes: list[tuple[int, int, int, int]]) -> None:
    """As `predict`, by a model that is there."""
    with Project.open(root) as project:
        model = project.models.current()
        assert model is not None
        margin = np.full((90, 120), 255, np.uint8)
        for x0, y0, x1, y1 in boxes:
            margin[y0:y1, x0:x1] = 20
        project.predictions.write(model.id, key, two_drafts(), margin)


def predict(root: Path, doubts: dict[str, list[tuple[int, int, int, int]]]) -> None:
    """Predictions that are sure but for boxes (x0, y0, x1, y1) of each image."""
    for key, boxes in doubts.items():
        add_prediction(root, key, two_drafts())
        predict_again(root, key, boxes)


def test_n_walks_the_doubtful_regions_and_then_the_images_worst_first(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    predict(
        root,
        {
            "images/0.png": [(12, 12, 24, 24), (70, 55, 90, 75)],
            "images/1.png": [(5, 40, 12, 46)],
            "images/2.png": [(12, 12, 28, 28)],
        },
    )
    open_image(window, root, qtbot)
    image = window.session.image
    assert image is not None
    boxes: list[object] = []
    window.doubts.region_found.connect(boxes.append)
    press(window, Qt.Key.Key_N)
    qtbot.waitUntil(lambda: len(boxes) == 1, timeout=20_000)
    x0, y0, x1, y1 = boxes[-1]  # type: ignore[misc]
    assert x0 <= 80 <= x1
    assert y0 <= 65 <= y1
    assert [s.class_name for s in window.session.reviewing.drafts_of(image.desk.selection)] == [
        "dirt"
    ]
    middle = window.canvas.rect().center()
    found = window.canvas.view.to_image(middle.x(), middle.y())
    assert abs(found[0] - 80) < 5
    press(window, Qt.Key.Key_Y)
    assert [s.class_name for s in image.document.shapes] == ["dirt"]
    press(window, Qt.Key.Key_N)
    qtbot.waitUntil(lambda: len(boxes) == 2, timeout=20_000)
    assert [s.class_name for s in window.session.reviewing.drafts_of(image.desk.selection)] == [
        "cell"
    ]
    press(window, Qt.Key.Key_Delete)
    assert not image.document.drafts
    press(window, Qt.Key.Key_N)
    shown(window, "images/2.png", qtbot)
    qtbot.waitUntil(lambda: boxes[-1] is not None, timeout=20_000)


def test_a_draft_that_reaches_far_beyond_a_region_is_not_selected_with_it(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    predict(root, {"images/0.png": [(60, 45, 66, 51)]})
    open_image(window, root, qtbot)
    image = window.session.image
    assert image is not None
    boxes: list[object] = []
    window.doubts.region_found.connect(boxes.append)
    window._select_all()
    press(window, Qt.Key.Key_N)
    qtbot.waitUntil(lambda: len(boxes) == 1, timeout=20_000)
    assert not image.desk.selection
    assert "reach far beyond" in window.status.message.whole


def test_what_a_person_has_drawn_over_is_settled(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    predict(root, {"images/0.png": [(70, 55, 90, 75)]})
    open_image(window, root, qtbot)
    window.use_tool("rectangle")
    sweep(window, (60, 45), (80, 60), (100, 85))
    told: list[str] = []
    window.session.message.connect(lambda words, kind: told.append(words))
    press(window, Qt.Key.Key_N)
    qtbot.waitUntil(lambda: any("Nothing doubtful" in words for words in told), timeout=20_000)


def test_heat_is_shown_where_the_model_is_unsure_and_follows_the_image(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    predict(root, {"images/0.png": [(100, 10, 118, 28)], "images/1.png": [(2, 60, 20, 78)]})
    open_image(window, root, qtbot)

    def red(x: float, y: float) -> bool:
        colour = window.canvas.grab().toImage().pixelColor(at(window, x, y))
        return colour.red() > colour.blue() + 60

    assert not red(109, 19)
    press(window, Qt.Key.Key_H, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: red(109, 19), timeout=20_000)
    assert not red(11, 69)
    window.session.go("images/1.png")
    shown(window, "images/1.png", qtbot)
    qtbot.waitUntil(lambda: red(11, 69), timeout=20_000)
    assert not red(109, 19)
    press(window, Qt.Key.Key_H, Qt.KeyboardModifier.ShiftModifier)
    assert not red(11, 69)


def test_images_without_a_region_worth_a_look_are_not_opened(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    predict(root, {f"images/{n}.png": [] for n in range(3)})
    with Project.open(root) as project:
        model = project.models.current()
        assert model is not None
        vague = np.full((90, 120), 180, np.uint8)
        for n in (1, 2):
            project.predictions.write(model.id, f"images/{n}.png", two_drafts(), vague)
    open_image(window, root, qtbot)
    told: list[str] = []
    window.session.message.connect(lambda words, kind: told.append(words))
    press(window, Qt.Key.Key_N)
    qtbot.waitUntil(lambda: any("Nothing doubtful" in words for words in told), timeout=20_000)
    assert window.session.wanted == "images/0.png"


def test_n_goes_on_past_the_first_hundreds(
    window: MainWindow, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubts, "_SCORED", 2)
    root = make_project(tmp_path / "many", count=8)
    predict(root, {f"images/{n}.png": [] for n in range(7)})
    predict_again(root, "images/6.png", [(70, 55, 90, 75)])
    open_image(window, root, qtbot)
    told: list[str] = []
    window.session.message.connect(lambda words, kind: told.append(words))
    press(window, Qt.Key.Key_N)
    shown(window, "images/6.png", qtbot)
    qtbot.waitUntil(lambda: any("whole drafts" in words for words in told), timeout=20_000)
    press(window, Qt.Key.Key_N)
    qtbot.waitUntil(lambda: any("Nothing doubtful" in words for words in told), timeout=20_000)
    assert "1 image it has not seen yet" in told[-1]


def test_what_was_walked_through_is_walked_again_with_a_new_model(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    predict(root, {f"images/{n}.png": [(70, 55, 90, 75)] * (n == 1) for n in range(3)})
    open_image(window, root, qtbot)
    told: list[str] = []
    window.session.message.connect(lambda words, kind: told.append(words))
    press(window, Qt.Key.Key_N)
    shown(window, "images/1.png", qtbot)
    qtbot.waitUntil(lambda: any("whole drafts" in words for words in told), timeout=20_000)
    window.session.go("images/0.png")  # before it was walked to the end
    shown(window, "images/0.png", qtbot)
    told.clear()
    press(window, Qt.Key.Key_N)
    shown(window, "images/1.png", qtbot)
    qtbot.waitUntil(lambda: any("Nothing doubtful" in words for words in told), timeout=20_000)
    window.session.go("images/0.png")
    shown(window, "images/0.png", qtbot)
    with Project.open(root) as project:
        card = 'architecture = "unet"\nclasses = ["cell", "dirt"]\n'
        newer = project.models.add("unet", lambda f: (f / "model.toml").write_text(card) and None)
    window.work.promote(newer.id)
    predict(root, {f"images/{n}.png": [(12, 12, 24, 24)] * (n == 2) for n in range(3)})
    window.session.refresh_states([f"images/{n}.png" for n in range(3)])
    told.clear()
    press(window, Qt.Key.Key_N)
    shown(window, "images/2.png", qtbot)
    qtbot.waitUntil(lambda: any("whole drafts" in words for words in told), timeout=20_000)
