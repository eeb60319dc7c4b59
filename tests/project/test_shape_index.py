"""Shapes of a whole project, found and counted."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from helpers import picture

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import Shape, as_points, mask_shape
from segstudio.project.bulk import BulkEdit
from segstudio.project.project import Project
from segstudio.project.shape_index import FILE, Query, ShapeIndex

SQUARE = Shape("cat", "polygon", as_points([[2, 2], [5, 2], [5, 5], [2, 5]]), group_id=7)
"""4 x 4 pixels, as Labelme draws it."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Three pictures of 20 x 10: a square under half a mask, a mask of a model, a foreign file."""
    for name in "abc":
        picture(tmp_path / "images" / f"{name}.png")
    made = Project.create(tmp_path, classes=["cat", "dog", "cow"])
    over = mask_shape("dog", Bitmap.from_array(np.ones((4, 2), np.bool_), 2, 2))
    flagged = mask_shape(
        "dog",
        Bitmap.from_array(np.ones((1, 3), np.bool_)),
        source="model",
        flags={"blurred": True, "cut": False},
        description="Behind the Fence",
    )
    made.save("images/a.png", Annotation(20, 10, (SQUARE, over)))
    made.save("images/b.png", Annotation(20, 10, (flagged,)))
    shape = {"label": "cat", "points": [[1, 1], [2, 1], [2, 2]], "shape_type": "polygon"}
    facts = {"version": "5", "flags": {}, "shapes": [shape], "imagePath": "c.png"}
    (tmp_path / "images" / "c.json").write_text(json.dumps({**facts, "imageData": None}))
    made.rescan()
    return made


@pytest.fixture
def index(project: Project) -> ShapeIndex:
    made = ShapeIndex(project.root / FILE)
    assert made.refresh(project) == 3
    return made


def found(index: ShapeIndex, **query: object) -> list[tuple[str, int]]:
    _, hits = index.find(Query(**query), 100)  # type: ignore[arg-type]
    return [(hit.key[7], hit.area) for hit in hits]


def test_by_class_size_source_and_words(index: ShapeIndex) -> None:
    assert found(index) == [("a", 16), ("a", 8), ("b", 3), ("c", 3)]
    assert found(index, classes=("cat",)) == [("a", 16), ("c", 3)]
    assert found(index, smallest=4, largest=10) == [("a", 8)]
    assert found(index, sources=("model",)) == [("b", 3)]
    assert found(index, sources=("foreign",)) == [("c", 3)]
    assert found(index, sources=("human", "corrected")) == [("a", 16), ("a", 8)]
    assert found(index, words="fence BEHIND") == [("b", 3)]
    assert found(index, words="blurred") == [("b", 3)]
    assert found(index, words="cut") == []
    assert found(index, words="#7") == [("a", 16)]
    assert found(index, words="100%_") == []
    total, hits = index.find(Query(), 1)
    assert (total, len(hits)) == (4, 1)
    index.close()


def test_only_what_changed_is_read_again(project: Project, index: ShapeIndex) -> None:
    assert index.refresh(project) == 0
    project.save("images/b.png", Annotation(20, 10, ()))
    os.remove(project.root / "images" / "c.json")
    assert index.refresh(project) == 1
    assert found(index) == [("a", 16), ("a", 8)]
    (project.root / "images" / "a.json").write_text("{")
    assert index.refresh(project) == 1
    assert found(index) == []
    index.close()


def test_stopping_keeps_what_was_read(project: Project) -> None:
    asked: list[int] = []
    made = ShapeIndex(None)
    read = made.refresh(
        project, should_stop=lambda: len(asked) == 1, between=lambda: asked.append(1)
    )
    assert read == 1
    assert made.refresh(project) == 2
    made.close()


def test_hits_become_a_bulk_edit(project: Project, index: ShapeIndex) -> None:
    _, hits = index.find(Query(classes=("cat",)), 1)
    assert index.picks_of(hits)["images/a.png"].places == (0,)
    picks = index.picks(Query(classes=("cat",)))
    result = project.bulk.run(BulkEdit("reclass", to="cow", picks=picks))
    assert (result.images, result.shapes) == (2, 2)
    assert index.refresh(project) == 2
    assert found(index, classes=("cow",)) == [("a", 16), ("c", 3)]
    project.bulk.undo()
    index.refresh(project)
    assert found(index, classes=("cow",)) == []
    index.close()


def test_statistics_count_what_a_label_map_shows(project: Project, index: ShapeIndex) -> None:
    cat, dog, cow = index.statistics(project.classes.names)
    assert (cat.name, cat.images, cat.shapes, cat.pixels) == ("cat", 2, 2, 16 - 8 + 3)
    assert cat.share == pytest.approx(11 / 600)
    assert cat.median_area == 9.5
    assert (dog.images, dog.shapes, dog.pixels, dog.median_area) == (2, 2, 11, 5.5)
    assert (cow.images, cow.shapes, cow.pixels, cow.share) == (0, 0, 0, 0.0)
    index.close()


def test_a_damaged_index_is_made_anew(project: Project, index: ShapeIndex) -> None:
    index.close()
    for path in (project.root / FILE).parent.glob("shapes.sqlite*"):
        path.write_bytes(b"no database")
    fresh = ShapeIndex(project.root / FILE)
    assert fresh.refresh(project) == 3
    fresh.close()
