"""Cards of fully convolutional networks and SegNet."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from segstudio.networks.card import UNNORMALISED, Card, Options
from segstudio.networks.cards.published import RESNET50, RESNET101, VGG16, VGG16_BN, coco_voc

if TYPE_CHECKING:
    from torch import nn

_LONG: Final = "Long et al. 2015, arXiv 1411.4038"


def _fcn(stride: int, channels: int, outputs: int, options: Options) -> nn.Module:
    from segstudio.networks.fcn import FCN

    return FCN(channels, outputs, 8 if stride == 8 else 16 if stride == 16 else 32, **options)


def _fcn_resnet(layers: int, channels: int, outputs: int, options: Options) -> nn.Module:
    from segstudio.networks.torchvision_heads import fcn

    return fcn(channels, outputs, 50 if layers == 50 else 101, **options)


def _crfrnn(channels: int, outputs: int, options: Options) -> nn.Module:
    from segstudio.networks.crfrnn import CRFRNN

    return CRFRNN(channels, outputs, **options)


def _segnet(channels: int, outputs: int, options: Options) -> nn.Module:
    from segstudio.networks.segnet import SegNet

    return SegNet(channels, outputs, **options)


CARDS: Final = (
    Card(
        "fcn8s",
        "FCN-8s",
        "FCN",
        "courses and comparisons: where it all began, with skips; wants a GPU",
        partial(_fcn, 8),
        {"width": 64, "scaled": True},
        divisor=32,
        weights=(VGG16,),
        source=_LONG,
        parameters=134_400_000,
        learning_rate=UNNORMALISED,
    ),
    Card(
        "fcn16s",
        "FCN-16s",
        "FCN",
        "courses and comparisons: one skip, coarser than FCN-8s; wants a GPU",
        partial(_fcn, 16),
        {"width": 64, "scaled": True},
        divisor=32,
        weights=(VGG16,),
        source=_LONG,
        parameters=134_400_000,
        learning_rate=UNNORMALISED,
    ),
    Card(
        "fcn32s",
        "FCN-32s",
        "FCN",
        "courses and comparisons: no skip, large shapes only; wants a GPU",
        partial(_fcn, 32),
        {"width": 64},
        divisor=32,
        weights=(VGG16,),
        source=_LONG,
        parameters=134_300_000,
        learning_rate=UNNORMALISED,
    ),
    Card(
        "fcn_resnet50",
        "FCN with ResNet-50",
        "FCN",
        "everyday photographs, from weights that know the 20 VOC classes; wants a GPU",
        partial(_fcn_resnet, 50),
        {"width": 64, "auxiliary": False},
        divisor=8,
        weights=(coco_voc("FCN_ResNet50", width=64), RESNET50),
        default_weights="coco-voc",
        source=f"{_LONG}; torchvision",
        auxiliary={"aux": 0.5},
        parameters=33_000_000,
    ),
    Card(
        "fcn_resnet101",
        "FCN with ResNet-101",
        "FCN",
        "as with ResNet-50, a little better and slower; wants a GPU",
        partial(_fcn_resnet, 101),
        {"width": 64, "auxiliary": False},
        divisor=8,
        weights=(coco_voc("FCN_ResNet101", width=64), RESNET101),
        default_weights="coco-voc",
        source=f"{_LONG}; torchvision",
        auxiliary={"aux": 0.5},
        parameters=51_900_000,
    ),
    Card(
        "crfrnn",
        "CRF-RNN on FCN-8s",
        "FCN",
        "courses and comparisons: outlines that follow the picture, learned; slow, wants a GPU",
        _crfrnn,
        {"width": 64, "scaled": True, "grey": 58.0},
        divisor=32,
        weights=(VGG16,),
        source="Zheng et al. 2015, arXiv 1502.03240",
        onnx="its lattice is made anew for every picture",
        linear=True,
        parameters=134_400_000,
        learning_rate=UNNORMALISED,
    ),
    Card(
        "segnet",
        "SegNet",
        "SegNet",
        "street scenes with sharp outlines in little memory; at width 32 on a processor",
        _segnet,
        {"width": 64},
        divisor=32,
        weights=(VGG16_BN,),
        source="Badrinarayanan et al. 2017, arXiv 1511.00561",
        parameters=29_500_000,
    ),
)
