"""The adversarial network of Luc et al., "Semantic Segmentation using Adversarial Networks", NIPS
workshop 2016 (arXiv 1611.08408), figure 1 and section 4 (LargeFOV): it tells label maps that a
person made from those of a network.
"""

from __future__ import annotations

from torch import Tensor, nn

from segstudio.networks.vgg import initialise


class LargeFOV(nn.Module):
    """Seven 3x3 convolutions and two poolings; its field of view is 34 pixels. `width` is 96 in
    the paper and scales all channels."""

    def __init__(self, classes: int, width: int = 96) -> None:
        super().__init__()
        wide = [round(n * width / 96) for n in (96, 128, 128, 256, 256, 512)]
        inputs = [classes, *wide]
        layers: list[nn.Module] = []
        for place, (before, after) in enumerate(zip(inputs, wide, strict=False)):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True)]
            layers += [nn.MaxPool2d(2)] if place in (2, 4) else []
        self.layers = nn.Sequential(*layers, nn.Conv2d(wide[-1], 1, 3, padding=1))
        self.apply(initialise)

    def forward(self, maps: Tensor) -> Tensor:
        """(n, classes, h, w) probabilities to (n,) logits of being a person's, the mean over the
        map. One output with a sigmoid stands for the paper's two with a softmax."""
        judged: Tensor = self.layers(maps).mean((1, 2, 3))
        return judged
