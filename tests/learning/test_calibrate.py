"""Confidence is made honest by one number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from discs import QUICK
from hypothesis import given, settings
from hypothesis import strategies as st

from segstudio.learning import store
from segstudio.learning.calibrate import expected_calibration_error, fit_temperature
from segstudio.learning.inference import Inference
from segstudio.learning.normalise import Normalisation
from segstudio.learning.trainer import TrainRequest, train
from segstudio.networks import registry
from segstudio.project.project import Project


def drawn(true: float, classes: int, count: int = 20_000) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and labels drawn from their softmax; then the logits `true` times too sure."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(count, classes, generator=generator)
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    return logits * true, labels


@settings(deadline=None, max_examples=20)
@given(st.floats(0.3, 6), st.integers(2, 12))
def test_the_true_temperature_is_found(true: float, classes: int) -> None:
    assert fit_temperature(*drawn(true, classes)) == pytest.approx(true, rel=0.08)


def test_it_makes_confidence_and_accuracy_agree() -> None:
    logits, labels = drawn(4.0, 5)
    errors = []
    for heat in (1.0, fit_temperature(logits, labels)):
        sure, best = (logits / heat).softmax(1).max(1)
        errors.append(expected_calibration_error(sure, best == labels))
    assert errors[0] > 0.1
    assert errors[1] < 0.02


def test_nothing_to_measure_on_changes_nothing() -> None:
    assert fit_temperature(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)) == 1.0


def test_only_the_margin_follows_the_temperature() -> None:
    network = registry.build("unet", 2, width=4, depth=2).eval()
    picture = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    found = [
        Inference(network, Normalisation(), torch.device("cpu"), temperature=heat).label_map(
            picture
        )
        for heat in (1.0, 3.0)
    ]
    assert np.array_equal(found[0][0], found[1][0])
    assert (found[1][1] <= found[0][1]).all()
    assert found[1][1].mean() < found[0][1].mean()


def test_a_trained_model_carries_its_temperature(disc_project: Callable[..., Project]) -> None:
    project = disc_project()
    train(project, TrainRequest(overrides=QUICK, device="cpu"))
    model = project.models.current()
    assert model is not None
    heat = store.load_model(model).temperature
    assert heat == model.card["temperature"] != 1.0
    assert 0.2 <= heat <= 8
