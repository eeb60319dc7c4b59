"""What differs between networks that class pixels and networks that find things.

The loop, the trainer, prediction and evaluation are the same for both and ask a task for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import torch
from torch import Tensor, nn

from segstudio.learning.finish import Finishes
from segstudio.learning.inference import Notice, Reader
from segstudio.learning.instances import Instances
from segstudio.learning.normalise import Normalisation
from segstudio.learning.pixels import Pixels
from segstudio.learning.recipe import DeviceKind, Facts, Recipe
from segstudio.learning.samples import Batch, Item, Library
from segstudio.networks import registry


class Loss(Protocol):
    """What a network is to make small."""

    def __call__(self, network: nn.Module, inputs: Tensor, batch: Batch) -> Tensor:
        """A scalar for inputs (n, c, s, s), which are those of `batch` on the network's device."""

    def state(self) -> dict[str, Any]:
        """What the loss itself has learned: tensors and plain values, empty where it does not."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`; from an empty one, as it began."""


class Task(Protocol):
    """A kind of network: what it learns from, what it is punished for, and how it is asked."""

    @property
    def instances(self) -> bool:
        """Whether it learns from things, and so from images that are labelled completely."""

    def configure(
        self,
        facts: Facts,
        device: DeviceKind,
        *,
        pretrained: bool,
        memory: int | None,
        overrides: Mapping[str, Any],
    ) -> Recipe:
        """The recipe for these data; see `recipe.configure`."""

    def loss(self, recipe: Recipe, classes: int, device: torch.device) -> Loss:
        """For so many classes, the background not counted."""

    def reader(
        self,
        network: nn.Module,
        normalisation: Normalisation,
        device: torch.device,
        *,
        notice: Notice = ...,
        temperature: float = ...,
        finishes: Finishes = ...,
    ) -> Reader:
        """A trained network, ready for pictures."""

    def finishes(
        self, reader: Reader, items: Sequence[Item], library: Library, check: Callable[[], None]
    ) -> Finishes:
        """What leaves least to mend of what a reader of this task answers; `check`, called between
        items, may raise."""

    def temperature(self, reader: Reader, items: Sequence[Item], library: Library) -> float | None:
        """What makes the confidence of a reader of this task honest; None when nothing does."""


PIXELS: Final[Task] = Pixels()
INSTANCES: Final[Task] = Instances()


def task_of(architecture: str) -> Task:
    """The task of a network; UserError when there is no such network."""
    return INSTANCES if registry.card_of(architecture).answers == "instances" else PIXELS
