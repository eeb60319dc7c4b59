"""Atrous convolutions that learn in reasonable time without a GPU."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Atrous(nn.Conv2d):
    """A convolution at an atrous rate that keeps the size. In training it works on the pixels of
    each phase apart (every rate-th one across and down), which are the same sums: PyTorch's
    gradient of a wide 7x7 kernel at rate 4 takes minutes on a CPU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, rate: int) -> None:
        super().__init__(inputs, outputs, kernel, padding=rate * (kernel // 2), dilation=rate)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) to (n, outputs, h, w)."""
        rate = self.dilation[0]
        if rate == 1 or not self.training:
            return super().forward(x)
        height, width = x.shape[-2:]
        whole = F.pad(x, (0, -width % rate, 0, -height % rate))
        phases = F.pixel_unshuffle(whole, rate)
        count, size = rate**2, phases.shape[-2:]
        apart = phases.view(len(x), -1, count, *size).transpose(1, 2).flatten(0, 1)
        found = F.conv2d(apart, self.weight, self.bias, padding=self.kernel_size[0] // 2)
        together = found.view(len(x), count, -1, *size).transpose(1, 2).flatten(1, 2)
        return F.pixel_shuffle(together, rate)[..., :height, :width]
