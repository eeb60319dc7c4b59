"""When to train by itself, and from what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from helpers import picture

from segstudio.project.models import ModelInfo, best
from segstudio.project.project import Project
from segstudio.project.rounds import (
    AFTER,
    Round,
    from_base_tried,
    next_round,
    note_from_base,
    unfinished,
)


def model(number: int, parent: str | None = None, images: int = 0) -> ModelInfo:
    card: dict[str, Any] = {"images": {"train": images - 1, "validation": 1}} if images else {}
    return ModelInfo(f"{number:06}-unet", number, Path(), "unet", parent=parent, card=card)


def test_nothing_is_trained_before_there_is_enough() -> None:
    assert next_round(AFTER - 1, []) is None
    assert next_round(2, [], after=2) == Round(None, 2.1, 2)


def test_rounds_go_on_until_two_in_a_row_were_in_vain() -> None:
    models = [model(1, images=6)]
    assert next_round(6, models, in_vain=1) is not None
    assert next_round(6, models, in_vain=2) is None


def test_each_doubling_tries_the_base_weights_again() -> None:
    first = model(1, images=5)
    later = model(2, parent=first.id, images=9)
    assert not next_round(9, [first, later]).is_from_base  # type: ignore[union-attr]
    anew = next_round(10, [first, later])
    assert anew is not None
    assert anew.start_from == ""
    assert not next_round(10, [first, later, model(3, images=10)]).is_from_base  # type: ignore[union-attr]
    assert next_round(20, [first, later, model(3, images=10)]).is_from_base  # type: ignore[union-attr]


def test_a_model_from_elsewhere_is_trained_on_first() -> None:
    starter = model(1)
    assert next_round(AFTER, [starter]) == Round(None, 2.25, AFTER)
    assert next_round(2 * AFTER, [starter]).is_from_base  # type: ignore[union-attr]


def test_a_first_model_that_is_not_good_enough_yet_is_trained_on() -> None:
    first = ModelInfo("000001-unet", 1, Path(), "unet", card={"promoted": False})
    planned = next_round(AFTER, [first], in_force=False)
    assert planned is not None
    assert planned.start_from == first.id
    assert not planned.is_from_base
    assert next_round(AFTER, [first], in_force=True) == Round(None, 2.25, AFTER)


def test_a_short_try_of_another_network_is_not_what_is_gone_on_with() -> None:
    def lost(number: int, network: str, miou: float, images: int = 1) -> ModelInfo:
        card, scores = {"promoted": False}, {"miou": miou, "images": images}
        name = f"{number:06}-{network}"
        return ModelInfo(name, number, Path(), network, card=card, scores=scores)

    models = [lost(1, "unet", 0.49), lost(2, "unet", 0.53), lost(3, "lraspp", 0.11)]
    assert unfinished(models, in_force=False) == "000002-unet"
    again = [*models, lost(4, "unet", 0.53)]
    assert unfinished(again, in_force=False) == "000004-unet"
    assert unfinished(again, in_force=True) is None
    later = [*again, lost(5, "unet", 0.41, images=3)]  # scored on more, and lower therefore
    assert unfinished(later, in_force=False) == "000005-unet"
    assert best(again) == again[-1]
    assert best([]) is None


def test_rounds_grow_with_the_images_up_to_ten_minutes() -> None:
    grown = [next_round(n, [model(1, images=n)]) for n in (5, 40, 400)]
    assert [r.minutes for r in grown if r is not None] == [2.25, 4.0, 10.0]


def test_a_round_from_the_base_is_not_tried_again_before_the_next_doubling(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    models = [model(7, parent="000006-unet", images=10)]
    with Project.create(tmp_path, classes=["a"]) as project:
        assert from_base_tried(project) == 0
        note_from_base(project, 10)
        assert from_base_tried(project) == 10
    assert next_round(10, models).is_from_base  # type: ignore[union-attr]
    assert not next_round(19, models, tried=10).is_from_base  # type: ignore[union-attr]
    assert next_round(20, models, tried=10).is_from_base  # type: ignore[union-attr]
