"""Learning from rectangles alone against full labels, in the same time: cell nuclei.

The same 60 pictures as in `nuclei_scratch`, once with every nucleus outlined, once with the
bounding rectangles of the nuclei and `segstudio train --weak boxes`; turning boxes into segments is
part of its time. Scored by pooled IoU on pictures that neither has seen.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks.common import DATA, Measure, need, parser, report
from benchmarks.nuclei_scratch import make_project, pooled_iou, split, tell
from segstudio.annotation.shape import Shape, as_points
from segstudio.learning.boxlabels import BOXES
from segstudio.learning.trainer import TrainRequest, train
from segstudio.project.predictions import read_png
from segstudio.project.project import Project

TARGET = ">= 0.9"


def rectangles(instances: Path) -> tuple[Shape, ...]:
    """The bounding rectangle of every nucleus."""
    found = read_png(instances)
    assert found is not None
    shapes = []
    for number in np.unique(found[found > 0]).tolist():
        x, y, wide, high = cv2.boundingRect((found == number).astype(np.uint8))
        corners = as_points([[x, y], [x + wide, y + high]])
        shapes.append(Shape("nucleus", "rectangle", corners))
    return tuple(shapes)


def make_weak(project: Project, folder: Path) -> None:
    """The labels of a project give way to rectangles."""
    for key in project.included():
        shapes = rectangles(folder / "instances" / f"{Path(key).stem}.png")
        project.save(key, replace(project.load(key), shapes=shapes, confirmed=True))


def trained(
    folder: Path, pictures: list[Path], rest: list[Path], weak: str, minutes: float
) -> float:
    """Pooled IoU of a network trained on the pictures, by their boxes when `weak`."""
    with tempfile.TemporaryDirectory() as place, make_project(pictures, Path(place)) as project:
        if weak:
            make_weak(project, folder)
        request = TrainRequest(minutes=minutes, overrides={"weak": weak}, device="cpu")
        result = train(project, request, tell)
        print(f"{result.steps} steps, {result.reason}", flush=True)
        iou = pooled_iou(project, project.models.get(result.model), rest)
    print(f"{weak or 'full labels'}: IoU {iou:.4f}", flush=True)
    return iou


def main() -> int:
    arguments = parser(__doc__ or "")
    arguments.add_argument("--minutes", type=float, default=3.5, help="of each training")
    options = arguments.parse_args()
    folder = need(DATA / "nuclei")
    pictures, rest = split(folder)
    rest = rest[::2]
    ours = trained(folder, pictures, rest, BOXES, options.minutes)
    full = trained(folder, pictures, rest, "", options.minutes)
    what = f"pooled IoU on {len(rest)} unseen pictures, {options.minutes:g} min each; full labels"
    report([Measure("weak_vs_full", ours, full, "IoU", what, TARGET)], options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
