"""Dense CRF and CRF-RNN against sums over all pairs of pixels."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from segstudio.networks import crf, lattice
from segstudio.networks.crf import Kernels, mean_field, snap
from segstudio.networks.crfrnn import MeanField

torch.set_num_threads(1)
KERNELS = Kernels(appearance=4.0, reach=6.0, colour=20.0, smoothness=1.5, smooth_reach=2.0)


def scene(height: int = 14, width: int = 18) -> tuple[Tensor, Tensor]:
    """Noisy scores (3, h, w) of three areas and their picture (3, h, w), float64."""
    generator = torch.Generator().manual_seed(0)
    area = torch.zeros(height, width, dtype=torch.int64)
    area[:, width // 2 :] = 1
    area[height // 2 :, : width // 2] = 2
    colours = torch.tensor([[200.0, 60, 60], [60, 200, 60], [60, 60, 200]], dtype=torch.float64)
    noise = 12 * torch.randn(height, width, 3, generator=generator, dtype=torch.float64)
    scores = torch.randn(3, height, width, generator=generator, dtype=torch.float64)
    scores.scatter_add_(0, area[None], torch.ones(1, height, width, dtype=torch.float64))
    return scores, (colours[area] + noise).permute(2, 0, 1)


def kernel(features: Tensor) -> Tensor:
    """(n, n): exp(-|f_i - f_j|^2 / 2), each divided by the roots of its rows' sums."""
    rows = [(-(one - features).square().sum(1) / 2).exp() for one in features]
    table = torch.stack(rows)
    root = table.sum(1).rsqrt()
    return root[:, None] * table * root


def tables(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Smoothness and appearance kernels of all pairs."""
    height, width = picture.shape[1:]
    places = torch.tensor(list(itertools.product(range(height), range(width)))).double()
    colours = picture.flatten(1).T
    smooth = kernel(places / KERNELS.smooth_reach)
    alike = torch.cat([places / KERNELS.reach, colours / KERNELS.colour], dim=1)
    return smooth, kernel(alike)


def brute_force(scores: Tensor, picture: Tensor, rounds: int) -> Tensor:
    """Algorithm 1 of the paper, label by label."""
    smooth, alike = tables(picture)
    unary = scores.flatten(1).T
    q = unary.softmax(1)
    for _ in range(rounds):
        energy = -unary.clone()
        for label, other in itertools.product(range(q.shape[1]), range(q.shape[1])):
            if label != other:
                energy[:, label] += KERNELS.smoothness * smooth @ q[:, other]
                energy[:, label] += KERNELS.appearance * alike @ q[:, other]
        q = (-energy).softmax(1)
    return q.T.reshape(scores.shape)


def all_pairs(points: Tensor) -> crf.Filter:
    return lambda values: lattice.exact(points, values)


@pytest.fixture
def exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exact sums where the lattice approximates."""

    class Exact:
        def __init__(self, points: Tensor) -> None:
            self.filter = all_pairs(points)

    monkeypatch.setattr(crf, "Lattice", Exact)


@pytest.mark.usefixtures("exactly")
def test_the_mean_field_is_the_paper_s() -> None:
    scores, picture = scene()
    found = mean_field(scores, picture, KERNELS, 5)
    torch.testing.assert_close(found, brute_force(scores, picture, 5), rtol=0, atol=1e-9)


def test_on_the_lattice_it_is_so_within_a_per_cent() -> None:
    scores, picture = scene(24, 30)
    found, expected = mean_field(scores, picture, KERNELS, 5), brute_force(scores, picture, 5)
    assert (found - expected).abs().mean() < 0.01
    assert (found.argmax(0) == expected.argmax(0)).double().mean() > 0.99


@pytest.mark.usefixtures("exactly")
def test_the_unrolled_mean_field_is_the_same_and_is_trained() -> None:
    scores, picture = scene()
    field = MeanField(3, KERNELS.reach, KERNELS.colour, KERNELS.smooth_reach).double()
    with torch.no_grad():
        field.smoothness.copy_(KERNELS.smoothness * torch.eye(3))
        field.appearance.copy_(KERNELS.appearance * torch.eye(3))
    expected = brute_force(scores, picture, 3)
    found = field(scores[None], picture[None], 3)[0]
    torch.testing.assert_close(found.softmax(0), expected, rtol=0, atol=1e-9)
    torch.autograd.backward(found.square().mean())
    for parameter in field.parameters():
        assert parameter.grad is not None
        assert parameter.grad.all()


@pytest.mark.usefixtures("exactly")
def test_weights_and_compatibility_are_matrices_label_by_label() -> None:
    """Zheng et al. 2015, section 4.2: the row of a label weighs what every label tells it."""
    scores, picture = scene(6, 7)
    field = MeanField(3, KERNELS.reach, KERNELS.colour, KERNELS.smooth_reach).double()
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for matrix in field.parameters():
            matrix.copy_(torch.rand(3, 3, generator=generator))
    found = field(scores[None], picture[None], 2)[0]
    torch.testing.assert_close(found, unrolled(field, scores, picture, 2), rtol=0, atol=1e-9)


def unrolled(field: MeanField, scores: Tensor, picture: Tensor, rounds: int) -> Tensor:
    """The mean field, number by number."""
    kernels = tables(picture)
    weights = (field.smoothness, field.appearance)
    unary = scores.flatten(1)
    labels = range(len(unary))
    found = unary
    for _ in range(rounds):
        shares = found.softmax(0)
        told = torch.zeros_like(unary)
        for label, other in itertools.product(labels, labels):
            for kernel_of, weight in zip(kernels, weights, strict=True):
                told[label] += weight[label, other].detach() * (kernel_of @ shares[other])
        found = unary.clone()
        for label, other in itertools.product(labels, labels):
            found[label] -= field.compatibility[label, other].detach() * told[other]
    return found.reshape(scores.shape)


def test_its_gradient_is_right() -> None:
    scores, picture = scene(4, 5)
    field = MeanField(3, KERNELS.reach, KERNELS.colour, KERNELS.smooth_reach).double()
    inputs = scores[None].requires_grad_()
    assert torch.autograd.gradcheck(lambda x: field(x, picture[None], 2), (inputs,))


@pytest.mark.parametrize("dims", [2, 5])
def test_the_lattice_filters_like_the_gaussian(dims: int) -> None:
    generator = torch.Generator().manual_seed(dims)
    points = 4 * torch.rand(2000, dims, generator=generator, dtype=torch.float64)
    values = torch.rand(2000, 2, generator=generator, dtype=torch.float64)
    values[points[:, 0] < 2, 1] = 0
    values = torch.cat([values, torch.ones(2000, 1, dtype=torch.float64)], dim=1)
    found, expected = lattice.Lattice(points).filter(values), lattice.exact(points, values)
    off = (found / found[:, 2:] - expected / expected[:, 2:]).abs()
    assert off.mean() < 0.006
    assert off.max() < 0.06


def test_the_lattice_needs_no_float64() -> None:
    """Apple's GPU has none. Places and colours as CRF-RNN has them in a picture of 480x640."""
    generator = torch.Generator().manual_seed(3)
    ends = torch.tensor([480 / 160, 640 / 160, 255 / 3, 255 / 3, 255 / 3])
    middle = ends * torch.rand(40, 1, 5, generator=generator)
    points = (middle + 0.5 * torch.randn(40, 50, 5, generator=generator)).flatten(0, 1)
    values = torch.rand(2000, 2, generator=generator)
    with Single():
        found = lattice.Lattice(points).filter(values)
    expected = lattice.Lattice(points.double()).filter(values.double())
    torch.testing.assert_close(found.double(), expected, rtol=2e-3, atol=2e-3)


class Single(TorchDispatchMode):
    """Refuses 64-bit floating point numbers."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for one in out if isinstance(out, tuple | list) else (out,):
            assert not (isinstance(one, Tensor) and one.dtype == torch.float64), func
        return out


def test_snapping_draws_outlines_to_edges() -> None:
    generator = np.random.default_rng(0)
    truth = np.zeros((60, 80), np.uint8)
    truth[15:45, 20:60] = 7
    picture = np.where(truth[..., None] == 7, (180, 90, 60), (70, 100, 140)) + generator.normal(
        0, 6, (60, 80, 3)
    )
    drawn = np.zeros_like(truth)
    drawn[18:48, 16:57] = 7  # three pixels off
    margin = np.full(truth.shape, 128, np.uint8)
    found = snap(drawn, margin, picture.clip(0, 255).astype(np.uint8), Kernels(reach=20))
    assert found.dtype == drawn.dtype
    assert set(np.unique(found)) <= {0, 7}
    assert (drawn != truth).sum() > 300
    assert (found != truth).sum() < 30


def test_snapping_large_pictures_in_parts_changes_little(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    labels = np.zeros((150, 170), np.int16)
    labels[30:120, 50:130] = 300
    picture = (labels > 0) * 90 + generator.normal(90, 10, labels.shape)
    grey = picture.clip(0, 255).astype(np.uint8)
    margin = np.full(labels.shape, 60, np.uint8)
    labels[35:50, 55:65] = 0
    whole = snap(labels, margin, grey, Kernels(reach=10))
    monkeypatch.setattr(crf, "SIDE", 80)
    parts = snap(labels, margin, grey, Kernels(reach=10))
    assert (whole != labels).sum() > 100
    assert (whole != parts).mean() < 0.002


def test_one_label_alone_stays() -> None:
    labels = np.full((20, 20), 3, np.uint8)
    assert np.array_equal(snap(labels, labels, labels), labels)
