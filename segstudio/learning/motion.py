"""How a picture moved into the next one: dense optical flow both ways, and where to trust it.

DIS flow (Kroeger et al., ECCV 2016, arXiv 1603.03590) as OpenCV has it. A pixel is trusted where
the way there and back ends where it began (Sundaram, Brox & Keutzer, ECCV 2010, section 3).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from segstudio.learning.normalise import Picture

Floats = NDArray[np.float32]

PIXELS: Final = 400_000
"""A larger picture is looked at smaller."""
SMALLEST: Final = 32
"""Side in pixels below which nothing can be followed."""
SAME_SCENE: Final = 0.3
"""Share of the pixels on edges that must be trusted. Between pictures that have nothing to do with
each other it is below 0.1 on streets and below 0.29 on nuclei; 0.97 and more at 15 frames a second,
0.5 at one (medians of 1 Hz; CamVid, and pictures of nuclei)."""
_STRIP: Final = 512


@dataclass(frozen=True)
class Motion:
    """From `after` to `before`: `shift` (h, w, 2) float32 is how far right and down each pixel of
    the later picture lay in the earlier one; `sure` (h, w) float32, 0..1, whether that holds;
    `share` of the pixels on edges are trusted. h and w are those at which it was looked at."""

    shift: Floats
    sure: Floats
    share: float

    @property
    def is_same_scene(self) -> bool:
        return self.share >= SAME_SCENE


def motion(before: Picture, after: Picture) -> Motion | None:
    """How (h, w, 3) uint8 pictures follow each other; None when sizes differ or are tiny."""
    if before.shape != after.shape or min(before.shape[:2]) < SMALLEST:
        return None
    earlier, later = _small_grey(before), _small_grey(after)
    back, forth = _flow(later, earlier), _flow(earlier, later)
    there = _grid(later.shape) + back
    miss = np.linalg.norm(back + _at(forth, there), axis=-1)
    allowed = 1 + 0.05 * np.linalg.norm(back, axis=-1)
    sure = np.where(_inside(there), np.exp(-miss / allowed), 0).astype(np.float32)
    edges = _edges(later)
    share = float((sure[edges] > math.exp(-1)).mean()) if edges.any() else 0.0
    return Motion(back, sure, share)


@dataclass(frozen=True)
class Path:
    """Several motions one after the other: `place` (h, w, 2) float32 is where each pixel of the
    last picture was in the first, `sure` (h, w) how sure that is, 0..1."""

    place: Floats
    sure: Floats

    def carry(self, values: NDArray[Any]) -> NDArray[Any]:
        """A map (H, W) uint8 or uint16 of the first picture as it lies on the last; pixels that
        came from outside have what is nearest to them."""
        height, width = values.shape
        strips = [_grid((rows.stop - rows.start, width), rows.start) for rows in _strips(height)]
        return np.concatenate([_nearest(values, self._place_of(s, values.shape)) for s in strips])

    def margin(self, shape: Sequence[int]) -> NDArray[np.uint8]:
        """`sure` as 0..255 at the size (H, W) of the pictures."""
        small = np.round(255 * self.sure).astype(np.uint8)
        if small.shape == tuple(shape):
            return small
        return np.asarray(cv2.resize(small, (shape[1], shape[0])), np.uint8)

    def _place_of(self, pixels: Floats, shape: Sequence[int]) -> Floats:
        """Where pixels (x, y) of a picture of this size were, in its own pixels."""
        height, width = self.place.shape[:2]
        scale = np.array([shape[1] / width, shape[0] / height], np.float32)
        if (scale == 1).all():
            top = int(pixels[0, 0, 1])
            return self.place[top : top + len(pixels)]
        half = np.float32(0.5)
        small = np.asarray((pixels + half) / scale - half, np.float32)
        moved = _at(self.place - _grid(self.place.shape), small)
        return np.asarray(pixels + moved * scale, np.float32)


def path(motions: Sequence[Motion]) -> Path:
    """The way back through `motions`, of which the first ends at the last picture."""
    place = _grid(motions[0].shift.shape)
    sure = np.ones(place.shape[:2], np.float32)
    for one in motions:
        sure = sure * np.where(_inside(place), _at(one.sure, place), 0).astype(np.float32)
        place = place + _at(one.shift, place)
    return Path(place, sure)


def _flow(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> Floats:
    """Where each pixel of `one` is in `other`, as a shift (h, w, 2)."""
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found = flow.calc(one, other, None)  # type: ignore[call-overload]
    return np.asarray(found, np.float32)


def _grid(shape: Sequence[int], top: int = 0) -> Floats:
    """x and y of every pixel, (h, w, 2)."""
    down, across = np.mgrid[top : top + shape[0], : shape[1]]
    return np.stack([across, down], axis=-1).astype(np.float32)


def _at(values: Floats, place: Floats) -> Floats:
    """Values at places between pixels, linearly."""
    return np.asarray(_looked_up(values, place, cv2.INTER_LINEAR), np.float32)


def _nearest(values: NDArray[Any], place: Floats) -> NDArray[Any]:
    return _looked_up(values, place, cv2.INTER_NEAREST)


def _looked_up(values: NDArray[Any], place: Floats, how: int) -> NDArray[Any]:
    x, y = (np.ascontiguousarray(place[..., way]) for way in (0, 1))
    return np.asarray(cv2.remap(values, x, y, how, borderMode=cv2.BORDER_REPLICATE))


def _inside(place: Floats) -> NDArray[np.bool_]:
    height, width = place.shape[:2]
    x, y = place[..., 0], place[..., 1]
    return np.asarray((x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1))


def _edges(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The quarter of the pixels with the strongest gradient, fewer on a flat picture."""
    strength = cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    return np.asarray(strength > max(1.0, float(np.percentile(strength, 75))))


def _small_grey(picture: Picture) -> NDArray[np.uint8]:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    factor = math.sqrt(PIXELS / grey.size)
    if factor < 1:
        size = [max(SMALLEST, round(side * factor)) for side in reversed(grey.shape)]
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return np.asarray(grey, np.uint8)


def _strips(height: int) -> Iterator[slice]:
    for top in range(0, height, _STRIP):
        yield slice(top, min(height, top + _STRIP))
