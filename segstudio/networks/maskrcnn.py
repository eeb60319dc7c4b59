"""Mask R-CNN: He, Gkioxari, Dollár, Girshick, "Mask R-CNN", ICCV 2017 (arXiv 1703.06870).

Built of torchvision's parts under torchvision's names, so that its published weights load by name:
a ResNet with a feature pyramid (Lin et al. 2017), and the heads of Li et al., "Benchmarking
Detection Transfer Learning with Vision Transformers" (arXiv 2111.11429), which torchvision calls
`maskrcnn_resnet50_fpn_v2`: normalised pyramid and heads, two convolutions for proposals, four and a
fully connected layer for boxes. With `width` 256 on a ResNet-50 it is that network.

Differences: pictures come as they are, normalised by the caller, and are not scaled; up to 500
things are kept, for the paper's 100 (section 3.1) are few cells; anchors begin at `anchor` pixels;
masks are returned in their boxes (28x28), not pasted into pictures; and nothing is learned where
nothing is known. Proposals that lie mostly in void are no background, and void pixels count in no
mask, as crowd regions in the authors' program. Boxes are worked out in 32 bits whatever the layers
are run in: bfloat16 has 8, and knows every second pixel beyond 256.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, TypedDict

import torch
import torch.nn.functional as F
import torchvision.models
from torch import Tensor, nn
from torchvision.models.detection import roi_heads
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import MultiScaleRoIAlign, box_iou

Backbone = Literal["resnet18", "resnet34", "resnet50", "resnet101"]
_LEVELS: Final = ("0", "1", "2", "3")
_RATIOS: Final = (0.5, 1.0, 2.0)
_UNKNOWN: Final = 0.5
"""The share of a box that is void from which on it says nothing."""
_MATCHED: Final = 0.5
"""The overlap with an instance from which on a proposal is one of it."""


class Target(TypedDict):
    """What is to be found in a picture: `boxes` (n, 4) float32 x0, y0, x1, y1, `labels` (n,)
    int64 from 1 on, `masks` (n, h, w) uint8, and `void` (h, w) bool where nothing is known."""

    boxes: Tensor
    labels: Tensor
    masks: Tensor
    void: Tensor


class Found(TypedDict):
    """What was found, the surest first: `boxes` (n, 4), `labels` (n,), `scores` (n,) 0..1 and
    `masks` (n, 1, 28, 28), the probability of being inside, stretched over the box."""

    boxes: Tensor
    labels: Tensor
    scores: Tensor
    masks: Tensor


class MaskRCNN(nn.Module):
    """Instances of `outputs` - 1 classes in pictures of any size of `channels` channels.

    `width` scales pyramid and heads; 256 is the paper's. In training `samples` boxes of a picture
    are looked at closely; it can have `detections` things at most.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        backbone: Backbone = "resnet50",
        width: int = 256,
        anchor: int = 32,
        samples: int = 512,
        detections: int = 500,
    ) -> None:
        super().__init__()
        self.backbone = _pyramid(channels, backbone, width)
        self.rpn = _proposing(width, anchor)
        self.roi_heads = _looking(width, outputs, samples, detections)

    def forward(
        self, x: Tensor, targets: Sequence[Target] | None = None
    ) -> dict[str, Tensor] | list[Found]:
        """(n, c, h, w) to the instances of each picture; with targets, in training, to losses by
        name, whose sum is to be minimised."""
        size = (int(x.shape[-2]), int(x.shape[-1]))
        images = ImageList(x, [size] * len(x))
        features = self.backbone(x)
        boxes, losses = self.rpn(images, features, targets)
        found, more = self.roi_heads(features, boxes, images.image_sizes, targets)
        return {**losses, **more} if self.training else found


def _pyramid(channels: int, backbone: Backbone, width: int) -> nn.Module:
    encoder: Any = getattr(torchvision.models, backbone)(weights=None)
    if channels != 3:
        encoder.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    stages = {f"layer{n}": level for n, level in enumerate(_LEVELS, start=1)}
    wide = [encoder.inplanes // 2**n for n in (3, 2, 1, 0)]
    pyramid: nn.Module = BackboneWithFPN(encoder, stages, wide, width, norm_layer=nn.BatchNorm2d)
    return pyramid


def _proposing(width: int, anchor: int) -> _Proposals:
    """Numbers as in the paper, section 3.1, and in Faster R-CNN."""
    sizes = tuple((anchor * 2**level,) for level in range(5))
    return _Proposals(
        _Anchors(sizes, (_RATIOS,) * len(sizes)),
        _Exactly(width, len(_RATIOS), conv_depth=2),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_top_n={"training": 2000, "testing": 1000},
        post_nms_top_n={"training": 2000, "testing": 1000},
        nms_thresh=0.7,
    )


def _looking(width: int, outputs: int, samples: int, detections: int) -> _Heads:
    fully = 4 * width
    return _Heads(
        MultiScaleRoIAlign(_LEVELS, output_size=7, sampling_ratio=2),
        FastRCNNConvFCHead((width, 7, 7), [width] * 4, [fully], norm_layer=nn.BatchNorm2d),
        FastRCNNPredictor(fully, outputs),
        fg_iou_thresh=_MATCHED,
        bg_iou_thresh=_MATCHED,
        batch_size_per_image=samples,
        positive_fraction=0.25,
        bbox_reg_weights=None,
        score_thresh=0.05,
        nms_thresh=0.5,
        detections_per_img=detections,
        mask_roi_pool=MultiScaleRoIAlign(_LEVELS, output_size=14, sampling_ratio=2),
        mask_head=MaskRCNNHeads(width, [width] * 4, 1, norm_layer=nn.BatchNorm2d),
        mask_predictor=MaskRCNNPredictor(width, width, outputs),
    )


class _Anchors(AnchorGenerator):  # type: ignore[misc]
    """Anchors in 32 bits, also for feature maps in fewer."""

    def set_cell_anchors(self, dtype: torch.dtype, device: torch.device) -> None:
        super().set_cell_anchors(torch.float32, device)


class _Exactly(RPNHead):  # type: ignore[misc]
    """Objectness and box deltas in 32 bits: anchors are moved in the precision of the deltas."""

    def forward(self, x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        objectness, deltas = super().forward(x)
        return [level.float() for level in objectness], [level.float() for level in deltas]


class _Proposals(RegionProposalNetwork):  # type: ignore[misc]
    """Proposals; anchors in void are no background."""

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: Sequence[Target]
    ) -> tuple[list[Tensor], list[Tensor]]:
        labels, boxes = super().assign_targets_to_anchors(anchors, targets)
        for label, places, target in zip(labels, anchors, targets, strict=True):
            label[(label == 0) & is_unknown(places, target["void"])] = -1
        return labels, boxes

    def compute_loss(
        self, objectness: Tensor, deltas: Tensor, labels: list[Tensor], wanted: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """As in torchvision; nothing where all is void."""
        if not any(bool((label >= 0).any()) for label in labels):
            return objectness.sum() * 0, deltas.sum() * 0
        first, second = super().compute_loss(objectness, deltas, labels, wanted)
        return first, second


class _Heads(RoIHeads):  # type: ignore[misc]
    """Classes, boxes and masks of proposals; what lies in void teaches nothing."""

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: Sequence[Target] | None = None,
    ) -> tuple[list[Found], dict[str, Tensor]]:
        if self.training:
            assert targets is not None
            return [], self._losses(features, proposals, image_shapes, targets)
        logits, deltas = self._judge(features, proposals, image_shapes)
        boxes, scores, labels = self.postprocess_detections(logits, deltas, proposals, image_shapes)
        masks = roi_heads.maskrcnn_inference(self._draw(features, boxes, image_shapes), labels)
        names = ("boxes", "labels", "scores", "masks")
        parts = zip(boxes, labels, scores, masks, strict=True)
        return [Found(**dict(zip(names, part, strict=True))) for part in parts], {}  # type: ignore[typeddict-item]

    def _judge(
        self, features: dict[str, Tensor], boxes: list[Tensor], shapes: list[tuple[int, int]]
    ) -> tuple[Tensor, Tensor]:
        """Class logits (n, k) and box deltas (n, 4 k), float32: boxes are moved in the precision
        of the deltas."""
        pooled = self.box_roi_pool(features, boxes, shapes)
        logits, deltas = self.box_predictor(self.box_head(pooled))
        return logits.float(), deltas.float()

    def _draw(
        self, features: dict[str, Tensor], boxes: list[Tensor], shapes: list[tuple[int, int]]
    ) -> Tensor:
        """Mask logits (n, k, 28, 28)."""
        pooled = self.mask_roi_pool(features, boxes, shapes)
        logits: Tensor = self.mask_predictor(self.mask_head(pooled))
        return logits

    def _losses(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        shapes: list[tuple[int, int]],
        targets: Sequence[Target],
    ) -> dict[str, Tensor]:
        known = [_known(boxes, target) for boxes, target in zip(proposals, targets, strict=True)]
        boxes, matched, labels, wanted = self.select_training_samples(known, targets)
        if not any(map(len, boxes)):
            return {}
        logits, deltas = self._judge(features, boxes, shapes)
        of_class, of_box = roi_heads.fastrcnn_loss(logits, deltas, labels, wanted)
        return {
            "loss_classifier": of_class,
            "loss_box_reg": of_box,
            "loss_mask": self._mask_loss(features, boxes, shapes, targets, matched, labels),
        }

    def _mask_loss(
        self,
        features: dict[str, Tensor],
        boxes: list[Tensor],
        shapes: list[tuple[int, int]],
        targets: Sequence[Target],
        matched: list[Tensor],
        labels: list[Tensor],
    ) -> Tensor:
        """Mean binary cross-entropy over the known pixels of proposals that hit an instance."""
        hits = [label > 0 for label in labels]
        boxes = [box[hit] for box, hit in zip(boxes, hits, strict=True)]
        if not any(map(len, boxes)):
            return features["0"].sum() * 0
        logits = self._draw(features, boxes, shapes)
        classes = torch.cat([label[hit] for label, hit in zip(labels, hits, strict=True)])
        own = logits[torch.arange(len(logits), device=logits.device), classes]
        truth, unknown = [], []
        side = int(logits.shape[-1])
        for box, index, hit, target in zip(boxes, matched, hits, targets, strict=True):
            truth.append(roi_heads.project_masks_on_boxes(target["masks"], box, index[hit], side))
            nowhere = torch.zeros_like(index[hit])
            void = target["void"][None]
            unknown.append(roi_heads.project_masks_on_boxes(void, box, nowhere, side))
        weight = (torch.cat(unknown) < _UNKNOWN).float()  # half precision cannot count them
        loss = F.binary_cross_entropy_with_logits(
            own.float(), torch.cat(truth).float(), weight, reduction="sum"
        )
        return loss / weight.sum().clamp(min=1)


def _known(proposals: Tensor, target: Target) -> Tensor:
    """Proposals without those that lie in void and hit no instance."""
    unknown = is_unknown(proposals, target["void"])
    if len(target["boxes"]):
        unknown &= box_iou(proposals, target["boxes"]).amax(1) < _MATCHED
    return proposals[~unknown]


def is_unknown(boxes: Tensor, void: Tensor) -> Tensor:
    """Which of the boxes (n, 4) lie mostly in `void` (h, w), (n,) bool.

    Only what they have of the picture is looked at: a box outside is background, as in
    torchvision.
    """
    if not bool(void.any()):
        return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    height, width = void.shape
    table = F.pad(void.float().cumsum(0).cumsum(1), (1, 0, 1, 0))
    limits = boxes.new_tensor([width, height, width, height])
    x0, y0, x1, y1 = boxes.round().clamp(min=0).minimum(limits).long().unbind(1)
    covered = table[y1, x1] - table[y0, x1] - table[y1, x0] + table[y0, x0]
    return covered >= _UNKNOWN * ((x1 - x0) * (y1 - y0)).clamp(min=1)
