"""Round 0 on made pictures: what strokes teach, what they do not, and what is remembered."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from discs import disc_picture
from numpy.typing import NDArray

from segstudio.learning import round0
from segstudio.learning.metrics import VOID
from segstudio.learning.normalise import Picture
from segstudio.learning.round0 import FEATURES, Round0, filter_bank


def strokes(mask: NDArray[np.bool_], rows: int = 3) -> NDArray[np.int16]:
    """Labels of a few rows of pixels, void elsewhere."""
    labels = np.full(mask.shape, VOID, np.int16)
    for row in np.linspace(8, len(mask) - 8, rows).astype(int):
        labels[row] = mask[row]
    return labels


def learn(
    classifier: Round0, key: str, picture: NDArray[np.uint8], labels: NDArray[np.int16]
) -> None:
    classifier.take(key, picture, labels)
    classifier.fit()


def iou(found: NDArray[np.integer], mask: NDArray[np.bool_]) -> float:
    return float(((found == 1) & mask).sum() / ((found == 1) | mask).sum())


def test_a_few_strokes_fill_the_picture_and_the_next_one() -> None:
    picture, mask = disc_picture(0)
    classifier = Round0(classes=1)
    learn(classifier, "0", picture, strokes(mask))
    found, margin = classifier.predict("0", picture)
    assert found.shape == margin.shape == mask.shape
    assert margin.dtype == np.uint8
    assert iou(found, mask) > 0.8
    following, its_mask = disc_picture(1)
    assert iou(classifier.predict("1", following)[0], its_mask) > 0.8


def test_texture_is_told_apart_where_colour_is_the_same() -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((96, 96), bool)
    mask[:, 48:] = True
    grey = np.where(mask, rng.choice([60, 190], mask.shape), 125).astype(np.uint8)
    picture = np.repeat(grey[..., None], 3, 2)
    classifier = Round0(classes=1)
    learn(classifier, "a", picture, strokes(mask))
    assert iou(classifier.predict("a", picture)[0], mask) > 0.9


def test_another_stroke_corrects_and_taking_it_back_is_no_worse() -> None:
    picture, mask = disc_picture(3)
    classifier = Round0(classes=2)
    learn(classifier, "a", picture, strokes(mask))
    corrected = strokes(mask)
    corrected[:10, :10] = 2
    learn(classifier, "a", picture, corrected)
    found = classifier.predict("a", picture)[0]
    assert (found[:10, :10] == 2).mean() > 0.5
    learn(classifier, "a", picture, strokes(mask))
    assert not (classifier.predict("a", picture)[0] == 2).any()


def test_nothing_to_tell_apart_is_not_an_error_but_no_answer_either() -> None:
    picture, mask = disc_picture(0)
    classifier = Round0(classes=1)
    one = np.where(mask, 1, VOID).astype(np.int16)
    learn(classifier, "a", picture, one)
    assert not classifier.ready
    with pytest.raises(RuntimeError, match="learned nothing"):
        classifier.predict("a", picture)
    learn(classifier, "b", picture, strokes(mask))
    assert classifier.ready
    classifier.forget("b")
    assert not classifier.ready


def test_a_large_picture_is_looked_at_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(round0, "MOST_PIXELS", 32 * 32)
    picture, mask = disc_picture(0)
    classifier = Round0(classes=1)
    learn(classifier, "a", picture, strokes(mask, 9))
    found, margin = classifier.predict("a", picture)
    assert found.shape == margin.shape == mask.shape
    assert iou(found, mask) > 0.6


def test_the_same_strokes_give_the_same_answer() -> None:
    picture, mask = disc_picture(0)

    def answer() -> NDArray[np.integer]:
        classifier = Round0(classes=1)
        learn(classifier, "a", picture, strokes(mask))
        return classifier.predict("a", picture)[0]

    np.testing.assert_array_equal(answer(), answer())


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (33, 47)])
def test_a_picture_of_any_size_has_features(size: tuple[int, int]) -> None:
    bank = filter_bank(np.full((*size, 3), 90, np.uint8))
    assert bank.shape == (FEATURES, *size)
    assert np.isfinite(bank).all()


def test_filtered_pictures_are_kept_within_a_bound() -> None:
    picture, mask = disc_picture(0)
    each = filter_bank(picture).nbytes
    classifier = Round0(classes=1, remembered=2 * each)
    for key in "abc":
        classifier.take(key, picture, strokes(mask))
    assert [key for key, _ in classifier._banks] == ["b", "c"]
    small = Round0(classes=1, remembered=each - 1)
    for key in "ab":
        small.take(key, picture, strokes(mask))
    assert [key for key, _ in small._banks] == ["b"]


def test_strokes_outweigh_pictures_that_look_otherwise() -> None:
    """Glowing things on black were confirmed; this one has dark things on white."""
    rng = np.random.default_rng(0)
    truth = cv2.circle(np.zeros((120, 140), np.uint8), (60, 60), 30, 1, -1).astype(np.int16)

    def picture(ground: int, thing: int) -> Picture:
        grey = np.where(truth, thing, ground) + rng.normal(0, 6, truth.shape)
        return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, 2)

    room = Round0(1)
    for key in range(2):
        room.take(key, picture(10, 90), truth)
        room.fit()
    strokes = np.full(truth.shape, -1, np.int16)
    strokes[58:62, 33:88] = strokes[34:87, 58:62] = 1
    strokes[5:9, 5:135] = strokes[95:99, 10:130] = strokes[10:110, 20:24] = 0
    room.take("other", picture(230, 120), strokes)
    room.fit("other")
    found, _ = room.predict("other", picture(230, 120))
    both, either = (found == 1) & (truth == 1), (found == 1) | (truth == 1)
    assert both.sum() > 0.9 * either.sum()
