"""Cards of networks that find things one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from segstudio.networks.card import Card, Options, WeightsSource
from segstudio.networks.cards.published import BACKBONES

if TYPE_CHECKING:
    from torch import nn

_BACKBONES: Final = {"backbone": ("resnet18", "resnet34", "resnet50", "resnet101")}
_HE: Final = "He et al. 2017, arXiv 1703.06870"
_NO_ONNX: Final = "it answers with a list of things, not with scores of pixels"
_COCO: Final = WeightsSource(
    "coco",
    "COCO",
    "MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1",
    part="whole",
    when={"backbone": "resnet50", "width": 256},
)


def _maskrcnn(channels: int, outputs: int, options: Options) -> nn.Module:
    from segstudio.networks.maskrcnn import MaskRCNN

    return MaskRCNN(channels, outputs, **options)


CARDS: Final = (
    Card(
        "maskrcnn",
        "Mask R-CNN with ResNet-50",
        "Mask R-CNN",
        "things that touch and must stay apart, each a draft with a score; wants a GPU",
        _maskrcnn,
        {"backbone": "resnet50", "width": 256, "anchor": 32, "samples": 512, "detections": 500},
        choices=_BACKBONES,
        weights=(_COCO, *BACKBONES),
        default_weights="coco",
        may_begin_fresh=True,
        source=f"{_HE}; torchvision",
        onnx=_NO_ONNX,
        parameters=45_980_000,
        answers="instances",
    ),
    Card(
        "maskrcnn_light",
        "Mask R-CNN with ResNet-18",
        "Mask R-CNN",
        "things that touch, such as cells and grains, in small pictures; trains on a processor",
        _maskrcnn,
        {"backbone": "resnet18", "width": 64, "anchor": 16, "samples": 128, "detections": 500},
        choices=_BACKBONES,
        weights=BACKBONES,
        source=f"{_HE}; torchvision",
        onnx=_NO_ONNX,
        parameters=12_590_000,
        answers="instances",
    ),
)
