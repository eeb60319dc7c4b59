"""The network that predicts the next label map from the last four."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from segstudio.networks.s2s import FRAMES, S2S, loss

torch.set_num_threads(1)
SIDE, SIZE = 32, 14


def film(generator: torch.Generator, frames: int) -> Tensor:
    """Labels (frames, 32, 32): a square of class 1 that moves evenly over the ground, class 0."""
    speed = torch.randint(-2, 3, (2,), generator=generator)
    start = torch.tensor([8, 8])
    labels = torch.zeros(frames, SIDE, SIDE, dtype=torch.int64)
    for number in range(frames):
        top, left = (start + number * speed).tolist()
        labels[number, top : top + SIZE, left : left + SIZE] = 1
    return labels


def scores(labels: Tensor) -> Tensor:
    return F.one_hot(labels, 2).movedim(-1, -3).float()


def overlap(found: Tensor, true: Tensor) -> float:
    return float(((found == 1) & (true == 1)).sum() / ((found == 1) | (true == 1)).sum())


def test_it_learns_to_beat_a_copy_of_the_last_frame() -> None:
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    network = S2S(2, width=8)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(200):
        seen = scores(torch.stack([film(generator, FRAMES + 1) for _ in range(8)]))
        wrong = loss(network(seen[:, :-1]), seen[:, -1])
        optimiser.zero_grad()
        torch.autograd.backward(wrong)
        optimiser.step()
    films = torch.stack([film(generator, FRAMES + 2) for _ in range(16)])
    with torch.no_grad():
        first, second = network.deeper(scores(films)[:, :FRAMES], 2)
    last = films[:, FRAMES - 1]
    for ahead, found in enumerate((first, second)):
        true = films[:, FRAMES + ahead]
        assert overlap(found.argmax(1), true) > overlap(last, true) + 0.1


def test_deeper_feeds_its_predictions_back() -> None:
    network = S2S(3, width=4)
    past = torch.randn(2, FRAMES, 3, 16, 20)
    with torch.no_grad():
        first, second = network.deeper(past, 2)
        torch.testing.assert_close(first, network(past).whole)
        moved = torch.cat((past[:, 1:], first[:, None]), 1)
        torch.testing.assert_close(second, network(moved).whole)
        assert network(past).half.shape == (2, 3, 8, 10)


def test_the_loss_is_nothing_for_the_truth() -> None:
    true = torch.rand(1, 3, 8, 8)
    half = F.avg_pool2d(true, 2)
    network = S2S(3, width=4)
    found = network(torch.rand(1, FRAMES, 3, 8, 8))
    assert float(loss(found._replace(half=half, whole=true), true)) == 0
    assert float(loss(found, true).detach()) > 0
