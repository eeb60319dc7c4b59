"""Superpixels: the picture in small pieces that end at its edges, painted piece by piece."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.geometry import trace
from segstudio.annotation.shape import Points, as_points
from segstudio.tools.desk import RGB, Desk, Pointer, Preview
from segstudio.tools.growth import Growth
from segstudio.tools.regions import PixelTool

BLOCK: Final = 192
"""Pieces end at the lines between blocks of so many pixels, which are cut one by one."""
_KEPT: Final = 100
"""Blocks whose pieces are remembered."""
_SMALLEST, _LARGEST = 6, 64
_AROUND: Final = [(dy, dx) for dy in (0, -1, 1) for dx in (0, -1, 1)]
_ROUNDS: Final = 3
_COMPACT, _LEAST, _MOST = 0.5, 1.5, 10.0
"""How far a whole spacing counts, in the picture's contrast, and its bounds in CIELAB units."""
Labels = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Piece:
    """A superpixel: the block's corner, the distance between pieces, and its number."""

    corner: tuple[int, int]
    spacing: int
    number: int


class Pieces:
    """Superpixels of the picture, cut block by block when they are asked for."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._blocks: OrderedDict[tuple[tuple[int, int], int], Labels] = OrderedDict()

    def at(self, x: int, y: int, spacing: int) -> Piece | None:
        """The piece that pixel (x, y) is in; None outside and where there are no pixels yet."""
        height, width = self._desk.document.size
        if not (0 <= x < width and 0 <= y < height):
            return None
        corner = x // BLOCK * BLOCK, y // BLOCK * BLOCK
        labels = self._labels(corner, spacing)
        if labels is None:
            return None
        return Piece(corner, spacing, int(labels[y - corner[1], x - corner[0]]))

    def mask(self, piece: Piece) -> NDArray[np.bool_]:
        """The pixels of a piece in its block."""
        labels = self._labels(piece.corner, piece.spacing)
        return np.zeros((1, 1), bool) if labels is None else labels == piece.number

    def _labels(self, corner: tuple[int, int], spacing: int) -> Labels | None:
        key = corner, spacing
        known = self._blocks.get(key)
        if known is not None:
            self._blocks.move_to_end(key)
            return known
        rgb = self._desk.pixels((*corner, corner[0] + BLOCK, corner[1] + BLOCK))
        if rgb is None:
            return None
        self._blocks[key] = labels = superpixels(rgb, spacing)
        while len(self._blocks) > _KEPT:
            self._blocks.popitem(last=False)
        return labels


class SuperpixelsTool(PixelTool):
    """Drag over pieces to give them the current class; the brush's size is their size."""

    step = "Superpixels"
    _room = 1

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.pieces = Pieces(desk)
        self._growth: Growth | None = None
        self._region = Bitmap()
        self._taken: set[Piece] = set()
        self._outline: tuple[Piece, Points] | None = None

    @property
    def spacing(self) -> int:
        """Pixels from piece to piece."""
        return int(min(max(round(2 * self.desk.brush_radius), _SMALLEST), _LARGEST))

    def press(self, pointer: Pointer) -> None:
        self.move(pointer)
        if self.refusal:
            return
        self._growth = Growth(self.desk, self.step)
        self._region = Bitmap()
        self._taken.clear()
        self._take(pointer, pointer)

    def drag(self, pointer: Pointer) -> None:
        last = self.hover or pointer
        self.move(pointer)
        if self._growth is not None:
            self._take(last, pointer)

    def release(self, pointer: Pointer) -> None:
        if self._growth is not None:
            self._growth.end()
        self._growth = None

    def cancel(self) -> None:
        self._growth = None
        super().cancel()

    @property
    def busy(self) -> bool:
        return self._growth is not None

    def preview(self) -> Preview:
        piece = None if self.hover is None else self.pieces.at(*self.hover.pixel, self.spacing)
        if piece is None:
            return Preview()
        if self._outline is None or self._outline[0] != piece:
            self._outline = piece, outline(self.pieces.mask(piece), piece.corner)
        return Preview(self._outline[1], closed=True, filled=False, handles=False)

    def _take(self, start: Pointer, end: Pointer) -> None:
        """Take the pieces on the way from one place to the other."""
        far = math.dist((start.x, start.y), (end.x, end.y))
        count = int(far / (self.spacing / 4)) + 2
        way = np.linspace((start.x, start.y), (end.x, end.y), count)
        pixels = np.unique(np.floor(way).astype(int), axis=0).tolist()
        found = {self.pieces.at(x, y, self.spacing) for x, y in pixels}
        fresh = {piece for piece in found if piece is not None} - self._taken
        if not fresh or self._growth is None:
            return
        self._taken |= fresh
        for piece in fresh:
            self._region |= Bitmap.from_array(self.pieces.mask(piece), *piece.corner)
        self._growth.show(self._region)


def outline(mask: NDArray[np.bool_], corner: tuple[int, int]) -> Points:
    """The ring around the largest part of a mask whose first pixel is at `corner`."""
    rings = trace(mask)
    if not rings:
        return as_points([])
    return as_points(max(rings, key=len) + np.array(corner) + 0.5)


def superpixels(rgb: RGB, spacing: int) -> Labels:
    """(h, w) numbers of connected pieces about `spacing` pixels wide, for a picture (h, w, 3).

    SLIC (Achanta et al. 2012), where a pixel chooses among its own grid cell's cluster and the
    eight around it; the weight of distance follows the picture's contrast. Parts cut off from
    the rest of their piece go to their neighbours.
    """
    height, width = rgb.shape[:2]
    down, across = -(-height // spacing), -(-width // spacing)
    soft = cv2.GaussianBlur(rgb, (0, 0), max(1.0, spacing / 16)).astype(np.float32) / np.float32(
        255
    )
    lab = np.asarray(cv2.cvtColor(soft, cv2.COLOR_RGB2LAB), np.float32)
    more = down * spacing - height, across * spacing - width
    lab = np.pad(lab, ((0, more[0]), (0, more[1]), (0, 0)), mode="edge")
    contrast = float(np.sqrt(lab.reshape(-1, 3).var(axis=0).sum()))
    weight = min(max(_COMPACT * contrast, _LEAST), _MOST) / spacing
    places = np.indices(lab.shape[:2], np.float32).transpose(1, 2, 0) * np.float32(weight)
    features = np.concatenate([lab, places], axis=-1).reshape(down, spacing, across, spacing, 5)
    labels = _clusters(np.ascontiguousarray(features.transpose(0, 2, 4, 1, 3)))
    labels = labels.transpose(0, 2, 1, 3).reshape(lab.shape[:2])[:height, :width]
    return _joined(np.ascontiguousarray(labels), lab[:height, :width])


def _clusters(cells: NDArray[np.float32]) -> Labels:
    """k-means of features (down, across, 5, s, s) from one cluster a cell: (down, across, s, s)."""
    down, across, depth, side, _ = cells.shape
    pixels = cells.reshape(down * across, depth, -1)
    columns = [np.ascontiguousarray(pixels[:, place]).ravel() for place in range(depth)]
    near = _neighbours(down, across)
    centres = pixels.mean(axis=2)
    labels = np.zeros((down * across, side * side), np.int32)
    for _ in range(_ROUNDS):
        # |f - c|^2 without |f|^2, which is the same for all nine
        far = (centres**2).sum(axis=1)[near][:, :, None] - 2 * (centres[near] @ pixels)
        best = far[:, 0].copy()
        labels[:] = near[:, :1]
        for place in range(1, near.shape[1]):
            nearer = far[:, place] < best
            np.copyto(best, far[:, place], where=nearer)
            np.copyto(labels, near[:, place, None], where=nearer)
        centres = _means(columns, labels.ravel(), centres)
    return labels.reshape(down, across, side, side)


def _neighbours(down: int, across: int) -> Labels:
    """For every cell of a grid itself and the eight around it: (cells, 9)."""
    rows, columns = np.divmod(np.arange(down * across, dtype=np.int32), across)
    beside = [
        np.clip(rows + dy, 0, down - 1) * across + np.clip(columns + dx, 0, across - 1)
        for dy, dx in _AROUND
    ]
    return np.stack(beside, axis=1).astype(np.int32)


def _means(
    columns: Sequence[NDArray[np.float32]], labels: Labels, before: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The mean features of every cluster (n, 5); of an empty one, those before."""
    count = len(before)
    sizes = np.bincount(labels, minlength=count)[:, None]
    sums = np.stack([np.bincount(labels, column, count) for column in columns], axis=1)
    return np.where(sizes > 0, sums / np.maximum(sizes, 1), before).astype(np.float32)


def _joined(labels: Labels, colours: NDArray[np.float32]) -> Labels:
    """Every number on the one connected part that holds the pixel most in its middle."""
    height, width = labels.shape
    visited = np.zeros((height + 2, width + 2), np.uint8)
    for x, y in _middles(labels):
        cv2.floodFill(labels, visited, (x, y), 0, 0, 0, 4 | cv2.FLOODFILL_MASK_ONLY | (1 << 8))
    marks = np.full(visited.shape, -1, np.int32)
    marks[1:-1, 1:-1] = np.where(visited[1:-1, 1:-1] > 0, labels, -1)
    framed = np.pad(colours, ((1, 1), (1, 1), (0, 0)), mode="edge")
    while _spread(marks, framed):
        continue
    return np.ascontiguousarray(marks[1:-1, 1:-1])


def _middles(labels: Labels) -> Iterator[tuple[int, int]]:
    """For every number the pixel (x, y) of it that is nearest to the middle of its pixels."""
    height, width = labels.shape
    flat = labels.ravel()
    rows, columns = np.divmod(np.arange(height * width), width)
    sizes = np.maximum(np.bincount(flat), 1)
    down, across = (np.bincount(flat, where) / sizes for where in (rows, columns))
    far = (rows - down[flat]) ** 2 + (columns - across[flat]) ** 2
    order = np.argsort(-far)
    nearest = np.full(len(sizes), -1)
    nearest[flat[order]] = order  # the last one stays
    nearest = nearest[nearest >= 0]
    yield from zip((nearest % width).tolist(), (nearest // width).tolist(), strict=True)


def _spread(marks: Labels, colours: NDArray[np.float32]) -> bool:
    """Pixels of -1 inside the frame take the number of the neighbour most alike; were there any?"""
    rows, columns = np.nonzero(marks[1:-1, 1:-1] < 0)
    rows, columns = rows + 1, columns + 1
    best = np.full(len(rows), np.inf)
    chosen = np.full(len(rows), -1, np.int32)
    for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        labels = marks[rows + dy, columns + dx]
        apart = colours[rows + dy, columns + dx] - colours[rows, columns]
        far = (apart**2).sum(axis=1)
        nearer = (labels >= 0) & (far < best)
        best[nearer], chosen[nearer] = far[nearer], labels[nearer]
    marks[rows, columns] = chosen
    return len(rows) > 0
