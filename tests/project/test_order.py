"""Which image next: each part of the mix, and the mix."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from segstudio.project.order import Choice, choose, embed

KEYS = [f"{n}.png" for n in range(40)]


def vectors(groups: int = 3, seed: int = 0) -> dict[str, np.ndarray]:
    """Images in clouds of different sizes about a few directions."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(groups, 20))
    found = {}
    for number, key in enumerate(KEYS):
        vector = centres[min(number // 20, groups - 1)] + 0.1 * rng.normal(size=20)
        found[key] = (vector / np.linalg.norm(vector)).astype(np.float32)
    return found


def test_likeness_follows_what_can_be_seen() -> None:
    rng = np.random.default_rng(0)
    dark = rng.integers(0, 40, (90, 120, 3), dtype=np.uint8)
    other_dark = rng.integers(0, 40, (200, 200, 3), dtype=np.uint8)
    stripes = np.zeros((90, 120, 3), np.uint8)
    stripes[::8] = 250
    a, b, c = (embed(picture) for picture in (dark, other_dark, stripes))
    assert a.shape == (135,)
    assert np.linalg.norm(a) == np.float32(1) or abs(np.linalg.norm(a) - 1) < 1e-5
    assert a @ b > a @ c
    assert np.isfinite(embed(np.zeros((1, 1, 3), np.uint8))).all()


def test_the_first_images_are_typical_of_large_groups_that_have_none() -> None:
    found = vectors(groups=2)
    first = choose(KEYS, [], found, {})
    assert first is not None
    assert first.kind == "typical"
    left = [key for key in KEYS if key != first.key]
    second = choose(left, [first.key], found, {})
    assert second is not None
    groups = {KEYS.index(c.key) // 20 for c in (first, second)}
    assert groups == {0, 1}


def test_the_most_doubtful_is_chosen_once_there_is_little_noise() -> None:
    doubts = {key: {"road": 0.1, "car": 0.2} for key in KEYS}
    doubts["7.png"] = {"road": 0.9, "car": 0.0}
    doubts["9.png"] = {"road": 0.1, "car": 0.95}
    labelled = [f"done{n}" for n in range(200)]
    road = choose(KEYS, [*labelled, "x", "y"], vectors(), doubts)
    car = choose(KEYS, labelled, vectors(), doubts)
    assert car == Choice("9.png", "uncertain", "car", 0.95)
    assert road == Choice("7.png", "uncertain", "road", 0.9)


def test_early_on_noise_lets_others_through() -> None:
    doubts = {key: {"a": 0.5} for key in KEYS} | {"7.png": {"a": 0.6}}
    chosen = {choose(KEYS, [], vectors(), doubts, seed).key for seed in range(30)}  # type: ignore[union-attr]
    assert len(chosen) > 8


def test_every_fourth_is_random_and_every_fourth_unlike_the_labelled() -> None:
    found = vectors(groups=2)
    doubts = {key: {"a": 0.5} for key in KEYS}
    kinds = Counter()
    labelled: list[str] = []
    left = list(KEYS)
    for _ in range(20):
        choice = choose(left, labelled, found, doubts)
        assert choice is not None
        if choice.kind == "unlike" and len(labelled) == 1:
            assert KEYS.index(choice.key) // 20 != KEYS.index(labelled[0]) // 20
        kinds[choice.kind] += 1
        labelled.append(choice.key)
        left.remove(choice.key)
    assert kinds == {"uncertain": 10, "unlike": 5, "random": 5}


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 12), st.integers(0, 40), st.integers(0, 40), st.integers(0, 9))
def test_whatever_is_known_a_candidate_is_chosen_and_the_same_again(
    done: int, embedded: int, predicted: int, seed: int
) -> None:
    found = dict(list(vectors(seed=seed).items())[:embedded])
    doubts = {key: {"a": 0.3} for key in KEYS[:predicted]}
    candidates, labelled = KEYS[done:], KEYS[:done]
    choice = choose(candidates, labelled, found, doubts, seed)
    assert choice is not None
    assert choice.key in candidates
    assert choice == choose(candidates, labelled, found, doubts, seed)
    assert choose([], labelled, found, doubts) is None
