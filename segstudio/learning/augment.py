"""Random crops of labelled pictures: one warp for place, size, flips, turns and bending, one
table for brightness, contrast, gamma and inversion, then noise and blur.

Everything runs in numpy and OpenCV, which let go of Python's lock, so that a thread can prepare
batches beside the network. A 256-pixel crop takes about 5 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from segstudio.learning.metrics import VOID
from segstudio.learning.normalise import Normalisation, Picture, to_planes

Labels = NDArray[np.int16]
"""(h, w): 0 background, 1..n classes, VOID (-1) where nothing is known."""
Floats = NDArray[np.float32]
Things = NDArray[np.int32]
"""(h, w): the instance of every pixel, 0 where none is."""

_BEND_CELLS: Final = 4
_BEND_PIXELS: Final = 6.0
_NOISE: Final = 2**20


@dataclass(frozen=True)
class Augmentation:
    """How strongly crops are varied; probabilities are 0..1."""

    scale: tuple[float, float] = (0.7, 1.4)
    flip: bool = True
    upright: bool = False  # up is up: no vertical flips and quarter turns
    elastic: float = 0.2
    brightness: float = 0.15
    contrast: float = 0.25
    gamma: float = 0.25
    colour: float = 0.1
    invert: float = 0.0
    noise: float = 0.2
    noise_level: float = 0.1
    blur: float = 0.15

    @classmethod
    def none(cls) -> Augmentation:
        """Crops only."""
        return cls((1.0, 1.0), False, True, *([0.0] * 9))

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Augmentation:
        known = {**facts}
        if "scale" in known:
            known["scale"] = (float(known["scale"][0]), float(known["scale"][1]))
        return replace(cls(), **known)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "scale": list(self.scale)}


class Crop(NamedTuple):
    """Inputs (3, s, s) float32, labels (s, s) int16, weights (s, s), and the instance of every
    pixel (s, s) int32, VOID outside the picture; the last two None where the image has none."""

    inputs: Floats
    labels: Labels
    weights: Floats | None = None
    instances: Things | None = None


class Cropper:
    """Cuts varied training crops of `size` x `size` pixels; not shared between threads."""

    def __init__(
        self,
        size: int,
        augmentation: Augmentation,
        normalisation: Normalisation,
        rng: np.random.Generator,
    ) -> None:
        self.size, self.augmentation, self.normalisation = size, augmentation, normalisation
        self._rng = rng
        # a bank to cut noise from: drawing it fresh would take longer than all the rest
        self._noise = rng.standard_normal(_NOISE, dtype=np.float32)

    def crop(
        self,
        picture: Picture,
        labels: Labels,
        centre: tuple[float, float],
        unit_range: tuple[float, float],
        weights: Floats | None = None,
        instances: Things | None = None,
    ) -> Crop:
        """All of it warped alike, around `centre` (x, y); what lies outside the picture is
        mirrored, but for instances: a mirrored thing would be one with itself."""
        affine = self._place(picture.shape[:2], centre)
        part, affine = _window(picture.shape[:2], affine, self.size)
        bend = self._bend() if self._chance(self.augmentation.elastic) else None
        pixels = self._warp(picture[part], affine, bend, cv2.INTER_LINEAR)
        place = self._warp(labels[part], affine, bend, cv2.INTER_NEAREST)
        if weights is not None:
            weights = self._warp(weights[part], affine, bend, cv2.INTER_NEAREST)
        if instances is not None:  # OpenCV warps no int32; float32 holds these numbers exactly
            plane = instances[part].astype(np.float32)
            plane = self._warp(plane, affine, bend, cv2.INTER_NEAREST, cv2.BORDER_CONSTANT)
            instances = plane.astype(np.int32)
        return Crop(self._colours(pixels, unit_range), place, weights, instances)

    def _chance(self, probability: float) -> bool:
        return probability > 0 and bool(self._rng.random() < probability)

    def _place(self, shape: tuple[int, ...], centre: tuple[float, float]) -> NDArray[np.float64]:
        """The 2x3 map from crop pixels to picture pixels."""
        rng, how = self._rng, self.augmentation
        low, high = how.scale
        zoom = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        turn = np.eye(2) / zoom
        if how.flip and rng.random() < 0.5:
            turn[:, 0] *= -1
        if how.flip and not how.upright:
            turn = turn @ np.linalg.matrix_power(np.array([[0, -1], [1, 0]]), int(rng.integers(4)))
        half = self.size / zoom / 2
        jitter = rng.uniform(-0.5, 0.5, 2) * half
        middle = [
            _inside(c + j, half, side)
            for c, j, side in zip(centre, jitter, (shape[1], shape[0]), strict=True)
        ]
        offset = np.array(middle) - 0.5 - turn @ np.full(2, (self.size - 1) / 2)
        return np.column_stack([turn, np.round(offset)])  # whole pixels: no blur at scale 1

    def _bend(self) -> NDArray[np.float32]:
        """A smooth displacement of a few pixels, (s, s, 2) float32."""
        cells = self._rng.uniform(-1, 1, (_BEND_CELLS, _BEND_CELLS, 2)).astype(np.float32)
        bend = cv2.resize(
            cells * _BEND_PIXELS, (self.size, self.size), interpolation=cv2.INTER_CUBIC
        )
        return np.asarray(bend, dtype=np.float32)

    def _warp(
        self,
        source: NDArray[Any],
        affine: NDArray[np.float64],
        bend: NDArray[np.float32] | None,
        interpolation: int,
        border: int = cv2.BORDER_REFLECT_101,
    ) -> NDArray[Any]:
        if bend is None:
            return cv2.warpAffine(
                source,
                affine,
                (self.size, self.size),
                flags=interpolation | cv2.WARP_INVERSE_MAP,
                borderMode=border,
                borderValue=VOID,
            )
        grid = np.arange(self.size, dtype=np.float32)
        across, down = grid[None, :] + bend[..., 0], grid[:, None] + bend[..., 1]
        (a, b, c), (d, e, f) = affine.astype(np.float32)
        map_x, map_y = a * across + b * down + c, d * across + e * down + f
        return cv2.remap(source, map_x, map_y, interpolation, borderMode=border, borderValue=VOID)

    def _colours(self, pixels: Picture, unit_range: tuple[float, float]) -> Floats:
        rng, how = self._rng, self.augmentation
        if self._chance(how.blur):
            pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.4, 1.4)), np.uint8)
        planes = to_planes(pixels, self._tone(unit_range), self.normalisation)
        if self._chance(how.noise):
            planes += self._some_noise(planes.shape) * np.float32(
                rng.uniform(0, how.noise_level) / self.normalisation.std[0]
            )
        return planes

    def _tone(self, unit_range: tuple[float, float]) -> Floats:
        """Unit values (3, 256) after gamma, contrast, brightness, tint and perhaps inversion."""
        rng, how = self._rng, self.augmentation
        unit = self.normalisation.unit_values(unit_range)
        if self._chance(how.invert):
            unit = 1 - unit
        gamma = np.exp(rng.uniform(-how.gamma, how.gamma))
        unit = np.where(unit > 0, np.abs(unit) ** gamma, unit)
        stretch = np.exp(rng.uniform(-how.contrast, how.contrast))
        unit = (unit - 0.5) * stretch + 0.5 + rng.uniform(-how.brightness, how.brightness)
        tint = rng.uniform(-how.colour, how.colour, (3, 1))
        return np.asarray(unit + tint, dtype=np.float32)

    def _some_noise(self, shape: tuple[int, ...]) -> Floats:
        count = int(np.prod(shape))
        if count > _NOISE:
            return self._rng.standard_normal(shape, dtype=np.float32)
        start = int(self._rng.integers(0, _NOISE - count + 1))
        return self._noise[start : start + count].reshape(shape)


def _inside(middle: float, half: float, side: int) -> float:
    """The nearest middle whose window stays in the picture, the picture's own if none does."""
    return side / 2 if 2 * half >= side else float(np.clip(middle, half, side - half))


def _window(
    shape: tuple[int, ...], affine: NDArray[np.float64], size: int
) -> tuple[tuple[slice, slice], NDArray[np.float64]]:
    """The part of a picture that the crop reads, and the map into that part.

    OpenCV warps no source beyond 32,767 pixels, and a small part stays in the processor's cache.
    """
    ends = np.array([[0, 0, 1], [size, 0, 1], [0, size, 1], [size, size, 1]]) @ affine.T
    pad = 2 + _BEND_PIXELS * np.abs(affine[:, :2]).sum()
    low = np.maximum(np.floor(ends.min(0) - pad), 0).astype(int)
    high = np.minimum(np.ceil(ends.max(0) + pad), [shape[1], shape[0]]).astype(int)
    shifted = affine.copy()
    shifted[:, 2] -= low
    return (slice(low[1], high[1]), slice(low[0], high[0])), shifted
