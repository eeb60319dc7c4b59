"""Samples per second of the trainer against a bare forward/backward loop on ready tensors."""

from __future__ import annotations

import sys

import cv2
import torch
import torch.nn.functional as F

from benchmarks import camvid
from benchmarks.camvid import CLASSES
from benchmarks.common import Measure, interleaved, parser, report, seconds
from segstudio.learning import device
from segstudio.learning.loop import Run
from segstudio.learning.recipe import Recipe
from segstudio.learning.samples import Library
from segstudio.networks import registry

BATCH, CROP, STEPS, ROUNDS, PICTURES = 4, 256, 10, 5, 40
TARGET = ">= 0.85"


def trainer_rate(library: Library) -> float:
    """The whole trainer: crops, augmentation, loss, optimiser, average, reports."""
    # statistics stay live, as in the reference loop
    recipe = Recipe(batch=BATCH, crop=CROP, max_steps=STEPS, freeze_statistics=2.0)
    names = [str(i) for i in range(CLASSES)]
    network = registry.build("unet", CLASSES)
    run = Run(network, library, [], names, recipe, torch.device("cpu"))
    return STEPS * BATCH / seconds(run.fit)


def bare_rate() -> float:
    """Forward, cross-entropy, backward and an AdamW step, on one batch that is there."""
    network = registry.build("unet", CLASSES).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(network.parameters(), fused=True)
    inputs = torch.randn(BATCH, 3, CROP, CROP).to(memory_format=torch.channels_last)
    target = torch.randint(0, CLASSES + 1, (BATCH, CROP, CROP))

    def loop() -> None:
        for _ in range(STEPS):
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(F.cross_entropy(network(inputs), target))
            optimiser.step()

    return STEPS * BATCH / seconds(loop)


def main() -> int:
    options = parser(__doc__ or "").parse_args()
    device.keep_memory()
    cv2.setNumThreads(1)
    library = camvid.library(camvid.items(count=PICTURES))
    bare_rate()  # the first passes are slow
    ours, reference = interleaved(lambda: trainer_rate(library), bare_rate, ROUNDS)
    what = f"U-Net width 16, batch {BATCH} x {CROP} x {CROP}, augmentation on, CPU"
    report([Measure("train", ours, reference, "smp/s", what, TARGET)], options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
