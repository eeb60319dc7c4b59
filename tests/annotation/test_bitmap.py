"""Bitmaps against plain boolean arrays."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from segstudio.annotation.bitmap import TILE, Bitmap

FIELD = (0, 0, 700, 600)
rectangles = st.tuples(
    st.integers(-40, 690), st.integers(-40, 590), st.integers(1, 560), st.integers(1, 560)
)


def drawn(parts: list[tuple[int, int, int, int]]) -> NDArray[np.bool_]:
    field = np.zeros((640, 740), dtype=np.bool_)
    for x, y, width, height in parts:
        field[y + 40 : y + 40 + height, x + 40 : x + 40 + width] = True
    return field


def bitmap_of(field: NDArray[np.bool_]) -> Bitmap:
    return Bitmap.from_array(field, -40, -40)


WHOLE = (-40, -40, 700, 600)
fields = st.lists(rectangles, max_size=4).map(drawn)


@settings(deadline=None)
@given(fields, fields)
def test_operations_are_those_of_sets(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> None:
    left, right = bitmap_of(a), bitmap_of(b)
    assert np.array_equal((left | right).to_array(WHOLE), a | b)
    assert np.array_equal((left & right).to_array(WHOLE), a & b)
    assert np.array_equal((left - right).to_array(WHOLE), a & ~b)
    assert left.area == int(a.sum())
    assert (left | right) - right == left - right
    assert bool(left) == bool(a.any())


@settings(deadline=None)
@given(fields, st.integers(-300, 300), st.integers(-300, 300))
def test_shift_crop_and_bounds(a: NDArray[np.bool_], dx: int, dy: int) -> None:
    bitmap = bitmap_of(a)
    assert bitmap.shifted(dx, dy).shifted(-dx, -dy) == bitmap
    x, y, mask = bitmap.crop()
    assert Bitmap.from_array(mask, x, y) == bitmap
    if a.any():
        rows, columns = np.flatnonzero(a.any(axis=1)), np.flatnonzero(a.any(axis=0))
        expected = columns[0] - 40, rows[0] - 40, columns[-1] - 39, rows[-1] - 39
        assert bitmap.bounds() == tuple(int(v) for v in expected)
        assert bitmap.contains(int(columns[0]) - 40, y) == bool(a[y + 40, columns[0]])
    else:
        assert bitmap.bounds() is None


def test_a_stroke_shares_the_tiles_it_did_not_touch_and_full_tiles_cost_nothing() -> None:
    whole = Bitmap.from_array(np.ones((1024, 1024)))
    assert whole.nbytes == 0
    cut = whole - Bitmap.from_array(np.ones((5, 5)), 10, 10)
    assert cut.nbytes == TILE * TILE // 8
    assert cut.shares_tile(whole, 3, 3)
    assert not cut.shares_tile(whole, 0, 0)
    assert (cut | whole) == whole
    assert (cut | whole).nbytes == 0


def test_clipped() -> None:
    bitmap = Bitmap.from_array(np.ones((300, 300)), 100, 100)
    assert bitmap.clipped((0, 0, 150, 150)).bounds() == (100, 100, 150, 150)
    assert not bitmap.clipped((0, 0, 50, 50))
    assert bitmap.clipped((0, 0, 999, 999)) is bitmap
