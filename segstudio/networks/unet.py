"""U-Net: Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image
Segmentation", MICCAI 2015 (arXiv 1505.04597), figure 1, with a width setting.

The paper's network is `UNet(1, 2, width=64, padding="valid", norm=False)`. Ours differs by
default in three ways that later practice settled: padded convolutions (the output has the
input's size), batch normalisation after each convolution, and a smaller width for CPUs.

With `shrink` the layout works on blocks of shrink x shrink pixels: they go in as channels, and the
head gives the classes of every pixel of a block, as the dense upsampling convolution of Wang et
al. 2018, "Understanding Convolution for Semantic Segmentation" (arXiv 1702.08502), section 3.1. No
pixel is lost, and a step costs a fraction. A block's pixels begin with equal weights (Aitken et
al. 2017, "Checkerboard artifact free sub-pixel convolution", arXiv 1707.02937).
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segstudio.errors import UserError

Padding = Literal["same", "valid"]


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
    """2x2 up-convolution, the skip centre-cropped and put before it, two convolutions."""

    def __init__(self, inputs: int, padding: Padding, norm: bool) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(inputs, inputs // 2, 2, stride=2)
        self.convolutions = DoubleConv(inputs, inputs // 2, padding, norm)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(n, 2c, h, w) and a skip (n, c, >= 2h, >= 2w) to (n, c, 2h, 2w), less 4 if valid."""
        x = self.up(x)
        merged: Tensor = self.convolutions(torch.cat([_centre(skip, x), x], dim=1))
        return merged


def _centre(skip: Tensor, like: Tensor) -> Tensor:
    height, width = like.shape[-2:]
    top, left = (skip.shape[-2] - height) // 2, (skip.shape[-1] - width) // 2
    return skip[..., top : top + height, left : left + width]


class UNet(nn.Module):
    """The 2015 layout: `depth` halvings, doubling channels from `width`; see the module's text.

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
    ) -> None:
        super().__init__()
        if shrink > 1 and padding == "valid":
            raise UserError(
                "A U-Net that loses pixels at its border cannot shrink pictures",
                remedy='Choose padding "same", or shrink 1',
            )
        self.depth, self.padding, self.shrink = depth, padding, shrink
        block = shrink**2
        widths = [width * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            DoubleConv(inputs, wide, padding, norm)
            for inputs, wide in zip([channels * block, *widths], widths, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList(UpBlock(wide, padding, norm) for wide in reversed(widths[1:]))
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
            skips.append(x)
        skips.pop()
        for block in self.up:
            x = block(x, skips.pop())
        logits: Tensor = self.head(x)
        return F.pixel_shuffle(logits, self.shrink) if self.shrink > 1 else logits


def _initialise(module: nn.Module) -> None:
    """Standard deviation sqrt(2 / fan-in), section 3 of the paper (He et al. 2015)."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
