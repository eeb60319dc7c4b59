"""Pictures too large to be decoded as a whole: parts of a tiled TIFF, read when looked at."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from segstudio.errors import UserError

RGB = NDArray[np.uint8]
Place = tuple[int, int]
"""(row, column) of a tile."""
LARGE: Final = 200_000_000
"""Pixels from which on a picture is read by its tiles."""
_NOTHING: Final = 40
"""Grey level where there is no tile."""
_OVERVIEW: Final = 40_000_000
"""Pixels that a copy of the whole picture has at most."""


class TileReader:
    """The first page of a tiled TIFF of 8 bits a channel; may be used on any thread."""

    def __init__(self, path: Path) -> None:
        import tifffile  # seldom needed, and the window's start does not wait for it

        self._file = tifffile.TiffFile(path)
        page = self._file.pages.first
        if not isinstance(page, tifffile.TiffPage) or not _is_readable(page):
            self._file.close()
            raise UserError("The picture has no tiles that can be read one by one", path=path)
        self._page = page
        self.damaged: set[Place] = set()
        """Tiles that cannot be decoded, shown as grey."""
        self._lock = threading.Lock()
        self.path = path
        self.width, self.height = page.imagewidth, page.imagelength
        self.tile = page.tilewidth, page.tilelength

    def close(self) -> None:
        """Read no more; whoever still tries gets an error."""
        with self._lock:
            self._file.close()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        width, height = self.tile
        return -(-self.height // height), -(-self.width // width)

    def read(self, place: Place) -> RGB:
        """One tile as (h, w, 3) uint8, cut at the picture's right and lower edge."""
        columns = self.shape[1]
        row, column = place
        index = row * columns + column
        with self._lock:
            handle = self._file.filehandle
            handle.seek(self._page.dataoffsets[index])
            data = handle.read(self._page.databytecounts[index])
        width, height = self.tile
        try:
            # nothing where a tile was never written
            decoded = self._page.decode(data or None, index, jpegtables=self._page.jpegtables)[0]
        except Exception:  # whatever a decoder says: the other tiles can be looked at
            self.damaged.add(place)
            decoded = None
        if decoded is None:
            grey = np.full((height, width, 3), _NOTHING, np.uint8)
            return grey[: self.height - row * height, : self.width - column * width]
        pixels = np.asarray(decoded).reshape(-1, *np.shape(decoded)[-2:])
        pixels = pixels[: self.height - row * height, : self.width - column * width]
        if pixels.shape[-1] == 1:
            pixels = np.repeat(pixels, 3, axis=-1)
        return np.ascontiguousarray(pixels[..., :3], dtype=np.uint8)

    def shrink(self) -> int:
        """How many times smaller than the picture its overview is."""
        step = 1
        while self.width * self.height > _OVERVIEW * step * step:
            step *= 2
        return step

    def overview(self) -> Iterator[tuple[tuple[int, int], RGB]]:
        """All tiles made smaller by `shrink`, each with its (x, y) in the overview."""
        step = self.shrink()
        width, height = self.tile
        rows, columns = self.shape
        for row in range(rows):
            for column in range(columns):
                pixels = self.read((row, column))
                size = max(1, pixels.shape[1] // step), max(1, pixels.shape[0] // step)
                small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
                yield (column * width // step, row * height // step), np.asarray(small, np.uint8)


def _is_readable(page: Any) -> bool:
    plain = page.is_tiled and page.dtype == np.uint8 and page.planarconfig == 1
    turned = "Orientation" in page.tags and page.tags["Orientation"].value != 1
    return bool(
        plain and not turned and page.samplesperpixel in (1, 3, 4) and page.photometric in (1, 2)
    )


def open_tiles(path: Path, size: tuple[int, int]) -> TileReader | None:
    """A reader for a picture of `size` (width, height) when it is large and has tiles."""
    if size[0] * size[1] < LARGE or path.suffix.lower() not in (".tif", ".tiff"):
        return None
    try:
        return TileReader(path)
    except UserError:
        return None


def read_overview(tiles: TileReader) -> RGB:
    """The whole picture made smaller, (h, w, 3) uint8."""
    step = tiles.shrink()
    whole = np.zeros((tiles.height // step, tiles.width // step, 3), np.uint8)
    for corner, part in tiles.overview():
        put(whole, corner, part)
    return whole


def put(whole: RGB, corner: tuple[int, int], part: RGB) -> None:
    """Put a part where it belongs; what hangs over is cut."""
    x, y = corner
    place = whole[y : y + part.shape[0], x : x + part.shape[1]]
    place[...] = part[: place.shape[0], : place.shape[1]]
