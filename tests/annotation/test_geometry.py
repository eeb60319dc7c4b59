"""Geometry of rings that no raster shows: cutting."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from segstudio.annotation.geometry import split_ring
from segstudio.annotation.shape import Points, as_points

U_SHAPE = as_points([(0, 0), (30, 0), (30, 60), (70, 60), (70, 0), (100, 0), (100, 90), (0, 90)])


def area(ring: Points) -> float:
    return float(cv2.contourArea(ring.astype(np.float32)))


def star(radii: list[float]) -> Points:
    """A ring about (100, 100) that does not cross itself."""
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    return as_points(np.stack([100 + np.cos(angles) * radii, 100 + np.sin(angles) * radii], axis=1))


def test_a_cut_over_both_legs_leaves_the_gap_between_them_alone() -> None:
    parts = split_ring(U_SHAPE, (-10, 30), (110, 30))
    assert sorted(area(part) for part in parts) == [900, 900, 4800]
    for part in parts:
        assert cv2.pointPolygonTest(part.astype(np.float32), (50, 20), False) < 0


def test_a_cut_that_begins_inside_passes_through_the_next_leg_only() -> None:
    parts = split_ring(U_SHAPE, (10, 30), (110, 30))
    assert sorted(area(part) for part in parts) == [900, 5700]
    assert len(split_ring(U_SHAPE, (10, 30), (50, 30))) == 1
    assert len(split_ring(U_SHAPE, (40, 30), (60, 30))) == 1


places = st.tuples(st.floats(0, 200), st.floats(0, 200))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(20, 90), min_size=5, max_size=14), places, places)
def test_parts_are_the_ring_and_no_more(
    radii: list[float], start: tuple[float, float], end: tuple[float, float]
) -> None:
    assume(np.hypot(end[0] - start[0], end[1] - start[1]) > 1)
    ring = star(radii)
    parts = split_ring(ring, start, end)
    assert abs(sum(area(part) for part in parts) - area(ring)) < 0.02 * area(ring)
