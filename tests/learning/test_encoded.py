"""Features of an encoder for round 0, with weights of the right names and random values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.models
from discs import disc_picture

from segstudio.engine import protocol
from segstudio.engine.guess import Guesser
from segstudio.learning import encoded
from segstudio.learning.encoded import PLANES, Encoder
from segstudio.learning.metrics import VOID
from segstudio.learning.round0 import FEATURES, Round0
from segstudio.networks import weights
from segstudio.networks.cards.published import RESNET34
from segstudio.project.project import Project


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of ResNet-34's weights in an empty cache."""
    monkeypatch.setenv("SEGSTUDIO_CACHE", str(tmp_path / "cache"))
    file = weights.cache_folder() / weights.address(RESNET34).file_name
    file.parent.mkdir(parents=True)
    return file


def random_encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder(torchvision.models.resnet18(weights=None))


def test_without_weights_there_is_none(cache: Path) -> None:
    assert encoded.at_hand() is None


def test_weights_in_the_cache_are_used(cache: Path) -> None:
    torch.manual_seed(1)
    torch.save(torchvision.models.resnet34(weights=None).state_dict(), cache)
    found = encoded.at_hand()
    assert found is not None
    picture, _ = disc_picture(0)
    twin = encoded.at_hand()
    assert twin is not None
    once, again = found.planes(picture), twin.planes(picture)
    assert once.shape == (PLANES, *picture.shape[:2])
    assert once.dtype == np.float32
    np.testing.assert_array_equal(once, again)
    assert once.std(axis=(1, 2)).min() > 0, "every plane tells something apart"


def test_a_file_that_holds_something_else_is_passed_over(cache: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, cache)
    assert encoded.at_hand() is None


@pytest.mark.parametrize("size", [(1, 1), (7, 45), (700, 900)])
def test_any_size_is_encoded(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    planes = random_encoder().planes(picture)
    assert planes.shape == (PLANES, *size)
    assert np.isfinite(planes).all()


def test_round_0_learns_from_both() -> None:
    picture, mask = disc_picture(0)
    labels = np.full(mask.shape, VOID, np.int16)
    for row in (8, 40, len(mask) - 8):
        labels[row] = mask[row]
    classifier = Round0(classes=1, encoder=random_encoder())
    classifier.take("a", picture, labels)
    classifier.fit()
    assert classifier._banks.popitem()[1].shape[0] == FEATURES + PLANES
    found = classifier.predict("a", picture)[0]
    assert ((found == 1) & mask).sum() / ((found == 1) | mask).sum() > 0.7


def test_an_encoder_that_comes_later_is_found(
    cache: Path, disc_project: Callable[..., Project]
) -> None:
    project = disc_project(images=2, confirmed=1)
    first, second = project.images()
    root = str(project.root)
    project.close()
    guesser = Guesser()
    ask = protocol.Guess("1", root, second, (first,))
    assert guesser.guess(ask)["file"]
    assert guesser._round0 is not None
    assert guesser._round0.encoder is None
    torch.save(torchvision.models.resnet34(weights=None).state_dict(), cache)
    assert guesser.guess(ask)["file"]
    found = guesser._round0.encoder
    assert found is not None
    assert guesser.guess(ask)["file"]
    assert guesser._round0.encoder is found  # it is loaded once
    guesser.close()
