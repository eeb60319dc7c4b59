"""PSPNet: Zhao et al., "Pyramid Scene Parsing Network", CVPR 2017 (arXiv 1612.01105), sections 3.2
and 3.3, figures 3 and 4.

A ResNet at 1/8 of the picture (stages 4 and 5 at atrous rates 2 and 4), averages over 1x1, 2x2,
3x3 and 6x6 parts of it, each reduced to a quarter of the channels, spread again and put beside the
feature map. In training the fourth stage is scored too; the paper weighs that loss by 0.4.

Other than in the authors' published models (pspnet50_ADE20K_473.prototxt), the ResNet begins with
the 7x7 convolution of its paper and not with three of 3x3.
"""

from __future__ import annotations

from typing import Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segstudio.networks import resize
from segstudio.networks.resnet import ResNet, unit

BINS: Final = (1, 2, 3, 6)


class Pyramid(nn.Module):
    """Averages over parts of the map, reduced by 1x1 convolutions, beside the map itself."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(unit(channels, channels // len(BINS), 1) for _ in BINS)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, 2c, h, w)."""
        found = [x]
        for parts, level in zip(BINS, self.levels, strict=True):
            mean = level(averages(x, parts))
            found.append(
                F.interpolate(mean, x.shape[-2:], mode="bilinear", align_corners=parts > 1)
            )
        return torch.cat(found, dim=1)


def averages(x: Tensor, parts: int) -> Tensor:
    """(n, c, h, w) to the means of `parts` x `parts` equal parts, (n, c, parts, parts).

    Written as products with two small matrices, which every exporter knows.
    """
    down, across = (_shares(side, parts).to(x) for side in x.shape[-2:])
    return down @ x @ across.T


def _shares(side: int, parts: int) -> Tensor:
    """(parts, side) with 1 / n for the n points of each part, as adaptive pooling cuts them."""
    table = torch.zeros(parts, side)
    for part in range(parts):
        first, last = part * side // parts, -(-(part + 1) * side // parts)
        table[part, first:last] = 1 / (last - first)
    return table


class PSPNet(nn.Module):
    """Height and width of the input must be multiples of 8."""

    def __init__(
        self,
        channels: int = 3,
        outputs: int = 150,
        layers: Literal[50, 101] = 50,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.encoder = ResNet(channels, layers, width, rates=(1, 1, 2, 4))
        self.pyramid = Pyramid(32 * width)
        self.head = nn.Sequential(
            unit(64 * width, 8 * width, 3), nn.Dropout(0.1), nn.Conv2d(8 * width, outputs, 1)
        )
        self.auxiliary = nn.Sequential(
            unit(16 * width, 4 * width, 3), nn.Dropout(0.1), nn.Conv2d(4 * width, outputs, 1)
        )

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:
        """(n, channels, h, w) to logits (n, outputs, h, w); in training a dict with "aux" too."""
        *_, fourth, last = self.encoder(resize.odd(x))
        out = resize.spread(self.head(self.pyramid(last)), x)
        if not self.training:
            return out
        return {"out": out, "aux": resize.spread(self.auxiliary(fourth), x)}
