"""Tools by pointer sequences, without a window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Annotation, Document
from segstudio.annotation.idmap import IdMap
from segstudio.annotation.rasterise import draw_ids, label_map
from segstudio.annotation.shape import Shape, as_points, mask_shape
from segstudio.tools import TOOLS, Desk, Pointer, Tool

SQUARE = as_points([(10, 10), (30, 10), (30, 30), (10, 30)])


def desk_with(*shapes: Shape, drafts: tuple[Shape, ...] = ()) -> Desk:
    document = Document(Annotation(120, 80, tuple(shapes)), drafts)
    idmap = IdMap(document)
    document.listeners.append(idmap.update)
    return Desk(document, idmap, class_name="cell", brush_radius=4.0)


def click(tool: Tool, x: float, y: float, **keys: bool) -> None:
    tool.move(Pointer(x, y, **keys))
    tool.press(Pointer(x, y, **keys))
    tool.release(Pointer(x, y, **keys))


def sweep(tool: Tool, *places: tuple[float, float], **keys: bool) -> None:
    tool.press(Pointer(*places[0], **keys))
    for place in places[1:]:
        tool.drag(Pointer(*place, **keys))
    tool.release(Pointer(*places[-1], **keys))


def test_polygon_closes_on_its_first_point_and_is_one_step() -> None:
    desk = desk_with()
    tool = TOOLS["polygon"](desk)
    for x, y in [(10, 10), (60, 10), (60, 60), (61, 61)]:
        click(tool, x, y)
    assert tool.key("Backspace")
    click(tool, 11, 11)
    assert [s.kind for s in desk.document.shapes] == ["polygon"]
    assert desk.document.shapes[0].points.tolist() == [[10, 10], [60, 10], [60, 60]]
    assert desk.document.undo_name == "Draw polygon"
    assert desk.selection == tuple(desk.document.ids())
    desk.document.undo()
    assert not desk.document.shapes


def test_polygon_needs_three_points_and_escape_drops_it() -> None:
    desk = desk_with()
    tool = TOOLS["polygon"](desk)
    click(tool, 5, 5)
    click(tool, 9, 5)
    assert not tool.key("Enter")
    assert tool.key("Escape")
    assert not tool.busy
    assert not desk.document.shapes


def test_polygon_double_click_closes_without_a_doubled_point() -> None:
    desk = desk_with()
    tool = TOOLS["polygon"](desk)
    for x, y in [(10, 10), (60, 10), (60, 60)]:
        click(tool, x, y)
    tool.double_click(Pointer(60, 60))
    assert len(desk.document.shapes[0].points) == 3


def test_fill_takes_a_hole_and_a_region_and_leaves_the_rest() -> None:
    ring = np.ones((20, 20), bool)
    ring[5:15, 5:15] = False
    desk = desk_with(mask_shape("cell", Bitmap.from_array(ring, 10, 10)))
    tool = TOOLS["fill"](desk)
    desk.select(desk.document.ids())
    click(tool, 20, 20)
    (whole,) = desk.document.shapes
    assert whole.bitmap == Bitmap.from_array(np.ones((20, 20), bool), 10, 10)
    assert desk.document.undo_name == "Fill"
    click(tool, 12, 12)  # it is of the class already
    assert desk.document.shapes[0] is whole
    desk.document.undo()
    desk.select([])
    desk.class_name = "dirt"
    click(tool, 20, 20)
    click(tool, 2, 2)
    labels = label_map(desk.document.shapes, {"cell": 1, "dirt": 2}, (80, 120))
    assert (labels[15:25, 15:25] == 2).all()
    assert (labels[:10] == 2).all()
    assert (labels == 1).sum() == ring.sum()
    click(tool, -3, 400)  # outside
    desk.locked_classes = frozenset({"cell"})
    click(tool, 12, 12)
    assert (label_map(desk.document.shapes, {"cell": 1, "dirt": 2}, (80, 120)) == labels).all()


def test_freehand_closes_where_the_button_is_let_go() -> None:
    desk = desk_with()
    tool = TOOLS["lasso"](desk)
    turns = np.linspace(0, 2 * np.pi, 200)
    ring = [(60 + 25 * np.cos(t), 40 + 20 * np.sin(t)) for t in turns]
    tool.press(Pointer(*ring[0]))
    for place in ring[1:]:
        tool.drag(Pointer(*place))
        assert tool.preview().closed
    tool.release(Pointer(*ring[-1]))
    (shape,) = desk.document.shapes
    assert shape.kind == "polygon"
    assert len(shape.points) < 60  # simpler than the hand's way
    area = int((label_map([shape], {"cell": 1}, (80, 120)) == 1).sum())
    assert area == pytest.approx(np.pi * 25 * 20, rel=0.05)
    sweep(tool, (5, 5), (5.2, 5.1))  # a slip of the hand
    assert len(desk.document.shapes) == 1
    assert not tool.busy


@pytest.mark.parametrize("dragged", [True, False])
@pytest.mark.parametrize("name", ["circle", "line"])
def test_two_points_by_drag_and_by_two_clicks(name: str, dragged: bool) -> None:
    desk = desk_with()
    tool = TOOLS[name](desk)
    if dragged:
        sweep(tool, (50, 40), (55, 40), (60, 40))
    else:
        click(tool, 50, 40)
        assert tool.busy
        click(tool, 60, 40)
    (shape,) = desk.document.shapes
    assert (shape.kind, shape.points.tolist()) == (name, [[50, 40], [60, 40]])
    assert desk.document.undo_name == f"Draw {name}"


def test_a_linestrip_ends_with_enter_or_a_double_click() -> None:
    desk = desk_with()
    tool = TOOLS["linestrip"](desk)
    click(tool, 10, 10)
    assert not tool.key("Enter")
    for x, y in [(20, 10), (30, 30), (31, 31)]:
        click(tool, x, y)
    assert tool.key("Backspace")
    assert not tool.preview().filled
    assert tool.key("Enter")
    for x, y in [(50, 50), (60, 60)]:
        click(tool, x, y)
    tool.double_click(Pointer(60, 60))
    kinds = [(s.kind, s.points.tolist()) for s in desk.document.shapes]
    assert kinds == [
        ("linestrip", [[10, 10], [20, 10], [30, 30]]),
        ("linestrip", [[50, 50], [60, 60]]),
    ]


def test_a_point_is_one_click_inside_the_picture() -> None:
    desk = desk_with()
    click(TOOLS["point"](desk), 130, -4)
    (shape,) = desk.document.shapes
    assert (shape.kind, shape.points.tolist()) == ("point", [[120, 0]])


@given(
    st.tuples(*[st.floats(5, 60) for _ in range(6)]).filter(
        lambda p: np.hypot(p[2] - p[0], p[3] - p[1]) > 2
    )
)
@settings(max_examples=50, deadline=None)
def test_a_turned_rectangle_has_right_angles(places: tuple[float, ...]) -> None:
    desk = desk_with()
    tool = TOOLS["oriented"](desk)
    click(tool, *places[:2])
    click(tool, *places[2:4])
    click(tool, *places[4:])
    if not desk.document.shapes:  # the third click was on the side itself
        along = np.array(places[2:4]) - places[:2]
        away = np.array(places[4:]) - places[:2]
        assert abs(along[0] * away[1] - along[1] * away[0]) / np.hypot(*along) < 1.01
        return
    (shape,) = desk.document.shapes
    assert shape.kind == "oriented_rectangle"
    sides = np.diff(shape.points, axis=0)
    lengths = np.hypot(*sides.T)
    assert abs(sides[0] @ sides[1]) / (lengths[0] * lengths[1]) < 0.01
    np.testing.assert_allclose(sides[0], -sides[2], atol=0.01)


@pytest.mark.parametrize("dragged", [True, False])
def test_rectangle_by_drag_and_by_two_clicks(dragged: bool) -> None:
    desk = desk_with()
    tool = TOOLS["rectangle"](desk)
    if dragged:
        sweep(tool, (50, 40), (30, 30), (20, 10))
    else:
        click(tool, 50, 40)
        click(tool, 20, 10)
    assert desk.document.shapes[0].points.tolist() == [[20, 10], [50, 40]]


def test_points_stay_inside_the_picture() -> None:
    desk = desk_with()
    sweep(TOOLS["rectangle"](desk), (-20, -5), (500, 400))
    assert desk.document.shapes[0].points.tolist() == [[0, 0], [120, 80]]


def test_brush_starts_a_mask_then_extends_it() -> None:
    desk = desk_with()
    tool = TOOLS["brush"](desk)
    sweep(tool, (20, 20), (40, 20))
    sweep(tool, (40, 20), (40, 50))
    (shape,) = desk.document.shapes
    assert shape.is_mask
    assert shape.bitmap is not None
    assert shape.bitmap.contains(40, 50)
    assert shape.bitmap.contains(20, 20)
    desk.document.undo()
    assert not desk.document.shapes[0].bitmap.contains(40, 50)  # type: ignore[union-attr]
    desk.document.undo()
    assert not desk.document.shapes


def test_brush_starts_anew_when_another_class_is_chosen() -> None:
    desk = desk_with()
    tool = TOOLS["brush"](desk)
    sweep(tool, (20, 20), (40, 20))
    desk.class_name = "other"
    sweep(tool, (60, 20), (80, 20))
    assert [s.class_name for s in desk.document.shapes] == ["cell", "other"]


def test_painting_a_polygon_makes_it_a_mask_in_one_step() -> None:
    polygon = Shape("cell", "polygon", SQUARE)
    desk = desk_with(polygon)
    desk.select(desk.document.ids())
    sweep(TOOLS["brush"](desk), (30, 20), (40, 20))
    (shape,) = desk.document.shapes
    drawn = draw_ids([polygon], [1], (0, 0, 120, 80), "L") > 0
    assert shape.bitmap is not None
    assert bool(shape.bitmap.to_array((0, 0, 120, 80))[drawn].all())
    assert shape.bitmap.contains(42, 20)
    desk.document.undo()
    assert desk.document.shapes[0] == polygon


@pytest.mark.parametrize("name", ["polygon", "rectangle", "brush"])
def test_drawing_tools_refuse_without_a_class(name: str) -> None:
    desk = desk_with()
    assert TOOLS[name](desk).refusal == ""
    desk.class_name = ""
    assert "class" in TOOLS[name](desk).refusal


def test_brush_outside_the_picture_draws_nothing() -> None:
    desk = desk_with()
    tool = TOOLS["brush"](desk)
    sweep(tool, (-50, -50), (-40, -40))
    assert not desk.document.shapes
    assert desk.document.undo_name is None


def test_eraser_cuts_a_hole_in_all_under_it_and_spares_locked_ones() -> None:
    below = Shape("cell", "polygon", SQUARE)
    locked = Shape("cell", "polygon", SQUARE + 5, locked=True)
    desk = desk_with(below, locked)
    sweep(TOOLS["eraser"](desk), (20, 20), (21, 20))
    first, second = desk.document.shapes
    assert first.is_mask
    assert not first.bitmap.contains(20, 20)  # type: ignore[union-attr]
    assert second == locked
    desk.document.undo()
    assert list(desk.document.shapes) == [below, locked]


def test_erasing_all_of_a_shape_removes_it_and_undo_brings_it_back() -> None:
    tiny = mask_shape("cell", Bitmap.from_array(np.ones((3, 3)), 20, 20))
    desk = desk_with(tiny)
    sweep(TOOLS["eraser"](desk), (21, 21), (22, 21))
    assert not desk.document.shapes
    desk.document.undo()
    assert list(desk.document.shapes) == [tiny]


def test_a_stroke_that_removes_nothing_is_no_step() -> None:
    desk = desk_with(Shape("cell", "polygon", SQUARE))
    sweep(TOOLS["eraser"](desk), (100, 70), (110, 70))
    assert desk.document.undo_name is None


def test_erasing_a_draft_takes_it_as_a_corrected_shape() -> None:
    draft = mask_shape("cell", Bitmap.from_array(np.ones((20, 20)), 40, 40), "model", model="7")
    desk = desk_with(drafts=(draft,))
    sweep(TOOLS["eraser"](desk), (40, 40), (41, 40), (60, 40))
    assert not desk.document.drafts
    (shape,) = desk.document.shapes
    assert shape.source == "corrected"
    assert shape.model == "7"
    desk.document.undo()
    assert list(desk.document.drafts) == [draft]
    assert not desk.document.shapes


def test_one_stroke_over_two_of_three_drafts_leaves_the_third_alone() -> None:
    block = np.ones((10, 10))
    drafts = tuple(
        mask_shape("cell", Bitmap.from_array(block, x, 40), "model") for x in (10, 50, 90)
    )
    desk = desk_with(drafts=drafts)
    desk.brush_radius = 2.0
    sweep(TOOLS["eraser"](desk), (12, 45), (12, 60), (50, 70), (92, 60), (92, 45))
    assert [s.bitmap for s in desk.document.drafts] == [drafts[1].bitmap]
    assert sorted(s.bitmap.bounds()[0] for s in desk.document.shapes) == [10, 90]  # type: ignore[union-attr,index]
    desk.document.undo()
    assert list(desk.document.drafts) == list(drafts)
    assert not desk.document.shapes


def test_painting_a_selected_draft_takes_it() -> None:
    draft = mask_shape("cell", Bitmap.from_array(np.ones((20, 20)), 40, 40), "model")
    desk = desk_with(Shape("cell", "polygon", SQUARE), drafts=(draft,))
    desk.select(desk.document.ids("drafts"))
    sweep(TOOLS["brush"](desk), (60, 50), (66, 50), (70, 50))
    assert not desk.document.drafts
    assert desk.document.shapes[0].source == "corrected"
    assert desk.document.shapes[0].bitmap.contains(70, 50)  # type: ignore[union-attr]


def test_click_selects_the_top_and_again_what_lies_below() -> None:
    desk = desk_with(Shape("a", "polygon", SQUARE), Shape("b", "polygon", SQUARE))
    tool = TOOLS["select"](desk)
    low, high = desk.document.ids()
    click(tool, 20, 20)
    assert desk.selection == (high,)
    click(tool, 20, 20)
    assert desk.selection == (low,)
    click(tool, 100, 70)
    assert desk.selection == ()


def test_drag_moves_the_shape_in_one_step_and_escape_takes_it_back() -> None:
    shape = Shape("a", "polygon", SQUARE)
    desk = desk_with(shape)
    tool = TOOLS["select"](desk)
    sweep(tool, (20, 20), (25, 20), (30, 24))
    assert desk.document.shapes[0].points.tolist() == (SQUARE + np.array([10, 4])).tolist()
    desk.document.undo()
    assert list(desk.document.shapes) == [shape]
    tool.press(Pointer(20, 20))
    tool.drag(Pointer(40, 40))
    assert tool.key("Escape")
    assert list(desk.document.shapes) == [shape]


def test_vertices_move_appear_and_go() -> None:
    desk = desk_with(Shape("a", "polygon", SQUARE))
    desk.select(desk.document.ids())
    tool = TOOLS["select"](desk)
    sweep(tool, (10, 10), (7, 7), (5, 5))
    assert desk.document.shapes[0].points[0].tolist() == [5, 5]
    tool.double_click(Pointer(20, 30))
    assert len(desk.document.shapes[0].points) == 5
    click(tool, 20, 30, alt=True)
    assert len(desk.document.shapes[0].points) == 4
    assert desk.document.undo_name == "Delete vertex"


def test_rectangle_corner_drag_keeps_the_opposite_corner() -> None:
    desk = desk_with(Shape("a", "rectangle", as_points([(10, 10), (30, 30)])))
    desk.select(desk.document.ids())
    sweep(TOOLS["select"](desk), (30, 10), (40, 5), (50, 4))
    assert desk.document.shapes[0].points.tolist() == [[10, 4], [50, 30]]


def test_band_selects_what_is_inside_and_delete_removes_it() -> None:
    desk = desk_with(Shape("a", "polygon", SQUARE), Shape("b", "polygon", SQUARE + 40))
    tool = TOOLS["select"](desk)
    sweep(tool, (2, 2), (20, 50), (35, 35))
    assert len(desk.selection) == 1
    assert tool.key("Delete")
    assert [s.class_name for s in desk.document.shapes] == ["b"]


places = st.tuples(st.integers(-10, 130), st.integers(-10, 90))
strokes = st.lists(places, min_size=2, max_size=4)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(sorted(TOOLS)), strokes), max_size=8))
def test_any_work_undone_is_as_before_redone_the_same_and_the_map_is_true(
    work: list[tuple[str, list[tuple[int, int]]]],
) -> None:
    squares = [Bitmap.from_array(np.ones((9, 9)), x, y) for x, y in ((60, 30), (75, 30), (60, 50))]
    drafts = tuple(mask_shape("cell", square, "model") for square in squares)
    start = [Shape("cell", "polygon", SQUARE), Shape("b", "rectangle", SQUARE[[0, 2]] + 20)]
    desk = desk_with(*start, drafts=drafts)
    document = desk.document
    for name, path in work:
        tool = TOOLS[name](desk)
        sweep(tool, *path)
        tool.key("Enter")
        tool.cancel()
    shapes, ids = document.items()
    seen = desk.idmap.sample(np.arange(120), np.arange(80))
    assert np.array_equal(seen, draw_ids(shapes, ids, (0, 0, 120, 80)))
    after = (list(document.shapes), list(document.drafts))
    while document.undo():
        pass
    assert (list(document.shapes), list(document.drafts)) == (start, list(drafts))
    seen = desk.idmap.sample(np.arange(120), np.arange(80)) > 0
    whole = label_map([*drafts, *start], {"cell": 1, "b": 2}, (80, 120)) > 0
    assert np.array_equal(seen, whole)
    while document.redo():
        pass
    assert (list(document.shapes), list(document.drafts)) == after
