"""Networks that find things: their recipe, their targets and loss, and how they are asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from segstudio.learning import recipe
from segstudio.learning.device import autocast
from segstudio.learning.finding import Finder
from segstudio.learning.finish import UNTOUCHED, Finishes
from segstudio.learning.inference import Notice, Reader, _nothing
from segstudio.learning.metrics import VOID
from segstudio.learning.normalise import Normalisation
from segstudio.learning.recipe import DeviceKind, Facts, Recipe
from segstudio.learning.samples import Batch, Item, Library
from segstudio.networks.maskrcnn import Target

_SLIVER: Final = 2
"""Pixels a thing must be wide and high; what a crop leaves of others is void."""


class InstanceLoss:
    """The sum of the network's own losses, each as heavy as the others, as in the paper."""

    def __call__(self, network: nn.Module, inputs: Tensor, batch: Batch) -> Tensor:
        """A scalar for inputs (n, c, s, s) on the network's device and the things of `batch`."""
        device = inputs.device
        targets = [targets_of(*maps, device) for maps in _maps(batch)]
        with autocast(device):
            losses: dict[str, Tensor] = network(inputs, targets)
        return torch.stack([loss.float() for loss in losses.values()]).sum()

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Nothing: it does not learn."""


def _maps(batch: Batch) -> list[tuple[Tensor, Tensor]]:
    if batch.instances is None:
        raise ValueError("this network learns from instances, and the batch has none")
    pairs = zip(batch.labels, batch.instances, strict=True)
    return [(torch.from_numpy(labels), torch.from_numpy(things)) for labels, things in pairs]


def targets_of(labels: Tensor, instances: Tensor, device: torch.device) -> Target:
    """The things of a crop: label map (h, w) int64 with VOID, instance map (h, w) of which 0 is
    nothing and VOID is outside the picture."""
    labels, instances = labels.to(device), instances.to(device)
    void = (labels == VOID) | (instances == VOID)
    numbers = torch.unique(instances[(instances > 0) & ~void])
    masks = (instances == numbers[:, None, None]) & ~void
    boxes = _boxes(masks)
    whole = (boxes[:, 2:] - boxes[:, :2] >= _SLIVER).all(1)
    void |= masks[~whole].any(0)
    masks, boxes = masks[whole], boxes[whole]
    rows = torch.where(masks, labels, 0).flatten(1).amax(1) if len(masks) else numbers[:0].long()
    return Target(boxes=boxes, labels=rows.long(), masks=masks.to(torch.uint8), void=void)


def _boxes(masks: Tensor) -> Tensor:
    """(n, h, w) bool to the pixels they span, (n, 4) float32 x0, y0, x1, y1, ends exclusive."""
    ends = []
    for axis in (1, 2):  # over rows for x, over columns for y
        span = masks.any(axis).to(torch.uint8)
        first, last = span.argmax(1), span.shape[1] - span.flip(1).argmax(1)
        ends.append((first, last))
    (x0, x1), (y0, y1) = ends
    return torch.stack([x0, y0, x1, y1], 1).float()


class Instances:
    """See `task.Task`."""

    instances = True

    def configure(
        self,
        facts: Facts,
        device: DeviceKind,
        *,
        pretrained: bool,
        memory: int | None,
        overrides: Mapping[str, Any],
    ) -> Recipe:
        """Crops show whole things, and anchors begin at the size of the small ones."""
        return recipe.configure(
            facts,
            device,
            pretrained=pretrained,
            memory=memory,
            overrides=overrides,
            adapted=recipe.for_instances(facts, device, memory),
        )

    def loss(self, recipe: Recipe, classes: int, device: torch.device) -> InstanceLoss:
        return InstanceLoss()

    def reader(
        self,
        network: nn.Module,
        normalisation: Normalisation,
        device: torch.device,
        *,
        notice: Notice = _nothing,
        temperature: float = 1.0,
        finishes: Finishes = UNTOUCHED,
    ) -> Finder:
        """Things are taken as they are: the last two are for scores of pixels."""
        return Finder(network, normalisation, device, notice=notice)

    def finishes(
        self, reader: Reader, items: Sequence[Item], library: Library, check: Callable[[], None]
    ) -> Finishes:
        return UNTOUCHED

    def temperature(self, reader: Reader, items: Sequence[Item], library: Library) -> float | None:
        return None
