"""Large pictures: tiles of a TIFF read one by one, and JPEGs in little memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from segstudio.errors import UserError
from segstudio.project import images, tiles


def pixels(height: int = 300, width: int = 500, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (height, width, channels), dtype=np.uint8)


def write(path: Path, array: np.ndarray, **options: object) -> Path:
    photometric = "rgb" if array.ndim == 3 and array.shape[-1] > 1 else "minisblack"
    tifffile.imwrite(path, array, photometric=photometric, tile=(128, 64), **options)
    return path


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_tiles_are_the_picture(tmp_path: Path, compression: str | None, channels: int) -> None:
    array = pixels(channels=channels)
    stored = array[..., 0] if channels == 1 else array
    reader = tiles.TileReader(write(tmp_path / "a.tif", stored, compression=compression))
    assert (reader.width, reader.height, reader.shape) == (500, 300, (3, 8))
    whole = np.zeros((300, 500, 3), np.uint8)
    for row in range(3):
        for column in range(8):
            tiles.put(whole, (column * 64, row * 128), reader.read((row, column)))
    reader.close()
    expected = np.repeat(array, 3, axis=-1) if channels == 1 else array[..., :3]
    assert np.array_equal(whole, expected)


def test_the_overview_is_the_picture_made_smaller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "_OVERVIEW", 10_000)
    smooth = np.linspace(0, 255, 512)[None, :, None] * np.ones((256, 1, 3))
    path = write(tmp_path / "a.tif", smooth.astype(np.uint8))
    reader = tiles.TileReader(path)
    small = tiles.read_overview(reader)
    assert reader.shrink() == 4
    assert small.shape == (64, 128, 3)
    assert np.abs(small[..., 0].astype(float) - smooth[::4, 1::4, 0]).max() < 2
    reader.close()
    monkeypatch.setattr(tiles, "LARGE", 1000)
    assert images.thumbnail(path, 64).shape == (32, 64, 3)


def test_what_has_no_usable_tiles_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "LARGE", 1000)
    plain, deep = tmp_path / "plain.tif", tmp_path / "deep.tif"
    tifffile.imwrite(plain, pixels(), photometric="rgb")
    write(deep, pixels().astype(np.uint16))
    for path in (plain, deep):
        with pytest.raises(UserError, match=path.name):
            tiles.TileReader(path)
        assert tiles.open_tiles(path, (500, 300)) is None
    tiled = write(tmp_path / "tiled.tif", pixels())
    assert tiles.open_tiles(tiled, (10, 10)) is None  # small enough to be read as a whole
    reader = tiles.open_tiles(tiled, (500, 300))
    assert reader is not None
    reader.close()


@pytest.mark.parametrize("orientation", [1, 6, 3])
def test_a_large_jpeg_is_the_same_as_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orientation: int
) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / "a.jpg"
    Image.fromarray(pixels()).save(path, quality=92, exif=exif)
    expected = images.read_image(path)
    monkeypatch.setattr(images, "_LARGE", 1000)
    assert np.array_equal(images.read_image(path), expected)
    assert images.read_image(path).shape == expected.shape


def test_a_large_jpeg_that_is_cut_short_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(pixels()).save(path)
    path.write_bytes(path.read_bytes()[:-4000])
    monkeypatch.setattr(images, "_LARGE", 1000)
    with pytest.raises(UserError, match=r"a\.jpg"):
        images.read_image(path)


def test_grey_and_cmyk_jpegs_stay_with_pillow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "_LARGE", 1000)
    for mode in ("L", "CMYK"):
        path = tmp_path / f"{mode}.jpg"
        Image.fromarray(pixels()).convert(mode).save(path)
        with Image.open(path) as image:
            assert np.array_equal(images.read_image(path), np.asarray(image.convert("RGB")))


def test_a_preview_is_a_jpeg_made_smaller(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(pixels(800, 1600)).save(path)
    small = images.preview(path, 300)
    assert small is not None
    assert small.shape == (200, 400, 3)
    assert images.preview(write(tmp_path / "a.tif", pixels()), 300) is None


def test_a_tile_that_cannot_be_read_is_grey_and_the_others_are_the_picture(tmp_path: Path) -> None:
    array = pixels()
    path = write(tmp_path / "a.tif", array, compression="zlib")
    with tifffile.TiffFile(path) as file:
        start, length = file.pages[0].dataoffsets[9], file.pages[0].databytecounts[9]
    damaged = bytearray(path.read_bytes())
    damaged[start : start + length] = b"?" * length
    path.write_bytes(damaged)
    reader = tiles.TileReader(path)
    assert (reader.read((1, 1)) == tiles._NOTHING).all()
    assert np.array_equal(reader.read((1, 2)), array[128:256, 128:192])
    assert reader.damaged == {(1, 1)}
    assert tiles.read_overview(reader).shape == (300, 500, 3)
    reader.close()
