"""Sizes of feature maps whose grid has a point in the picture's first and last pixel."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def odd(x: Tensor) -> Tensor:
    """(n, c, 8a, 8b) to (n, c, 8a + 1, 8b + 1) by repeating the border.

    Layers of an odd kernel, halving with padding, then see every eighth pixel, the last one too:
    the 321 = 8 x 40 + 1 of DeepLab and the 473 = 8 x 59 + 1 of PSPNet.
    """
    return F.pad(x, (0, 1, 0, 1), mode="replicate")


def spread(scores: Tensor, like: Tensor) -> Tensor:
    """Scores (n, k, a + 1, b + 1) of `odd(like)` to (n, k, h, w) of `like`, bilinearly."""
    height, width = like.shape[-2:]
    size = (height + 1, width + 1)
    return F.interpolate(scores, size, mode="bilinear", align_corners=True)[..., :height, :width]
