from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from segstudio.learning import losses
from segstudio.learning.losses import (
    masked_ce_dice,
    masked_cross_entropy,
    masked_dice,
    with_auxiliary,
)
from segstudio.learning.metrics import VOID, Confusion
from segstudio.learning.promotion import compare


def confusion(truth: list[int], predicted: list[int], k: int = 3) -> Confusion:
    return Confusion(k).add(np.array(predicted), np.array(truth))


def test_scores_by_hand() -> None:
    found = confusion([0, 0, 1, 1, VOID], [0, 1, 1, 1, 0])
    np.testing.assert_allclose(found.iou(), [1 / 2, 2 / 3, np.nan])
    np.testing.assert_allclose(found.accuracy(), [1 / 2, 1, np.nan])
    np.testing.assert_allclose(found.dice(), [2 / 3, 4 / 5, np.nan])
    assert found.miou() == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found.pixel_accuracy() == 3 / 4
    assert found.frequency_weighted_iou() == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found.pixels == 4


def test_a_class_predicted_where_there_is_none_scores_nothing() -> None:
    """Left out, false positives of an absent class would cost nothing."""
    assert confusion([0, 0], [0, 2]).iou()[2] == 0
    assert confusion([0, 0], [0, 2]).miou() == pytest.approx(0.25)


def test_no_pixels_have_no_score() -> None:
    empty = Confusion(2)
    assert np.isnan(empty.miou())
    assert empty.scores(["a"])["miou"] is None


def test_the_whole_set_is_one_picture() -> None:
    parts = [confusion([0, 1], [0, 0]), confusion([1, 1], [1, 1])]
    whole = Confusion.total(parts, 3)
    np.testing.assert_array_equal(whole.counts, confusion([0, 1, 1, 1], [0, 0, 1, 1]).counts)


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 3, 8, 8, generator=generator)
    target = torch.randint(-1, 3, (2, 8, 8), generator=generator)
    return logits, target


def test_void_pixels_change_no_loss_and_get_no_gradient() -> None:
    logits, target = batch()
    changed = logits.clone()
    changed[:, 1] += 50 * (target == VOID)
    torch.testing.assert_close(masked_ce_dice(logits, target), masked_ce_dice(changed, target))
    logits.requires_grad_()
    masked_ce_dice(logits, target).backward()
    assert logits.grad is not None
    assert not logits.grad.permute(0, 2, 3, 1)[target == VOID].any()
    assert logits.grad.permute(0, 2, 3, 1)[target != VOID].any()


def test_cross_entropy_is_torch_s_own_mean() -> None:
    logits, target = batch()
    expected = F.cross_entropy(logits, target, ignore_index=VOID)
    torch.testing.assert_close(masked_cross_entropy(logits, target), expected)


def test_a_perfect_prediction_of_few_labels_has_no_loss() -> None:
    """Zeroed logits instead of masked sums give it a Dice of 0.008."""
    target = torch.full((1, 500, 500), VOID)
    target[0, 0, :1000] = 1
    target[0, 1, :500] = 0
    logits = torch.zeros(1, 2, 500, 500)
    logits[0, 1] = torch.where(target[0] == 1, 20.0, -20.0)
    assert float(masked_dice(logits, target)) < 1e-3


def test_a_batch_without_labels_teaches_nothing() -> None:
    logits, target = batch()
    logits.requires_grad_()
    loss = masked_ce_dice(logits, torch.full_like(target, VOID))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def side(good: list[float], pixels: int = 100) -> dict[str, Confusion]:
    """Images of which this share of the pixels is right, half of them of each class."""
    found = {}
    for i, share in enumerate(good):
        found[str(i)] = Confusion(2)
        right = round(pixels * share)
        found[str(i)].counts[:] = [[right, pixels - right], [pixels - right, right]]
    return found


def test_a_better_candidate_is_promoted() -> None:
    decision = compare(side([0.9, 0.8, 0.9, 0.85]), side([0.8, 0.7, 0.8, 0.8]), ["a"])
    assert decision.promote
    assert not decision.provisional
    assert decision.agreement == 1.0
    assert decision.worse == ()


def test_a_gain_on_one_image_alone_is_not_enough() -> None:
    decision = compare(side([0.9, 0.70, 0.70, 0.70]), side([0.6, 0.75, 0.75, 0.75]), ["a"])
    assert decision.gain > 0
    assert decision.agreement < 0.8
    assert not decision.promote
    assert decision.reason.startswith("not surely better")


def test_what_got_worse_is_listed() -> None:
    decision = compare(side([0.9, 0.9, 0.5]), side([0.6, 0.6, 0.8]), ["a"])
    assert [text.split(":")[0] for text in decision.worse] == ["image 2"]
    worse = compare(side([0.5]), side([0.9]), ["road"])
    assert any(text.startswith("class road") for text in worse.worse)


def test_few_images_decide_provisionally() -> None:
    assert compare(side([0.9, 0.9]), side([0.8, 0.8]), ["a"]).provisional
    assert compare(side([0.9]), side([0.8]), ["a"]).promote
    assert not compare(side([0.8]), side([0.8]), ["a"]).promote


def test_an_incumbent_without_a_score_can_be_replaced() -> None:
    nothing = {"0": Confusion(2), "1": Confusion(2), "2": Confusion(2)}
    assert compare(side([0.6, 0.6, 0.6]), nothing, ["a"]).promote
    assert not compare(nothing, side([0.6, 0.6, 0.6]), ["a"]).promote


def test_only_images_that_both_were_scored_on_count() -> None:
    assert compare(side([0.9, 0.1]), side([0.8]), ["a"]).images == 1
    assert not compare(side([0.9]), {}, ["a"]).promote


def test_the_first_model_is_promoted() -> None:
    decision = compare(side([0.9]), None, ["a"])
    assert decision.promote
    assert decision.provisional


def test_auxiliary_outputs_count_by_their_share_and_learn_from_nearest_labels() -> None:
    logits, small = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 2, 4)
    target = torch.randint(0, 3, (2, 8, 8))
    outputs = {"out": logits, "aux": small, "unweighed": torch.randn(2, 3, 8, 8)}
    found = with_auxiliary(outputs, target, {"aux": 0.4})
    coarse = target[:, 2::4, 1::2]  # the nearest to the middle of each part
    torch.testing.assert_close(
        found, masked_ce_dice(logits, target) + 0.4 * masked_ce_dice(small, coarse)
    )
    torch.testing.assert_close(with_auxiliary(logits, target, {}), masked_ce_dice(logits, target))


@pytest.mark.parametrize("side", [1, 7, 60, 96, 510])
@pytest.mark.parametrize("wanted", [1, 3, 8, 33, 500])
def test_the_middle_of_a_cell_is_found_in_whole_numbers(side: int, wanted: int) -> None:
    """As interpolation does with 64-bit numbers, which Apple's GPU has not."""
    labels = torch.arange(side * 5).view(1, side, 5)
    found = losses._nearest(labels, torch.Size((wanted, 5)))
    expected = F.interpolate(labels[:, None].double(), (wanted, 5), mode="nearest-exact")[:, 0]
    assert torch.equal(found, expected.long())
