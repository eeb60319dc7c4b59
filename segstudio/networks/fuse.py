"""Faster inference: batch normalisations folded into the convolutions before them."""

from __future__ import annotations

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fused(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode that gives the same output with fewer passes over memory.

    Only a normalisation that directly follows its convolution in an nn.Sequential is folded;
    elsewhere the order of calls cannot be known.
    """
    copied = copy.deepcopy(network).eval()
    for module in copied.modules():
        if isinstance(module, nn.Sequential):
            _fuse_pairs(module)
    return copied


def _fuse_pairs(layers: nn.Sequential) -> None:
    for i in range(len(layers) - 1):
        convolution, norm = layers[i], layers[i + 1]
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            layers[i] = fuse_conv_bn_eval(convolution, norm)
            layers[i + 1] = nn.Identity()
