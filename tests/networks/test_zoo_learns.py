"""Every network, at the smallest size it can have, learns two pictures by heart."""

from __future__ import annotations

import pytest
import torch
import zoo
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from segstudio.learning.losses import with_auxiliary

torch.set_num_threads(1)
STEPS = 100


@pytest.mark.parametrize("name", zoo.NAMES)
def test_it_learns_two_pictures_by_heart(name: str) -> None:
    network = zoo.small(name, 1)
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.momentum = 0.1  # MobileNetV3's 0.01 is for long runs
    inputs, labels = zoo.two_pictures()
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    scores: list[float] = []
    for step in range(STEPS):
        loss = with_auxiliary(network.train()(inputs), labels, network.auxiliary)  # type: ignore[arg-type]
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        if step % 10 == 9:
            with torch.inference_mode():
                scores.append(miou(network.eval()(inputs).argmax(1), labels))
            if scores[-1] > 0.95:
                return
    raise AssertionError(scores)


def miou(found: Tensor, labels: Tensor) -> float:
    shares = [((found == c) & (labels == c)).sum() / ((found == c) | (labels == c)).sum()
              for c in (0, 1)]  # fmt: skip
    return float(torch.stack(shares).mean())
