"""Gaussian filtering in a few dimensions on a permutohedral lattice: Adams, Baek, Davis, "Fast
High-Dimensional Filtering Using the Permutohedral Lattice", Eurographics 2010, section 3.

Values are spread over the corners of the lattice's simplices, blurred along its axes and gathered
again, in time linear in the number of points. The result is the Gaussian's up to a factor that is
the same everywhere and within some per cent; `exact` is what it stands for.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


class Lattice:
    """The lattice that points (n, d) touch, in units of the Gaussian's standard deviation."""

    def __init__(self, points: Tensor) -> None:
        # no float64 where it is not asked for: Apple's GPU has none
        exact_enough = torch.promote_types(points.dtype, torch.float32)
        corners, weights = _simplices(points.detach().to(exact_enough))
        strides, codes = _encoded(corners)
        self._used, place = torch.unique(codes, return_inverse=True)
        count, self._dims = len(self._used), points.shape[1]
        self._place, self._weights = place, weights.to(points.dtype)
        order = place.flatten().argsort()
        self._from = order // (self._dims + 1)
        self._spread = self._weights.flatten()[order]
        sizes = torch.bincount(place.flatten(), minlength=count)
        self._offsets = F.pad(sizes.cumsum(0)[:-1], (1, 0))
        self._neighbours = [self._along(axis, strides) for axis in range(self._dims + 1)]

    def _along(self, axis: int, strides: Tensor) -> tuple[Tensor, Tensor]:
        """Places of the next and the last lattice point along an axis; one past the end where
        there is none."""
        step = torch.ones(self._dims + 1, dtype=torch.int64, device=strides.device)
        step[axis] = -self._dims
        change = (step[:-1] * strides).sum()
        return self._find(self._used + change), self._find(self._used - change)

    def _find(self, codes: Tensor) -> Tensor:
        place = torch.searchsorted(self._used, codes).clamp(max=len(self._used) - 1)
        return torch.where(self._used[place] == codes, place, len(self._used))

    def filter(self, values: Tensor) -> Tensor:
        """(n, c) to (n, c), each the Gaussian sum over all points, its own included; blurring axis
        after axis is not quite symmetric."""
        grid = F.embedding_bag(
            self._from, values, self._offsets, mode="sum", per_sample_weights=self._spread
        )
        for forth, back in self._neighbours:
            beyond = F.pad(grid, (0, 0, 0, 1))
            grid = grid + 0.5 * (beyond[forth] + beyond[back])
        found = F.embedding_bag(self._place, grid, mode="sum", per_sample_weights=self._weights)
        return found / (1 + 2.0**-self._dims)


def _simplices(points: Tensor) -> tuple[Tensor, Tensor]:
    """Corners (n, d + 1, d) int64 of the simplex around each point, and barycentric weights."""
    n, d = points.shape
    high = _elevated(points)
    lowest = (high / (d + 1)).round() * (d + 1)
    excess = (lowest.sum(1) / (d + 1)).round().long()
    differs = high - lowest
    rank = _ranks(differs) + excess[:, None]
    wrapped = (rank < 0).long() - (rank > d).long()
    rank, lowest = rank + (d + 1) * wrapped, lowest + (d + 1) * wrapped
    shares = torch.zeros(n, d + 2, dtype=points.dtype, device=points.device)
    across = (high - lowest) / (d + 1)
    shares.scatter_add_(1, d - rank, across)
    shares.scatter_add_(1, d + 1 - rank, -across)
    shares[:, 0] += 1 + shares[:, d + 1]
    step = torch.arange(d + 1, device=points.device)
    canonical = torch.where(step[None] <= d - step[:, None], step[:, None], step[:, None] - d - 1)
    corners = lowest.long()[:, None, :] + canonical[:, rank].transpose(0, 1)
    return corners[..., :d], shares[:, : d + 1]


def _elevated(points: Tensor) -> Tensor:
    """Points (n, d) on the plane of d + 1 coordinates whose sum is 0, scaled so that the blur has
    a standard deviation of 1."""
    d = points.shape[1]
    axis = torch.arange(d, device=points.device, dtype=points.dtype)
    scaled = points * math.sqrt(2 / 3) * (d + 1) / ((axis + 1) * (axis + 2)).sqrt()
    behind = F.pad(scaled.flip(1).cumsum(1).flip(1), (0, 1))  # sums from each axis on
    own = F.pad(scaled * (axis + 1), (1, 0))
    return behind - own


def _ranks(differs: Tensor) -> Tensor:
    """Place of each coordinate among its point's, the largest first."""
    order = torch.argsort(differs, dim=1, descending=True, stable=True)
    return torch.argsort(order, dim=1)


def _encoded(corners: Tensor) -> tuple[Tensor, Tensor]:
    """Strides (d,) and one number for each corner, with room for a neighbour on every side."""
    flat = corners.flatten(0, 1)
    d = flat.shape[1]
    flat = flat - flat.amin(0) + d + 1
    room = flat.amax(0) + d + 2
    strides = torch.cat([room.new_ones(1), room.cumprod(0)[:-1]])
    return strides, (flat * strides).sum(1).view(corners.shape[:2])


def exact(points: Tensor, values: Tensor) -> Tensor:
    """The Gaussian sum itself, (n, d) and (n, c) to (n, c), in time n squared."""
    return torch.exp(-torch.cdist(points, points).square() / 2) @ values
