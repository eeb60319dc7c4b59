"""How grey values become network inputs; part of every model's card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from segstudio.errors import UserError

Picture = NDArray[np.uint8]
"""(h, w, 3) RGB."""
Floats = NDArray[np.float32]

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)
_SMALLEST_RANGE: Final = 8.0
"""Grey levels; a flatter picture is not stretched further, else its noise fills the range."""
_SAMPLE: Final = 500
"""Rows and columns looked at for the percentiles."""


@dataclass(frozen=True)
class Normalisation:
    """Either the picture's own percentiles to 0..1 (all channels together), or 0..255 to 0..1;
    then, with the curve "root", its square root; then (value - mean) / std per channel.

    The root lifts dim structures and keeps what is absolute about brightness; it makes the
    noise of counted photons even (Anscombe 1948).

    With `background` "dark", a picture whose median is above the middle of its range is turned
    into its negative first: microscopes give stained nuclei on white and glowing ones on black.
    """

    kind: Literal["percentile", "fixed"] = "percentile"
    low: float = 1.0
    high: float = 99.0
    background: Literal["any", "dark"] = "any"
    curve: Literal["linear", "root"] = "linear"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)

    @classmethod
    def imagenet(cls) -> Normalisation:
        """What networks with ImageNet encoders were trained with."""
        return cls("fixed", 0.0, 100.0, mean=IMAGENET_MEAN, std=IMAGENET_STD)

    @classmethod
    def root(cls) -> Normalisation:
        """For networks that begin from scratch.

        Of one set's pictures, how bright they are tells what kind they are: stretched to their
        own percentiles, a grey cell with a dark nucleus looks like a bright nucleus on black
        (docs/adr/0009).
        """
        return cls("fixed", 0.0, 100.0, curve="root")

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Normalisation:
        """Read the `normalisation` table of a model.toml."""
        try:
            facts = {**card}
            for key in ("mean", "std"):
                facts[key] = tuple(float(v) for v in facts[key])
            return cls(**facts)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"The model's input normalisation cannot be read: {error}") from error

    def to_card(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "low": self.low,
            "high": self.high,
            "background": self.background,
            "curve": self.curve,
            "mean": list(self.mean),
            "std": list(self.std),
        }

    def unit_range(self, picture: Picture) -> tuple[float, float]:
        """The grey values that become 0 and 1; the first is the larger for a negative."""
        if self.kind == "fixed":
            return 0.0, 255.0
        rows, columns = (max(1, side // _SAMPLE) for side in picture.shape[:2])
        sample = picture[::rows, ::columns]
        histogram = np.bincount(sample.ravel(), minlength=256).cumsum()
        shares = histogram[-1] * np.array([self.low, 50, self.high]) / 100
        low, median, high = (float(v) for v in np.searchsorted(histogram, shares))
        high = max(high, low + _SMALLEST_RANGE)
        if self.background == "dark" and median > (low + high) / 2:
            return high, low
        return low, high

    def apply(self, picture: Picture) -> Floats:
        """(h, w, 3) uint8 to (3, h, w) float32."""
        return to_planes(picture, self.unit_values(self.unit_range(picture)), self)

    def undo(self, inputs: Floats) -> Floats:
        """(3, h, w) inputs to grey values (3, h, w) of 0..255, as far as they are stretched to."""
        mean, std = (np.asarray(v, np.float32)[:, None, None] for v in (self.mean, self.std))
        unit = np.clip(inputs * std + mean, 0, 1)
        if self.curve == "root":
            unit *= unit
        return np.asarray(255 * unit, np.float32)

    def unit_values(self, unit_range: tuple[float, float]) -> Floats:
        """(256,) what each grey value becomes before mean and std; 0..1 within the range."""
        low, high = unit_range
        unit = (np.arange(256, dtype=np.float32) - low) / (high - low)
        if self.curve == "root":
            unit = np.copysign(np.sqrt(np.abs(unit)), unit)
        return unit.astype(np.float32)


def to_planes(picture: Picture, unit: Floats, normalisation: Normalisation) -> Floats:
    """(h, w, 3) uint8 to (3, h, w) float32 inputs through a table of 256 unit values, or one
    for each channel, (3, 256)."""
    unit = np.broadcast_to(np.clip(unit, -0.5, 1.5), (3, 256))
    planes = np.empty((3, *picture.shape[:2]), dtype=np.float32)
    for channel, (mean, std) in enumerate(zip(normalisation.mean, normalisation.std, strict=True)):
        table = ((unit[channel] - mean) / std).astype(np.float32)
        cv2.LUT(np.ascontiguousarray(picture[..., channel]), table, dst=planes[channel])
    return planes
