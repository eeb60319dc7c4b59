"""Shapes to pixels: the one function behind the canvas, the trainer and every exporter.

Vectors are drawn with Pillow exactly as Labelme's own converters draw them (polygon with outline
and fill, 10 px lines, discs of radius 5 for points), later shapes over earlier ones, so that the
label map of a file is the same here and there. A part of a picture is drawn with equal pixels by
truncating coordinates first, as Pillow does, and then moving them only up or down: a full-width
strip, cut afterwards (moving sideways changes Pillow's edges).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from segstudio.annotation.bitmap import Bitmap, Box, intersect_boxes
from segstudio.annotation.shape import (
    BACKGROUND_CLASS,
    IGNORE_CLASS,
    LINE_WIDTH,
    MIN_POINTS,
    POINT_RADIUS,
    Points,
    Shape,
)

VOID: Final = 255
VOID_16: Final = 65535
IdArray = NDArray[np.int32]
LabelMap = NDArray[np.uint8] | NDArray[np.uint16]


def void_value(values: Iterable[int]) -> int:
    """The value for void: 255, or 65535 once a class needs 255 or more."""
    return VOID if max(values, default=0) < VOID else VOID_16


def label_map(
    shapes: Sequence[Shape], values: Mapping[str, int], size: tuple[int, int]
) -> LabelMap:
    """The class of every pixel.

    `values` gives each class its number (1..n); `size` is (height, width). Returns (h, w) uint8,
    or uint16 when a class is numbered 255 or above: 0 where no shape is or `_background_` is on
    top, void (255 or 65535) under `__ignore__` and under classes that `values` does not know.
    """
    void = void_value(values.values())
    numbers = [_class_value(s.class_name, values, void) for s in shapes]
    box = (0, 0, size[1], size[0])
    wide = void > VOID
    drawn = draw_ids(shapes, numbers, box, "I" if wide else "L")
    return drawn.astype(np.uint16) if wide else drawn.astype(np.uint8, copy=False)


def _class_value(name: str, values: Mapping[str, int], void: int) -> int:
    if name == BACKGROUND_CLASS:
        return 0
    return void if name == IGNORE_CLASS else values.get(name, void)


def instance_map(
    shapes: Sequence[Shape], values: Mapping[str, int], size: tuple[int, int]
) -> tuple[LabelMap, IdArray]:
    """The label map, and the instance of every pixel as (h, w) int32.

    Instances are numbered 1..n from the lowest shape up; shapes of one class with the same
    `group_id` are one instance. 0 where the label map is background or void.
    """
    classes = label_map(shapes, values, size)
    numbers = instance_numbers(shapes)
    ids = draw_ids(shapes, numbers, (0, 0, size[1], size[0]), "I").astype(np.int32)
    ids[(classes == 0) | (classes == void_value(values.values()))] = 0
    return classes, ids


def instance_numbers(shapes: Sequence[Shape]) -> list[int]:
    """The number of each shape's instance, 1..n; shapes of one class and group share one."""
    instances: dict[tuple[str, int], int] = {}
    for position, shape in enumerate(shapes):
        instances.setdefault(_instance(shape, position), len(instances) + 1)
    return [instances[_instance(shape, i)] for i, shape in enumerate(shapes)]


def _instance(shape: Shape, position: int) -> tuple[str, int]:
    """What shapes of one instance share: class and group, or, without a group, nothing."""
    if shape.group_id is None:
        return "", position
    return f"class {shape.class_name}", shape.group_id


def draw_ids(
    shapes: Iterable[Shape], ids: Iterable[int], box: Box, mode: str = "I"
) -> NDArray[np.int32] | NDArray[np.uint8]:
    """The id of the top-most shape per pixel inside `box`, 0 where there is none.

    Returns (y1 - y0, x1 - x0) int32, or uint8 for mode "L". All that lies left of the box is
    drawn too (see the module's text), so one that begins at x = 0 costs least.
    """
    x0, y0, x1, y1 = box
    image = Image.new(mode, (max(0, x1), max(0, y1 - y0)), 0)
    draw = ImageDraw.Draw(image)
    for shape, number in zip(shapes, ids, strict=True):
        if shape.bitmap is not None:
            _paste(image, shape.bitmap, number, (x0, y0))
        elif _is_drawn(shape):
            _draw_vector(image, draw, shape, number, y0)
    return np.array(image)[:, x0:]


def covered(shapes: Sequence[Shape], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which pixels (h, w) of a picture of this size (height, width) any shape covers."""
    drawn = draw_ids(shapes, [1] * len(shapes), (0, 0, size[1], size[0]), "L")
    return np.asarray(drawn > 0)


def _is_drawn(shape: Shape) -> bool:
    return shape.bitmap is not None or len(shape.points) >= MIN_POINTS.get(shape.kind, math.inf)


def draw_overview(shapes: Iterable[Shape], ids: Iterable[int], box: Box, step: int) -> IdArray:
    """As `draw_ids` for every step-th pixel, quickly; `box` counts such pixels.

    For the eye only: masks are exact, outlines of vectors may be off by one such pixel.
    """
    x0, y0, x1, y1 = box
    out = np.zeros((max(0, y1 - y0), max(0, x1 - x0)), dtype=np.int32)
    drawn = [(s, n) for s, n in zip(shapes, ids, strict=True) if _is_drawn(s)]
    points = iter(_scaled([s.points for s, _ in drawn], (x0, y0), step))
    for (shape, number), place in zip(drawn, points, strict=True):
        if shape.kind == "polygon":  # by far the most
            cv2.fillPoly(out, [place], number, cv2.LINE_8, _FINE)
        elif shape.bitmap is not None:
            _stamp(out, shape.bitmap, number, box, step)
        elif shape.kind in ("circle", "point", "points"):
            _dots(out, shape, place, number, step)
        elif shape.kind in ("line", "linestrip"):
            width = max(1, round(LINE_WIDTH / step))
            cv2.polylines(out, [place], False, number, width, cv2.LINE_8, _FINE)
        else:
            cv2.fillPoly(out, [_ring(shape, place)], number, cv2.LINE_8, _FINE)
    return out


_LARGEST: Final = 2**20
"""Radius in parts of a pixel that OpenCV still draws."""
_FINE: Final = 4
"""Binary digits behind the point in coordinates for OpenCV."""
_Places = NDArray[np.int32]


def _scaled(arrays: Sequence[Points], corner: tuple[int, int], step: int) -> list[_Places]:
    """Points for OpenCV, of all shapes at once."""
    if not arrays:
        return []
    joined = np.concatenate(arrays)
    joined /= step
    joined -= corner
    joined *= 2**_FINE
    whole = np.rint(joined, out=joined).clip(-(2**30), 2**30, out=joined).astype(np.int32)
    ends = accumulate(map(len, arrays), initial=0)
    return [whole[a:b] for a, b in pairwise(ends)]


def _stamp(out: IdArray, bitmap: Bitmap, number: int, box: Box, step: int) -> None:
    left, top, right, bottom = bitmap.bounds() or (0, 0, 0, 0)
    around = -(-left // step), -(-top // step), -(-right // step), -(-bottom // step)
    x0, y0, x1, y1 = intersect_boxes(around, box)
    if x1 > x0 and y1 > y0:
        place = out[y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]]
        place[bitmap.to_array((x0, y0, x1, y1), step)] = number


def _dots(out: IdArray, shape: Shape, points: _Places, number: int, step: int) -> None:
    radius = POINT_RADIUS * 2.0**_FINE / step
    if shape.kind == "circle":
        radius = float(np.hypot(*(points[1].astype(float) - points[0])))
        points = points[:1]
    for x, y in points.tolist():
        size = min(max(1, round(radius)), _LARGEST)
        cv2.circle(out, (x, y), size, number, cv2.FILLED, cv2.LINE_8, _FINE)


def _ring(shape: Shape, points: _Places) -> _Places:
    if shape.kind != "rectangle" or len(points) != 2:
        return points
    (ax, ay), (bx, by) = points.tolist()
    return np.array([(ax, ay), (bx, ay), (bx, by), (ax, by)], np.int32)


def coverage(shape: Shape, size: tuple[int, int]) -> Bitmap:
    """The pixels of one shape on a picture of `size` (height, width), as if it were alone."""
    if shape.bitmap is not None:
        return shape.bitmap.clipped((0, 0, size[1], size[0]))
    bounds = shape.bounds()
    if bounds is None:
        return Bitmap()
    _, y0, _, y1 = intersect_boxes(bounds, (0, 0, size[1], size[0]))
    if y1 <= y0:
        return Bitmap()
    return Bitmap.from_array(draw_ids([shape], [1], (0, y0, size[1], y1), "L"), 0, y0)


def _paste(image: Image.Image, bitmap: Bitmap, number: int, corner: tuple[int, int]) -> None:
    """Put a mask on an image of the picture's rows from `corner` on, right of it."""
    bounds = bitmap.bounds()
    if bounds is None:
        return
    left, top = corner
    x0, y0, x1, y1 = intersect_boxes(bounds, (left, top, image.width, top + image.height))
    if x1 <= x0 or y1 <= y0:
        return
    stencil = Image.fromarray(bitmap.to_array((x0, y0, x1, y1)).view(np.uint8) * np.uint8(255))
    image.paste(number, (x0, y0 - top, x1, y1 - top), stencil)


def _draw_vector(
    image: Image.Image, draw: ImageDraw.ImageDraw, shape: Shape, number: int, top: int
) -> None:
    kind = shape.kind
    if kind == "linestrip":
        _draw_linestrip(image, shape, number, top)
        return
    if kind in ("circle", "point", "points"):
        for left, upper, right, lower in _discs(shape):
            ends = [(int(left), int(upper) - top), (int(right), int(lower) - top)]
            draw.ellipse(ends, outline=number, fill=number)
        return
    points = np.trunc(shape.points) - (0, top)
    if kind == "line":
        draw.line(points.ravel().tolist(), fill=number, width=LINE_WIDTH)
    elif kind == "rectangle" and len(points) == 2:
        corners = np.concatenate([points.min(axis=0), points.max(axis=0)])
        draw.rectangle(corners.tolist(), outline=number, fill=number)
    else:
        draw.polygon(points.ravel().tolist(), outline=number, fill=number)


def _discs(shape: Shape) -> list[tuple[float, float, float, float]]:
    if shape.kind == "circle":
        (cx, cy), (px, py) = shape.points[:2].tolist()
        radius = math.sqrt((cx - px) ** 2 + (cy - py) ** 2)
        return [(cx - radius, cy - radius, cx + radius, cy + radius)]
    r = POINT_RADIUS
    return [(x - r, y - r, x + r, y + r) for x, y in shape.points.tolist()]


def _draw_linestrip(image: Image.Image, shape: Shape, number: int, top: int) -> None:
    """Joints are computed from fractional coordinates, so the strip is drawn whole, then pasted;
    but for what Pillow draws far beside it where a line turns back on itself."""
    low, high = shape.points.min(axis=0), shape.points.max(axis=0)
    x0, y0 = (math.floor(value) - LINE_WIDTH for value in low)
    x1, y1 = (math.ceil(value) + LINE_WIDTH + 1 for value in high)
    x0, x1 = max(0, x0), min(image.width, x1)
    y0 = max(0, y0)
    y1 = max(y0 + 1, y1)
    if x1 <= x0:
        return
    stencil = Image.new("L", (image.width, y1 - y0), 0)
    points = (shape.points - (0, y0)).ravel().tolist()
    ImageDraw.Draw(stencil).line(points, fill=255, width=LINE_WIDTH, joint="curve")
    image.paste(number, (x0, y0 - top), stencil.crop((x0, 0, x1, y1 - y0)))
