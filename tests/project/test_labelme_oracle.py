"""Labelme itself opens our files and draws the same pixels.

Labelme brings its own Qt, so it lives in an environment of its own:

    python -m venv /somewhere && /somewhere/bin/pip install labelme==6.3.1
    SEGSTUDIO_LABELME=/somewhere/bin/python pytest tests/project/test_labelme_oracle.py
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers import picture

from segstudio.annotation import rasterise
from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import IGNORE_CLASS, Shape, as_points, mask_shape
from segstudio.project.project import Project

LABELME = os.environ.get("SEGSTUDIO_LABELME", "")
pytestmark = pytest.mark.skipif(
    not LABELME, reason="SEGSTUDIO_LABELME names no Python with labelme"
)

# Labelme's strict reader and its own drawing, as its converters use them.
_DRAW = """
import sys
from pathlib import Path
import numpy as np
from labelme._label_file import read_label_file
from labelme.utils import img_data_to_arr, shapes_to_label
names = sys.argv[2].split(",")
values = {name: i for i, name in enumerate(names, 1)} | {"_background_": 0, "__ignore__": 255}
for path in sorted(Path(sys.argv[1]).rglob("*.json")):
    found = read_label_file(str(path))
    size = img_data_to_arr(found.image_data).shape
    drawn, _ = shapes_to_label(size, found.shapes, values)
    np.save(path.with_suffix(".npy"), drawn)
"""
NAMES = ("cat", "dog", "a b")
WIDTH, HEIGHT = 160, 120


def random_shapes(rng: np.random.Generator) -> tuple[Shape, ...]:
    """Shapes of every kind that both programs draw the same (linestrips aside)."""
    shapes: list[Shape] = []
    for _ in range(12):
        name = str(rng.choice([*NAMES, IGNORE_CLASS, "_background_"]))
        kind = str(
            rng.choice(["polygon", "rectangle", "circle", "line", "point", "mask", "tilted"])
        )
        points = rng.uniform(-5, [WIDTH + 5, HEIGHT + 5], (int(rng.integers(3, 9)), 2))
        shapes.append(_shape(rng, name, kind, points))
    return tuple(shapes)


def _shape(rng: np.random.Generator, name: str, kind: str, points: np.ndarray) -> Shape:
    facts = {"group_id": int(rng.integers(0, 3)), "description": "é", "flags": {"f": True}}
    if kind == "mask":
        pixels = rng.random((int(rng.integers(1, 40)), int(rng.integers(1, 50)))) > 0.4
        x, y = int(rng.integers(0, WIDTH - 50)), int(rng.integers(0, HEIGHT - 40))
        return mask_shape(name, Bitmap.from_array(pixels, x, y), source="model", score=0.5)
    if kind == "polygon":
        return Shape(name, "polygon", as_points(points), **facts)
    if kind == "tilted":
        corners = [[50, 10], [90, 40], [70, 70], [30, 40]]
        return Shape(name, "oriented_rectangle", as_points(corners), **facts)
    if kind == "point":
        return Shape(name, "point", as_points(points[:1]), **facts)
    if kind == "line":
        return Shape(name, "line", as_points(points[:2]), **facts)
    if kind == "circle":
        return Shape(name, "circle", as_points(points[:2]), **facts)
    return Shape(name, "rectangle", as_points(points[:2]), **facts)


def test_labelme_opens_our_files_and_draws_the_same_pixels(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    with Project.create(tmp_path, classes=list(NAMES)) as project:
        for i in range(40):
            picture(tmp_path / "images" / f"{i}.png", WIDTH, HEIGHT)
        project.rescan()
        for key in project.images():
            shapes = random_shapes(rng)
            project.save(key, Annotation(WIDTH, HEIGHT, shapes, confirmed=True, extra={"x": [1]}))
        subprocess.run([LABELME, "-c", _DRAW, tmp_path, ",".join(NAMES)], check=True)
        for key in project.images():
            ours = project.load(key)
            drawn = rasterise.label_map(ours.shapes, project.classes.values, ours.size)
            assert np.array_equal(drawn, np.load(project.label_file(key).with_suffix(".npy"))), key
