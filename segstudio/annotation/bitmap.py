"""An immutable set of pixels, in 256-pixel tiles of packed bits that copies share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

TILE: Final = 256
Box = tuple[int, int, int, int]
"""(x0, y0, x1, y1) in image pixels, ends exclusive."""
BoolArray = NDArray[np.bool_]
_Key = tuple[int, int]

_FULL: Final = np.full((TILE, TILE // 8), 255, dtype=np.uint8)
_FULL.setflags(write=False)


class Bitmap:
    """A finite set of pixels of the integer plane.

    Tiles are (256, 32) uint8 arrays of packed bits keyed by (row, column); an absent tile is
    empty and a full tile is one shared constant, so equal sets have equal tiles. Every
    operation returns a new Bitmap and shares the tiles it did not touch.
    """

    __slots__ = ("_bounds", "_tiles")

    def __init__(self, tiles: Mapping[_Key, NDArray[np.uint8]] = MappingProxyType({})) -> None:
        self._tiles = dict(tiles)
        self._bounds: Box | bool | None = False

    @classmethod
    def from_array(cls, mask: NDArray[np.generic], x: int = 0, y: int = 0) -> Bitmap:
        """The non-zero pixels of `mask`, shape (h, w), its first pixel at (x, y)."""
        # bytes are packed as they are: that spares a copy of a large mask
        pixels: NDArray[np.generic] = (
            mask if mask.dtype == np.uint8 else mask.astype(np.bool_, copy=False)
        )
        height, width = pixels.shape
        tiles: dict[_Key, NDArray[np.uint8]] = {}
        for key, (tile_y, tile_x) in _keys_of((x, y, x + width, y + height)):
            top, left = max(tile_y, y), max(tile_x, x)
            part = pixels[top - y : tile_y + TILE - y, left - x : tile_x + TILE - x]
            if not part.any():
                continue
            if part.shape == (TILE, TILE):
                block = part
            else:
                block = np.zeros((TILE, TILE), dtype=pixels.dtype)
                block[top - tile_y :, left - tile_x :][: part.shape[0], : part.shape[1]] = part
            tiles[key] = _packed(block)
        return cls(tiles)

    def to_array(self, box: Box, step: int = 1) -> BoolArray:
        """The pixels inside `box` as a bool array of shape (y1 - y0, x1 - x0).

        With `step`, a power of two up to 256, every step-th pixel; `box` then counts those.
        """
        x0, y0, x1, y1 = box
        out = np.zeros((max(0, y1 - y0), max(0, x1 - x0)), dtype=np.bool_)
        side = TILE // step
        for key, _ in self._touching((x0 * step, y0 * step, x1 * step, y1 * step)):
            tile_y, tile_x = key[0] * side, key[1] * side
            top, left = max(tile_y, y0), max(tile_x, x0)
            bottom, right = min(tile_y + side, y1), min(tile_x + side, x1)
            rows = self._tiles[key][(top - tile_y) * step : (bottom - tile_y) * step : step]
            tile = _unpacked(rows)[:, (left - tile_x) * step : (right - tile_x) * step : step]
            out[top - y0 : bottom - y0, left - x0 : right - x0] = tile
        return out

    def crop(self) -> tuple[int, int, BoolArray]:
        """(x, y, mask) of the tight bounds; (0, 0, an empty array) when there is no pixel."""
        box = self.bounds()
        if box is None:
            return 0, 0, np.zeros((0, 0), dtype=np.bool_)
        return box[0], box[1], self.to_array(box)

    def bounds(self) -> Box | None:
        """The tight box around all pixels, or None when there is none."""
        if isinstance(self._bounds, bool):
            self._bounds = self._find_bounds()
        return self._bounds

    def _find_bounds(self) -> Box | None:
        if not self._tiles:
            return None
        rows = [row for row, _ in self._tiles]
        columns = [column for _, column in self._tiles]
        first_row, last_row = min(rows), max(rows)
        first_column, last_column = min(columns), max(columns)
        x0 = y0 = TILE
        x1 = y1 = 0
        for (row, column), bits in self._tiles.items():
            if row in (first_row, last_row) or column in (first_column, last_column):
                down = np.flatnonzero(bits.any(axis=1))
                across = np.flatnonzero(np.unpackbits(np.bitwise_or.reduce(bits, axis=0)))
                y0 = min(y0, int(down[0])) if row == first_row else y0
                y1 = max(y1, int(down[-1]) + 1) if row == last_row else y1
                x0 = min(x0, int(across[0])) if column == first_column else x0
                x1 = max(x1, int(across[-1]) + 1) if column == last_column else x1
        return (
            first_column * TILE + x0,
            first_row * TILE + y0,
            last_column * TILE + x1,
            last_row * TILE + y1,
        )

    @property
    def area(self) -> int:
        """The number of pixels."""
        return sum(
            TILE * TILE if bits is _FULL else int(np.bitwise_count(bits).sum())
            for bits in self._tiles.values()
        )

    @property
    def tile_count(self) -> int:
        """How many tiles are not empty."""
        return len(self._tiles)

    @property
    def nbytes(self) -> int:
        """Bytes held by tiles that are not the shared full tile."""
        return sum(bits.nbytes for bits in self._tiles.values() if bits is not _FULL)

    def shares_tile(self, other: Bitmap, row: int, column: int) -> bool:
        """Whether both hold the very same tile object there (for tests of copy-on-write)."""
        return self._tiles.get((row, column)) is other._tiles.get((row, column))

    def changes_from(self, other: Bitmap) -> dict[_Key, NDArray[np.uint8] | None]:
        """The packed tiles that `other` does not have so, None for one that is empty here."""
        found: dict[_Key, NDArray[np.uint8] | None] = {
            key: bits for key, bits in self._tiles.items() if other._tiles.get(key) is not bits
        }
        return found | dict.fromkeys(other._tiles.keys() - self._tiles.keys())

    def patched(self, changes: Mapping[_Key, NDArray[np.uint8] | None]) -> Bitmap:
        """With packed tiles put in, and taken out where there is None."""
        tiles = {key: bits for key, bits in self._tiles.items() if key not in changes}
        fresh = {key: _sealed(bits) for key, bits in changes.items() if bits is not None}
        return Bitmap(tiles | fresh)

    def contains(self, x: int, y: int) -> bool:
        bits = self._tiles.get((y // TILE, x // TILE))
        if bits is None:
            return False
        return bool(bits[y % TILE, (x % TILE) // 8] >> (7 - x % 8) & 1)

    def shifted(self, dx: int, dy: int) -> Bitmap:
        """All pixels moved by (dx, dy)."""
        if dx % TILE == 0 and dy % TILE == 0:
            rows, columns = dy // TILE, dx // TILE
            return Bitmap({(r + rows, c + columns): b for (r, c), b in self._tiles.items()})
        x, y, mask = self.crop()
        return Bitmap.from_array(mask, x + dx, y + dy)

    def clipped(self, box: Box) -> Bitmap:
        """Only the pixels inside `box`."""
        bounds = self.bounds()
        if bounds is None or box_contains(box, bounds):
            return self
        x0, y0, x1, y1 = intersect_boxes(box, bounds)
        if x1 <= x0 or y1 <= y0:
            return Bitmap()
        return Bitmap.from_array(self.to_array((x0, y0, x1, y1)), x0, y0)

    def __or__(self, other: Bitmap) -> Bitmap:
        tiles = dict(self._tiles)
        for key, bits in other._tiles.items():
            mine = tiles.get(key)
            tiles[key] = bits if mine is None else _union(mine, bits)
        both = Bitmap(tiles)
        both._bounds = union_boxes(self.bounds(), other.bounds())
        return both

    def __and__(self, other: Bitmap) -> Bitmap:
        return self._combine(other, np.bitwise_and, keep_mine=False)

    def __sub__(self, other: Bitmap) -> Bitmap:
        return self._combine(other, lambda a, b: a & ~b, keep_mine=True)

    def _combine(
        self,
        other: Bitmap,
        operation: Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.uint8]],
        keep_mine: bool,
    ) -> Bitmap:
        tiles: dict[_Key, NDArray[np.uint8]] = {}
        for key, mine in self._tiles.items():
            theirs = other._tiles.get(key)
            if theirs is None:
                if keep_mine:
                    tiles[key] = mine
                continue
            bits = operation(mine, theirs)
            if bits.any():
                tiles[key] = mine if np.array_equal(bits, mine) else _sealed(bits)
        return Bitmap(tiles)

    def _touching(self, box: Box) -> Iterator[tuple[_Key, tuple[int, int]]]:
        x0, y0, x1, y1 = box
        rows, columns = (y1 - 1) // TILE - y0 // TILE + 1, (x1 - 1) // TILE - x0 // TILE + 1
        if rows * columns <= len(self._tiles):
            yield from (pair for pair in _keys_of(box) if pair[0] in self._tiles)
            return
        for row, column in self._tiles:
            place = row * TILE, column * TILE
            if boxes_meet(box, (place[1], place[0], place[1] + TILE, place[0] + TILE)):
                yield (row, column), place

    def __bool__(self) -> bool:
        return bool(self._tiles)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Bitmap):
            return NotImplemented
        if self._tiles.keys() != other._tiles.keys():
            return False
        return all(
            bits is other._tiles[key] or np.array_equal(bits, other._tiles[key])
            for key, bits in self._tiles.items()
        )

    __hash__ = None  # type: ignore[assignment]  # compares by value over arrays

    def __repr__(self) -> str:
        return f"Bitmap({self.area} px in {self.bounds()})"


def _keys_of(box: Box) -> Iterator[tuple[_Key, tuple[int, int]]]:
    x0, y0, x1, y1 = box
    if x1 <= x0 or y1 <= y0:
        return
    for row in range(y0 // TILE, (y1 - 1) // TILE + 1):
        for column in range(x0 // TILE, (x1 - 1) // TILE + 1):
            yield (row, column), (row * TILE, column * TILE)


def _packed(block: NDArray[np.generic]) -> NDArray[np.uint8]:
    return _FULL if block.all() else _frozen(np.packbits(block.view(np.uint8), axis=1))


def _sealed(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return _FULL if bits.all() and np.array_equal(bits, _FULL) else _frozen(bits)


def _frozen(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    bits.setflags(write=False)
    return bits


def _union(mine: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    bits = mine | theirs
    return mine if np.array_equal(bits, mine) else _sealed(bits)


def _unpacked(bits: NDArray[np.uint8]) -> BoolArray:
    return np.unpackbits(bits, axis=1).view(np.bool_)


def intersect_boxes(a: Box, b: Box) -> Box:
    """The common part; empty (x1 <= x0 or y1 <= y0) when they do not meet."""
    return max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])


def union_boxes(a: Box | None, b: Box | None) -> Box | None:
    """The smallest box around both; None is nothing."""
    if a is None or b is None:
        return a or b
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def box_contains(outer: Box, inner: Box) -> bool:
    return (
        outer[0] <= inner[0]
        and outer[1] <= inner[1]
        and outer[2] >= inner[2]
        and outer[3] >= inner[3]
    )


def boxes_meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
