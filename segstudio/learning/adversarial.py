"""Adversarial training: Luc et al. 2016 (arXiv 1611.08408), section 3.

A second network learns to tell the labels from what is predicted; the segmenting one is rewarded
for being taken for labels. Labels are shown in the paper's "scaling" form (section 3.2): as sure
as 0.9 or as the prediction where that is surer, the rest shared as the prediction does, so that
sharpness alone betrays nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from segstudio.learning.metrics import VOID
from segstudio.networks.adversary import LargeFOV

LEAST: Final = 0.9
_RATE: Final = 1e-4
_TINY: Final = 1e-6
_CLIP: Final = 10.0
_PUBLISHED: Final = 96
_NARROW: Final = 16


class Adversary:
    """The judging network and its optimiser.

    Its `width` is the paper's 96 on a GPU, where nobody says otherwise, and a sixth of it without
    one: the paper's judge took a hundred times as long for a step as a small network itself.
    """

    def __init__(self, classes: int, device: torch.device, width: int | None = None) -> None:
        if width is None:
            width = _NARROW if device.type == "cpu" else _PUBLISHED
        self.network = LargeFOV(classes, width).to(device)
        self._optimiser = torch.optim.AdamW(self.network.parameters(), lr=_RATE)

    def state(self) -> dict[str, Any]:
        """What the judge has learned, for `restore`."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where another judge of the same classes was."""
        self.network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(dict(state["optimiser"]))

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """How far from being taken for labels the predictions are, for logits (n, k, h, w) and
        labels (n, h, w) with VOID; a scalar. The judge learns from both before it judges."""
        known = (target != VOID).unsqueeze(1)
        found = logits.float().softmax(1) * known
        self._learn(as_predictions(found.detach(), target), found.detach())
        self.network.requires_grad_(False)
        judged = self.network(found)
        self.network.requires_grad_(True)
        return _told(judged, True)

    def _learn(self, labels: Tensor, found: Tensor) -> None:
        with torch.enable_grad():
            error = _told(self.network(labels), True) + _told(self.network(found), False)
        if not error.isfinite():  # the run leaves such a batch out, and so does the judge
            return
        self._optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(error)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP)
        self._optimiser.step()


def as_predictions(found: Tensor, target: Tensor) -> Tensor:
    """Labels (n, h, w) as probabilities (n, k, h, w) in the manner of predictions `found`."""
    place = target.clamp(min=0).unsqueeze(1)
    own = found.gather(1, place)
    wanted = own.clamp(min=LEAST)
    others = found * ((1 - wanted) / (1 - own).clamp(min=_TINY))
    return others.scatter(1, place, wanted) * (target != VOID).unsqueeze(1)


def _told(judged: Tensor, real: bool) -> Tensor:
    wanted = torch.full_like(judged, float(real))
    return F.binary_cross_entropy_with_logits(judged, wanted)
