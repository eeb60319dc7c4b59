"""Pictures of 16 bits and many bands, shown in bands and values of choice; and views kept."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from helpers import picture

from segstudio.errors import UserError
from segstudio.project.bands import Bands, developed, facts_of, read_raw
from segstudio.project.images import read_image
from segstudio.project.views import MOST, ImageView, Views

DEEP = (np.arange(12 * 16, dtype=np.uint16) * 300).reshape(12, 16)


def test_a_tiff_of_many_bands_keeps_all_of_them(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    bands = np.stack([DEEP, DEEP // 2, DEEP * 0 + 9, DEEP // 3, DEEP + 5], axis=-1)
    tifffile.imwrite(file, bands, photometric="minisblack", planarconfig="contig")
    raw = read_raw(file)
    assert raw is not None
    assert np.array_equal(raw, bands)
    facts = facts_of(raw)
    assert (facts.bands, facts.low, facts.high, facts.whole) == (5, 0.0, 57305.0, True)
    shown = developed(raw, Bands((4, 4, 2), 5.0, 57305.0))
    assert shown.shape == (12, 16, 3)
    assert (shown[0, 0].tolist(), shown[-1, -1].tolist()) == ([0, 0, 0], [255, 255, 0])


def test_planes_are_bands_too(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    planes = np.stack([DEEP // k for k in (1, 2, 3, 4, 5, 6)])
    tifffile.imwrite(file, planes, photometric="minisblack", planarconfig="separate")
    raw = read_raw(file)
    assert raw is not None
    assert raw.shape == (12, 16, 6)
    assert np.array_equal(raw[..., 5], planes[5])


def test_plain_bands_show_what_every_reader_shows(tmp_path: Path) -> None:
    grey, colours = tmp_path / "grey.png", tmp_path / "colours.png"
    cv2.imwrite(str(grey), DEEP)
    cv2.imwrite(str(colours), np.stack([DEEP, DEEP // 2, DEEP // 4], axis=-1))
    for file in (grey, colours):
        raw = read_raw(file)
        assert raw is not None
        assert np.abs(developed(raw, Bands()).astype(int) - read_image(file)).max() <= 1
    raw = read_raw(colours)
    assert raw is not None
    assert raw[..., 2].max() == DEEP.max()  # red is last in the file of OpenCV, third in ours
    only_red = developed(raw, Bands((2, 2, 2), 0.0, float(DEEP.max())))
    assert np.array_equal(only_red[..., 0], only_red[..., 1])


def test_black_and_white_clip_and_floats_with_holes_are_shown(tmp_path: Path) -> None:
    file = tmp_path / "f.tif"
    values = np.linspace(-1, 1, 12 * 16, dtype=np.float32).reshape(12, 16)
    values[0, :2] = np.nan, np.inf
    tifffile.imwrite(file, values)
    raw = read_raw(file)
    assert raw is not None
    assert not facts_of(raw).whole
    shown = developed(raw, Bands(None, 0.0, 0.5))[..., 0]
    assert (shown[0, 0], shown[0, 1], shown[3, 0], shown[-1, -1]) == (0, 255, 0, 255)
    assert developed(raw, Bands(None, 0.5, 0.5)).max() == 255  # no width at all


def test_ordinary_pictures_have_nothing_to_choose_from(tmp_path: Path) -> None:
    assert read_raw(picture(tmp_path / "a.png")) is None
    assert read_raw(picture(tmp_path / "a.jpg")) is None
    assert read_raw(picture(tmp_path / "a.tif")) is None
    with pytest.raises(UserError):
        read_raw(tmp_path / "gone.tif")


# -- views


def test_views_are_kept_and_bounded(tmp_path: Path) -> None:
    file = tmp_path / ".segstudio" / "views.json"
    views = Views(file)
    seen = ImageView(3.5, 4.0, 2.0, (0.1, -0.2, 1.5), Bands((3, 2, 1), 5.0, None))
    views.put("a.png", seen)
    views.put("b.png", ImageView(0, 0, 1.0))
    views.save()
    again = Views(file)
    assert again.get("a.png") == seen
    assert again.get("c.png") is None
    for number in range(MOST):
        again.put(f"{number}.png", ImageView(0, 0, 1.0))
    assert again.get("a.png") is None
    file.write_text('{"a.png": {"x": 1}}')
    assert Views(file).get("a.png") is None
