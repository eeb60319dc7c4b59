"""Small pictures a network can learn in seconds: bright discs on a dark, noisy ground."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import mask_shape
from segstudio.project.project import Project

torch.set_num_threads(1)
QUICK = {"crop": 64, "batch": 2, "max_steps": 12, "warm_up": 1, "options": {"width": 4, "depth": 2}}


def disc_picture(seed: int, size: int = 64) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A picture (size, size, 3) and where its discs are."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((size, size), np.uint8)
    for _ in range(4):
        centre = tuple(int(v) for v in rng.integers(8, size - 8, 2))
        cv2.circle(mask, centre, int(rng.integers(5, 10)), 1, -1)
    picture = rng.normal(60, 10, (size, size, 3)) + 120 * mask[..., None]
    return picture.clip(0, 255).astype(np.uint8), mask > 0


def label(project: Project, key: str, confirmed: bool = True, class_name: str = "disc") -> None:
    """Label an image perfectly."""
    mask = disc_picture(int(Path(key).stem))[1]
    shape = mask_shape(class_name, Bitmap.from_array(mask))
    project.save(key, Annotation(mask.shape[1], mask.shape[0], (shape,), confirmed=confirmed))
