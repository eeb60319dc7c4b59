"""Shapes to pixels, against Pillow drawing each shape alone on the whole picture."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.components import drafts
from segstudio.annotation.document import Annotation, Document
from segstudio.annotation.geometry import simplify, stroke, trace
from segstudio.annotation.idmap import IdMap
from segstudio.annotation.rasterise import coverage, instance_map, label_map
from segstudio.annotation.shape import Shape, as_points, mask_shape

SIZE = (300, 280)
coordinates = st.floats(-30, 310, allow_nan=False, width=32)
vertices = st.tuples(coordinates, coordinates)


def shape_of(kind: str, low: int, high: int) -> st.SearchStrategy[Shape]:
    points = st.lists(vertices, min_size=low, max_size=high)
    names = st.sampled_from(["a", "b", "__ignore__", "_background_", "unknown"])
    return st.builds(lambda p, c: Shape(c, kind, as_points(p)), points, names)  # type: ignore[arg-type]


shapes = st.lists(
    shape_of("polygon", 3, 9)
    | shape_of("rectangle", 2, 2)
    | shape_of("circle", 2, 2)
    | shape_of("line", 2, 2)
    | shape_of("linestrip", 2, 5)
    | shape_of("point", 1, 1)
    | shape_of("oriented_rectangle", 4, 4),
    max_size=6,
)


def plain(shape: Shape) -> NDArray[np.bool_]:
    """What Labelme's converter draws, spelled out."""
    image = Image.new("L", (SIZE[1], SIZE[0]), 0)
    draw = ImageDraw.Draw(image)
    xy = [(x, y) for x, y in shape.points.tolist()]
    if shape.kind == "circle":
        (cx, cy), (px, py) = xy
        d = math.sqrt((cx - px) ** 2 + (cy - py) ** 2)
        draw.ellipse([cx - d, cy - d, cx + d, cy + d], outline=1, fill=1)
    elif shape.kind == "rectangle":
        (x0, y0), (x1, y1) = xy
        corners = [min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)]
        draw.rectangle(corners, outline=1, fill=1)
    elif shape.kind == "line":
        draw.line(xy, fill=1, width=10)
    elif shape.kind == "linestrip":
        draw.line(xy, fill=1, width=10, joint="curve")
    elif shape.kind == "point":
        ((cx, cy),) = xy
        draw.ellipse([cx - 5, cy - 5, cx + 5, cy + 5], outline=1, fill=1)
    else:
        draw.polygon(xy, outline=1, fill=1)
    return np.array(image) > 0


@settings(deadline=None, max_examples=150)
@given(shapes)
def test_label_map_is_each_shape_drawn_over_the_last(drawn: list[Shape]) -> None:
    expected = np.zeros(SIZE, dtype=np.uint8)
    for shape in drawn:
        value = {"a": 1, "b": 2, "_background_": 0}.get(shape.class_name, 255)
        expected[plain(shape)] = value
    assert np.array_equal(label_map(drawn, {"a": 1, "b": 2}, SIZE), expected)


@settings(deadline=None, max_examples=80)
@given(shapes)
def test_id_map_tiles_and_coverage_have_the_same_pixels(drawn: list[Shape]) -> None:
    document = Document(Annotation(SIZE[1], SIZE[0], tuple(drawn)))
    idmap = IdMap(document)
    expected = np.zeros(SIZE, dtype=np.int32)
    for shape, number in zip(drawn, document.ids(), strict=True):
        expected[plain(shape)] = number
        whole = coverage(shape, SIZE).to_array((0, 0, SIZE[1], SIZE[0]))
        assert np.array_equal(whole, plain(shape))
    assert np.array_equal(idmap.sample(np.arange(SIZE[1]), np.arange(SIZE[0])), expected)


def test_fractional_kinds_far_outside_do_not_wrap() -> None:
    far = Shape("a", "polygon", as_points([(-900, -900), (-800, -900), (-800, -800)]))
    assert not label_map([far], {"a": 1}, SIZE).any()


def test_more_than_254_classes_take_16_bits() -> None:
    values = {f"c{i}": i for i in range(1, 301)}
    dot = Shape("c300", "rectangle", as_points([(1, 1), (4, 4)]))
    unsure = Shape("__ignore__", "rectangle", as_points([(6, 6), (9, 9)]))
    drawn = label_map([dot, unsure], values, (20, 20))
    assert drawn.dtype == np.uint16
    assert drawn[2, 2] == 300
    assert drawn[7, 7] == 65535


def test_instances_and_groups() -> None:
    square = as_points([(0, 0), (4, 4)])
    parts = [
        Shape("a", "rectangle", square),
        Shape("a", "rectangle", square + 10, group_id=3),
        Shape("a", "rectangle", square + 20, group_id=3),
        Shape("b", "rectangle", square + 30, group_id=3),
        Shape("__ignore__", "rectangle", square + 40),
    ]
    classes, ids = instance_map(parts, {"a": 1, "b": 2}, (60, 60))
    assert [int(ids[2 + 10 * i, 2 + 10 * i]) for i in range(5)] == [1, 2, 2, 3, 0]
    assert [int(classes[2 + 10 * i, 2 + 10 * i]) for i in range(5)] == [1, 1, 1, 2, 255]


masks = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(1, 9), st.integers(1, 9)),
    min_size=1,
    max_size=6,
)


@settings(deadline=None)
@given(masks)
def test_traced_rings_filled_again_are_the_mask_without_its_holes(
    parts: list[tuple[int, int, int, int]],
) -> None:
    mask = np.zeros((40, 40), dtype=np.bool_)
    for x, y, width, height in parts:
        mask[y : y + height, x : x + width] = True
    rings = [Shape("a", "polygon", ring) for ring in trace(mask)]
    filled = label_map(rings, {"a": 1}, (40, 40)) > 0
    assert bool(filled[mask].all())
    padded = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    background = Image.fromarray(padded)
    ImageDraw.floodfill(background, (0, 0), 2)
    outside = np.array(background)[1:-1, 1:-1] == 2
    assert not (filled & outside).any()


def test_simplify_by_pixels() -> None:
    ring = as_points([(0, 0), (10, 0.2), (20, 0), (20, 20), (0, 20)])
    assert len(simplify(ring, 0.5)) == 4
    assert simplify(ring, 0.0) is ring


@settings(deadline=None)
@given(st.tuples(coordinates, coordinates), st.tuples(coordinates, coordinates), st.floats(0.5, 30))
def test_stroke_holds_both_ends_and_nothing_further_than_its_radius(
    start: tuple[float, float], end: tuple[float, float], radius: float
) -> None:
    x, y, mask = stroke(start, end, radius)
    assert mask[math.floor(end[1]) - y, math.floor(end[0]) - x]
    down, across = np.nonzero(mask)
    centres = np.stack([across + x + 0.5, down + y + 0.5], axis=1)
    a, b = np.array(start), np.array(end)
    along = b - a
    share = np.clip((centres - a) @ along / max(float(along @ along), 1e-12), 0, 1)
    distance = np.linalg.norm(centres - a - share[:, None] * along, axis=1)
    assert float(np.sort(distance)[-2:].min()) <= radius + 1e-2 or len(distance) == 1


def test_drafts_are_the_parts_of_each_class_and_leave_human_pixels_alone() -> None:
    labels = np.zeros((50, 60), dtype=np.uint8)
    labels[5:15, 5:15] = 1
    labels[15, 15] = 1  # touches by a corner: the same part
    labels[30:40, 30:50] = 2
    labels[0, 59] = 255
    margin = np.full((50, 60), 51, dtype=np.uint8)
    taken = np.zeros((50, 60), dtype=np.bool_)
    taken[30:40, 30:40] = True
    found = drafts(labels, margin, {1: "a", 2: "b"}, taken, model="000001-unet")
    assert [(s.class_name, s.bitmap.area if s.bitmap else 0) for s in found] == [
        ("a", 101),
        ("b", 100),
    ]
    assert all(s.source == "model" and s.score == 0.2 for s in found)
    again = label_map(found, {"a": 1, "b": 2}, (50, 60))
    assert np.array_equal(again, np.where(taken | (labels == 255), 0, labels))


def test_thousands_of_specks_are_one_draft_and_no_pixel_is_lost() -> None:
    labels = (np.random.default_rng(0).random((200, 200)) < 0.08).astype(np.uint8)
    labels[50:90, 50:90] = 1
    found = drafts(labels, None, {1: "a"})
    assert len(found) == 101
    assert max(s.bitmap.area for s in found if s.bitmap) >= 1600
    assert np.array_equal(label_map(found, {"a": 1}, (200, 200)), labels)


def test_shapes_compare_by_value() -> None:
    one = mask_shape("a", Bitmap.from_array(np.ones((3, 3))))
    assert one == mask_shape("a", Bitmap.from_array(np.ones((3, 3))))
    assert one != mask_shape("a", Bitmap.from_array(np.ones((3, 4))))
