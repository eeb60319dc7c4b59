"""Doubtful regions: blobs, not borders, and the worst first."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from segstudio.annotation.doubt import doubtful_regions, image_doubt


def sure(height: int = 200, width: int = 300) -> np.ndarray:
    return np.full((height, width), 255, np.uint8)


def test_blobs_are_found_and_borders_are_not() -> None:
    margin = sure()
    margin[50:52, 20:280] = 0  # a border between two classes
    margin[100:130, 40:70] = 40
    margin[120:180, 200:260] = 60
    regions = doubtful_regions(margin)
    assert len(regions) == 2
    assert regions[0].doubt > regions[1].doubt
    x, y = regions[0].centre
    assert (abs(x - 230) < 6, abs(y - 150) < 6) == (True, True)


def test_doubt_that_is_everywhere_is_looked_at_in_pieces_the_worst_first() -> None:
    margin = np.full((240, 320), 100, np.uint8)
    margin[170:230, 10:70] = 0
    regions = doubtful_regions(margin)
    assert len(regions) == 12
    x, y = regions[0].centre
    assert (x < 80, y > 160) == (True, True)
    seen = np.zeros(margin.shape, int)
    for region in regions:
        x0, y0, x1, y1 = region.box
        assert max(x1 - x0, y1 - y0) <= 80
        seen[y0:y1, x0:x1] += 1
    assert (seen == 1).all()
    doubts = [region.doubt for region in regions]
    assert doubts == sorted(doubts, reverse=True)


def test_what_a_person_has_settled_is_in_no_doubt() -> None:
    margin = sure()
    margin[100:130, 40:70] = 0
    settled = np.zeros(margin.shape, bool)
    settled[90:140, 30:80] = True
    assert doubtful_regions(margin, settled) == []
    assert len(doubtful_regions(margin)) == 1


def test_a_picture_is_as_doubtful_as_its_worst_patch() -> None:
    clear, border, blob = sure(), sure(), sure()
    border[::50] = 0
    blob[80:120, 80:120] = 0
    assert image_doubt(clear) == 0
    assert image_doubt(border) < image_doubt(blob)
    assert image_doubt(np.zeros((40, 40), np.uint8)) == 1


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_regions_lie_in_the_picture(height: int, width: int, seed: int) -> None:
    margin = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    for region in doubtful_regions(margin):
        x0, y0, x1, y1 = region.box
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        assert region.doubt >= 6
    assert 0 <= image_doubt(margin) <= 1
