"""Learning from strokes on 5 % of the pixels against full labels, in the same time: cell nuclei.

The same 60 pictures as in `nuclei_scratch`, once with every nucleus outlined, once with short
strokes, as many inside nuclei as outside, until they cover 5 % of each picture; all other pixels
are unknown. Scored by pooled IoU of nucleus and background, meaned, on pictures neither has seen.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import DATA, Measure, need, parser, report
from benchmarks.nuclei_scratch import compared, make_project, split, tell
from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.shape import BACKGROUND_CLASS, Shape, mask_shape
from segstudio.learning.metrics import or_zero
from segstudio.learning.trainer import TrainRequest, train
from segstudio.project.predictions import read_png
from segstudio.project.project import Project

SHARE, REACH, WIDTH = 0.05, 10, 3
TARGET = ">= 0.9"


def strokes(inside: NDArray[np.bool_], rng: np.random.Generator) -> tuple[Shape, ...]:
    """Strokes that stay where their class is, (h, w), until `SHARE` of the pixels are painted."""
    painted = {True: np.zeros(inside.shape, bool), False: np.zeros(inside.shape, bool)}
    turn = True
    while sum(int(part.sum()) for part in painted.values()) < SHARE * inside.size:
        where = np.argwhere(inside == turn)
        y, x = where[rng.integers(len(where))]
        angle = rng.uniform(0, np.pi)
        step = REACH * np.array([np.cos(angle), np.sin(angle)])
        ends = [tuple(int(v) for v in np.array([x, y]) + side * step) for side in (-1, 1)]
        line = np.zeros(inside.shape, np.uint8)
        cv2.line(line, ends[0], ends[1], 1, WIDTH)
        painted[turn] |= (line > 0) & (inside == turn)
        turn = not turn
    return (
        mask_shape("nucleus", Bitmap.from_array(painted[True])),
        mask_shape(BACKGROUND_CLASS, Bitmap.from_array(painted[False])),
    )


def make_sparse(project: Project, folder: Path) -> None:
    """The labels of a project give way to strokes, and what they do not cover is unknown."""
    rng = np.random.default_rng(0)
    project.set_manifest(replace(project.manifest, unlabelled="ignore"))
    for key in project.included():
        truth = read_png(folder / "instances" / f"{Path(key).stem}.png")
        assert truth is not None
        shapes = strokes(truth > 0, rng)
        project.save(key, replace(project.load(key), shapes=shapes, confirmed=True))


def trained(
    folder: Path, pictures: list[Path], rest: list[Path], sparse: bool, minutes: float
) -> float:
    """The mIoU of a network trained on the pictures."""
    with tempfile.TemporaryDirectory() as place, make_project(pictures, Path(place)) as project:
        if sparse:
            make_sparse(project, folder)
        result = train(project, TrainRequest(minutes=minutes, device="cpu"), tell)
        print(f"{result.steps} steps, {result.reason}", flush=True)
        miou = or_zero(compared(project, project.models.get(result.model), rest).miou())
    print(f"{'strokes' if sparse else 'full labels'}: mIoU {miou:.4f}", flush=True)
    return miou


def main() -> int:
    arguments = parser(__doc__ or "")
    arguments.add_argument("--minutes", type=float, default=3.5, help="of each training")
    options = arguments.parse_args()
    folder = need(DATA / "nuclei")
    pictures, rest = split(folder)
    rest = rest[::2]
    ours = trained(folder, pictures, rest, True, options.minutes)
    full = trained(folder, pictures, rest, False, options.minutes)
    what = f"mIoU on {len(rest)} unseen pictures, {options.minutes:g} min each; full labels"
    report([Measure("sparse_vs_full", ours, full, "mIoU", what, TARGET)], options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
