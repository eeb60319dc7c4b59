"""Cards of the DeepLab family."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from segstudio.networks.card import UNNORMALISED, Card, Options
from segstudio.networks.cards.published import (
    ENCODERS,
    RESNET50,
    RESNET101,
    VGG16,
    coco_voc,
    smp,
)

if TYPE_CHECKING:
    from torch import nn

_SCALES: Final = {"scale_100": 1.0, "scale_75": 1.0, "scale_50": 1.0}
_TORCHVISION_AUX: Final = {"aux": 0.5}


def _v1(channels: int, outputs: int, options: Options) -> nn.Module:
    from segstudio.networks.deeplab import deeplab_v1

    return deeplab_v1(channels, outputs, **options)


def _v2(encoder: str, channels: int, outputs: int, options: Options) -> nn.Module:
    from segstudio.networks.deeplab import deeplab_v2

    return deeplab_v2(channels, outputs, "vgg16" if encoder == "vgg16" else "resnet101", **options)


def _v3plus(channels: int, outputs: int, options: Options) -> nn.Module:
    """The library's own ASPP rates, 12, 24 and 36, are the paper's at 1/8 of the picture; its
    encoder ends at 1/16, where the paper has 6, 12 and 18 (figure 2, as in v3).

    Other than the paper's: a ResNet where it has an Xception, whose low-level features are those
    at 1/4, and one 3x3 convolution after they are joined where it has two (section 4.1, table 2).
    """
    return smp("DeepLabV3Plus", channels, outputs, options)


def _v3(layers: int, channels: int, outputs: int, options: Options) -> nn.Module:
    from segstudio.networks.torchvision_heads import deeplabv3

    return deeplabv3(channels, outputs, 50 if layers == 50 else 101, **options)


CARDS: Final = (
    Card(
        "deeplabv3plus",
        "DeepLabV3+ with ResNet-34",
        "DeepLab",
        "street scenes and large objects; a GPU helps",
        _v3plus,
        {"encoder": "resnet34", "decoder_atrous_rates": (6, 12, 18)},
        divisor=16,
        weights=ENCODERS,
        source="Chen et al. 2018, arXiv 1802.02611; segmentation_models_pytorch",
        parameters=22_400_000,
    ),
    Card(
        "deeplabv3_resnet50",
        "DeepLabV3 with ResNet-50",
        "DeepLab",
        "everyday photographs, from weights that know the 20 VOC classes; wants a GPU",
        partial(_v3, 50),
        {"width": 64, "auxiliary": False, "multi_grid": (1, 1, 1)},
        divisor=8,
        weights=(coco_voc("DeepLabV3_ResNet50", width=64), RESNET50),
        default_weights="coco-voc",
        source="Chen et al. 2017, arXiv 1706.05587; torchvision",
        auxiliary=_TORCHVISION_AUX,
        parameters=39_600_000,
    ),
    Card(
        "deeplabv3_resnet101",
        "DeepLabV3 with ResNet-101",
        "DeepLab",
        "as with ResNet-50, a little better and half as fast; wants a GPU",
        partial(_v3, 101),
        {"width": 64, "auxiliary": False, "multi_grid": (1, 1, 1)},
        divisor=8,
        weights=(coco_voc("DeepLabV3_ResNet101", width=64), RESNET101),
        default_weights="coco-voc",
        source="Chen et al. 2017, arXiv 1706.05587; torchvision",
        auxiliary=_TORCHVISION_AUX,
        parameters=58_600_000,
    ),
    Card(
        "deeplab_v2",
        "DeepLab v2 with ResNet-101",
        "DeepLab",
        "objects at many scales; the classic with ASPP; wants a GPU",
        partial(_v2, "resnet101"),
        {"width": 64, "rates": (6, 12, 18, 24), "multi_scale": False},
        divisor=8,
        weights=(RESNET101,),
        source="Chen et al. 2018, arXiv 1606.00915",
        auxiliary=_SCALES,
        snaps=True,
        parameters=44_000_000,
        learning_rate=UNNORMALISED,
    ),
    Card(
        "deeplab_v2_vgg16",
        "DeepLab v2 with VGG-16",
        "DeepLab",
        "courses and comparisons: ASPP on VGG-16; wants a GPU",
        partial(_v2, "vgg16"),
        {"width": 64, "rates": (6, 12, 18, 24), "multi_scale": False},
        divisor=8,
        weights=(VGG16,),
        source="Chen et al. 2018, arXiv 1606.00915",
        auxiliary=_SCALES,
        snaps=True,
        parameters=37_900_000,
        learning_rate=UNNORMALISED,
    ),
    Card(
        "deeplab_v1",
        "DeepLab v1 (LargeFOV)",
        "DeepLab",
        "courses and comparisons: the first atrous network; a GPU helps",
        _v1,
        {"width": 64},
        divisor=8,
        weights=(VGG16,),
        source="Chen et al. 2015, arXiv 1412.7062",
        snaps=True,
        parameters=20_500_000,
        learning_rate=UNNORMALISED,
    ),
)
