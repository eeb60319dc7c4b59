"""Shapes as the text of a label file, quickly.

The text is `json.dumps(…, indent=2)` to the byte. That encoder is pure Python once it indents
and takes seconds for a dense picture, while other threads wait for it. Here the coordinates of
all shapes become text in one array, the C encoder does the rest, and a shape that was in the last
save is not encoded again: shapes never change.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segstudio.annotation.shape import Points, Shape
from segstudio.project.labelme_shapes import Verbatim, shape_entry, shape_json

_DEPTH: Final = 4  # spaces before a shape's own brackets: an item of a list in the document
_NEXT: Final = ",\n" + (_DEPTH + 2) * " "
_indented: Final[Callable[[Any], str]] = json.JSONEncoder(ensure_ascii=False, indent=2).encode
_flat: Final[Callable[[Any], str]] = json.JSONEncoder(
    ensure_ascii=False, separators=(_NEXT, ": ")
).encode

# One point with room for all digits; those that it does not need are cut out.
_POINT: Final = b"        [\n          00000.000,\n          00000.000\n        ],\n"
_NUMBERS: Final = (_POINT.index(b"0"), _POINT.rindex(b"00000.000"))
_LIMIT: Final = 100_000  # pixels


class ShapeTexts:
    """Texts of shapes in UTF-8. Those of the last call are kept, with their shapes."""

    def __init__(self) -> None:
        self._known: Verbatim | None = None
        self._shapes: Sequence[Shape] = ()
        self._texts: list[bytes] = []

    def of(self, shapes: Sequence[Shape], known: Verbatim) -> list[bytes]:
        """The text of each shape; numbers that `known` has are written as they were.

        UnicodeEncodeError for half a surrogate pair.
        """
        if known is not self._known:
            self._known, self._shapes, self._texts = known, (), []
        old, texts = self._shapes, self._texts
        # most often little has changed, at one place
        start = _common(old, shapes)
        end = _common(old[start:][::-1], shapes[start:][::-1])
        changed = slice(start, len(old) - end)
        between = {id(s): t for s, t in zip(old[changed], texts[changed], strict=True)}
        middle = shapes[start : len(shapes) - end]
        new = [shape for shape in middle if id(shape) not in between]
        between |= {id(s): t.encode("utf-8") for s, t in zip(new, encoded(new, known), strict=True)}
        self._texts = [
            *texts[:start],
            *(between[id(shape)] for shape in middle),
            *texts[len(old) - end :],
        ]
        self._shapes = shapes
        return self._texts


def _common(a: Sequence[Shape], b: Sequence[Shape]) -> int:
    """How many shapes at the beginning are the same objects."""
    differ = (i for i, (one, other) in enumerate(zip(a, b, strict=False)) if one is not other)
    return next(differ, min(len(a), len(b)))


def nested(value: Any, depth: int) -> str:
    """A value as `json.dumps(…, indent=2)` writes it inside brackets indented by `depth`."""
    return _indented(value).replace("\n", "\n" + depth * " ")


def joined(items: Iterable[str], brackets: str, depth: int) -> str:
    """Texts as the list or object whose brackets are indented by `depth`."""
    inside = (",\n" + (depth + 2) * " ").join(items)
    if not inside:
        return brackets
    return f"{brackets[0]}\n{(depth + 2) * ' '}{inside}\n{depth * ' '}{brackets[1]}"


def listed(items: Sequence[bytes], depth: int) -> Iterator[bytes]:
    """Parts of the list whose brackets are indented by `depth`; nothing when it is empty."""
    between = (",\n" + (depth + 2) * " ").encode("ascii")
    for number, item in enumerate(items):
        yield between if number else b"[" + between[1:]
        yield item
    if items:
        yield f"\n{depth * ' '}]".encode("ascii")


def encoded(shapes: Sequence[Shape], known: Verbatim) -> list[str]:
    """The text of each shape, none remembered."""
    vectors = [shape for shape in shapes if _is_vector(shape)]
    points = iter(point_texts([shape.points for shape in vectors], known))
    return [
        _vector_text(shape, next(points))
        if _is_vector(shape)
        else nested(shape_json(shape, known), _DEPTH)
        for shape in shapes
    ]


def _is_vector(shape: Shape) -> bool:
    return shape.bitmap is None and shape.kind != "opaque"


def _vector_text(shape: Shape, points: str) -> str:
    facts = shape_entry(shape, None, None)
    label, _ = facts.pop("label"), facts.pop("points")
    head = f'"label": {_flat(label)}{_NEXT}"points": {points}{_NEXT}'
    return f"{{\n{(_DEPTH + 2) * ' '}{head}{_members(facts)}\n{_DEPTH * ' '}}}"


def _members(facts: Mapping[str, Any]) -> str:
    """The members of an object, without its brackets."""
    if not any(value and isinstance(value, dict | list | tuple) for value in facts.values()):
        return _flat(facts)[1:-1]
    return _NEXT.join(f"{_flat(k)}: {nested(v, _DEPTH + 2)}" for k, v in facts.items())


# -- coordinates


def point_texts(arrays: Sequence[Points], known: Verbatim) -> list[str]:
    """The list of points (n, 2) of each array, with 3 decimals unless `known` has others."""
    full = [array for array in arrays if len(array)]
    if not full:
        return ["[]"] * len(arrays)
    points = np.concatenate(full)
    ends = np.cumsum([len(array) for array in full])
    thousandths, plain = _in_thousandths(points, ends, known)
    quick = _rows(thousandths, ends)
    texts = (
        text if is_plain else _slowly(array, known)
        for array, text, is_plain in zip(full, quick, plain, strict=True)
    )
    return [next(texts) if len(array) else "[]" for array in arrays]


def _in_thousandths(
    points: Points, ends: NDArray[np.int64], known: Verbatim
) -> tuple[NDArray[np.int32], list[bool]]:
    """Points (n, 2) in thousandths, and for which arrays that is what `round` would give."""
    with np.errstate(all="ignore"):
        scaled = points * 1000
        whole = np.rint(scaled)
        # the product is off by 1e-8 at most; so near to a tie only the decimal digits can tell
        sure = np.abs(np.abs(scaled - whole) - 0.5) > 1e-6
    sure &= ~np.signbit(scaled) & (whole < 1000 * _LIMIT)
    plain: NDArray[np.bool_] = sure[:, 0] & sure[:, 1]
    if known.points:
        plain &= np.array([(x, y) not in known.points for x, y in points.tolist()])
    arrays = np.logical_and.reduceat(plain, [0, *ends[:-1]]).tolist()
    return np.where(plain[:, None], whole, 0).astype(np.int32), arrays


def _rows(thousandths: NDArray[np.int32], ends: NDArray[np.int64]) -> list[str]:
    """The text of each array, all digits set in one table of characters."""
    whole, decimals = _digits()
    cells = np.tile(np.frombuffer(_POINT, np.uint8), (len(thousandths), 1))
    for column, place in enumerate(_NUMBERS):
        high, low = np.divmod(thousandths[:, column], 1000)
        cells[:, place : place + 5] = np.take(whole, high, axis=0)
        cells[:, place + 6 : place + 9] = np.take(decimals, low, axis=0)
    cells[ends - 1, -len(b",\n") :] = np.frombuffer(b"|\0", np.uint8)
    text = cells.tobytes().translate(None, b"\0").decode("ascii")
    return [f"[\n{rows}\n      ]" for rows in text.split("|")[:-1]]


@cache
def _digits() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The digits (n, 5) of 0..99999 and (1000, 3) behind the point; NUL where none is written."""
    numbers = np.arange(_LIMIT)[:, None]
    powers = 10 ** np.arange(4, -1, -1)
    digits = (numbers // powers % 10 + ord("0")).astype(np.uint8)
    leading = (numbers < powers) & (powers > 1)
    trailing = (numbers % (10 * powers) == 0) & (powers < 100)
    decimals = np.where(trailing, 0, digits)[:1000, 2:].astype(np.uint8)
    return np.where(leading, 0, digits).astype(np.uint8), decimals


def _slowly(points: Points, known: Verbatim) -> str:
    """The same for numbers that need their own digits: negative, huge, or a file's very own."""
    flat = json.dumps([known.point(x, y) for x, y in points.tolist()])
    between = flat[2:-2].replace("], [", "\n        ],\n        [\n          ")
    pairs = between.replace(", ", ",\n          ")
    return f"[\n        [\n          {pairs}\n        ]\n      ]"
