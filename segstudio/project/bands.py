"""Pictures of 16 bits and of many bands as they are on the disk, and how they are to be shown.

For the eye only: models, tools and exports read pictures by `images.read_image`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segstudio.project import images
from segstudio.project.images import RGB

Raw = NDArray[Any]
"""A picture as it is on the disk, turned: (h, w, bands), any dtype."""
_MOST: Final = 2**30
"""Bytes of a picture that is still shown so."""


@dataclass(frozen=True, slots=True)
class Bands:
    """Which bands, from 0, are red, green and blue, and which values are black and white; None
    leaves it to `images.read_image`, or to the values of the chosen bands."""

    channels: tuple[int, int, int] | None = None
    black: float | None = None
    white: float | None = None

    @property
    def is_plain(self) -> bool:
        return self == Bands()


@dataclass(frozen=True, slots=True)
class RawFacts:
    """How many bands a picture has, its smallest and largest value, those that are black and
    white when nobody chose others, and whether values are whole."""

    bands: int
    low: float
    high: float
    black: float
    white: float
    whole: bool


def read_raw(path: Path) -> Raw | None:
    """A picture of more than 8 bits or more than three bands as it is; None for any other, and
    for one that is too large. UserError when it cannot be read."""
    found = images.read_deep(path)
    if found is None or found.nbytes > _MOST:
        return None
    return found if found.ndim == 3 else found[..., None]


def facts_of(raw: Raw) -> RawFacts:
    """What a person can choose from."""
    finite = raw[np.isfinite(raw)] if raw.dtype.kind == "f" else raw
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    return RawFacts(raw.shape[-1], low, high, *images.spread_of(raw), raw.dtype.kind != "f")


def developed(raw: Raw, how: Bands) -> RGB:
    """The picture as it is to be shown, uint8 (h, w, 3)."""
    count = raw.shape[-1]
    asked = how.channels or ((0, 0, 0) if count < 3 else (0, 1, 2))
    channels = [min(channel, count - 1) for channel in asked]
    single = len(set(channels)) == 1
    chosen = raw[..., channels[0]] if single else raw[..., channels]
    low, high = images.spread_of(chosen)
    black = low if how.black is None else how.black
    white = high if how.white is None else how.white
    grey = _mapped(chosen, black, max(white, black + 1e-12))
    return np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=-1) if single else grey)


def _mapped(values: Raw, black: float, white: float) -> NDArray[np.uint8]:
    """Values as 0 (at most `black`) to 255 (at least `white`)."""
    if values.dtype in (np.uint8, np.uint16):  # one table instead of millions of divisions
        table = _levels(np.arange(np.iinfo(values.dtype).max + 1), black, white)
        return np.asarray(np.take(table, values), np.uint8)
    return _levels(values, black, white)


def _levels(values: Raw, black: float, white: float) -> NDArray[np.uint8]:
    share = (values.astype(np.float32) - black) * (255.0 / (white - black))
    finite = np.nan_to_num(share, nan=0.0, posinf=255.0, neginf=0.0)
    return np.asarray(np.clip(np.rint(finite), 0, 255), np.uint8)
