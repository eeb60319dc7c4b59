"""Scores for a whole picture: in one pass when it fits, else in tiles blended by a Gaussian."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segstudio.learning.device import autocast, is_out_of_memory, layout
from segstudio.learning.finish import UNTOUCHED, Finishes, Look, drawn, without_specks
from segstudio.learning.interrupt import Interruptible
from segstudio.learning.normalise import Normalisation, Picture

if TYPE_CHECKING:
    from segstudio.learning.painting import Instance

T = TypeVar("T")
WHOLE_PIXELS: Final = {"cpu": 1_500_000, "cuda": 4_000_000, "mps": 2_000_000}
"""Pictures up to this many pixels go through in one pass."""
TILE: Final = {"cpu": 512, "cuda": 1024, "mps": 768}
SMALLEST_TILE: Final = 128
_GRID: Final = 32
"""Pixels: what most networks shrink pictures by at most."""
_SIGMA: Final = 1 / 8


@dataclass(frozen=True)
class Care:
    """How carefully a picture is read: by which share of their side tiles overlap, whether scores
    are the mean of those of the picture and of its mirror image, and whether there is time for the
    model's careful finish."""

    overlap: float
    mirrored: bool = False
    careful: bool = False


QUICK: Final = Care(0.25)
"""For many pictures."""
CAREFUL: Final = Care(0.25, careful=True)
"""For those that a person is about to look at."""
THOROUGH: Final = Care(0.5, mirrored=True, careful=True)
CARES: Final = {"quick": QUICK, "careful": CAREFUL, "thorough": THOROUGH}

Notice = Callable[[str], None]
Check = Callable[[], None]


def _nothing(*_: object) -> None:
    return


class Prediction(NamedTuple):
    """What a network says of a picture: model values 0..k-1 (h, w), and the margin p1 - p2 as
    0..255 (h, w) uint8.

    A network that finds things also gives all it found, the surest first, and `numbers` (h, w)
    uint16: which of them, from 1 on, is shown at a pixel, 0 where none is.
    """

    labels: NDArray[np.integer]
    margin: NDArray[np.uint8]
    instances: tuple[Instance, ...] | None = None
    numbers: NDArray[np.uint16] | None = None


class Reader(ABC):
    """A network in evaluation mode on a device, with what it needs to read pictures.

    Memory running out halves the tile, down to 128 pixels, then moves the network to the CPU;
    `notice` is told each time. `check` is called between layers and may raise to give up.
    """

    def __init__(
        self,
        network: nn.Module,
        normalisation: Normalisation,
        device: torch.device,
        *,
        notice: Notice = _nothing,
    ) -> None:
        self.network, self.normalisation, self.device = network, normalisation, device
        self._notice = notice
        self._interruptible = Interruptible(network)
        self._whole = WHOLE_PIXELS[device.type]
        self._tile = TILE[device.type]
        self._grid = math.lcm(_GRID, int(getattr(network, "divisor", 1)))

    def _parts(self, size: tuple[int, int], overlap: float) -> Iterator[tuple[slice, slice]]:
        """Rows and columns of the tiles of a picture of `size` (h, w)."""
        height, width = size
        for y, x in tile_corners(size, self._tile, overlap, self._grid):
            yield (
                slice(y, min(y + self._tile, height)),
                slice(x, min(x + self._tile, width)),
            )

    @abstractmethod
    def predict(
        self, inputs: NDArray[np.float32], care: Care = QUICK, check: Check = _nothing
    ) -> Prediction:
        """What the network says of inputs that are normalised already, (c, h, w) float32."""

    def read(self, picture: Picture, check: Check = _nothing) -> Prediction:
        """What the network says of a picture (h, w, 3)."""
        return self.predict(self.normalisation.apply(picture), check=check)

    def _with_retreat(
        self,
        picture: Tensor,
        check: Check,
        whole: Callable[[Tensor], T],
        tiled: Callable[[Tensor], T],
    ) -> T:
        """What `whole` gives where the picture is small enough, else `tiled`."""
        self._interruptible.check = check
        while True:
            try:
                if picture.shape[1] * picture.shape[2] <= self._whole:
                    check()
                    return whole(picture)
                return tiled(picture)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or not self._retreat():
                    raise

    def _run(self, picture: Tensor) -> Any:
        """The network's own answer for (c, h, w) as a batch of one."""
        inputs = picture.unsqueeze(0).to(self.device, memory_format=layout(self.device))
        with autocast(self.device):
            return self.network(inputs)

    def _retreat(self) -> bool:
        """Use less memory from now on; False when there is nothing left to try."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if self._whole > 0:
            self._whole = 0
            self._notice(f"Out of memory: predicting in tiles of {self._tile} pixels")
        elif self._tile > SMALLEST_TILE:
            self._tile //= 2
            self._notice(f"Out of memory: tiles are now {self._tile} pixels")
        elif self.device.type != "cpu":
            self.device = torch.device("cpu")
            self.network.to(self.device)
            self._tile = TILE["cpu"]
            self._notice("Out of memory on the GPU: predicting on the CPU")
        else:
            return False
        return True


class Inference(Reader):
    """A network that scores pixels. Confidence is that of the logits divided by `temperature`;
    it is the network's own also where a finish gives a pixel another label."""

    def __init__(
        self,
        network: nn.Module,
        normalisation: Normalisation,
        device: torch.device,
        *,
        notice: Notice = _nothing,
        temperature: float = 1.0,
        finishes: Finishes = UNTOUCHED,
    ) -> None:
        super().__init__(network, normalisation, device, notice=notice)
        self._temperature, self._finishes = temperature, finishes

    def predict(
        self, inputs: NDArray[np.float32], care: Care = QUICK, check: Check = _nothing
    ) -> Prediction:
        return Prediction(*self.decide(inputs, care, check))

    def label_map(
        self, picture: Picture, care: Care = QUICK, check: Check = _nothing
    ) -> tuple[NDArray[np.integer], NDArray[np.uint8]]:
        """Model values 0..k-1 (h, w) and the margin p1 - p2 as 0..255 (h, w) uint8."""
        return self.decide(self.normalisation.apply(picture), care, check)

    def decide(
        self, inputs: NDArray[np.float32], care: Care = QUICK, check: Check = _nothing
    ) -> tuple[NDArray[np.integer], NDArray[np.uint8]]:
        """`label_map` for inputs that are normalised already, (c, h, w) float32."""
        with torch.inference_mode():
            logits = self._tempered(self.logits(torch.from_numpy(inputs), care, check))
            best, margin = best_and_margin(logits)
            how = self._finishes.of(margin.numel(), careful=care.careful)
            labels: NDArray[np.integer] = best.cpu().numpy()
            if how.edges != "none":
                labels = drawn(labels, logits, self._pixels(inputs), how.edges, check)
            return without_specks(labels, how.specks), margin.cpu().numpy()

    def _pixels(self, inputs: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(self.normalisation.undo(inputs)).to(self.device)

    def look(self, picture: Picture, truth: NDArray[np.int16]) -> Look:
        """What `best_finishes` wants to know of a labelled picture (h, w, 3)."""
        inputs = self.normalisation.apply(picture)
        with torch.inference_mode():
            logits = self._tempered(self.logits(torch.from_numpy(inputs)))
            return logits, self._pixels(inputs), truth

    def _tempered(self, logits: Tensor) -> Tensor:
        return logits if self._temperature == 1.0 else logits / self._temperature

    def logits(self, picture: Tensor, care: Care = QUICK, check: Check = _nothing) -> Tensor:
        """(c, h, w) inputs to (k, h, w) float32 logits on the device."""
        logits = self._logits(picture, care, check)
        if care.mirrored:
            logits += self._logits(picture.flip(-1), care, check).flip(-1)
            logits /= 2
        return logits

    def _logits(self, picture: Tensor, care: Care, check: Check) -> Tensor:
        return self._with_retreat(
            picture, check, self._forward, lambda whole: self._tiled(whole, care.overlap, check)
        )

    def _forward(self, picture: Tensor) -> Tensor:
        logits: Tensor = self._run(picture)[0]
        return logits.float()

    def _tiled(self, picture: Tensor, overlap: float, check: Check) -> Tensor:
        height, width = picture.shape[1:]
        total: Tensor | None = None
        weight = torch.zeros(height, width, device=self.device)
        for part in self._parts((height, width), overlap):
            check()
            logits = self._forward(picture[:, part[0], part[1]])
            window = gaussian_window(*logits.shape[1:]).to(self.device)
            if total is None:
                total = torch.zeros(len(logits), height, width, device=self.device)
            total[:, part[0], part[1]] += logits * window
            weight[part] += window
        assert total is not None  # there is always a first tile
        return total.div_(weight)


def best_and_margin(logits: Tensor) -> tuple[Tensor, Tensor]:
    """(k, h, w) logits to the best class (uint8, int16 from 256 on) and p1 - p2 in 0..255."""
    kind = torch.uint8 if len(logits) <= 256 else torch.int16
    if len(logits) == 1:
        return torch.zeros_like(logits[0], dtype=kind), torch.full_like(
            logits[0], 255, dtype=torch.uint8
        )
    if len(logits) == 2:  # p1 - p2 = tanh(half the difference)
        difference = logits[1] - logits[0]
        margin = difference.abs().mul_(0.5).tanh_()
        return (difference > 0).to(kind), margin.mul_(255).round_().to(torch.uint8)
    probabilities = logits.softmax(0)
    first, best = probabilities.max(0)
    # the second best is what is left when the best is struck out: much faster than topk here
    second = probabilities.scatter_(0, best.unsqueeze(0), -1.0).amax(0)
    return best.to(kind), (first - second).mul_(255).round_().to(torch.uint8)


def tile_corners(
    size: tuple[int, int], tile: int, overlap: float, grid: int = _GRID
) -> Iterator[tuple[int, int]]:
    """Top-left corners (y, x) of tiles that cover `size` (h, w) and overlap by that share.

    Networks halve pictures, or look at blocks of them: tiles begin at multiples of `grid`, so that
    each is seen as that part of the whole picture would be. The last ones end with the picture, up
    to a grid's step shorter than `tile`, which is a multiple of it.
    """
    for y in _starts(size[0], tile, overlap, grid):
        for x in _starts(size[1], tile, overlap, grid):
            yield y, x


def _starts(side: int, tile: int, overlap: float, grid: int) -> list[int]:
    if side <= tile:
        return [0]
    last = math.ceil((side - tile) / grid) * grid
    steps = math.ceil(last / max(1.0, tile * (1 - overlap)))
    return [i * last // steps // grid * grid for i in range(steps + 1)]


def gaussian_window(height: int, width: int) -> Tensor:
    """Weights (h, w) falling from 1 in the middle, sigma an eighth of the side (nnU-Net)."""
    down, across = (
        torch.exp(-(((torch.arange(n) - (n - 1) / 2) / (n * _SIGMA)) ** 2) / 2)
        for n in (height, width)
    )
    return (down[:, None] * across).clamp(min=1e-4)
