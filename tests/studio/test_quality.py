"""The quality panel on a real project, its figures from the real child."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from segstudio.project.project import Project
from segstudio.studio.main_window import MainWindow
from tests.studio.conftest import press
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
