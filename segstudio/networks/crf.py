"""Dense CRF: Krähenbühl & Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge
Potentials", NIPS 2011 (arXiv 1210.5644), sections 2 and 3: all pairs of pixels are bound, the
closer in place and colour the more, and a mean field finds probable labels.

The smoothness kernel is summed exactly. The appearance kernel, in place and colour together, is
filtered on a permutohedral lattice, as in the paper (section 3), and so within about half a per
cent of the exact sum on average (`tests/networks/test_crf.py`).
As in the authors' program, kernels are normalised symmetrically (Krähenbühl & Koltun 2013, section
4) and sums include the pixel itself. Labels are as good as incompatible with each other (Potts).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segstudio.networks.lattice import Lattice

Filter = Callable[[Tensor], Tensor]
"""(n, c) values of n pixels to (n, c) weighed sums over all of them."""

SIDE: Final = 640
"""Larger pictures are snapped in parts of this many pixels a side."""
_SUREST: Final = 0.99
"""A prediction never is surer: the picture shall have a say."""


@dataclass(frozen=True)
class Kernels:
    """Weights and widths (equation 3). `reach` and `smooth_reach` are in pixels, `colour` is in
    grey values 0..255. The authors' program comes with these."""

    appearance: float = 10.0
    reach: float = 80.0
    colour: float = 13.0
    smoothness: float = 3.0
    smooth_reach: float = 3.0


def mean_field(
    logits: Tensor, picture: Tensor, kernels: Kernels | None = None, iterations: int = 10
) -> Tensor:
    """Class scores (k, h, w) and a picture (c, h, w) of 0..255 to probabilities (k, h, w)."""
    kernels = kernels or Kernels()
    smooth = smoothing(logits, kernels.smooth_reach)
    alike = appearance(picture.to(logits), kernels.reach, kernels.colour)
    unary = logits.flatten(1).T
    found = unary.softmax(1)
    for _ in range(iterations):
        messages = kernels.smoothness * smooth(found) + kernels.appearance * alike(found)
        found = (unary + messages).softmax(1)
    return found.T.reshape(logits.shape)


def smoothing(like: Tensor, reach: float) -> Filter:
    """The normalised smoothness kernel for pictures of the size of `like` (…, h, w)."""
    height, width = like.shape[-2:]
    down, across = (_bells(side, reach).to(like) for side in (height, width))

    def gaussian(values: Tensor) -> Tensor:
        rows = down @ values.reshape(height, -1)
        return (across @ rows.reshape(height, width, -1)).flatten(0, 1)

    return _normalised(gaussian, like.new_ones(height * width, 1))


def _bells(side: int, reach: float) -> Tensor:
    """(side, side): the Gaussian between any two places along a side."""
    place = torch.arange(side, dtype=torch.float64)
    return torch.exp(-((place[:, None] - place) / reach).square() / 2)


def appearance(picture: Tensor, reach: float, colour: float) -> Filter:
    """The normalised appearance kernel of a picture (c, h, w)."""
    lattice = Lattice(positions(picture, reach, colour))
    return _normalised(lattice.filter, picture.new_ones(picture[0].numel(), 1))


def positions(picture: Tensor, reach: float, colour: float) -> Tensor:
    """Place and colour of every pixel of (c, h, w) in standard deviations, (h w, 2 + c)."""
    height, width = picture.shape[-2:]
    down = torch.arange(height).to(picture)[:, None].expand(height, width)
    across = torch.arange(width).to(picture).expand(height, width)
    place = torch.stack([down, across]) / reach
    return torch.cat([place, picture / colour]).flatten(1).T


def _normalised(gaussian: Filter, ones: Tensor) -> Filter:
    with torch.no_grad():
        root = gaussian(ones).rsqrt()
    return lambda values: root * gaussian(root * values)


def snap(
    labels: NDArray[Any],
    margin: NDArray[np.uint8],
    picture: NDArray[np.uint8],
    kernels: Kernels | None = None,
    iterations: int = 5,
) -> NDArray[Any]:
    """A prediction with its outlines drawn to the edges of the picture.

    `labels` (h, w) are of any integers, `margin` (h, w) is p1 - p2 as 0..255, `picture` (h, w) or
    (h, w, c). Only labels that are there can be given. Returns (h, w) of the dtype of `labels`.
    """
    found = labels.copy()
    border = min(SIDE // 4, math.ceil((kernels or Kernels()).reach))
    for rows in _parts(labels.shape[0], border):
        for columns in _parts(labels.shape[1], border):
            seen, kept = (rows[0], columns[0]), (rows[1], columns[1])
            snapped = _snap_part(labels[seen], margin[seen], picture[seen], kernels, iterations)
            inside = tuple(
                slice(k.start - s.start, k.stop - s.start) for s, k in zip(seen, kept, strict=True)
            )
            found[kept] = snapped[inside]
    return found


def _parts(side: int, border: int) -> list[tuple[slice, slice]]:
    """What is looked at and what is kept of it, covering a side."""
    if side <= SIDE:
        return [(slice(0, side), slice(0, side))]
    step = SIDE - 2 * border
    kept = [slice(start, min(start + step, side)) for start in range(0, side, step)]
    return [(slice(max(0, k.start - border), min(side, k.stop + border)), k) for k in kept]


def _snap_part(
    labels: NDArray[Any],
    margin: NDArray[np.uint8],
    picture: NDArray[np.uint8],
    kernels: Kernels | None,
    iterations: int,
) -> NDArray[Any]:
    values, rows = np.unique(labels, return_inverse=True)
    if len(values) == 1:
        return labels
    scores = _scores(torch.from_numpy(rows.reshape(labels.shape)), margin, len(values))
    channels = picture[None] if picture.ndim == 2 else np.moveaxis(picture, 2, 0)
    pixels = torch.from_numpy(np.ascontiguousarray(channels)).float()
    with torch.inference_mode():
        best = mean_field(scores, pixels, kernels, iterations).argmax(0)
    return np.asarray(values[best.numpy()])


def _scores(rows: Tensor, margin: NDArray[np.uint8], count: int) -> Tensor:
    """Logarithms of probabilities (k, h, w) in which the second best share what is left."""
    lead = torch.from_numpy(margin.astype(np.float32)) / 255
    best = ((1 + lead * (count - 1)) / count).clamp(max=_SUREST)
    others = (1 - best) / (count - 1)
    scores = others.log().expand(count, *rows.shape).clone()
    return scores.scatter_(0, rows[None], best.log()[None])
