"""A wrapper that lets a network take pictures of any size."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn


class AnySize(nn.Module):
    """Pads inputs by their border pixels to what `body` can take and crops its output back.

    A body with a `margin` (valid convolutions) gets that many pixels more on each side, so that
    the output still covers the whole picture: the paper's overlap-tile strategy. `auxiliary` has
    the weights of the losses on the body's further outputs.
    """

    def __init__(
        self, body: nn.Module, divisor: int, auxiliary: Mapping[str, float] | None = None
    ) -> None:
        super().__init__()
        self.body, self.divisor = body, divisor
        self.auxiliary = dict(auxiliary or {})

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:
        """(n, c, h, w) to logits (n, k, h, w); in training, where the body has auxiliary outputs,
        a dict of them and "out", each cropped to the picture's share of it."""
        height, width = x.shape[-2:]
        margin = int(getattr(self.body, "margin", 0))
        bottom, right = (_missing(side, margin, self.divisor) for side in (height, width))
        if margin or bottom or right:
            x = F.pad(x, (margin, margin + right, margin, margin + bottom), mode="replicate")
        output = self.body(x)
        if isinstance(output, Tensor):
            return output[..., :height, :width]
        padded = (height + bottom, width + right)
        if self.training and output.keys() & self.auxiliary.keys():
            return {key: _cropped(value, (height, width), padded) for key, value in output.items()}
        logits: Tensor = output["out"]
        return logits[..., :height, :width]


def _cropped(output: Tensor, size: tuple[int, int], padded: tuple[int, int]) -> Tensor:
    """The part of a smaller output that the picture covers, rounded up."""
    height, width = (
        math.ceil(side * n / whole)
        for side, n, whole in zip(size, output.shape[-2:], padded, strict=True)
    )
    return output[..., :height, :width]


def _missing(side: int, margin: int, divisor: int) -> int:
    """Pixels to add so that the body's output, side + this, is a size it can halve."""
    if margin == 0:
        return math.ceil(side / divisor) * divisor - side
    # with valid convolutions, outputs of 4 modulo the divisor come from inputs that halve evenly
    return (4 - side) % divisor
