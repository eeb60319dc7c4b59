from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segstudio.errors import Cancelled
from segstudio.learning.inference import (
    QUICK,
    THOROUGH,
    Care,
    Inference,
    best_and_margin,
    tile_corners,
)
from segstudio.learning.normalise import Normalisation
from segstudio.networks.anysize import AnySize

HALF = Care(0.5)


class Local(nn.Module):
    """A network that sees 5 pixels far and has three classes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 5, padding=2, padding_mode="replicate"),
            nn.ReLU(),
            nn.Conv2d(8, 3, 7, padding=3, padding_mode="replicate"),
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x)
        return logits


class Hungry(Local):
    """Says that memory ran out for more than `pixels` at once."""

    pixels = 150 * 150

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] * x.shape[-2] > self.pixels:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return super().forward(x)


def inference(network: nn.Module, notes: list[str] | None = None) -> Inference:
    told = notes if notes is not None else []
    return Inference(network.eval(), Normalisation(), torch.device("cpu"), notice=told.append)


def test_tiles_cover_everything() -> None:
    for size in ((300, 500), (100, 100), (128, 129), (1000, 100)):
        seen = np.zeros(size, bool)
        for y, x in tile_corners(size, 128, 0.25):
            assert 0 <= y < max(1, size[0] - 96)
            assert 0 <= x < max(1, size[1] - 96)
            seen[y : y + 128, x : x + 128] = True
        assert seen.all()


@pytest.mark.parametrize("overlap", [0.25, 0.5])
def test_tiles_begin_where_halving_and_blocks_fall_as_in_the_whole_picture(overlap: float) -> None:
    for side in range(513, 1300, 7):
        starts = [y for y, _ in tile_corners((side, 100), 512, overlap)]
        assert all(y % 32 == 0 for y in starts)
        assert all(b - a <= 512 * (1 - overlap) + 32 for a, b in pairwise(starts))
        assert side - 512 <= starts[-1] < side - 512 + 32


class Blocks(nn.Module):
    """The mean of each block of 64 pixels: it sees that far and no pixel further."""

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(F.avg_pool2d(x, 64), scale_factor=64, mode="nearest")


def test_tiles_see_the_blocks_of_the_whole_picture_at_every_side() -> None:
    """Also where the picture, and so the last tile, is filled up to whole blocks."""
    whole, tiled = inference(AnySize(Blocks(), 64)), inference(AnySize(Blocks(), 64))
    tiled._whole, tiled._tile = 0, 128
    for side in range(129, 129 + 2 * 64):
        for size in ((40, side), (side, 70)):
            picture = torch.randn(3, *size)
            torch.testing.assert_close(tiled.logits(picture, HALF), whole.logits(picture))


class Sloped(nn.Module):
    """Sees more of the second class the farther to the right."""

    def forward(self, x: Tensor) -> Tensor:
        slope = torch.linspace(0, 1, x.shape[-1]).expand_as(x[:, :1])
        return torch.cat([x[:, :1], x[:, 1:2] + slope], 1)


def test_with_care_scores_are_the_mean_of_those_of_the_mirror_image() -> None:
    picture = torch.randn(3, 20, 31)
    quick = inference(Sloped()).logits(picture, QUICK)
    found = inference(Sloped()).logits(picture, THOROUGH)
    torch.testing.assert_close(
        quick, torch.stack([picture[0], picture[1] + torch.linspace(0, 1, 31)])
    )
    torch.testing.assert_close(found, torch.stack([picture[0], picture[1] + 0.5]))


def test_tiles_give_the_whole_picture_s_result_away_from_their_borders() -> None:
    """Where every tile sees what the whole picture sees, blending changes nothing."""
    picture = torch.randn(3, 300, 400)
    whole = inference(Local())
    tiled = inference(Local())
    tiled._whole, tiled._tile = 0, 128
    with torch.inference_mode():
        expected, found = whole.logits(picture, HALF), tiled.logits(picture, HALF)
    inside = torch.zeros(300, 400, dtype=torch.bool)
    inside[5:-5, 5:-5] = True
    for y, x in tile_corners((300, 400), 128, HALF.overlap):
        for edge in (y, y + 128):
            inside[max(0, edge - 5) : edge + 5] = False
        for edge in (x, x + 128):
            inside[:, max(0, edge - 5) : edge + 5] = False
    assert inside.sum() > 50_000
    torch.testing.assert_close(found[:, inside], expected[:, inside], rtol=1e-4, atol=1e-4)
    agree = (found.argmax(0) == expected.argmax(0)).float().mean()
    assert agree > 0.99  # at the borders of tiles the Gaussian gives their strangeness no weight


def test_out_of_memory_makes_tiles_and_says_so() -> None:
    notes: list[str] = []
    picture = np.random.default_rng(0).integers(0, 256, (300, 300, 3)).astype(np.uint8)
    labels, margin = inference(Hungry(), notes).label_map(picture)
    assert labels.shape == margin.shape == (300, 300)
    assert [("tiles" in note) for note in notes] == [True, True, True]
    notes.clear()
    hungry = Hungry()
    hungry.pixels = 10
    with pytest.raises(RuntimeError, match="can't allocate"):
        inference(hungry, notes).label_map(picture)


def test_stopping_is_looked_for_between_tiles() -> None:
    seen = 0

    def check() -> None:
        nonlocal seen
        seen += 1
        if seen == 3:
            raise Cancelled

    one = inference(Local())
    one._whole, one._tile = 0, 128
    with pytest.raises(Cancelled):
        one.label_map(np.zeros((600, 600, 3), np.uint8), check=check)


@pytest.mark.parametrize("k", [1, 2, 3, 12])
def test_the_margin_is_the_best_less_the_second(k: int) -> None:
    logits = torch.randn(k, 20, 30) * 3
    best, margin = best_and_margin(logits.clone())
    probabilities = logits.softmax(0)
    assert torch.equal(best.long(), probabilities.argmax(0))
    top = probabilities.topk(min(2, k), dim=0).values
    expected = top[0] - top[1] if k > 1 else torch.ones(20, 30)
    assert (margin.float() - expected * 255).abs().max() <= 0.51
    assert best.dtype == margin.dtype == torch.uint8
