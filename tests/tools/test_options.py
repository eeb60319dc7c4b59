"""Brush forms and modes, snapping, and splitting, by pointer sequences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.geometry import split_ring, stroke
from segstudio.annotation.rasterise import coverage
from segstudio.annotation.shape import Shape, as_points, mask_shape
from segstudio.tools import TOOLS, Desk, Options, Pointer
from tests.tools.test_tools import SQUARE, click, desk_with, sweep

places = st.tuples(st.floats(0, 60), st.floats(0, 60))


def with_options(desk: Desk, **options: bool) -> Desk:
    desk.options = Options(**options)
    return desk


def box_mask(x0: int, y0: int, x1: int, y1: int, name: str = "other") -> Shape:
    return mask_shape(name, Bitmap.from_array(np.ones((y1 - y0, x1 - x0)), x0, y0))


# -- the brush's form


@given(places, places, st.floats(0.5, 12))
@settings(deadline=None)
def test_a_square_stroke_is_all_squares_along_the_way(
    start: tuple[float, float], end: tuple[float, float], radius: float
) -> None:
    x, y, mask = stroke(start, end, radius, square=True)
    ys, xs = np.mgrid[y : y + mask.shape[0], x : x + mask.shape[1]] + 0.5
    expected = np.zeros(mask.shape, bool)
    for share in np.linspace(0, 1, 400):
        cx = start[0] + share * (end[0] - start[0])
        cy = start[1] + share * (end[1] - start[1])
        expected |= np.maximum(np.abs(xs - cx), np.abs(ys - cy)) <= radius - 1e-3
    assert not (expected & ~mask).any()
    wider = np.zeros(mask.shape, bool)
    for share in np.linspace(0, 1, 400):
        cx = start[0] + share * (end[0] - start[0])
        cy = start[1] + share * (end[1] - start[1])
        wider |= np.maximum(np.abs(xs - cx), np.abs(ys - cy)) <= radius + 0.2
    wider[int(end[1]) - y, int(end[0]) - x] = True
    assert not (mask & ~wider).any()


def test_the_square_brush_paints_squares_and_shows_one() -> None:
    desk = with_options(desk_with(), square=True)
    tool = TOOLS["brush"](desk)
    click(tool, 40.5, 40.5)
    assert desk.document.shapes[0].bitmap == Bitmap.from_array(np.ones((9, 9)), 36, 36)
    assert tool.preview().square


# -- exclusive, locked, one class


def test_an_exclusive_stroke_takes_the_pixels_of_others_in_one_step() -> None:
    other, hidden_below = box_mask(30, 30, 60, 50), Shape("x", "polygon", SQUARE)
    desk = with_options(desk_with(hidden_below, other), exclusive=True)
    before = tuple(desk.document.shapes)
    tool = TOOLS["brush"](desk)
    sweep(tool, (20, 40), (45, 40), (50, 40))
    painted = desk.document.shapes[-1]
    assert painted.class_name == "cell"
    assert painted.bitmap is not None
    for shape, old in zip(desk.document.shapes[:-1], before, strict=True):
        left = coverage(old, (80, 120)) - painted.bitmap
        assert coverage(shape, (80, 120)) == left
    assert not (coverage(desk.document.shapes[1], (80, 120)) & painted.bitmap)
    desk.document.undo()
    assert tuple(desk.document.shapes) == before


def test_an_exclusive_stroke_leaves_what_it_does_not_touch_and_ends_what_it_covers() -> None:
    far, small = Shape("x", "polygon", SQUARE + 60), box_mask(38, 38, 42, 42)
    desk = with_options(desk_with(far, small), exclusive=True)
    sweep(TOOLS["brush"](desk), (36, 40), (44, 40))
    assert [s.class_name for s in desk.document.shapes] == ["x", "cell"]
    assert desk.document.shapes[0] is far
    assert desk.selection == (desk.document.ids()[-1],)


def test_an_exclusive_stroke_on_a_selected_shape_takes_only_what_is_new() -> None:
    mine, over = box_mask(10, 10, 40, 40, "cell"), box_mask(30, 30, 70, 70)
    desk = with_options(desk_with(mine, over), exclusive=True)
    desk.select([desk.document.ids()[0]])
    sweep(TOOLS["brush"](desk), (60, 60), (62, 60))
    shown = desk.document.shapes
    assert shown[0].bitmap is not None
    assert shown[1].bitmap is not None
    assert shown[1].bitmap.contains(35, 35)  # overlapped before, and still does
    assert not shown[1].bitmap.contains(60, 60)
    assert shown[0].bitmap.contains(60, 60)
    tool = TOOLS["brush"](desk)
    tool.press(Pointer(50, 50))
    assert tool.key("Escape")
    assert tuple(desk.document.shapes) == tuple(shown)


@pytest.mark.parametrize("exclusive", [False, True])
def test_what_is_locked_keeps_its_pixels(exclusive: bool) -> None:
    locked, of_class = (
        replace(box_mask(30, 30, 40, 40), locked=True),
        box_mask(50, 30, 60, 40, "held"),
    )
    desk = with_options(desk_with(locked, of_class), exclusive=exclusive)
    desk.locked_classes = frozenset({"held"})
    sweep(TOOLS["brush"](desk), (25, 35), (65, 35))
    assert tuple(desk.document.shapes[:2]) == (locked, of_class)
    painted = desk.document.shapes[2].bitmap
    assert painted is not None
    assert locked.bitmap is not None
    assert of_class.bitmap is not None
    assert not (painted & (locked.bitmap | of_class.bitmap))
    assert painted.contains(45, 35)
    click(TOOLS["brush"](desk), 35, 35)


def test_a_stroke_on_locked_pixels_only_is_no_step() -> None:
    desk = desk_with(replace(box_mask(0, 0, 120, 80), locked=True))
    sweep(TOOLS["brush"](desk), (30, 30), (50, 50))
    assert desk.document.undo_name is None


def test_the_eraser_can_keep_to_the_current_class() -> None:
    desk = with_options(desk_with(box_mask(10, 10, 60, 40), box_mask(10, 10, 60, 40, "cell")))
    desk.options = Options(only_class=True)
    sweep(TOOLS["eraser"](desk), (20, 20), (30, 20))
    other, mine = desk.document.shapes
    assert other.bitmap is not None
    assert mine.bitmap is not None
    assert other.bitmap.contains(25, 20)
    assert not mine.bitmap.contains(25, 20)
    desk.select([desk.document.ids()[0]])  # what is selected is erased whatever its class
    sweep(TOOLS["eraser"](desk), (20, 20), (30, 20))
    assert desk.document.shapes[0].bitmap is not None
    assert not desk.document.shapes[0].bitmap.contains(25, 20)


# -- snapping


def test_points_snap_to_corners_first_and_then_to_edges() -> None:
    desk = with_options(desk_with(Shape("x", "polygon", SQUARE)), snap=True)
    tool = TOOLS["polygon"](desk)
    for x, y in [(32, 9), (33.5, 22), (50, 40)]:
        click(tool, x, y)
    assert tool.key("Enter")
    assert desk.document.shapes[-1].points.tolist() == [[30, 10], [30, 22], [50, 40]]
    tool.move(Pointer(11, 32))
    assert tool.preview().snapped == (10.0, 30.0)
    tool.move(Pointer(11, 32, alt=True))
    assert tool.preview().snapped is None
    desk.options = Options(snap=False)
    tool.move(Pointer(11, 32))
    assert tool.preview().snapped is None


def test_a_dragged_vertex_snaps_to_others_but_not_to_its_own_shape() -> None:
    mine = as_points([(40, 10), (70, 10), (70, 30), (40, 30)])
    shapes = Shape("x", "polygon", SQUARE), Shape("x", "polygon", mine)
    desk = with_options(desk_with(*shapes), snap=True)
    desk.select([desk.document.ids()[1]])
    tool = TOOLS["select"](desk)
    sweep(tool, (40, 10), (36, 12), (32, 11))
    assert desk.document.shapes[1].points[0].tolist() == [30, 10]
    sweep(tool, (70, 10), (60, 20), (43, 29))
    assert desk.document.shapes[1].points[1].tolist() == [43, 29]


def test_hidden_shapes_do_not_attract() -> None:
    desk = with_options(desk_with(Shape("x", "polygon", SQUARE)), snap=True)
    desk.idmap.hide(frozenset({"x"}))
    assert desk.snapped(Pointer(31, 11)) is None


# -- split


def star(seed: int) -> np.ndarray:
    """A ring that does not cross itself: its centre lies inside."""
    rng = np.random.default_rng(seed)
    angles = (np.arange(9) + rng.uniform(0, 1, 9)) * 2 * np.pi / 9
    radii = rng.uniform(8, 30, 9)
    return np.column_stack([np.cos(angles), np.sin(angles)]) * radii[:, None] + (60, 40)


def area(ring: np.ndarray) -> float:
    x, y = ring.T
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)


@given(st.integers(0, 5000), st.floats(0, 6.28), st.floats(-12, 12))
@settings(deadline=None, max_examples=200)
def test_a_line_across_parts_a_ring_without_loss(seed: int, angle: float, off: float) -> None:
    ring = star(seed)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]]) * off
    middle = across + np.array([60, 40])
    start, end = middle - 60 * along, middle + 60 * along
    parts = split_ring(as_points(ring), tuple(start), tuple(end))  # type: ignore[arg-type]
    assert sum(map(area, parts)) == pytest.approx(area(ring), rel=1e-3, abs=0.05)
    for part in parts if len(parts) > 1 else []:
        sides = (part - start) @ np.array([-along[1], along[0]])
        assert (sides > -0.01).all() or (sides < 0.01).all()


def test_a_concave_ring_falls_into_all_its_parts() -> None:
    comb = [(0, 0), (50, 0), (50, 30), (40, 30), (40, 10), (30, 10), (30, 30), (0, 30)]
    parts = split_ring(as_points(comb), (-5, 20), (60, 20))
    assert sorted(round(area(part)) for part in parts) == [100, 300, 900]


def test_split_tool_parts_the_selected_polygon_and_selects_the_parts() -> None:
    one = Shape("x", "polygon", SQUARE, group_id=3)
    desk = desk_with(one, Shape("y", "rectangle", SQUARE[[0, 2]]))
    first = desk.document.ids()[0]
    desk.select([first])
    sweep(TOOLS["split"](desk), (5, 20), (20, 20), (40, 20))
    assert [s.group_id for s in desk.document.shapes] == [None] * 3  # two things now
    kinds = [(s.class_name, s.kind) for s in desk.document.shapes]
    assert kinds == [("x", "polygon"), ("x", "polygon"), ("y", "rectangle")]
    assert desk.selection == tuple(desk.document.ids()[:2])
    assert desk.document.undo_name == "Split"
    desk.document.undo()
    desk.select([])
    sweep(TOOLS["split"](desk), (20, 5), (20, 40))  # nothing selected: the top-most
    assert [s.kind for s in desk.document.shapes] == ["polygon", "polygon", "polygon"]
    desk.document.undo()
    sweep(TOOLS["split"](desk), (50, 50), (80, 70))
    sweep(TOOLS["split"](desk), (12, 15), (25, 15))  # ends inside: nothing is parted
    assert desk.document.undo_name is None


def test_split_tool_parts_a_mask_and_loses_no_pixel() -> None:
    mask = np.ones((30, 40), bool)
    mask[10:14, 10:14] = False
    mask[0, 0] = True
    shape = mask_shape("x", Bitmap.from_array(mask, 20, 20))
    desk = desk_with(shape)
    sweep(TOOLS["split"](desk), (40, 10), (42, 60))
    parts = [s.bitmap for s in desk.document.shapes if s.bitmap is not None]
    assert len(parts) == 2
    assert parts[0] | parts[1] == shape.bitmap
    assert not (parts[0] & parts[1])
    assert min(p.area for p in parts) > 300


def test_split_leaves_what_is_locked_or_a_draft() -> None:
    locked = replace(Shape("x", "polygon", SQUARE), locked=True)
    draft = box_mask(50, 10, 80, 40)
    desk = desk_with(locked, drafts=(draft,))
    sweep(TOOLS["split"](desk), (20, 5), (20, 40))
    sweep(TOOLS["split"](desk), (65, 5), (65, 45))
    assert desk.document.undo_name is None
    assert list(desk.document.shapes) == [locked]
