"""What the promotion gate must never let through, on real (tiny) training runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from discs import disc_picture, label
from filelock import FileLock

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import mask_shape
from segstudio.engine import jobs
from segstudio.errors import Cancelled
from segstudio.learning import device as devices
from segstudio.learning import judge, promotion, scoring, store
from segstudio.learning.events import Event, Log, ModelSaved, Progress, Validation
from segstudio.learning.loop import Control
from segstudio.learning.mending import mending
from segstudio.learning.metrics import Confusion
from segstudio.learning.normalise import Normalisation
from segstudio.learning.round0 import Round0
from segstudio.learning.samples import Item, Library
from segstudio.learning.scoring import Scores, pooled
from segstudio.learning.start import download_watch
from segstudio.learning.task import PIXELS
from segstudio.learning.trainer import FROM_SCRATCH, TrainRequest, train
from segstudio.learning.trainingset import TrainingSet
from segstudio.networks import registry
from segstudio.project.bulk import BulkEdit
from segstudio.project.models import ModelInfo
from segstudio.project.project import Project
from segstudio.project.reviews import Review

QUICK = {"crop": 64, "batch": 2, "max_steps": 2, "options": {"width": 4, "depth": 2}}


def quick(**overrides: object) -> TrainRequest:
    return TrainRequest(overrides={**QUICK, **overrides}, device="cpu")


def test_scores_on_training_images_replace_no_model(disc_project: Callable[..., Project]) -> None:
    project = disc_project(images=6, confirmed=0)
    for key in project.images()[:4]:
        label(project, key, confirmed=False)
    first = train(project, quick())
    assert first.promoted
    assert first.provisional
    second = train(project, quick(max_steps=12, learning_rate=3e-3))
    assert not second.promoted
    assert "training images" in second.reason
    current = project.models.current()
    assert current is not None
    assert current.id == first.model


def test_an_image_once_learned_from_never_becomes_a_validation_image(
    disc_project: Callable[..., Project],
) -> None:
    project = disc_project(images=8, confirmed=0)
    keys = project.images()
    for key in keys:
        label(project, key, confirmed=False)
    TrainingSet.of(project)
    for key in keys:
        label(project, key)
    project.rescan()
    assert project.ensure_splits().keys("val") == []


def test_validation_grows_while_a_round_learns_from_what_is_drawn(
    disc_project: Callable[..., Project],
) -> None:
    """Every image is begun, seen by the running round, and confirmed then."""
    project = disc_project(images=30, confirmed=5)
    data = TrainingSet.of(project)
    for key in project.images()[5:]:
        label(project, key, confirmed=False)
        data.refresh()
        held = {item.key for item in data.validation}
        assert key not in held
        label(project, key)
    data.refresh()
    assert 4 <= len(data.validation) <= 6
    assert len(data.train) + len(data.validation) == 30
    assert not {item.key for item in data.train} & {item.key for item in data.validation}


def test_an_image_that_had_to_be_learned_from_judges_no_model(
    disc_project: Callable[..., Project],
) -> None:
    project = disc_project(images=8, confirmed=1)
    data = TrainingSet.of(project)
    assert data.lent
    first, second = project.images()[:2]
    assert project.splits.side(first) == "train"
    label(project, second)
    data.refresh()
    assert not data.lent
    assert [item.key for item in data.train] == [first]
    assert [item.key for item in data.validation] == [second]


def test_a_label_file_that_vanishes_does_not_end_a_run(
    disc_project: Callable[..., Project],
) -> None:
    project = disc_project()
    data = TrainingSet.of(project)
    before = data.hash()
    project.label_file(data.train[0].key).unlink()
    assert data.hash() != before


def test_renaming_a_class_changes_no_score(disc_project: Callable[..., Project]) -> None:
    project = disc_project(images=12, confirmed=12)
    model = project.models.get(train(project, quick(max_steps=60, learning_rate=3e-3)).model)
    data = TrainingSet.of(project)
    facts = Library(data.train, Normalisation()), data, Control(), devices.probe("cpu")
    gate = judge.Judge(project, model, *facts)
    gate.score()
    before = {key: scored.confusion.counts.tolist() for key, scored in gate.scores.items()}
    with Project.open(project.root) as other:  # the window
        other.bulk.run(BulkEdit("rename", name="disc", to="cell"))
    data.refresh()
    gate.score()
    after = {key: scored.confusion.counts.tolist() for key, scored in gate.scores.items()}
    assert after == before


def test_a_network_that_is_no_number_knows_nothing(items: list[Item]) -> None:
    """Its scores would otherwise be those of a picture of background."""
    network = registry.build("unet", 1, width=4, depth=2)
    library = Library(items, Normalisation())

    def score() -> Scores:
        reader = PIXELS.reader(network, library.normalisation, torch.device("cpu"))
        return scoring.score(reader, items, library, Control().check, 1)

    assert pooled(score(), 1).miou() > 0
    next(network.buffers()).fill_(float("nan"))
    assert pooled(score(), 1).miou() == 0


def test_a_stopped_run_is_kept_when_another_model_came_into_force(
    disc_project: Callable[..., Project],
) -> None:
    project = disc_project()
    first = train(project, quick(learning_rate=0.0))
    other = train(project, quick(max_steps=40, learning_rate=3e-3))
    project.models.promote(first.model)
    stop: list[Event] = []

    def swap(event: Event) -> None:
        if isinstance(event, Validation):
            project.models.promote(other.model)
            stop.append(event)

    kept = train(project, quick(), swap, should_stop=lambda: bool(stop))
    assert kept.stopped
    assert not kept.promoted
    assert other.model in kept.reason
    current = project.models.current()
    assert current is not None
    assert current.id == other.model


def test_a_stop_while_the_end_is_scored_loses_nothing(
    disc_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = disc_project()
    first = train(project, quick())
    calls: list[int] = []
    really = judge.Judge.score

    def score(self: judge.Judge) -> None:
        calls.append(1)
        if len(calls) == 2:  # after training
            raise Cancelled
        really(self)

    monkeypatch.setattr(judge.Judge, "score", score)
    second = train(project, quick())
    assert not second.promoted
    assert first.model in second.reason
    assert project.models.get(second.model).scores


def test_the_gate_compares_with_the_model_in_force_at_the_end(
    disc_project: Callable[..., Project],
) -> None:
    project = disc_project()
    first = train(project, quick(learning_rate=0.0))
    better = train(project, quick(max_steps=40, learning_rate=3e-3))
    project.models.promote(first.model)

    def swap(event: object) -> None:
        """While the candidate trains, a person puts the better model in force."""
        project.models.promote(better.model)

    candidate = train(project, quick(learning_rate=0.0), on_event=swap)
    current = project.models.current()
    assert current is not None
    assert not candidate.promoted
    assert current.id == better.model


def test_a_cancelled_trainer_does_not_wait_for_the_predictor(
    disc_project: Callable[..., Project],
) -> None:
    project = disc_project()
    looks: list[bool] = []

    class Control:
        def wait_while_paused(self) -> None: ...

        def should_stop(self) -> bool:
            looks.append(len(looks) >= 2)
            return looks[-1]

    path = project.root / ".segstudio" / "predicting.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path, is_singleton=False):
        jobs._waiting(project, Control())()  # type: ignore[arg-type]
    assert looks == [False, False, True]


def test_a_download_tells_its_progress_and_ends_with_the_job() -> None:
    told: list[object] = []
    watch = download_watch(Control(on_event=told.append))
    watch(30_000_000, 160_000_000)
    assert told == [Progress(30.0, 160.0, text="MB of weights")]
    stopped = download_watch(Control(should_stop=lambda: True))
    with pytest.raises(Cancelled):
        stopped(1, None)


def test_a_run_that_only_harms_keeps_what_it_began_with(
    disc_project: Callable[..., Project],
) -> None:
    project = disc_project()
    train(project, quick(max_steps=60, learning_rate=3e-3))
    told: list[Event] = []
    harm = quick(max_steps=4, learning_rate=10.0, warm_up=1, ema=0.0)
    result = train(project, harm, told.append)
    before, *after = [e.miou for e in told if isinstance(e, Validation)]
    assert max(after) < before
    assert not result.promoted
    assert result.scores["miou"] == pytest.approx(before)


def test_frames_of_one_video_on_both_sides_make_scores_provisional(
    disc_project: Callable[..., Project],
) -> None:
    project = disc_project()
    keys = project.confirmed_keys()
    for number, key in enumerate(keys):
        project.splits.put(key, "val" if number < 3 else "train", group="drive")
    told: list[Event] = []
    result = train(project, quick(), told.append)
    assert result.provisional
    assert "frames of one video" in result.reason
    assert any("3 of 3 validation images" in e.text for e in told if isinstance(e, Log))


def mislabel(project: Project) -> None:
    """All training images say the opposite of the truth; the validation images are right."""
    splits = project.ensure_splits()
    for key in project.labelled_keys():
        if splits.side(key) == "train":
            wrong = Bitmap.from_array(~disc_picture(int(Path(key).stem))[1])
            shape = mask_shape("disc", wrong)
            project.save(key, Annotation(64, 64, (shape,), confirmed=True))


@pytest.mark.parametrize("start", [None, FROM_SCRATCH])
def test_a_trainer_fed_wrong_labels_never_replaces_the_good_model(
    disc_project: Callable[..., Project], start: str | None
) -> None:
    project = disc_project(images=12, confirmed=12)
    good = train(project, quick(max_steps=60, learning_rate=3e-3))
    mislabel(project)
    request = replace(quick(max_steps=60, learning_rate=3e-3), start_from=start)
    for _ in range(2):
        bad = train(project, request)
        assert not bad.promoted
    current = project.models.current()
    assert current is not None
    assert current.id == good.model
    assert good.scores["miou"] > 0.8


@pytest.mark.guesses
def test_a_first_network_must_be_better_than_the_guesses(
    disc_project: Callable[..., Project],
) -> None:
    project = disc_project(images=12, confirmed=12)
    told: list[Event] = []
    useless = train(project, quick(), told.append)
    assert not useless.promoted
    assert useless.reason.startswith(("not yet better", "provisional: not yet better"))
    assert "more confirmed images help" in useless.reason
    (saved,) = (event for event in told if isinstance(event, ModelSaved))
    assert saved.guesses is not None
    assert saved.guesses > useless.scores["miou"]
    assert project.models.current() is None
    assert project.models.get(useless.model).is_unproven


@pytest.mark.guesses
def test_a_network_better_than_the_guesses_comes_into_force(
    disc_project: Callable[..., Project],
) -> None:
    """Guesses from wrong labels are bad ones; the network learned from the right ones before."""
    project = disc_project(images=12, confirmed=12)
    good = train(project, quick(max_steps=60, learning_rate=3e-3))
    project.models.retire()
    mislabel(project)
    request = replace(quick(max_steps=1, learning_rate=0.0), start_from=good.model)
    first = train(project, request)
    assert first.promoted
    assert "better than the guesses" in first.reason
    assert not first.worse


def ragged_guesses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guesses overlap as they do, but leave very much to mend."""
    really = judge.guesses

    def guesses(*given: Any) -> Scores:
        return {key: replace(scored, left=1e9) for key, scored in really(*given).items()}

    monkeypatch.setattr(judge, "guesses", guesses)


@pytest.mark.guesses
def test_a_first_network_that_leaves_less_to_mend_than_the_guesses_comes_into_force(
    disc_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    ragged_guesses(monkeypatch)
    monkeypatch.setattr(judge, "_left_by_nothing", lambda truth: 1e9)
    told: list[Event] = []
    first = train(disc_project(images=12, confirmed=12), quick(), told.append)
    assert first.promoted
    assert "leaves less to mend than the guesses" in first.reason
    (saved,) = (event for event in told if isinstance(event, ModelSaved))
    assert saved.guesses is not None
    assert saved.guesses > first.scores["miou"]


@pytest.mark.guesses
def test_a_first_network_that_leaves_as_much_to_mend_as_none_is_not_taken(
    disc_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bad guesses may leave more than an empty label map does; such a map is no answer."""
    ragged_guesses(monkeypatch)
    monkeypatch.setattr(judge, "_left", lambda rows, truth: judge._left_by_nothing(truth))
    assert not train(disc_project(images=12, confirmed=12), quick()).promoted


def test_what_one_class_everywhere_leaves_to_mend() -> None:
    truth = np.zeros((40, 60), np.int16)
    truth[10:20, 10:20] = 1
    assert judge._left_by_nothing(truth) == mending(np.zeros_like(truth), truth)
    truth[:, 20:] = 2  # most of it
    assert judge._left_by_nothing(truth) == mending(np.full_like(truth, 2), truth)
    assert judge._left_by_nothing(np.full_like(truth, -1)) == 0


@pytest.mark.guesses
def test_a_network_that_is_not_finite_leaves_nothing_less_to_mend(
    disc_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    ragged_guesses(monkeypatch)
    monkeypatch.setattr(judge, "is_finite", lambda network: False)
    assert not train(disc_project(images=12, confirmed=12), quick()).promoted


def lost(images: int) -> promotion.Decision:
    few = images < promotion.FEWEST_IMAGES
    return promotion.Decision(False, few, -0.1, 0.1, images, "not yet", guesses=0.4)


@pytest.mark.parametrize(
    ("candidate", "guesses", "nothing", "promote"),
    [
        ([90.0], [100.0], [200.0], True),
        ([98.0], [100.0], [200.0], False),  # a twentieth less is asked for
        ([90.0], [100.0], [90.0], False),  # as it would be without any model
        ([90.0, 80.0, 90.0], [100.0] * 3, [200.0] * 3, True),
        ([10.0, *[110.0] * 3], [100.0] * 4, [200.0] * 4, False),  # one image alone says so
        ([0.0], [0.0], [0.0], False),
    ],
)
def test_what_a_first_model_leaves_to_mend_counts_beside_its_overlap(
    candidate: list[float], guesses: list[float], nothing: list[float], promote: bool
) -> None:
    decision = promotion.with_mending(lost(len(candidate)), candidate, guesses, nothing)
    assert decision.promote == promote
    assert decision.reason.startswith("provisional: ") == (promote and len(candidate) < 3)
    if promote:
        assert "mIoU 0.300 against 0.400" in decision.reason


@pytest.mark.guesses
def test_one_class_alone_can_be_no_guess(disc_project: Callable[..., Project]) -> None:
    project = disc_project(images=2, confirmed=0)
    for key in project.images():
        label(project, key, confirmed=False)  # strokes of one class, the rest unknown
    first = train(project, quick())
    assert first.promoted
    assert "first model" in first.reason


@pytest.mark.guesses
def test_guesses_learn_from_fewer_images_when_these_are_large(
    disc_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = TrainingSet.of(disc_project(images=12, confirmed=12))
    taken: list[object] = []
    really = Round0.take

    def take(round0: Round0, key: str, *labelled: Any) -> None:
        taken.append(key)
        really(round0, key, *labelled)

    monkeypatch.setattr(Round0, "take", take)
    library = Library(data.train, Normalisation())
    assert judge.guesses(data, data.validation, library, Control())
    assert len(taken) == len(data.train)
    taken.clear()
    monkeypatch.setattr(judge, "_GUESSED_PIXELS", 3 * 64 * 64)
    assert judge.guesses(data, data.validation, library, Control())
    assert 1 <= len(taken) <= 3


def test_a_round_pays_for_the_guesses_it_is_compared_with(
    disc_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = disc_project(images=40, confirmed=40)
    request = replace(quick(), minutes=10.0)
    monkeypatch.setattr(judge.Judge, "seconds_of_a_guess", lambda _: 0.0)
    assert train(project, request).scores["images"] > promotion.FEWEST_IMAGES
    project.models.retire()
    monkeypatch.setattr(judge.Judge, "seconds_of_a_guess", lambda _: 1e6)
    assert train(project, request).scores["images"] == promotion.FEWEST_IMAGES


def test_what_a_guess_costs_is_asked_only_where_there_is_no_model(
    disc_project: Callable[..., Project],
) -> None:
    project = disc_project(images=12, confirmed=12)
    data = TrainingSet.of(project)
    library, report = Library(data.train, Normalisation()), devices.probe("cpu")
    first = judge.Judge(project, None, library, data, Control(), report)
    assert first.seconds_of_a_guess() > 0
    model = project.models.get(train(project, quick()).model)
    later = judge.Judge(project, model, library, data, Control(), report)
    assert later.seconds_of_a_guess() == 0


def spoil(model: ModelInfo) -> None:
    state = store.read_weights(model.weights)
    state = {k: v * float("nan") if v.is_floating_point() else v for k, v in state.items()}
    model.weights.write_bytes(safetensors.torch.save(state))


def test_a_model_that_is_not_a_number_is_replaced_and_never_replaces(
    disc_project: Callable[..., Project],
) -> None:
    project = disc_project(images=12, confirmed=12)
    first = train(project, quick(max_steps=60, learning_rate=3e-3))
    spoil(project.models.get(first.model))
    second = train(project, replace(quick(max_steps=60, learning_rate=3e-3), start_from=""))
    assert second.promoted
    assert second.scores["miou"] > 0.8
    spoiled = train(project, replace(quick(max_steps=1, learning_rate=0.0), start_from=first.model))
    assert not spoiled.promoted
    current = project.models.current()
    assert current is not None
    assert current.id == second.model


def confusion(counts: list[list[int]]) -> Confusion:
    found = Confusion(len(counts))
    found.counts += np.array(counts)
    return found


def test_a_class_that_no_validation_image_has_yet_does_not_hold_a_candidate_back() -> None:
    """Rows are the truth: background, nucleus, debris, which only the candidate knows."""
    old = {str(n): confusion([[90, 10, 0], [10, 90, 0], [0, 0, 0]]) for n in range(5)}
    better = {str(n): confusion([[95, 4, 1], [4, 96, 0], [0, 0, 0]]) for n in range(5)}
    classes = ["nucleus", "debris"]
    decision = promotion.compare(better, old, classes, new=["debris"])
    assert decision.promote
    assert "on no validation image yet: debris" in decision.reason
    assert not promotion.compare(better, old, classes).promote
    labelled = {str(n): confusion([[95, 5, 0], [4, 96, 0], [0, 0, 50]]) for n in range(5)}
    missed = {str(n): confusion([[95, 5, 0], [4, 96, 0], [50, 0, 0]]) for n in range(5)}
    seen = promotion.compare(labelled, missed, classes, new=["debris"])
    assert seen.promote
    assert "debris" not in seen.reason
    assert seen.gain > 0.3


@pytest.mark.parametrize(
    ("learned", "promoted"), [((12, 8), True), ((9, 8), False), ((12, 0), False)]
)
def test_who_has_learned_from_more_images_needs_a_majority_only(
    learned: tuple[int, int], promoted: bool
) -> None:
    """Two of three images are better, one is worse: four of five resamples do not agree."""
    old = {str(n): confusion([[90, 10], [20, 80]]) for n in range(3)}
    new = {str(n): confusion([[93, 7], [14, 86]]) for n in range(2)}
    new["2"] = confusion([[88, 12], [26, 74]])
    decision = promotion.compare(new, old, ["nucleus"], learned=learned)
    assert promotion.MAJORITY < decision.agreement < promotion.AGREEMENT
    assert decision.promote == promoted
    assert ("learned from 12 images, before from 8" in decision.reason) == promoted
    worse = promotion.compare(old, new, ["nucleus"], learned=learned)
    assert not worse.promote


def test_scores_on_drafts_that_were_accepted_unchanged_are_called_flattering(
    disc_project: Callable[..., Project],
) -> None:
    project = disc_project(images=12, confirmed=12)
    assert TrainingSet.of(project).doubt == ""
    held = project.ensure_splits().keys("val")
    for key in held:
        project.reviews.save(key, Review(model="m", shown="m", accepted_unchanged=True))
    assert "accepted unchanged" in TrainingSet.of(project).doubt
    told: list[Event] = []
    result = train(project, quick(), told.append)
    assert any(isinstance(e, Log) and "flatter" in e.text for e in told)
    second = train(project, quick())
    assert second.provisional
    assert "flatter" in second.reason
    assert result.promoted
