"""The real children at work on a small project."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from discs import QUICK, disc_picture, label
from numpy.typing import NDArray

from segstudio.engine.child import Child
from segstudio.engine.protocol import (
    Cancel,
    Cancelled,
    Done,
    Evaluate,
    Export,
    Failed,
    Guess,
    ImageDone,
    Message,
    ModelSaved,
    Probe,
    Progress,
    Ready,
    Role,
    Segment,
    Train,
)
from segstudio.project.project import Project

PATIENCE = 240.0
ENDS = (Done, Failed, Cancelled)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "discs"
    (root / "images").mkdir(parents=True)
    for i in range(6):
        cv2.imwrite(str(root / "images" / f"{i}.png"), disc_picture(i)[0])
    made = Project.create(root, classes=["disc"])
    for key in made.images()[:4]:
        label(made, key)
    return made


class Engine:
    """Children by role, and all they said."""

    def __init__(self) -> None:
        self.children: dict[Role, Child] = {}
        self.events: queue.Queue[Message] = queue.Queue()

    def ask(self, role: Role, request: Message) -> None:
        if role not in self.children:
            child = Child(role, self.events.put, lambda code, why: None)
            child.start()
            self.children[role] = child
        self.children[role].send(request)

    def until_end(self, job: str) -> list[Message]:
        """Everything until that job ended."""
        seen: list[Message] = []
        while not (seen and isinstance(seen[-1], ENDS) and seen[-1].job == job):
            seen.append(self.events.get(timeout=PATIENCE))
        return seen


@pytest.fixture
def engine() -> Iterator[Engine]:
    running = Engine()
    yield running
    for child in running.children.values():
        child.close()


def test_train_segment_evaluate_export(project: Project, engine: Engine, tmp_path: Path) -> None:
    root = str(project.root)
    engine.ask("trainer", Probe("cpu"))
    engine.ask("trainer", Train("t", root, overrides=QUICK, device="cpu"))
    told = engine.until_end("t")
    assert isinstance(told[-1], Done), told[-1]
    assert next(e for e in told if isinstance(e, Ready)).device == "cpu"
    saved = next(e for e in told if isinstance(e, ModelSaved))
    assert saved.guesses is not None
    assert saved.promoted == (project.models.current() is not None)

    engine.ask("predictor", Segment("s", root, saved.model, project.images(), "cpu", True))
    told = engine.until_end("s")
    assert isinstance(told[-1], Done), told[-1]
    assert {e.image for e in told if isinstance(e, ImageDone)} == set(project.images())
    assert project.predictions.done(saved.model) == set(project.images())

    assert told[-1].result["run"] == 1
    assert project.runs.get(1).images == len(project.images())

    images = project.images()
    careful = Segment("c", root, saved.model, images, "cpu", as_run=True, care="thorough")
    engine.ask("predictor", careful)
    done = engine.until_end("c")[-1]
    assert isinstance(done, Done), done
    assert (done.result["done"], done.result["run"]) == (len(images), 2)
    assert project.runs.get(2).thorough

    engine.ask("predictor", Evaluate("e", root, saved.model, "cpu"))
    done = engine.until_end("e")[-1]
    assert isinstance(done, Done), done
    assert done.result["images"] == 4

    out = tmp_path / "out"
    engine.ask("files", Export("x", root, str(out), "index_png", project.images()[:4]))
    done = engine.until_end("x")[-1]
    assert isinstance(done, Done), done
    assert done.result["lost"] == 0
    assert out.is_dir()


def test_what_is_wrong_is_said_with_a_remedy(project: Project, engine: Engine) -> None:
    engine.ask("predictor", Segment("s", str(project.root), "000009-unet", ("images/0.png",)))
    failed = engine.until_end("s")[-1]
    assert isinstance(failed, Failed)
    assert "000009-unet" in failed.message


def test_a_training_without_end_is_cancelled(project: Project, engine: Engine) -> None:
    overrides = {**QUICK, "max_steps": None, "patience": None}
    engine.ask("trainer", Train("t", str(project.root), overrides=overrides, device="cpu"))
    while not isinstance(engine.events.get(timeout=PATIENCE), Progress):
        pass
    engine.children["trainer"].send(Cancel("t"))
    assert isinstance(engine.until_end("t")[-1], Cancelled)
    assert project.models.all() == []


def test_guesses_follow_the_label_files(engine: Engine, project: Project) -> None:
    """Round 0: the same child learns from what is labelled, and again when that changes."""
    keys = project.images()

    def guess(number: int, *learn: str) -> NDArray[np.integer] | None:
        request = Guess(f"g{number}", str(project.root), keys[5], learn)
        engine.ask("predictor", request)
        done = engine.until_end(request.job)[-1]
        assert isinstance(done, Done)
        assert done.result["image"] == keys[5]
        if not done.result["file"]:
            return None
        with np.load(done.result["file"]) as found:
            assert found["margin"].shape == found["labels"].shape
            return np.asarray(found["labels"])

    assert guess(1) is None  # nothing to learn from
    project.label_file(keys[3]).write_text('{"shapes": [')
    first = guess(2, keys[0], keys[1], keys[3])  # a damaged label file stops nobody
    mask = disc_picture(5)[1]
    assert first is not None
    assert ((first == 1) & mask).sum() / ((first == 1) | mask).sum() > 0.8
    project.set_classes(project.classes.with_class("other"))
    label(project, keys[2], class_name="other")
    second = guess(3, keys[2])
    assert second is not None
    assert set(np.unique(second)) <= {0, 1, 2}
    assert (second == 2).any()
