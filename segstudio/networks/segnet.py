"""SegNet: Badrinarayanan, Kendall, Cipolla, "SegNet: A Deep Convolutional Encoder-Decoder
Architecture for Image Segmentation", PAMI 2017 (arXiv 1511.00561), section 3, figure 2.

The thirteen convolutions of VGG-16 with batch normalisation, without its fully connected layers;
each maximum's place is kept and the decoder puts values back there (figure 3); thirteen
convolutions in mirrored order, the last of which gives the scores.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from segstudio.networks import vgg


class SegNet(nn.Module):
    """Height and width of the input must be multiples of 32. Half of the paper's 64 is a width
    of 32."""

    def __init__(self, channels: int = 3, outputs: int = 12, width: int = 64) -> None:
        super().__init__()
        # the places of maxima come from a call of their own, below
        pools: list[nn.Module] = [nn.Identity() for _ in vgg.STAGES]
        self.encoder = vgg.VGG16(vgg.features(channels, width, pools, norm=True))
        self.decoder = nn.ModuleList(_mirrored(stage, width) for stage in _decoder_stages())
        self.head = nn.Conv2d(width, outputs, 3, padding=1)
        for part in (self.decoder, self.head):
            part.apply(vgg.initialise)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) to logits (n, outputs, h, w)."""
        ends, places = vgg.stage_ends(norm=True), []
        for place, layer in enumerate(self.encoder.features):
            if place in ends:
                x, indices = F.max_pool2d(x, 2, return_indices=True)
                places.append(indices)
            else:
                x = layer(x)
        for block in self.decoder:
            x = block(F.max_unpool2d(x, places.pop(), (2, 2)))
        logits: Tensor = self.head(x)
        return logits


def _decoder_stages() -> list[tuple[int, ...]]:
    """Channels in and out, in units of the width: 8-8-8-8, 8-8-8-4, 4-4-4-2, 2-2-1, 1-1."""
    ends = [stage[0] for stage in vgg.STAGES]
    before = [1, *ends[:-1]]
    stages = [(*reversed(s), first) for s, first in zip(vgg.STAGES, before, strict=True)]
    stages[0] = (1, 1)  # its last convolution is the head
    return stages[::-1]


def _mirrored(stage: tuple[int, ...], width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(stage):
        layers += [
            nn.Conv2d(inputs * width, outputs * width, 3, padding=1),
            nn.BatchNorm2d(outputs * width),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
