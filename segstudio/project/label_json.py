"""The JSON of label files, the many points of their shapes at once.

A dense picture's file holds half a million numbers, and to make a Python object of each takes
longer than all the rest of opening it. simdjson gives the numbers of a list as one array.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import accumulate, pairwise
from typing import Any, Final

import numpy as np
import simdjson

SHAPES: Final = "shapes"
POINTS: Final = "points"
_PRIMITIVE: Final = frozenset((str, int, float, bool, type(None)))
_PAIR: Final = 16  # bytes
_OF_NUMBERS: Final = b"0123456789+-.eE \t\r\n"
_SHORT: Final = 64
_FEW: Final = 4
"""One in so many points may have a whole number."""


def loads(data: bytes) -> Any:
    """What JSON says, as `json.loads` has it but for one thing: points of a shape that are pairs
    of floats, few of them whole, are a read-only array (n, 2) of float64.

    NaN, huge numbers, half surrogate pairs and encodings other than UTF-8 are read too.
    ValueError or RecursionError for what is no JSON.
    """
    try:
        found: Any = simdjson.Parser().parse(data)
    except (ValueError, RuntimeError):  # both mean that simdjson is stricter than we are
        return json.loads(_decoded(data))
    keys = _keys(found)
    if keys is None:
        return _plain(found)
    return {key: _shapes(found[key], data) if key == SHAPES else _plain(found[key]) for key in keys}


def with_lists(shape: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a shape's object, its points a list as the file has them."""
    points = shape.get(POINTS)
    return {**shape, POINTS: points.tolist()} if isinstance(points, np.ndarray) else dict(shape)


def _shapes(shapes: Any, data: bytes) -> Any:
    if not isinstance(shapes, simdjson.Array):
        return _plain(shapes)
    entries: list[Any] = []
    usual: list[str] = []
    for shape in shapes:
        # most shapes have the keys of the one before, which need not be looked at again
        is_usual = isinstance(shape, simdjson.Object) and list(shape) == usual
        keys = usual if is_usual else _keys(shape)
        entries.append(_plain(shape) if keys is None else _entry(shape, keys))
        usual = keys or usual
    with_points = [entry for entry in entries if _has_points(entry)]
    if _are_pairs(data, [entry[POINTS] for entry in with_points], entries):
        _set_points(with_points)
    else:
        for entry in with_points:
            entry[POINTS] = entry[POINTS].as_list()
    return entries


def _are_pairs(data: bytes, lists: list[simdjson.Array], entries: list[Any]) -> bool:
    """Whether every item of these lists is a pair: the text has no brackets but theirs and those
    of empty lists, and between theirs is one comma. Where it has others, nobody knows."""
    rows = sum(map(len, lists))
    empty = sum(
        value == [] for entry in entries if isinstance(entry, dict) for value in entry.values()
    )
    if data.count(b"[") != 1 + len(lists) + rows + empty:
        return False
    return data.translate(None, _OF_NUMBERS).count(b"[,]") == rows


def _entry(shape: Any, keys: list[str]) -> dict[str, Any]:
    """The object of a shape, a list of points as simdjson has it."""
    entry = {}
    for key in keys:
        value: Any = shape[key]
        is_list = key == POINTS and isinstance(value, simdjson.Array)
        entry[key] = value if is_list else _plain(value)
    return entry


def _has_points(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get(POINTS), simdjson.Array)


def _set_points(entries: list[dict[str, Any]]) -> None:
    """Arrays or lists in place of what simdjson has."""
    buffers = [_numbers(entry[POINTS]) for entry in entries]
    points = np.frombuffer(b"".join(buffers), np.float64).reshape(-1, 2)
    ends = list(accumulate((len(buffer) // _PAIR for buffer in buffers), initial=0))
    is_whole = points == np.rint(points)
    whole = np.flatnonzero(is_whole[:, 0] | is_whole[:, 1])
    parts = pairwise(np.searchsorted(whole, ends).tolist())
    rows = whole.tolist()
    for entry, (start, end), (first, last) in zip(entries, pairwise(ends), parts, strict=True):
        doubtful = [row - start for row in rows[first:last]]
        is_array = start < end and _are_floats(entry[POINTS], doubtful)
        entry[POINTS] = points[start:end] if is_array else entry[POINTS].as_list()


def _are_floats(points: simdjson.Array, rows: list[int]) -> bool:
    """Whether the file says 3.0, not 3, in these rows; False when there are too many to look."""
    if len(rows) * _FEW > len(points):
        return False
    looked_at: list[Any]
    if len(points) <= _SHORT:
        looked_at = [points[row] for row in rows]
    else:  # to find a row all before it are walked over
        wanted = set(rows)
        looked_at = [pair for row, pair in enumerate(points) if row in wanted]
    return all(isinstance(value, float) for pair in looked_at for value in pair)


def _numbers(points: simdjson.Array) -> bytes:
    """The numbers of a list of pairs as float64; nothing for what is not that."""
    try:
        numbers = bytes(points.as_buffer(of_type="d"))
    except TypeError:
        return b""
    return numbers if len(numbers) == len(points) * _PAIR else b""


def _keys(found: Any) -> list[str] | None:
    """The keys of an object; None for what is no object, and for one that only a conversion of all
    reads rightly: of repeated keys the last counts, and looking for a key ends at a NUL."""
    if not isinstance(found, simdjson.Object):
        return None
    keys = list(found)
    return None if len(set(keys)) < len(keys) or "\0" in "".join(keys) else keys


def _plain(value: Any) -> Any:
    if type(value) in _PRIMITIVE:
        return value
    return value.as_dict() if isinstance(value, simdjson.Object) else value.as_list()


def _decoded(data: bytes) -> str:
    """The text of a JSON file in UTF-8, -16, -32 (with or without BOM), GBK or cp1252."""
    try:
        return data.decode(json.detect_encoding(data))
    except UnicodeDecodeError:
        pass
    try:
        text = data.decode("gbk")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
    # Western bytes also decode as GBK, but to characters nobody writes
    foreign = [c for c in text if ord(c) > 127]
    usual = sum(1 for c in foreign if c.encode("gb2312", "ignore"))
    return text if usual * 2 >= len(foreign) else data.decode("cp1252", "replace")
