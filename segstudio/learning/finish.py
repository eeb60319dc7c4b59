"""What is done to a network's scores before a person sees them, when that leaves less to mend.

A network that has learned from few pictures answers with ragged outlines and specks, each of which
costs a person an action. Scores that are smoothed along the edges of the picture, by a guided
filter or, with more time, by a dense CRF, have fewer of them, and specks can take the label around
them. None of it is good for everything: thin and small things may go. So what leaves the least to
mend on the validation images becomes part of the model (docs/adr/0041).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from segstudio.learning.mending import mending
from segstudio.learning.refine import Edges, absorbed, guided_filter
from segstudio.networks.crf import Kernels, mean_field

LARGEST: Final = 250_000
"""Pixels of the largest picture for which there is time for a CRF: some two seconds of one core."""
SPECKS: Final = (0.0, 3e-4, 1e-3)
"""What may be a speck, of the picture's pixels: 0, 50 and 170 px of 480x360."""
_KERNELS: Final = Kernels(reach=30.0)
"""Nearer than the authors' 80 px: that leaves less to mend of street scenes."""
_ROUNDS: Final = 5
_WINDOW: Final = 14
"""The guided filter's window is this part of the picture's shorter side, from 9 to 35 px."""
_GAIN: Final = 0.97
"""What has to be left to mend, of what is left by less."""


@dataclass(frozen=True)
class Finish:
    """Outlines are drawn to the edges of the picture, then parts of less than `specks` of its
    pixels take the label around them."""

    edges: Edges = "none"
    specks: float = 0.0

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Finish:
        """Nothing is done where the card says nothing that can be done."""
        edges, specks = card.get("edges"), card.get("specks")
        usable = edges in get_args(Edges) and isinstance(specks, int | float) and 0 <= specks < 1
        return cls(edges, float(specks)) if usable else cls()  # type: ignore[arg-type]


@dataclass(frozen=True)
class Finishes:
    """Of a model: when many pictures are to be read, and when there is time for one."""

    quick: Finish = Finish()
    careful: Finish = Finish()

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Finishes:
        return cls(*(Finish.from_card(card.get(name, {})) for name in ("quick", "careful")))

    def to_card(self) -> dict[str, Any]:
        return asdict(self)

    def of(self, pixels: int, *, careful: bool) -> Finish:
        """That of a picture of so many pixels; the quick one where there is no time for a CRF."""
        is_too_large = self.careful.edges == "crf" and pixels > LARGEST
        return self.careful if careful and not is_too_large else self.quick


UNTOUCHED: Final = Finishes()

Look = tuple[Tensor, Tensor, NDArray[np.int16]]
"""Logits (k, h, w), the picture (c, h, w) of 0..255, and the truth (h, w)."""


def _nothing() -> None:
    return


def drawn(
    labels: NDArray[np.integer],
    logits: Tensor,
    picture: Tensor,
    edges: Edges,
    check: Callable[[], None] = _nothing,
) -> NDArray[np.integer]:
    """The label map (h, w) for `logits` (k, h, w), of which `labels` are the best, along the edges
    of a picture (c, h, w) of 0..255; `check` is called between classes and may raise to give up."""
    if edges == "crf":  # its lattice is not for every device
        best = mean_field(logits.cpu(), picture.cpu(), _KERNELS, _ROUNDS).argmax(0)
        return np.asarray(best.numpy().astype(labels.dtype))
    if edges != "none":
        return _guided(logits.softmax(0).cpu(), picture.cpu(), check).astype(labels.dtype)
    return labels


def without_specks(labels: NDArray[np.integer], share: float) -> NDArray[np.integer]:
    """A label map (h, w) whose parts of less than that share of its pixels, or of `LARGEST`, have
    the label around them: in a large picture things are not larger, but more."""
    fewest = round(share * min(labels.size, LARGEST))
    return absorbed(labels, fewest) if fewest > 1 else labels


def _guided(shares: Tensor, picture: Tensor, check: Callable[[], None]) -> NDArray[np.int16]:
    """The best (h, w) of probabilities (k, h, w) that are smoothed where the picture (c, h, w) of
    0..255 is smooth; one class after the other, since pictures may be large."""
    guide = np.ascontiguousarray((picture.mean(0) / 255).numpy())
    side = max(9, min(*guide.shape, math.isqrt(LARGEST)) // _WINDOW) | 1
    found, most = np.zeros(guide.shape, np.int16), np.full(guide.shape, -np.inf, np.float32)
    for row, share in enumerate(shares.numpy()):
        check()
        smooth = guided_filter(guide, share, side)
        better = smooth > most
        found[better], most[better] = row, smooth[better]
    return found


def best_finishes(looks: Iterable[Look]) -> Finishes:
    """What leaves the least to mend, with and without a CRF; more is done only where that leaves
    clearly less."""
    left: dict[Finish, float] = {}
    for logits, picture, truth in looks:
        labels = logits.argmax(0).cpu().numpy().astype(np.int16)
        for edges in get_args(Edges):
            whole = drawn(labels, logits, picture, edges)
            for specks in SPECKS:
                how = Finish(edges, specks)
                rest = mending(without_specks(whole, specks), truth)
                left[how] = left.get(how, 0.0) + rest
    if not left:
        return UNTOUCHED
    quick = _least({how: rest for how, rest in left.items() if how.edges != "crf"}, Finish())
    return Finishes(quick, _least(left, quick))


def _least(left: Mapping[Finish, float], simplest: Finish) -> Finish:
    chosen = simplest
    for how, rest in left.items():
        if rest < _GAIN * left[chosen]:
            chosen = how
    return chosen
