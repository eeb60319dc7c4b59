"""Drafts of a frame from the labels of a frame before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from moving import CLASSES, film, frame, label

from segstudio.annotation import components
from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import mask_shape
from segstudio.learning.forecast import Forecaster, forecast_folder, write
from segstudio.learning.metrics import Confusion
from segstudio.learning.motion import motion, path
from segstudio.project.frames import FRAME_BEFORE, before, is_expected, way_back
from segstudio.project.models import ModelInfo, ModelStore
from segstudio.project.project import Project
from segstudio.project.reviews import Review


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Six frames of one film, of which the first is labelled, and two of another one."""
    film(tmp_path, 6)
    film(tmp_path, 2, "b", seed=1)
    with Project.create(tmp_path, classes=CLASSES) as opened:
        label(opened, key(0), 0)
        yield opened


def key(number: int, drive: str = "a") -> str:
    return f"images/{drive}_{number:03d}.png"


def miou(found: np.ndarray[Any, Any], truth: np.ndarray[Any, Any]) -> float:
    return Confusion(3).add(found, truth).miou()


def test_it_beats_a_copy_of_the_last_labels(project: Project) -> None:
    found = Forecaster().forecast(project, way_back(project, key(1)))
    assert found is not None
    assert (found.source, found.steps) == (key(0), 1)
    truth = frame(1)[1]
    assert miou(found.labels, truth) > 0.9 > miou(frame(0)[1], truth)
    right = found.labels == truth
    assert found.margin[right].mean() > found.margin[~right].mean()


def test_it_goes_from_frame_to_frame(project: Project) -> None:
    found = Forecaster().forecast(project, way_back(project, key(5)))
    assert found is not None
    assert found.steps == 5
    assert miou(found.labels, frame(5)[1]) > 0.8 > 2 * miou(frame(0)[1], frame(5)[1])


def test_nothing_is_carried_into_another_drive(project: Project) -> None:
    assert way_back(project, key(0, "b")) == []
    assert not is_expected(project, key(0, "b"))


def test_nothing_is_carried_over_a_cut(tmp_path: Path) -> None:
    """Names that go on do not make a scene that goes on."""
    film(tmp_path, 2)
    film(tmp_path, 1, "b", seed=1)
    os.replace(tmp_path / key(0, "b"), tmp_path / key(2))
    with Project.create(tmp_path, classes=CLASSES) as project:
        label(project, key(1), 1)
        assert way_back(project, key(2)) == [key(2), key(1)]
        assert Forecaster().forecast(project, way_back(project, key(2))) is None


def test_pictures_of_other_sizes_have_no_motion() -> None:
    picture = frame(0)[0]
    assert motion(picture, picture[:100]) is None
    assert motion(picture[:20, :20], picture[:20, :20]) is None


def test_a_large_picture_is_carried_at_its_own_size() -> None:
    pictures = [np.kron(frame(n)[0], np.ones((8, 8, 1), np.uint8)) for n in (0, 1)]
    seen = motion(pictures[0], pictures[1])
    assert seen is not None
    assert seen.shift.shape[0] < pictures[0].shape[0]
    labels, truth = (np.kron(frame(n)[1], np.ones((8, 8), np.uint8)) for n in (0, 1))
    carried = path([seen]).carry(labels)
    assert carried.shape == truth.shape
    assert miou(carried, truth) > 0.88 > miou(labels, truth)
    assert path([seen]).margin(truth.shape).shape == truth.shape


def test_things_that_touch_stay_apart(project: Project) -> None:
    labels = frame(0)[1]
    across = np.mgrid[: labels.shape[0], : labels.shape[1]][1]
    halves = [(labels == 2) & (across < 120), (labels == 2) & (across >= 120)]
    shapes = tuple(mask_shape("bar", Bitmap.from_array(half)) for half in halves)
    project.save(key(0), replace(project.load(key(0)), shapes=shapes))
    found = Forecaster().forecast(project, way_back(project, key(1)))
    assert found is not None
    names = project.classes.by_value
    drafts = components.of_prediction(found.labels, found.margin, found.things, names, "m")
    assert len(drafts) == 2


def test_what_nobody_labelled_is_no_draft(project: Project) -> None:
    """Of an image that is not confirmed only what is drawn is carried along."""
    shapes = tuple(s for s in project.load(key(0)).shapes if s.class_name == "bar")
    project.save(key(0), replace(project.load(key(0)), shapes=shapes, confirmed=False))
    found = Forecaster().forecast(project, way_back(project, key(1)))
    assert found is not None
    assert set(np.unique(found.labels).tolist()) == {0, project.classes.values["bar"]}
    project.save(key(0), Annotation(160, 120, (), confirmed=True))
    assert Forecaster().forecast(project, way_back(project, key(1))) is None


@pytest.mark.parametrize(("theirs", "offered"), [(0.3, True), (0.99, False), (None, False)])
def test_a_better_network_keeps_its_drafts(
    project: Project, theirs: float | None, offered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ModelInfo("000001-unet", 1, project.root, "unet", scores={"miou": theirs})
    forecaster = Forecaster()
    assert forecaster.offer(project, key(2)).forecast is not None  # there is no model
    monkeypatch.setattr(ModelStore, "current", lambda self: model)
    assert forecaster.offer(project, key(2)).forecast is None  # nothing to compare with
    label(project, key(1), 1)
    offer = forecaster.offer(project, key(2))
    assert offer.agreement is not None
    assert offer.agreement > 0.9
    assert (offer.forecast is not None) is offered


def test_a_folder_of_frames(project: Project) -> None:
    label(project, key(3), 3)
    keys = project.images()
    with project.runs.start(FRAME_BEFORE, len(keys)) as run:
        result = forecast_folder(project, keys, run=run)
    assert (result.done, result.without) == (4, 4)
    assert [project.predictions.has(FRAME_BEFORE, k) for k in keys] == [
        *[False, True, True, False, True, True],
        *[False, False],
    ]
    assert project.state(key(1)) == "draft"
    assert project.load(key(1)).shapes == ()
    assert project.runs.undo(run.number).images == 4
    assert project.state(key(1)) == "none"


def test_what_a_person_decided_about_is_kept(project: Project) -> None:
    def again() -> np.ndarray[Any, Any] | None:
        write(project, key(1), Forecaster().forecast(project, way_back(project, key(1))))
        found = project.predictions.read(FRAME_BEFORE, key(1))
        return None if found is None else found[0]

    first = again()
    project.predictions.mark_shown(FRAME_BEFORE, key(1))
    shapes = project.load(key(0)).shapes
    project.save(key(0), replace(project.load(key(0)), shapes=shapes[:1]))
    second = again()  # the labels it came from are others now, and nothing was decided
    assert first is not None
    assert second is not None
    assert (first != second).any()
    project.predictions.mark_shown(FRAME_BEFORE, key(1))
    project.reviews.save(key(1), Review(shown=FRAME_BEFORE, rejected=("disc:0,0,1,1:1",)))
    project.save(key(0), replace(project.load(key(0)), shapes=shapes))
    np.testing.assert_array_equal(again(), second)


def test_other_drafts_that_were_seen_stay(project: Project) -> None:
    assert is_expected(project, key(1))
    zeros = np.zeros((120, 160), np.uint8)
    project.predictions.write("000001-unet", key(1), zeros, zeros)
    assert is_expected(project, key(1))
    project.predictions.mark_shown("000001-unet", key(1))
    assert not is_expected(project, key(1))


def test_the_frames_before() -> None:
    keys = ["a/1.png", "a/2.png", "a/70.png", "a/100.png", "b/101.png", "note.png"]
    assert before(keys, "a/100.png") == ["a/70.png"]
    assert before(keys, "a/2.png") == ["a/1.png"]
    assert before(keys, "b/101.png") == []
    assert before(keys, "note.png") == []
    assert before(keys, "missing.png") == []
    assert before([f"{n}.png" for n in range(9)], "8.png", most=3) == ["7.png", "6.png", "5.png"]
