"""Published weights that several cards name, and how networks of a library are built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from segstudio.networks.card import Options, WeightsSource

if TYPE_CHECKING:
    from torch import nn


def imagenet(enum: str, version: int = 1) -> WeightsSource:
    """An encoder's weights from ImageNet, `enum` as torchvision calls them."""
    return WeightsSource("imagenet", "ImageNet-1k", f"{enum}.IMAGENET1K_V{version}")


def coco_voc(enum: str) -> WeightsSource:
    """A whole network's weights from torchvision."""
    title = "COCO pictures with the 20 VOC classes"
    return WeightsSource("coco-voc", title, f"{enum}.COCO_WITH_VOC_LABELS_V1", part="whole")


VGG16: Final = imagenet("VGG16_Weights")
VGG16_BN: Final = imagenet("VGG16_BN_Weights")
RESNET34: Final = imagenet("ResNet34_Weights")
RESNET50: Final = imagenet("ResNet50_Weights")
RESNET101: Final = imagenet("ResNet101_Weights")
MOBILENET_V2: Final = imagenet("MobileNet_V2_Weights")


def smp(model: str, channels: int, outputs: int, options: Options) -> nn.Module:
    """A network of segmentation_models_pytorch."""
    import segmentation_models_pytorch

    network: nn.Module = getattr(segmentation_models_pytorch, model)(
        encoder_name=options["encoder"],
        encoder_weights=None,  # never a download here: weights.py does that, and checks it
        in_channels=channels,
        classes=outputs,
        **{key: value for key, value in options.items() if key != "encoder"},
    )
    return network
