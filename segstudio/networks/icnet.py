"""ICNet: Zhao et al., "ICNet for Real-Time Semantic Segmentation on High-Resolution Images", ECCV
2018 (arXiv 1704.08545), sections 3 and 4, figures 2 and 3.

Three sizes of the picture: the quarter goes through PSPNet-50 with half of its kernels (section
4.4) to 1/32, the half through that network's first layers, up to conv3_1, to 1/16, the whole
through three 3x3 convolutions of stride 2 to 1/8. Cascade feature fusion joins them; each lower
one is scored against smaller labels in training (cascade label guidance, weights 0.16, 0.4, 1).

As in the authors' published model (icnet_cityscapes.prototxt), the two lower branches share weights
and what is computed up to conv3_1, the averages of the pyramid are added to the map, and the first
three convolutions keep all of their 32, 32 and 64 kernels. With 19 classes it has their 6,699,987
parameters, besides the scores of the lower branches, which are for training only.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from segstudio.networks.pspnet import BINS, averages
from segstudio.networks.resnet import ResNet, unit


class Fusion(nn.Module):
    """Cascade feature fusion (figure 3): the low map is doubled in size and scored in passing."""

    def __init__(self, low: int, high: int, channels: int, outputs: int) -> None:
        super().__init__()
        self.low = unit(low, channels, 3, rate=2, relu=False)
        self.high = unit(high, channels, 1, relu=False)
        self.scores = nn.Conv2d(low, outputs, 1)

    def forward(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor | None]:
        """(n, low, h, w) and (n, high, 2h, 2w) to their sum (n, channels, 2h, 2w) and, in
        training alone, the scores of the low map (n, outputs, 2h, 2w)."""
        low = _enlarged(low, 2)
        joined = F.relu(self.low(low) + self.high(high))
        return joined, self.scores(low) if self.training else None


class ICNet(nn.Module):
    """Height and width of the input must be multiples of 32. The paper's width is 32."""

    def __init__(self, channels: int = 3, outputs: int = 19, width: int = 32) -> None:
        super().__init__()
        self.encoder = ResNet(channels, 50, width, rates=(1, 1, 2, 4), deep_stem=2 * width)
        self.reduce = unit(32 * width, 8 * width, 1)
        self.whole = nn.Sequential(
            unit(channels, width, 3, stride=2),
            unit(width, width, 3, stride=2),
            unit(width, 2 * width, 3, stride=2),
        )
        self.first = Fusion(8 * width, 8 * width, 4 * width, outputs)
        self.second = Fusion(4 * width, 2 * width, 4 * width, outputs)
        self.head = nn.Conv2d(4 * width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:
        """(n, channels, h, w) to logits (n, outputs, h, w); in training a dict with those of the
        lower branches too, "aux_16" and "aux_8" at 1/16 and 1/8 of the size."""
        half, quarter = self._lower(F.interpolate(x, scale_factor=0.5, mode="bilinear"))
        joined, sixteenth = self.first(quarter, half)
        joined, eighth = self.second(joined, self.whole(x))
        out = _enlarged(self.head(_enlarged(joined, 2)), 4)
        if sixteenth is None or eighth is None:
            return out
        return {"out": out, "aux_16": sixteenth, "aux_8": eighth}

    def _lower(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The half picture to the maps at 1/16 and 1/32 of the whole one."""
        encoder = self.encoder
        third = encoder.get_submodule("layer2")
        assert isinstance(third, nn.Sequential)
        half = third[0](encoder.get_submodule("layer1")(encoder.stem(x)))
        low = F.interpolate(half, scale_factor=0.5, mode="bilinear")
        for layer in (third[1:], encoder.get_submodule("layer3"), encoder.get_submodule("layer4")):
            low = layer(low)
        return half, self.reduce(_with_averages(low))


def _with_averages(x: Tensor) -> Tensor:
    """The map and its means over 1, 2, 3 and 6 parts, added."""
    total = x
    for parts in BINS:
        mean = averages(x, parts)
        total = total + F.interpolate(mean, x.shape[-2:], mode="bilinear", align_corners=parts > 1)
    return total


def _enlarged(x: Tensor, factor: int) -> Tensor:
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
