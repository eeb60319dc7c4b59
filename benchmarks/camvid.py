"""CamVid (SegNet's version, 480x360, 11 classes) as labelled pictures in memory."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from benchmarks.common import DATA, need
from segstudio.learning.recipe import Recipe
from segstudio.learning.samples import Item, Labelled, Library

CLASSES = 11
NAMES = (
    *("sky", "building", "pole", "road", "pavement", "tree"),
    *("sign", "fence", "car", "pedestrian", "bicyclist"),
)
_VOID = 11


def items(part: str = "train", count: int | None = None) -> list[Item]:
    """The first so many pictures of a part, by name."""
    folder = need(DATA / "camvid")
    pictures = sorted((folder / "images" / part).rglob("*.webp"))[:count]
    masks = {file.stem: file for file in (folder / "masks" / part).rglob("*.png")}
    return [Item(p.stem, lambda p=p: _read(p, masks[p.stem])) for p in pictures]  # type: ignore[misc]


def library(found: list[Item]) -> Library:
    """All of them, decoded."""
    result = Library(found, Recipe().normalisation)
    for item in found:
        result.known(item)
    return result


def _read(picture: Path, mask: Path) -> Labelled:
    pixels = cv2.imread(str(picture), cv2.IMREAD_COLOR_RGB)
    values = cv2.imread(str(mask), cv2.IMREAD_UNCHANGED)
    if pixels is None or values is None:
        sys.exit(f"{picture} or its mask cannot be read")
    labels = np.where(values == _VOID, -1, values.astype(np.int16) + 1).astype(np.int16)
    return Labelled(np.asarray(pixels, np.uint8), labels)
