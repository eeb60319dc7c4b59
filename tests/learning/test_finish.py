"""What is done to a network's scores before a person sees them, and what chooses it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from discs import QUICK as RECIPE
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from torch import Tensor, nn

from segstudio.learning.adopt import adopt_model
from segstudio.learning.finish import (
    LARGEST,
    UNTOUCHED,
    Finish,
    Finishes,
    best_finishes,
    drawn,
    without_specks,
)
from segstudio.learning.inference import CAREFUL, QUICK, THOROUGH, Inference
from segstudio.learning.mending import mending
from segstudio.learning.metrics import VOID
from segstudio.learning.normalise import Normalisation
from segstudio.learning.predictor import Predictor, segment
from segstudio.learning.refine import absorbed
from segstudio.learning.trainer import TrainRequest, train
from segstudio.project.prepared import Cares, lacking_care
from segstudio.project.project import Project
from segstudio.project.runs import KEPT

MAPS = arrays.arrays(np.uint8, (14, 17), elements=st.integers(0, 2))


def noisy_disc(seed: int = 0) -> tuple[Tensor, Tensor, NDArray[np.int16]]:
    """Scores for a disc on a plain ground: the right side of its edge on the whole, but uncertain
    at every pixel."""
    rng = np.random.default_rng(seed)
    truth = cv2.circle(np.zeros((80, 90), np.uint8), (45, 40), 24, 1, -1).astype(np.int16)
    picture = np.where(truth, 190, 60) + rng.normal(0, 6, truth.shape)
    lead = np.where(truth, 1.0, -1.0) + rng.normal(0, 1.3, truth.shape)
    logits = torch.from_numpy(np.stack([-lead, lead])).float()
    planes = torch.from_numpy(picture.clip(0, 255)).float().expand(3, -1, -1)
    return logits, planes, truth


def fence() -> tuple[Tensor, Tensor, NDArray[np.int16]]:
    """Pales one pixel wide and right, which a picture without contrast does not show."""
    truth = np.zeros((60, 60), np.int16)
    truth[:, ::4] = 1
    lead = torch.from_numpy(np.where(truth, 1.0, -1.0)).float()
    return torch.stack([-lead, lead]), torch.full((3, 60, 60), 128.0), truth


def parts(labels: NDArray[np.uint8], value: int) -> list[int]:
    """Sizes of the parts of a label, connected side by side."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(
        (labels == value).astype(np.uint8), connectivity=4
    )
    return [int(size) for size in stats[1:, cv2.CC_STAT_AREA]]


@given(MAPS, st.integers(2, 30))
def test_specks_take_the_label_beside_them(labels: NDArray[np.uint8], fewest: int) -> None:
    found = absorbed(labels, fewest)
    for value in range(3):
        large = [size for size in parts(labels, value) if size >= fewest]
        if not large:
            assert value not in found or np.array_equal(found, labels)
    kept = np.zeros(labels.shape, bool)
    for value in range(3):
        _, numbers, stats, _ = cv2.connectedComponentsWithStats(
            (labels == value).astype(np.uint8), connectivity=4
        )
        sizes = stats[:, cv2.CC_STAT_AREA]
        kept |= (numbers > 0) & (sizes[numbers] >= fewest)
    if kept.any():
        assert np.array_equal(found[kept], labels[kept])
    else:
        assert np.array_equal(found, labels)  # nothing is beside them


def test_a_speck_takes_the_nearest_label() -> None:
    labels = np.zeros((20, 30), np.uint8)
    labels[:, 15:] = 2
    labels[5:7, 3:5] = 1
    labels[5:7, 25:27] = 1
    found = absorbed(labels, 5)
    assert not (found == 1).any()
    assert found[5, 3] == 0
    assert found[5, 25] == 2
    assert without_specks(labels, 0.0) is labels
    assert (without_specks(labels, 5 / labels.size) == found).all()


def test_what_is_left_to_mend() -> None:
    truth = np.zeros((60, 60), np.int16)
    truth[20:40, 20:40] = 1
    assert mending(truth, truth) == 0
    thick = cv2.dilate(truth.astype(np.uint8), np.ones((3, 3), np.uint8))
    assert mending(thick, truth) == 0  # a pixel beside the border
    spot = truth.copy()
    spot[5:10, 45:50] = 1  # 16 px around, along pixel centres
    assert mending(spot, truth) == pytest.approx(1 + 16 / 10)
    two = spot.copy()
    two[45:50, 45:50] = 1
    assert mending(two, truth) == pytest.approx(2 * (1 + 16 / 10))
    nobody_knows = truth.copy()
    nobody_knows[5:10, 45:50] = VOID
    assert mending(spot, nobody_knows) == 0
    assert mending(np.zeros_like(truth), truth) > 1


@pytest.mark.parametrize("edges", ["guided", "crf"])
def test_outlines_are_drawn_to_the_edges_of_the_picture(edges: str) -> None:
    logits, picture, truth = noisy_disc()
    raw = logits.argmax(0).numpy().astype(np.uint8)
    found = drawn(raw, logits, picture, edges)  # type: ignore[arg-type]
    assert found.dtype == raw.dtype
    assert (raw != truth).mean() > 0.15
    assert (found != truth).mean() < 0.02
    assert drawn(raw, logits, picture, "none") is raw


def test_a_large_picture_has_no_time_for_a_crf() -> None:
    """It is finished as many pictures are, not in a way that was found to be worse."""
    crf, none = Finish("crf", 1e-3), Finish("none", 3e-4)
    assert Finishes(none, crf).of(LARGEST, careful=True) == crf
    assert Finishes(none, crf).of(LARGEST + 1, careful=True) == none
    assert Finishes(none, crf).of(100, careful=False) == none
    guided = Finish("guided", 1e-3)
    assert Finishes(none, guided).of(10 * LARGEST, careful=True) == guided


def test_things_of_a_large_picture_are_no_specks() -> None:
    labels = np.zeros((2000, 3000), np.uint8)
    labels[500:520, 700:720], labels[900:905, 900:905] = 1, 1
    found = without_specks(labels, 1e-3)
    assert found[510, 710] == 1
    assert found[902, 902] == 0


def test_what_leaves_least_to_mend_is_chosen() -> None:
    noisy = best_finishes(noisy_disc(seed) for seed in range(2))
    assert noisy.quick.edges == "guided"
    assert noisy.careful.edges in ("guided", "crf")
    assert best_finishes([fence()]) == UNTOUCHED
    assert best_finishes([]) == UNTOUCHED


def test_a_card_that_says_nothing_usable_changes_nothing() -> None:
    some = Finishes(Finish("guided", 3e-4), Finish("crf", 1e-3))
    assert Finishes.from_card(some.to_card()) == some
    for junk in ({}, {"quick": {"edges": "magic", "specks": 0.1}}, {"quick": {"edges": "crf"}},
                 {"careful": {"edges": "crf", "specks": -1}}):  # fmt: skip
        assert Finishes.from_card(junk) == UNTOUCHED


@pytest.mark.parametrize("normalisation", [Normalisation.root(), Normalisation.imagenet()])
def test_inputs_are_turned_back_into_grey_values(normalisation: Normalisation) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)
    back = normalisation.undo(normalisation.apply(picture))
    np.testing.assert_allclose(back, np.moveaxis(picture, 2, 0), atol=0.01)


class Says(nn.Module):
    """Gives the same scores whatever it sees."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.register_buffer("logits", logits)

    def forward(self, x: Tensor) -> Tensor:
        logits = self.get_buffer("logits")
        return logits.expand(len(x), *logits.shape)


def test_a_model_s_finish_is_seen_and_its_confidence_is_its_own() -> None:
    logits, planes, truth = noisy_disc()
    picture = np.ascontiguousarray(np.moveaxis(planes.numpy().astype(np.uint8), 0, 2))
    finishes = Finishes(Finish("none", 3e-3), Finish("crf"))
    network, cpu = Says(logits).eval(), torch.device("cpu")
    bare = Inference(network, Normalisation(), cpu)
    model = Inference(network, Normalisation(), cpu, finishes=finishes)
    plain, margin = bare.label_map(picture)
    quick, sure = model.label_map(picture, QUICK)
    best, sure_too = model.label_map(picture, CAREFUL)
    assert np.array_equal(margin, sure)
    assert np.array_equal(margin, sure_too)
    wrong = [(found != truth).mean() for found in (plain, quick, best)]
    assert wrong[0] > wrong[1] > wrong[2]


def test_a_finish_gives_way_between_two_classes() -> None:
    logits, planes, _ = noisy_disc()
    picture = np.ascontiguousarray(np.moveaxis(planes.numpy().astype(np.uint8), 0, 2))
    asked: dict[str, int] = {}
    for edges in ("none", "guided"):
        finishes = Finishes(Finish(edges))  # type: ignore[arg-type]
        cpu = torch.device("cpu")
        model = Inference(Says(logits).eval(), Normalisation(), cpu, finishes=finishes)
        calls: list[None] = []
        model.label_map(picture, QUICK, lambda calls=calls: calls.append(None))
        asked[edges] = len(calls)
    assert asked["guided"] == asked["none"] + len(logits)


def test_training_chooses_a_finish_and_the_card_keeps_it(
    disc_project: Callable[..., Project],
) -> None:
    project = disc_project()
    request = TrainRequest(overrides={**RECIPE, "max_steps": 30}, device="cpu")
    model = project.models.get(train(project, request).model)
    chosen = Finishes.from_card(model.card["finish"])
    assert chosen.to_card() == model.card["finish"]
    key = project.images()[0]
    picture = project.read_image(key)
    copy = adopt_model(project, model.path)
    assert copy.card["finish"] == model.card["finish"]
    found = Predictor(model).predict(picture, CAREFUL)[0]
    assert np.array_equal(Predictor(copy).predict(picture, CAREFUL)[0], found)


def test_what_a_person_is_about_to_see_is_predicted_again_with_care(
    disc_project: Callable[..., Project],
) -> None:
    project = disc_project()
    request = TrainRequest(overrides={**RECIPE, "max_steps": 2}, device="cpu")
    model = project.models.get(train(project, request).model)
    seen, unseen, fresh = project.images()[:3]
    segment(project, model, [seen, unseen], "cpu")
    project.predictions.mark_shown(model.id, seen)
    keys = (seen, unseen, fresh)

    model.card["finish"] = UNTOUCHED.to_card()  # nothing would be better
    assert [key for key in keys if lacking_care(project, model)(key)] == [fresh]
    model.card["finish"] = Finishes(UNTOUCHED.quick, Finish("crf")).to_card()
    assert [key for key in keys if lacking_care(project, model)(key)] == [unseen, fresh]
    result = segment(project, model, keys, "cpu", care=CAREFUL)
    assert (result.done, result.skipped) == (2, 1)
    assert Cares(project, model.id).keys() == {unseen, fresh}
    assert not any(map(lacking_care(project, model), keys))

    project.predictions.remove(model.id, unseen, shown=False)
    segment(project, model, keys, "cpu")
    assert [key for key in keys if lacking_care(project, model)(key)] == [unseen]


def test_how_careful_a_prediction_is_outlasts_the_runs_that_are_remembered(
    disc_project: Callable[..., Project],
) -> None:
    project = disc_project()
    request = TrainRequest(overrides={**RECIPE, "max_steps": 2}, device="cpu")
    model = project.models.get(train(project, request).model)
    keys = project.images()[:2]
    with project.runs.start(model.id, len(keys), thorough=True) as run:
        segment(project, model, keys, "cpu", run=run, care=THOROUGH)
    assert Cares(project, model.id).keys(thorough=True) == set(keys)
    for _ in range(KEPT):
        with project.runs.start("other", 1) as other:
            other.note(keys[0])
    assert run.number not in [info.number for info in project.runs.all()]
    assert not any(map(lacking_care(project, model, thorough=True), keys))
