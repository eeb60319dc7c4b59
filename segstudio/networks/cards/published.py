"""Published weights that several cards name, and how networks of a library are built."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from segstudio.errors import UserError
from segstudio.networks.card import Options, WeightsSource

if TYPE_CHECKING:
    from torch import nn


def imagenet(family: str, **when: Any) -> WeightsSource:
    """An encoder's weights from ImageNet, for networks with the options `when`; `family` as
    torchvision calls it."""
    return WeightsSource("imagenet", "ImageNet-1k", f"{family}_Weights.IMAGENET1K_V1", when=when)


def coco_voc(family: str, **when: Any) -> WeightsSource:
    """A whole network's weights from torchvision."""
    title = "COCO pictures with the 20 VOC classes"
    enum = f"{family}_Weights.COCO_WITH_VOC_LABELS_V1"
    return WeightsSource("coco-voc", title, enum, part="whole", when=when)


VGG16: Final = imagenet("VGG16", width=64)
VGG16_BN: Final = imagenet("VGG16_BN", width=64)
RESNET50: Final = imagenet("ResNet50", width=64)
RESNET101: Final = imagenet("ResNet101", width=64)
RESNETS: Final = tuple(imagenet(f"ResNet{n}", width=64, layers=n) for n in (50, 101))
"""By the option `layers`."""
BACKBONES: Final = tuple(imagenet(f"ResNet{n}", backbone=f"resnet{n}") for n in (18, 34, 50, 101))
RESNET34: Final = imagenet("ResNet34", encoder="resnet34")
ENCODERS: Final = (
    RESNET34,
    *(imagenet(f"ResNet{n}", encoder=f"resnet{n}") for n in (18, 50, 101, 152)),
    imagenet("MobileNet_V2", encoder="mobilenet_v2"),
    *(imagenet(f"VGG{n}", encoder=f"vgg{n}") for n in (11, 13, 16, 19)),
    *(imagenet(f"VGG{n}_BN", encoder=f"vgg{n}_bn") for n in (11, 13, 16, 19)),
)
"""By the option `encoder` of segmentation_models_pytorch, which has more, without weights here."""


def smp(model: str, channels: int, outputs: int, options: Options) -> nn.Module:
    """A network of segmentation_models_pytorch."""
    import segmentation_models_pytorch

    encoder = options["encoder"]
    known = segmentation_models_pytorch.encoders.get_encoder_names()
    if encoder not in known and not str(encoder).startswith("tu-"):  # those are timm's
        alike = get_close_matches(str(encoder), known, n=5) or known
        raise UserError(
            f"There is no encoder called {encoder!r}", remedy=f"Choose {', '.join(alike)} …"
        )
    network: nn.Module = getattr(segmentation_models_pytorch, model)(
        encoder_name=encoder,
        encoder_weights=None,  # never a download here: weights.py does that, and checks it
        in_channels=channels,
        classes=outputs,
        **{key: value for key, value in options.items() if key != "encoder"},
    )
    return network
