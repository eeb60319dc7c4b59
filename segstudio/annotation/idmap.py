"""The id map: the number of the top-most shape per pixel, in tiles drawn when they are looked at.

Hover is one array read, hiding or changing a shape redraws its rectangle only, and a picture
costs what is looked at: tiles live in a least-recently-used cache, uniform ones as one number.
From afar, every 2nd, 4th, … pixel is enough: such levels have tiles of their own. What an edit
changed is drawn anew in a level when that is looked at: often only one of them ever is.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segstudio.annotation.bitmap import TILE, Box, intersect_boxes, union_boxes
from segstudio.annotation.document import Change, Document, Layer, Splice
from segstudio.annotation.rasterise import IdArray, draw_ids, draw_overview
from segstudio.annotation.shape import Shape, bounds_of

CACHE_BYTES: Final = 96 * 2**20
COARSEST: Final = 64
"""The largest step between pixels of a level."""
_LAYERS: Final[tuple[Layer, ...]] = ("drafts", "shapes")
_MANY: Final = 3
"""Of what is drawn anew at once, every so-manieth tile must be there."""
_MOST_BEHIND: Final = 64
"""More boxes than this do not wait in a level: its tiles there are drawn when looked at."""
_Tile = int | IdArray
_Key = tuple[int, int, int]
"""(step, row, column): a tile of every step-th pixel."""
_Boxes = NDArray[np.int64]


class IdMap:
    """A view of a document's shapes and drafts as numbers per pixel (0 where there is none)."""

    def __init__(self, document: Document, cache_bytes: int = CACHE_BYTES) -> None:
        self.document: Final = document
        self.height, self.width = document.size
        self._hidden: tuple[frozenset[str], frozenset[int]] = frozenset(), frozenset()
        self._tiles: OrderedDict[_Key, _Tile] = OrderedDict()
        self._behind: dict[int, list[Box]] = {}
        """By step, what its tiles show as it was before the last edits."""
        self._used = 0
        self._room = cache_bytes
        self._bounds: dict[Layer, _Boxes] = {
            "drafts": bounds_of(document.drafts),
            "shapes": bounds_of(document.shapes),
        }

    # -- reading

    def at(self, x: int, y: int) -> int:
        """The shape on top at a pixel, 0 when there is none or it is outside."""
        if not (0 <= x < self.width and 0 <= y < self.height):
            return 0
        tile = self._tiles.get((1, y // TILE, x // TILE))
        if tile is None or any(_contains(box, x, y) for box in self._behind.get(1, ())):
            return next(self._covering(x, y), 0)
        return tile if isinstance(tile, int) else int(tile[y % TILE, x % TILE])

    def stack(self, x: int, y: int) -> list[int]:
        """All visible shapes that cover a pixel, the top-most first."""
        if not (0 <= x < self.width and 0 <= y < self.height):
            return []
        return list(self._covering(x, y))

    def near(self, x: float, y: float, reach: float) -> list[Shape]:
        """The visible shapes whose bounds come within `reach` pixels of a place."""
        left, top = math.floor(x - reach), math.floor(y - reach)
        right, bottom = math.ceil(x + reach), math.ceil(y + reach)
        return self._meeting((left, top, right, bottom))[0]

    def sample(self, columns: NDArray[np.intp], rows: NDArray[np.intp], step: int = 1) -> IdArray:
        """Ids where ascending pixel `rows` and `columns` cross: (len(rows), len(columns)).

        With `step`, a power of two, the pixel nearest above and left that is a multiple of it
        is taken: from afar that is as good, and costs less.
        """
        self._catch_up(step)
        out = np.zeros((len(rows), len(columns)), dtype=np.int32)
        rows, columns = rows // step, columns // step
        runs = list(_runs(columns))
        for row, down in _runs(rows):
            self._draw_missing(step, row, [column for column, _ in runs])
            for column, across in runs:
                tile = self._tiles[step, row, column]
                if isinstance(tile, int):
                    if tile:
                        out[down, across] = tile
                else:
                    ys, xs = rows[down] - row * TILE, columns[across] - column * TILE
                    out[down, across] = tile.take(ys, axis=0).take(xs, axis=1)
        self._make_room()
        return out

    def prepare(self, step: int) -> None:
        """Draw every tile of a level, as far as there is room, so that `sample` finds them."""
        self._catch_up(step)
        rows, columns = (-(-side // (step * TILE)) for side in (self.height, self.width))
        for row in range(rows):
            self._draw_missing(step, row, range(columns))
        self._make_room()

    def at_hand(self, columns: NDArray[np.intp], rows: NDArray[np.intp], step: int) -> int:
        """The step nearest to `step` with which `sample` has nothing to draw first; `step` itself
        when there is none."""
        finer = [step >> n for n in range(1, step.bit_length())]
        coarser = [s for s in (step << n for n in range(8)) if s <= COARSEST]
        for candidate in (*coarser[:1], *finer[:1], *coarser[1:], *finer[1:]):
            across = range(columns[0] // candidate // TILE, columns[-1] // candidate // TILE + 1)
            down = range(rows[0] // candidate // TILE, rows[-1] // candidate // TILE + 1)
            if candidate in self._behind:
                continue
            if all((candidate, row, column) in self._tiles for row in down for column in across):
                return candidate
        return step

    # -- changing

    def update(self, change: Change) -> None:
        """Follow a change of the document."""
        for splice in change.splices:
            self._move_bounds(splice)
        if change.dirty is not None:
            self._outdate(change.dirty)

    def hide(self, classes: frozenset[str], numbers: frozenset[int] = frozenset()) -> None:
        """Show everything but these classes, and these shapes or drafts."""
        if (classes, numbers) != self._hidden:
            self._hidden = classes, numbers
            self._tiles.clear()
            self._behind.clear()
            self._used = 0

    def _move_bounds(self, splice: Splice) -> None:
        old, fresh = self._bounds[splice.layer], bounds_of(splice.inserted)
        end = splice.index + len(splice.removed)
        if len(splice.removed) == len(splice.inserted):
            old[splice.index : end] = fresh
        else:
            self._bounds[splice.layer] = np.concatenate([old[: splice.index], fresh, old[end:]])

    def _outdate(self, dirty: Box) -> None:
        """Remember in every level that shows pixels of `dirty` that these are to be drawn anew."""
        box = intersect_boxes(dirty, (0, 0, self.width, self.height))
        if box[2] <= box[0] or box[3] <= box[1]:
            return
        for step in {key[0] for key in self._tiles if _meets_tile(box, key)}:
            waiting = self._behind.setdefault(step, [])
            if waiting and (joined := _joined(waiting[-1], box)) is not None:
                waiting[-1] = joined
            else:
                waiting.append(box)
            if len(waiting) > _MOST_BEHIND:
                late = self._behind.pop(step)
                self._forget([k for k in self._tiles if k[0] == step and _meets_any(late, k)])

    def _catch_up(self, step: int) -> None:
        """Draw anew what has changed in a level."""
        for box in self._behind.pop(step, ()):
            keys = [key for key in self._tiles if key[0] == step and _meets_tile(box, key)]
            if not keys:
                continue
            part = intersect_boxes(_in_steps(box, step), _around(keys))
            if _area(part) > _MANY * len(keys) * TILE**2:
                self._forget(keys)  # few tiles far apart: those are drawn when looked at
                continue
            fresh = _draw(*self._meeting(_in_pixels(part, step)), part, step)
            for key in keys:
                self._write(key, fresh, part)

    def _forget(self, keys: Iterable[_Key]) -> None:
        for key in keys:
            tile = self._tiles.pop(key)
            self._used -= 0 if isinstance(tile, int) else tile.nbytes

    def _write(self, key: _Key, fresh: IdArray, box: Box) -> None:
        """Put what was drawn in `box` (in pixels of the tile's level) into a tile."""
        top, left = key[1] * TILE, key[2] * TILE
        height, width = self._tile_shape(key)
        x0, y0, x1, y1 = intersect_boxes(box, (left, top, left + width, top + height))
        if x1 <= x0 or y1 <= y0:
            return
        tile = self._tiles[key]
        part = fresh[y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]]
        if isinstance(tile, int):
            if bool((part == tile).all()):
                return
            tile = np.full((height, width), tile, dtype=np.int32)
        else:
            self._used -= tile.nbytes
        tile[y0 - top : y1 - top, x0 - left : x1 - left] = part
        self._put(key, tile)

    # -- drawing

    def _draw_missing(self, step: int, row: int, columns: Sequence[int]) -> None:
        """Draw the tiles of a row that are not there, in one go."""
        missing = []
        for column in columns:
            if (step, row, column) in self._tiles:
                self._tiles.move_to_end((step, row, column))
            else:
                missing.append(column)
        if not missing:
            return
        width, height = -(-self.width // step), -(-self.height // step)
        first, last = missing[0], missing[-1] + 1
        box = (
            first * TILE,
            row * TILE,
            min(last * TILE, width),
            min((row + 1) * TILE, height),
        )
        shapes, ids = self._meeting(_in_pixels(box, step))
        if not shapes:
            self._tiles.update({(step, row, column): 0 for column in missing})
            return
        drawn = _draw(shapes, ids, box, step)
        for column in missing:
            left = (column - first) * TILE
            self._put((step, row, column), drawn[:, left : left + TILE].copy())

    def _tile_shape(self, key: _Key) -> tuple[int, int]:
        step, row, column = key
        width, height = -(-self.width // step), -(-self.height // step)
        return min(TILE, height - row * TILE), min(TILE, width - column * TILE)

    def _put(self, key: _Key, tile: IdArray) -> None:
        first = int(tile[0, 0])
        if bool((tile == first).all()):
            self._tiles[key] = first
        else:
            self._tiles[key] = tile
            self._used += tile.nbytes

    def _make_room(self) -> None:
        while self._used > self._room:
            _, tile = self._tiles.popitem(last=False)
            self._used -= 0 if isinstance(tile, int) else tile.nbytes

    # -- what lies where

    def _covering(self, x: int, y: int) -> Iterator[int]:
        shapes, ids = self._meeting((x, y, x + 1, y + 1))
        for shape, number in zip(reversed(shapes), reversed(ids), strict=True):
            if shape.bitmap is not None:
                covers = shape.bitmap.contains(x, y)
            else:
                covers = bool(draw_ids([shape], [1], (0, y, x + 1, y + 1), "L")[0, x])
            if covers:
                yield number

    def _meeting(self, box: Box) -> tuple[list[Shape], list[int]]:
        """The visible shapes whose bounds meet `box`, from the bottom up, and their numbers."""
        x0, y0, x1, y1 = box
        shapes: list[Shape] = []
        numbers: list[int] = []
        classes, hidden = self._hidden
        for layer in _LAYERS:
            b = self._bounds[layer]
            meets = (b[:, 0] < x1) & (b[:, 2] > x0) & (b[:, 1] < y1) & (b[:, 3] > y0)
            row, ids = self.document.layer_shapes(layer), self.document.ids(layer)
            met = np.flatnonzero(meets).tolist()
            if classes or hidden:
                met = [i for i in met if row[i].class_name not in classes and ids[i] not in hidden]
            shapes += [row[index] for index in met]
            numbers += [ids[index] for index in met]
        return shapes, numbers


def _draw(shapes: Sequence[Shape], ids: Sequence[int], box: Box, step: int) -> IdArray:
    """Ids of every step-th pixel in `box`, which counts such pixels."""
    if step > 1 or all(shape.bitmap is not None for shape in shapes):
        return draw_overview(shapes, ids, box, step)
    return draw_ids(shapes, ids, box).astype(np.int32, copy=False)


def _meets_any(boxes: Iterable[Box], key: _Key) -> bool:
    return any(_meets_tile(box, key) for box in boxes)


def _contains(box: Box, x: int, y: int) -> bool:
    return box[0] <= x < box[2] and box[1] <= y < box[3]


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _joined(a: Box, b: Box) -> Box | None:
    """One box for two that have little between them, else None."""
    both = union_boxes(a, b)
    return both if both is not None and _area(both) <= _area(a) + _area(b) else None


def _around(keys: Iterable[_Key]) -> Box:
    """The pixels of their level that tiles cover together, and what lies between."""
    places = np.array([key[1:] for key in keys]) * TILE
    (top, left), (bottom, right) = places.min(axis=0).tolist(), places.max(axis=0).tolist()
    return left, top, right + TILE, bottom + TILE


def _in_steps(box: Box, step: int) -> Box:
    """The box in pixels of a level, with a pixel around it where outlines are rounded."""
    if step == 1:
        return box
    x0, y0, x1, y1 = box
    return x0 // step - 1, y0 // step - 1, -(-x1 // step) + 1, -(-y1 // step) + 1


def _in_pixels(box: Box, step: int) -> Box:
    x0, y0, x1, y1 = box
    return x0 * step, y0 * step, x1 * step, y1 * step


def _meets_tile(box: Box, key: _Key) -> bool:
    step, row, column = key
    side, around = TILE * step, 0 if step == 1 else step
    return (
        box[0] - around < (column + 1) * side
        and column * side < box[2] + around
        and box[1] - around < (row + 1) * side
        and row * side < box[3] + around
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
