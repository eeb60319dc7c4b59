"""RefineNet: Lin et al., "RefineNet: Multi-Path Refinement Networks for High-Resolution Semantic
Segmentation", CVPR 2017 (arXiv 1611.06612), section 3, figures 2 (c) and 3.

The four stages of a ResNet are joined from coarse to fine. Each joint: two residual convolution
units on every path, a sum at the finest size, chained residual pooling of two blocks, one more
unit. 512 channels at the coarsest joint, 256 at the others; two more units before the scores.
The scores are those of 1/4 of the picture.

The authors' published code (gen_network_refine_group.m) has the same units, three after each
pooling: the one there, and the two of the path into the next joint or before the scores. They are
as wide as what they get; the convolution before the sum makes 256 channels of the 512. It chains
four poolings where the paper has two, which is what is here, and has dropout of 0.5 before the
scores (gen_network_loss_group.m), of which the paper says nothing; here is none. All its
convolutions but the encoder's begin at random with a deviation of 0.01 (My_net_util.m), so that
units change little at first: nothing is normalised here, and with larger weights the sums of so
many units begin in the thousands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Final, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from segstudio.networks.resnet import ResNet

_DEVIATION: Final = 0.01
_PUBLISHED_WIDTH: Final = 64


class Unit(nn.Module):
    """Residual convolution unit: ReLU, 3x3, ReLU, 3x3, and what came in (figure 3 b)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Shape kept."""
        change: Tensor = self.second(F.relu(self.first(F.relu(x))))
        return x + change


class Chain(nn.Module):
    """Chained residual pooling (figure 3 d): each block pools 5x5 what the one before gave."""

    def __init__(self, channels: int, blocks: int = 2) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(5, stride=1, padding=2)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1) for _ in range(blocks)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Shape kept."""
        x = F.relu(x)
        path = x
        for convolution in self.convolutions:
            path = convolution(self.pool(path))
            x = x + path
        return x


class Joint(nn.Module):
    """One RefineNet block: what the coarser joint gives, of `coarse` channels where there is one,
    and a stage of the encoder."""

    def __init__(self, stage: int, channels: int, coarse: int = 0) -> None:
        super().__init__()
        paths = [nn.Sequential(_adaptation(stage, channels), Unit(channels), Unit(channels))]
        if coarse:
            paths.insert(0, nn.Sequential(Unit(coarse), Unit(coarse)))
        self.paths = nn.ModuleList(paths)
        # one path alone is passed on as it is
        widths = (coarse, channels) if coarse else ()
        self.fusions = nn.ModuleList(_convolution(wide, channels) for wide in widths)
        self.chain = Chain(channels)
        self.output = Unit(channels)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """(n, c_i, h_i, w_i), the last one the finest, to (n, channels, h, w) of its size."""
        found = [path(x) for path, x in zip(self.paths, maps, strict=True)]
        if self.fusions:
            size = maps[-1].shape[-2:]
            found = [
                F.interpolate(fuse(x), size, mode="bilinear", align_corners=False)
                for fuse, x in zip(self.fusions, found, strict=True)
            ]
        joined: Tensor = self.output(self.chain(sum(found)))
        return joined


class RefineNet(nn.Module):
    """Height and width of the input must be multiples of 32."""

    def __init__(
        self,
        channels: int = 3,
        outputs: int = 21,
        layers: Literal[50, 101] = 101,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.encoder = ResNet(channels, layers, width)
        narrow, wide = 4 * width, 8 * width
        self.joints = nn.ModuleList(
            [
                Joint(32 * width, wide),
                Joint(16 * width, narrow, wide),
                Joint(8 * width, narrow, narrow),
                Joint(4 * width, narrow, narrow),
            ]
        )
        self.head = nn.Sequential(
            Unit(narrow), Unit(narrow), nn.Conv2d(narrow, outputs, 3, padding=1)
        )
        # in a narrower network as much of the sum that a pixel gets from fewer channels
        deviation = _DEVIATION * math.sqrt(_PUBLISHED_WIDTH / width)
        for part in (self.joints, self.head):
            part.apply(partial(_begin, deviation=deviation))

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) to logits (n, outputs, h, w)."""
        stages = self.encoder(x)
        joined: list[Tensor] = []
        for joint, stage in zip(self.joints, reversed(stages), strict=True):
            joined = [joint([*joined, stage])]
        scores = self.head(joined[0])
        return F.interpolate(scores, x.shape[-2:], mode="bilinear", align_corners=False)


def _adaptation(inputs: int, outputs: int) -> nn.Module:
    """A 3x3 convolution where the number of channels must change."""
    return nn.Identity() if inputs == outputs else _convolution(inputs, outputs)


def _begin(module: nn.Module, deviation: float) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, std=deviation)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
