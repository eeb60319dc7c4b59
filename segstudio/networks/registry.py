"""The architectures a person can choose, as cards; a builder imports its library when called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from segstudio.errors import UserError

if TYPE_CHECKING:
    from torch import nn

Options = Mapping[str, Any]
Builder = Callable[[int, int, Options], "nn.Module"]
"""(input channels, outputs, options) to a module from (n, c, h, w) to (n, outputs, h, w)."""


@dataclass(frozen=True)
class WeightsSource:
    """Published weights: an entry of a torchvision weights enum, which knows address and hash.

    `part` says what they fill: the whole network as far as shapes agree, or its encoder.
    """

    name: str
    title: str
    enum: str
    part: str = "encoder"
    licence: str = "BSD-3-Clause"


@dataclass(frozen=True)
class Card:
    """What is known of an architecture before it is built.

    Inputs are padded to multiples of `divisor`. `default_weights` names the source that is used
    when nobody says otherwise, nothing for training from scratch.
    """

    name: str
    title: str
    family: str
    good_for: str
    builder: Builder
    options: Options = field(default_factory=dict)
    divisor: int = 16
    weights: tuple[WeightsSource, ...] = ()
    default_weights: str = ""
    source: str = ""

    def weights_source(self, name: str) -> WeightsSource | None:
        return next((source for source in self.weights if source.name == name), None)


def build(name: str, classes: int, channels: int = 3, **options: Any) -> nn.Module:
    """A fresh network for that many classes: (n, channels, h, w) of any size to logits
    (n, 1 + classes, h, w), the background first."""
    from segstudio.networks.anysize import AnySize

    card = card_of(name)
    unknown = sorted(options.keys() - card.options.keys())
    if unknown:
        raise UserError(
            f"{card.title} has no option {unknown[0]!r}",
            remedy=f"Options: {', '.join(card.options) or 'none'}",
        )
    body = card.builder(channels, classes + 1, {**card.options, **options})
    return AnySize(body, card.divisor)


def card_of(name: str) -> Card:
    if name not in ARCHITECTURES:
        raise UserError(
            f"There is no network called {name!r}", remedy=f"Choose {', '.join(ARCHITECTURES)}"
        )
    return ARCHITECTURES[name]


def _unet(channels: int, outputs: int, options: Options) -> nn.Module:
    from segstudio.networks.unet import UNet

    return UNet(channels, outputs, **options)


def _smp(model: str, channels: int, outputs: int, options: Options) -> nn.Module:
    import segmentation_models_pytorch as smp

    network: nn.Module = getattr(smp, model)(
        encoder_name=options["encoder"],
        encoder_weights=None,  # never a download here: weights.py does that, and checks it
        in_channels=channels,
        classes=outputs,
        **{key: value for key, value in options.items() if key != "encoder"},
    )
    return network


def _smp_unet(channels: int, outputs: int, options: Options) -> nn.Module:
    return _smp("Unet", channels, outputs, options)


def _smp_deeplab(channels: int, outputs: int, options: Options) -> nn.Module:
    return _smp("DeepLabV3Plus", channels, outputs, options)


def _deeplabv3(channels: int, outputs: int, options: Options) -> nn.Module:
    from torch import nn
    from torchvision.models.segmentation import deeplabv3_resnet50

    network: nn.Module = deeplabv3_resnet50(
        weights=None, weights_backbone=None, num_classes=outputs, aux_loss=False
    )
    if channels != 3:
        first = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        network.get_submodule("backbone").register_module("conv1", first)
    return network


_RESNET34 = WeightsSource("imagenet", "ImageNet-1k", "ResNet34_Weights.IMAGENET1K_V1")
_MOBILENET = WeightsSource("imagenet", "ImageNet-1k", "MobileNet_V2_Weights.IMAGENET1K_V1")
_COCO_VOC = WeightsSource(
    "coco-voc",
    "COCO pictures with the 20 VOC classes",
    "DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1",
    part="whole",
)

_CARDS: Final = (
    Card(
        "unet",
        "U-Net",
        "U-Net",
        "few labels, any picture; trains on a laptop's processor",
        _unet,
        {"width": 16, "depth": 4, "padding": "same", "norm": True},
        divisor=16,
        source="Ronneberger et al. 2015, arXiv 1505.04597",
    ),
    Card(
        "unet_resnet34",
        "U-Net with ResNet-34",
        "U-Net",
        "photographs with many classes; a GPU helps",
        _smp_unet,
        {"encoder": "resnet34"},
        divisor=32,
        weights=(_RESNET34,),
        source="segmentation_models_pytorch",
    ),
    Card(
        "unet_mobilenet",
        "U-Net with MobileNetV2",
        "U-Net",
        "photographs on a laptop's processor",
        _smp_unet,
        {"encoder": "mobilenet_v2", "decoder_channels": (128, 64, 32, 16, 16)},
        divisor=32,
        weights=(_MOBILENET,),
        source="segmentation_models_pytorch; Sandler et al. 2018, arXiv 1801.04381",
    ),
    Card(
        "deeplabv3plus",
        "DeepLabV3+ with ResNet-34",
        "DeepLab",
        "street scenes and large objects; a GPU helps",
        _smp_deeplab,
        {"encoder": "resnet34"},
        divisor=16,
        weights=(_RESNET34,),
        source="Chen et al. 2018, arXiv 1802.02611; segmentation_models_pytorch",
    ),
    Card(
        "deeplabv3_resnet50",
        "DeepLabV3 with ResNet-50",
        "DeepLab",
        "everyday photographs, from weights that know the 20 VOC classes; wants a GPU",
        _deeplabv3,
        divisor=8,
        weights=(_COCO_VOC,),
        default_weights="coco-voc",
        source="Chen et al. 2017, arXiv 1706.05587; torchvision",
    ),
)
ARCHITECTURES: Final[Mapping[str, Card]] = {card.name: card for card in _CARDS}
