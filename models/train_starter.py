"""Train the starter model on the nuclei pictures of the Data Science Bowl 2018 (CC0).

    python models/train_starter.py DATA --minutes 60 --out models/nuclei-unet

DATA holds images/*.png and instances/*.png (uint16, 0 background, 1..n a nucleus). Of the file
names in order, number i is for validation when i % 9 == 8 and for the test when i % 9 == 4; the
sample project's pictures are test pictures, so the model has seen none of them.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from segstudio.learning import store
from segstudio.learning.augment import Augmentation
from segstudio.learning.device import keep_memory
from segstudio.learning.events import Event, Log, Loss, Validation
from segstudio.learning.inference import Inference
from segstudio.learning.loop import Control, Fit, Run, pooled, score, seed_everything
from segstudio.learning.normalise import Normalisation
from segstudio.learning.recipe import Recipe
from segstudio.learning.samples import Item, Labelled, Library
from segstudio.networks import registry
from segstudio.project.images import read_image
from segstudio.project.predictions import LabelMap, read_png

CLASSES = ("nucleus",)
VALIDATION, TEST = 8, 4
DATA_CARD = {
    "name": "Data Science Bowl 2018, stage 1 (BBBC038), corrected labels",
    "licence": "CC0-1.0",
    "source": "https://bbbc.broadinstitute.org/BBBC038",
    "split": "by file name in order: i % 9 == 8 validation, i % 9 == 4 test, the rest training",
}
GAP_WEIGHT = 4.0
NEAR = 7


def read(image: Path, instances: Path, gaps: bool = True) -> Labelled:
    """A picture with its label map; with `gaps`, touching nuclei are cut apart (see below)."""
    pixels, nuclei = read_image(image), read_png(instances)
    if nuclei is None:
        raise SystemExit(f"cannot read {instances}")
    labels = (nuclei > 0).astype(np.int16)
    if not gaps:
        return Labelled(pixels, labels)
    labels[meets_another(nuclei, 3)] = 0
    weights = 1 + (GAP_WEIGHT - 1) * meets_another(nuclei, NEAR).astype(np.float32)
    return Labelled(pixels, labels, weights)


def meets_another(instances: LabelMap, size: int) -> NDArray[np.bool_]:
    """Pixels whose size x size surroundings hold two nuclei.

    Drafts are connected pixels of one class, so a line of background between nuclei that touch
    keeps them apart; the weight on narrow places is the idea of the U-Net paper's equation 2.
    """
    kernel = np.ones((size, size), np.uint8)
    values = instances.astype(np.float32)
    high = cv2.dilate(values, kernel)
    low = cv2.erode(np.where(values > 0, values, np.float32(np.inf)), kernel)
    return np.asarray((high > 0) & (low != high) & np.isfinite(low))


def items(data: Path, part: int | None, gaps: bool = True) -> list[Item]:
    """Items with i % 9 == part, or all that are neither for validation nor for the test."""
    images = sorted((data / "images").glob("*.png"))
    if not images:
        raise SystemExit(f"there is no images/*.png in {data}")
    chosen = [
        image
        for i, image in enumerate(images)
        if (i % 9 == part if part is not None else i % 9 not in (VALIDATION, TEST))
    ]
    return [
        Item(image.stem, partial(read, image, data / "instances" / image.name, gaps))
        for image in chosen
    ]


def recipe(seed: int) -> Recipe:
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


def nucleus_scores(network: nn.Module, how: Recipe, data: Path, part: int) -> dict[str, Any]:
    """Over all pixels of that part, against the labels as they are (no gaps cut)."""
    held_out = items(data, part, gaps=False)
    library = Library(held_out, how.normalisation)
    scores = score(
        Inference(network, how.normalisation, torch.device("cpu")), held_out, library, Control(), 1
    )
    return {"images": len(scores), **pooled(scores, 1).scores(CLASSES)}


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "nuclei-unet")
    options = parser.parse_args(None if arguments is None else list(arguments))
    how = recipe(options.seed)
    seed_everything(options.seed)
    keep_memory()
    cv2.setNumThreads(1)
    network = registry.build("unet", len(CLASSES))
    library = Library(items(options.data, None), how.normalisation)
    fit = Run(
        network,
        library,
        items(options.data, VALIDATION),
        CLASSES,
        how,
        torch.device("cpu"),
        seconds=options.minutes * 60,
        control=Control(on_event=tell),
    ).fit()
    write(options.out, fit, options.data)
    return 0


def write(out: Path, fit: Fit, data: Path) -> None:
    """The model folder, scored again as it is stored: in half precision."""
    halved = copy.deepcopy(fit.network).half().float()
    scores = {
        "validation": nucleus_scores(halved, fit.recipe, data, VALIDATION),
        "test": nucleus_scores(halved, fit.recipe, data, TEST),
    }
    print(json.dumps({"steps": fit.steps, "seconds": fit.seconds, **scores}))
    out.mkdir(parents=True, exist_ok=True)
    store.write_model(
        out,
        fit.network,
        architecture="unet",
        classes=CLASSES,
        options=registry.card_of("unet").options,
        normalisation=fit.recipe.normalisation,
        facts={
            "title": "Nuclei",
            "description": "Cell nuclei in fluorescence and stained bright-field pictures.",
            "licence": "Apache-2.0",
            "data": DATA_CARD,
            "steps": fit.steps,
            "seconds": fit.seconds,
            "scores": {**scores["test"], "validation": scores["validation"]},
            "recipe": fit.recipe.to_dict(),
        },
        curves=fit.curves,
        half=True,
    )


if __name__ == "__main__":
    sys.exit(main())
