"""Pictures per second of `segment` on CamVid against bare forward passes on ready tensors."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.common import DATA, Measure, interleaved, need, parser, report, seconds
from segstudio.learning import store
from segstudio.learning.normalise import Normalisation
from segstudio.learning.predictor import open_predictor, segment
from segstudio.networks import registry
from segstudio.project.models import ModelInfo
from segstudio.project.project import Project

PICTURES, ROUNDS, CLASSES = 200, 8, 11
TARGET = ">= 0.85"


@contextmanager
def camvid_project() -> Iterator[tuple[Project, ModelInfo]]:
    """200 pictures of 480 x 360 in a project with an untrained U-Net of width 16."""
    pictures = sorted(need(DATA / "camvid" / "images").rglob("*.webp"))[:PICTURES]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "camvid"
        (root / "images").mkdir(parents=True)
        for picture in pictures:
            shutil.copy(picture, root / "images")
        names = [f"class {i}" for i in range(1, CLASSES + 1)]
        with Project.create(root, classes=names) as project:
            torch.manual_seed(0)
            network = registry.build("unet", CLASSES)
            yield (
                project,
                project.models.add(
                    "unet",
                    lambda target: store.write_model(
                        target,
                        network,
                        architecture="unet",
                        classes=names,
                        options=registry.card_of("unet").options,
                        normalisation=Normalisation(),
                        facts={},
                    ),
                ),
            )


def forward_rate(network: nn.Module, picture: Tensor, count: int) -> float:
    """Pictures per second of nothing but forward passes."""
    with torch.inference_mode():
        return count / seconds(lambda: [network(picture) for _ in range(count)])


def main() -> int:
    options = parser(__doc__ or "").parse_args()
    with camvid_project() as (project, model):
        predictor = open_predictor(project, model, "cpu")
        height, width = project.read_image(project.images()[0]).shape[:2]
        bare = registry.build("unet", CLASSES).eval().to(memory_format=torch.channels_last)
        picture = torch.randn(1, 3, height, width).to(memory_format=torch.channels_last)
        keys = project.images()
        size = len(keys) // ROUNDS
        parts = iter([keys[i * size : (i + 1) * size] for i in range(ROUNDS)])

        def ours() -> float:
            part = next(parts)
            took = seconds(lambda: segment(project, model, part, "cpu", predictor=predictor))
            return len(part) / took

        def reference() -> float:
            return forward_rate(bare, picture, size)

        forward_rate(bare, picture, 3)
        mine, plain = interleaved(ours, reference, ROUNDS)
    report(
        [
            Measure(
                "segment",
                mine,
                plain,
                "img/s",
                f"{PICTURES} CamVid pictures, U-Net width 16, CPU; reference: forward passes",
                TARGET,
            )
        ],
        options.json,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
