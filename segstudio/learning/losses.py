"""The training loss on partly labelled pictures: cross-entropy plus Dice, void pixels skipped."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from segstudio.learning.metrics import VOID


def with_auxiliary(
    outputs: Tensor | Mapping[str, Tensor],
    target: Tensor,
    shares: Mapping[str, float],
    class_weights: Tensor | None = None,
    pixel_weights: Tensor | None = None,
    dice_share: float = 0.5,
) -> Tensor:
    """`masked_ce_dice` of logits, or of "out" plus every other output weighed by its share.

    An output smaller than the labels learns from those in the middle of its cells, as in cascade
    label guidance (ICNet, arXiv 1704.08545, section 3.3).
    """
    outputs = {"out": outputs} if isinstance(outputs, Tensor) else outputs
    total = target.new_zeros((), dtype=torch.float32)
    for name, logits in outputs.items():
        size = logits.shape[-2:]
        weights = None if pixel_weights is None else _nearest(pixel_weights, size)
        loss = masked_ce_dice(logits, _nearest(target, size), class_weights, weights, dice_share)
        total = total + (1.0 if name == "out" else shares.get(name, 0.0)) * loss
    return total


def _nearest(values: Tensor, size: torch.Size) -> Tensor:
    """(n, h, w) to (n, *size) by taking the value in the middle of each cell."""
    for axis, (side, wanted) in enumerate(zip(values.shape[1:], size, strict=True), start=1):
        if side != wanted:
            # whole numbers: Apple's GPU has no float64, and float32 rounds some places away
            middle = (2 * torch.arange(wanted) + 1) * side // (2 * wanted)
            values = values.index_select(axis, middle.to(values.device))
    return values


def masked_ce_dice(
    logits: Tensor,
    target: Tensor,
    class_weights: Tensor | None = None,
    pixel_weights: Tensor | None = None,
    dice_share: float = 0.5,
) -> Tensor:
    """(1 - dice_share) x cross-entropy + dice_share x Dice loss, a scalar.

    logits (n, k, h, w) float, target (n, h, w) int64 with 0..k-1 or VOID; class_weights (k,)
    and pixel_weights (n, h, w) weigh the cross-entropy alone. Void pixels are left out of both
    sums. A batch that is all void gives 0 with zero gradients.
    """
    logits = logits.float()
    entropy = masked_cross_entropy(logits, target, class_weights, pixel_weights)
    if dice_share == 0:
        return entropy
    return (1 - dice_share) * entropy + dice_share * masked_dice(logits, target)


def masked_cross_entropy(
    logits: Tensor,
    target: Tensor,
    class_weights: Tensor | None = None,
    pixel_weights: Tensor | None = None,
) -> Tensor:
    """Mean cross-entropy over labelled pixels."""
    losses = F.cross_entropy(
        logits, target, weight=class_weights, ignore_index=VOID, reduction="none"
    )
    weight = (target != VOID).to(losses.dtype)
    if pixel_weights is not None:
        weight = weight * pixel_weights
    return (losses * weight).sum() / weight.sum().clamp(min=1.0)


def masked_dice(logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """1 - mean soft Dice over the classes labelled in this batch (all its pixels as one set).

    Milletari et al. 2016 (V-Net) without the squares. Classes that no labelled pixel has are
    left to the cross-entropy: their Dice is 0 whatever is predicted.
    """
    classes = logits.shape[1]
    valid = target != VOID
    place = target.clamp(min=0)
    probabilities = logits.softmax(1) * valid.unsqueeze(1)
    of_truth = probabilities.gather(1, place.unsqueeze(1)).squeeze(1)
    flat = place.flatten()
    overlap = logits.new_zeros(classes).index_add(0, flat, of_truth.flatten())
    labelled = torch.bincount(flat[valid.flatten()], minlength=classes).to(logits.dtype)
    predicted = probabilities.sum((0, 2, 3))
    dice = (2 * overlap + smooth) / (labelled + predicted + smooth)
    present = labelled > 0
    if not bool(present.any()):
        return predicted.sum() * 0.0
    loss: Tensor = 1 - dice[present].mean()
    return loss
