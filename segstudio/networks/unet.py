"""U-Net: Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image
Segmentation", MICCAI 2015 (arXiv 1505.04597), figure 1, with a width setting.

The paper's network is `UNet(1, 2, **PAPER)`, the card `unet_2015`: 23 convolutions without padding
or normalisation, 64 channels on the first of five levels, dropout at the end of the contracting
path (section 3.1; on the last two levels at 0.5, as in the authors' model), a ReLU after each
up-convolution (in their model, not in figure 1), borders filled up with
the picture's mirror image (section 2, figure 2). The card `unet` differs in what later practice
settled: padded convolutions (the output has the input's size), batch normalisation after each
convolution and no dropout, borders filled up with their own pixels to the next size that halves,
and a width of 16 for CPUs. In both, weights begin with a standard deviation of sqrt(2 / N), N the
incoming nodes of one neuron (section 3); those of a 2x2 up-convolution are one for each map, for
its outputs do not overlap.

With `shrink` the layout works on blocks of shrink x shrink pixels: they go in as channels, and the
head gives the classes of every pixel of a block, as the dense upsampling convolution of Wang et
al. 2018, "Understanding Convolution for Semantic Segmentation" (arXiv 1702.08502), section 3.1. No
pixel is lost, and a step costs a fraction. A block's pixels begin with equal weights (Aitken et
al. 2017, "Checkerboard artifact free sub-pixel convolution", arXiv 1707.02937).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segstudio.errors import UserError

Padding = Literal["same", "valid"]
PAPER: Final[Mapping[str, Any]] = {
    "width": 64,
    "depth": 4,
    "padding": "valid",
    "norm": False,
    "dropout": 0.5,
    "border": "reflect",
    "rectified": True,
}
_DROPPED: Final = 2
"""Levels at the end of the contracting path that have dropout."""


class DoubleConv(nn.Sequential):
    """Two 3x3 convolutions, each followed by (batch normalisation and) ReLU."""

    def __init__(self, inputs: int, outputs: int, padding: Padding, norm: bool) -> None:
        super().__init__(
            *_convolution(inputs, outputs, padding, norm),
            *_convolution(outputs, outputs, padding, norm),
        )


def _convolution(inputs: int, outputs: int, padding: Padding, norm: bool) -> list[nn.Module]:
    pad = 1 if padding == "same" else 0
    # a bias before a normalisation has no effect
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 3, padding=pad, bias=not norm)]
    if norm:
        layers.append(nn.BatchNorm2d(outputs))
    return [*layers, nn.ReLU(inplace=True)]


class UpBlock(nn.Module):
    """2x2 up-convolution (and ReLU), the centre of the skip put before it, two convolutions."""

    def __init__(self, inputs: int, padding: Padding, norm: bool, rectified: bool) -> None:
        super().__init__()
        self.rectified = rectified
        self.up = nn.ConvTranspose2d(inputs, inputs // 2, 2, stride=2)
        self.convolutions = DoubleConv(inputs, inputs // 2, padding, norm)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(n, 2c, h, w) and a skip (n, c, >= 2h, >= 2w) to (n, c, 2h, 2w), less 4 if valid."""
        x = self.up(x)
        if self.rectified:
            x = F.relu(x)
        merged: Tensor = self.convolutions(torch.cat([_centre(skip, x), x], dim=1))
        return merged


def _centre(skip: Tensor, like: Tensor) -> Tensor:
    height, width = like.shape[-2:]
    top, left = (skip.shape[-2] - height) // 2, (skip.shape[-1] - width) // 2
    return skip[..., top : top + height, left : left + width]


class UNet(nn.Module):
    """The 2015 layout: `depth` halvings, doubling channels from `width`; see the module's text.

    `dropout` is a probability, for the last two levels of the contracting path; `rectified` puts a
    ReLU after up-convolutions; `border` is how `AnySize` fills up pictures, as torch calls it.

    Height and width of the input must be multiples of shrink * 2**depth (padding "same"), or any
    size that every pooling halves exactly, as the paper's 572 (padding "valid", `shrink` 1).
    """

    def __init__(
        self,
        channels: int = 3,
        outputs: int = 2,
        width: int = 16,
        depth: int = 4,
        padding: Padding = "same",
        norm: bool = True,
        shrink: int = 1,
        dropout: float = 0.0,
        border: str = "replicate",
        rectified: bool = False,
    ) -> None:
        super().__init__()
        if shrink > 1 and padding == "valid":
            raise UserError(
                "A U-Net that loses pixels at its border cannot shrink pictures",
                remedy='Choose padding "same", or shrink 1',
            )
        self.depth, self.padding, self.shrink, self.border = depth, padding, shrink, border
        block = shrink**2
        widths = [width * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            DoubleConv(inputs, wide, padding, norm)
            for inputs, wide in zip([channels * block, *widths], widths, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(dropout)
        self.up = nn.ModuleList(
            UpBlock(wide, padding, norm, rectified) for wide in reversed(widths[1:])
        )
        self.head = nn.Conv2d(width, outputs * block, 1)
        self.apply(_initialise)
        with torch.no_grad():
            self.head.weight.copy_(self.head.weight[::block].repeat_interleave(block, dim=0))

    @property
    def margin(self) -> int:
        """Pixels lost at each side of a valid-padded picture: 92 for the paper's depth of 4."""
        if self.padding == "same":
            return 0
        return 3 * (2 << self.depth) - 4

    @property
    def divisor(self) -> int:
        """What height and width must be multiples of, without valid padding."""
        return int(self.shrink * 2**self.depth)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) to logits (n, outputs, h, w), less 2 x margin if valid."""
        if self.shrink > 1:
            x = F.pixel_unshuffle(x, self.shrink)
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else self.pool(x))
            if level > self.depth - _DROPPED:
                x = self.dropout(x)
            skips.append(x)
        skips.pop()
        for block in self.up:
            x = block(x, skips.pop())
        logits: Tensor = self.head(x)
        return F.pixel_shuffle(logits, self.shrink) if self.shrink > 1 else logits


def _initialise(module: nn.Module) -> None:
    """Standard deviation sqrt(2 / N), section 3 of the paper (He et al. 2015)."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    elif isinstance(module, nn.ConvTranspose2d):
        nn.init.normal_(module.weight, std=math.sqrt(2 / module.in_channels))
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)
