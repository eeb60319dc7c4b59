"""Pictures of every kind come out as 8-bit RGB, the right way up."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from segstudio.errors import UserError
from segstudio.project import images
from segstudio.project.orientation import turn_array, turn_points

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
GREY = COLOURS[..., 0]


def save(path: Path, array: np.ndarray[Any, Any], **options: Any) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm"])
def test_lossless_colours(tmp_path: Path, suffix: str) -> None:
    options = {"lossless": True} if suffix == ".webp" else {}
    path = save(tmp_path / f"a{suffix}", COLOURS, **options)
    assert np.array_equal(images.read_image(path), COLOURS)
    assert images.image_size(path) == (9, 6)


def test_jpeg(tmp_path: Path) -> None:
    flat = np.full((16, 24, 3), (200, 30, 90), np.uint8)
    read = images.read_image(save(tmp_path / "a.jpg", flat, quality=95))
    assert np.abs(read.astype(int) - flat).max() < 6


def test_cmyk_jpeg(tmp_path: Path) -> None:
    flat = Image.new("RGB", (16, 16), (250, 20, 20)).convert("CMYK")
    flat.save(tmp_path / "a.jpg", quality=95)
    red, green, blue = images.read_image(tmp_path / "a.jpg")[8, 8].astype(int)
    assert red > 200
    assert green < 60
    assert blue < 60


def test_grey_palette_alpha_and_bits(tmp_path: Path) -> None:
    grey = images.read_image(save(tmp_path / "grey.png", GREY))
    assert np.array_equal(grey, np.repeat(GREY[..., None], 3, axis=-1))
    palette = Image.fromarray(COLOURS).quantize(256)
    palette.save(tmp_path / "p.png", transparency=bytes(range(256)))
    assert np.array_equal(images.read_image(tmp_path / "p.png"), np.array(palette.convert("RGB")))
    rgba = np.dstack([COLOURS, np.zeros((6, 9), np.uint8)])
    assert np.array_equal(images.read_image(save(tmp_path / "rgba.png", rgba)), COLOURS)
    la = Image.merge("LA", [Image.fromarray(GREY), Image.new("L", (9, 6), 0)])
    la.save(tmp_path / "la.png")
    assert np.array_equal(images.read_image(tmp_path / "la.png")[..., 0], GREY)
    Image.fromarray(GREY > 127).save(tmp_path / "bits.png")
    assert set(np.unique(images.read_image(tmp_path / "bits.png"))) == {0, 255}


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_grey_is_scaled_over_the_whole_picture(tmp_path: Path, suffix: str) -> None:
    deep = np.linspace(1000, 5000, 100 * 100).reshape(100, 100).astype(np.uint16)
    read = images.read_image(save(tmp_path / f"a{suffix}", deep))
    assert read.shape == (100, 100, 3)
    assert read.min() == 0
    assert read.max() == 255
    assert abs(int(np.median(read)) - 127) <= 1


def test_16_bit_colours_keep_their_low_bits(tmp_path: Path) -> None:
    deep = np.zeros((40, 40, 3), np.uint16)
    deep[..., 0], deep[:, 20:, 2] = np.arange(40) * 5, 200  # all below 256: nothing in 8 bits
    cv2.imwrite(str(tmp_path / "a.png"), deep[..., ::-1])
    read = images.read_image(tmp_path / "a.png")
    assert read[0, 39, 0] > 240
    assert read[0, 39, 2] == 255
    assert read[..., 1].max() == 0


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("planar", ["CONTIG", "SEPARATE"])
def test_tiff_of_three_deep_channels(tmp_path: Path, compression: str | None, planar: str) -> None:
    deep = np.linspace(0, 60000, 30 * 20 * 3).reshape(30, 20, 3).astype(np.uint16)
    data = deep if planar == "CONTIG" else np.moveaxis(deep, -1, 0)
    tifffile.imwrite(
        tmp_path / "a.tif", data, photometric="rgb", planarconfig=planar, compression=compression
    )
    read = images.read_image(tmp_path / "a.tif")
    assert images.image_size(tmp_path / "a.tif") == (20, 30)
    assert np.array_equal(read, images.as_rgb(deep))


def test_float_tiff_with_holes(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 1000, dtype=np.float32).reshape(20, 50)
    values[0, 0] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", values)
    assert images.read_image(tmp_path / "a.tif").max() == 255


def test_first_page_of_a_stack(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.stack([GREY, 255 - GREY]), photometric="minisblack")
    assert np.array_equal(images.read_image(tmp_path / "a.tif")[..., 0], GREY)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turn(tmp_path: Path, suffix: str, orientation: int) -> None:
    stored = np.zeros((16, 32, 3), np.uint8)
    stored[:8, :8] = 255
    path = tmp_path / f"a{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(
        path, exif=exif, **({"lossless": True} if suffix == ".webp" else {})
    )
    shown = turn_array(stored, orientation)
    read = images.read_image(path)
    assert read.shape == shown.shape
    assert np.abs(read.astype(int) - shown).mean() < 5
    assert images.image_size(path) == (shown.shape[1], shown.shape[0])
    thumb = images.thumbnail(path, 16)
    assert max(thumb.shape) == 16
    assert (thumb.shape[0] > thumb.shape[1]) == (shown.shape[0] > shown.shape[1])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_agrees_with_pillow(orientation: int) -> None:
    image = Image.fromarray(COLOURS)
    image.getexif()[0x0112] = orientation
    assert np.array_equal(
        turn_array(COLOURS, orientation), np.array(ImageOps.exif_transpose(image))
    )


@given(st.integers(1, 8), st.integers(0, 8), st.integers(0, 5))
def test_points_turn_with_their_pixels(orientation: int, x: int, y: int) -> None:
    marked = np.zeros((6, 9), bool)
    marked[y, x] = True
    turned = turn_points(np.array([[x + 0.5, y + 0.5]]), (9, 6), orientation)[0]
    assert turn_array(marked, orientation)[int(turned[1]), int(turned[0])]


def test_a_16_bit_png_is_turned_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = GREY.astype(np.uint16) * 200
    Image.fromarray(deep).save(tmp_path / "a.png", exif=exif)
    assert images.image_size(tmp_path / "a.png") == (6, 9)
    assert np.array_equal(images.read_image(tmp_path / "a.png"), images.as_rgb(turn_array(deep, 6)))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp", ".gif"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x89PNG\r\n\x1a\n", b"II*\x00\x08"])
def test_damage_is_said_with_the_files_name(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    for function in (images.read_image, images.image_size, lambda p: images.thumbnail(p, 9)):
        with pytest.raises(UserError, match="broken"):
            function(path)


def test_a_cut_off_picture_is_not_half_read(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(UserError):
        images.read_image(path)


def test_a_picture_inside_a_label_file(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(COLOURS).save(buffer, "PNG")
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"imageData": base64.b64encode(buffer.getvalue()).decode()}))
    assert np.array_equal(images.read_image(path), COLOURS)
    path.write_text(json.dumps({"imageData": None}))
    with pytest.raises(UserError, match="missing"):
        images.read_image(path)


def test_a_very_long_jpeg_has_a_thumbnail(tmp_path: Path) -> None:
    path = tmp_path / "long.jpg"
    Image.fromarray(np.full((2, 3000, 3), 90, np.uint8)).save(path)
    small = images.preview(path, 200)
    assert small is not None
    assert small.shape[0] >= 1
    assert images.thumbnail(path, 64).shape[:2] == (1, 64)
