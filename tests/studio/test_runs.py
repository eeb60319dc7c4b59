"""A batch run taken back, in the real window with the real process for files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from segstudio.project.models import ModelInfo
from segstudio.project.project import Project
from segstudio.project.runs import RunInfo
from segstudio.studio import loading
from segstudio.studio.dialogs.runs import RunsDialog, run_line
from segstudio.studio.jobs import Job
from segstudio.studio.main_window import MainWindow
from segstudio.studio.open_image import Drafts
from tests.studio.conftest import followed


def _write_model(folder: Path) -> None:
    (folder / "model.toml").write_text('architecture = "unet"\nclasses = ["cell"]\n')


def shown_dialog() -> RunsDialog:
    found = (w for w in QApplication.topLevelWidgets() if isinstance(w, RunsDialog))
    return next(w for w in found if w.isVisible())


def segmented(root: Path) -> ModelInfo:
    """A run over all images, by a model that is in force."""
    with Project.open(root) as project:
        model = project.models.promote(project.models.add("unet", _write_model).id)
        labels = np.zeros((90, 120), np.uint8)
        labels[20:40, 30:60], labels[60:70, 80:100] = 1, 1
        margin = np.full((90, 120), 200, np.uint8)
        with project.runs.start(model.id, 3) as run:
            for key in project.images():
                run.note(key)
                project.predictions.write(model.id, key, labels, margin)
    return model


def test_a_run_is_undone_and_an_accepted_draft_stays(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    model = segmented(root)
    window.open_folder(root)
    qtbot.waitUntil(lambda: window.session.image is not None, timeout=20000)
    session = window.session
    assert session.image is not None
    key = session.image.key
    drafts = session.image.document.drafts
    assert len(drafts) == 2
    session.reviewing.accept(drafts[:1], "Accept draft")
    done: list[Job] = []
    window.bulk.finished.connect(done.append)
    window.actions_["undo_run"].trigger()
    dialog = shown_dialog()
    assert "Run 1" in dialog.list.item(0).text()
    assert dialog.ok.isEnabled()
    dialog.ok.click()
    followed(window, qtbot)
    qtbot.waitUntil(lambda: not window.session.image.document.drafts, timeout=20000)  # type: ignore[union-attr]
    assert (done[0].result["images"], done[0].result["kept"]) == (3, 1)
    assert session.image is not None
    assert [s.source for s in session.image.document.shapes] == ["model"]
    project = session.project
    assert project is not None
    assert [session.state(k) for k in project.images()] == ["edited", "none", "none"]
    assert project.predictions.done(model.id) == set()
    review = project.reviews.load(key)
    assert review is not None
    assert len(review.accepted) == 1

    window.ahead.enabled = True  # what was taken back is not prepared again by itself
    window.ahead._ask()
    assert not window.jobs.running("predictor")
    window.actions_["undo_run"].trigger()
    again = shown_dialog()
    assert not again.ok.isEnabled()
    assert "undone" in again.list.item(0).text()
    again.reject()


def test_a_run_that_is_being_taken_back_says_so() -> None:
    run = RunInfo(1, "m", "2026-01-02T03:04:05+00:00", 3, 3, 2, state="undoing")
    assert run_line(run).endswith(" · is being taken back")


def test_a_folder_is_not_taken_back_while_it_is_segmented(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    segmented(root)
    window.open_folder(root)
    qtbot.waitUntil(lambda: window.session.image is not None, timeout=20000)
    project = window.session.project
    assert project is not None
    window.jobs.jobs["x"] = Job("x", "Segmenting", "predictor", str(project.root))
    said: list[str] = []
    window.session.message.connect(lambda words, _: said.append(words))
    window.bulk.undo_run(project.runs.get(1))
    assert said == ["The folder is being segmented."]
    del window.jobs.jobs["x"]


def test_what_is_kept_as_seen_is_what_is_seen(
    window: MainWindow, root: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thorough run replaces a prediction just while its image is opened."""
    model = segmented(root)
    with Project.open(root) as project:
        key = project.images()[0]
    better = np.zeros((90, 120), np.uint8)
    better[5:15, 5:15] = 1
    keep = loading.keep_shown

    def replaced_before(project: Project, key: str, drafts: Drafts) -> None:
        if not project.predictions.is_seen(model.id, key):
            project.predictions.write(model.id, key, better, np.full((90, 120), 250, np.uint8))
        keep(project, key, drafts)

    monkeypatch.setattr(loading, "keep_shown", replaced_before)
    window.open_folder(root)
    qtbot.waitUntil(lambda: window.session.image is not None, timeout=20000)
    session = window.session
    assert session.image is not None
    assert session.project is not None
    assert session.image.key == key
    assert [s.bounds() for s in session.image.document.drafts] == [(5, 5, 15, 15)]
    seen = session.project.predictions.read_shown(model.id, key)
    assert seen is not None
    assert np.array_equal(seen, better)
