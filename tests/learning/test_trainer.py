from __future__ import annotations

from collections.abc import Callable

from discs import QUICK

from segstudio.learning import store
from segstudio.learning.events import Event, ModelSaved, Validation
from segstudio.learning.trainer import TrainRequest, train
from segstudio.project.project import Project


def test_training_writes_a_numbered_model_and_puts_it_in_force(
    disc_project: Callable[..., Project],
) -> None:
    project = disc_project()
    told: list[Event] = []
    result = train(project, TrainRequest(overrides=QUICK, device="cpu"), told.append)
    current = project.models.current()
    assert current is not None
    assert current.id == result.model == "000001-unet"
    assert result.promoted
    assert {type(event) for event in told} >= {Validation, ModelSaved}
    assert current.classes == ("disc",)
    assert current.card["recipe"]["crop"] == 64
    assert any("miou" in line for line in store.read_curves(current.path))
