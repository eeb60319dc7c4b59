"""Tools that look at the picture: wand, superpixels, scissors, smart box, without a window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from segstudio.annotation.bitmap import Bitmap, Box
from segstudio.annotation.document import Annotation, Document
from segstudio.annotation.idmap import IdMap
from segstudio.annotation.rasterise import draw_ids, label_map
from segstudio.annotation.shape import Shape, as_points, mask_shape
from segstudio.tools import TOOLS, Desk, Pointer, Tool
from segstudio.tools.desk import NO_CLASS, NO_PIXELS
from segstudio.tools.superpixels import Pieces, superpixels
from segstudio.tools.wand import alike, connected

NAMES = ("wand", "superpixels", "scissors", "smart_box")
WIDTH, HEIGHT = 220, 160
DISC = (70, 60, 30)
"""Centre and radius of the bright disc."""
RGB = NDArray[np.uint8]


def disc(x: float, y: float, radius: float) -> NDArray[np.bool_]:
    down, across = np.mgrid[:HEIGHT, :WIDTH]
    inside: NDArray[np.bool_] = np.hypot(across + 0.5 - x, down + 0.5 - y) < radius
    return inside


def picture() -> RGB:
    """Two bright discs on dark ground, with a little noise."""
    noise = np.random.default_rng(7).integers(-6, 7, (HEIGHT, WIDTH, 3))
    grey = np.where(disc(*DISC) | disc(170, 110, 20), 190, 50)[..., None]
    return np.clip(grey + noise, 0, 255).astype(np.uint8)


def desk_with(*shapes: Shape, drafts: tuple[Shape, ...] = (), rgb: RGB | None = None) -> Desk:
    pixels = picture() if rgb is None else rgb
    pixels.setflags(write=False)

    def read(box: Box) -> RGB:
        x0, y0, x1, y1 = box
        assert 0 <= x0 < x1 <= pixels.shape[1]
        assert 0 <= y0 < y1 <= pixels.shape[0]
        return pixels[y0:y1, x0:x1]

    height, width = pixels.shape[:2]
    document = Document(Annotation(width, height, tuple(shapes)), drafts)
    idmap = IdMap(document)
    document.listeners.append(idmap.update)
    return Desk(document, idmap, class_name="cell", brush_radius=4.0, read_pixels=read)


def click(tool: Tool, x: float, y: float, **keys: bool) -> None:
    sweep(tool, (x, y), **keys)


def sweep(tool: Tool, *places: tuple[float, float], **keys: bool) -> None:
    tool.move(Pointer(*places[0], **keys))
    tool.press(Pointer(*places[0], **keys))
    for place in places[1:]:
        tool.drag(Pointer(*place, **keys))
    tool.release(Pointer(*places[-1], **keys))


def pixels_of(shape: Shape) -> NDArray[np.bool_]:
    return label_map([shape], {shape.class_name: 1}, (HEIGHT, WIDTH)) == 1


def overlap(shape: Shape, truth: NDArray[np.bool_]) -> float:
    """Intersection over union."""
    found = pixels_of(shape)
    return float((found & truth).sum() / (found | truth).sum())


# -- all four


@pytest.mark.parametrize("name", NAMES)
def test_without_a_class_or_pixels_they_say_why_and_do_nothing(name: str) -> None:
    desk = desk_with()
    tool = TOOLS[name](desk)
    tool.move(Pointer(70, 60))
    assert tool.refusal == ""
    desk.class_name = ""
    assert tool.refusal == NO_CLASS
    sweep(tool, (60, 50), (70, 60), (90, 80))
    desk.class_name = "cell"
    for read in (None, lambda box: None):
        desk.read_pixels = read
        assert tool.refusal == NO_PIXELS
        sweep(tool, (60, 50), (70, 60), (90, 80))
        tool.preview()
    assert not tool.busy
    assert not desk.document.shapes
    assert desk.document.undo_name is None


@pytest.mark.parametrize("name", NAMES)
def test_escape_takes_back_what_has_begun(name: str) -> None:
    desk = desk_with()
    tool = TOOLS[name](desk)
    tool.move(Pointer(50, 40))
    tool.press(Pointer(50, 40))
    tool.drag(Pointer(90, 80))
    assert tool.busy
    tool.preview()
    assert tool.key("Escape")
    assert not tool.busy
    tool.release(Pointer(90, 80))
    assert not desk.document.shapes
    assert desk.document.undo_name is None
    assert not (desk.idmap.sample(np.arange(WIDTH), np.arange(HEIGHT))).any()


@pytest.mark.parametrize("name", ["wand", "superpixels"])
def test_a_region_grows_the_selected_shape_of_the_class_unless_it_is_locked(name: str) -> None:
    box = Shape("cell", "rectangle", as_points([(60, 50), (80, 70)]))
    desk = desk_with(box)
    desk.select(desk.document.ids())
    click(TOOLS[name](desk), 90, 60)
    (grown,) = desk.document.shapes
    assert grown.is_mask
    assert pixels_of(grown)[pixels_of(box)].all()
    assert pixels_of(grown)[60, 90]
    desk.document.undo()
    assert list(desk.document.shapes) == [box]
    desk.locked_classes = frozenset({"cell"})
    click(TOOLS[name](desk), 90, 60)
    assert desk.document.shapes[0] is box
    desk.document.undo()
    desk.locked_classes = frozenset()
    desk.select(desk.document.ids())
    desk.class_name = "dirt"
    click(TOOLS[name](desk), 90, 60)
    assert [s.class_name for s in desk.document.shapes] == ["cell", "dirt"]
    assert desk.selection == (desk.document.ids()[-1],)


@pytest.mark.parametrize("name", ["wand", "superpixels"])
def test_a_region_on_a_selected_draft_takes_it(name: str) -> None:
    block = Bitmap.from_array(np.ones((10, 10)), 60, 50)
    draft = mask_shape("cell", block, "model")
    desk = desk_with(Shape("b", "rectangle", as_points([(0, 0), (9, 9)])), drafts=(draft,))
    desk.select(desk.document.ids("drafts"))
    sweep(TOOLS[name](desk), (75, 70), (85, 70), (90, 70))
    assert not desk.document.drafts
    taken = desk.document.shapes[0]
    assert taken.source == "corrected"
    assert pixels_of(taken)[70, 75]
    assert pixels_of(taken)[55, 65]
    assert desk.selection == (desk.document.ids()[0],)
    desk.document.undo()
    assert list(desk.document.drafts) == [draft]


@pytest.mark.parametrize("name", ["wand", "superpixels"])
def test_a_region_that_is_there_already_is_no_step(name: str) -> None:
    whole = mask_shape("cell", Bitmap.from_array(np.ones((HEIGHT, WIDTH))))
    desk = desk_with(whole)
    desk.select(desk.document.ids())
    click(TOOLS[name](desk), 70, 60)
    assert desk.document.undo_name is None
    assert list(desk.document.shapes) == [whole]


places = st.tuples(st.integers(-10, WIDTH + 10), st.integers(-10, HEIGHT + 10))
strokes = st.lists(places, min_size=1, max_size=4)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(NAMES), strokes, st.booleans()), max_size=6))
def test_any_work_undone_is_as_before_and_the_map_is_true(
    work: list[tuple[str, list[tuple[int, int]], bool]],
) -> None:
    draft = mask_shape("cell", Bitmap.from_array(np.ones((30, 30)), 10, 100), "model")
    start = [Shape("cell", "rectangle", as_points([(20, 20), (60, 60)]))]
    desk = desk_with(*start, drafts=(draft,))
    desk.select([*desk.document.ids(), *desk.document.ids("drafts")])
    document = desk.document
    tools = {name: TOOLS[name](desk) for name in NAMES}
    for name, path, alt in work:
        sweep(tools[name], *path, alt=alt)
        tools[name].preview()
        tools[name].key("Enter")
        if name != "scissors":  # whose clicks go on
            assert not tools[name].busy
    shapes, ids = document.items()
    seen = desk.idmap.sample(np.arange(WIDTH), np.arange(HEIGHT))
    assert np.array_equal(seen, draw_ids(shapes, ids, (0, 0, WIDTH, HEIGHT)))
    after = (list(document.shapes), list(document.drafts))
    while document.undo():
        pass
    assert (list(document.shapes), list(document.drafts)) == (start, [draft])
    while document.redo():
        pass
    assert (list(document.shapes), list(document.drafts)) == after


# -- wand


def test_wand_takes_a_disc_and_a_drag_takes_more_until_undo() -> None:
    desk = desk_with()
    tool = TOOLS["wand"](desk)
    click(tool, 70, 60)
    (shape,) = desk.document.shapes
    assert overlap(shape, disc(*DISC)) == 1.0
    assert desk.document.undo_name == "Magic wand"
    desk.document.undo()
    tool.press(Pointer(70, 60))
    tool.drag(Pointer(670, 60))
    assert tool.preview().note == (670, 60, "± 216")
    assert pixels_of(desk.document.shapes[0]).all()
    tool.drag(Pointer(70, 60))
    assert overlap(desk.document.shapes[0], disc(*DISC)) == 1.0
    tool.drag(Pointer(-400, 60))
    assert desk.document.shapes[0].bitmap is not None
    assert desk.document.shapes[0].bitmap.contains(70, 60)
    tool.release(Pointer(-400, 60))
    desk.document.undo()
    assert not desk.document.shapes


def test_wand_with_alt_takes_the_other_disc_too() -> None:
    desk = desk_with()
    click(TOOLS["wand"](desk), 70, 60, alt=True)
    assert overlap(desk.document.shapes[0], disc(*DISC) | disc(170, 110, 20)) == 1.0


def test_wand_outside_the_picture_does_nothing() -> None:
    desk = desk_with()
    click(TOOLS["wand"](desk), -5, 60)
    assert not desk.document.shapes


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(0, 120), st.integers(0, 11), st.integers(0, 8))
def test_wand_takes_exactly_the_colours_within_its_tolerance(
    seed: int, tolerance: int, x: int, y: int
) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    near = (np.abs(rgb.astype(int) - rgb[y, x]) <= tolerance).all(axis=2)
    assert np.array_equal(alike(rgb, (x, y), tolerance), near)
    reached = np.zeros_like(near)
    reached[y, x] = True
    for _ in range(near.size):
        wider = reached.copy()
        wider[1:] |= reached[:-1]
        wider[:-1] |= reached[1:]
        wider[:, 1:] |= reached[:, :-1]
        wider[:, :-1] |= reached[:, 1:]
        reached = wider & near
    assert np.array_equal(connected(rgb, (x, y), tolerance), reached)


# -- superpixels


def test_superpixels_are_connected_and_end_at_the_disc() -> None:
    import cv2

    labels = superpixels(picture(), 12)
    assert labels.shape == (HEIGHT, WIDTH)
    assert labels.min() >= 0
    inside = disc(*DISC)
    mixed = 0
    for number in np.unique(labels):
        piece = labels == number
        assert cv2.connectedComponents(piece.astype(np.uint8), connectivity=4)[0] == 2
        mixed += min((piece & inside).sum(), (piece & ~inside).sum())
    assert mixed < 0.02 * inside.sum()


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (5, 7), (193, 3)])
@pytest.mark.parametrize("spacing", [6, 64])
def test_superpixels_of_small_pictures(size: tuple[int, int], spacing: int) -> None:
    labels = superpixels(np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8), spacing)
    assert labels.shape == size
    assert labels.min() >= 0


def test_superpixels_painted_over_a_disc_give_the_disc() -> None:
    desk = desk_with()
    tool = TOOLS["superpixels"](desk)
    tool.move(Pointer(70, 60))
    ring = tool.preview()
    assert ring.closed
    assert len(ring.path) >= 4
    assert ring.path.min(axis=0)[0] >= 50
    turns = np.linspace(0, 8 * np.pi, 80)
    spiral = [(70 + 1.12 * t * np.cos(t), 60 + 1.12 * t * np.sin(t)) for t in turns]
    sweep(tool, *spiral)
    (shape,) = desk.document.shapes
    assert overlap(shape, disc(*DISC)) > 0.9
    assert desk.document.undo_name == "Superpixels"


def test_superpixels_follow_the_brush_and_stay_in_the_picture() -> None:
    desk = desk_with()
    tool = TOOLS["superpixels"](desk)
    click(tool, 200, 20)
    small = pixels_of(desk.document.shapes[0]).sum()
    desk.select([])
    desk.brush_radius = 16.0
    click(tool, 200, 20)
    assert pixels_of(desk.document.shapes[1]).sum() > 4 * small
    assert Pieces(desk).at(WIDTH, 0, 8) is None
    tool.move(Pointer(-3, 5))
    assert not len(tool.preview().path)


# -- scissors


def outline_clicks(tool: Tool, count: int) -> None:
    x, y, radius = DISC
    for turn in np.linspace(0, 2 * np.pi, count, endpoint=False):
        click(tool, x + radius * np.cos(turn), y + radius * np.sin(turn))


@pytest.mark.parametrize("ending", ["Enter", "double click", "first point"])
def test_scissors_follow_the_edge_between_few_clicks(ending: str) -> None:
    desk = desk_with()
    tool = TOOLS["scissors"](desk)
    outline_clicks(tool, 4)
    x, y, radius = DISC
    if ending == "Enter":
        assert tool.key("Enter")
    elif ending == "double click":
        tool.double_click(Pointer(x, y - radius))
    else:
        tool.move(Pointer(x + radius + 1, y))
        assert tool.preview().closed
        click(tool, x + radius + 1, y)
    (shape,) = desk.document.shapes
    assert shape.kind == "polygon"
    assert overlap(shape, disc(*DISC)) > 0.9  # a square through the clicks has 0.64
    assert desk.document.undo_name == "Scissors"
    assert not tool.busy
    desk.document.undo()
    assert not desk.document.shapes


def test_scissors_take_the_last_piece_back_and_need_three_points() -> None:
    desk = desk_with()
    tool = TOOLS["scissors"](desk)
    outline_clicks(tool, 4)
    click(tool, 200, 150)
    assert tool.key("Backspace")
    tool.move(Pointer(70, 30))
    preview = tool.preview()
    assert preview.nodes is not None
    assert len(preview.nodes) == 4
    assert len(preview.path) > 100
    assert tool.key("Enter")
    assert overlap(desk.document.shapes[0], disc(*DISC)) > 0.9
    click(tool, 40, 60)
    click(tool, 70, 30)
    assert not tool.key("Enter")
    assert tool.key("Backspace")
    assert tool.key("Backspace")
    assert not tool.busy


def test_scissors_are_straight_beyond_their_map_and_stay_inside() -> None:
    wide = np.full((40, 900, 3), 90, np.uint8)
    desk = desk_with(rgb=wide)
    tool = TOOLS["scissors"](desk)
    for place in [(5, 5), (880, 8), (880, 35), (5, 1000)]:
        click(tool, *place)
    assert tool.key("Enter")
    (shape,) = desk.document.shapes
    assert shape.points.min() >= 0
    assert (shape.points <= (900, 40)).all()
    area = (label_map([shape], {"cell": 1}, (40, 900)) == 1).sum()
    assert area == pytest.approx(875 * 30, rel=0.15)


# -- smart box


def boxed(desk: Desk) -> Tool:
    tool = TOOLS["smart_box"](desk)
    sweep(tool, (35, 25), (60, 60), (105, 95))
    return tool


def test_smart_box_finds_the_disc_in_the_box() -> None:
    desk = desk_with(Shape("cell", "rectangle", as_points([(0, 0), (20, 20)])))
    desk.select(desk.document.ids())
    boxed(desk)
    assert len(desk.document.shapes) == 2  # always a mask of its own
    assert overlap(desk.document.shapes[1], disc(*DISC)) > 0.97
    assert desk.selection == (desk.document.ids()[1],)
    assert desk.document.undo_name == "Smart box"
    desk.document.undo()
    assert len(desk.document.shapes) == 1


def test_strokes_correct_it_one_step_each_and_undo_goes_back_through_them() -> None:
    desk = desk_with()
    tool = boxed(desk)
    first = desk.document.shapes[0]
    tool.move(Pointer(70, 60))
    assert tool.preview().brush
    sweep(tool, (60, 60), (70, 60), (80, 60), alt=True)
    second = desk.document.shapes[0]
    assert not pixels_of(second)[60, 60:80].any()
    sweep(tool, (40, 30), (44, 30))
    third = desk.document.shapes[0]
    assert pixels_of(third)[30, 40:44].all()
    assert not pixels_of(third)[60, 60:80].any()
    desk.document.undo()
    assert desk.document.shapes[0] is second
    sweep(tool, (60, 60), (80, 60))  # goes on from what undo left
    assert pixels_of(desk.document.shapes[0])[60, 60:80].all()
    assert not pixels_of(desk.document.shapes[0])[30, 40]
    desk.document.undo()
    desk.document.undo()
    assert desk.document.shapes[0] is first
    desk.document.undo()
    assert not desk.document.shapes


def test_outside_its_box_or_unselected_or_locked_a_drag_is_another_box() -> None:
    desk = desk_with()
    tool = boxed(desk)
    sweep(tool, (145, 85), (195, 135))
    assert len(desk.document.shapes) == 2
    assert overlap(desk.document.shapes[1], disc(170, 110, 20)) > 0.95
    tool.move(Pointer(70, 60))
    assert tool.preview().brush is None
    desk.select([desk.document.ids()[0]])
    assert tool.preview().brush is not None
    desk.locked_classes = frozenset({"cell"})
    assert tool.preview().brush is None


def test_a_slip_is_no_box_and_the_whole_picture_is_one() -> None:
    desk = desk_with()
    tool = TOOLS["smart_box"](desk)
    sweep(tool, (50, 50), (51, 80))
    assert not desk.document.shapes
    sweep(tool, (-20, -20), (500, 500))
    (shape,) = desk.document.shapes
    assert pixels_of(shape)[60, 70]
    assert not pixels_of(shape)[0].any()


@pytest.mark.parametrize("times", [4, 12])
def test_a_large_box_is_cut_at_the_edge_and_corrected_by_strokes(times: int) -> None:
    rgb = picture().repeat(times, axis=0).repeat(times, axis=1)
    desk = desk_with(rgb=rgb)
    tool = TOOLS["smart_box"](desk)
    sweep(tool, (35 * times, 25 * times), (105 * times, 95 * times))
    size = (times * HEIGHT, times * WIDTH)
    found = label_map(desk.document.shapes, {"cell": 1}, size) == 1
    truth = disc(*DISC).repeat(times, axis=0).repeat(times, axis=1)
    assert (found & truth).sum() / (found | truth).sum() > 0.97
    desk.brush_radius = 2.0 * times
    sweep(tool, (60 * times, 60 * times), (80 * times, 60 * times), alt=True)
    found = label_map(desk.document.shapes, {"cell": 1}, size) == 1
    assert not found[60 * times, 60 * times : 80 * times].any()
    assert found[45 * times, 70 * times]


@pytest.mark.parametrize("name", ["wand", "superpixels", "smart_box"])
def test_locked_shapes_keep_their_pixels(name: str) -> None:
    kept = Shape("dirt", "rectangle", as_points([(70, 30), (100, 90)]))
    desk = desk_with(kept)
    desk.locked_classes = frozenset({"dirt"})
    desk.idmap.sample(np.arange(WIDTH), np.arange(HEIGHT))
    tool = TOOLS[name](desk)
    sweep(tool, (34, 24), (106, 96)) if name == "smart_box" else click(tool, 50, 60)
    (mine,) = (shape for shape in desk.document.shapes if shape.class_name == "cell")
    assert pixels_of(mine)[60, 50]
    assert not (pixels_of(mine) & pixels_of(kept)).any()
