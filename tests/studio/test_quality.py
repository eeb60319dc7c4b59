"""The quality panel on a real project, its figures from the real child."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from segstudio.annotation import components
from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import Shape
from segstudio.learning.quality import quality
from segstudio.project.project import Project
from segstudio.project.reviews import Review
from segstudio.studio.main_window import MainWindow
from tests.studio.conftest import press, sweep
from tests.studio.test_window import add_prediction, open_image, saved, shown, two_drafts

CTRL = Qt.KeyboardModifier.ControlModifier


def test_what_was_accepted_and_what_is_doubtful_is_shown_and_opens(
    window: MainWindow, root: Path, qtbot: QtBot, tmp_path: Path
) -> None:
    for n in (0, 1):
        add_prediction(root, f"images/{n}.png", two_drafts())
    open_image(window, root, qtbot)
    press(window, Qt.Key.Key_Return, CTRL)
    shown(window, "images/1.png", qtbot)
    press(window, Qt.Key.Key_Return, CTRL)
    shown(window, "images/2.png", qtbot)
    saved(window, qtbot)
    with Project.open(root) as project:
        card = 'architecture = "unet"\nclasses = ["cell", "dirt"]\n'
        model = project.models.add("unet", lambda f: (f / "model.toml").write_text(card) and None)
        project.models.promote(model.id)
        wrong = two_drafts()
        wrong[45:85, 55:105] = 1
        sure = np.full((90, 120), 255, np.uint8)
        project.predictions.write(model.id, "images/0.png", wrong, sure)
    window.tabs.setCurrentWidget(window.quality)
    qtbot.waitUntil(lambda: window.quality.doubtful.count() == 1, timeout=60_000)
    panel = window.quality
    assert "Confirmed: 2, left: 1" in panel.caption.text()
    assert "1.000 (mIoU)" in panel.caption.text()
    assert "Accepted as shown: 2" in panel.caption.text()
    scores = {panel.table.item(r, 0).text(): panel.table.item(r, 1).text() for r in range(3)}
    assert scores == {"background": "1.000", "cell": "1.000", "dirt": "1.000"}
    panel.doubtful.itemClicked.emit(panel.doubtful.item(0))
    shown(window, "images/0.png", qtbot)
    qtbot.waitUntil(lambda: window.canvas._marks.region is not None, timeout=20_000)
    x, y = window.canvas.view.to_image(*window.canvas.rect().center().toTuple())
    assert abs(x - 80) < 30
    assert abs(y - 65) < 30
    report = tmp_path / "report.html"
    panel.save_report(str(report))
    qtbot.waitUntil(report.exists, timeout=30_000)
    assert "images are confirmed" in report.read_text()


def test_a_model_that_saw_nothing_is_held_against_it(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    for n in (0, 1, 2):
        add_prediction(root, f"images/{n}.png", np.zeros((90, 120)))
    open_image(window, root, qtbot)
    window.use_tool("rectangle")
    sweep(window, (26, 26), (40, 40), (54, 54))
    press(window, Qt.Key.Key_Return, CTRL)
    shown(window, "images/1.png", qtbot)
    press(window, Qt.Key.Key_Return, CTRL)
    shown(window, "images/2.png", qtbot)
    saved(window, qtbot)
    with Project.open(root) as project:
        found = {image.image: image for image in quality(project).images}
    assert found["images/0.png"].iou["cell"] == 0
    assert not found["images/0.png"].unchanged
    assert found["images/1.png"].agreement == 1
    assert found["images/1.png"].unchanged


def test_what_a_person_labelled_before_any_prediction_does_not_count_as_shown(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    with Project.open(root) as project:
        key = "images/0.png"
        whole = Shape("cell", "rectangle", points=((5, 5), (110, 85)))
        project.save(key, replace(project.load(key), shapes=(whole,)))
    add_prediction(root, key, two_drafts())
    open_image(window, root, qtbot)
    press(window, Qt.Key.Key_Return, CTRL)
    shown(window, "images/1.png", qtbot)
    saved(window, qtbot)
    with Project.open(root) as project:
        (image,) = quality(project).images
    assert image.agreement is None


def test_time_and_strokes_count_without_a_model_and_what_was_shown_stays(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    add_prediction(root, "images/1.png", two_drafts())
    open_image(window, root, qtbot)
    window.use_tool("rectangle")
    for x in (20, 60):
        sweep(window, (x, 26), (x + 10, 40), (x + 30, 54))
    press(window, Qt.Key.Key_Return, CTRL)
    shown(window, "images/1.png", qtbot)
    press(window, Qt.Key.Key_Return, CTRL)
    shown(window, "images/2.png", qtbot)
    saved(window, qtbot)
    reviews = root / "reviews" / "images"
    first = json.loads((reviews / "0.json").read_text())
    assert (first["strokes"], first["shown"]) == (3, "")
    before = json.loads((reviews / "1.json").read_text())
    window.session.reopen()
    shown(window, "images/2.png", qtbot)
    window.session.go("images/1.png")  # opened again, and corrected
    shown(window, "images/1.png", qtbot)
    sweep(window, (5, 60), (10, 70), (20, 80))
    window.session.leave_image()
    after = json.loads((reviews / "1.json").read_text())
    assert after["strokes"] == before["strokes"] + 1
    assert (after["shown"], after["accepted"]) == (before["shown"], before["accepted"])
    assert before["accepted_unchanged"]
    assert not after["accepted_unchanged"]


def test_the_panel_shows_what_was_taken_for_what_outlines_pace_and_models(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    wrong = two_drafts()
    wrong[50:80, 60:80] = 1  # half of what is dirt
    with Project.open(root) as project:
        for n in (0, 1):
            card = 'architecture = "unet"\nclasses = ["cell", "dirt"]\n'
            model = project.models.add(
                "unet", lambda f, card=card: (f / "model.toml").write_text(card) and None
            )
            key = f"images/{n}.png"
            margin = np.full((90, 120), 200, np.uint8)
            labels = wrong if n == 0 else two_drafts()
            project.predictions.write(model.id, key, labels.astype(np.uint8), margin)
            project.predictions.mark_shown(model.id, key)
            found = components.drafts(two_drafts(), margin, project.classes.by_value)
            project.save(key, Annotation(120, 90, tuple(found), confirmed=True))
            facts = {"seconds": 30.0 - 10 * n, "strokes": 8 - n, "confirmed_at": 100.0 + n}
            project.reviews.save(key, Review(model=model.id, shown=model.id, **facts))
    open_image(window, root, qtbot)
    panel = window.quality
    window.tabs.setCurrentWidget(panel)
    qtbot.waitUntil(lambda: bool(panel.facts), timeout=60_000)
    chart = panel._chart
    assert chart is not None
    assert chart.marked == ["#1", "#2"]
    values = []
    for index in range(panel.measure.count()):
        panel.measure.setCurrentIndex(index)
        values.append(chart._dots.getData()[1].tolist())
    assert values[0][0] < values[0][1] == 1
    assert values[1][0] < values[1][1] == 1
    assert values[2:] == [[30, 20], [8, 7]]
    assert not panel.confusion.isVisible()
    panel.detail.setCurrentIndex(1)
    assert panel.confusion.isVisible()
    assert not panel.table.isVisible()
    cell = panel.confusion._cell(2, 1).center()
    words = panel.confusion.words_at(cell.x(), cell.y())
    assert words == "Confirmed as dirt, shown as cell: 25.0 %"
    points = chart._dots.points()
    chart._dots.sigClicked.emit(chart._dots, [points[1]], None)
    shown(window, "images/1.png", qtbot)
