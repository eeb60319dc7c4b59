"""Geometry of rings that no raster shows: cutting."""

from __future__ import annotations

import cv2
import numpy as np

from segstudio.annotation.geometry import split_ring
from segstudio.annotation.shape import Points, as_points

U_SHAPE = as_points([(0, 0), (30, 0), (30, 60), (70, 60), (70, 0), (100, 0), (100, 90), (0, 90)])


def area(ring: Points) -> float:
    return float(cv2.contourArea(ring.astype(np.float32)))


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
