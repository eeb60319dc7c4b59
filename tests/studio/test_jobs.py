"""Child processes as the window lives with them."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import psutil
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from segstudio.engine import protocol as p
from segstudio.studio.jobs import Job, progress_line, time_left
from segstudio.studio.main_window import MainWindow
from segstudio.studio.training import stored_curves
from tests.studio.conftest import press, sweep


def test_a_killed_child_costs_a_message_and_comes_back(
    studio: MainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    press(studio, Qt.Key.Key_R)
    sweep(studio, (10, 10), (40, 40), (70, 50))
    studio.session.reviewing.set_confirmed(True)
    troubles: list[str] = []
    studio.jobs.trouble.connect(troubles.append)
    child = studio.jobs.start_child("files")
    qtbot.waitUntil(lambda: child.alive, timeout=20_000)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: bool(troubles), timeout=20000)
    assert "memory" in troubles[0]
    assert "memory" in studio.status.message.toolTip()

    job = studio.work.export("index_png", str(tmp_path / "out"), only_confirmed=True)
    assert job is not None
    qtbot.waitUntil(lambda: studio.jobs.jobs[job.id].is_over, timeout=60000)
    assert studio.jobs.jobs[job.id].state == "done", studio.jobs.jobs[job.id].text
    assert list((tmp_path / "out").rglob("0*.png"))
    pid = studio.jobs.pid("files")
    assert pid is not None
    studio.close()
    assert not psutil.pid_exists(pid)


def test_an_export_into_a_full_folder_is_refused_and_nothing_is_lost(
    studio: MainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    out = tmp_path / "full"
    out.mkdir()
    (out / "precious.txt").write_text("keep me")
    press(studio, Qt.Key.Key_R)
    sweep(studio, (10, 10), (40, 40), (70, 50))
    studio.session.reviewing.set_confirmed(True)
    job = studio.work.export("voc", str(out), only_confirmed=True)
    assert job is not None
    qtbot.waitUntil(lambda: studio.jobs.jobs[job.id].is_over, timeout=60000)
    assert studio.jobs.jobs[job.id].state == "failed"
    assert "full" in studio.jobs.jobs[job.id].text
    assert [f.name for f in out.iterdir()] == ["precious.txt"]


def test_progress_in_words() -> None:
    job = Job("1", "Segmenting", "predictor", done=214, total=400, rate=3.1, seconds_left=60)
    assert progress_line(job) == "Segmenting 214/400 · 3.1/s · 60 s"
    assert time_left(None) == ""
    assert time_left(200) == "3 min"
    assert time_left(8000) == "2 h 13 min"


def test_the_curves_of_a_stored_model_are_shown(tmp_path: Path) -> None:
    lines = [
        '{"step": 1, "seconds": 2.0, "loss": 0.7}',
        '{"step": 2, "seconds": 3.0, "miou": 0.5, "per_class": {"cell": 0.4}, "images": 2}',
        '{"step": 3, "sec',
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    curves = stored_curves(tmp_path)
    assert curves.loss == [(2.0, 0.7)]
    assert curves.miou == [(3.0, 0.5)]
    assert curves.per_class == {"cell": 0.4}
    assert stored_curves(tmp_path / "nowhere").loss == []


def test_rounds_that_went_on_follow_each_other_in_the_curves(tmp_path: Path) -> None:
    times = ((1.0, 5.0, 9.0), (1.0, 4.0), (0.5, 2.0))
    lines = [{"seconds": second, "loss": 0.5} for round in times for second in round]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    curves = stored_curves(tmp_path)
    assert [seconds for seconds, _ in curves.loss] == [1.0, 5.0, 9.0, 10.0, 13.0, 13.5, 15.0]


def test_a_training_event_reaches_the_model_panel(studio: MainWindow) -> None:
    studio.tabs.setCurrentWidget(studio.model)
    studio.log.take(p.Loss("1", 10, 3.0, 0.7))
    studio.log.take(p.Loss("1", 20, 6.0, 0.5))
    studio.log.take(p.Validation("1", 20, 6.5, 0.61, {"cell": 0.7, "dirt": None}, 4))
    assert "0.610" in studio.model.caption.text()
    assert "4" in studio.model.caption.text()
    assert studio.model.table.item(0, 1).text() == "0.700"  # type: ignore[union-attr]
    assert studio.model.table.item(1, 1).text() == "–"  # type: ignore[union-attr]


def test_the_model_that_came_of_a_training_is_shown(
    studio: MainWindow, root: Path, qtbot: QtBot
) -> None:
    project = studio.session.project
    assert project is not None
    card = 'architecture = "unet"\nclasses = ["cell"]\n'
    models = [
        project.models.add("unet", lambda f: (f / "model.toml").write_text(card) and None)
        for _ in range(3)
    ]
    project.models.promote(models[0].id)
    studio.model.reload()
    assert studio.model._chosen_id() == models[0].id
    studio.log.take(p.Loss("1", 10, 3.0, 0.7))
    studio.log.take(p.ModelSaved("another", models[1].id, False, "because"))
    assert studio.log.curves.loss
    studio.log.take(p.ModelSaved("1", models[2].id, False, "because"))
    assert not studio.log.curves.loss
    studio.model.reload()
    assert studio.model._chosen_id() == models[2].id
    studio.log.take(p.Loss("2", 10, 3.0, 0.7))
    studio.log.take(p.ModelSaved("2", models[1].id, False, "because"))
    studio.model.reload()
    assert studio.model._chosen_id() == models[2].id  # which a person may be looking at
