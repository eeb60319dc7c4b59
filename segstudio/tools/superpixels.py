"""Superpixels: the picture in small pieces that end at its edges, painted piece by piece."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.geometry import trace
from segstudio.annotation.shape import Points, as_points
from segstudio.tools.desk import RGB, Desk, Pointer, Preview
from segstudio.tools.regions import Growth, PixelTool

BLOCK: Final = 512
"""Pieces end at the lines between blocks of so many pixels, which are cut one by one."""
_KEPT: Final = 24
"""Blocks whose pieces are remembered."""
_SMALLEST, _LARGEST = 6, 64
_NEIGHBOURS: Final = ((-1, 0), (1, 0), (0, -1), (0, 1))
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
    """(h, w) numbers from 1 on of connected pieces about `spacing` pixels wide.

    A watershed (Meyer 1992, by OpenCV) of the softened picture (h, w, 3) from one seed a cell,
    put where the cell is calmest.
    """
    height, width = rgb.shape[:2]
    soft = cv2.GaussianBlur(rgb, (0, 0), 1.0)
    # the watershed leaves the outermost pixels out
    framed = cv2.copyMakeBorder(soft, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    marks = np.zeros((height + 2, width + 2), np.int32)
    rows, columns = _seeds(np.asarray(soft, np.uint8), spacing)
    marks[rows + 1, columns + 1] = np.arange(1, len(rows) + 1)
    cv2.watershed(framed, marks)
    _close(marks, framed.astype(np.int16))
    return np.ascontiguousarray(marks[1:-1, 1:-1])


def _seeds(soft: RGB, spacing: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the calmest pixel in the middle of every cell."""
    grey = cv2.cvtColor(soft, cv2.COLOR_RGB2GRAY)
    edges = np.abs(cv2.Sobel(grey, cv2.CV_32F, 1, 0)) + np.abs(cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    height, width = edges.shape
    down, across = max(1, height // spacing), max(1, width // spacing)
    tops = ((np.arange(down) + 0.5) * height / down).astype(np.intp)
    lefts = ((np.arange(across) + 0.5) * width / across).astype(np.intp)
    half = min(spacing // 4, tops[0], lefts[0])
    steps = np.arange(-half, half + 1)
    rows = np.clip(tops[:, None, None, None] + steps[None, None, :, None], 0, height - 1)
    columns = np.clip(lefts[None, :, None, None] + steps[None, None, None, :], 0, width - 1)
    cells = edges[rows, columns].reshape(down * across, -1)
    best = cells.argmin(axis=1)
    dy, dx = steps[best // len(steps)], steps[best % len(steps)]
    row = np.repeat(tops, across) + dy
    column = np.tile(lefts, down) + dx
    return np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)


def _close(marks: Labels, colours: NDArray[np.int16]) -> None:
    """Give the lines between pieces to the neighbour that is most alike; the frame stays."""
    marks[0], marks[-1], marks[:, 0], marks[:, -1] = 0, 0, 0, 0
    while True:
        rows, columns = np.nonzero(marks == -1)
        if not len(rows):
            return
        best = np.full(len(rows), 1 << 30)
        chosen = np.full(len(rows), -1, np.int32)
        for dy, dx in _NEIGHBOURS:
            labels = marks[rows + dy, columns + dx]
            apart = colours[rows + dy, columns + dx] - colours[rows, columns]
            cost = np.abs(apart).sum(axis=1)
            nearer = (labels > 0) & (cost < best)
            best[nearer], chosen[nearer] = cost[nearer], labels[nearer]
        marks[rows, columns] = chosen
