from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from discs import QUICK, disc_picture, label
from torch import Tensor, nn

from segstudio.errors import Cancelled, UserError
from segstudio.learning import checkpoint, loop, recipe, samples, scoring, start, store, trainer
from segstudio.learning.average import Average
from segstudio.learning.checkpoint import Checkpoint
from segstudio.learning.events import Event, Log, ModelSaved, Validation
from segstudio.learning.loop import Control, Run, rate_factor
from segstudio.learning.normalise import Normalisation
from segstudio.learning.pixels import PixelLoss
from segstudio.learning.predictor import open_predictor
from segstudio.learning.recipe import Recipe
from segstudio.learning.samples import Item, Library, Sampler
from segstudio.learning.trainer import FROM_SCRATCH, TrainRequest, train
from segstudio.networks import registry, weights
from segstudio.project.project import Project

SMALL = Recipe(crop=32, batch=2, max_steps=6, warm_up=1)


def quick(**overrides: Any) -> TrainRequest:
    return TrainRequest(overrides={**QUICK, **overrides}, device="cpu")


def make_run(items: list[Item], recipe: Recipe = SMALL, **facts: Any) -> Run:
    torch.manual_seed(0)
    network = facts.pop("network", None) or registry.build("unet", 1, width=4, depth=2)
    library = Library(items[:4], Normalisation())
    return Run(network, library, items[4:], ["disc"], recipe, torch.device("cpu"), **facts)


def test_training_writes_a_numbered_model_and_puts_it_in_force(
    disc_project: Callable[..., Project],
) -> None:
    project = disc_project()
    told: list[Event] = []
    result = train(project, quick(), told.append)
    current = project.models.current()
    assert current is not None
    assert current.id == result.model == "000001-unet"
    assert result.promoted
    assert {type(event) for event in told} >= {Validation, ModelSaved}
    assert current.classes == ("disc",)
    assert current.card["recipe"]["crop"] == 64
    assert len(current.card["data_hash"]) == 64
    assert any("miou" in line for line in store.read_curves(current.path))


def test_a_network_learns(items: list[Item]) -> None:
    recipe = Recipe(crop=64, batch=4, max_steps=60, warm_up=5, learning_rate=3e-3, ema=0.9)
    fit = make_run(items, recipe).fit()
    assert scoring.pooled(fit.scores, 1).iou()[1] > 0.8


def test_time_is_that_of_the_clock_that_was_given(items: list[Item]) -> None:
    """Twenty seconds of a clock that goes on by a second whenever it is looked at."""
    ticks = itertools.count()
    recipe = Recipe(crop=64, batch=2, warm_up=1)
    fit = make_run(items, recipe, seconds=20.0, clock=lambda: float(next(ticks))).fit()
    assert 1 <= fit.steps <= 10
    assert fit.seconds >= 20


def test_a_network_learns_against_an_adversary(items: list[Item]) -> None:
    recipe = Recipe(crop=64, batch=2, max_steps=8, warm_up=2, learning_rate=3e-3, adversarial=0.1)
    run = make_run(items, recipe)
    loss = run._loss
    assert isinstance(loss, PixelLoss)
    assert loss.adversary is not None
    before = [p.detach().clone() for p in loss.adversary.network.parameters()]
    fit = run.fit()
    assert fit.steps == 8
    after = loss.adversary.network.parameters()
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_same_seed_gives_the_same_network(items: list[Item]) -> None:
    first, second = (make_run(items).fit().network.state_dict() for _ in range(2))
    for key, value in first.items():
        torch.testing.assert_close(value, second[key])


def test_training_goes_on_from_the_model_in_force_and_compares_with_it(
    disc_project: Callable[..., Project],
) -> None:
    project = disc_project()
    first = train(project, quick())
    told: list[Event] = []
    still = quick(learning_rate=0.0, ema=0.0, freeze_statistics=0.0)
    second = train(project, still, told.append)
    info = project.models.get(second.model)
    assert info.parent == first.model
    assert not second.promoted  # the same weights score the same, which is not better
    assert second.reason.startswith("provisional: not better")
    current = project.models.current()
    assert current is not None
    assert current.id == first.model
    scratch = train(project, TrainRequest(overrides=QUICK, start_from=FROM_SCRATCH, device="cpu"))
    assert project.models.get(scratch.model).parent is None


def test_a_network_without_normalisation_learns_slowly_from_scratch() -> None:
    """Unless a person or a named recipe says how fast."""
    slow = replace(registry.card_of("unet"), learning_rate=1e-5)

    def rate(pretrained: bool = False, **overrides: Any) -> float:
        wishes = recipe.with_wishes_of(slow, overrides, pretrained=pretrained)
        facts = recipe.Facts(10, 200, (1, 1), upright=False)
        return recipe.configure(facts, pretrained=pretrained, overrides=wishes).learning_rate

    assert rate() == rate(name="live") == 1e-5
    assert rate(learning_rate=0.5) == 0.5
    assert rate(name="classic") == 0.01
    assert rate(pretrained=True) == 3e-4


def test_crf_rnn_sees_grey_values_in_proportion_from_scratch_too(
    disc_project: Callable[..., Project],
) -> None:
    """Three grey values, its kernel's width, are as many in the dark and in the light."""
    small = {"options": {"width": 2}, "max_steps": 1, "batch": 2, "weights": "none"}
    request = TrainRequest(overrides={**QUICK, **small}, architecture="crfrnn", device="cpu")
    project = disc_project()
    card = project.models.get(train(project, request).model).card
    normalisation = Normalisation.from_card(card["normalisation"])
    picture = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (1, 1, 3))
    seen = card["options"]["grey"] * normalisation.apply(picture)
    steps = np.diff(seen, axis=2)
    assert np.abs(steps - 1).max() < 0.06  # ImageNet's channels differ by so much


def test_without_a_gpu_a_network_begins_in_its_light_form(
    disc_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for small pictures, and where somebody chose options; later rounds go on with it."""
    project = disc_project()
    plain = {key: value for key, value in QUICK.items() if key != "options"}

    def options(overrides: Mapping[str, Any], start_from: str | None = FROM_SCRATCH) -> Any:
        told: list[Event] = []
        request = TrainRequest(overrides=overrides, start_from=start_from, device="cpu")
        model = project.models.get(train(project, request, told.append).model)
        found = model.card["options"]
        says = any(isinstance(event, Log) and "light form" in event.text for event in told)
        assert says == (found["shrink"] > 1 and start_from == FROM_SCRATCH)
        labels, _ = open_predictor(project, model, "cpu").predict(disc_picture(0, 70)[0])
        assert labels.shape == (70, 70)
        return found

    assert options(plain)["shrink"] == 1
    monkeypatch.setattr(recipe, "_LIGHT_FROM", 64)
    assert options(QUICK) == {**registry.card_of("unet").options, **QUICK["options"]}
    light = {**registry.card_of("unet").options, **registry.card_of("unet").light}
    assert options(plain) == light
    assert options(plain, project.models.all()[-1].id) == light


def test_weights_of_one_s_own_belong_to_the_ordinary_form(
    disc_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project = disc_project()
    monkeypatch.setattr(recipe, "_LIGHT_FROM", 64)
    own = registry.build("unet", 1).get_submodule("body").state_dict()
    torch.save(own, tmp_path / "mine.pt")
    plain = {key: value for key, value in QUICK.items() if key != "options"}
    still = {**plain, "weights": str(tmp_path / "mine.pt"), "learning_rate": 0.0}
    model = project.models.get(train(project, TrainRequest(overrides=still, device="cpu")).model)
    assert model.card["options"]["shrink"] == 1
    found = store.read_weights(model.weights)
    torch.testing.assert_close(found["down.3.0.weight"], own["down.3.0.weight"])


@pytest.mark.parametrize(
    ("side", "device", "options", "may"),
    [
        (360, "cpu", {}, True),
        (360, "cuda", {}, False),
        (360, "cpu", {"width": 16}, False),
        (100, "cpu", {}, False),
    ],
)
def test_who_begins_in_a_light_form(
    side: int, device: recipe.DeviceKind, options: Mapping[str, Any], may: bool
) -> None:
    assert recipe.may_be_light(recipe.Facts(5, side, (1, 1), False), device, options) == may


def test_a_young_model_is_trained_on_as_it_began(
    disc_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = disc_project()

    def next_recipe() -> Mapping[str, Any]:
        model = project.models.get(train(project, quick()).model)
        project.models.promote(model.id)
        found: Mapping[str, Any] = model.card["recipe"]
        return found

    first = next_recipe()
    young = next_recipe()
    assert (young["learning_rate"], young["freeze_statistics"]) == (1e-3, 0.5)
    assert first["learning_rate"] == young["learning_rate"]
    current = project.models.current()
    assert current is not None
    assert current.card["steps_in_all"] == 2 * QUICK["max_steps"]
    monkeypatch.setattr(start, "_YOUNG", 2 * QUICK["max_steps"])
    grown = next_recipe()
    assert (grown["learning_rate"], grown["freeze_statistics"]) == (3e-4, 0.0)


def test_a_new_class_widens_the_head(disc_project: Callable[..., Project]) -> None:
    project = disc_project()
    train(project, quick())
    project.set_classes(project.classes.with_class("square"))
    label(project, project.images()[6], class_name="square")
    told: list[Event] = []
    result = train(project, quick(learning_rate=0.0, ema=0.0), told.append)
    assert any(isinstance(e, Log) and "square" in e.text for e in told)
    old, new = (
        store.read_weights(project.models.get(name).weights)
        for name in ("000001-unet", result.model)
    )
    assert new["head.weight"].shape[0] == 3
    torch.testing.assert_close(new["head.weight"][:2], old["head.weight"])


def test_strokes_in_an_unconfirmed_image_are_enough(disc_project: Callable[..., Project]) -> None:
    project = disc_project(images=2, confirmed=0)
    label(project, project.images()[0], confirmed=False)
    told: list[Event] = []
    result = train(project, quick(max_steps=2), told.append)
    assert result.provisional
    assert any(isinstance(e, Log) and "scores are on training images" in e.text for e in told)


def test_minutes_are_for_the_whole_job(disc_project: Callable[..., Project]) -> None:
    project = disc_project()
    request = TrainRequest(minutes=0.1, overrides={**QUICK, "max_steps": None}, device="cpu")
    began = time.monotonic()
    result = train(project, request)
    assert result.steps > 3
    assert time.monotonic() - began < 60  # six seconds, on a busy machine


def test_nothing_to_learn_from_is_explained(disc_project: Callable[..., Project]) -> None:
    with pytest.raises(UserError, match="no labels to learn from"):
        train(disc_project(confirmed=0), quick())


def test_stopped_before_the_first_score_nothing_is_written(
    disc_project: Callable[..., Project],
) -> None:
    project = disc_project()
    with pytest.raises(Cancelled):
        train(project, quick(), should_stop=lambda: True)
    assert project.models.all() == []


def test_stopped_after_a_score_the_model_is_kept(items: list[Item]) -> None:
    stop = False

    def listen(event: Event) -> None:
        nonlocal stop
        stop = stop or isinstance(event, Validation)

    run = make_run(items, Recipe(crop=32, batch=2), control=Control(listen, lambda: stop))
    run._last_validation -= 1000  # the first score is due
    fit = run.fit()
    assert fit.stopped
    assert fit.steps == 1
    assert set(fit.scores) == {"4.png", "5.png"}


def test_new_labels_are_taken_in_while_training(items: list[Item]) -> None:
    asked = 0

    def refresh() -> tuple[list[Item], list[Item]] | None:
        nonlocal asked
        asked += 1
        return (items[:5], items[5:]) if asked == 1 else None

    told: list[Event] = []
    run = make_run(items, refresh=refresh, control=Control(told.append))
    run._last_validation -= 1000
    run.fit()
    assert asked == 1
    assert len(run.library.items) == 5
    assert any(isinstance(event, Log) and "New labels" in event.text for event in told)


@pytest.mark.parametrize("validated_anew", [False, True])
def test_the_best_is_forgotten_only_when_it_cannot_be_compared(
    items: list[Item], validated_anew: bool
) -> None:
    newer = [replace(item, version=1.0) for item in items]
    held = (newer if validated_anew else items)[4:]
    run = make_run(items, refresh=lambda: (newer[:4], held))
    run._validate()
    assert run._take_new_labels()
    assert run._best is not None
    assert run._best.past == validated_anew
    assert run.library.items == newer[:4]


def test_scores_are_always_those_of_the_weights_that_are_kept(items: list[Item]) -> None:
    """A validation image is corrected, training goes on, and is stopped before it is scored."""
    newer = [replace(item, version=1.0) for item in items]
    told: list[Event] = []
    stops = Control(told.append, lambda: sum(isinstance(e, Log) for e in told) > 0)
    run = make_run(items, refresh=lambda: (newer[:4], newer[4:]), control=stops)
    run._validate()
    scored = {key: value.clone() for key, value in run.average.network.state_dict().items()}
    batches = Sampler(run.library, loop.sampling_of(SMALL), SMALL.augmentation, 0)
    run._train_step(batches.batch())
    run._take_new_labels()
    fit = run.fit()
    assert fit.stopped
    for key, value in fit.network.state_dict().items():
        torch.testing.assert_close(value, scored[key])
    assert {one.version for one in fit.scores.values()} == {items[4].version}


@pytest.mark.parametrize("backward", [False, True])
def test_stopping_does_not_wait_for_the_end_of_a_step(items: list[Item], backward: bool) -> None:
    """The switch is thrown while a step runs, and the step is not finished."""
    asked = 0
    network = registry.build("unet", 1, width=4, depth=2)
    layers = [m for m in network.modules() if not any(m.children())]

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > (1.5 if backward else 0.5) * len(layers)

    before = [p.detach().clone() for p in network.parameters()]
    fit = make_run(items, network=network, control=Control(should_stop=stop)).fit()
    assert fit.stopped
    assert fit.steps == 0
    for old, new in zip(before, network.parameters(), strict=True):
        torch.testing.assert_close(old, new.detach())


class Hungry(nn.Module):
    """Says that memory ran out for more than 2 crops of 64 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        if x.numel() > 2 * 3 * 64 * 64:
            raise torch.OutOfMemoryError("CUDA out of memory")
        logits: Tensor = self.layer(x)
        return logits


def test_out_of_memory_halves_the_batch_then_the_crop(items: list[Item]) -> None:
    told: list[Event] = []
    recipe = Recipe(crop=128, batch=4, max_steps=2)
    run = make_run(items, recipe, network=Hungry(), control=Control(told.append))
    fit = run.fit()
    assert (fit.recipe.batch, fit.recipe.crop) == (2, 64)
    assert [e.text for e in told if isinstance(e, Log)] == [
        "Out of memory: the batch is now 2 crops",
        "Out of memory: crops are now 64 pixels",
    ]


class Diverging(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layer(x) * float("nan")
        return logits


def test_a_loss_that_is_no_number_ends_training(items: list[Item]) -> None:
    run = make_run(items, Recipe(crop=32, batch=2, max_steps=100), network=Diverging())
    with pytest.raises(UserError, match="diverged"):
        run.fit()


def test_what_was_good_before_a_run_diverged_is_kept(items: list[Item]) -> None:
    told: list[Event] = []
    network = registry.build("unet", 1, width=4, depth=2)
    recipe = Recipe(crop=32, batch=2, max_steps=100)
    run = make_run(items, recipe, network=network, learned=True, control=Control(told.append))
    run._loss = lambda *_: next(network.parameters()).sum() * float("nan")
    fit = run.fit()
    assert not fit.stopped
    assert scoring.is_finite(fit.network)
    assert fit.steps < 100
    assert any(isinstance(e, Log) and "diverged" in e.text for e in told)


def test_validation_makes_way_and_the_wait_does_not_count(items: list[Item]) -> None:
    waits: list[float] = []
    run = make_run(items, control=Control(wait_while_paused=lambda: waits.append(time.monotonic())))
    before = run._started
    run._validate()
    assert len(waits) >= len(items[4:])
    assert run._started > before


def test_pausing_waits_between_steps(items: list[Item]) -> None:
    waits = 0

    def wait() -> None:
        nonlocal waits
        waits += 1

    make_run(items, control=Control(wait_while_paused=wait)).fit()
    assert waits >= 6


def test_statistics_are_kept_late_in_the_run(
    items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_FEWEST_FOR_STATISTICS", 1)
    run = make_run(items, Recipe(crop=32, batch=2, max_steps=4, freeze_statistics=0.5))
    seen: list[float] = []
    step = run._train_step
    norm = next(m for m in run.network.modules() if isinstance(m, nn.BatchNorm2d))

    def watched(batch: Any) -> None:
        step(batch)
        assert norm.running_mean is not None
        seen.append(float(norm.running_mean.sum()))

    monkeypatch.setattr(run, "_train_step", watched)
    run.fit()
    assert seen[0] != seen[1]
    assert seen[2] == seen[3]


def test_the_average_follows_with_a_rising_decay() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    average = Average(network, 0.999)
    expected = 0.0
    for step in range(5):
        nn.init.constant_(network.weight, step + 1.0)
        average.update()
        decay = (1 + step) / (10 + step)
        expected = decay * expected + (1 - decay) * (step + 1)
    np.testing.assert_allclose(average.network.state_dict()["weight"].item(), expected, rtol=1e-5)


def test_learning_rates() -> None:
    live, polish = Recipe(warm_up=10), Recipe(warm_up=10, schedule="cosine")
    assert rate_factor(live, 0, 0.0) == pytest.approx(0.1)
    assert rate_factor(live, 500, 0.9) == 1
    assert rate_factor(live, 1, 0.5) == 1  # a short run does not stay in its warm-up
    assert rate_factor(polish, 500, 1.0) == pytest.approx(0)
    assert rate_factor(polish, 500, 0.5) == pytest.approx(0.5)


@pytest.mark.parametrize(("images", "steps", "warm_up"), [(640, 4000, 400), (5, 1000, 100)])
def test_the_textbook_recipe_is_of_epochs(images: int, steps: int, warm_up: int) -> None:
    facts = recipe.Facts(images, 128, (1, 1), False)
    classic = recipe.configure(facts, overrides={"name": "classic"})
    assert (classic.max_steps, classic.warm_up, classic.batch) == (steps, warm_up, 16)
    assert rate_factor(classic, steps, 1.0) == pytest.approx(0)
    chosen = recipe.configure(facts, overrides={"name": "classic", "max_steps": 7, "warm_up": 2})
    assert (chosen.max_steps, chosen.warm_up) == (7, 2)


def test_the_textbook_recipe_ends_when_scores_stop_rising(items: list[Item]) -> None:
    """And `polish`, which is of epochs too, does not."""
    facts = recipe.Facts(4, 64, (1, 1), False)
    still = {"crop": 32, "batch": 2, "max_steps": 50, "learning_rate": 0.0, "ema": 0.0}
    for name, early in (("classic", True), ("polish", False), ("default", False)):
        how = recipe.configure(facts, overrides={"name": name, **still})
        run = make_run(items, how)
        run._stale = 10
        assert run._finished() == early


@pytest.mark.parametrize(
    ("before", "then", "rate", "optimiser"),
    [
        ("classic", "live", 3e-4, "adamw"),
        ("live", "classic", 0.01, "sgd"),
        ("live", "live", 1e-3, "adamw"),
    ],
)
def test_a_young_model_hands_its_pace_on_to_its_own_kind(
    disc_project: Callable[..., Project], before: str, then: str, rate: float, optimiser: str
) -> None:
    project = disc_project()
    first = train(project, quick(name=before))
    project.models.promote(first.model)
    second = project.models.get(train(project, quick(name=then)).model).card["recipe"]
    assert (second["learning_rate"], second["optimiser"]) == (rate, optimiser)


@pytest.mark.parametrize("name", ["unet_mobilenet", "deeplabv3plus"])
def test_other_networks_train_too(disc_project: Callable[..., Project], name: str) -> None:
    overrides = {"crop": 64, "batch": 2, "max_steps": 1}
    request = TrainRequest(architecture=name, overrides=overrides, device="cpu")
    project = disc_project()
    assert train(project, request).model == f"000001-{name}"
    assert train(project, TrainRequest(overrides=overrides, device="cpu")).model == f"000002-{name}"


def test_weights_nobody_asked_for_fall_away_where_they_do_not_fit(
    disc_project: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A published file lies in the cache, damaged or of a network with other options."""
    monkeypatch.setenv("SEGSTUDIO_CACHE", str(tmp_path / "cache"))
    card = registry.card_of("segnet")
    file = weights.cache_folder() / weights.address(card.weights[0]).file_name
    file.parent.mkdir(parents=True)
    torch.save({"features.0.weight": torch.zeros(3)}, file)
    project = disc_project()
    options = {"crop": 32, "batch": 2, "max_steps": 1}
    for options["options"], words in (({"width": 4}, "width = 64"), ({}, "another network")):
        told: list[Event] = []
        request = TrainRequest("segnet", None, FROM_SCRATCH, options, "cpu")
        train(project, request, told.append)
        (note,) = (e.text for e in told if isinstance(e, Log) and "published" in e.text)
        assert note.startswith("Starting without its published weights")
        assert words in note
        asked = replace(request, overrides={**options, "weights": "imagenet"})
        with pytest.raises(UserError, match=words):
            train(project, asked)


class Crash(Exception):
    """What ends a program without notice."""


def test_a_cut_off_run_is_resumed_with_its_weights_and_steps(
    disc_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = disc_project()
    place = project.root / checkpoint.PLACE
    monkeypatch.setattr(loop, "_FIRST_VALIDATION", 0.0)
    scores: list[Validation] = []

    def crash_after_two(event: Event) -> None:
        if isinstance(event, Validation):
            scores.append(event)
            if len(scores) == 2:
                raise Crash

    request = quick(max_steps=40)
    with pytest.raises(Crash):
        train(project, request, crash_after_two)
    found = checkpoint.read(place)
    assert found is not None
    assert found.state["step"] == scores[0].step
    told: list[Event] = []
    result = train(project, replace(request, resume=True), told.append)
    assert any(isinstance(e, Log) and "interrupted" in e.text for e in told)
    again = next(e for e in told if isinstance(e, Validation))
    assert (again.step, again.miou) == (scores[0].step, pytest.approx(scores[0].miou))
    assert result.steps == 40
    assert result.promoted
    assert not place.exists()


@pytest.mark.parametrize("adversarial", [0.0, 0.1])
def test_a_restored_run_takes_the_steps_of_one_that_went_on(
    items: list[Item], adversarial: float, tmp_path: Path
) -> None:
    """By way of the disk; the judge of adversarial training is the same, too."""
    how = replace(SMALL, adversarial=adversarial)
    first = make_run(items, how)
    sampling = loop.sampling_of(how)
    sampler = samples.Sampler(first.library, sampling, how.augmentation, how.seed)
    batches = [sampler.batch() for _ in range(3)]
    first._train_step(batches[0])
    facts = ("unet", ("disc",), "", how.to_dict())
    Checkpoint(*facts, first.seconds, first.state()).write(tmp_path / "run.pt")
    kept = checkpoint.read(tmp_path / "run.pt")
    assert kept is not None
    torch.manual_seed(1)
    second = make_run(items, how, network=registry.build("unet", 1, width=4, depth=2))
    second.restore(kept.state, kept.seconds)
    for run in (first, second):
        for batch in batches[1:]:
            run._train_step(batch)
    assert torch.equal(torch.stack(first._losses[1:]), torch.stack(second._losses))
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name]), name


def test_a_run_that_goes_on_tells_how_fast_it_is_itself(items: list[Item]) -> None:
    """Not as if the steps before had taken no time."""
    first = make_run(items, SMALL)
    first._step = 5000
    now = 0.0
    second = make_run(items, replace(SMALL, max_steps=None), seconds=100.0, clock=lambda: now)
    second.restore(first.state(), 20.0)
    now, second._step = 10.0, 5040
    told = second._how_far()
    assert (told.done, told.rate, told.seconds_left) == (5040, 4.0, 70.0)
    assert told.total == 5040 + 4 * 70


def test_a_record_without_a_judge_is_gone_on_with(items: list[Item]) -> None:
    """As those of earlier versions, and of runs that were not adversarial."""
    state = {k: v for k, v in make_run(items).state().items() if k != "loss"}
    how = replace(SMALL, adversarial=0.1)
    make_run(items, how).restore(state, 0.0)


def test_a_round_that_brought_nothing_better_is_gone_on_with(
    disc_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has learned is not lost: training by itself goes on, whoever is in force."""
    went_on: list[bool] = []
    really = trainer.interrupted

    def interrupted(*given: Any) -> Any:
        found = really(*given)
        went_on.append(found is not None)
        return found

    monkeypatch.setattr(trainer, "interrupted", interrupted)
    project = disc_project()
    place = project.root / checkpoint.PLACE
    good = train(project, quick(max_steps=60, learning_rate=3e-3))
    still = {"name": "live", "learning_rate": 0.0, "ema": 0.0, "freeze_statistics": 0.0}
    round_ = replace(quick(**still), resume=True)
    first = train(project, round_)
    assert not first.promoted
    found = checkpoint.read(place)
    assert found is not None
    assert (found.ended, found.seconds, found.parent) == (first.model, 0.0, good.model)
    told: list[Event] = []
    limit = {**QUICK, **still, "max_steps": 20}
    assert train(project, TrainRequest(overrides=limit, device="cpu", resume=True)).steps == 20
    # another number of steps is another recipe; the same one goes on
    train(project, round_, told.append)
    assert not went_on.pop()
    again = train(project, round_, told.append)
    assert went_on.pop()
    assert not any(isinstance(e, Log) and "Going on" in e.text for e in told)  # nothing was cut off
    assert again.steps == QUICK["max_steps"]  # the limit counts the steps of both
    assert project.models.get(again.model).parent == good.model
    plain = train(project, replace(quick(), resume=True), told.append)  # no round
    assert plain.model != again.model
    project.models.promote(plain.model)
    train(project, round_)  # another model is in force: begin with that
    assert not went_on.pop()


def test_a_round_that_went_astray_is_not_gone_on_with(
    disc_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = disc_project()
    train(project, quick(max_steps=60, learning_rate=3e-3))
    monkeypatch.setattr(loop, "_FIRST_VALIDATION", 0.0)
    harm = quick(name="live", max_steps=12, learning_rate=10.0, warm_up=1, ema=0.0)
    assert not train(project, harm).promoted
    assert not (project.root / checkpoint.PLACE).exists()


def test_a_full_disk_stops_no_training(
    disc_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")

    @contextmanager
    def replacing(*_: object, **__: object) -> Iterator[Path]:
        yield full

    monkeypatch.setattr(checkpoint, "atomic", SimpleNamespace(replacing=replacing))
    told: list[Event] = []
    assert train(disc_project(), quick(), told.append).promoted
    (said,) = (e.text for e in told if isinstance(e, Log) and "No space left" in e.text)
    assert "cannot go on after a restart" in said


def test_a_damaged_checkpoint_is_left_behind(disc_project: Callable[..., Project]) -> None:
    project = disc_project()
    place = project.root / checkpoint.PLACE
    place.parent.mkdir(exist_ok=True)
    for damage in (b"nonsense", b"", b"PK\x03\x04" + bytes(200)):
        place.write_bytes(damage)
        assert checkpoint.read(place) is None
    assert train(project, replace(quick(), resume=True)).promoted
    assert not place.exists()


def test_a_resumed_run_keeps_nothing_worse_than_its_best(
    disc_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = disc_project()
    train(project, quick(max_steps=60, learning_rate=3e-3))
    monkeypatch.setattr(loop, "_FIRST_VALIDATION", 0.0)
    scores: list[float] = []

    def crash(event: Event) -> None:
        if isinstance(event, Validation):
            scores.append(event.miou)
            if len(scores) == 3:
                raise Crash

    harm = quick(max_steps=12, learning_rate=10.0, warm_up=1, ema=0.0)
    with pytest.raises(Crash):
        train(project, harm, crash)
    assert scores[1] < scores[0]
    result = train(project, replace(harm, resume=True))
    assert result.scores["miou"] == pytest.approx(scores[0], abs=1e-4)
    assert result.steps == 12
