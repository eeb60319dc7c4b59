"""How good a network is on labelled images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from segstudio.learning.inference import Reader
from segstudio.learning.metrics import Confusion
from segstudio.learning.precision import Compared, average_precision, compared
from segstudio.learning.samples import Item, Library


@dataclass(frozen=True)
class Scored:
    """One image's confusion matrix, for one version of its labels; of a network that finds
    things also what it found beside what is labelled; of guesses also how much is left to mend."""

    version: float
    confusion: Confusion
    things: Compared | None = None
    left: float | None = None


Scores = dict[str, Scored]


def score(
    reader: Reader,
    items: Sequence[Item],
    library: Library,
    check: Callable[[], None],
    classes: int,
    rows: NDArray[np.integer] | None = None,
) -> Scores:
    """Scores of the network on labelled images; `check` is called between tiles, and may raise.

    `rows` translates the network's rows to those of the labels, when they differ. A network that
    is not finite knows nothing: all it says is wrong.
    """
    knows = is_finite(reader.network)
    scores = {}
    for item in items:
        labelled = library.get(item)
        found = reader.read(labelled.picture, check)
        predicted = found.labels if rows is None else rows[found.labels]
        if not knows:
            predicted = (labelled.labels + 1) % (classes + 1)
        confusion = Confusion(classes + 1).add(predicted, labelled.labels)
        things = None
        if found.instances is not None and labelled.instances is not None:
            things = compared(found.instances, labelled.labels, labelled.instances, rows)
        scores[item.key] = Scored(item.version, confusion, things)
    return scores


def is_finite(network: nn.Module) -> bool:
    """Whether no weight and no statistic is infinite or NaN."""
    floats = [value for value in network.state_dict().values() if value.is_floating_point()]
    return all(bool(torch.isfinite(value).all()) for value in floats)


def pooled(scores: Scores, classes: int) -> Confusion:
    """The confusion matrix of all images together."""
    return Confusion.total((scored.confusion for scored in scores.values()), classes + 1)


def precision(scores: Scores, classes: Sequence[str]) -> dict[str, Any]:
    """Average precision over all images, empty where the network finds no things."""
    things = [scored.things for scored in scores.values() if scored.things is not None]
    return average_precision(things, classes) if things else {}
