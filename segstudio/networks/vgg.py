"""VGG-16: Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", ICLR 2015 (arXiv 1409.1556), table 1, configuration D, as an encoder.

Layers have the places that torchvision gives them (`features.0` …), pooled, dilated or not, so
that its published weights load by name. `width` is the number of channels of the first stage,
64 in the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from torch import Tensor, nn

from segstudio.networks.atrous import Atrous

STAGES: Final = ((1, 1), (2, 2), (4, 4, 4), (8, 8, 8), (8, 8, 8))
"""Channels of each 3x3 convolution in units of the width, by stage."""


def halving() -> list[nn.Module]:
    """The five pooling layers of the paper."""
    return [nn.MaxPool2d(2) for _ in STAGES]


def features(
    channels: int,
    width: int = 64,
    pools: Sequence[nn.Module] | None = None,
    rates: Sequence[int] = (1, 1, 1, 1, 1),
    norm: bool = False,
) -> nn.Sequential:
    """The thirteen convolutions, each stage at its atrous rate and ended by its pooling."""
    layers: list[nn.Module] = []
    for stage, pool, rate in zip(STAGES, pools or halving(), rates, strict=True):
        for factor in stage:
            layers.append(nn.Conv2d(channels, factor * width, 3, padding=rate, dilation=rate))
            channels = factor * width
            layers += [nn.BatchNorm2d(channels)] if norm else []
            layers.append(nn.ReLU(inplace=True))
        layers.append(pool)
    return nn.Sequential(*layers)


def stage_ends(norm: bool = False) -> list[int]:
    """Places of the five poolings in `features`."""
    ends, place = [], -1
    for stage in STAGES:
        place += len(stage) * (3 if norm else 2) + 1
        ends.append(place)
    return ends


def fully_convolutional(width: int, rate: int = 1) -> nn.Sequential:
    """fc6 and fc7 as convolutions (Long et al. 2015, section 3.1): 8 x width channels to
    64 x width, the size kept; fc6 at an atrous rate."""
    wide = 64 * width
    return nn.Sequential(
        Atrous(8 * width, wide, 7, rate),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Conv2d(wide, wide, 1),
        nn.ReLU(inplace=True),
        nn.Dropout(),
    )


class VGG16(nn.Module):
    """The convolutions and, where `tail` is given, what follows them under torchvision's name."""

    def __init__(self, layers: nn.Sequential, tail: nn.Module | None = None) -> None:
        super().__init__()
        self.features = layers
        self.classifier = tail if tail is not None else nn.Identity()
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) to the last feature map."""
        found: Tensor = self.classifier(self.features(x))
        return found

    def stages(self, x: Tensor) -> list[Tensor]:
        """Feature maps after each of the five poolings, and after the tail."""
        ends, found = stage_ends(), []
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in ends:
                found.append(x)
        return [*found, self.classifier(x)]


def initialise(module: nn.Module) -> None:
    """He et al. 2015 (arXiv 1502.01852), by which VGG trains from scratch without pretraining."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
