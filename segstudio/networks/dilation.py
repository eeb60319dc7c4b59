"""Dilated front end and context module: Yu & Koltun, "Multi-Scale Context Aggregation by Dilated
Convolutions", ICLR 2016 (arXiv 1511.07122), sections 3 and 4, table 1.

The front end is VGG-16 without its last two poolings, the last stage at atrous rate 2 and fc6 at
rate 4. The context module works on maps of scores; it is `basic` (as many maps as classes) or
`large` (2, 2, 4, 8, 16, 32, 32 times as many), and starts as the identity (equations 4 and 5).
Dilation8 (PASCAL VOC, large; CamVid, basic) has rates up to 16, Dilation10 (Cityscapes, basic) up
to 64, as in the authors' published models (fyu/dilation). Their training adds noise of 0.01 to the
identity; here it is a thousandth of the weights.

Other than the paper's, each convolution is padded with zeros instead of the picture with its
mirror image: the same values inside. In training fc6 is worked phase by phase (`atrous`).
"""

from __future__ import annotations

from typing import Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segstudio.networks import vgg

Context = Literal["none", "basic", "large"]
RATES: Final = {8: (1, 1, 2, 4, 8, 16, 1), 10: (1, 1, 2, 4, 8, 16, 32, 64, 1)}
"""Atrous rates of the 3x3 convolutions; a 1x1 convolution follows."""
LARGE: Final = (2, 2, 4, 8, 16, 32, 32)
_NOISE: Final = 0.001
"""Standard deviation of what is added to the identity, as a share of its weights."""


class Dilation(nn.Module):
    """Height and width of the input must be multiples of 8."""

    def __init__(
        self,
        channels: int = 3,
        outputs: int = 21,
        width: int = 64,
        layers: Literal[8, 10] = 8,
        context: Context = "large",
    ) -> None:
        super().__init__()
        pools: list[nn.Module] = [nn.MaxPool2d(2) for _ in range(3)]
        pools += [nn.Identity(), nn.Identity()]
        convolutions = vgg.features(channels, width, pools, rates=(1, 1, 1, 1, 2))
        self.encoder = vgg.VGG16(convolutions, vgg.fully_convolutional(width, rate=4))
        self.score = nn.Conv2d(64 * width, outputs, 1)
        vgg.initialise(self.score)
        self.context = context_module(outputs, layers, context)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) to logits (n, outputs, h, w)."""
        scores = self.context(self.score(self.encoder(x)))
        return F.interpolate(scores, x.shape[-2:], mode="bilinear", align_corners=False)


def context_module(classes: int, layers: Literal[8, 10], kind: Context) -> nn.Sequential:
    """3x3 convolutions at rising rates, each cut off at zero, and a 1x1 convolution."""
    if kind == "none":
        return nn.Sequential()
    rates = RATES[layers]
    factors = (1,) * len(rates)
    if kind == "large":
        factors = LARGE[:-1] + (LARGE[-1],) * (len(rates) - len(LARGE) + 1)
    modules: list[nn.Module] = []
    inputs = classes
    for rate, factor in zip(rates, factors, strict=True):
        outputs = factor * classes
        layer = nn.Conv2d(inputs, outputs, 3, padding=rate, dilation=rate)
        modules += [bind(layer, classes), nn.ReLU(inplace=True)]
        inputs = outputs
    return nn.Sequential(*modules, bind(nn.Conv2d(inputs, classes, 1), classes))


def bind(layer: nn.Conv2d, classes: int, noise: float = _NOISE) -> nn.Conv2d:
    """Sums the maps of each class and shares the sum among its new ones, with a little noise."""
    outputs, inputs, kernel = layer.weight.shape[:3]
    share = classes / outputs
    of_output = torch.arange(outputs) * classes // outputs
    of_input = torch.arange(inputs) * classes // inputs
    same = (of_output[:, None] == of_input).to(layer.weight)
    with torch.no_grad():
        layer.weight.normal_(std=noise * classes / max(outputs, inputs))
        layer.weight[..., kernel // 2, kernel // 2] += share * same
        assert layer.bias is not None
        layer.bias.zero_()
    return layer
