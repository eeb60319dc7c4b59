"""What a published encoder sees in a picture, for round 0: features that no filter bank has.

As in Convpaint (Hinderling et al. 2024): the first stages of a network that was trained on ImageNet
tell textures and materials apart, and a small classifier on them learns from a few strokes. Only
weights that are at hand are used; nothing is fetched for it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
import torchvision.models
from numpy.typing import NDArray
from torch import Tensor, nn

from segstudio.errors import UserError
from segstudio.learning.normalise import IMAGENET_MEAN, IMAGENET_STD, Picture
from segstudio.learning.round0 import shrunk
from segstudio.networks import registry, weights

PLANES: Final = 36
"""Features of each pixel, a third from each of three stages."""
_FAMILIES: Final = ("ResNet18", "ResNet34", "ResNet50", "ResNet101")
"""The quickest first."""
_MOST_PIXELS: Final = 300_000
"""A larger picture is encoded smaller: what is seen is coarse anyway."""


class Encoder(nn.Module):
    """The stem and the first two stages of a ResNet, each mixed down to `PLANES` / 3 channels by
    a fixed random projection, which keeps distances (Johnson and Lindenstrauss)."""

    def __init__(self, resnet: torchvision.models.ResNet) -> None:
        super().__init__()
        self.stem = nn.Sequential(resnet.conv1, resnet.bn1, resnet.relu)
        self.first = nn.Sequential(resnet.maxpool, resnet.layer1)
        self.second = resnet.layer2
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(-1, 1, 1))
        self.register_buffer("spread", torch.tensor(IMAGENET_STD).view(-1, 1, 1))
        self.mean: Tensor
        self.spread: Tensor
        self.eval().requires_grad_(False)

    def forward(self, picture: Tensor) -> list[Tensor]:
        """(3, h, w) of 0..1 to the outputs of three stages, (channels, h / 2, w / 2) and so on."""
        stem = self.stem(((picture - self.mean) / self.spread)[None])
        first = self.first(stem)
        return [stem[0], first[0], self.second(first)[0]]

    @torch.inference_mode()
    def planes(self, picture: Picture) -> NDArray[np.float32]:
        """(h, w, 3) uint8 to (PLANES, h, w) float32."""
        height, width = picture.shape[:2]
        small = np.array(shrunk(picture, _MOST_PIXELS), order="C")
        pixels = torch.from_numpy(small).permute(2, 0, 1).float() / 255
        found: list[NDArray[np.float32]] = []
        for number, stage in enumerate(self(pixels)):
            mixed = torch.einsum("pc,chw->phw", _mix(len(stage), number), stage).numpy()
            found += [
                np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR))
                for plane in mixed
            ]
        return np.stack(found)


def _mix(channels: int, seed: int) -> Tensor:
    """(PLANES / 3, channels), the same at every start."""
    chance = torch.Generator().manual_seed(seed)
    return torch.randn(PLANES // 3, channels, generator=chance) / math.sqrt(channels)


def at_hand() -> Encoder | None:
    """The quickest encoder whose published weights are in the cache; None when there is none, and
    for a file that holds something else."""
    for family in _FAMILIES:
        file = _file_of(family)
        if file is not None:
            resnet = getattr(torchvision.models, family.lower())(weights=None)
            chosen = weights.Chosen(file, family, "whole")
            try:
                weights.load_into(resnet, chosen)
            except UserError:
                continue
            return Encoder(resnet)
    return None


def _file_of(family: str) -> Path | None:
    for card in registry.ARCHITECTURES.values():
        for source in card.weights:
            if source.enum.startswith(f"{family}_Weights."):
                file = weights.cache_folder() / weights.address(source).file_name
                if file.is_file():
                    return file
    return None
