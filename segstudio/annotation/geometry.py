"""Plane geometry of shapes in image pixels: outlines of masks, simplification, hit tests."""

from __future__ import annotations

from itertools import pairwise

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


def simplify(points: Points, tolerance: float, closed: bool = True) -> Points:
    """A ring, or an open line, with fewer points, nowhere further than `tolerance` px from the
    given one.

    Douglas-Peucker; a ring keeps at least three points, a line two. Tolerance 0 returns the points
    themselves.
    """
    least = 3 if closed else 2
    if tolerance <= 0 or len(points) <= least:
        return points
    line = cv2.approxPolyDP(points.astype(np.float32).reshape(-1, 1, 2), tolerance, closed)
    simple = line.reshape(-1, 2).astype(np.float64)
    return as_points(simple) if len(simple) >= least else points


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


def nearest_on_edges(
    points: Points, x: float, y: float, reach: float, closed: bool = True
) -> tuple[float, float] | None:
    """The place on the edges nearest to (x, y) within `reach` px, or None."""
    index = nearest_edge(points, x, y, reach, closed)
    if index is None:
        return None
    start, end = points[index], points[(index + 1) % len(points)]
    along = end - start
    share = float(np.clip(((x, y) - start) @ along / max(float(along @ along), 1e-12), 0.0, 1.0))
    place = start + share * along
    return float(place[0]), float(place[1])


def split_ring(ring: Points, start: tuple[float, float], end: tuple[float, float]) -> list[Points]:
    """The parts into which a segment cuts a closed ring; the ring itself when it does not.

    Each stretch of the segment inside the ring is a cut whose two ends both parts share.
    """
    crossings = _crossings(ring, np.array(start), np.array(end))
    pairs = list(pairwise(crossings))
    cut = next((i for i, (a, b) in enumerate(pairs) if _is_inside(ring, (a[2] + b[2]) / 2)), None)
    if cut is None:
        return [ring]
    (_, first, p), (share, second, q) = pairs[cut]
    if first > second:
        (first, p), (second, q) = (second, q), (first, p)
    one = np.concatenate([[p], ring[first + 1 : second + 1], [q]])
    two = np.concatenate([[q], ring[second + 1 :], ring[: first + 1], [p]])
    a, b = np.array(start), np.array(end)
    rest = a + (b - a) * (share + 1e-6)
    parts = [as_points(part) for part in (one, two) if len(part) >= 3]
    if len(crossings) - cut < 4:
        return parts
    return [
        piece for part in parts for piece in split_ring(part, (float(rest[0]), float(rest[1])), end)
    ]


def _is_inside(ring: Points, place: NDArray[np.float64]) -> bool:
    x, y = place.tolist()
    return cv2.pointPolygonTest(ring.astype(np.float32).reshape(-1, 1, 2), (x, y), False) > 0


_Crossing = tuple[float, int, NDArray[np.float64]]


def _crossings(ring: Points, a: NDArray[np.float64], b: NDArray[np.float64]) -> list[_Crossing]:
    """Where a ring's edges cross the segment a-b: (share of the way, edge, place), in order."""
    edges = np.roll(ring, -1, axis=0) - ring
    along = b - a
    turn = along[0] * edges[:, 1] - along[1] * edges[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = ring - a
        share = (gap[:, 0] * edges[:, 1] - gap[:, 1] * edges[:, 0]) / turn
        place = (gap[:, 0] * along[1] - gap[:, 1] * along[0]) / turn
    hit = (turn != 0) & (share >= 0) & (share <= 1) & (place >= 0) & (place < 1)
    found = [(float(share[i]), int(i), a + share[i] * along) for i in np.flatnonzero(hit)]
    return sorted(found, key=lambda crossing: crossing[0])


def disc(radius: float) -> NDArray[np.bool_]:
    """A filled disc as a bool array of odd side; radius 0.5 is one pixel."""
    reach = max(0, int(np.floor(radius)))
    down, across = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    inside: NDArray[np.bool_] = down * down + across * across <= radius * radius
    return inside


def stroke(
    start: tuple[float, float], end: tuple[float, float], radius: float, square: bool = False
) -> tuple[int, int, NDArray[np.bool_]]:
    """Pixels within `radius` of the segment: (x, y, mask), the mask's first pixel at (x, y).

    A pixel counts by the distance of its centre, the larger of both coordinates' for `square`;
    at least the pixel under the end is in.
    """
    (ax, ay), (bx, by) = start, end
    x0, y0 = int(np.floor(min(ax, bx) - radius)), int(np.floor(min(ay, by) - radius))
    x1, y1 = int(np.ceil(max(ax, bx) + radius)) + 1, int(np.ceil(max(ay, by) + radius)) + 1
    xs = np.arange(x0, x1, dtype=np.float32)[None, :] + np.float32(0.5 - ax)
    ys = np.arange(y0, y1, dtype=np.float32)[:, None] + np.float32(0.5 - ay)
    dx, dy = np.float32(bx - ax), np.float32(by - ay)
    if square:
        mask = _swept_square(xs, ys, float(dx), float(dy), radius)
    else:
        length = max(float(dx * dx + dy * dy), 1e-12)
        share = np.clip((xs * dx + ys * dy) / np.float32(length), 0.0, 1.0)
        mask = (xs - share * dx) ** 2 + (ys - share * dy) ** 2 <= radius * radius
    mask[int(np.floor(by)) - y0, int(np.floor(bx)) - x0] = True
    return x0, y0, mask


def _swept_square(
    xs: NDArray[np.float32], ys: NDArray[np.float32], dx: float, dy: float, radius: float
) -> NDArray[np.bool_]:
    """Where a square of half side `radius` comes by on its way from (0, 0) to (dx, dy)."""
    left, right = _while_near(xs, dx, radius)
    upper, lower = _while_near(ys, dy, radius)
    first = np.maximum(np.maximum(left, upper), 0.0)
    last = np.minimum(np.minimum(right, lower), 1.0)
    inside: NDArray[np.bool_] = first <= last
    return inside


def _while_near(
    places: NDArray[np.float32], step: float, radius: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """From when to when, of the way 0..1, `step` times the way is within `radius` of places."""
    if abs(step) < 1e-6:
        return np.where(np.abs(places) <= radius, np.float32(0), np.float32(2)), np.ones_like(
            places
        )
    ends = (places - radius) / np.float32(step), (places + radius) / np.float32(step)
    return np.minimum(*ends), np.maximum(*ends)
