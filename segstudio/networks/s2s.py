"""S2S: Luc, Neverova, Couprie, Verbeek & LeCun, "Predicting Deeper into the Future of Semantic
Segmentation", ICCV 2017 (arXiv 1703.07684), section 3: the scores of the next frame from those of
the last four, without its picture.

Two sizes, the half and the whole, each four convolutions with a ReLU between (128, 256, 128 maps
and the scores; kernels 3, 3, 3, 3 and 5, 3, 3, 5), padded with zeros. What the half says is
enlarged by repeating and given to the whole, which corrects it (the scheme of Mathieu, Couprie &
LeCun, ICLR 2016, with two of its four sizes). Trained by L1 and by the difference of gradients,
at both sizes. Layers and losses are as in the authors' published model definition.

Left open there and decided here: the paper's inputs are scores before the softmax of a network
(Dilation10, at an eighth of 1024x2048); a person's labels have none, so they are 1 for the class,
0 for the others, and 0 for all where nobody said. The dilated variant (S2S-dil) and the
adversarial loss are not here: the published definition holds neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FRAMES: Final = 4
"""Frames that are looked at."""


class Scores(NamedTuple):
    """Of the next frame: `half` (n, classes, h / 2, w / 2) and `whole` (n, classes, h, w)."""

    half: Tensor
    whole: Tensor


class S2S(nn.Module):
    """Height and width of the input must be even. `width` is 128 in the paper."""

    def __init__(self, classes: int, frames: int = FRAMES, width: int = 128) -> None:
        super().__init__()
        inputs = frames * classes
        self.coarse = _layers(inputs, classes, (3, 3, 3, 3), width)
        self.fine = _layers(inputs + classes, classes, (5, 3, 3, 5), width)

    def forward(self, past: Tensor) -> Scores:
        """Scores (n, frames, classes, h, w), the oldest frame first, to those of the next one."""
        stacked = past.flatten(1, 2)
        half = self.coarse(F.avg_pool2d(stacked, 2))
        guess = F.interpolate(half, scale_factor=2, mode="nearest")
        return Scores(half, guess + self.fine(torch.cat((stacked, guess), 1)))

    def deeper(self, past: Tensor, steps: int) -> list[Tensor]:
        """The scores (n, classes, h, w) of the next `steps` frames, each from those before it
        (section 3.2: the autoregressive model)."""
        found: list[Tensor] = []
        for _ in range(steps):
            found.append(self(past).whole)
            past = torch.cat((past[:, 1:], found[-1][:, None]), 1)
        return found


def loss(scores: Scores, target: Tensor) -> Tensor:
    """L1 and gradient difference (Mathieu et al., equation 6, alpha 1) against the scores
    (n, classes, h, w) of the frame, at both sizes, all of weight 1."""
    small = F.avg_pool2d(target, 2)
    pairs = ((scores.half, small), (scores.whole, target))
    terms = [F.l1_loss(found, true) + _gradient_difference(found, true) for found, true in pairs]
    return torch.stack(terms).sum()


def _gradient_difference(found: Tensor, true: Tensor) -> Tensor:
    terms = [F.l1_loss(found.diff(dim=way).abs(), true.diff(dim=way).abs()) for way in (-1, -2)]
    return torch.stack(terms).sum()


def _layers(inputs: int, classes: int, kernels: Sequence[int], width: int) -> nn.Sequential:
    sizes = (inputs, width, 2 * width, width, classes)
    layers: list[nn.Module] = []
    for before, after, kernel in zip(sizes, sizes[1:], kernels, strict=False):
        layers += [nn.Conv2d(before, after, kernel, padding=kernel // 2), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
