"""Seconds from a stroke that is saved to the guess of the whole picture, in the predictor.

Strokes are made from the pictures' true labels; the guess's mIoU on the unlabelled pixels is
printed beside. The bounds are those of an answer that feels immediate.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import DATA, Measure, need, parser, report
from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import BACKGROUND_CLASS, Shape, mask_shape
from segstudio.engine.guess import Guesser
from segstudio.engine.protocol import Guess
from segstudio.learning.device import share_cores
from segstudio.project.predictions import read_png
from segstudio.project.project import Project

SCENES = {"360x480": ((480, 360), 0.3), "1500x2000": ((2000, 1500), 1.0)}
STROKES, REACH, WIDTH = 12, 12, 3


def scene(size: tuple[int, int], root: Path) -> tuple[Project, NDArray[np.bool_]]:
    """A project with one nuclei picture of this size (width, height), and where its nuclei are."""
    folder = need(DATA / "nuclei")
    picture = sorted((folder / "images").glob("*.png"))[7]
    truth = read_png(folder / "instances" / picture.name)
    assert truth is not None
    (root / "images").mkdir(parents=True)
    pixels = cv2.resize(cv2.imread(str(picture)), size, interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(root / "images" / "a.png"), pixels)
    nuclei = cv2.resize((truth > 0).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return Project.create(root, classes=["nucleus"]), nuclei > 0


def stroke(nuclei: NDArray[np.bool_], inside: bool, rng: np.random.Generator) -> Shape:
    """A short line painted where the picture is (or is not) a nucleus."""
    canvas = np.zeros(nuclei.shape, np.uint8)
    y, x = rng.choice(np.argwhere(nuclei == inside))
    turn = rng.uniform(0, np.pi)
    step = REACH * np.array([np.cos(turn), np.sin(turn)])
    ends = [tuple(int(v) for v in np.array([x, y]) + side * step) for side in (-1, 1)]
    cv2.line(canvas, ends[0], ends[1], 1, WIDTH)
    painted = (canvas > 0) & (nuclei == inside)
    return mask_shape("nucleus" if inside else BACKGROUND_CLASS, Bitmap.from_array(painted))


def answer_times(size: tuple[int, int]) -> tuple[list[float], float]:
    """Seconds of each answer after the first, and the IoU of the nuclei at the end."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        project, nuclei = scene(size, Path(folder) / "p")
        guesser, shapes, times = Guesser(), [], []
        found = np.zeros(nuclei.shape, np.uint8)
        for number in range(STROKES):
            shapes.append(stroke(nuclei, number % 2 == 0, rng))
            project.save("images/a.png", Annotation(size[0], size[1], tuple(shapes)))
            began = time.perf_counter()
            request = Guess(str(number), str(project.root), "images/a.png", ("images/a.png",))
            file = guesser.guess(request)["file"]
            times.append(time.perf_counter() - began)
            if file:
                with np.load(file) as guess:
                    found = guess["labels"]
        guesser.close()
        project.close()
    iou = float(((found == 1) & nuclei).sum() / ((found == 1) | nuclei).sum())
    return times[2:], iou


def main() -> int:
    options = parser(__doc__ or "").parse_args()
    share_cores()
    measures = []
    for name, (size, bound) in SCENES.items():
        times, iou = answer_times(size)
        what = f"median of {len(times)} strokes, {name}; IoU of the nuclei at the end {iou:.3f}"
        measures.append(
            Measure(f"guess_{name}", statistics.median(times), bound, "s", what, "<= 1")
        )
    report(measures, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
