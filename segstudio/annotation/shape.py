"""One annotated thing on a picture: a vector (polygon, rectangle, …) or a mask (a bitmap)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from segstudio.annotation.bitmap import Bitmap, Box, union_boxes

Kind = Literal[
    "polygon",
    "rectangle",
    "oriented_rectangle",
    "circle",
    "line",
    "linestrip",
    "point",
    "points",
    "mask",
    "opaque",
]
Source = Literal["human", "model", "corrected"]
Points = NDArray[np.float64]

IGNORE_CLASS: Final = "__ignore__"
BACKGROUND_CLASS: Final = "_background_"
MIN_POINTS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "polygon": 3,
        "rectangle": 2,
        "oriented_rectangle": 4,
        "circle": 2,
        "line": 2,
        "linestrip": 2,
        "point": 1,
        "points": 1,
    }
)
LINE_WIDTH: Final = 10
POINT_RADIUS: Final = 5
ROUND_0: Final = "round-0"
"""The `model` of shapes that were guessed before there was a network."""


def as_points(points: ArrayLike | Sequence[Sequence[float]]) -> Points:
    """Points as a read-only float64 array of shape (n, 2), x then y, in image pixels."""
    array = np.array(points, dtype=np.float64).reshape(-1, 2)
    array.setflags(write=False)
    return array


def drawn_points(points: ArrayLike | Sequence[Sequence[float]]) -> Points:
    """Points from a hand: three decimals, as the label file keeps them."""
    return as_points(np.round(np.asarray(points, dtype=np.float64), 3))


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """An immutable shape of one class.

    `points` is (n, 2) float64, x and y in image pixels; it is empty for a mask, whose pixels
    are `bitmap`. Kind "opaque" is a shape of a type this program does not know: it is kept and
    written back, never drawn. `extra` holds unknown keys of the label file.
    """

    class_name: str
    kind: Kind
    points: Points = field(default_factory=lambda: as_points([]))
    bitmap: Bitmap | None = None
    group_id: int | None = None
    description: str | None = None
    flags: Mapping[str, bool] = field(default_factory=dict)
    locked: bool = False
    source: Source = "human"
    model: str | None = None
    score: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_mask(self) -> bool:
        return self.kind == "mask"

    def with_points(self, points: ArrayLike) -> Shape:
        """The same shape with other points; a model's shape becomes a corrected one.

        Points it had before keep their very numbers, new ones have three decimals.
        """
        had = {(x, y) for x, y in self.points.tolist()}
        fresh = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        kept = np.array([(x, y) in had for x, y in fresh.tolist()], dtype=np.bool_)
        mixed = np.where(kept[:, None], fresh, np.round(fresh, 3))
        return replace(self, points=as_points(mixed), source=self._touched())

    def with_bitmap(self, bitmap: Bitmap) -> Shape:
        """This shape as a mask of `bitmap`; a model's shape becomes a corrected one."""
        return replace(
            self, kind="mask", points=as_points([]), bitmap=bitmap, source=self._touched()
        )

    def with_class(self, class_name: str) -> Shape:
        return replace(self, class_name=class_name, source=self._touched())

    def moved(self, dx: float, dy: float) -> Shape:
        """The shape shifted by (dx, dy) image pixels; masks move by whole pixels."""
        if self.bitmap is not None:
            return self.with_bitmap(self.bitmap.shifted(round(dx), round(dy)))
        return self.with_points(self.points + np.array([dx, dy]))

    def _touched(self) -> Source:
        return "corrected" if self.source == "model" else self.source

    def bounds(self) -> Box | None:
        """Pixels this shape can cover as (x0, y0, x1, y1), ends exclusive; None when nothing."""
        if self.bitmap is not None:
            return self.bitmap.bounds()
        if self.kind == "opaque" or len(self.points) < MIN_POINTS.get(self.kind, 1):
            return None
        low, high = (np.clip(ends, -_FAR, _FAR) for ends in _extent(self))
        pad = _PADDING.get(self.kind, 1)
        return (
            math.floor(low[0]) - pad,
            math.floor(low[1]) - pad,
            math.ceil(high[0]) + pad + 1,
            math.ceil(high[1]) + pad + 1,
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Shape):
            return NotImplemented
        return (
            self.kind == other.kind
            and self.class_name == other.class_name
            and np.array_equal(self.points, other.points)
            and self.bitmap == other.bitmap
            and _facts(self) == _facts(other)
        )

    __hash__ = None  # type: ignore[assignment]  # compares by value and holds arrays


_FAR: Final = 2.0**30
"""Pixels; what lies beyond is as far as anything can be."""
_PLAIN: Final = frozenset(
    ("polygon", "rectangle", "oriented_rectangle", "line", "linestrip", "point", "points")
)
"""Kinds that lie within their points and a padding."""
_PADDING: Final[Mapping[str, int]] = {
    "line": LINE_WIDTH,
    "linestrip": LINE_WIDTH,
    "point": POINT_RADIUS,
    "points": POINT_RADIUS,
}


def _facts(shape: Shape) -> tuple[Any, ...]:
    return (
        shape.group_id,
        shape.description,
        dict(shape.flags),
        shape.locked,
        shape.source,
        shape.model,
        shape.score,
        dict(shape.extra),
    )


def bounds_of(shapes: Sequence[Shape]) -> NDArray[np.int64]:
    """The bounds of every shape, (n, 4); four zeros for one that covers nothing."""
    boxes = np.zeros((len(shapes), 4), dtype=np.int64)
    flat = []
    for index, shape in enumerate(shapes):
        if shape.kind in _PLAIN and len(shape.points) >= MIN_POINTS[shape.kind]:
            flat.append(index)
        else:
            boxes[index] = shape.bounds() or (0, 0, 0, 0)
    if flat:
        points = np.concatenate([shapes[index].points for index in flat]).clip(-_FAR, _FAR)
        starts = np.cumsum([0, *(len(shapes[index].points) for index in flat[:-1])])
        pads = np.array([_PADDING.get(shapes[index].kind, 1) for index in flat])[:, None]
        boxes[flat, :2] = np.floor(np.minimum.reduceat(points, starts)) - pads
        boxes[flat, 2:] = np.ceil(np.maximum.reduceat(points, starts)) + pads + 1
    return boxes


def difference_bounds(before: Shape, after: Shape) -> Box | None:
    """The pixels that may look different once `after` has taken the place of `before`.

    For a polygon some of whose points moved these are the rows that the edges at those points
    touch; all columns of them, for what Pillow fills in a row depends on the whole outline there.
    """
    box = union_boxes(before.bounds(), after.bounds())
    alike = before.kind == after.kind == "polygon" and before.class_name == after.class_name
    if box is None or not alike or len(before.points) != len(after.points):
        return box
    moved = np.flatnonzero((before.points != after.points).any(axis=1))
    if not len(moved):
        return box
    around = np.concatenate([moved - 1, moved, (moved + 1) % len(after.points)])
    heights = np.concatenate([before.points[around, 1], after.points[around, 1]])
    low, high = np.clip((heights.min(), heights.max()), -_FAR, _FAR)
    return box[0], math.floor(low) - 1, box[2], math.ceil(high) + 2


def _extent(shape: Shape) -> tuple[Points, Points]:
    if shape.kind == "circle":
        centre, rim = shape.points[0], shape.points[1]
        radius = float(np.hypot(*(rim - centre)))
        return centre - radius, centre + radius
    return shape.points.min(axis=0), shape.points.max(axis=0)


def mask_shape(class_name: str, bitmap: Bitmap, source: Source = "human", **facts: Any) -> Shape:
    """A mask shape of `bitmap`."""
    return Shape(class_name, "mask", bitmap=bitmap, source=source, **facts)


def class_names(shapes: Iterable[Shape]) -> list[str]:
    """The classes used, in order of first use, without Labelme's two special names."""
    seen = dict.fromkeys(s.class_name for s in shapes)
    return [name for name in seen if name not in (IGNORE_CLASS, BACKGROUND_CLASS)]
