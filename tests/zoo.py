"""What the tests of all networks share: their smallest variants, and two pictures to learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from segstudio.networks import registry
from segstudio.networks.card import Card

LIGHT = [f"{name}:light" for name, card in registry.ARCHITECTURES.items() if card.light]
"""What users without a GPU get, as networks of their own."""
NAMES = [name for name, card in registry.ARCHITECTURES.items() if card.answers == "pixels"] + LIGHT
FINDERS = [name for name, card in registry.ARCHITECTURES.items() if card.answers == "instances"]
_MOBILE = {"encoder": "mobilenet_v2"}
SMALL: Mapping[str, Mapping[str, Any]] = {
    **{n: {"width": 8} for n, c in registry.ARCHITECTURES.items() if c.options.get("width") == 64},
    "unet": {"width": 4},
    "unet:light": {"width": 8},
    "unet_resnet34": _MOBILE,
    "unet_mobilenet": {"decoder_channels": (64, 32, 16, 16, 16)},
    "unetplusplus": {**_MOBILE, "decoder_channels": (32, 16, 16, 8, 8)},
    "deeplabv3plus": _MOBILE,
    "upernet": {**_MOBILE, "decoder_channels": 32},
    "segformer": {"decoder_segmentation_channels": 64},
    "refinenet": {"width": 8, "layers": 50},
    "dilation8": {"width": 4, "context": "large"},
    "icnet": {"width": 4},
    **{name: {"backbone": "resnet18", "width": 16, "anchor": 8, "samples": 32} for name in FINDERS},
}
"""An eighth of the paper's width, else the smallest that a library has."""


def small(name: str, classes: int = 2, channels: int = 3, seed: int = 0) -> nn.Module:
    """The smallest variant; what starts at zero has small random values, so that the test of one
    network is that of the next."""
    torch.manual_seed(seed)
    network = full(name, classes, channels, **SMALL.get(name, {}))
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1 and not parameter.any():
                parameter.normal_(std=0.05)
    return network


def full(name: str, classes: int = 2, channels: int = 3, **options: Any) -> nn.Module:
    """The network as it is shipped, a light form where its name ends so, but for `options`."""
    card = card_of(name)
    light = card.light if name in LIGHT else {}
    return registry.build(card.name, classes, channels, **{**light, **options})


def card_of(name: str) -> Card:
    return registry.card_of(name.partition(":")[0])


def two_heaps() -> tuple[Tensor, Tensor]:
    """(2, 3, 96, 96) inputs and the things on them (2, 96, 96) int32: blocks that touch."""
    generator = torch.Generator().manual_seed(2)
    numbers = torch.zeros(2, 96, 96, dtype=torch.int32)
    for picture, (top, left) in enumerate(((12, 12), (40, 28))):
        for n in range(4):
            y, x = top + 22 * (n // 2), left + 26 * (n % 2)
            numbers[picture, y : y + 22, x : x + 26] = n + 1
    colours = torch.tensor(
        [[-0.8, -0.8, -0.8], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.7, 0.7, 0.0]]
    )
    inputs = colours[numbers.long()].permute(0, 3, 1, 2)
    return inputs + 0.1 * torch.randn(inputs.shape, generator=generator), numbers


def logits_of(outputs: Tensor | dict[str, Tensor]) -> Tensor:
    return outputs if isinstance(outputs, Tensor) else outputs["out"]


def two_pictures() -> tuple[Tensor, Tensor]:
    """(2, 3, 64, 64) inputs and (2, 64, 64) labels 0 and 1: one divided down, one across, where no
    network's grid has a line."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.zeros(2, 64, 64, dtype=torch.int64)
    labels[0, :, 37:] = 1
    labels[1, :27] = 1
    colours = torch.tensor([[0.8, -0.6, 0.1], [-0.7, 0.5, 0.6]])
    inputs = colours[labels].permute(0, 3, 1, 2)
    return inputs + 0.2 * torch.randn(inputs.shape, generator=generator), labels
