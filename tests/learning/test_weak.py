"""Rectangles as boxes around things: the segments in them, and training on those."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest
from discs import QUICK, disc_picture

from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import Shape, as_points
from segstudio.errors import Cancelled, UserError
from segstudio.learning import boxlabels
from segstudio.learning.boxlabels import BOXES, PLACE, ROUNDS, BoxLabels, box_labels
from segstudio.learning.evaluate import evaluate
from segstudio.learning.events import Event
from segstudio.learning.finish import UNTOUCHED
from segstudio.learning.pixels import Pixels
from segstudio.learning.quality import quality
from segstudio.learning.recipe import Recipe
from segstudio.learning.trainer import TrainRequest, train
from segstudio.learning.trainingset import TrainingSet
from segstudio.learning.weak import grab_cut_targets, parts_of, refined_targets
from segstudio.project.project import Project
from segstudio.project.rectangles import only_rectangles

VALUES = {"disc": 1, "other": 2}
VOID = 255


def box(x0: int, y0: int, x1: int, y1: int, name: str = "disc") -> Shape:
    return Shape(name, "rectangle", as_points([[x0, y0], [x1, y1]]))


def boxes(mask: np.ndarray) -> tuple[Shape, ...]:
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    return tuple(box(x, y, x + w, y + h) for x, y, w, h, _ in stats[1:].tolist())


def annotation(shapes: Sequence[Shape], confirmed: bool = True) -> Annotation:
    return Annotation(64, 64, tuple(shapes), confirmed=confirmed)


def test_what_stands_out_in_a_box_is_found_and_nothing_outside() -> None:
    for seed in range(4):
        picture, mask = disc_picture(seed)
        found = grab_cut_targets(picture, annotation(boxes(mask)), VALUES, False)
        known = found != VOID
        hits = ((found == 1) & mask).sum() / (((found == 1) | mask) & known).sum()
        assert hits > 0.93
        outside = np.ones_like(mask)
        for part in parts_of(annotation(boxes(mask)), VALUES):
            outside[part.place][part.inside] = False
        assert not found[outside].any()


def test_where_nothing_stands_out_the_middle_is_taken_and_the_rest_unknown() -> None:
    flat = np.full((64, 64, 3), 90, np.uint8)
    found = grab_cut_targets(flat, annotation([box(10, 10, 40, 40)]), VALUES, False)
    assert found[25, 25] == 1
    assert found[11, 11] == VOID
    assert found[50, 50] == 0


def test_the_smaller_box_is_in_front_and_exact_shapes_on_top() -> None:
    picture, mask = disc_picture(0)
    shapes = boxes(mask)
    exact = Shape("other", "polygon", as_points([[0, 0], [20, 0], [20, 20], [0, 20]]))
    found = grab_cut_targets(picture, annotation([exact, *shapes]), VALUES, False)
    assert (found[2:18, 2:18] == 2).all()
    order = parts_of(annotation([box(20, 20, 30, 30, "other"), box(10, 10, 50, 50)]), VALUES)
    assert [part.value for part in order] == [1, 2]
    silent = grab_cut_targets(picture, annotation(shapes, confirmed=False), VALUES, True)
    assert set(np.unique(silent)) <= {0, 1, VOID}
    assert (silent == VOID).mean() > 0.3


def test_predictions_take_the_place_of_segments_inside_the_boxes_alone() -> None:
    there = annotation([box(0, 0, 19, 19), box(40, 40, 59, 59)])
    first = np.zeros((64, 64), np.uint8)
    first[4:16, 4:16], first[44:56, 44:56] = 1, 1
    labels = np.zeros((64, 64), np.uint8)
    labels[2:14, 2:14] = 1  # elsewhere, as large
    labels[44:47, 44:56] = 1  # lost most of the second
    labels[25:30, 25:30] = 1  # outside all boxes
    margin = np.full((64, 64), 200, np.uint8)
    margin[2, 2:14] = 10
    found = refined_targets(first, (labels, margin), there, VALUES, False)
    assert (found[3:14, 2:14] == 1).all()
    assert (found[2, 2:14] == VOID).all()
    assert found[15, 15] == 0
    assert np.array_equal(found[40:59, 40:59], first[40:59, 40:59])
    assert not found[25:30, 25:30].any()


def test_things_are_in_front_as_their_segments_are(boxed: Project) -> None:
    """A small box that was drawn before a large one of another class keeps its thing."""
    picture = np.full((64, 64, 3), 40, np.uint8)
    picture[8:56, 8:56], picture[20:32, 20:32] = (60, 200, 60), (220, 60, 60)
    exact = Shape("disc", "polygon", as_points([[40, 40], [48, 40], [48, 48], [40, 48]]))
    shapes = [exact, box(19, 19, 32, 32), box(7, 7, 56, 56, "other")]
    boxed.set_classes(boxed.classes.with_class("other"))
    key = boxed.labelled_keys()[0]
    cv2.imwrite(str(boxed.root / key), picture[..., ::-1])
    boxed.save(key, annotation(shapes))
    weak = BoxLabels(boxed)
    data = TrainingSet.of(boxed, weak, instances=True)
    item = next(item for item in (*data.train, *data.validation) if item.key == key)
    labels, things = item.read().labels, item.read().instances
    assert things is not None
    assert len({things[12, 12], things[26, 26], things[44, 44]} - {0}) == 3
    small, large = things == things[26, 26], things == things[12, 12]
    assert small.sum() > 0.9 * 12 * 12
    assert (labels[small] == 1).all()
    assert (labels[large] == 2).all()
    assert np.array_equal(things > 0, labels > 0)


@pytest.fixture
def boxed(disc_project: Callable[..., Project]) -> Project:
    """Six of eight images have rectangles around their discs."""
    project = disc_project()
    for key in project.confirmed_keys():
        mask = disc_picture(int(key.split("/")[1][0]))[1]
        project.save(key, annotation(boxes(mask)))
    return project


def label_files(project: Project) -> dict[str, bytes]:
    return {key: project.label_file(key).read_bytes() for key in project.labelled_keys()}


def test_training_on_boxes_leaves_label_files_and_says_what_it_was(
    boxed: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    # scores of the training are those of the bare network
    monkeypatch.setattr(Pixels, "finishes", lambda *_: UNTOUCHED)
    before = label_files(boxed)
    assert only_rectangles(boxed)
    request = TrainRequest(overrides={**QUICK, "weak": BOXES}, device="cpu")
    result = train(boxed, request)
    assert label_files(boxed) == before
    assert "made of rectangles" in result.reason
    assert result.provisional
    model = boxed.models.get(result.model)
    assert model.card["recipe"]["weak"] == BOXES
    assert len(list((boxed.root / PLACE).rglob("*.first.png"))) == 6
    again = evaluate(boxed, model, device="cpu")  # by the same segments, not by whole rectangles
    assert again["boxes"] == 6
    assert again["validation"]["miou"] == pytest.approx(result.scores["miou"])
    boxed.models.promote(model.id)
    assert quality(boxed).boxes == 6
    plain = train(boxed, TrainRequest(overrides=QUICK, device="cpu"))
    assert "rectangles" not in plain.reason


def test_targets_are_made_once_and_made_better_in_rounds(boxed: Project) -> None:
    weak = box_labels(boxed, {"weak": BOXES}, 0.0, lambda event: None, lambda: False)
    assert weak is not None
    data = TrainingSet.of(boxed, weak)
    key = data.train[0].key
    first = weak.map(key)
    assert data.refresh() is None  # nothing was learned yet
    better = np.where(first == 1, 1, 0).astype(np.uint8)
    better[:, 32:] = 0
    sure = np.full(first.shape, 255, np.uint8)
    weak._predictor = lambda: lambda picture: (better, sure)
    weak.seconds, weak._since = 3600.0, weak._since - 3600.0
    changed = data.refresh()
    assert changed is not None
    assert changed[0][0].version > data.project.label_file(key).stat().st_mtime
    assert [item.version for item in changed[1]] == [item.version for item in data.validation]
    assert not np.array_equal(weak.map(key), first) or not (first[:, 32:] == 1).any()
    for _ in range(ROUNDS + 1):
        data.refresh()
    assert weak.rounds == ROUNDS


class Clock:
    """A time that only goes on when it is told to."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(boxlabels, "time", found)
    return found


def slow(clock: Clock, weak: BoxLabels, seconds: float) -> Callable[[], boxlabels.Predict]:
    """A network that takes so long for a picture."""
    kept = weak.map(weak.project.labelled_keys()[0])

    def predict(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        clock.wait(seconds)
        return kept, np.full((64, 64), 255, np.uint8)

    return lambda: predict


def test_a_round_takes_a_tenth_of_the_time_and_none_while_paused(
    boxed: Project, clock: Clock
) -> None:
    told: list[Event] = []
    weak = BoxLabels(boxed, told.append, seconds=300.0, _since=0.0)
    weak._predictor = slow(clock, weak, 10.0)
    weak._pause_point = lambda: clock.wait(1000.0)
    keys = boxed.labelled_keys()
    clock.now = 100.0
    assert weak.refine_when_due(keys)
    assert clock.now == 100.0 + 3 * 1010.0
    assert weak._since == 3 * 1000.0
    assert "3 of 6 images" in str(told[-1])
    assert sorted(weak.version(key) for key in keys) == [0, 0, 0, *[1e-3] * 3]
    clock.now += 100.0
    assert weak.refine_when_due(keys)
    assert sum(weak.version(key) == 2e-3 for key in keys) == 3
    assert sum(weak.version(key) > 0 for key in keys) > 3


def test_a_round_can_be_stopped(boxed: Project, clock: Clock) -> None:
    weak = BoxLabels(boxed, should_stop=lambda: clock.now > 0, seconds=1e9, _since=-1e9)
    weak._predictor = slow(clock, weak, 1.0)
    with pytest.raises(Cancelled):
        weak.refine_when_due(boxed.labelled_keys())
    assert clock.now == 1.0


def test_targets_of_labels_that_changed_are_made_anew_and_the_old_ones_go(boxed: Project) -> None:
    weak = BoxLabels(boxed)
    key = boxed.labelled_keys()[0]
    weak.map(key)
    boxed.save(key, annotation([box(1, 1, 9, 9)]))
    weak.map(key)
    stem = key.split("/")[1].split(".")[0]
    assert len(list((boxed.root / PLACE / "images").glob(f"{stem}.*.png"))) == 1
    boxed.save(key, annotation([]))
    assert not weak.concerns(key)
    assert not weak.map(key).any()


def test_nothing_is_removed_from_a_project_that_is_only_read(boxed: Project) -> None:
    key = boxed.labelled_keys()[0]
    BoxLabels(boxed).map(key)
    boxed.save(key, annotation([box(1, 1, 9, 9)]))
    kept = sorted((boxed.root / PLACE).rglob("*.png"))
    boxed.close()
    with Project.open(boxed.root, read_only=True) as reader:
        assert BoxLabels(reader).map(key).any()
    assert sorted((boxed.root / PLACE).rglob("*.png")) == kept != []


def test_labels_saved_while_targets_are_made_get_targets_of_their_own(
    boxed: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    weak = BoxLabels(boxed)
    key = boxed.labelled_keys()[0]
    weak.map(key)
    read = boxed.read_image

    def saved_meanwhile(key: str) -> np.ndarray:
        count = len(boxed.load(key).shapes)
        boxed.save(key, annotation([box(2, 2, 20, 20)] * (count + 1)))
        return read(key)

    monkeypatch.setattr(boxed, "read_image", saved_meanwhile)
    zeros = np.zeros((64, 64), np.uint8)
    weak._refine(key, lambda picture: (zeros, zeros))
    assert not weak._file(key, refined=True).exists()
    weak._made(key)
    assert not weak._file(key).exists()


def test_targets_follow_what_unlabelled_pixels_mean(
    boxed: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    weak = BoxLabels(boxed)
    key = boxed.labelled_keys()[0]
    assert (weak.map(key) == 0).any()
    kept = weak._file(key)
    boxed.set_manifest(replace(boxed.manifest, unlabelled="ignore"))
    outside = np.ones((64, 64), np.bool_)
    for part in parts_of(boxed.load(key), VALUES):
        outside[part.place][part.inside] = False
    assert (weak.map(key)[outside] == VOID).all()
    assert not kept.exists()
    kept = weak._file(key)
    monkeypatch.setattr(boxlabels, "METHOD", boxlabels.METHOD + 1)
    weak.map(key)
    assert not kept.exists()


def test_preparing_can_be_stopped_and_is_not_begun_for_nothing(
    boxed: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert box_labels(boxed, {}, None, lambda event: None, lambda: False) is None
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    with pytest.raises(Cancelled):
        box_labels(boxed, {"weak": BOXES}, None, lambda event: None, lambda: True)
    assert 1 <= len(list((boxed.root / PLACE).rglob("*.png"))) < 6


def test_only_boxes_are_a_kind_of_weak_label() -> None:
    assert Recipe().overridden({"weak": BOXES}).weak == BOXES
    with pytest.raises(UserError, match="weak cannot be"):
        Recipe().overridden({"weak": "scribbles"})


def test_rectangles_among_other_shapes_are_things(boxed: Project) -> None:
    key = boxed.labelled_keys()[0]
    found = boxed.load(key)
    point = Shape("disc", "point", as_points([[3, 3]]))
    boxed.save(key, replace(found, shapes=(*found.shapes, point)))
    assert not only_rectangles(boxed)
    guess = replace(point, source="model", model="round-0")
    boxed.save(key, replace(found, shapes=(*found.shapes, guess)))
    assert only_rectangles(boxed)
