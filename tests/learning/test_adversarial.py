from __future__ import annotations

import torch

from segstudio.learning.adversarial import LEAST, Adversary, as_predictions
from segstudio.learning.metrics import VOID
from segstudio.networks.adversary import LargeFOV

torch.set_num_threads(1)
CPU = torch.device("cpu")


def test_the_judge_has_the_paper_s_layers() -> None:
    """LargeFOV: channels of the 3x3 convolutions; the last has one output for the paper's two."""
    layers = [(21, 96), (96, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 1)]
    counted = sum(p.numel() for p in LargeFOV(21).parameters())
    assert counted == sum(9 * i * o + o for i, o in layers)


def test_its_field_of_view_is_34_pixels() -> None:
    network = LargeFOV(2, width=8).double()
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, 0.1)
    maps = torch.rand(1, 2, 96, 96, dtype=torch.float64, requires_grad=True)
    torch.autograd.backward(network.layers(maps)[0, 0, 12, 12])
    assert maps.grad is not None
    seen = maps.grad.abs().sum((0, 1, 2)).nonzero().flatten()
    # maxima pass the gradient to one pixel of four: a pixel or so less at each side
    assert 28 <= int(seen.max() - seen.min()) + 1 <= 34


def test_labels_are_as_sure_as_predictions_and_right() -> None:
    found = torch.randn(2, 4, 6, 6).softmax(1)
    target = torch.randint(0, 4, (2, 6, 6))
    target[0, 0] = VOID
    maps = as_predictions(found, target)
    known = target != VOID
    torch.testing.assert_close(maps.sum(1)[known], torch.ones(int(known.sum())))
    assert not maps.sum(1)[~known].any()
    assert torch.equal(maps.argmax(1)[known], target[known])
    assert (maps.amax(1)[known] >= LEAST).all()


def test_the_judge_learns_and_tells_the_network_which_way_to_go() -> None:
    torch.manual_seed(0)
    adversary = Adversary(3, CPU, width=24)
    target = torch.zeros(2, 32, 32, dtype=torch.int64)
    target[:, :, 16:] = 1
    target[:, :4] = VOID
    logits = torch.zeros(2, 3, 32, 32, requires_grad=True)
    first = float(adversary.loss(logits, target).detach())
    for _ in range(30):
        loss = adversary.loss(logits, target)
    assert float(loss.detach()) > first + 0.5  # it is caught
    before = [p.detach().clone() for p in adversary.network.parameters()]
    torch.autograd.backward(loss)
    for old, now in zip(before, adversary.network.parameters(), strict=True):
        assert torch.equal(old, now)
    assert logits.grad is not None
    assert logits.grad[:, :, 8:].any()
    assert not logits.grad[:, :, :2].any()  # void


def test_a_batch_that_is_not_finite_leaves_the_judge_as_it_was() -> None:
    judge = Adversary(2, torch.device("cpu"), width=4)
    labels = torch.randint(0, 2, (1, 16, 16))
    judge.loss(torch.randn(1, 2, 16, 16), labels)
    assert not judge.loss(torch.full((1, 2, 16, 16), torch.nan), labels).isfinite()
    assert judge.loss(torch.randn(1, 2, 16, 16), labels).isfinite()
