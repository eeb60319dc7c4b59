"""Outlines that follow the picture, holes and specks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from segstudio.errors import UserError
from segstudio.learning.refine import Refinement, refine, small_holes, small_parts


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A bright disc on dark ground with noise, and where it is."""
    truth = np.zeros((80, 100), np.int32)
    cv2.circle(truth, (50, 40), 22, 3, -1)
    noise = np.random.default_rng(0).normal(0, 6, (80, 100, 3))
    return (np.where(truth[..., None] > 0, 180, 60) + noise).clip(0, 255).astype(np.uint8), truth


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float(((a > 0) & (b > 0)).sum() / ((a > 0) | (b > 0)).sum())


@pytest.mark.parametrize("edges", ["guided", "crf"])
def test_a_rough_outline_comes_nearer_to_the_edge(edges: str) -> None:
    picture, truth = scene()
    rough = np.roll(truth, (2, -2), (0, 1))
    unsure = np.full(truth.shape, 120, np.uint8)
    found = refine(rough, unsure, picture, Refinement(edges))  # type: ignore[arg-type]
    assert set(np.unique(found)) <= {0, 3}
    assert overlap(found, truth) > overlap(rough, truth) + 0.02


def test_what_others_own_stays() -> None:
    picture, truth = scene()
    rough = np.roll(truth, (3, -3), (0, 1))
    fixed = np.zeros(truth.shape, bool)
    fixed[:, :50] = True
    found = refine(rough, np.full(truth.shape, 100, np.uint8), picture, Refinement("crf"), fixed)
    assert np.array_equal(found[fixed], rough[fixed])
    assert not np.array_equal(found, rough)


def test_holes_are_filled_and_specks_dropped_up_to_a_size() -> None:
    labels = np.zeros((60, 60), np.int32)
    labels[10:50, 10:50] = 2
    labels[20:23, 20:23] = 0
    labels[30:40, 30:40] = 0
    labels[44:46, 44:46] = 5
    labels[2:4, 2:4] = 2
    picture = np.zeros((60, 60, 3), np.uint8)
    margin = np.full(labels.shape, 255, np.uint8)
    found = refine(labels, margin, picture, Refinement("none", holes=9, parts=4))
    assert (found[20:23, 20:23] == 2).all()
    assert (found[30:40, 30:40] == 0).all()
    assert (found[44:46, 44:46] == 5).all()
    assert (found[2:4, 2:4] == 2).all()
    found = refine(labels, margin, picture, Refinement("none", parts=5))
    assert not found[2:4, 2:4].any()
    assert not (found == 5).any()
    assert np.array_equal(refine(labels, margin, picture, Refinement("none")), labels)


@settings(deadline=None, max_examples=50)
@given(arrays.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))), st.integers(1, 9))
def test_holes_lie_outside_the_mask_and_parts_inside(mask: np.ndarray, size: int) -> None:
    holes, parts = small_holes(mask, size), small_parts(mask, size)
    assert not (holes & mask).any()
    assert not (parts & ~mask).any()
    filled = mask | holes
    assert not small_holes(filled, size).any()
    assert not small_parts(mask & ~parts, size).any()
    edge = np.ones(mask.shape, bool)
    edge[1:-1, 1:-1] = False
    assert not (holes & edge).any()


def test_unknown_ways_are_refused() -> None:
    with pytest.raises(UserError, match="magic"):
        Refinement.from_json({"edges": "magic", "holes": 0, "parts": 0})
    how = Refinement("guided", 3, 4)
    assert Refinement.from_json(how.to_json()) == how
