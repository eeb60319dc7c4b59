"""Networks that class every pixel: their recipe, their loss, and how they are asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segstudio.learning import calibrate, recipe
from segstudio.learning.adversarial import Adversary
from segstudio.learning.device import autocast
from segstudio.learning.finish import LARGEST, UNTOUCHED, Finishes, Look, best_finishes
from segstudio.learning.inference import Inference, Notice, Reader, _nothing
from segstudio.learning.losses import with_auxiliary
from segstudio.learning.normalise import Normalisation, Picture
from segstudio.learning.recipe import DeviceKind, Facts, Recipe
from segstudio.learning.samples import Batch, Item, Labelled, Library


class PixelLoss:
    """Cross-entropy and Dice on labelled pixels, auxiliary outputs and an adversary's judgement."""

    def __init__(self, recipe: Recipe, classes: int, device: torch.device) -> None:
        """`classes` does not count the background."""
        self._recipe = recipe
        weights = torch.tensor(recipe.class_weights, device=device)
        self._class_weights = weights if len(weights) else None
        self.adversary = Adversary(classes + 1, device) if recipe.adversarial else None

    def __call__(self, network: nn.Module, inputs: Tensor, batch: Batch) -> Tensor:
        """A scalar for inputs (n, c, s, s) on the network's device and the labels of `batch`."""
        device = inputs.device
        target = torch.from_numpy(batch.labels).to(device, non_blocking=True)
        weights = None if batch.weights is None else torch.from_numpy(batch.weights).to(device)
        with autocast(device):
            outputs = network(inputs)
        shares = getattr(network, "auxiliary", {})
        loss = with_auxiliary(
            outputs, target, shares, self._class_weights, weights, self._recipe.dice_share
        )
        if self.adversary is None:
            return loss
        logits = outputs if isinstance(outputs, Tensor) else outputs["out"]
        return loss + self._recipe.adversarial * self.adversary.loss(logits, target)

    def state(self) -> dict[str, Any]:
        return {} if self.adversary is None else {"adversary": self.adversary.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        if self.adversary is not None and "adversary" in state:
            self.adversary.restore(state["adversary"])


class Pixels:
    """See `task.Task`."""

    instances = False

    def configure(
        self,
        facts: Facts,
        device: DeviceKind,
        *,
        pretrained: bool,
        memory: int | None,
        overrides: Mapping[str, Any],
    ) -> Recipe:
        return recipe.configure(
            facts, device, pretrained=pretrained, memory=memory, overrides=overrides
        )

    def loss(self, recipe: Recipe, classes: int, device: torch.device) -> PixelLoss:
        return PixelLoss(recipe, classes, device)

    def reader(
        self,
        network: nn.Module,
        normalisation: Normalisation,
        device: torch.device,
        *,
        notice: Notice = _nothing,
        temperature: float = 1.0,
        finishes: Finishes = UNTOUCHED,
    ) -> Inference:
        return Inference(
            network,
            normalisation,
            device,
            notice=notice,
            temperature=temperature,
            finishes=finishes,
        )

    def finishes(
        self, reader: Reader, items: Sequence[Item], library: Library, check: Callable[[], None]
    ) -> Finishes:
        assert isinstance(reader, Inference)

        def looks() -> Iterator[Look]:
            for item in items:
                check()
                yield reader.look(*_middle(library.get(item)))

        return best_finishes(looks())

    def temperature(self, reader: Reader, items: Sequence[Item], library: Library) -> float | None:
        assert isinstance(reader, Inference)
        return calibrate.temperature_of(reader, items, library)


def _middle(one: Labelled) -> tuple[Picture, NDArray[np.int16]]:
    """As much of the picture (h, w, 3), and its labels (h, w), as there is time for a CRF on."""
    height, width = one.labels.shape
    side = math.isqrt(LARGEST)
    parts = [
        slice(max(0, (n - side) // 2), max(0, (n - side) // 2) + side) for n in (height, width)
    ]
    return one.picture[parts[0], parts[1]], one.labels[parts[0], parts[1]]
