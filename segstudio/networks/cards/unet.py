"""Cards of the U-Net family."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from segstudio.networks.card import Card, Options
from segstudio.networks.cards.published import ENCODERS, smp

if TYPE_CHECKING:
    from torch import nn

_FORM: Final = {"depth": range(1, 8), "padding": ("same", "valid")}


def _unet(channels: int, outputs: int, options: Options) -> nn.Module:
    from segstudio.networks.unet import UNet

    return UNet(channels, outputs, **options)


def _unet_2015(channels: int, outputs: int, options: Options) -> nn.Module:
    from segstudio.networks.unet import PAPER, UNet

    return UNet(channels, outputs, **{**PAPER, **options})


def _unetplusplus(channels: int, outputs: int, options: Options) -> nn.Module:
    """Trained on its last output alone, without the paper's deep supervision (section 3.2)."""
    return smp("UnetPlusPlus", channels, outputs, options)


CARDS: Final = (
    Card(
        "unet",
        "U-Net",
        "U-Net",
        "few labels, any picture; trains on a laptop's processor",
        _unet,
        {"width": 16, "depth": 4, "padding": "same", "norm": True, "shrink": 1},
        light={"width": 32, "depth": 3, "shrink": 4},
        choices={**_FORM, "shrink": (1, 2, 4, 8, 16)},
        divisor=16,
        source="Ronneberger et al. 2015, arXiv 1505.04597",
        parameters=1_940_000,
    ),
    Card(
        "unet_2015",
        "U-Net as in its paper (2015)",
        "U-Net",
        "courses and comparisons: the original, without padding and normalisation; wants a GPU",
        _unet_2015,
        {"width": 64, "depth": 4, "padding": "valid", "dropout": 0.5},
        choices=_FORM,
        divisor=16,
        source="Ronneberger et al. 2015, arXiv 1505.04597",
        parameters=31_000_000,
    ),
    Card(
        "unet_resnet34",
        "U-Net with ResNet-34",
        "U-Net",
        "photographs with many classes; a GPU helps",
        partial(smp, "Unet"),
        {"encoder": "resnet34"},
        divisor=32,
        weights=ENCODERS,
        source="segmentation_models_pytorch",
        parameters=24_400_000,
    ),
    Card(
        "unet_mobilenet",
        "U-Net with MobileNetV2",
        "U-Net",
        "photographs on a laptop's processor",
        partial(smp, "Unet"),
        {"encoder": "mobilenet_v2", "decoder_channels": (128, 64, 32, 16, 16)},
        divisor=32,
        weights=ENCODERS,
        source="segmentation_models_pytorch; Sandler et al. 2018, arXiv 1801.04381",
        parameters=4_140_000,
    ),
    Card(
        "unetplusplus",
        "U-Net++ with ResNet-34",
        "U-Net",
        "things of very different size, finer outlines than U-Net; a GPU helps",
        _unetplusplus,
        {"encoder": "resnet34", "decoder_channels": (256, 128, 64, 32, 16)},
        divisor=32,
        weights=ENCODERS,
        source="Zhou et al. 2018, arXiv 1807.10165; segmentation_models_pytorch",
        parameters=26_100_000,
    ),
)
