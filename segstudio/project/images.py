"""Pictures as 8-bit RGB, whatever they are on the disk."""

from __future__ import annotations

import base64
import io
import json
import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from segstudio.errors import UserError
from segstudio.project.orientation import turn_array, turn_size
from segstudio.project.tiles import open_tiles, read_overview

IMAGE_SUFFIXES: Final = frozenset(
    ".jpg .jpeg .jpe .jfif .png .bmp .tif .tiff .webp .gif .ppm .pgm".split()
)
RGB = NDArray[np.uint8]
_TIFF: Final = (".tif", ".tiff")
_DEEP_MODES: Final = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_LOW, _HIGH = 0.1, 99.9
_BITS_PER_SAMPLE: Final = 258
_LARGE: Final = 1_000_000
"""Pixels from which on memory counts, and that other threads can go on meanwhile."""
_FAILURES: Final = (OSError, ValueError, SyntaxError, struct.error, EOFError, KeyError, TypeError)

# Pictures of hundreds of megapixels are this program's daily work, not an attack.
Image.MAX_IMAGE_PIXELS = None


class DamagedPicture(UserError):
    """What the file holds cannot be decoded; it will not be better the next time."""


def is_image(name: str) -> bool:
    """Whether a file of this name is a picture we read."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def read_image(path: Path) -> RGB:
    """The picture as uint8 (h, w, 3) RGB, turned as its EXIF says.

    16-bit and float pictures are scaled so that their percentiles 0.1 and 99.9 (over all pixels
    and channels) become 0 and 255; alpha is dropped; of several pages the first is read. A
    Labelme file gives the picture embedded in it. UserError when it cannot be read.
    """
    with _explained(path):
        if path.suffix.lower() == ".json":
            return _decode(io.BytesIO(embedded_image(path)), path)
        if path.suffix.lower() in _TIFF:
            return _read_tiff(path)
        with path.open("rb") as file:
            large = _read_large_jpeg(file)
            return _decode(file, path) if large is None else large


def read_deep(path: Path) -> NDArray[Any] | None:
    """A picture of more than 8 bits, or of more than three bands, as it is on the disk, turned:
    (h, w) or (h, w, bands), any dtype; None for any other. UserError when it cannot be read."""
    with _explained(path):
        if path.suffix.lower() in _TIFF:
            return _first_page(path) if _is_deep_tiff(path) else None
        if path.suffix.lower() != ".png":
            return None
        with path.open("rb") as file:
            return _deep_png_pixels(file) if _is_deep_png(file) else None


def _is_deep_tiff(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            many = len(image.getbands()) > 3 and image.mode != "CMYK"
            return many or image.mode in _DEEP_MODES or _has_deep_channels(image)
    except _FAILURES:
        return True  # what Pillow cannot read is of many bands, or of some unusual kind


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) of the turned picture, read from its header."""
    with _explained(path):
        if path.suffix.lower() == ".json":
            return data_size(embedded_image(path))
        try:
            with Image.open(path) as image:
                return _shown_size(image)
        except _FAILURES:
            if path.suffix.lower() not in _TIFF:
                raise
            height, width = _first_page(path).shape[:2]
            return width, height


def data_size(data: bytes) -> tuple[int, int]:
    """(width, height) of the turned picture in `data`, the bytes of a picture file."""
    with Image.open(io.BytesIO(data)) as image:
        return _shown_size(image)


def orientation_of(path: Path) -> int:
    """The EXIF orientation 1..8 of a picture; 1 when it has none or cannot be read."""
    try:
        with Image.open(path) as image:
            return 1 if image.format == "TIFF" else _orientation(image)
    except _FAILURES:
        return 1


def thumbnail(path: Path, px: int) -> RGB:
    """The picture shrunk so that its longer side is at most `px`, as uint8 (h, w, 3) RGB."""
    with _explained(path):
        small = preview(path, px)
        if small is not None:
            return shrunk(small, px)
        tiles = open_tiles(path, image_size(path)) if path.suffix.lower() in _TIFF else None
        if tiles is None:
            return shrunk(read_image(path), px)
        try:
            return shrunk(read_overview(tiles), px)
        finally:
            tiles.close()


def preview(path: Path, px: int) -> RGB | None:
    """A JPEG at the smallest size that it can be decoded to at once and that has `px` pixels on
    its longer side, as uint8 (h, w, 3) RGB; None for other files."""
    if path.suffix.lower() not in (".jpg", ".jpeg"):
        return None
    with _explained(path), Image.open(path) as image:
        longer = max(image.size)
        wanted = image.width * px // longer, image.height * px // longer
        image.draft("RGB", (max(1, wanted[0]), max(1, wanted[1])))
        return _turned(image)


def shrunk(image: RGB, px: int) -> RGB:
    """`image` (h, w, 3) with its longer side at most `px`."""
    height, width = image.shape[:2]
    scale = px / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def embedded_image(label_file: Path) -> bytes:
    """The picture file embedded in a Labelme file; ValueError when there is none."""
    data = json.loads(label_file.read_bytes().decode("utf-8-sig")).get("imageData")
    if not data:
        raise ValueError("the label file holds no picture, and the one it names is missing")
    return base64.b64decode(data)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what a decoder says into a UserError, and keep its warnings off the user's screen."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except FileNotFoundError:
        raise UserError("The picture is gone", path=path, remedy="Rescan the folder.") from None
    except MemoryError:
        raise UserError("The picture does not fit into memory", path=path) from None
    except (*_FAILURES, cv2.error) as error:
        why = "it is no picture" if isinstance(error, UnidentifiedImageError) else error
        message = f"The picture cannot be read: {why or type(error).__name__}"
        refused = isinstance(error, OSError) and error.errno is not None
        kind = UserError if refused else DamagedPicture
        raise kind(message, path=path, remedy="Replace or exclude it.") from error


def _decode(file: BinaryIO, path: Path) -> RGB:
    if _is_deep_png(file):
        return _decode_deep_png(file)
    with Image.open(file) as image:
        return _turned(image)


def _read_large_jpeg(file: BinaryIO) -> RGB | None:
    """A large JPEG, which OpenCV reads in half the memory; None for any other file, and for one
    that is cut short, which it would not mind."""
    if file.read(3) != b"\xff\xd8\xff":
        file.seek(0)
        return None
    file.seek(0)
    with Image.open(file) as image:
        orientation, plain = _orientation(image), image.mode == "RGB"
        pixels = image.width * image.height
    file.seek(0)
    if not plain or pixels < _LARGE:
        return None
    data = np.frombuffer(file.read(), np.uint8)
    file.seek(0)
    if b"\xff\xd9" not in data[-4096:].tobytes():
        return None
    try:
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:  # more pixels than it is willing to read
        return None
    if decoded is None:
        return None
    turned = turn_array(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB, dst=decoded), orientation)
    return np.ascontiguousarray(turned, dtype=np.uint8)


def _is_deep_png(file: BinaryIO) -> bool:
    head = file.read(29)
    file.seek(0)
    return head[:8] == b"\x89PNG\r\n\x1a\n" and head[24:25] == b"\x10"


def _decode_deep_png(file: BinaryIO) -> RGB:
    """A PNG of 16 bits a channel, which Pillow cuts to 8 where it has colours."""
    return as_rgb(_deep_png_pixels(file))


def _deep_png_pixels(file: BinaryIO) -> NDArray[Any]:
    """(h, w) or (h, w, 3) uint16."""
    data = file.read()
    with Image.open(io.BytesIO(data)) as image:
        orientation = _orientation(image)
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        raise ValueError("the PNG is damaged")
    colours = pixels if pixels.ndim == 2 else pixels[..., 2::-1]
    return turn_array(colours, orientation)


def _turned(image: Image.Image) -> RGB:
    # each needless copy of a large picture takes a tenth of a second, and its memory
    turned = image if _orientation(image) == 1 else ImageOps.exif_transpose(image)
    if turned.mode == "RGB":
        return np.array(turned, dtype=np.uint8)
    if turned.mode in _DEEP_MODES:
        return as_rgb(np.asarray(turned))
    if turned.mode in ("P", "PA"):
        turned = turned.convert("RGBA")  # straight to RGB, transparent palettes lose colours
    return np.array(turned.convert("RGB"), dtype=np.uint8)


def _shown_size(image: Image.Image) -> tuple[int, int]:
    # Pillow turns the size of a TIFF itself
    return turn_size(image.size, 1 if image.format == "TIFF" else _orientation(image))


def _orientation(image: Image.Image) -> int:
    value = image.getexif().get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) else 1


def _read_tiff(path: Path) -> RGB:
    try:
        with Image.open(path) as image:
            if not _has_deep_channels(image):
                return _turned(image)
    except _FAILURES:
        pass
    return as_rgb(_first_page(path))


def _has_deep_channels(image: Image.Image) -> bool:
    """Whether a TIFF has several channels of more than 8 bits, which Pillow cuts to 8."""
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))
    return isinstance(bits, tuple) and len(bits) > 1 and max(bits) > 8


def _first_page(path: Path) -> NDArray[Any]:
    """The first page as it is shown, (h, w) or (h, w, channels), any dtype."""
    import tifffile  # seldom needed, and the window's start does not wait for it

    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        array = np.asarray(page.asarray())
        if page.planarconfig == 2 and array.ndim == 3:
            array = np.moveaxis(array, 0, -1)
        if page.photometric == 0:  # white is zero
            array = array.max() - array
        tag = page.tags.get("Orientation")
    while array.ndim > 3 or (array.ndim == 3 and array.shape[-1] > 4 and array.shape[0] <= 4):
        array = array[0]
    return turn_array(array, int(tag.value) if tag is not None else 1)


def as_rgb(array: NDArray[Any]) -> RGB:
    """Any (h, w) or (h, w, channels) array as uint8 RGB; other dtypes are scaled, see above."""
    if array.ndim == 3 and array.shape[-1] in (1, 2):
        array = array[..., 0]
    if array.ndim == 3:
        array = array[..., :3]
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    if array.dtype != np.uint8:
        array = _scaled(array)
    return np.ascontiguousarray(array if array.ndim == 3 else np.repeat(array[..., None], 3, -1))


def spread_of(array: NDArray[Any]) -> tuple[float, float]:
    """The values that are shown black and white when nobody chose others."""
    if array.dtype == np.uint8:
        return 0.0, 255.0
    values = array.astype(np.float32)
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(finite, (_LOW, _HIGH))
    return float(low), float(high)


def _scaled(array: NDArray[Any]) -> NDArray[np.uint8]:
    values: NDArray[np.float32] = array.astype(np.float32)
    if not np.isfinite(values).any():
        return np.zeros(array.shape, np.uint8)
    low, high = spread_of(values)
    spread = max(high - low, 1e-12)
    levels = np.nan_to_num((values - low) * (255.0 / spread), nan=0.0, posinf=255.0, neginf=0.0)
    out: NDArray[np.uint8] = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return out
