"""Labelled pictures in memory, and the thread that makes training batches of them."""

from __future__ import annotations

import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segstudio.learning.augment import Augmentation, Crop, Cropper, Floats, Labels, Things
from segstudio.learning.metrics import VOID
from segstudio.learning.normalise import Normalisation, Picture

MEMORY_BUDGET: Final = 2**30
"""Bytes of decoded pictures and labels kept; the rest is read again when needed."""
_POINTS: Final = 2000
"""Pixels of each class remembered for each picture, to centre crops on."""
_AHEAD: Final = 3
_MOST_TIMES: Final = 8
"""How often a large picture is drawn for each time the smallest is."""


class Labelled(NamedTuple):
    """A picture (h, w, 3) uint8, its labels (h, w) int16, and where they are wanted loss weights
    (h, w) and the instance of every pixel (h, w), 0 for none."""

    picture: Picture
    labels: Labels
    weights: Floats | None = None
    instances: Things | None = None


@dataclass(frozen=True)
class Item:
    """A labelled image of so many `pixels` that can be read when needed; `corrected` are
    centres (x, y) of shapes that a person corrected, `version` changes when the labels do."""

    key: str
    read: Callable[[], Labelled]
    version: float = 0.0
    corrected: tuple[tuple[float, float], ...] = ()
    pixels: int = 1


class Batch(NamedTuple):
    """inputs (n, 3, s, s) float32, labels (n, s, s) int64, weights (n, s, s) float32 or None, and
    the instance of every pixel (n, s, s) int32, VOID outside the picture, or None."""

    inputs: Floats
    labels: NDArray[np.int64]
    weights: Floats | None
    instances: Things | None = None


@dataclass(frozen=True)
class Sampling:
    """How crops are drawn; shares are 0..1 and what is left is uniform."""

    batch: int
    crop: int
    focused: float = 0.4
    corrected: float = 0.1
    newest: float = 0.5
    newest_images: int = 8


class _Known(NamedTuple):
    """What is remembered of a picture after its pixels have left the memory."""

    points: Mapping[int, NDArray[np.int32]]
    unit_range: tuple[float, float]
    size: tuple[int, int]
    partly: bool


@dataclass(eq=False)
class Library:
    """Items by key, decoded within a memory budget, least recently used dropped first.

    The sampling thread and the validation may ask at the same time.
    """

    items: Sequence[Item]
    normalisation: Normalisation
    budget: int = MEMORY_BUDGET
    _pixels: OrderedDict[tuple[str, float], Labelled] = field(default_factory=OrderedDict)
    _known: dict[tuple[str, float], _Known] = field(default_factory=dict)
    _held: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, item: Item) -> Labelled:
        name = (item.key, item.version)
        with self._lock:
            found = self._pixels.get(name)
        if found is None:
            found = item.read()  # takes long: the other thread need not wait
        with self._lock:
            self._keep(name, found)
        return found

    def _keep(self, name: tuple[str, float], labelled: Labelled) -> None:
        if name not in self._pixels:
            self._held += _bytes(labelled)
            self._pixels[name] = labelled
        self._pixels.move_to_end(name)
        while self._held > self.budget and len(self._pixels) > 1:
            self._held -= _bytes(self._pixels.popitem(last=False)[1])

    def known(self, item: Item) -> _Known:
        name = (item.key, item.version)
        if name not in self._known:
            self._known[name] = _study(self.get(item), self.normalisation)
        return self._known[name]


def _bytes(labelled: Labelled) -> int:
    return sum(part.nbytes for part in labelled if part is not None)


def _study(labelled: Labelled, normalisation: Normalisation) -> _Known:
    labels = labelled.labels
    rng = np.random.default_rng(labels.size)
    points = {}
    for value in np.unique(labels):
        if value != VOID:
            where = np.flatnonzero(labels == value)
            where = rng.choice(where, _POINTS, replace=False) if len(where) > _POINTS else where
            down, across = np.divmod(where, labels.shape[1])
            points[int(value)] = np.column_stack([across, down]).astype(np.int32)
    known = float((labels != VOID).mean())
    return _Known(points, normalisation.unit_range(labelled.picture), labels.shape[:2], known < 0.5)


class Sampler:
    """Draws batches; every draw follows from the seed. Not shared between threads."""

    def __init__(
        self,
        library: Library,
        sampling: Sampling,
        augmentation: Augmentation,
        seed: int,
        since: float = np.inf,
    ) -> None:
        """Items with a version after `since` are new: they fill `sampling.newest` of a batch."""
        self.library, self.sampling = library, sampling
        self._rng = np.random.default_rng(seed)
        self._cropper = Cropper(sampling.crop, augmentation, library.normalisation, self._rng)
        self._deck: list[int] = []
        by_age = sorted(range(len(library.items)), key=lambda i: library.items[i].version)
        fresh = [i for i in by_age if library.items[i].version > since]
        self._newest = fresh[-sampling.newest_images :]

    def batch(self) -> Batch:
        crops = [self._crop() for _ in range(self.sampling.batch)]
        inputs = np.stack([crop.inputs for crop in crops])
        labels = np.stack([crop.labels for crop in crops]).astype(np.int64)
        weights = [crop.weights for crop in crops if crop.weights is not None]
        if weights:
            ones = np.ones(labels.shape[1:], np.float32)
            weights = [ones if crop.weights is None else crop.weights for crop in crops]
        things = [crop.instances for crop in crops if crop.instances is not None]
        return Batch(
            inputs,
            labels,
            np.stack(weights) if weights else None,
            np.stack(things) if things else None,
        )

    def _crop(self) -> Crop:
        item = self._draw_item()
        known = self.library.known(item)
        labelled = self.library.get(item)
        return self._cropper.crop(
            labelled.picture,
            labelled.labels,
            self._centre(item, known),
            known.unit_range,
            labelled.weights,
            labelled.instances,
        )

    def _draw_item(self) -> Item:
        """Partly from the new images when there are older ones, else each in turn, shuffled."""
        items = self.library.items
        if len(items) > len(self._newest) > 0 and self._rng.random() < self.sampling.newest:
            return items[int(self._rng.choice(self._newest))]
        if not self._deck:
            self._deck = self._rng.permutation(self._shares()).tolist()
        return items[self._deck.pop()]

    def _shares(self) -> NDArray[np.intp]:
        """Each image once, one of n times the smallest's pixels sqrt(n) times: a large picture
        has more to teach, though not n times more."""
        areas = np.array([item.pixels for item in self.library.items])
        times = np.sqrt(areas / areas.min()).round().clip(1, _MOST_TIMES)
        return np.repeat(np.arange(len(areas)), times.astype(int))

    def _centre(self, item: Item, known: _Known) -> tuple[float, float]:
        draw = self._rng.random()
        if item.corrected and draw < self.sampling.corrected:
            return item.corrected[int(self._rng.integers(len(item.corrected)))]
        classes = [value for value in known.points if value != 0]
        if classes and draw < self.sampling.corrected + self.sampling.focused:
            return self._point(known.points[classes[int(self._rng.integers(len(classes)))]])
        if known.partly and known.points:  # a uniform place would mostly be unlabelled
            return self._point(np.concatenate(list(known.points.values())))
        height, width = known.size
        return float(self._rng.uniform(0, width)), float(self._rng.uniform(0, height))

    def _point(self, points: NDArray[np.int32]) -> tuple[float, float]:
        x, y = points[int(self._rng.integers(len(points)))]
        return float(x), float(y)


class Prefetch:
    """Batches made ahead by one thread. Use as a context manager; leaving it ends the thread.

    An error in the thread is raised by the next `get`.
    """

    def __init__(self, make: Callable[[], Batch], ahead: int = _AHEAD) -> None:
        self._make = make
        self._ready: queue.Queue[Batch | BaseException] = queue.Queue(ahead)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="samples", daemon=True)

    def __enter__(self) -> Prefetch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        while self._thread.is_alive():  # it may wait for room in the queue
            self._drain()
            self._thread.join(0.01)

    def get(self) -> Batch:
        """The next batch, in the order it was drawn."""
        batch = self._ready.get()
        if isinstance(batch, BaseException):
            raise batch
        return batch

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                made: Batch | BaseException = self._make()
            except BaseException as error:  # handed to the thread that asks
                made = error
            self._ready.put(made)
            if isinstance(made, BaseException):
                return

    def _drain(self) -> None:
        while not self._ready.empty():
            try:
                self._ready.get_nowait()
            except queue.Empty:
                return
