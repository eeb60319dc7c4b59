"""What a new model looks at by itself, in the real window; one story has the real predictor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from segstudio.learning.adopt import adopt_model
from segstudio.project import glances as looks
from segstudio.project.glances import glances
from segstudio.project.project import Project
from segstudio.project.sample import starter_folder
from segstudio.studio.jobs import Job
from segstudio.studio.main_window import MainWindow
from tests.studio.conftest import make_project, press, sweep
from tests.studio.test_doubts import predict
from tests.studio.test_window import open_image, shown

CTRL = Qt.KeyboardModifier.ControlModifier


def confirm(root: Path, numbers: Sequence[int]) -> None:
    with Project.open(root) as project:
        for number in numbers:
            key = f"images/{number}.png"
            found = project.load(key)
            project.save(key, type(found)(found.width, found.height, (), confirmed=True))


def test_each_model_looks_at_some_of_both_kinds_the_training_side_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_project(tmp_path / "many", count=12)
    monkeypatch.setattr(looks, "CONFIRMED", 3)
    monkeypatch.setattr(looks, "OTHERS", 2)
    confirm(root, range(6))
    predict(root, {"images/7.png": []})
    with Project.open(root) as project:
        current = project.models.current()
        assert current is not None
        project.splits.put_all({f"images/{n}.png": "train" if n < 2 else "val" for n in range(6)})
        states = dict(project.states())
        found = glances(project, current.id, states)
        confirmed = [key for key in found if states[key] == "confirmed"]
        assert len(confirmed) == 3
        assert set(confirmed[:2]) == {"images/0.png", "images/1.png"}
        assert "images/7.png" not in found
        assert len(found) - len(confirmed) <= 2
        assert found == glances(project, current.id, states)
        drawn = {tuple(glances(project, name, states)) for name in ("a", "b", "c", "d")}
        assert len(drawn) > 1


def test_a_new_model_is_compared_with_confirmed_images_and_looks_at_others(
    window: MainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    root = make_project(tmp_path / "many", count=8)
    confirm(root, range(5))
    with Project.open(root) as project:
        model = adopt_model(project, starter_folder(), {"nucleus": "cell"})
    window.spare.enabled = True
    open_image(window, root, qtbot)
    window.tabs.setCurrentWidget(window.quality)
    calm = window.quality.calm
    qtbot.waitUntil(lambda: "compared with the model in force yet" in calm.text(), timeout=60_000)
    window.work.promote(model.id)
    with Project.open(root, read_only=True) as project:
        qtbot.waitUntil(
            lambda: project.predictions.done(model.id) == set(project.images()), timeout=120_000
        )
    qtbot.waitUntil(lambda: window.quality.facts.get("compared") == 5, timeout=60_000)
    book = window.doubts.book
    assert book is not None
    others = [f"images/{n}.png" for n in (5, 6, 7)]
    qtbot.waitUntil(lambda: set(book.known(others, model.id)) == set(others), timeout=20_000)
    assert (root / ".segstudio" / "cache" / "doubts.json").is_file()


class Asked:
    """Stands for the predictor."""

    def __init__(self, window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[list[str]] = []
        self.cancelled: list[str] = []
        self._window = window
        monkeypatch.setattr(window.work, "segment", self)
        monkeypatch.setattr(window.jobs, "cancel", self.cancelled.append)
        window.spare._due.setInterval(10)

    def __call__(self, keys: Sequence[str], **how: Any) -> Job:
        assert how == {"quiet": True, "spare": True}
        self.batches.append(list(keys))
        return self.put(f"spare-{len(self.batches)}")

    def put(self, name: str, state: str = "running") -> Job:
        project = self._window.session.project
        assert project is not None
        job = Job(name, "Segmenting", "predictor", str(project.root), state=state, quiet=True)
        self._window.jobs.jobs[name] = job
        self._window.jobs.changed.emit(job)
        return job


@pytest.fixture
def asked(
    window: MainWindow, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Asked]:
    root = make_project(tmp_path / "many", count=9)
    predict(root, {"images/0.png": []})
    predictor = Asked(window, monkeypatch)
    window.spare.enabled = True
    open_image(window, root, qtbot)
    qtbot.waitUntil(lambda: len(predictor.batches) == 1, timeout=20_000)
    yield predictor
    window.jobs.jobs.clear()


def test_it_gives_way_to_what_a_person_asks_for_and_goes_on(
    window: MainWindow, asked: Asked, qtbot: QtBot
) -> None:
    asked.put("mine")
    assert asked.cancelled == ["spare-1"]
    asked.put("spare-1", "cancelled")
    qtbot.waitUntil(window.spare._due.isActive, timeout=20_000)
    window.spare._go_on()
    assert len(asked.batches) == 1  # the predictor is at work for a person
    asked.put("mine", "done")
    qtbot.waitUntil(lambda: len(asked.batches) == 2, timeout=20_000)
    assert asked.batches[1] == asked.batches[0]
    ended: list[bool] = []
    window.spare.ended.connect(lambda: ended.append(True))
    asked.put("spare-2", "done")
    qtbot.waitUntil(lambda: len(asked.batches) == 3, timeout=20_000)
    asked.put("spare-3", "done")
    qtbot.waitUntil(lambda: bool(ended), timeout=20_000)
    keys = [key for batch in asked.batches[1:] for key in batch]
    assert sorted(keys) == [f"images/{n}.png" for n in range(1, 9)]


def test_strokes_put_the_next_images_off(window: MainWindow, asked: Asked, qtbot: QtBot) -> None:
    due = window.spare._due
    due.setInterval(600_000)
    asked.put("spare-1", "done")
    assert due.isActive()
    due.start(1_000_000)
    window.use_tool("rectangle")
    sweep(window, (60, 45), (80, 60), (100, 85))
    assert due.interval() == 1_000_000  # begun anew: QTimer.start() keeps the last interval
    assert due.remainingTime() > 600_000


def test_a_model_that_cannot_predict_is_not_asked_again(
    window: MainWindow, asked: Asked, qtbot: QtBot
) -> None:
    ended: list[bool] = []
    window.spare.ended.connect(lambda: ended.append(True))
    asked.put("spare-1", "failed")
    assert not window.spare._due.isActive()
    press(window, Qt.Key.Key_D)
    shown(window, "images/1.png", qtbot)
    assert len(asked.batches) == 1
