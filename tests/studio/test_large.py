"""Large pictures and large viewports: coarse first, then all of it, and never something else."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import numpy as np
import pytest
import tifffile
from PIL import Image
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from segstudio.project import project as project_module
from segstudio.project import tiles
from segstudio.project.project import Project
from segstudio.studio.canvas import canvas as canvas_module
from segstudio.studio.canvas.tiled import TiledPicture
from segstudio.studio.main_window import MainWindow
from segstudio.studio.open_image import Loaded
from tests.studio.conftest import at, sweep


def smooth(width: int, height: int) -> np.ndarray:
    across = np.linspace(0, 250, width)[None, :, None] * np.ones((height, 1, 1))
    down = np.linspace(0, 250, height)[:, None, None] * np.ones((1, width, 1))
    return np.concatenate([across, down, 250 - across], axis=2).astype(np.uint8)


def pixel(window: MainWindow, x: float, y: float) -> tuple[int, int, int]:
    """What the canvas shows of an image point."""
    colour = window.canvas.grab().toImage().pixelColor(at(window, x, y))
    return colour.red(), colour.green(), colour.blue()


def open_picture(window: MainWindow, root: Path, qtbot: QtBot) -> None:
    Project.create(root, classes=["cell"]).close()
    window.open_folder(root)
    qtbot.waitUntil(lambda: window.session.image is not None, timeout=20000)


def open_two(window: MainWindow, root: Path, qtbot: QtBot) -> None:
    (root / "images").mkdir(parents=True)
    for name in ("a", "b"):
        Image.fromarray(smooth(300, 200)).save(root / "images" / f"{name}.jpg")
    open_picture(window, root, qtbot)


def hold_labels(monkeypatch: pytest.MonkeyPatch) -> Event:
    """From now on label files are read when the event is set."""
    gate = Event()
    load = Project.load_label_file

    def load_late(self: Project, key: str) -> object:
        assert gate.wait(20)
        return load(self, key)

    monkeypatch.setattr(Project, "load_label_file", load_late)
    return gate


def is_near(found: tuple[int, ...], expected: np.ndarray) -> bool:
    return bool(np.abs(np.array(found) - expected.astype(int)).max() <= 4)


def test_a_large_viewport_is_coarse_first_and_the_same_in_the_end(
    studio: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    canvas = studio.canvas
    studio.use_tool("brush")
    sweep(studio, (40, 40), (70, 60))
    monkeypatch.setattr(canvas_module, "_AT_ONCE", 50_000)
    canvas.zoom(0.9)
    canvas.grab()
    assert canvas._rough is not None
    sweep(studio, (20, 60), (30, 60))  # an edit meanwhile is in both
    qtbot.waitUntil(lambda: canvas._rough is None, timeout=20_000)
    refined = QImage(canvas._backing.image)
    monkeypatch.setattr(canvas_module, "_AT_ONCE", 10**9)
    canvas.redraw()
    canvas.grab()
    assert canvas._rough is None
    assert refined == canvas._backing.image


def test_a_large_jpeg_is_shown_from_a_preview_and_then_whole(
    window: MainWindow, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_module, "_LARGE", 100_000)
    root = tmp_path / "large"
    (root / "images").mkdir(parents=True)
    picture = smooth(3000, 2000)
    Image.fromarray(picture).save(root / "images" / "a.jpg", quality=95)
    seen: list[bool] = []
    window.canvas.painted.connect(
        lambda: window.canvas.picture and seen.append(window.canvas.picture.is_whole)
    )
    open_picture(window, root, qtbot)
    image = window.session.image
    assert image is not None
    assert (image.picture.width, image.picture.height) == (3000, 2000)
    qtbot.waitUntil(lambda: bool(seen) and seen[-1], timeout=20000)
    assert not seen[0]
    for x, y in ((300, 300), (2700, 1200)):
        assert is_near(pixel(window, x, y), picture[y, x])


def test_a_large_picture_is_shown_while_its_labels_are_being_read(
    window: MainWindow, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_module, "_LARGE", 100_000)
    root = tmp_path / "large"
    (root / "images").mkdir(parents=True)
    Image.fromarray(smooth(3000, 2000)).save(root / "images" / "a.jpg")
    gate = hold_labels(monkeypatch)
    Project.create(root, classes=["cell"]).close()
    window.open_folder(root)
    canvas = window.canvas
    try:
        qtbot.waitUntil(lambda: canvas.picture is not None, timeout=20000)
        assert window.session.image is None
        assert canvas.tool is None, "there is nothing to draw on yet"
        canvas.zoom(1.5)
        view, picture, size = canvas.view, canvas.picture, canvas.size()
        assert window.image_bar.name.toolTip() == "images/a.jpg"
    finally:
        gate.set()
    qtbot.waitUntil(lambda: window.session.image is not None, timeout=20000)
    assert canvas.picture is picture
    assert (canvas.view, canvas.size()) == (view, size)
    assert canvas.tool is not None


def test_an_image_asked_for_again_while_it_is_read_is_read_once(
    window: MainWindow, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second reading would put what was drawn after the first one away."""
    root = tmp_path / "twice"
    open_two(window, root, qtbot)
    session = window.session
    session._loader.forget()
    gate = hold_labels(monkeypatch)
    session.go("images/b.jpg")
    once = session._reads
    session.go("images/b.jpg")
    gate.set()
    qtbot.waitUntil(lambda: session.image.key == "images/b.jpg", timeout=20000)
    assert session._reads == once
    image = session.image
    session.go("images/b.jpg")
    assert session.image is image
    # of two readings on their way only the later one counts
    read: list[Loaded] = []
    shown: list[bool] = []
    session._loader.loaded.connect(read.append)
    session.image_changed.connect(lambda: shown.append(True))
    session._read(session.project, "images/b.jpg")
    session._read(session.project, "images/b.jpg")
    qtbot.waitUntil(lambda: len(read) == 2, timeout=20000)
    assert len(shown) == 1
    assert session.image is not image


def test_looking_for_new_pictures_while_one_is_read_does_not_leave_it(
    window: MainWindow, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_module, "_LARGE", 10_000)
    root = tmp_path / "large"
    open_two(window, root, qtbot)
    session = window.session
    gate = hold_labels(monkeypatch)
    session.go("images/b.jpg")
    try:
        qtbot.waitUntil(lambda: session.sketch is not None, timeout=20000)
        looked: list[str] = []
        session.message.connect(lambda words, kind: looked.append(words))
        session.rescan()
        qtbot.waitUntil(lambda: bool(looked), timeout=20000)
        assert session.wanted == "images/b.jpg"
    finally:
        gate.set()
    qtbot.waitUntil(lambda: session.image is not None, timeout=20000)
    assert session.image.key == "images/b.jpg"


def test_a_large_jpeg_that_turns_out_damaged_is_said_so(
    window: MainWindow, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_module, "_LARGE", 100_000)
    root = tmp_path / "large"
    (root / "images").mkdir(parents=True)
    path = root / "images" / "a.jpg"
    Image.fromarray(smooth(3000, 2000)).save(path)
    path.write_bytes(path.read_bytes()[:-9000])
    Project.create(root, classes=["cell"]).close()
    window.open_folder(root)
    qtbot.waitUntil(lambda: "images/a.jpg" in window.session.problems, timeout=20000)
    assert window.session.image is None


def test_a_picture_is_read_tile_by_tile(
    window: MainWindow, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_module, "_LARGE", 100_000)
    monkeypatch.setattr(tiles, "LARGE", 100_000)
    monkeypatch.setattr(tiles, "_OVERVIEW", 40_000)
    root = tmp_path / "tiled"
    (root / "images").mkdir(parents=True)
    picture = smooth(2045, 1023)
    picture[::2, ::2] = 255 - picture[::2, ::2]  # what the overview cannot show
    tifffile.imwrite(root / "images" / "a.tif", picture, photometric="rgb", tile=(128, 128))
    open_picture(window, root, qtbot)
    window.canvas.zoom(0.1 / window.canvas.view.scale)

    def from_afar() -> bool:
        return all(
            np.abs(np.array(pixel(window, x, y)) - blurred(x, y)).max() < 25
            for x, y in ((200, 200), (1500, 800))
        )

    def blurred(x: int, y: int) -> np.ndarray:
        return picture[y : y + 8, x : x + 8].reshape(-1, 3).mean(0)

    qtbot.waitUntil(from_afar, timeout=20000)
    window.canvas.zoom(0.4 / window.canvas.view.scale)
    shown = window.canvas.picture
    assert isinstance(shown, TiledPicture)
    qtbot.waitUntil(lambda: not shown._wanted and bool(shown._cache), timeout=20000)
    x, y = (int(v) for v in window.canvas.view.to_image(300, 300))
    error = np.abs(np.array(pixel(window, x, y)) - blurred(x, y)).max()
    assert error < 25, "between two sizes pixels are mixed, not left out"
    window.canvas.zoom(8 / window.canvas.view.scale)

    def near() -> bool:
        x, y = (int(v) for v in window.canvas.view.to_image(300, 300))
        return all(
            is_near(pixel(window, x + dx + 0.5, y + dy + 0.5), picture[y + dy, x + dx])
            for dx in range(2)
            for dy in range(2)
        )

    qtbot.waitUntil(near, timeout=20000)


def test_a_damaged_tile_is_grey_and_said_once(
    window: MainWindow, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_module, "_LARGE", 100_000)
    monkeypatch.setattr(tiles, "LARGE", 100_000)
    root = tmp_path / "tiled"
    (root / "images").mkdir(parents=True)
    path = root / "images" / "a.tif"
    picture = smooth(1024, 1024)
    tifffile.imwrite(path, picture, photometric="rgb", tile=(128, 128), compression="zlib")
    with tifffile.TiffFile(path) as file:
        start, length = file.pages[0].dataoffsets[9], file.pages[0].databytecounts[9]
    damaged = bytearray(path.read_bytes())
    damaged[start : start + length] = b"?" * length
    path.write_bytes(damaged)
    told: list[str] = []
    window.session.message.connect(lambda words, kind: told.append(words))
    open_picture(window, root, qtbot)

    def seen() -> bool:
        grey = pixel(window, 190, 190) == (tiles._NOTHING,) * 3
        return grey and is_near(pixel(window, 700, 600), picture[600, 700])

    qtbot.waitUntil(seen, timeout=20000)
    qtbot.waitUntil(lambda: bool(told), timeout=20000)
    assert sum("tiles that cannot be read" in words for words in told) == 1
