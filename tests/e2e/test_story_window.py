"""The whole story in the real window with real events and real child processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox
from pytestqt.qtbot import QtBot

from segstudio.project import sample
from segstudio.project.project import Project
from segstudio.studio import theme
from segstudio.studio.dialogs.export import ExportDialog, ReportDialog
from segstudio.studio.dialogs.train import TrainDialog
from segstudio.studio.jobs import Job
from segstudio.studio.main_window import MainWindow
from segstudio.studio.training import stored_curves
from tests.studio.conftest import click, press, sweep

CTRL = Qt.KeyboardModifier.ControlModifier
PATIENCE = 240_000


def shown(window: MainWindow, key: str, qtbot: QtBot) -> None:
    qtbot.waitUntil(
        lambda: window.session.image is not None and window.session.image.key == key,
        timeout=20_000,
    )


def over(window: MainWindow, title: str, qtbot: QtBot) -> Job:
    """Wait until the newest job of this title has ended well."""

    def newest() -> Job | None:
        jobs = [job for job in window.jobs.jobs.values() if job.title == title]
        return jobs[-1] if jobs else None

    qtbot.waitUntil(lambda: (job := newest()) is not None and job.is_over, timeout=PATIENCE)
    job = newest()
    assert job is not None
    assert job.state == "done", job.text
    assert not job.failures
    return job


def agree(window: MainWindow, kind: type) -> None:
    """Press the default button of an open dialog."""
    (dialog,) = (d for d in window.findChildren(kind) if d.isVisible())
    QTest.mouseClick(dialog.ok, Qt.MouseButton.LeftButton)


@pytest.mark.slow
def test_open_segment_correct_confirm_train_export_reopen(
    qtbot: QtBot, qapp: QApplication, tmp_path: Path
) -> None:
    theme.apply(qapp, "light")
    root = sample.open_copy(tmp_path / "sample")
    window = MainWindow()
    window.show()
    try:
        window.open_folder(root)
        shown(window, "images/nuclei_01.png", qtbot)

        # one click segments the folder; drafts come to the open image
        QTest.mouseClick(window.top.buttons["segment"], Qt.MouseButton.LeftButton)
        done = over(window, "Segmenting", qtbot)
        assert done.result["done"] == 17
        image = window.session.image
        assert image is not None
        qtbot.waitUntil(lambda: bool(image.document.drafts), timeout=20_000)
        drafts = len(image.document.drafts)

        # brush, polygon, undo
        press(window, Qt.Key.Key_B)
        sweep(window, (100, 200), (110, 205), (120, 200))
        press(window, Qt.Key.Key_P)
        for place in [(20, 200), (40, 200), (40, 220)]:
            click(window, *place)
        press(window, Qt.Key.Key_Return)
        assert [s.kind for s in image.document.shapes] == ["mask", "polygon"]
        press(window, Qt.Key.Key_Z, CTRL)
        assert [s.kind for s in image.document.shapes] == ["mask"]

        # confirm takes the drafts and goes on
        press(window, Qt.Key.Key_Return, CTRL)
        shown(window, "images/nuclei_03.png", qtbot)
        assert len(image.document.shapes) == drafts + 1

        # train a minute while drawing goes on
        window.actions_["train"].trigger()
        (dialog,) = window.findChildren(TrainDialog)
        dialog.minutes.setValue(1.0)
        agree(window, TrainDialog)
        qtbot.waitUntil(lambda: bool(window.log.curves.loss), timeout=PATIENCE)
        window.activateWindow()
        qtbot.waitUntil(window.isActiveWindow, timeout=20_000)
        press(window, Qt.Key.Key_R)
        assert window.canvas.tool_name == "rectangle"
        sweep(window, (30, 30), (50, 45), (60, 60))
        over(window, "Training", qtbot)
        assert window.session.project is not None
        models = window.session.project.models.all()
        assert len(models) == 2
        assert stored_curves(models[-1].path).miou
        assert f"Curves of #{models[-1].number}" in window.model.caption.text()
        current = window.session.project.models.current()
        assert current is not None  # promoted, or the starter model kept: both are right
        assert window.status.message.text()

        # once more, with care
        window.actions_["segment_thoroughly"].trigger()
        done = over(window, "Segmenting thoroughly", qtbot)
        assert done.result["done"] > 0
        assert window.session.project.runs.get(done.result["run"]).thorough

        # how good it is, on what it did not learn from
        window.actions_["evaluate"].trigger()
        qtbot.waitUntil(lambda: bool(window.findChildren(QMessageBox)), timeout=PATIENCE)
        (scores,) = window.findChildren(QMessageBox)
        assert "did not learn from" in scores.text()
        assert "mIoU 0." in scores.text()
        assert "nucleus: 0." in scores.informativeText()
        scores.accept()

        # export what is confirmed, read back without loss
        window.actions_["export"].trigger()
        agree(window, ExportDialog)
        report = over(window, "Exporting", qtbot).result
        assert report["images"] == 7
        assert report["lost"] == 0
        qtbot.waitUntil(lambda: bool(window.findChildren(ReportDialog)), timeout=20_000)
        for box in window.findChildren(ReportDialog):
            box.accept()
        exported = sorted(Path(str(report["out"])).rglob("nuclei_01*.png"))
        assert exported
        with Image.open(exported[0]) as mask, Image.open(root / "images/nuclei_01.png") as shot:
            assert mask.size == shot.size
    finally:
        window.close()
        window.deleteLater()
        qapp.processEvents()

    facts = json.loads((root / "images" / "nuclei_01.json").read_text())
    assert facts["segstudio"]["status"] == "confirmed"
    sources = {shape.get("segstudio", {}).get("source", "human") for shape in facts["shapes"]}
    assert sources == {"human", "model"}

    # everything is there again
    again = MainWindow()
    again.show()
    try:
        again.open_folder(root)
        qtbot.waitUntil(lambda: again.session.image is not None, timeout=20_000)
        assert again.session.counts() == (7, 23)
        assert again.session.state("images/nuclei_03.png") == "edited"
        again.session.go("images/nuclei_01.png")
        shown(again, "images/nuclei_01.png", qtbot)
        assert again.session.image is not None
        assert len(again.session.image.document.shapes) == drafts + 1
        assert again.model.history.count() == 3  # two, and no model
    finally:
        again.close()
        again.deleteLater()
        qapp.processEvents()
    with Project.open(root) as project:
        assert len(project.confirmed_keys()) == 7
