"""Cards of networks that gather context from the whole scene."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from segstudio.networks.card import UNNORMALISED, Card, Options
from segstudio.networks.cards.published import ENCODERS, RESNETS, VGG16, smp

if TYPE_CHECKING:
    from torch import nn

_CONTEXTS: Final = {"context": ("none", "basic", "large")}
_YU: Final = "Yu & Koltun 2016, arXiv 1511.07122"


def _dilation(layers: int, channels: int, outputs: int, options: Options) -> nn.Module:
    from segstudio.networks.dilation import Dilation

    return Dilation(channels, outputs, layers=8 if layers == 8 else 10, **options)


def _pspnet(channels: int, outputs: int, options: Options) -> nn.Module:
    from segstudio.networks.pspnet import PSPNet

    return PSPNet(channels, outputs, **options)


def _refinenet(channels: int, outputs: int, options: Options) -> nn.Module:
    from segstudio.networks.refinenet import RefineNet

    return RefineNet(channels, outputs, **options)


CARDS: Final = (
    Card(
        "dilation8",
        "Dilation8: front end and large context",
        "Dilated convolutions",
        "courses and comparisons: context of everyday photographs; wants a GPU",
        partial(_dilation, 8),
        {"width": 64, "context": "large"},
        choices=_CONTEXTS,
        divisor=8,
        weights=(VGG16,),
        source=_YU,
        parameters=141_100_000,
        learning_rate=UNNORMALISED,
    ),
    Card(
        "dilation10",
        "Dilation10: front end and wide context",
        "Dilated convolutions",
        "street scenes in large pictures, with far context; wants a GPU",
        partial(_dilation, 10),
        {"width": 64, "context": "basic"},
        choices=_CONTEXTS,
        divisor=8,
        weights=(VGG16,),
        source=_YU,
        parameters=134_400_000,
        learning_rate=UNNORMALISED,
    ),
    Card(
        "pspnet",
        "PSPNet with ResNet-50",
        "Pyramid",
        "scenes with many classes, where the whole tells what a part is; wants a GPU",
        _pspnet,
        {"width": 64, "layers": 50},
        choices={"layers": (50, 101)},
        divisor=8,
        weights=RESNETS,
        source="Zhao et al. 2017, arXiv 1612.01105",
        auxiliary={"aux": 0.4},
        parameters=49_000_000,
    ),
    Card(
        "refinenet",
        "RefineNet with ResNet-101",
        "RefineNet",
        "scenes with fine outlines; wants a GPU with much memory",
        _refinenet,
        {"width": 64, "layers": 101},
        choices={"layers": (50, 101)},
        divisor=32,
        weights=RESNETS,
        source="Lin et al. 2017, arXiv 1611.06612",
        parameters=109_200_000,
        learning_rate=UNNORMALISED,
    ),
    Card(
        "upernet",
        "UPerNet with ResNet-34",
        "Pyramid",
        "scenes with many classes at many scales; a GPU helps",
        partial(smp, "UPerNet"),
        {"encoder": "resnet34", "decoder_channels": 256},
        divisor=32,
        weights=ENCODERS,
        source="Xiao et al. 2018, arXiv 1807.10221; segmentation_models_pytorch",
        parameters=29_600_000,
    ),
    Card(
        "segformer",
        "SegFormer-B0",
        "Transformer",
        "scenes of any kind with few parameters; a GPU helps; its encoder's code is NVIDIA's, for "
        "research and evaluation only",
        partial(smp, "Segformer"),
        {"encoder": "mit_b0", "decoder_segmentation_channels": 256},
        divisor=32,
        source="Xie et al. 2021, arXiv 2105.15203; segmentation_models_pytorch",
        parameters=3_720_000,
    ),
)
