"""A wrapper that lets a network take pictures of any size."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class AnySize(nn.Module):
    """Pads inputs to what `body` can take and crops its output back.

    What is added repeats the border pixels, or is the picture's mirror image where the body's
    `border` is "reflect". A body with a `margin` (valid convolutions) gets that many pixels more on
    each side, so that the output still covers the whole picture; mirrored, this is the overlap-tile
    strategy of the U-Net paper (section 2). `auxiliary` has the weights of the losses on the body's
    further outputs.
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
            added = (margin, margin + right, margin, margin + bottom)
            x = _filled_up(x, added, getattr(self.body, "border", "replicate"))
        output = self.body(x)
        if isinstance(output, Tensor):
            return output[..., :height, :width]
        padded = (height + bottom, width + right)
        if self.training and output.keys() & self.auxiliary.keys():
            return {key: _cropped(value, (height, width), padded) for key, value in output.items()}
        logits: Tensor = output["out"]
        return logits[..., :height, :width]


def _filled_up(x: Tensor, added: tuple[int, int, int, int], border: str) -> Tensor:
    """(n, c, h, w) with pixels `added` left, right, above and below; where a mirror image is too
    small it is mirrored again."""
    if border != "reflect":
        return F.pad(x, added, mode=border)
    for axis, (before, after) in ((-1, added[:2]), (-2, added[2:])):
        places = mirrored(int(x.shape[axis]), before, after)
        x = x.index_select(axis, places.to(x.device))
    return x


def mirrored(side: int, before: int, after: int) -> Tensor:
    """Which of `side` pixels stands at each place from -before to side + after - 1, the border
    pixels not doubled: 2 1 0 1 2 1 0."""
    place = torch.arange(-before, side + after)
    period = max(1, 2 * side - 2)
    place = place % period
    return torch.minimum(place, period - place).clamp(max=side - 1)


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
