"""Which image to label next: typical ones first, then a mix of unsure, unlike, and random ones.

The mix (half uncertain, a quarter diverse, a quarter random) is ours; its parts are published:
TypiClust (Hacohen et al. 2022, arXiv 2202.02794), class-stratified uncertainty with decaying
Gumbel noise (ClaSP PE, arXiv 2601.13677), farthest-first (Sener & Savarese 2018). Loads no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
Kind = Literal["typical", "uncertain", "unlike", "random"]
Doubt = Mapping[str, float]
"""How doubtful each class is in an image, 0..1."""

_GRID: Final = 3
_ORIENTATIONS: Final = 8
_SIDE: Final = 96
_NEIGHBOURS: Final = 20
_ALIKE: Final = 5
_MOST: Final = 2000
"""Images compared with each other; of more, a fixed random part."""
_TURNS: Final[tuple[Kind, ...]] = ("uncertain", "unlike", "uncertain", "random")
_FIRST_TURNS: Final[tuple[Kind, ...]] = ("typical", "typical", "typical", "random")
_NOISE: Final = 1.0
_SETTLES: Final = 10.0
"""Labelled images after which the noise has halved."""


@dataclass(frozen=True, slots=True)
class Choice:
    """An image, why it, and for uncertain ones of which class."""

    key: str
    kind: Kind
    class_name: str = ""
    doubt: float = 0.0


def embed(picture: NDArray[np.uint8]) -> Vector:
    """What a small picture (h, w, 3) uint8 RGB looks like: (135,) float32 of length 1.

    Means and spreads of colour, and gradients by orientation, in a grid of 3 x 3 cells.
    """
    small = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32) / 255
    colour: list[Any] = []
    edges: list[Any] = []
    across = cv2.Sobel(lab[..., 0], cv2.CV_32F, 1, 0)
    down = cv2.Sobel(lab[..., 0], cv2.CV_32F, 0, 1)
    strength = np.hypot(across, down)
    angle = np.arctan2(down, across) % np.pi
    bins = np.minimum((angle / np.pi * _ORIENTATIONS).astype(int), _ORIENTATIONS - 1)
    cell = _SIDE // _GRID
    for row in range(_GRID):
        for column in range(_GRID):
            part = np.s_[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell]
            colour += [lab[part].mean((0, 1)), lab[part].std((0, 1))]
            weights = strength[part].ravel()
            count = np.bincount(bins[part].ravel(), weights=weights, minlength=_ORIENTATIONS)
            edges += [count / cell**2, [weights.mean()]]
    parts = [np.concatenate(colour), np.concatenate(edges)]
    whole = np.concatenate([part / max(float(np.linalg.norm(part)), 1e-6) for part in parts])
    return np.asarray(whole / np.linalg.norm(whole), np.float32)


class Looks:
    """Which images look alike. What an image looks like is found once and remembered."""

    def __init__(self, look: Callable[[str], Vector]) -> None:
        self._look = look
        self._vectors: dict[str, Vector] = {}

    def like(self, key: str, among: Sequence[str]) -> tuple[str, ...]:
        """The five of the images (of very many, of the last ones) that look most like it."""
        among = among[-_MOST:]
        for name in (key, *among):
            if name not in self._vectors:
                self._vectors[name] = self._look(name)
        if not among:
            return ()
        likeness = _stack(among, self._vectors) @ self._vectors[key]
        return tuple(among[i] for i in np.argsort(-likeness, kind="stable")[:_ALIKE])


def choose(
    candidates: Sequence[str],
    labelled: Sequence[str],
    embeddings: Mapping[str, Vector],
    doubts: Mapping[str, Doubt],
    seed: int = 0,
) -> Choice | None:
    """The image to label next, None when there is none left.

    Images without an embedding, or a doubt, yet cannot be chosen for it; the order improves as
    those come in. The same input gives the same image.
    """
    if not candidates:
        return None
    turn = len(labelled)
    rng = np.random.default_rng((seed, turn))
    known = [key for key in candidates if key in doubts]
    kind = (_TURNS if known else _FIRST_TURNS)[turn % 4]
    if kind == "uncertain":
        return _uncertain(known, doubts, turn, rng)
    seen = [key for key in candidates if key in embeddings]
    done = [key for key in labelled if key in embeddings]
    if kind != "random" and len(seen) > _MOST:
        seen = [seen[i] for i in sorted(rng.choice(len(seen), _MOST, replace=False).tolist())]
    if kind == "unlike" and seen and done:
        return Choice(_farthest(seen, done, embeddings), "unlike")
    if kind == "typical" and seen:
        return Choice(_typical(seen, done, embeddings, seed), "typical")
    return Choice(candidates[int(rng.integers(len(candidates)))], "random")


def _uncertain(
    keys: Sequence[str], doubts: Mapping[str, Doubt], turn: int, rng: np.random.Generator
) -> Choice:
    """The classes take turns; noise on the log score keeps the first models, which know little
    about what they know, from choosing alone."""
    classes = sorted({name for key in keys for name in doubts[key]})
    if not classes:
        return Choice(keys[int(rng.integers(len(keys)))], "random")
    name = classes[turn // 2 % len(classes)]
    there = [key for key in keys if doubts[key].get(name, 0.0) > 0] or list(keys)
    scores = np.array([max(doubts[key].get(name, 0.0), 1e-6) for key in there])
    noise = rng.gumbel(size=len(there)) * _NOISE * 0.5 ** (turn / _SETTLES)
    key = there[int(np.argmax(np.log(scores) + noise))]
    return Choice(key, "uncertain", name, round(doubts[key].get(name, 0.0), 3))


def _farthest(keys: Sequence[str], done: Sequence[str], vectors: Mapping[str, Vector]) -> str:
    """The image whose nearest labelled neighbour is farthest away."""
    likeness = _stack(keys, vectors) @ _stack(done, vectors).T
    return keys[int(np.argmin(likeness.max(1)))]


def _typical(
    keys: Sequence[str], done: Sequence[str], vectors: Mapping[str, Vector], seed: int
) -> str:
    """The densest image of the largest cluster that has no labelled image."""
    everything = _stack([*keys, *done], vectors)
    clusters = min(len(done) + 1, len(everything))
    numbers = _clusters(everything, clusters, seed)
    taken = set(numbers[len(keys) :].tolist())
    mine = numbers[: len(keys)]
    sizes = np.bincount(mine, minlength=clusters).astype(float)
    sizes[list(taken)] *= 1e-3  # a covered cluster only when all are
    members = np.flatnonzero(mine == int(np.argmax(sizes)))
    inside = everything[members]
    likeness = np.sort(inside @ inside.T, axis=1)[:, ::-1]
    density = likeness[:, 1 : _NEIGHBOURS + 1].mean(1) if len(members) > 1 else np.ones(1)
    return keys[int(members[int(np.argmax(density))])]


def _clusters(vectors: Vector, count: int, seed: int) -> NDArray[np.int32]:
    """k-means by OpenCV: the number of each vector's cluster."""
    cv2.setRNGSeed(seed)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 30, 1e-4)
    none = np.empty((0,), np.int32)
    _, numbers, _ = cv2.kmeans(vectors, count, none, stop, 2, cv2.KMEANS_PP_CENTERS)
    return np.asarray(numbers.ravel(), np.int32)


def _stack(keys: Sequence[str], vectors: Mapping[str, Vector]) -> Vector:
    return np.stack([vectors[key] for key in keys])
