"""A wrapper that lets a network take pictures of any size."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn


class AnySize(nn.Module):
    """Pads inputs by their border pixels to what `body` can take and crops its output back.

    A body with a `margin` (valid convolutions) gets that many pixels more on each side, so that
    the output still covers the whole picture: the paper's overlap-tile strategy.
    """

    def __init__(self, body: nn.Module, divisor: int) -> None:
        super().__init__()
        self.body, self.divisor = body, divisor

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to logits (n, k, h, w)."""
        height, width = x.shape[-2:]
        margin = int(getattr(self.body, "margin", 0))
        bottom, right = (_missing(side, margin, self.divisor) for side in (height, width))
        if margin or bottom or right:
            x = F.pad(x, (margin, margin + right, margin, margin + bottom), mode="replicate")
        output = self.body(x)
        logits: Tensor = output["out"] if isinstance(output, dict) else output
        return logits[..., :height, :width]


def _missing(side: int, margin: int, divisor: int) -> int:
    """Pixels to add so that the body's output, side + this, is a size it can halve."""
    if margin == 0:
        return math.ceil(side / divisor) * divisor - side
    # with valid convolutions, outputs of 4 modulo the divisor come from inputs that halve evenly
    return (4 - side) % divisor
