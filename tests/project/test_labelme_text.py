"""The quick encoder of label files writes what `json.dumps(…, indent=2)` writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import picture
from hypothesis import example, given, settings
from hypothesis import strategies as st

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import Shape, as_points, mask_shape
from segstudio.project import labelme, labelme_text
from segstudio.project.labelme_shapes import Verbatim, shape_json
from segstudio.project.labelme_text import ShapeTexts
from segstudio.project.project import Project

_number = (
    st.floats(0, 5000)
    | st.floats(-2, 2)
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.integers(-3000, 3000).map(lambda n: n / 16)  # ties of the third decimal
    | st.integers(0, 10**8).map(lambda n: n / 1000)
    | st.integers(0, 10**8).map(lambda n: n / 1000 + 0.0005)
)
_points = st.lists(st.tuples(_number, _number), max_size=7)
_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.just('"points": []')
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=6,
)
_facts: dict[str, Any] = {
    "class_name": _text,
    "group_id": st.none() | st.integers(),
    "description": st.none() | _text,
    "flags": st.dictionaries(_text, st.booleans(), max_size=3),
    "locked": st.booleans(),
    "source": st.sampled_from(["human", "model"]),
    "score": st.none() | st.floats(0, 1),
    "extra": st.dictionaries(_text, _json, max_size=3),
}
_vector = st.builds(
    Shape, kind=st.sampled_from(["polygon", "point"]), points=_points.map(as_points), **_facts
)
_opaque = st.builds(lambda raw: Shape("unknown", "opaque", extra={"": raw}), _json)
_mask = st.builds(lambda n: mask_shape("a", Bitmap.from_array(np.ones((n, 2)), n, 1)), st.just(3))


def reference(annotation: Annotation, known: Verbatim) -> bytes:
    raw = json.loads(labelme.dump(Annotation(annotation.width, annotation.height), "a.png"))
    raw["shapes"] = [shape_json(shape, known) for shape in annotation.shapes]
    raw["flags"] = dict(annotation.flags)
    ours = raw.pop("segstudio")
    raw.update(annotation.extra)
    raw["segstudio"] = ours
    return json.dumps(raw, ensure_ascii=False, indent=2).encode()


@given(
    shapes=st.lists(_vector | _opaque | _mask, max_size=5),
    flags=st.dictionaries(_text, st.booleans(), max_size=2),
    extra=st.dictionaries(st.sampled_from(["a", "ö", "z"]), _json),
    known=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=4),
)
@example([Shape("a", "polygon", as_points([[1e5, 99999.9996], [0.0, -0.0]]))], {}, {}, [])
@example([Shape("a", "polygon", as_points([[99999.9994, 0.0004], [12.0625, 3]]))], {}, {}, [])
@example([Shape("a", "polygon", as_points([[1, 2], [3, 4.12345]]))], {}, {}, [(1, 2)])
@settings(max_examples=300, deadline=None)
def test_the_text_is_that_of_json(
    shapes: list[Shape], flags: dict[str, bool], extra: dict[str, Any], known: list[Any]
) -> None:
    verbatim = Verbatim({(float(x), float(y)): (x, y) for x, y in known})
    annotation = Annotation(20, 10, tuple(shapes), flags=flags, extra=extra)
    texts = ShapeTexts()
    for _ in range(2):  # the second time from memory
        data = labelme.dump(annotation, "a.png", verbatim=verbatim, texts=texts)
        assert data == reference(annotation, verbatim)


def test_every_thousandth_is_written_as_python_does() -> None:
    numbers = np.arange(0, 40_000_000, 1373) / 1000
    points = as_points(np.stack([numbers, numbers[::-1]], axis=1))
    [text] = labelme_text.point_texts([points], Verbatim())
    assert text == labelme_text.nested(points.tolist(), 6)


def test_a_save_encodes_only_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "a.png")
    shapes = [Shape("cat", "polygon", as_points([[n, 1], [9, n], [5, 8.5]])) for n in range(50)]
    counts: list[int] = []
    honest = labelme_text.encoded

    def counting(new: Sequence[Shape], known: Verbatim) -> list[str]:
        counts.append(len(new))
        return honest(new, known)

    monkeypatch.setattr(labelme_text, "encoded", counting)
    with Project.create(tmp_path, classes=["cat"]) as project:
        project.save("a.png", Annotation(20, 10, tuple(shapes)))
        shapes[7] = shapes[7].moved(1, 0)
        shapes.append(shapes[3].moved(0, 1))
        project.save("a.png", Annotation(20, 10, tuple(shapes)))
        project.save("a.png", Annotation(20, 10, tuple(reversed(shapes)), confirmed=True))
        assert counts == [50, 2, 0]
        written = project.label_file("a.png").read_bytes()
        found = project.load("a.png")
    assert found.shapes == tuple(reversed(shapes))
    assert written == reference(found, Verbatim()).replace(b"in_progress", b"confirmed")


def test_other_numbers_of_the_file_are_not_written_from_memory() -> None:
    texts = ShapeTexts()
    shape = Shape("cat", "point", as_points([[1, 2]]))
    [before] = texts.of([shape], Verbatim())
    [after] = texts.of([shape], Verbatim({(1.0, 2.0): (1, 2)}))
    assert (b"1.0" in before, b"1.0" in after) == (True, False)
