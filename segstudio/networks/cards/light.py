"""Cards of networks made for speed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from segstudio.networks.card import Card, Options
from segstudio.networks.cards.published import coco_voc

if TYPE_CHECKING:
    from torch import nn


def _icnet(channels: int, outputs: int, options: Options) -> nn.Module:
    from segstudio.networks.icnet import ICNet

    return ICNet(channels, outputs, **options)


def _lraspp(channels: int, outputs: int, options: Options) -> nn.Module:
    from segstudio.networks.torchvision_heads import lraspp

    return lraspp(channels, outputs, **options)


CARDS: Final = (
    Card(
        "icnet",
        "ICNet",
        "Real time",
        "street scenes in large pictures, fast",
        _icnet,
        {"width": 32},
        divisor=32,
        source="Zhao et al. 2018, arXiv 1704.08545",
        auxiliary={"aux_16": 0.16, "aux_8": 0.4},
        parameters=6_710_000,
    ),
    Card(
        "lraspp",
        "LR-ASPP with MobileNetV3",
        "Real time",
        "photographs on a laptop's processor, the fastest; coarse outlines",
        _lraspp,
        divisor=16,
        weights=(coco_voc("LRASPP_MobileNet_V3_Large"),),
        source="Howard et al. 2019, arXiv 1905.02244; torchvision",
        parameters=3_220_000,
    ),
)
