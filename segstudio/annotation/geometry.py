"""Plane geometry of shapes in image pixels: outlines of masks, simplification, hit tests."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from segstudio.annotation.shape import Points, as_points


def trace(mask: NDArray[np.generic]) -> list[Points]:
    """Outer rings of the 8-connected parts of `mask` (h, w), through pixel centres.

    Each ring has at least three points (1- and 2-px parts repeat theirs), so that filling it
    with its outline gives the part back; holes are not part of a ring.
    """
    stencil = np.ascontiguousarray(mask, dtype=np.uint8)
    rings, _ = cv2.findContours(stencil, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [_at_least_three(ring.reshape(-1, 2)) for ring in rings]


def _at_least_three(ring: NDArray[np.generic]) -> Points:
    repeated = np.concatenate([ring, np.repeat(ring[-1:], max(0, 3 - len(ring)), axis=0)])
    return as_points(repeated)


def simplify(points: Points, tolerance: float) -> Points:
    """A closed ring with fewer points, nowhere further than `tolerance` px from the given one.

    Douglas-Peucker; keeps at least three points. Tolerance 0 returns the ring itself.
    """
    if tolerance <= 0 or len(points) <= 3:
        return points
    ring = cv2.approxPolyDP(points.astype(np.float32).reshape(-1, 1, 2), tolerance, True)
    simple = ring.reshape(-1, 2).astype(np.float64)
    return as_points(simple) if len(simple) >= 3 else points


def nearest_vertex(points: Points, x: float, y: float, reach: float) -> int | None:
    """The index of the vertex nearest to (x, y) within `reach` px, or None."""
    if not len(points):
        return None
    squares = ((points - (x, y)) ** 2).sum(axis=1)
    best = int(squares.argmin())
    return best if squares[best] <= reach * reach else None


def nearest_edge(
    points: Points, x: float, y: float, reach: float, closed: bool = True
) -> int | None:
    """The index i of the nearest edge, from point i to i + 1, within `reach` px; or None."""
    if len(points) < 2:
        return None
    starts = points if closed else points[:-1]
    ends = np.roll(points, -1, axis=0) if closed else points[1:]
    along = ends - starts
    length = np.maximum((along**2).sum(axis=1), 1e-12)
    share = np.clip((((x, y) - starts) * along).sum(axis=1) / length, 0.0, 1.0)
    squares = ((starts + along * share[:, None] - (x, y)) ** 2).sum(axis=1)
    best = int(squares.argmin())
    return best if squares[best] <= reach * reach else None


def disc(radius: float) -> NDArray[np.bool_]:
    """A filled disc as a bool array of odd side; radius 0.5 is one pixel."""
    reach = max(0, int(np.floor(radius)))
    down, across = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    inside: NDArray[np.bool_] = down * down + across * across <= radius * radius
    return inside


def stroke(
    start: tuple[float, float], end: tuple[float, float], radius: float
) -> tuple[int, int, NDArray[np.bool_]]:
    """Pixels within `radius` of the segment: (x, y, mask), the mask's first pixel at (x, y).

    A pixel counts by the distance of its centre; at least the pixel under the end is in.
    """
    (ax, ay), (bx, by) = start, end
    x0, y0 = int(np.floor(min(ax, bx) - radius)), int(np.floor(min(ay, by) - radius))
    x1, y1 = int(np.ceil(max(ax, bx) + radius)) + 1, int(np.ceil(max(ay, by) + radius)) + 1
    xs = np.arange(x0, x1, dtype=np.float32)[None, :] + np.float32(0.5 - ax)
    ys = np.arange(y0, y1, dtype=np.float32)[:, None] + np.float32(0.5 - ay)
    dx, dy = np.float32(bx - ax), np.float32(by - ay)
    length = max(float(dx * dx + dy * dy), 1e-12)
    share = np.clip((xs * dx + ys * dy) / np.float32(length), 0.0, 1.0)
    mask: NDArray[np.bool_] = (xs - share * dx) ** 2 + (ys - share * dy) ** 2 <= radius * radius
    mask[int(np.floor(by)) - y0, int(np.floor(bx)) - x0] = True
    return x0, y0, mask
