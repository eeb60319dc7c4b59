"""FCN-32s, FCN-16s, FCN-8s: Long, Shelhamer, Darrell, "Fully Convolutional Networks for Semantic
Segmentation", CVPR 2015 (arXiv 1411.4038), sections 3 and 4, figure 3, on VGG-16.

Scores of pool3 and pool4 start at zero. Upsampling by two inside the network starts as bilinear
interpolation and is learned, the last one is bilinear interpolation (section 4.3). `scaled`
multiplies pool3 by 0.0001 and pool4 by 0.01, the authors' FCN-8s "at once" (Shelhamer et al. 2016,
arXiv 1605.06211, section 4.2), which trains in one go; without it the paper trains 32s, 16s and
8s after one another.

Other than the paper's, fc6 is padded by 3 instead of the picture by 100: the same values inside,
and no crop.
"""

from __future__ import annotations

from typing import Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segstudio.networks import vgg

_SCALES: Final = {3: 1e-4, 4: 1e-2}


class FCN(nn.Module):
    """Scores at 1/32 of the picture, joined by those of pool4 and pool3 as far as `stride` says.

    Height and width of the input must be multiples of 32.
    """

    def __init__(
        self,
        channels: int = 3,
        outputs: int = 21,
        stride: Literal[32, 16, 8] = 8,
        width: int = 64,
        scaled: bool = True,
    ) -> None:
        super().__init__()
        self.encoder = vgg.VGG16(vgg.features(channels, width), vgg.fully_convolutional(width))
        self.score = _scores(64 * width, outputs)
        self.joined = {32: (), 16: (4,), 8: (4, 3)}[stride]  # stages whose pooling is scored
        wide = {3: 4 * width, 4: 8 * width}
        self.skips = nn.ModuleList(_scores(wide[pool], outputs) for pool in self.joined)
        self.ups = nn.ModuleList(doubling(outputs) for _ in self.joined)
        self.scaled = scaled

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) to logits (n, outputs, h, w)."""
        stages = self.encoder.stages(x)
        scores = self.score(stages[-1])
        for pool, skip, up in zip(self.joined, self.skips, self.ups, strict=True):
            found = stages[pool - 1] * _SCALES[pool] if self.scaled else stages[pool - 1]
            scores = up(scores) + skip(found)
        return F.interpolate(scores, x.shape[-2:], mode="bilinear", align_corners=False)


def _scores(channels: int, outputs: int) -> nn.Conv2d:
    layer = nn.Conv2d(channels, outputs, 1)
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def doubling(outputs: int) -> nn.ConvTranspose2d:
    """A transposed convolution that starts as bilinear interpolation of each map by two."""
    layer = nn.ConvTranspose2d(outputs, outputs, 4, stride=2, padding=1, bias=False)
    hat = torch.tensor([0.25, 0.75, 0.75, 0.25])
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[range(outputs), range(outputs)] = torch.outer(hat, hat)
    return layer
