"""The id map's levels: what is shown from afar follows every edit, and is what lies there."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segstudio.annotation import idmap as idmap_module
from segstudio.annotation.bitmap import Bitmap, Box
from segstudio.annotation.document import Annotation, Document, add_shapes, replace_shapes
from segstudio.annotation.idmap import COARSEST, IdMap
from segstudio.annotation.rasterise import IdArray, draw_ids, draw_overview
from segstudio.annotation.shape import (
    Shape,
    as_points,
    bounds_of,
    difference_bounds,
    mask_shape,
)
from tests.annotation.test_rasterise import SIZE, shapes, vertices

STEPS = (1, 2, 4, 8)


def everywhere(idmap: IdMap, step: int) -> np.ndarray:
    """Every step-th pixel of the picture."""
    return idmap.sample(np.arange(0, idmap.width, step), np.arange(0, idmap.height, step), step)


def watched(document: Document) -> IdMap:
    idmap = IdMap(document)
    document.listeners.append(idmap.update)
    return idmap


def check(mended: IdMap, fresh: IdMap) -> None:
    """At every pixel the same; from afar, outlines may be rounded another way."""
    assert np.array_equal(everywhere(mended, 1), everywhere(fresh, 1))
    for step in STEPS[1:]:
        differs = everywhere(mended, step) != everywhere(fresh, step)
        thick = cv2.erode(differs.astype(np.uint8), np.ones((3, 3), np.uint8))
        assert not thick[1:-1, 1:-1].any(), step


@settings(max_examples=40, deadline=None)
@given(shapes, shapes, st.integers(0, 5), st.floats(-60, 60), st.floats(-60, 60))
def test_levels_follow_edits(
    before: list[Shape], more: list[Shape], which: int, dx: float, dy: float
) -> None:
    document = Document(Annotation(SIZE[1], SIZE[0], tuple(before)))
    idmap = watched(document)
    for step in STEPS:
        everywhere(idmap, step)
    document.apply(add_shapes("add", document, more))
    if document.shapes:
        number = document.ids()[which % len(document.shapes)]
        shape = document.shape(number)
        assert shape is not None
        document.apply(replace_shapes("move", document, {number: shape.moved(dx, dy)}))
    check(idmap, IdMap(document))
    document.undo()
    check(idmap, IdMap(document))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(vertices, min_size=3, max_size=9),
    shapes,
    st.lists(st.tuples(st.integers(0, 8), vertices), min_size=1, max_size=4),
)
def test_points_that_move_change_no_pixel_beyond_their_rows(
    ring: list[tuple[float, float]],
    others: list[Shape],
    moves: list[tuple[int, tuple[float, float]]],
) -> None:
    """Only what may differ is drawn anew, and levels nobody looks at wait."""
    document = Document(
        Annotation(SIZE[1], SIZE[0], (*others, Shape("a", "polygon", as_points(ring))))
    )
    idmap = watched(document)
    for step in STEPS:
        everywhere(idmap, step)
    number = document.ids()[-1]
    for which, place in moves:
        before = document.shape(number)
        assert before is not None
        points = before.points.copy()
        points[which % len(points)] = place
        after = before.with_points(points)
        box = difference_bounds(before, after)
        document.live(replace_shapes("move", document, {number: after}), box)
        everywhere(idmap, 2)
    check(idmap, IdMap(document))


@given(shapes)
@settings(deadline=None)
def test_bounds_of_many_are_those_of_each(many: list[Shape]) -> None:
    mask = mask_shape("a", Bitmap.from_array(np.ones((3, 5)), 7, 9))
    mixed = [*many, mask, Shape("a", "opaque"), mask_shape("a", Bitmap())]
    expected = [shape.bounds() or (0, 0, 0, 0) for shape in mixed]
    assert bounds_of(mixed).tolist() == [list(box) for box in expected]
    assert bounds_of([]).shape == (0, 4)


@pytest.mark.parametrize("step", [2, 8, 64])
def test_masks_from_afar_are_every_nth_pixel(step: int) -> None:
    rng = np.random.default_rng(step)
    mask = Bitmap.from_array(rng.random((700, 900)) < 0.3, 100, 30)
    shape = mask_shape("a", mask)
    full = draw_ids([shape], [7], (0, 0, 1100, 800))
    small = draw_overview([shape], [7], (0, 0, -(-1100 // step), -(-800 // step)), step)
    assert np.array_equal(small, full[::step, ::step])
    assert np.array_equal(
        mask.to_array((2, 1, 1100 // step, 800 // step), step),
        (full > 0)[step : 800 // step * step : step, 2 * step : 1100 // step * step : step],
    )


def test_vectors_from_afar_are_off_by_a_pixel_at_most() -> None:
    ring = as_points([(40, 30), (900, 100), (700, 640), (200, 500)])
    full = draw_ids([Shape("a", "polygon", ring)], [1], (0, 0, 1000, 700)) > 0
    small = draw_overview([Shape("a", "polygon", ring)], [1], (0, 0, 250, 175), 4) > 0
    wrong = small != full[::4, ::4]
    inner = np.zeros_like(wrong)
    inner[1:-1, 1:-1] = (
        full[::4, ::4][1:-1, 1:-1] & full[::4, ::4][:-2, 1:-1] & full[::4, ::4][2:, 1:-1]
    )
    assert not wrong[inner & np.roll(inner, 1, 1) & np.roll(inner, -1, 1)].any()
    assert wrong.mean() < 0.02


def test_a_part_right_of_the_edge_is_drawn_as_the_whole_is() -> None:
    rng = np.random.default_rng(3)
    many = [
        Shape("a", "polygon", as_points(rng.uniform(0, 500, (5, 2)))),
        mask_shape("b", Bitmap.from_array(rng.random((60, 80)) < 0.5, 300, 200)),
        Shape("a", "circle", as_points([(350, 240), (390, 240)])),
    ]
    whole = draw_ids(many, [1, 2, 3], (0, 0, 500, 400))
    assert np.array_equal(draw_ids(many, [1, 2, 3], (290, 180, 420, 300)), whole[180:300, 290:420])


def test_what_is_at_hand_is_taken_and_old_tiles_make_room() -> None:
    masks = [
        mask_shape("a", Bitmap.from_array(np.eye(900, dtype=bool), x, 0)) for x in (0, 900, 1800)
    ]
    document = Document(Annotation(3000, 900, tuple(masks)))
    idmap = IdMap(document, cache_bytes=256 * 256 * 4 * 6)
    columns, rows = np.arange(0, 3000, 4), np.arange(0, 900, 4)
    assert idmap.at_hand(columns, rows, 4) == 4
    everywhere(idmap, 8)
    assert idmap.at_hand(columns, rows, 4) == 8
    everywhere(idmap, 1)
    assert everywhere(idmap, 1)[5, 905] == document.ids()[1]
    kept = sum(tile.nbytes for tile in idmap._tiles.values() if not isinstance(tile, int))
    assert kept == idmap._used <= 256 * 256 * 4 * 6
    assert COARSEST >= 64


def test_the_pixel_under_the_pointer_needs_no_tile() -> None:
    ring = as_points([(10, 10), (200, 10), (200, 200), (10, 200)])
    mask = mask_shape("b", Bitmap.from_array(np.ones((20, 20)), 50, 50))
    document = Document(Annotation(300, 300, (Shape("a", "polygon", ring), mask)))
    idmap = IdMap(document)
    polygon, top = document.ids()
    assert (idmap.at(60, 60), idmap.at(100, 100), idmap.at(250, 250)) == (top, polygon, 0)
    assert idmap.stack(60, 60) == [top, polygon]
    assert idmap.at(-1, 5) == idmap.at(5, 300) == 0
    assert not idmap._tiles
    everywhere(idmap, 1)
    assert (idmap.at(60, 60), idmap.at(100, 100), idmap.at(250, 250)) == (top, polygon, 0)


def test_dots_deleted_leave_nothing_at_any_level() -> None:
    dots = Shape("a", "points", as_points([(100, 100), (400, 300)]))
    document = Document(Annotation(600, 500, (dots,)))
    idmap = watched(document)
    for step in STEPS:
        assert everywhere(idmap, step).any()
    document.apply(replace_shapes("delete", document, {document.ids()[0]: None}))
    for step in STEPS:
        assert not everywhere(idmap, step).any()


def test_far_tiles_of_one_edit_are_forgotten_and_drawn_when_looked_at() -> None:
    wide = Shape("a", "line", as_points([(10, 10), (9990, 9990)]))
    document = Document(Annotation(10_000, 10_000))
    idmap = watched(document)
    corners = [np.arange(0, 200), np.arange(9800, 10_000)]
    for place in corners:
        idmap.sample(place, place)
    document.apply(add_shapes("add", document, [wide]))
    kept = sum(tile.nbytes for tile in idmap._tiles.values() if not isinstance(tile, int))
    assert kept == idmap._used
    for place in corners:
        assert np.array_equal(idmap.sample(place, place), IdMap(document).sample(place, place))
        assert idmap.sample(place, place).any()


@pytest.mark.parametrize("far", [1e6, 1e12, 1e30])
def test_shapes_out_of_all_measure_do_not_stop_the_drawing(far: float) -> None:
    circle = Shape("a", "circle", as_points([(50, 50), (far, 50)]))
    ring = Shape("b", "polygon", as_points([(-far, -far), (far, -far), (far, far), (-far, far)]))
    line = Shape("a", "line", as_points([(0, 20), (far, 20)]))
    for shape in (circle, ring, line):
        idmap = IdMap(Document(Annotation(300, 200, (shape,))))
        for step in STEPS:
            seen = everywhere(idmap, step)
            assert seen.any() or far > 1e6, (shape.kind, step)
    assert bounds_of([ring]).tolist() == [list(ring.bounds() or ())]


def test_levels_that_nobody_looks_at_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is edited; the pixel under the pointer is right all the same."""
    square = Shape("a", "rectangle", as_points([[100, 100], [150, 150]]))
    document = Document(Annotation(900, 600, (square,)))
    idmap = watched(document)
    for step in (1, 2):
        everywhere(idmap, step)
    drawn: list[int] = []
    real = idmap_module._draw

    def counted(shapes: Sequence[Shape], ids: Sequence[int], box: Box, step: int) -> IdArray:
        drawn.append(step)
        return real(shapes, ids, box, step)

    monkeypatch.setattr(idmap_module, "_draw", counted)
    number = document.ids()[0]
    for n in range(1, 100):  # far more boxes than may wait
        place = square.moved(37 * n % 700, 53 * n % 400)
        document.apply(replace_shapes("move", document, {number: place}))
        x, y = (round(value) + 20 for value in place.points[0])
        assert idmap.at(x, y) == number
        assert idmap.at((x + 300) % 900, y) == 0
        if n % 9 == 0:
            everywhere(idmap, 2)
    assert set(drawn) == {2}
    assert idmap.at_hand(np.arange(0, 100), np.arange(0, 100), 1) == 2
    check(idmap, IdMap(document))
    assert set(drawn) == {1, 2, 4, 8}


def test_what_is_prepared_need_not_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    square = Shape("a", "rectangle", as_points([[100, 100], [700, 500]]))
    document = Document(Annotation(900, 600, (square,)))
    ready, other = IdMap(document), IdMap(document)
    columns, rows = np.arange(0, 900, 2), np.arange(0, 600, 2)
    expected = other.sample(columns, rows, 2)
    ready.prepare(2)
    monkeypatch.delattr("segstudio.annotation.idmap.draw_overview")
    np.testing.assert_array_equal(ready.sample(columns, rows, 2), expected)
    assert expected.any()


def test_preparing_keeps_to_its_room() -> None:
    rng = np.random.default_rng(0)
    noise = mask_shape("a", Bitmap.from_array(rng.random((1000, 1500)) < 0.5))
    idmap = IdMap(Document(Annotation(1500, 1000, (noise,))), cache_bytes=600_000)
    idmap.prepare(1)
    assert 0 < idmap._used <= 600_000


def test_a_line_that_turns_back_on_itself_stays_where_it_is() -> None:
    """Pillow draws the joint of such a line across the whole picture."""
    points = as_points([[0, 0], [-5.960464477539063e-08, 19], [0, 0]])
    drawn = draw_ids([Shape("a", "linestrip", points)], [1], (0, 0, 280, 60))
    assert drawn[:15, 0].all()
    assert not drawn[:, 12:].any()
