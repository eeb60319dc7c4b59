"""ResNet-50 and ResNet-101: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016
(arXiv 1512.03385), table 1, as encoders that may trade strides for atrous convolutions.

Layers have torchvision's names, so that its published weights load by name. As there, the stride
of a stage is in its 3x3 convolution. `width` is the number of channels of the first stage, 64 in
the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from segstudio.errors import UserError

BLOCKS: Final = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


class ResNet(nn.Module):
    """Feature maps at 1/4, 1/8, 1/16 and 1/32 of the input; a stage at an atrous rate above 1
    keeps the size of the one before it.

    `lagging` lets the first block of such a stage keep the rate before, as torchvision does,
    whose weights were trained so. `deep_stem` is the number of channels after three 3x3
    convolutions in place of the 7x7 one, the first two of which have half as many; 0 for none.
    `multi_grid` multiplies the rates of the last stage's blocks (DeepLabV3).
    """

    def __init__(
        self,
        channels: int = 3,
        layers: int = 50,
        width: int = 64,
        rates: Sequence[int] = (1, 1, 1, 1),
        lagging: bool = False,
        deep_stem: int = 0,
        multi_grid: Sequence[int] = (1, 1, 1),
    ) -> None:
        super().__init__()
        last = BLOCKS[layers][-1]
        if len(multi_grid) != last:
            raise UserError(
                f"multi_grid has {len(multi_grid)} numbers for {last} blocks",
                remedy="Give one for each, as [1, 2, 4]",
            )
        if deep_stem:
            self.conv1: nn.Module = _deep_stem(channels, deep_stem)
        else:
            self.conv1 = nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False)
        inputs, before = deep_stem or width, 1
        self.bn1 = nn.BatchNorm2d(inputs)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        for stage, (blocks, rate) in enumerate(zip(BLOCKS[layers], rates, strict=True)):
            stride = 1 if stage == 0 or rate > 1 else 2
            factors = multi_grid if stage == 3 else (1,) * blocks
            of_blocks = [rate * factor for factor in factors]
            if lagging:
                of_blocks[0] = before
            planes = width * 2**stage
            self.add_module(f"layer{stage + 1}", _stage(inputs, planes, stride, of_blocks))
            inputs, before = 4 * planes, rate
        self.apply(_initialise)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(n, channels, h, w) to the outputs of the four stages."""
        x = self.stem(x)
        found = []
        for name in ("layer1", "layer2", "layer3", "layer4"):
            x = self.get_submodule(name)(x)
            found.append(x)
        return found

    def stem(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) to maps (n, c, h / 4, w / 4)."""
        found: Tensor = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return found


def _deep_stem(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        *unit(channels, width // 2, 3, stride=2),
        *unit(width // 2, width // 2, 3),
        nn.Conv2d(width // 2, width, 3, padding=1, bias=False),
    )


def _stage(inputs: int, planes: int, stride: int, rates: Sequence[int]) -> nn.Module:
    """A block for each atrous rate."""
    shortcut = nn.Sequential(
        nn.Conv2d(inputs, 4 * planes, 1, stride=stride, bias=False), nn.BatchNorm2d(4 * planes)
    )
    layers = [Bottleneck(inputs, planes, stride, shortcut, dilation=rates[0])]
    layers += [Bottleneck(4 * planes, planes, dilation=rate) for rate in rates[1:]]
    return nn.Sequential(*layers)


def unit(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, rate: int = 1, relu: bool = True
) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU; at stride 1 the size is kept."""
    layers: list[nn.Module] = [
        nn.Conv2d(
            inputs,
            outputs,
            kernel,
            stride=stride,
            padding=rate * (kernel // 2),
            dilation=rate,
            bias=False,
        ),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
