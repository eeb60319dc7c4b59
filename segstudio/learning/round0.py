"""Round 0: a pixel classifier that learns from the first strokes in a fraction of a second.

A bank of filters on the picture's own pixels at several scales (as in ilastik, Berg et al. 2019,
and Trainable Weka Segmentation, Arganda-Carreras et al. 2017), where the weights of an encoder are
at hand also what that sees, and a small perceptron on them that is refitted, from where it was,
after every stroke.
"""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from segstudio.learning.finish import (
    Finish,
    Finishes,
    Look,
    best_finishes,
    drawn,
    without_specks,
)
from segstudio.learning.inference import best_and_margin
from segstudio.learning.metrics import VOID
from segstudio.learning.normalise import Picture

if TYPE_CHECKING:
    from segstudio.learning.encoded import Encoder

Rows = NDArray[np.int16]
"""(h, w): 0 background, 1..n classes, VOID (-1) where nobody said what it is."""
Floats = NDArray[np.float32]

_SCALES: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Sigmas of the bank, in pixels of the picture as it is looked at."""
FEATURES: Final = 4 + 7 * len(_SCALES)
MOST_PIXELS: Final = 1_000_000
"""A larger picture is looked at smaller: a preview need not see every pixel."""
_SAMPLES: Final = 1500
"""Labelled pixels kept of each class of each image."""
_HIDDEN: Final = 32
_FIRST_STEPS: Final = 150
_MORE_STEPS: Final = 40
_BATCH: Final = 1024
_LEARNING_RATE: Final = 0.02
_CHUNK: Final = 1 << 16
_FINISHES: Final = Finishes(Finish("guided", 3e-4), Finish("crf", 3e-4))
"""Until there are images that say what leaves least to mend."""
REMEMBERED: Final = 400_000_000
"""Bytes of filtered pictures that are kept for the next strokes; the last one is, however large."""


def filter_bank(picture: Picture) -> Floats:
    """(h, w, 3) uint8 to (FEATURES, h, w) float32: the colours, how far down a pixel is, and of
    each scale the smoothed colours, the gradient, the Laplacian, and the eigenvalues of the
    Hessian, all of about 1."""
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float32)
    colours = (lab - np.float32(128)) / np.float32(64)
    down = np.linspace(-1, 1, len(picture), dtype=np.float32)[:, None]
    planes = [*cv2.split(colours), np.broadcast_to(down, picture.shape[:2])]
    for sigma in _SCALES:
        planes += _at_scale(colours, sigma)
    return np.stack(planes)


def _at_scale(colours: Floats, sigma: float) -> list[Floats]:
    """Seven planes (h, w); a wide filter works on a smaller picture, where it costs no more."""
    height, width = colours.shape[:2]
    shrink = 2 ** max(0, round(math.log2(sigma)) - 1)
    small = _resized(colours, (max(1, width // shrink), max(1, height // shrink)), cv2.INTER_AREA)
    smooth = np.asarray(cv2.GaussianBlur(small, (0, 0), max(0.8, sigma / shrink)), np.float32)
    light = np.ascontiguousarray(smooth[..., 0])
    across, down = cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1)
    xx = cv2.Sobel(light, cv2.CV_32F, 2, 0)
    yy = cv2.Sobel(light, cv2.CV_32F, 0, 2)
    xy = cv2.Sobel(light, cv2.CV_32F, 1, 1)
    half, root = (xx + yy) / 2, np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    planes = [*cv2.split(smooth), cv2.magnitude(across, down), xx + yy, half + root, half - root]
    return [_resized(np.asarray(p, np.float32), (width, height), cv2.INTER_LINEAR) for p in planes]


def _resized(plane: Floats, size: tuple[int, int], how: int) -> Floats:
    """To (width, height)."""
    if (plane.shape[1], plane.shape[0]) == size:
        return plane
    return np.asarray(cv2.resize(plane, size, interpolation=how), np.float32)


@dataclass(frozen=True)
class _Samples:
    """Features (n, planes of the bank) and rows (n,) of labelled pixels of one image."""

    features: Floats
    rows: NDArray[np.int64]


@dataclass(eq=False)
class Round0:
    """Learns from labelled pixels of any number of images, predicts whole pictures.

    `classes` does not count the background; an `encoder` adds what it sees to the filter bank.
    Filtered pictures are kept while all are smaller than `remembered` bytes.
    Not shared between threads.
    """

    classes: int
    seed: int = 0
    encoder: Encoder | None = None
    remembered: int = REMEMBERED
    finishes: Finishes = _FINISHES
    _samples: dict[Hashable, _Samples] = field(default_factory=dict)
    _banks: OrderedDict[Hashable, Floats] = field(default_factory=OrderedDict)
    _network: nn.Module | None = None
    _fitted: set[Hashable] = field(default_factory=set)
    _mean: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    _spread: Floats = field(default_factory=lambda: np.zeros(0, np.float32))

    def take(self, key: Hashable, picture: Picture, labels: Rows) -> None:
        """Take in the labels of an image instead of those it had; `fit` learns from them."""
        bank = self._bank(key, picture)
        small = _shrunk_labels(labels, bank.shape[1:])
        self._samples[key] = _draw(bank, small, np.random.default_rng(self.seed))

    def forget(self, key: Hashable) -> None:
        """The image has no labels any more."""
        self._samples.pop(key, None)

    @property
    def ready(self) -> bool:
        """Whether there are two rows to tell apart."""
        return len({row for s in self._samples.values() for row in np.unique(s.rows)}) > 1

    def predict(
        self, key: Hashable, picture: Picture, careful: bool = False
    ) -> tuple[NDArray[np.integer], NDArray[np.uint8]]:
        """Rows (h, w) and the margin p1 - p2 as 0..255 (h, w) uint8, at the picture's size.

        `careful` when there is a second for it. RuntimeError before anything was learned.
        """
        with torch.inference_mode():
            logits = self._scores(key, picture)
            best, margin = (found.numpy() for found in best_and_margin(logits))
            how = self.finishes.of(best.size, careful=careful)
            whole = drawn(best, logits, _planes(picture), how.edges)
            rows = without_specks(whole, how.specks)
        size = picture.shape[1], picture.shape[0]
        if rows.shape == picture.shape[:2]:
            return rows, margin
        return (
            np.asarray(
                cv2.resize(rows.astype(np.int16), size, interpolation=cv2.INTER_NEAREST), np.int16
            ),
            np.asarray(cv2.resize(margin, size, interpolation=cv2.INTER_LINEAR), np.uint8),
        )

    def settle(self, labelled: Sequence[tuple[Hashable, Picture, Rows]]) -> None:
        """From now on finish guesses so that least is left to mend of these images, whose labels
        are known nearly everywhere."""
        self.finishes = best_finishes(self._look(*image) for image in labelled)

    def _look(self, key: Hashable, picture: Picture, labels: Rows) -> Look:
        with torch.inference_mode():
            logits = self._scores(key, picture)
        return logits, _planes(picture), _shrunk_labels(labels, logits.shape[1:])

    # ---------------------------------------------------------------------------------------------

    def _scores(self, key: Hashable, picture: Picture) -> torch.Tensor:
        if self._network is None:
            raise RuntimeError("Round 0 has learned nothing yet")
        return self._logits(self._network, self._bank(key, picture))

    def _bank(self, key: Hashable, picture: Picture) -> Floats:
        """The filtered picture; those of the last few are kept."""
        name = (key, picture.shape)
        if name not in self._banks:
            small = shrunk(picture, MOST_PIXELS)
            bank = filter_bank(small)
            if self.encoder is not None:
                bank = np.concatenate([bank, self.encoder.planes(small)])
            self._banks[name] = bank
            while len(self._banks) > 1 and self._held() > self.remembered:
                self._banks.popitem(last=False)
        self._banks.move_to_end(name)
        return self._banks[name]

    def _held(self) -> int:
        return sum(bank.nbytes for bank in self._banks.values())

    def fit(self, own: Hashable | None = None) -> None:
        """Learn from all that was taken; nothing when not `ready`.

        It goes on from what was known as long as the images are the same: others may look so
        different that what was learned, and the scale of what is seen, are in the way. Half of the
        samples are of the image `own`, whose guess is asked for, whatever the others say.
        """
        if not self.ready:
            self._network = None
            return
        features = np.concatenate([s.features for s in self._samples.values()])
        rows = torch.from_numpy(np.concatenate([s.rows for s in self._samples.values()]))
        fresh = self._network is None or self._fitted != set(self._samples)
        if self._network is None or fresh:
            self._fitted = set(self._samples)
            self._mean, self._spread = features.mean(0), features.std(0) + 1e-3
            self._network = _perceptron(features.shape[1], self.classes + 1, self.seed)
        inputs = torch.from_numpy((features - self._mean) / self._spread)
        counts = torch.bincount(rows, minlength=self.classes + 1).float()
        weights = torch.where(counts > 0, counts.sum() / counts.clamp(min=1), 0.0)
        weights /= weights.max()
        optimiser = torch.optim.AdamW(self._network.parameters(), _LEARNING_RATE, weight_decay=1e-2)
        chance = torch.Generator().manual_seed(self.seed)
        places = self._places(own, len(rows))
        for _ in range(_FIRST_STEPS if fresh else _MORE_STEPS):
            some = torch.randint(len(places), (min(_BATCH, len(places)),), generator=chance)
            some = places[some]
            loss = F.cross_entropy(self._network(inputs[some]), rows[some], weights)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimiser.step()

    def _places(self, own: Hashable | None, count: int) -> torch.Tensor:
        """Numbers of samples, those of one image so often that they are half of them."""
        everything = torch.arange(count)
        if own not in self._samples or len(self._samples) == 1:
            return everything
        before = itertools.takewhile(lambda key: key != own, self._samples)
        first = sum(len(self._samples[key].rows) for key in before)
        many = len(self._samples[own].rows)
        if not many:
            return everything
        again = max(0, (count - 2 * many) // many)
        return torch.cat([everything, everything[first : first + many].repeat(again)])

    def _logits(self, network: nn.Module, bank: Floats) -> torch.Tensor:
        """(rows, h, w); rows nobody has labelled can never win."""
        planes, height, width = bank.shape
        flat = bank.reshape(planes, -1)
        mean, spread = self._mean[:, None], self._spread[:, None]
        out = torch.empty(self.classes + 1, height * width)
        for start in range(0, height * width, _CHUNK):
            part = slice(start, start + _CHUNK)
            inputs = torch.from_numpy((flat[:, part] - mean) / spread)
            out[:, part] = network(inputs.T).T
        seen = {int(row) for s in self._samples.values() for row in np.unique(s.rows)}
        for row in set(range(self.classes + 1)) - seen:
            out[row] = -torch.inf
        return out.view(-1, height, width)


def _perceptron(inputs: int, outputs: int, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(inputs, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, outputs))


def _draw(bank: Floats, labels: Rows, rng: np.random.Generator) -> _Samples:
    """At most _SAMPLES pixels of each row, at random."""
    flat = bank.reshape(len(bank), -1)
    chosen: list[NDArray[np.intp]] = []
    for row in np.unique(labels[labels != VOID]):
        where = np.flatnonzero(labels == row)
        chosen.append(rng.choice(where, _SAMPLES, False) if len(where) > _SAMPLES else where)
    places = np.concatenate(chosen) if chosen else np.zeros(0, np.intp)
    return _Samples(
        np.ascontiguousarray(flat[:, places].T), labels.ravel()[places].astype(np.int64)
    )


def shrunk(picture: Picture, most: int) -> Picture:
    """A picture of at most about that many pixels; the picture itself when it has no more."""
    factor = math.sqrt(most / (picture.shape[0] * picture.shape[1]))
    if factor >= 1:
        return picture
    size = max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _planes(picture: Picture) -> torch.Tensor:
    """The picture as it is looked at, (3, h, w) of 0..255."""
    small = shrunk(picture, MOST_PIXELS)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(small, 2, 0))).float()


def _shrunk_labels(labels: Rows, shape: tuple[int, ...]) -> Rows:
    if labels.shape == shape:
        return labels
    size = shape[1], shape[0]
    return np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST), np.int16)
