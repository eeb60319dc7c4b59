"""DeepLab v1 and v2.

v1: Chen et al., "Semantic Image Segmentation with Deep Convolutional Nets and Fully Connected
CRFs", ICLR 2015 (arXiv 1412.7062), sections 3.1 and 5.3: VGG-16 with the last two poolings at
stride 1, the last stage at atrous rate 2, fc6 a 3x3 convolution of 1024 channels at rate 12
("LargeFOV"). Poolings are 3x3, with an average pooling after the last, as in the authors' model;
that of v2 on VGG-16 has none.

v2: Chen et al., "DeepLab: Semantic Image Segmentation with Deep Convolutional Nets, Atrous
Convolution, and Fully Connected CRFs", PAMI 2018 (arXiv 1606.00915), sections 3.1 and 4: four
such branches at rates 6, 12, 18, 24 whose scores are summed (ASPP-L; on ResNet-101 each branch is
one convolution), and multi-scale inputs: the maximum of the scores at 1, 0.75 and 0.5 of the size,
each of which has a loss of its own.

Both papers end with a dense CRF, which is `segstudio.networks.crf`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segstudio.networks import resize, vgg
from segstudio.networks.resnet import ResNet

RATES: Final = (6, 12, 18, 24)
SCALES: Final = {"scale_75": 0.75, "scale_50": 0.5}


class DeepLab(nn.Module):
    """An encoder at 1/8 of the picture, scores, bilinear upsampling.

    Height and width of the input must be multiples of `divisor`.
    """

    def __init__(self, encoder: nn.Module, scores: nn.Module, multi_scale: bool = False) -> None:
        super().__init__()
        self.encoder, self.scores, self.multi_scale = encoder, scores, multi_scale

    @property
    def divisor(self) -> int:
        """With several scales, what leaves a multiple of 8 of each."""
        return 32 if self.multi_scale else 8

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:
        """(n, channels, h, w) to logits (n, outputs, h, w); a dict with those of every scale,
        upsampled, in training with several."""
        if not self.multi_scale:
            return resize.spread(self._scored(x), x)
        whole = self._scored(x)
        found = {"scale_100": whole}
        for name, factor in SCALES.items():
            small = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
            found[name] = self._scored(small)
        same = [F.interpolate(s, whole.shape[-2:], mode="bilinear", align_corners=True)
                for s in found.values()]  # fmt: skip
        out = resize.spread(torch.stack(same).amax(0), x)
        if not self.training:
            return out
        # labels are not known where these scores are, at the corners of cells
        return {"out": out, **{name: resize.spread(s, x) for name, s in found.items()}}

    def _scored(self, x: Tensor) -> Tensor:
        scores: Tensor = self.scores(self.encoder(resize.odd(x)))
        return scores


def deeplab_v1(channels: int, outputs: int, width: int = 64) -> DeepLab:
    """DeepLab-LargeFOV."""
    return DeepLab(_atrous_vgg(channels, width, averaged=True), _branch(width, outputs, 12))


def deeplab_v2(
    channels: int,
    outputs: int,
    encoder: Literal["resnet101", "vgg16"] = "resnet101",
    width: int = 64,
    rates: Sequence[int] = RATES,
    multi_scale: bool = False,
) -> DeepLab:
    """DeepLab v2 with ASPP."""
    if encoder == "vgg16":
        branches: list[nn.Module] = [_branch(width, outputs, rate) for rate in rates]
        return DeepLab(_atrous_vgg(channels, width), Sum(branches), multi_scale)
    branches = [_classifier(32 * width, outputs, 3, rate) for rate in rates]
    body = Last(channels, 101, width, (1, 1, 2, 4))
    return DeepLab(body, Sum(branches), multi_scale)


class Last(ResNet):
    """A ResNet that gives its last feature map only."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """(n, channels, h, w) to the last stage's output."""
        return super().forward(x)[-1]


class Sum(nn.Module):
    """The sum of what several branches make of the same input."""

    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, outputs, h, w)."""
        return torch.stack([branch(x) for branch in self.branches]).sum(0)


def _atrous_vgg(channels: int, width: int, averaged: bool = False) -> vgg.VGG16:
    pools: list[nn.Module] = [nn.MaxPool2d(3, stride=2, padding=1) for _ in range(3)]
    pools += [nn.MaxPool2d(3, stride=1, padding=1) for _ in range(2)]
    layers = vgg.features(channels, width, pools, rates=(1, 1, 1, 1, 2))
    return vgg.VGG16(layers, nn.AvgPool2d(3, stride=1, padding=1) if averaged else None)


def _branch(width: int, outputs: int, rate: int) -> nn.Sequential:
    """fc6 at its rate, fc7, scores."""
    wide = 16 * width
    layers: list[nn.Module] = [
        nn.Conv2d(8 * width, wide, 3, padding=rate, dilation=rate),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Conv2d(wide, wide, 1),
        nn.ReLU(inplace=True),
        nn.Dropout(),
    ]
    for layer in layers:
        vgg.initialise(layer)
    return nn.Sequential(*layers, _classifier(wide, outputs, 1))


def _classifier(channels: int, outputs: int, kernel: int, rate: int = 1) -> nn.Conv2d:
    """Weights of standard deviation 0.01, biases 0."""
    layer = nn.Conv2d(channels, outputs, kernel, padding=rate * (kernel // 2), dilation=rate)
    nn.init.normal_(layer.weight, std=0.01)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
