"""Train the starter model on the nuclei pictures of the Data Science Bowl 2018 (CC0).

    python models/train_starter.py DATA --minutes 60 --out models/nuclei-unet

DATA holds images/*.png and instances/*.png (uint16, 0 background, 1..n a nucleus). Of the file
names in order, number i is for validation when i % 9 == 8 and for the test when i % 9 == 4; the
sample project's pictures are test pictures, so the model has seen none of them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from segstudio.learning.augment import Augmentation
from segstudio.learning.device import keep_memory
from segstudio.learning.events import Event, Log, Loss, Validation
from segstudio.learning.inference import Inference
from segstudio.learning.loop import Control, Run, pooled, score, seed_everything
from segstudio.learning.normalise import Normalisation
from segstudio.learning.recipe import Recipe
from segstudio.learning.samples import Item, Labelled, Library
from segstudio.networks import registry

CLASSES = ("nucleus",)
GAP_WEIGHT = 4.0
NEAR = 7


def read(image: Path, instances: Path, gaps: bool = True) -> Labelled:
    """A picture with its label map; with `gaps`, touching nuclei are cut apart (see below)."""
    pixels = cv2.imread(str(image), cv2.IMREAD_COLOR_RGB)
    nuclei = cv2.imread(str(instances), cv2.IMREAD_UNCHANGED)
    if pixels is None or nuclei is None:
        raise SystemExit(f"cannot read {image} or {instances}")
    labels = (nuclei > 0).astype(np.int16)
    if not gaps:
        return Labelled(pixels, labels)
    labels[meets_another(nuclei, 3)] = 0
    weights = 1 + (GAP_WEIGHT - 1) * meets_another(nuclei, NEAR).astype(np.float32)
    return Labelled(pixels, labels, weights)


def meets_another(instances: NDArray[np.uint16], size: int) -> NDArray[np.bool_]:
    """Pixels whose size x size surroundings hold two nuclei.

    Drafts are connected pixels of one class, so a line of background between nuclei that touch
    keeps them apart; the weight on narrow places is the idea of the U-Net paper's equation 2.
    """
    kernel = np.ones((size, size), np.uint8)
    values = instances.astype(np.float32)
    high = cv2.dilate(values, kernel)
    low = cv2.erode(np.where(values > 0, values, np.float32(np.inf)), kernel)
    return (high > 0) & (low != high) & np.isfinite(low)


def items(data: Path, part: int | None, gaps: bool = True) -> list[Item]:
    """Items with i % 9 == part, or all that are neither for validation nor for the test."""
    images = sorted((data / "images").glob("*.png"))
    if not images:
        raise SystemExit(f"there is no images/*.png in {data}")
    chosen = [
        image
        for i, image in enumerate(images)
        if (i % 9 == part if part is not None else i % 9 not in (4, 8))
    ]
    return [
        Item(image.stem, partial(read, image, data / "instances" / image.name, gaps))
        for image in chosen
    ]


def recipe(minutes: float, seed: int) -> Recipe:
    return Recipe(
        name="polish",
        crop=192,
        batch=8,
        learning_rate=2e-3,
        schedule="cosine",
        ema=0.995,
        seed=seed,
        normalisation=Normalisation(background="dark"),
        augmentation=Augmentation(scale=(0.5, 2.0), invert=0.1, elastic=0.1, colour=0.15),
    )


def tell(event: Event) -> None:
    if isinstance(event, Loss) and event.step % 50 < 2:
        print(f"{event.seconds:7.1f} s  step {event.step:5d}  loss {event.value:.4f}", flush=True)
    elif isinstance(event, Validation):
        print(f"{event.seconds:7.1f} s  step {event.step:5d}  {event.per_class}", flush=True)
    elif isinstance(event, Log):
        print(event.text, flush=True)


def foreground_iou(network: torch.nn.Module, how: Recipe, data: Path, part: int) -> float:
    """Pooled over all pixels of that part, against the labels as they are (no gaps cut)."""
    held_out = items(data, part, gaps=False)
    library = Library(held_out, how.normalisation)
    scores = score(
        Inference(network, how.normalisation, torch.device("cpu")), held_out, library, Control(), 1
    )
    return float(pooled(scores, 1).iou()[1])


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "nuclei-unet")
    options = parser.parse_args(None if arguments is None else list(arguments))
    how = recipe(options.minutes, options.seed)
    seed_everything(options.seed)
    keep_memory()
    cv2.setNumThreads(1)
    network = registry.build("unet", len(CLASSES))
    library = Library(items(options.data, None)[: options.limit], how.normalisation)
    fit = Run(
        network,
        library,
        items(options.data, 8),
        CLASSES,
        how,
        torch.device("cpu"),
        seconds=options.minutes * 60,
        control=Control(on_event=tell),
    ).fit()
    test = {
        name: foreground_iou(fit.network, fit.recipe, options.data, part)
        for name, part in (("validation", 8), ("test", 4))
    }
    print(json.dumps({"steps": fit.steps, "seconds": fit.seconds, "iou": test}))
    options.out.mkdir(parents=True, exist_ok=True)
    torch.save(fit.network.state_dict(), options.out / "tmp.pt")
    return 0


if __name__ == "__main__":
    sys.exit(main())
