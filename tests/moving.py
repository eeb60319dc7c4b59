"""A made film: discs and a bar that move over a textured ground, with their labels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import mask_shape
from segstudio.project.project import Project

HEIGHT, WIDTH = 120, 160
CLASSES = ("disc", "bar")


def frame(number: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A picture (h, w, 3) uint8 and its label map (h, w): 0 ground, 1 discs, 2 a bar;
    with another seed another scene."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 255, (HEIGHT + 80, WIDTH + 80), np.uint8)
    ground = cv2.GaussianBlur(noise, (0, 0), 2)
    ground = cv2.normalize(ground, None, 40, 120, cv2.NORM_MINMAX)
    grey = ground[number : number + HEIGHT, 2 * number : 2 * number + WIDTH].copy()
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    skin = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 1.5), None, 150, 250, cv2.NORM_MINMAX)
    down, across = np.mgrid[:HEIGHT, :WIDTH]
    for place, (x, y) in enumerate(((30, 40), (60, 85))):
        cx, cy = x + 4 * number, y - (2 * place - 1) * 2 * number
        inside = (across - cx) ** 2 + (down - cy) ** 2 < 14**2
        labels[inside] = 1
        grey[inside] = skin[(down - cy + 60)[inside], (across - cx + 100)[inside]]
    left = 120 - 3 * number
    inside = (abs(across - left) < 7) & (abs(down - 30) < 20)
    labels[inside] = 2
    grey[inside] = skin[(down + 5)[inside], (across - left + 150)[inside]]
    way = 1 if not seed else -1
    return np.stack([grey[:, ::way]] * 3, axis=-1), np.ascontiguousarray(labels[:, ::way])


def film(root: Path, count: int = 4, drive: str = "a", seed: int = 0) -> None:
    """Frames `images/<drive>_<number>.png` of a project's folder."""
    (root / "images").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        cv2.imwrite(str(root / "images" / f"{drive}_{number:03d}.png"), frame(number, seed)[0])


def label(project: Project, key: str, number: int, confirmed: bool = True) -> None:
    """What is on that frame, a shape each connected part."""
    labels = frame(number)[1]
    shapes = []
    for value, name in enumerate(CLASSES, start=1):
        count, parts = cv2.connectedComponents((labels == value).astype(np.uint8))
        shapes += [mask_shape(name, Bitmap.from_array(parts == n)) for n in range(1, count)]
    project.save(key, Annotation(WIDTH, HEIGHT, tuple(shapes), confirmed=confirmed))
