"""The rules of the recommendation, and what is remembered of measurements."""

from __future__ import annotations

from pathlib import Path

import pytest

from segstudio.networks import choosing, registry
from segstudio.networks.choosing import Measured, Situation, recommend
from segstudio.project import settings


def measured(name: str, memory: float = 100.0, train: float = 100.0) -> Measured:
    return Measured(name, "cpu", 1000, memory, 10.0, train)


@pytest.mark.parametrize(
    ("situation", "expected"),
    [
        (Situation(), "unet"),
        (Situation(labelled=5, classes=30, gpu=True), "unet"),
        (Situation(labelled=200, classes=30, gpu=True), "deeplabv3plus"),
        (Situation(labelled=200, classes=2, gpu=True), "unet_resnet34"),
        (Situation(labelled=200, classes=11), "unet"),
        (Situation(labelled=200, weights=frozenset({"unet_mobilenet"})), "unet_mobilenet"),
        (Situation(labelled=5, weights=frozenset({"lraspp"})), "lraspp"),
        (Situation(labelled=5, weights=frozenset({"fcn8s"})), "unet"),
        (Situation(labelled=200, weights=frozenset({"unet_resnet34"})), "unet"),
        (Situation(labelled=200, touching=0.5, weights=frozenset({"lraspp"})), "maskrcnn_light"),
        (Situation(labelled=200, touching=0.5), "maskrcnn_light"),
        (Situation(labelled=200, classes=11, touching=0.7), "unet"),
        (Situation(labelled=200, touching=0.5, gpu=True), "maskrcnn"),
        (Situation(labelled=200, touching=0.05), "unet"),
        (Situation(labelled=5, touching=0.9), "unet"),
    ],
)
def test_the_rules(situation: Situation, expected: str) -> None:
    advice = recommend(situation)
    assert advice.name == expected
    assert str(situation.labelled) in advice.why
    assert ("with pretrained weights" in advice.why) == (expected in situation.weights)


def test_a_start_from_the_base_follows_the_recommendation_but_not_against_a_choice() -> None:
    many, few = Situation(20, 11, gpu=True), Situation(10, 11, gpu=True)
    assert choosing.anew("unet", few) == "unet"
    assert choosing.anew("unet", many) == "deeplabv3plus"
    assert choosing.anew("deeplabv3plus", many) == "deeplabv3plus"
    assert choosing.anew("segnet", many) == "segnet"
    slow = Measured("deeplabv3plus", "cuda", 1000, 100, 10, 9000)
    assert choosing.anew("unet", many, [slow]) == "unet_resnet34"
    assert choosing.anew("unet", Situation(200, 11)) == "unet"


def test_what_is_too_slow_or_too_large_is_passed_over() -> None:
    slow = measured("unet", train=2 * choosing.SLOWEST_STEP)
    assert recommend(Situation(), [slow]).name == "lraspp"
    large = measured("unet", memory=900)
    assert recommend(Situation(free=1000), [large]).name == "lraspp"
    assert recommend(Situation(free=2000), [large]).name == "unet"


def test_when_nothing_fits_the_lightest_of_the_recommended_is_taken() -> None:
    all_slow = [measured(n, 500, 9000) for n in ("unet", "unet_mobilenet")]
    light = [measured(n, 50, 9000) for n in ("icnet", "segformer", "maskrcnn_light")]
    advice = recommend(Situation(), [*all_slow, measured("lraspp", 400, 9000), *light])
    assert advice.name == "lraspp"
    assert "nothing" in advice.why


def test_measurements_are_remembered_by_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGSTUDIO_CONFIG", str(tmp_path))
    assert choosing.remembered() == []
    choosing.remember(measured("unet", train=1))
    choosing.remember(measured("unet", train=2))
    choosing.remember(measured("gone"))
    choosing.remember(Measured("unet", "cuda", 1000, 1, 1, 1))
    assert choosing.remembered("cpu") == [measured("unet", train=2)]
    assert len(choosing.remembered()) == 2
    (settings.config_folder() / "networks.json").write_text("[{]")
    assert choosing.remembered() == []


@pytest.mark.parametrize("name", list(registry.ARCHITECTURES))
def test_cards_know_the_number_of_parameters(name: str) -> None:
    network = registry.outline(name, 20)
    counted = sum(p.numel() for p in network.parameters())
    assert registry.card_of(name).parameters == pytest.approx(counted, rel=0.01)
