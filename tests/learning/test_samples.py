from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from segstudio.errors import UserError
from segstudio.learning import recipe
from segstudio.learning.augment import Augmentation, Cropper
from segstudio.learning.metrics import VOID
from segstudio.learning.normalise import Normalisation
from segstudio.learning.recipe import Facts, Recipe
from segstudio.learning.samples import Batch, Item, Labelled, Library, Prefetch, Sampler, Sampling

PLAIN = Normalisation("fixed", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def numbered(height: int = 40, width: int = 60) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """A picture whose grey value is its label."""
    labels = np.arange(height * width).reshape(height, width) * 7 % 200
    return np.repeat(labels[..., None], 3, 2).astype(np.uint8), labels.astype(np.int16)


def cropper(size: int, augmentation: Augmentation, seed: int = 0) -> Cropper:
    return Cropper(size, augmentation, PLAIN, np.random.default_rng(seed))


def test_picture_and_labels_are_cut_alike() -> None:
    picture, labels = numbered()
    for seed in range(20):
        cutter = cropper(16, replace(Augmentation.none(), flip=True, upright=False), seed)
        pixels, part, *_ = cutter.crop(picture, labels, (30, 20), (0, 255))
        np.testing.assert_array_equal(np.round(pixels[0] * 255), part)


def test_a_crop_without_augmentation_is_a_piece_of_the_picture() -> None:
    picture, labels = numbered()
    _, part, *_ = cropper(16, Augmentation.none()).crop(picture, labels, (30, 20), (0, 255))
    windows = np.lib.stride_tricks.sliding_window_view(labels, (16, 16))
    assert (windows == part).all(axis=(2, 3)).any()


def test_a_small_picture_is_mirrored_to_fill_the_crop() -> None:
    picture, labels = numbered(10, 12)
    pixels, part, weight, _ = cropper(32, Augmentation()).crop(
        picture, labels, (5, 5), (0, 255), np.ones((10, 12), np.float32)
    )
    assert pixels.shape == (3, 32, 32)
    assert set(np.unique(part)) <= set(np.unique(labels))
    assert weight is not None
    assert weight.shape == (32, 32)


def test_upright_pictures_stay_upright() -> None:
    labels = np.repeat(np.arange(64, dtype=np.int16)[:, None], 64, 1)
    picture = np.repeat(labels[..., None], 3, 2).astype(np.uint8)
    for seed in range(10):
        cutter = cropper(16, replace(Augmentation.none(), flip=True), seed)
        _, part, *_ = cutter.crop(picture, labels, (32, 32), (0, 255))
        assert (np.diff(part[:, 0]) == 1).all()


def item(key: str, labels: NDArray[np.int16], version: float = 0.0) -> Item:
    picture = np.zeros((*labels.shape, 3), np.uint8)
    return Item(key, lambda: Labelled(picture, labels), version)


def test_focused_crops_are_centred_on_classes() -> None:
    labels = np.zeros((400, 400), np.int16)
    labels[300:303, 300:303] = 1
    library = Library([item("a", labels)], PLAIN)
    sampling = Sampling(batch=8, crop=64, focused=1.0, corrected=0.0)
    batch = Sampler(library, sampling, Augmentation.none(), 0).batch()
    assert all((one == 1).any() for one in batch.labels)


def test_partly_labelled_pictures_are_looked_at_where_they_are_labelled() -> None:
    labels = np.full((500, 500), VOID, np.int16)
    labels[100:104, 400:404] = 0
    library = Library([item("a", labels)], PLAIN)
    sampling = Sampling(batch=8, crop=64, focused=0.4, corrected=0.0)
    batch = Sampler(library, sampling, Augmentation.none(), 0).batch()
    assert all((one == 0).any() for one in batch.labels)


def test_half_of_a_batch_comes_from_new_labels() -> None:
    items = [item(str(i), np.full((8, 8), i % 2, np.int16), version=float(i)) for i in range(10)]
    drawn: list[str] = []

    def spying(one: Item) -> Item:
        return replace(one, read=lambda: (drawn.append(one.key), one.read())[1])

    library = Library([spying(one) for one in items], PLAIN, budget=1)  # nothing is kept
    sampler = Sampler(library, Sampling(batch=200, crop=8), Augmentation.none(), 0, since=7.5)
    sampler.batch()
    share = sum(key in ("8", "9") for key in drawn) / len(drawn)
    assert 0.5 < share < 0.7  # half of the draws, and their part of the other half


def test_batches_follow_from_the_seed(items: list[Item]) -> None:
    def draw(seed: int) -> Batch:
        library = Library(items, Normalisation())
        return Sampler(library, Sampling(batch=3, crop=32), Augmentation(), seed).batch()

    np.testing.assert_array_equal(draw(1).inputs, draw(1).inputs)
    assert not np.array_equal(draw(1).inputs, draw(2).inputs)


def test_the_memory_budget_holds(items: list[Item]) -> None:
    one = sum(part.nbytes for part in items[0].read() if part is not None)
    library = Library(items, Normalisation(), budget=2 * one)
    for wanted in items:
        library.get(wanted)
    assert library._held == 2 * one


def test_errors_of_the_thread_reach_the_caller() -> None:
    def fail() -> Batch:
        raise UserError("no picture")

    with Prefetch(fail) as batches, pytest.raises(UserError, match="no picture"):
        batches.get()


def test_the_thread_ends_while_the_queue_is_full(items: list[Item]) -> None:
    sampler = Sampler(
        Library(items, Normalisation()), Sampling(batch=1, crop=8), Augmentation.none(), 0
    )
    with Prefetch(sampler.batch) as batches:
        batches.get()
    assert not batches._thread.is_alive()


def test_percentiles_stretch_a_dim_picture() -> None:
    dim = np.random.default_rng(0).integers(20, 40, (50, 50, 3)).astype(np.uint8)
    inputs = Normalisation().apply(dim)
    assert inputs.shape == (3, 50, 50)
    assert inputs.min() == pytest.approx(-2, abs=0.3)
    assert inputs.max() == pytest.approx(2, abs=0.3)


def test_a_flat_picture_stays_flat() -> None:
    assert np.ptp(Normalisation().apply(np.full((9, 9, 3), 77, np.uint8))) == 0


def test_a_negative_gives_the_same_inputs_where_the_background_is_dark() -> None:
    rng = np.random.default_rng(0)
    picture = np.where(rng.random((64, 64, 1)) < 0.1, 200, 30) + rng.integers(0, 20, (64, 64, 3))
    picture = picture.astype(np.uint8)
    how = Normalisation(background="dark")
    np.testing.assert_allclose(how.apply(picture), how.apply(255 - picture), atol=0.1)
    assert how.apply(picture).mean() < 0


def test_a_normalisation_survives_its_card() -> None:
    for how in (Normalisation(background="dark"), Normalisation.imagenet()):
        assert Normalisation.from_card(how.to_card()) == how
    with pytest.raises(UserError, match="normalisation"):
        Normalisation.from_card({"kind": "percentile"})


def test_the_root_keeps_what_is_absolute_and_lifts_what_is_dim() -> None:
    dim = np.full((8, 8, 3), 16, np.uint8)
    how = replace(Normalisation.root(), mean=(0, 0, 0), std=(1, 1, 1))
    np.testing.assert_allclose(how.apply(dim), np.sqrt(16 / 255), rtol=1e-5)
    np.testing.assert_allclose(how.apply(4 * dim), 2 * how.apply(dim), rtol=1e-5)


def test_large_pictures_are_drawn_more_often() -> None:
    labels = np.zeros((32, 32), np.int16)

    def read(value: int) -> Labelled:
        return Labelled(np.full((32, 32, 3), value, np.uint8), labels)

    items = [
        Item("small", lambda: read(0), pixels=1000),
        Item("large", lambda: read(255), pixels=9000),
        Item("huge", lambda: read(128), pixels=10**9),
    ]
    library = Library(items, Normalisation("fixed"))
    sampler = Sampler(library, Sampling(batch=12, crop=32), Augmentation.none(), 0)
    seen = np.round(sampler.batch().inputs[:, 0, 0, 0]).tolist()
    assert sorted(seen) == [-2.0, *[0.0] * 8, *[2.0] * 3]


def test_inputs_are_the_plain_formula() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    how = Normalisation.imagenet()
    expected = (picture / 255 - np.array(how.mean)) / np.array(how.std)
    np.testing.assert_allclose(how.apply(picture), expected.transpose(2, 0, 1), atol=1e-5)


FACTS = Facts(images=10, side=256, pixels=(900, 100), upright=False)


def test_the_recipe_follows_from_the_data() -> None:
    small = recipe.configure(FACTS)
    assert (small.crop, small.batch) == (128, 6)
    assert small.normalisation == Normalisation.root()
    assert recipe.configure(replace(FACTS, side=3000)).crop == 256
    assert recipe.configure(replace(FACTS, side=40)).crop == 64
    assert recipe.configure(replace(FACTS, side=3000), "cuda", memory=80 * 2**30).batch == 16
    assert recipe.configure(FACTS, "cuda", memory=80 * 2**30).crop == 192
    pretrained = recipe.configure(FACTS, pretrained=True)
    assert pretrained.encoder_factor == pytest.approx(0.1)
    assert pretrained.normalisation == Normalisation.imagenet()
    many = recipe.configure(replace(FACTS, pixels=(1000, 1000, 10, 0)))
    assert many.class_weights == (1.0, 1.0, 3.0, 1.0)


def test_every_number_can_be_overridden() -> None:
    overrides = {"batch": "3", "crop": 96, "augmentation": {"scale": [1, 1]}, "patience": None}
    found = recipe.configure(FACTS, overrides=overrides)
    assert (found.batch, found.crop, found.patience) == (3, 96, None)
    assert found.augmentation.scale == (1.0, 1.0)
    assert recipe.configure(FACTS, overrides={"name": "classic"}).optimiser == "sgd"
    with pytest.raises(UserError, match="no setting called 'bath'"):
        recipe.configure(FACTS, overrides={"bath": 3})
    with pytest.raises(UserError, match="batch cannot be"):
        recipe.configure(FACTS, overrides={"batch": "many"})


@pytest.mark.parametrize(
    ("make", "expected"), [(lambda y, x: y < 20, True), (lambda y, x: x < 20, False)]
)
def test_up_and_down_are_told_apart(
    make: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.bool_]], expected: bool
) -> None:
    labels = make(*np.mgrid[:40, :40]).astype(np.int16)
    found = recipe.study([Labelled(np.zeros((40, 40, 3), np.uint8), labels)], 1)
    assert found.upright is expected


def test_a_recipe_can_be_written_as_toml() -> None:
    import tomllib

    import tomlkit

    facts = Recipe(max_steps=3).to_dict()
    assert tomllib.loads(tomlkit.dumps(facts)) == facts
