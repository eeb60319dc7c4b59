"""Training by itself and drafts ahead, in the real window; one story has the real children."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from segstudio.engine import protocol as p
from segstudio.networks import choosing
from segstudio.project import rounds as plan
from segstudio.project import settings
from segstudio.project.models import ModelInfo
from segstudio.project.project import Project
from segstudio.studio import live
from segstudio.studio.jobs import Job
from segstudio.studio.main_window import MainWindow
from tests.studio.conftest import make_project, press, sweep

PATIENCE = 120_000
CTRL = Qt.KeyboardModifier.ControlModifier


def confirm(window: MainWindow, qtbot: QtBot) -> None:
    """Label the disc of the open image and go on to the next."""
    image = window.session.image
    assert image is not None
    number = int(Path(image.key).stem)
    window.use_tool("rectangle")
    press(window, Qt.Key.Key_1)
    sweep(window, (26 + 10 * number, 26), (40, 40), (54 + 10 * number, 54))
    press(window, Qt.Key.Key_Return, CTRL)
    qtbot.waitUntil(lambda: window.session.image is not image, timeout=20_000)


class Asked:
    """Stands for the trainer: remembers what it was asked."""

    def __init__(self, window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rounds: list[tuple[Any, ...]] = []
        self._window = window
        monkeypatch.setattr(window.work, "train", self)
        monkeypatch.setattr(live, "_LOOK", 10)
        window.live._due.setInterval(10)

    def __call__(self, architecture: Any, start: Any, minutes: float, **more: Any) -> Job:
        self.rounds.append((architecture, start, more["name"]))
        job = Job(f"round-{len(self.rounds)}", "Learning", "trainer", self._root())
        self._window.jobs.jobs[job.id] = job
        return job

    def _root(self) -> str:
        project = self._window.session.project
        assert project is not None
        return str(project.root)

    def end(self, state: str, promoted: bool = False, **facts: Any) -> None:
        """The last round is over."""
        name = f"round-{len(self.rounds)}"
        if state == "done":
            self._window.jobs.told.emit(p.ModelSaved(name, "m", promoted, "because"))
        over = Job(name, "Learning", "trainer", self._root(), state=state, **facts)
        self._window.jobs.jobs[name] = over
        self._window.jobs.changed.emit(over)


@pytest.fixture
def asked(studio: MainWindow, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    studio.live.after = 1
    trainer = Asked(studio, monkeypatch)
    yield trainer
    studio.jobs.jobs.clear()  # no child has them


def allow(window: MainWindow) -> None:
    window.actions_["live"].trigger()
    assert window.live.enabled


def test_it_is_off_until_it_is_allowed_and_says_how(
    studio: MainWindow, asked: Asked, qtbot: QtBot
) -> None:
    told: list[str] = []
    studio.session.message.connect(lambda words, kind: told.append(words))
    confirm(studio, qtbot)
    qtbot.waitUntil(lambda: any("Train by itself" in words for words in told), timeout=20_000)
    assert not asked.rounds
    studio.live.after = 2
    allow(studio)
    assert "after 2 confirmed images; 1 so far" in told[-1]
    studio.live.after = 1
    studio.live.set_enabled(True)
    qtbot.waitUntil(lambda: len(asked.rounds) == 1, timeout=20_000)
    assert asked.rounds == [(None, None, "live")]


def test_rounds_follow_until_they_are_in_vain_and_again_with_new_labels(
    studio: MainWindow, asked: Asked, qtbot: QtBot
) -> None:
    allow(studio)
    confirm(studio, qtbot)
    qtbot.waitUntil(lambda: len(asked.rounds) == 1, timeout=20_000)
    for promoted, rounds in ((True, 2), (False, 3)):
        asked.end("done", promoted)
        qtbot.waitUntil(lambda rounds=rounds: len(asked.rounds) == rounds, timeout=20_000)
    asked.end("done", promoted=False)
    qtbot.waitUntil(lambda: not studio.live._due.isActive(), timeout=20_000)
    assert len(asked.rounds) == 3
    confirm(studio, qtbot)
    qtbot.waitUntil(lambda: len(asked.rounds) == 4, timeout=20_000)


@pytest.mark.parametrize(
    ("network", "known", "anew"),
    [
        ("unet", True, "deeplabv3plus"),
        ("segnet", True, "segnet"),
        ("unet", False, "unet"),  # the machine may have a GPU
        ("", True, "deeplabv3plus"),
        ("", False, None),
    ],
)
def test_a_round_from_the_base_takes_what_is_recommended_by_now(
    studio: MainWindow,
    asked: Asked,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
    network: str,
    known: bool,
    anew: str | None,
) -> None:
    model = ModelInfo(f"000001-{network}", 1, Path(), network) if network else None
    monkeypatch.setattr(studio.work, "model", lambda: model)
    monkeypatch.setattr(studio.jobs, "ready", p.Ready("predictor", "cuda") if known else None)
    monkeypatch.setattr(live, "next_round", lambda *_: plan.Round("", 4.0, 20))
    really = choosing.Situation

    def scene(labelled: int, classes: int) -> choosing.Situation:
        assert (labelled, classes) == (1, 2)
        return really(20, 11)

    monkeypatch.setattr(choosing, "Situation", scene)
    allow(studio)
    confirm(studio, qtbot)
    qtbot.waitUntil(lambda: len(asked.rounds) == 1, timeout=20_000)
    assert asked.rounds == [(anew, "", "live")]


@pytest.mark.parametrize("state", ["cancelled", "done"])  # done: what it had learned was saved
def test_a_cancelled_round_turns_it_off(
    studio: MainWindow, asked: Asked, qtbot: QtBot, state: str
) -> None:
    allow(studio)
    confirm(studio, qtbot)
    qtbot.waitUntil(lambda: len(asked.rounds) == 1, timeout=20_000)
    asked.end(state, stopping=True)
    assert settings.load()["train_by_itself"] is False
    assert not studio.live.enabled
    assert not studio.actions_["live"].isChecked()
    confirm(studio, qtbot)
    qtbot.waitUntil(lambda: not studio.live._due.isActive(), timeout=20_000)
    assert len(asked.rounds) == 1


def test_on_battery_nothing_starts_and_a_round_waits(
    studio: MainWindow, asked: Asked, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    low = [True]
    paused: list[tuple[str, bool]] = []
    studio.live._is_on_battery = lambda: low[0]
    monkeypatch.setattr(studio.jobs, "pause", lambda job, on: paused.append((job, on)))
    allow(studio)
    confirm(studio, qtbot)
    qtbot.waitUntil(lambda: not studio.live._due.isActive(), timeout=20_000)
    assert not asked.rounds
    low[0] = False
    studio.live._mind_battery()
    qtbot.waitUntil(lambda: len(asked.rounds) == 1, timeout=20_000)
    for now in (True, True, False):
        low[0] = now
        studio.live._mind_battery()
    assert paused == [("round-1", True), ("round-1", False)]


def test_the_model_learns_and_drafts_the_next_images_by_itself(
    window: MainWindow, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "_SHORTEST", 0.2)
    monkeypatch.setattr(plan, "_IMAGES_A_MINUTE", 1e9)
    root = make_project(tmp_path / "cells", count=6)
    window.ahead.enabled = True
    window.live.after = 3
    window.open_folder(root)
    qtbot.waitUntil(lambda: window.session.image is not None, timeout=20_000)
    allow(window)
    for _ in range(3):
        confirm(window, qtbot)
    qtbot.waitUntil(lambda: bool(window.live.job), timeout=20_000)
    with Project.open(root, read_only=True) as project:
        qtbot.waitUntil(lambda: bool(project.models.all()), timeout=PATIENCE)
        model = project.models.all()[0]
        window.work.promote(model.id)  # discs are guessed so well that no network is better
        assert model.card["recipe"]["name"] == "live"
        coming = [f"images/{n}.png" for n in (3, 4, 5)]
        qtbot.waitUntil(
            lambda: all(project.predictions.has(model.id, key) for key in coming),
            timeout=PATIENCE,
        )
    job = window.live.job
    window.actions_["live"].trigger()
    assert not window.live.enabled
    if job:
        qtbot.waitUntil(lambda: window.jobs.jobs[job].is_over, timeout=30_000)


def test_what_a_person_trains_comes_after_the_round_has_ended(
    studio: MainWindow, asked: Asked, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled: list[str] = []
    monkeypatch.setattr(studio.jobs, "cancel", cancelled.append)
    allow(studio)
    confirm(studio, qtbot)
    qtbot.waitUntil(lambda: len(asked.rounds) == 1, timeout=20_000)
    begun: list[bool] = []
    studio.live.give_way(lambda: begun.append(True))
    assert cancelled == ["round-1"]
    assert not begun
    asked.end("done", stopping=True)
    assert begun == [True]
    assert studio.live.enabled


def test_a_project_read_anew_keeps_its_round(
    studio: MainWindow, asked: Asked, qtbot: QtBot
) -> None:
    allow(studio)
    confirm(studio, qtbot)
    qtbot.waitUntil(lambda: len(asked.rounds) == 1, timeout=20_000)
    studio.session.reopen()
    qtbot.waitUntil(lambda: studio.session.image is not None, timeout=20_000)
    assert studio.live.job == "round-1"


def opened_again(window: MainWindow, root: Path, qtbot: QtBot) -> None:
    window.actions_["close"].trigger()
    assert window.session.project is None
    window.open_folder(root)
    qtbot.waitUntil(lambda: window.session.image is not None, timeout=20_000)


def test_a_round_that_was_cut_off_goes_on_when_the_project_is_opened_again(
    studio: MainWindow, asked: Asked, root: Path, qtbot: QtBot
) -> None:
    allow(studio)
    confirm(studio, qtbot)
    qtbot.waitUntil(lambda: len(asked.rounds) == 1, timeout=20_000)
    studio.jobs.jobs.clear()  # the program has died, and with it the child
    with Project.open(root) as project:  # which has learned from all that there is before
        card = 'architecture = "unet"\nclasses = ["cell"]\nimages = { train = 9 }\n'
        project.models.add("unet", lambda f: (f / "model.toml").write_text(card) and None)
    opened_again(studio, root, qtbot)
    qtbot.waitUntil(lambda: len(asked.rounds) == 2, timeout=20_000)
    asked.end("done", promoted=False)
    qtbot.waitUntil(lambda: len(asked.rounds) == 3, timeout=20_000)
    asked.end("done", promoted=False)
    opened_again(studio, root, qtbot)
    qtbot.waitUntil(lambda: not studio.live._is_new, timeout=20_000)
    assert len(asked.rounds) == 3
    assert not studio.live.job
    told: list[str] = []
    studio.session.message.connect(lambda words, kind: told.append(words))
    for _ in range(2):
        studio.actions_["live"].trigger()
    qtbot.waitUntil(lambda: bool(told), timeout=20_000)
    assert "another image is confirmed" in told[-1]
    assert len(asked.rounds) == 3


def test_a_project_closed_and_opened_at_once_is_no_wish_to_end_training(
    studio: MainWindow, asked: Asked, root: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studio.jobs, "cancel", lambda job: None)  # it takes two seconds
    allow(studio)
    confirm(studio, qtbot)
    qtbot.waitUntil(lambda: len(asked.rounds) == 1, timeout=20_000)
    opened_again(studio, root, qtbot)
    asked.end("cancelled", stopping=True)
    assert studio.live.enabled
    assert settings.load()["train_by_itself"] is True
    qtbot.waitUntil(lambda: len(asked.rounds) == 2, timeout=20_000)


def test_images_with_strokes_only_do_not_stand_for_confirmed_ones(
    studio: MainWindow, asked: Asked, root: Path, qtbot: QtBot
) -> None:
    allow(studio)
    confirm(studio, qtbot)
    qtbot.waitUntil(lambda: len(asked.rounds) == 1, timeout=20_000)
    with Project.open(root) as project:  # of one confirmed image and eight with strokes
        card = 'architecture = "unet"\nclasses = ["cell"]\nimages = { train = 9 }\n'
        project.models.add("unet", lambda f: (f / "model.toml").write_text(card) and None)
    asked.end("failed")
    studio.live.set_enabled(False)
    confirm(studio, qtbot)
    assert studio.session.writing.now()
    opened_again(studio, root, qtbot)
    assert len(asked.rounds) == 1
    studio.live.set_enabled(True)
    qtbot.waitUntil(lambda: len(asked.rounds) == 2, timeout=20_000)
