"""The quick reader of label files says what `json.loads` says."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segstudio.project import label_json

NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(0, 5000).map(float),
    st.just(-0.0),
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
PAIRS = st.lists(st.lists(NUMBERS, min_size=2, max_size=2), max_size=12)
RAGGED = st.lists(st.lists(NUMBERS, max_size=3) | NUMBERS, max_size=5)
POINTS = PAIRS | RAGGED | VALUES
SHAPES = st.lists(st.fixed_dictionaries({"points": POINTS, "label": VALUES}) | VALUES, max_size=6)
FILES = st.fixed_dictionaries({"shapes": SHAPES | VALUES}, optional={"flags": VALUES}) | VALUES


def as_json(read: Any) -> str:
    """What was read, its arrays as lists, as text: 3 and 3.0 differ, and 0.0 and -0.0."""
    if isinstance(read, dict) and isinstance(read.get("shapes"), list):
        shapes = [
            label_json.with_lists(shape) if isinstance(shape, dict) else shape
            for shape in read["shapes"]
        ]
        read = {**read, "shapes": shapes}
    return json.dumps(read)


@given(FILES)
def test_it_reads_what_json_reads(file: Any) -> None:
    text = json.dumps(file)
    assert as_json(label_json.loads(text.encode())) == json.dumps(json.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        '{"shapes": [{"points": [[1.5, 2.5]], "points": [[3.5, 4.5]]}]}',
        '{"shapes": [], "shapes": [{"label": "b"}]}',
        '{"shapes": [{"points": [[1.5, NaN]]}], "x": 1e999}',
        '{"shapes": [{"points": [[1.5], [2.5, 3.5, 4.5]]}]}',
        '{"shapes": [{"points": [[1.5, 2.5, 3.5]]}]}',
        '{"shapes": [{"points": [[1.5, 2.5], [3.5], [4.5, 5.5, 6.5], [7.5, 8.5]]}]}',
        '{"shapes": [{"points": [[1.5, 2.5], [[3.5], 4.5], [5.5, 6.5]]}]}',
        '{"shapes": [{"points": [[1.5, [2.5]]]}]}',
        '{"shapes": [{"points": [[1.5, 2.5]], "label": "a [left], b"}], "more": [[1, 2]]}',
        '{"shapes": [{"points": [1.5, 2.5]}, {"points": []}]}',
    ],
)
def test_odd_files_are_read_as_json_has_them(text: str) -> None:
    assert as_json(label_json.loads(text.encode())) == json.dumps(json.loads(text))


def test_many_points_come_as_an_array() -> None:
    points = (np.arange(2000).reshape(-1, 2) / 8).tolist()  # one in four is whole, and 3.0
    points = [[x + 0.001, y + 0.125] if row % 9 else [x, y] for row, (x, y) in enumerate(points)]
    read = label_json.loads(json.dumps({"shapes": [{"points": points}]}).encode())
    array = read["shapes"][0]["points"]
    assert isinstance(array, np.ndarray)
    assert array.tolist() == points
    assert not array.flags.writeable


def test_a_long_border_is_walked_over_once() -> None:
    """Looking every tenth point up by its number would take minutes."""
    points = [[row / 10, row + 0.5] for row in range(100_000)]
    read = label_json.loads(json.dumps({"shapes": [{"points": points}]}).encode())
    assert isinstance(read["shapes"][0]["points"], np.ndarray)
    assert read["shapes"][0]["points"].tolist() == points


def test_empty_lists_beside_points_do_no_harm() -> None:
    shapes = [{"points": [[1.5, 2.5]] * 6 + [[3.0, 4.5]], "kie_linking": [], "label": "a"}] * 2
    read = label_json.loads(json.dumps({"shapes": shapes}).encode())
    assert all(isinstance(shape["points"], np.ndarray) for shape in read["shapes"])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gbk"])
def test_other_encodings_are_read(encoding: str) -> None:
    read = label_json.loads('{"shapes": [], "label": "细胞"}'.encode(encoding))
    assert read["label"] == "细胞"


def test_what_is_no_json_is_an_error() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        label_json.loads(b'{"shapes": [')
