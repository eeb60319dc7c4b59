"""The id map: the number of the top-most shape per pixel, in tiles drawn when they are looked at.

Hover is one array read, hiding or changing a shape redraws its rectangle only, and a picture
costs what is looked at: tiles live in a least-recently-used cache, uniform ones as one number.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segstudio.annotation.bitmap import TILE, Box, intersect_boxes
from segstudio.annotation.document import Change, Document, Layer, Splice
from segstudio.annotation.rasterise import IdArray, draw_ids
from segstudio.annotation.shape import Shape

CACHE_BYTES: Final = 96 * 2**20
_NOTHING: Final = (0, 0, 0, 0)
_Tile = int | IdArray
_Boxes = NDArray[np.int64]


class IdMap:
    """A view of a document's shapes and drafts as numbers per pixel (0 where there is none)."""

    def __init__(self, document: Document, cache_bytes: int = CACHE_BYTES) -> None:
        self.document: Final = document
        self.height, self.width = document.size
        self._hidden: frozenset[str] = frozenset()
        self._tiles: OrderedDict[tuple[int, int], _Tile] = OrderedDict()
        self._room = cache_bytes
        self._bounds: dict[Layer, _Boxes] = {
            "drafts": _bounds_of(document.drafts),
            "shapes": _bounds_of(document.shapes),
        }

    # -- reading

    def at(self, x: int, y: int) -> int:
        """The shape on top at a pixel, 0 when there is none or it is outside."""
        if not (0 <= x < self.width and 0 <= y < self.height):
            return 0
        tile = self._tile(y // TILE, x // TILE)
        return tile if isinstance(tile, int) else int(tile[y % TILE, x % TILE])

    def stack(self, x: int, y: int) -> list[int]:
        """All visible shapes that cover a pixel, the top-most first."""
        if not (0 <= x < self.width and 0 <= y < self.height):
            return []
        row = (0, y, self.width, y + 1)
        shapes, ids = self._meeting((x, y, x + 1, y + 1))
        covers = [n for s, n in zip(shapes, ids, strict=True) if draw_ids([s], [1], row, "L")[0, x]]
        return covers[::-1]

    def sample(self, columns: NDArray[np.intp], rows: NDArray[np.intp]) -> IdArray:
        """Ids where ascending pixel `rows` and `columns` cross: (len(rows), len(columns))."""
        out = np.zeros((len(rows), len(columns)), dtype=np.int32)
        for row, down in _runs(rows):
            for column, across in _runs(columns):
                tile = self._tile(row, column)
                if isinstance(tile, int):
                    out[down, across] = tile
                else:
                    ys, xs = rows[down] - row * TILE, columns[across] - column * TILE
                    out[down, across] = tile.take(ys, axis=0).take(xs, axis=1)
        return out

    # -- changing

    def update(self, change: Change) -> None:
        """Follow a change of the document."""
        for splice in change.splices:
            self._move_bounds(splice)
        self._redraw(change.dirty)

    def hide(self, classes: frozenset[str]) -> None:
        """Show all classes but these."""
        if classes != self._hidden:
            self._hidden = classes
            self._tiles.clear()

    def _move_bounds(self, splice: Splice) -> None:
        old, fresh = self._bounds[splice.layer], _bounds_of(splice.inserted)
        end = splice.index + len(splice.removed)
        if len(splice.removed) == len(splice.inserted):
            old[splice.index : end] = fresh
        else:
            self._bounds[splice.layer] = np.concatenate([old[: splice.index], fresh, old[end:]])

    def _redraw(self, dirty: Box | None) -> None:
        if dirty is None:
            return
        box = intersect_boxes(dirty, (0, 0, self.width, self.height))
        x0, y0, x1, y1 = box
        touched = [key for key in self._tiles if _meets_tile(box, key)]
        if x1 <= x0 or y1 <= y0 or not touched:
            return
        shapes, ids = self._meeting(box)
        fresh = draw_ids(shapes, ids, (0, y0, self.width, y1))
        for key in touched:
            self._write(key, fresh, box)

    def _write(self, key: tuple[int, int], strip: NDArray[np.generic], box: Box) -> None:
        top, left = key[0] * TILE, key[1] * TILE
        x0, y0, x1, y1 = intersect_boxes(box, (left, top, left + TILE, top + TILE))
        tile = self._tiles[key]
        if isinstance(tile, int):
            shape = min(TILE, self.height - top), min(TILE, self.width - left)
            tile = np.full(shape, tile, dtype=np.int32)
        tile[y0 - top : y1 - top, x0 - left : x1 - left] = strip[y0 - box[1] : y1 - box[1], x0:x1]
        self._tiles[key] = _settled(tile)

    # -- drawing

    def _tile(self, row: int, column: int) -> _Tile:
        tile = self._tiles.get((row, column))
        if tile is None:
            self._draw_row(row)
            tile = self._tiles[(row, column)]
        else:
            self._tiles.move_to_end((row, column))
        return tile

    def _draw_row(self, row: int) -> None:
        y0, y1 = row * TILE, min((row + 1) * TILE, self.height)
        box = (0, y0, self.width, y1)
        shapes, ids = self._meeting(box)
        columns = range((self.width + TILE - 1) // TILE)
        if not shapes:
            self._tiles.update({(row, column): 0 for column in columns})
            return
        strip = draw_ids(shapes, ids, box)
        self._make_room(strip.nbytes)
        for column in columns:
            part = strip[:, column * TILE : (column + 1) * TILE]
            self._tiles[(row, column)] = _settled(part.astype(np.int32))

    def _make_room(self, wanted: int) -> None:
        used = sum(t.nbytes for t in self._tiles.values() if not isinstance(t, int))
        while self._tiles and used + wanted > self._room:
            _, tile = self._tiles.popitem(last=False)
            used -= 0 if isinstance(tile, int) else tile.nbytes

    def _meeting(self, box: Box) -> tuple[list[Shape], list[int]]:
        x0, y0, x1, y1 = box
        b = np.concatenate([self._bounds["drafts"], self._bounds["shapes"]])
        meets = (b[:, 0] < x1) & (b[:, 2] > x0) & (b[:, 1] < y1) & (b[:, 3] > y0)
        shapes, ids = self.document.items()
        chosen = np.flatnonzero(meets).tolist()
        if self._hidden:
            chosen = [i for i in chosen if shapes[i].class_name not in self._hidden]
        return [shapes[i] for i in chosen], [ids[i] for i in chosen]


def _bounds_of(shapes: Sequence[Shape]) -> _Boxes:
    boxes = [shape.bounds() or _NOTHING for shape in shapes]
    return np.array(boxes, dtype=np.int64).reshape(-1, 4)


def _settled(tile: IdArray) -> _Tile:
    first = int(tile[0, 0])
    return first if bool((tile == first).all()) else tile


def _meets_tile(box: Box, key: tuple[int, int]) -> bool:
    row, column = key
    return (
        box[0] < (column + 1) * TILE
        and column * TILE < box[2]
        and box[1] < (row + 1) * TILE
        and row * TILE < box[3]
    )


def _runs(positions: NDArray[np.intp]) -> Iterator[tuple[int, slice]]:
    """Ascending pixel positions cut by tile: (tile number, slice of `positions`)."""
    if not len(positions):
        return
    tiles = positions // TILE
    cuts = np.flatnonzero(np.diff(tiles)) + 1
    starts = [0, *cuts.tolist(), len(positions)]
    for start, end in pairwise(starts):
        yield int(tiles[start]), slice(start, end)
