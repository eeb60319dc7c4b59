"""What the predictor answers when it is asked for drafts from the frame before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from moving import CLASSES, film, label

from segstudio.engine import protocol
from segstudio.engine.jobs import predictor_role
from segstudio.engine.worker import Control
from segstudio.learning.forecast import forecast_folder
from segstudio.project.frames import FRAME_BEFORE
from segstudio.project.project import Project


def ask(root: Path, key: str) -> Any:
    request = protocol.Forecast("job-1", str(root), key)
    worker: Any = None  # nothing is told on the way
    return predictor_role()[protocol.Forecast](worker, request, Control("job-1"))


def test_drafts_are_made_until_they_are_taken_back(tmp_path: Path) -> None:
    film(tmp_path, 3)
    keys = [f"images/a_00{number}.png" for number in range(3)]
    with Project.create(tmp_path, classes=CLASSES) as project:
        label(project, keys[0], 0)
    assert ask(tmp_path, keys[1]) == {"image": keys[1], "source": keys[0]}
    assert ask(tmp_path, keys[0]) == {"image": keys[0], "source": ""}  # it is labelled
    with Project.open(tmp_path) as project:
        assert project.predictions.has(FRAME_BEFORE, keys[1])
        with project.runs.start(FRAME_BEFORE, 1) as run:
            forecast_folder(project, keys[1:2], run=run)
        project.runs.undo(run.number)
    assert ask(tmp_path, keys[1]) == {"image": keys[1], "source": ""}
    assert ask(tmp_path, keys[2]) == {"image": keys[2], "source": keys[0]}
