"""torchvision's FCN, DeepLabV3 and LR-ASPP, on encoders of any width and number of channels.

The heads are torchvision's own classes and names, so that its published weights load by name.
FCN: Long et al. 2015 on a ResNet with atrous convolutions. DeepLabV3: Chen et al. 2017, arXiv
1706.05587, section 3, at 1/8 of the picture with rates 12, 24 and 36. LR-ASPP: Howard et al.,
"Searching for MobileNetV3", ICCV 2019 (arXiv 1905.02244), section 6.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from torch import Tensor, nn
from torchvision.models.segmentation import lraspp_mobilenet_v3_large
from torchvision.models.segmentation.deeplabv3 import DeepLabHead, DeepLabV3
from torchvision.models.segmentation.fcn import FCN, FCNHead

from segstudio.networks.resnet import ResNet

PLAIN: Final = (1, 1, 1)
"""No multi-grid."""


class _Encoder(ResNet):
    """The last two feature maps under the names that torchvision's networks ask for."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        """(n, channels, h, w) to "out" and "aux", both at 1/8 of the size."""
        *_, third, last = super().forward(x)
        return {"out": last, "aux": third}


def fcn(
    channels: int, outputs: int, layers: Literal[50, 101], width: int = 64, auxiliary: bool = False
) -> nn.Module:
    """torchvision's fcn_resnet50 or fcn_resnet101 where `width` is 64."""
    head = FCNHead(32 * width, outputs)
    network: nn.Module = FCN(
        _encoder(channels, layers, width), head, _auxiliary(width, outputs, auxiliary)
    )
    return network


def deeplabv3(
    channels: int,
    outputs: int,
    layers: Literal[50, 101],
    width: int = 64,
    auxiliary: bool = False,
    multi_grid: Sequence[int] = PLAIN,
) -> nn.Module:
    """torchvision's deeplabv3_resnet50 or deeplabv3_resnet101 where `width` is 64.

    `multi_grid` multiplies the atrous rates of the last stage's three blocks: (1, 2, 4), 4, 8 and
    16, is the paper's (sections 3.2.1 and 3.3). Without, they have torchvision's 2, 4 and 4, for
    which its weights were trained; those fit either way.
    """
    encoder = _encoder(channels, layers, width, multi_grid)
    head = DeepLabHead(32 * width, outputs)
    network: nn.Module = DeepLabV3(encoder, head, _auxiliary(width, outputs, auxiliary))
    return network


def _encoder(channels: int, layers: int, width: int, multi_grid: Sequence[int] = PLAIN) -> ResNet:
    plain = tuple(multi_grid) == PLAIN
    rates = (1, 1, 2, 4)
    return _Encoder(channels, layers, width, rates, lagging=plain, multi_grid=multi_grid)


def _auxiliary(width: int, outputs: int, wanted: bool) -> nn.Module | None:
    return FCNHead(16 * width, outputs) if wanted else None


def lraspp(channels: int, outputs: int) -> nn.Module:
    """torchvision's lraspp_mobilenet_v3_large.

    It weighs channels by their mean over the whole picture, where the paper has means of 49x49
    with a stride (section 6.4, figure 10).
    """
    network: nn.Module = lraspp_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=outputs
    )
    if channels != 3:
        first = network.get_submodule("backbone.0")
        first.register_module("0", nn.Conv2d(channels, 16, 3, stride=2, padding=1, bias=False))
    return network
