"""Operations on the selection, against plain sets of pixels; every one is one undo step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Annotation, Document
from segstudio.annotation.idmap import IdMap
from segstudio.annotation.rasterise import coverage
from segstudio.annotation.shape import Shape, as_points, mask_shape
from segstudio.tools import Desk, arrange

SIZE = (24, 32)
MASKS = arrays.arrays(np.bool_, SIZE)


def desk_with(*shapes: Shape, drafts: tuple[Shape, ...] = ()) -> Desk:
    document = Document(Annotation(SIZE[1], SIZE[0], tuple(shapes)), drafts)
    idmap = IdMap(document)
    document.listeners.append(idmap.update)
    desk = Desk(document, idmap, class_name="a")
    desk.select(document.ids())
    return desk


def box(x: float, y: float, side: float = 6, name: str = "a", **facts: object) -> Shape:
    points = as_points([(x, y), (x + side, y), (x + side, y + side), (x, y + side)])
    return Shape(name, "polygon", points, **facts)  # type: ignore[arg-type]


def pixels(shape: Shape) -> NDArray[np.bool_]:
    return coverage(shape, SIZE).to_array((0, 0, SIZE[1], SIZE[0]))


def undone(desk: Desk, before: tuple[Shape, ...]) -> bool:
    desk.document.undo()
    return tuple(desk.document.shapes) == before


@given(MASKS, MASKS, st.sampled_from(["union", "subtract", "intersect"]))
@settings(max_examples=60, deadline=None)
def test_sets_of_pixels(a: NDArray[np.bool_], b: NDArray[np.bool_], how: str) -> None:
    shapes = tuple(
        mask_shape(name, Bitmap.from_array(m)) for name, m in (("a", a), ("b", b)) if m.any()
    )
    desk = desk_with(*shapes)
    if len(shapes) < 2:
        assert not arrange.combine(desk, how)  # type: ignore[arg-type]
        return
    assert arrange.combine(desk, how)  # type: ignore[arg-type]
    wanted = {"union": a | b, "subtract": a & ~b, "intersect": a & b}[how]
    ours = [s for s in desk.document.shapes if s.class_name == "a"]
    assert len(ours) == int(wanted.any())
    if ours:
        np.testing.assert_array_equal(pixels(ours[0]), wanted)
    assert any(s.class_name == "b" for s in desk.document.shapes) is (how != "union")
    assert undone(desk, shapes)


@given(MASKS.filter(lambda m: bool(m.any())))
@settings(max_examples=80, deadline=None)
def test_polygons_cover_the_very_pixels_of_their_mask(mask: NDArray[np.bool_]) -> None:
    shape = mask_shape("a", Bitmap.from_array(mask))
    parts = arrange.polygons_of(shape)
    together = np.zeros(SIZE, bool)
    for part in parts:
        together |= pixels(part)
    np.testing.assert_array_equal(together, mask)
    assert sum(part.kind == "mask" for part in parts) <= 1


def test_polygon_to_mask_and_back_is_the_same_and_holes_stay() -> None:
    ring = np.ones((9, 9), bool)
    ring[3:6, 3:6] = False
    shapes = (box(2, 2), mask_shape("b", Bitmap.from_array(ring, 15, 5)))
    desk = desk_with(*shapes)
    before = [pixels(s) for s in shapes]
    assert arrange.to_masks(desk)
    assert [s.kind for s in desk.document.shapes] == ["mask", "mask"]
    assert arrange.to_polygons(desk)
    assert [s.kind for s in desk.document.shapes] == ["polygon", "mask"]
    for shape, was in zip(desk.document.shapes, before, strict=True):
        np.testing.assert_array_equal(pixels(shape), was)


def test_a_simpler_polygon_has_fewer_points_and_nearly_the_same_pixels() -> None:
    down, across = np.mgrid[: SIZE[0], : SIZE[1]]
    disc = (across - 15) ** 2 + (down - 12) ** 2 < 100
    shape = mask_shape("a", Bitmap.from_array(disc))
    (exact,), (simple,) = arrange.polygons_of(shape), arrange.polygons_of(shape, 1.0)
    assert len(simple.points) < len(exact.points)
    assert (pixels(simple) != disc).sum() < 0.1 * disc.sum()


def test_nudge_leaves_locked_shapes_and_drafts() -> None:
    desk = desk_with(box(2, 2), box(12, 2, locked=True), drafts=(box(20, 10),))
    desk.select([*desk.document.ids(), *desk.document.ids("drafts")])
    assert arrange.nudge(desk, 1, -2)
    moved, stayed = desk.document.shapes
    assert moved.points[0].tolist() == [3, 0]
    assert stayed.points[0].tolist() == [12, 2]
    assert desk.document.drafts[0].points[0].tolist() == [20, 10]
    assert undone(desk, (box(2, 2), box(12, 2, locked=True)))


def test_duplicates_and_pasted_shapes_are_a_person_s_and_selected() -> None:
    model = box(2, 2, source="model", model="000001-unet", score=0.5)
    desk = desk_with(model)
    assert arrange.duplicate(desk)
    copy = desk.document.shapes[-1]
    assert (copy.source, copy.model, copy.score) == ("human", None, None)
    assert copy.points[0].tolist() == [12, 12]
    assert desk.selection == (desk.document.ids()[-1],)
    assert not arrange.paste(desk, [box(40, 40)])  # another picture was larger
    assert arrange.paste(desk, [box(40, 40), box(28, 2)])
    assert len(desk.document.shapes) == 3


def test_copies_of_a_group_are_a_group_of_their_own() -> None:
    pair = (box(1, 1, group_id=1), box(9, 1, group_id=1))
    desk = desk_with(*pair, box(17, 1, group_id=2), drafts=(box(20, 10, group_id=7),))
    desk.select(desk.document.ids())
    assert arrange.duplicate(desk)
    copies = desk.document.shapes[3:]
    assert [s.group_id for s in copies] == [8, 8, None]  # a draft's group is another's too


def test_a_group_never_takes_the_number_of_a_draft_s() -> None:
    desk = desk_with(box(1, 1), box(9, 1), drafts=(box(20, 10, group_id=1),))
    desk.select(desk.document.ids())
    assert arrange.group(desk, together=True)
    assert [s.group_id for s in desk.document.shapes] == [2, 2]


def test_order_groups_and_locks() -> None:
    shapes = (box(1, 1, name="a"), box(9, 1, name="b"), box(17, 1, name="c"))
    desk = desk_with(*shapes)
    desk.select([desk.document.ids()[0]])
    assert arrange.reorder(desk, to_top=True)
    assert [s.class_name for s in desk.document.shapes] == ["b", "c", "a"]
    assert desk.selected()[0][1].class_name == "a"
    assert not arrange.reorder(desk, to_top=True)
    assert arrange.reorder(desk, to_top=False)
    assert [s.class_name for s in desk.document.shapes] == ["a", "b", "c"]
    assert not arrange.group(desk, together=True)  # one shape is no group
    desk.select(desk.document.ids()[:2])
    assert arrange.group(desk, together=True)
    assert [s.group_id for s in desk.document.shapes] == [1, 1, None]
    assert arrange.group(desk, together=False)
    assert [s.group_id for s in desk.document.shapes] == [None] * 3
    assert arrange.lock(desk)
    assert [s.locked for s in desk.document.shapes] == [True, True, False]
    assert not arrange.nudge(desk, 1, 1)
    assert arrange.lock(desk)
    assert not any(s.locked for s in desk.document.shapes)


@pytest.mark.parametrize(
    "act",
    [
        arrange.duplicate,
        arrange.lock,
        arrange.to_masks,
        arrange.to_polygons,
        lambda desk: arrange.nudge(desk, 1, 1),
        lambda desk: arrange.combine(desk, "union"),
        lambda desk: arrange.group(desk, True),
    ],
)
def test_nothing_selected_is_nothing_done(act: object) -> None:
    desk = desk_with(box(2, 2))
    desk.select([])
    assert not act(desk)  # type: ignore[operator]
    assert desk.document.undo_name is None
