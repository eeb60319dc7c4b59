"""CRF-RNN: Zheng et al., "Conditional Random Fields as Recurrent Neural Networks", ICCV 2015
(arXiv 1502.03240), sections 4 and 5: the mean field of `crf`, unrolled and trained, on FCN-8s.

The kernels keep their widths (160 and 3 in place, 3 grey values); their weights, a matrix for
each kernel, and the compatibility of labels, which starts as Potts, are learned. 5 rounds in
training, 10 in prediction (section 7). Inputs must be in proportion to grey values, else 3 of them
are not the same everywhere: its card asks for that.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segstudio.networks.crf import appearance, smoothing
from segstudio.networks.fcn import FCN


class MeanField(nn.Module):
    """Rounds of the mean field on logits (n, k, h, w) and pictures (n, c, h, w) of 0..255."""

    def __init__(
        self, outputs: int, reach: float = 160.0, colour: float = 3.0, smooth_reach: float = 3.0
    ) -> None:
        super().__init__()
        self.reach, self.colour, self.smooth_reach = reach, colour, smooth_reach
        self.smoothness = nn.Parameter(3.0 * torch.eye(outputs))
        self.appearance = nn.Parameter(5.0 * torch.eye(outputs))
        self.compatibility = nn.Parameter(1.0 - torch.eye(outputs))

    def forward(self, logits: Tensor, pictures: Tensor, rounds: int) -> Tensor:
        """The shape of the logits, which come out as logits again."""
        pairs = zip(logits, pictures, strict=True)
        return torch.stack([self._one(scores, picture, rounds) for scores, picture in pairs])

    def _one(self, scores: Tensor, picture: Tensor, rounds: int) -> Tensor:
        smooth = smoothing(scores, self.smooth_reach)
        alike = appearance(picture, self.reach, self.colour)
        unary = scores.flatten(1).T
        found = unary
        for _ in range(rounds):
            shares = found.softmax(1)
            messages = smooth(shares) @ self.smoothness.T + alike(shares) @ self.appearance.T
            found = unary - messages @ self.compatibility.T
        return found.T.reshape(scores.shape)


class CRFRNN(FCN):
    """FCN-8s and the mean field, trained together. `grey` is how many grey values 1 is in the
    inputs: 58 for ImageNet's normalisation. Sizes of the input are multiples of 32."""

    def __init__(
        self,
        channels: int = 3,
        outputs: int = 21,
        width: int = 64,
        scaled: bool = True,
        grey: float = 58.0,
    ) -> None:
        super().__init__(channels, outputs, 8, width, scaled)
        self.field = MeanField(outputs)
        self.grey = grey

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) to logits (n, outputs, h, w)."""
        logits = super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            rounds = 5 if self.training else 10
            found: Tensor = self.field(logits.float(), self.grey * x.float(), rounds)
        return found
