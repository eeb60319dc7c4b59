"""A picture too large for memory: a small copy of all of it, and the tiles that are looked at."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final

import cv2
import numpy as np

from segstudio.annotation.bitmap import Box, intersect_boxes
from segstudio.project.tiles import Place, TileReader, put
from segstudio.studio.canvas.picture import RGB, Picture, halved

_CACHE: Final = 384 * 2**20
_WANTED: Final = 400
"""Tiles asked for that are remembered; those of views long gone are not read any more."""


class TiledPicture(Picture):
    """Tiles come in the background, the ones asked for last first; until then, and from afar, the
    small copy is shown, which itself fills row by row.

    `work` reads one tile on a background thread and returns what to do on the window's thread.
    """

    def __init__(self, tiles: TileReader, wake: Callable[[TiledPicture], None]) -> None:
        super().__init__(tiles.width, tiles.height)
        self._tiles = tiles
        self._wake = wake
        self._step = tiles.shrink()
        small = np.full((self.height // self._step, self.width // self._step, 3), 40, np.uint8)
        self._levels = halved(small)
        self._overview: Iterator[tuple[tuple[int, int], RGB]] | None = tiles.overview()
        self._cache: OrderedDict[Place, list[RGB]] = OrderedDict()
        """Tiles, each also at half its size, a quarter, and so on."""
        self._used = 0
        self._wanted: OrderedDict[Place, None] = OrderedDict()
        self._lock = threading.Lock()
        self._closed = False
        self._told = 0

    @property
    def is_whole(self) -> bool:
        return True

    @property
    def nbytes(self) -> int:
        return super().nbytes + self._used

    def close(self) -> None:
        """Read no more."""
        with self._lock:
            self._closed = True
            self._wanted.clear()
            self._overview = None
        self._tiles.close()

    @property
    def name(self) -> str:
        """Of the file."""
        return self._tiles.path.name

    def newly_damaged(self) -> int:
        """How many tiles cannot be read, when there are more than at the last call; else 0."""
        count = len(self._tiles.damaged)
        if count == self._told:
            return 0
        self._told = count
        return count

    # -- drawing, on the window's thread

    def _level(self, scale: float) -> tuple[tuple[int, int], float, float]:
        if not self._is_near(scale):
            return super()._level(scale)
        shrunk = self._shrunk(scale)
        return (-(-self.width // shrunk), -(-self.height // shrunk)), 1 / shrunk, 1 / shrunk

    def _region(self, scale: float, box: Box) -> RGB:
        if not self._is_near(scale):
            return super()._region(scale, box)
        return self._assembled(box, self._shrunk(scale))

    def _shrunk(self, scale: float) -> int:
        """How many times smaller copies of the tiles still have a pixel for every one on the
        screen; a power of two below that of the small copy of all."""
        return 1 << max(0, math.floor(math.log2(1 / scale)))

    def pixels(self, box: Box) -> RGB | None:
        missing = [place for place in self._places(box) if place not in self._cache]
        if missing:
            self._ask(missing)
            return None
        return self._assembled(box)

    def _places(self, box: Box, shrunk: int = 1) -> list[Place]:
        """The tiles that make up a part of the picture made so many times smaller."""
        x0, y0, x1, y1 = box
        wide, high = (side // shrunk for side in self._tiles.tile)
        rows = range(y0 // high, (y1 - 1) // high + 1)
        columns = range(x0 // wide, (x1 - 1) // wide + 1)
        return [(row, column) for row in rows for column in columns]

    def _is_near(self, scale: float) -> bool:
        """Whether the small copy has fewer pixels than the screen."""
        return scale * self._step > 1

    def _assembled(self, box: Box, shrunk: int = 1) -> RGB:
        """A part of the picture made so many times smaller, from tiles; from the small copy where
        they are not there yet."""
        x0, y0, x1, y1 = box
        out = np.empty((y1 - y0, x1 - x0, 3), np.uint8)
        wide, high = (side // shrunk for side in self._tiles.tile)
        missing = []
        for row, column in self._places(box, shrunk):
            corner = column * wide, row * high
            part = intersect_boxes(box, (*corner, corner[0] + wide, corner[1] + high))
            copies = self._cache.get((row, column))
            if copies is None:
                missing.append((row, column))
                pixels = self._enlarged(part, shrunk)
            else:
                self._cache.move_to_end((row, column))
                left, top = part[0] - corner[0], part[1] - corner[1]
                tile = copies[shrunk.bit_length() - 1]
                pixels = tile[top : top + part[3] - part[1], left : left + part[2] - part[0]]
            out[part[1] - y0 : part[3] - y0, part[0] - x0 : part[2] - x0] = pixels
        if missing:
            self._ask(missing)
        return out

    def _enlarged(self, box: Box, shrunk: int) -> RGB:
        x0, y0, x1, y1 = (value * shrunk // self._step for value in box)
        small = self._levels[0]
        part = small[min(y0, len(small) - 1) : y1 + 1, min(x0, small.shape[1] - 1) : x1 + 1]
        size = box[2] - box[0], box[3] - box[1]
        return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_NEAREST), np.uint8)

    def _ask(self, missing: list[Place]) -> None:
        with self._lock:
            if self._closed:
                return
            for place in missing:
                self._wanted[place] = None
                self._wanted.move_to_end(place)
            while len(self._wanted) > _WANTED:
                self._wanted.popitem(last=False)
        self._wake(self)

    # -- reading, on a background thread

    def work(self) -> Callable[[], None] | None:
        """Read one tile; None when there is nothing left to read."""
        with self._lock:
            if self._closed:
                return None
            place = self._wanted.popitem()[0] if self._wanted else None
        if place is not None:
            copies = _smaller(self._tiles.read(place), self._step)
            return lambda: self._take(place, copies)
        overview = self._overview
        found = next(overview, None) if overview is not None else None
        if found is None:
            self._overview = None
            return None
        return lambda: self._take_small(*found)

    def _take(self, place: Place, copies: list[RGB]) -> None:
        if place not in self._cache:
            self._cache[place] = copies
            self._used += _bytes_of(copies)
        while self._used > _CACHE:
            self._used -= _bytes_of(self._cache.popitem(last=False)[1])
        self.revision += 1
        wide, high = self._tiles.tile
        x, y = place[1] * wide, place[0] * high
        self.changed((x, y, x + wide, y + high))

    def _take_small(self, corner: tuple[int, int], part: RGB) -> None:
        put(self._levels[0], corner, part)
        x, y = corner
        for depth in range(1, len(self._levels)):
            level, finer = self._levels[depth], self._levels[depth - 1]
            x0, y0 = (x >> depth) - 1, (y >> depth) - 1
            x1, y1 = (x + part.shape[1] >> depth) + 2, (y + part.shape[0] >> depth) + 2
            box = intersect_boxes((x0, y0, x1, y1), (0, 0, level.shape[1], level.shape[0]))
            source = finer[2 * box[1] : 2 * box[3], 2 * box[0] : 2 * box[2]]
            size = box[2] - box[0], box[3] - box[1]
            if min(size) > 0:
                level[box[1] : box[3], box[0] : box[2]] = cv2.resize(
                    source, size, interpolation=cv2.INTER_AREA
                )
        self.revision += 1
        left, top = x * self._step, y * self._step
        wide, high = self._tiles.tile
        self.changed((left, top, left + wide, top + high))


def _smaller(tile: RGB, step: int) -> list[RGB]:
    """A tile, half of it, half of that, down to twice what `step` would make of it; a pixel that
    hangs over the picture's edge counts as one."""
    copies = [tile]
    while 1 << len(copies) < step:
        size = -(-copies[-1].shape[1] // 2), -(-copies[-1].shape[0] // 2)
        smaller = cv2.resize(copies[-1], size, interpolation=cv2.INTER_AREA)
        copies.append(np.asarray(smaller, np.uint8))
    return copies


def _bytes_of(copies: list[RGB]) -> int:
    return sum(copy.nbytes for copy in copies)
