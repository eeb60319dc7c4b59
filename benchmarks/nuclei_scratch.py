"""Foreground IoU after ten minutes of training from scratch on 60 nuclei pictures.

The reference is the figure of a plain hand-written U-Net of 1.2 M parameters.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import DATA, Measure, need, parser, report
from segstudio import formats
from segstudio.learning.events import Event, Log, Validation
from segstudio.learning.metrics import Confusion
from segstudio.learning.predictor import open_predictor
from segstudio.learning.trainer import TrainRequest, train
from segstudio.project.images import read_image
from segstudio.project.models import ModelInfo
from segstudio.project.predictions import read_png
from segstudio.project.project import Project

TRAINED, EVERY, REFERENCE = 60, 3, 0.81
TARGET = ">= 0.83 (ours)"


def split(folder: Path) -> tuple[list[Path], list[Path]]:
    """Every third picture by name, 60 of them, to train on; the rest to test on."""
    pictures = sorted((folder / "images").glob("*.png"))
    chosen = pictures[::EVERY][:TRAINED]
    return chosen, [picture for picture in pictures if picture not in set(chosen)]


def make_project(pictures: Sequence[Path], root: Path) -> Project:
    """A project with those pictures imported from their instance maps."""
    source = root / "source"
    for name in ("images", "instances"):
        (source / name).mkdir(parents=True)
    for picture in pictures:
        shutil.copy(picture, source / "images")
        shutil.copy(picture.parents[1] / "instances" / picture.name, source / "instances")
    project = Project.create(root / "nuclei", classes=["nucleus"])
    numbering = formats.Numbering(("nucleus",))
    formats.import_into(project, formats.find_set(source, "instance_png", numbering=numbering))
    return project


def compared(project: Project, model: ModelInfo, pictures: Sequence[Path]) -> Confusion:
    """Predictions with the truth, all pixels of pictures that are not in the project."""
    predictor = open_predictor(project, model, "cpu")
    total = Confusion(2)
    for picture in pictures:
        predicted, _ = predictor.predict(read_image(picture))
        truth = read_png(picture.parents[1] / "instances" / picture.name)
        assert truth is not None
        total.add((predicted > 0).astype(np.uint8), (truth > 0).astype(np.uint8))
    return total


def pooled_iou(project: Project, model: ModelInfo, pictures: Sequence[Path]) -> float:
    """Of the nuclei."""
    return float(compared(project, model, pictures).iou()[1])


def tell(event: Event) -> None:
    if isinstance(event, Validation):
        print(f"{event.seconds:6.0f} s  step {event.step:4d}  {dict(event.per_class)}", flush=True)
    elif isinstance(event, Log):
        print(event.text, flush=True)


def main() -> int:
    arguments = parser(__doc__ or "")
    arguments.add_argument("--minutes", type=float, default=10.0)
    options = arguments.parse_args()
    chosen, rest = split(need(DATA / "nuclei"))
    with tempfile.TemporaryDirectory() as folder, make_project(chosen, Path(folder)) as project:
        request = TrainRequest(minutes=options.minutes, device="cpu")
        result = train(project, request, tell)
        model = project.models.get(result.model)
        print(f"{result.steps} steps, {result.reason}; recipe: {model.card['recipe']}")
        iou = pooled_iou(project, model, rest)
    what = f"pooled IoU on {len(rest)} unseen pictures after {options.minutes:g} minutes, CPU"
    report([Measure("nuclei_scratch", iou, REFERENCE, "IoU", what, TARGET)], options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
