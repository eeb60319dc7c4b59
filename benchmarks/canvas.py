"""What a person waits for at the canvas: from an event to the painted frame, in the real window.

Offscreen, the canvas 1920x1080. Each figure is a median over many events beside the bound that we
set ourselves; hover and opening are also run in Labelme 6.3.1 on the same file.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PIL import Image
from PySide6.QtCore import QEventLoop, QPoint, QPointF, Qt, QTimer
from PySide6.QtTest import QTest

from benchmarks.common import Measure, parser, peer, report
from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import Shape, as_points, mask_shape
from segstudio.project.project import Project

WIDTH, HEIGHT = 1920, 1080
LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
_PATIENCE = 120_000


def polygons(count: int, vertices: int, size: tuple[int, int], radius: float) -> list[Shape]:
    """Random star-shaped polygons of five classes on a picture of `size` (width, height)."""
    rng = np.random.default_rng(0)
    centres = rng.uniform((0, 0), size, (count, 2))
    angles = np.sort(rng.uniform(0, 2 * np.pi, (count, vertices)), axis=1)
    radii = rng.uniform(0.4 * radius, radius, (count, vertices))
    rays = radii[..., None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    rings = (centres[:, None] + rays).clip(0, np.array(size)).round(2)
    return [Shape(f"c{i % 5}", "polygon", as_points(ring)) for i, ring in enumerate(rings)]


def picture(size: tuple[int, int]) -> np.ndarray:
    """Something with soft and sharp parts, (h, w, 3) uint8."""
    rng = np.random.default_rng(1)
    small = rng.integers(0, 255, (size[1] // 16 + 1, size[0] // 16 + 1, 3), dtype=np.uint8)
    grown = Image.fromarray(small).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(grown)


def make_folder(
    root: Path, pictures: list[str], size: tuple[int, int], shapes: list[Shape]
) -> Path:
    """A project of one picture by several names, the first one labelled."""
    (root / "images").mkdir(parents=True)
    shown = Image.fromarray(picture(size))
    for name in pictures:
        shown.save(root / name, quality=90)
    with Project.create(root, classes=[f"c{i}" for i in range(5)]) as project:
        project.save(pictures[0], Annotation(*size, tuple(shapes)))
    return root


@dataclass
class Stage:
    """The real window with a project open."""

    folder: Path
    opened: float = 0.0
    frames: list[float] = field(default_factory=list)
    _painted: int = 0
    _shown: object = None

    def __post_init__(self) -> None:
        from segstudio.studio.app import make_app, make_window

        self.app = make_app()
        self.window = make_window(self.app)
        self.window.guessing.enabled = self.window.ahead.enabled = (
            False  # the predictor child is not what is measured
        )
        self.canvas = self.window.canvas
        self.canvas.setFixedSize(WIDTH, HEIGHT)
        self.canvas.painted.connect(self._count)
        self.window.show()
        self.app.processEvents()
        self.window.open_folder(self.folder)
        self.wait(lambda: self.window.session.image is not None)
        self.wait(lambda: not self.busy())

    def _count(self) -> None:
        self._painted += 1
        self._shown = self.canvas.picture

    def has_read_ahead(self) -> bool:
        return self.window.session.has_read_ahead

    def busy(self) -> bool:
        saver = self.window.session._saver
        return saver is not None and bool(saver.dirty)

    def wait(self, ready: Callable[[], bool]) -> None:
        """Let the window work until it is so, looking after every paint and now and then."""
        loop = QEventLoop()

        def look() -> None:
            if ready():
                loop.quit()

        timer = QTimer(interval=15)
        end = QTimer(singleShot=True, interval=_PATIENCE)
        timer.timeout.connect(look)
        end.timeout.connect(lambda: sys.exit("The window did not get ready."))
        self.canvas.painted.connect(look)
        timer.start()
        end.start()
        if not ready():
            loop.exec()
        self.canvas.painted.disconnect(look)

    def go(self, key: str) -> None:
        """Open an image and wait for it."""
        session = self.window.session
        session.go(key)
        self.wait(lambda: session.image is not None and session.image.key == key)

    def frame(self, act: Callable[[], object]) -> float:
        """Milliseconds from an event to the next painted frame."""
        before = self._painted
        start = time.perf_counter()
        act()
        self.canvas.update(0, 0, 1, 1)  # where nothing looks different no frame would come
        while self._painted == before:
            self.app.processEvents()
        took = (time.perf_counter() - start) * 1000
        self.frames.append(took)
        return took

    def median(self, act: Callable[[int], object], count: int = 40) -> float:
        self.app.processEvents()
        return statistics.median([self.frame(lambda n=n: act(n)) for n in range(count)])

    def at(self, x: float, y: float) -> QPoint:
        sx, sy = self.canvas.view.to_screen(x, y)
        return QPoint(round(sx), round(sy))

    def move(self, place: QPoint) -> None:
        QTest.mouseMove(self.canvas, place)

    def hover(self) -> float:
        return self.median(lambda n: self.move(QPoint(300 + 31 * n, 200 + 17 * n)))

    def pan(self) -> float:
        """With the middle button, a few pixels at a time."""
        start = QPoint(WIDTH // 2, HEIGHT // 2)
        QTest.mousePress(self.canvas, Qt.MouseButton.MiddleButton, NONE, start)
        took = self.median(lambda n: self.move(start + QPoint(-9 * n, -5 * n)))
        QTest.mouseRelease(self.canvas, Qt.MouseButton.MiddleButton, NONE, start)
        return took

    def zoom(self, count: int = 24) -> float:
        """Wheel steps in and out again."""
        centre = QPointF(WIDTH / 2, HEIGHT / 2)
        half = count // 2
        return self.median(lambda n: self.canvas.zoom(1.2 if n < half else 1 / 1.2, centre), count)

    def drag(self, start: QPoint, step: QPoint, count: int = 40) -> float:
        """Press, move `count` times, let go; the median of the moves."""
        self.frame(lambda: QTest.mousePress(self.canvas, LEFT, NONE, start))
        took = self.median(lambda n: self.move(start + step * (n + 1)), count)
        self.frame(lambda: QTest.mouseRelease(self.canvas, LEFT, NONE, start + step * count))
        return took

    def close(self) -> None:
        self.wait(lambda: not self.busy())
        self.window.close()
        self.window.deleteLater()
        self.app.processEvents()
        gc.collect()


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    shown = Stage(folder)
    try:
        yield shown
    finally:
        shown.close()


def bound(name: str, ours: float, limit: float, what: str, unit: str = "ms") -> Measure:
    return Measure(name, ours, limit, unit, what, "<= 1")


# -- 5,000 polygons


def many(folder: Path) -> tuple[list[Measure], float, float]:
    """Everyday work on 5,000 polygons of 50 vertices; also hover and opening for the peer."""
    size = 4000, 3000
    shapes = polygons(5000, 50, size, 40)
    root = make_folder(folder / "many", ["images/a.jpg", "images/b.jpg"], size, shapes)
    shutil.copytree(root / "images", folder / "peer")
    found = []
    with stage(root) as s:
        session = s.window.session
        s.go("images/b.jpg")
        opened = statistics.median(_open(s, "images/a.jpg", "images/b.jpg") for _ in range(3))
        s.go("images/a.jpg")
        hover = s.hover()
        found += [
            bound("hover", hover, 8, "5,000 polygons: pointer moved"),
            bound("pan", s.pan(), 8, "dragged with the middle button"),
            bound("zoom", s.zoom(), 16, "one wheel step"),
        ]
        s.canvas.fit()
        s.window.use_tool("select")
        vertex = _select_one(s, shapes)
        found.append(bound("vertex_drag", s.drag(vertex, QPoint(1, 1)), 8, "a vertex of 50"))
        s.window.use_tool("brush")
        session.choices.choose_class("c1")
        dab = s.drag(QPoint(600, 400), QPoint(3, 2))
        found.append(bound("brush", dab, 8, "a dab of radius 10"))
        document = session.image.document
        found.append(
            bound(
                "undo",
                s.median(lambda n: document.undo() if n % 2 == 0 else document.redo(), 10),
                16,
                "a stroke and back",
            )
        )
        worst = float(np.percentile(s.frames, 99))
        found.append(bound("p99", worst, 24, "99th percentile of all the frames above"))
        select = statistics.median(_select_all(s) for _ in range(5))
        found.append(bound("select_all", select, 50, "all 5,000"))
        found += _save(s)
        found.insert(0, bound("open", opened, 600, "label file and picture to the painted frame"))
    return found, hover, opened


def _open(s: Stage, key: str, back: str) -> float:
    """Milliseconds to the painted image, nothing of it kept in memory."""
    session = s.window.session
    session._left.clear()
    session._loader.forget()
    before = s.canvas.picture
    start = time.perf_counter()
    session.go(key)
    s.wait(lambda: s.canvas.picture is not before and s._shown is s.canvas.picture)
    took = (time.perf_counter() - start) * 1000
    s.go(back)
    return took


def _select_one(s: Stage, shapes: list[Shape]) -> QPoint:
    """Select a polygon that lies free, and return where one of its vertices is."""
    desk = s.window.session.image.desk
    number = desk.document.ids()[-1]
    desk.select([number])
    return s.at(*shapes[-1].points[0])


def _select_all(s: Stage) -> float:
    s.window.session.image.desk.select([])
    s.frame(lambda: None)
    s.frames.pop()
    took = s.frame(s.window._select_all)
    s.frames.pop()
    return took


def _save(s: Stage) -> list[Measure]:
    """A stroke, then the file written while the pointer moves."""
    session = s.window.session
    times, longest = [], []
    for n in range(4):
        s.drag(QPoint(500 + 20 * n, 500), QPoint(2, 1), 5)
        start = time.perf_counter()
        session.writing.soon()
        gaps = []
        while s.busy():
            place = QPoint(300 + 7 * len(gaps) % 900, 300)
            gaps.append(s.frame(partial(s.move, place)))
            QTest.qWait(6)  # a mouse speaks about 125 times a second
        times.append((time.perf_counter() - start) * 1000)
        longest.append(max(gaps, default=0.0))
    return [
        bound("save", statistics.median(times), 500, "5,000 polygons, from a stroke to the disk"),
        bound("save_block", statistics.median(longest), 16, "longest frame meanwhile"),
    ]


# -- 100,000 polygons


def crowd(folder: Path) -> list[Measure]:
    size = 8000, 6000
    root = make_folder(folder / "crowd", ["images/a.jpg"], size, polygons(100_000, 12, size, 14))
    with stage(root) as s:
        return [
            bound("crowd_hover", s.hover(), 16, "100,000 polygons: pointer moved"),
            bound("crowd_pan", s.pan(), 16, "100,000 polygons"),
        ]


# -- large pictures


def large(folder: Path) -> list[Measure]:
    """In a process of its own, so that its peak memory is its own."""
    root = folder / "large"
    size = 12000, 8000
    down, across = np.ogrid[: size[1], : size[0]]
    waves = np.sin(across / 37) + np.sin(down / 53) > 0
    make_folder(
        root, ["images/a.jpg", "images/b.jpg"], size, [mask_shape("c0", Bitmap.from_array(waves))]
    )
    del waves
    command = [sys.executable, "-m", "benchmarks.canvas", "--large", str(root)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    facts = json.loads(done.stdout.splitlines()[-1])
    words = {
        "large_pan": (16, "ms", "12000x8000 with a full mask"),
        "large_zoom": (16, "ms", "one wheel step"),
        "large_brush": (16, "ms", "radius 200, one move"),
        "large_preview": (600, "ms", "from asking to something painted"),
        "large_memory": (4 * 3 * size[0] * size[1] / 2**20, "MiB", "peak of the process; 4x RGB"),
        "undo_memory": (200, "MiB", "1,000 strokes on it"),
    }
    return [
        bound(name, facts[name], limit, what, unit) for name, (limit, unit, what) in words.items()
    ]


def large_here(root: Path) -> None:
    """What `large` asks for, as one JSON object."""
    with stage(root) as s:
        session = s.window.session
        s.wait(lambda: s.canvas.picture.is_whole)
        facts = {"large_pan": s.pan(), "large_zoom": s.zoom()}
        s.canvas.fit()
        s.canvas.zoom(4)
        s.window.use_tool("brush")
        session.choices.choose_class("c0")
        session.choices.set_brush_radius(200)
        session.image.desk.select([session.image.document.ids()[0]])
        facts["large_brush"] = s.drag(QPoint(400, 300), QPoint(9, 5))
        s.go("images/b.jpg")
        s.wait(lambda: not s.busy() and s.canvas.picture.is_whole)
        session._left.clear()
        session._loader.forget()
        facts["large_preview"] = _preview(s)
        s.wait(lambda: s.canvas.picture.is_whole)
        facts["large_memory"] = _peak()
    facts["undo_memory"] = _undo_memory()
    print(json.dumps(facts))


def _peak() -> float:
    """The most MiB this program has had; the usual ru_maxrss counts those of who started it."""
    status = Path("/proc/self/status").read_text()
    return int(next(x for x in status.splitlines() if x.startswith("VmHWM")).split()[1]) / 2**10


def _preview(s: Stage) -> float:
    session = s.window.session
    shown = s.canvas.picture
    start = time.perf_counter()
    session.go("images/a.jpg")
    s.wait(lambda: s.canvas.picture is not shown and s._shown is s.canvas.picture)
    return (time.perf_counter() - start) * 1000


def _undo_memory() -> float:
    """MiB that 1,000 strokes of radius 200 on a mask of 96 megapixels keep for undo."""
    from segstudio.annotation.document import Document
    from segstudio.annotation.idmap import IdMap
    from segstudio.tools import TOOLS, Desk, Pointer

    document = Document(Annotation(12000, 8000))
    idmap = IdMap(document)
    tool = TOOLS["brush"](Desk(document, idmap, "c0", brush_radius=200))
    rng = np.random.default_rng(0)

    def resident() -> float:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    before = resident()
    for x, y in rng.uniform((0, 0), (12000, 8000), (1000, 2)):
        tool.press(Pointer(x, y))
        for step in range(1, 6):
            tool.drag(Pointer(x + 60 * step, y + 20 * step))
        tool.release(Pointer(x + 300, y + 100))
    return resident() - before


def tiled(folder: Path) -> list[Measure]:
    """A tiled TIFF of 600 megapixels, in a process of its own."""
    import tifffile

    root = folder / "tiled"
    (root / "images").mkdir(parents=True)
    rng = np.random.default_rng(2)
    block = rng.integers(0, 255, (512, 512, 3), dtype=np.uint8)
    wide, high = 30000, 20000
    across, down = -(-wide // 512), -(-high // 512)
    tifffile.imwrite(
        root / "images" / "a.tif",
        (block for _ in range(across * down)),
        shape=(high, wide, 3),
        dtype=np.uint8,
        tile=(512, 512),
        photometric="rgb",
        compression="zlib",
    )
    Project.create(root, classes=["c0"]).close()
    command = [sys.executable, "-m", "benchmarks.canvas", "--tiled", str(root)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    facts = json.loads(done.stdout.splitlines()[-1])
    return [
        bound("tiled_pan", facts["tiled_pan"], 16, "30000x20000 tiled TIFF"),
        bound("tiled_memory", facts["tiled_memory"], 1536, "peak of the process", "MiB"),
    ]


def tiled_here(root: Path) -> None:
    with stage(root) as s:
        s.canvas.actual_size()
        facts = {"tiled_pan": s.pan()}
    facts["tiled_memory"] = _peak()
    print(json.dumps(facts))


def _shows(s: Stage, key: str, paints: int) -> Callable[[], bool]:
    return lambda: s.window.session.image.key == key and s._painted > paints


def following(folder: Path) -> list[Measure]:
    """D on an ordinary folder, the next picture decoded ahead."""
    size = 1600, 1200
    names = [f"images/{n}.jpg" for n in range(8)]
    root = make_folder(folder / "next", names, size, [])
    with Project.open(root) as project:
        for name in names:
            project.save(name, Annotation(*size, tuple(polygons(30, 20, size, 80))))
    took = []
    with stage(root) as s:
        session = s.window.session
        s.go(names[0])
        for name in names[1:]:
            s.wait(s.has_read_ahead)
            before = s._painted
            start = time.perf_counter()
            session.step(1)
            s.wait(_shows(s, name, before))
            took.append((time.perf_counter() - start) * 1000)
    return [
        bound("next_image", statistics.median(took), 30, "1600x1200, 30 polygons, decoded ahead")
    ]


# -- the peer

_LABELME = """
import json, os, statistics, sys, time
os.environ["QT_QPA_PLATFORM"] = "offscreen"
from PyQt5 import QtCore, QtGui, QtWidgets
from labelme.app import MainWindow
app = QtWidgets.QApplication(sys.argv[:1])
win = MainWindow(config_overrides={"auto_save": False})
win.resize(2400, 1200)
win.show()
app.processEvents()
canvas = win._canvas_widgets.canvas
def painted():
    canvas.repaint()
    app.processEvents()
start = time.perf_counter()
win._load_file(sys.argv[1])
painted()
opened = (time.perf_counter() - start) * 1000
assert len(canvas.shapes) == 5000, len(canvas.shapes)
took = []
for n in range(4):
    place = QtCore.QPointF(300 + 31 * n, 200 + 17 * n)
    event = QtGui.QMouseEvent(QtCore.QEvent.MouseMove, place, QtCore.Qt.NoButton,
                              QtCore.Qt.NoButton, QtCore.Qt.NoModifier)
    start = time.perf_counter()
    app.sendEvent(canvas, event)
    painted()
    took.append((time.perf_counter() - start) * 1000)
print(json.dumps({"open": opened, "hover": statistics.median(took)}), flush=True)
os._exit(0)
"""


def labelme(folder: Path, hover: float, opened: float) -> list[Measure]:
    file = folder / "peer" / "a.json"
    command = [peer("labelme==6.3.1"), "-c", _LABELME, file]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    theirs = json.loads(done.stdout.splitlines()[-1])
    return [
        Measure("hover_vs_labelme", hover, theirs["hover"], "ms", "one frame", "<= 0.005"),
        Measure("open_vs_labelme", opened, theirs["open"], "ms", "file to frame", "<= 0.167"),
    ]


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--only", help="many, crowd, large, tiled or next")
    options.add_argument("--large", type=Path, help="(inner) measure this project")
    options.add_argument("--tiled", type=Path, help="(inner) measure this project")
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["SEGSTUDIO_CONFIG"] = str(folder / "config")
        if arguments.large or arguments.tiled:
            large_here(arguments.large) if arguments.large else tiled_here(arguments.tiled)
            return
        only = arguments.only
        measures: list[Measure] = []
        if only in (None, "many"):
            measures, hover, opened = many(folder)
            measures += labelme(folder, hover, opened)
        for part, measure in (
            ("crowd", crowd),
            ("large", large),
            ("tiled", tiled),
            ("next", following),
        ):
            if only in (None, part):
                measures += measure(folder)
    report(measures, arguments.json)


if __name__ == "__main__":
    main()
