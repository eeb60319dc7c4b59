"""Temperature scaling: confidence that means what it says (Guo et al. 2017, arXiv 1706.04599)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from segstudio.learning.inference import Inference
from segstudio.learning.metrics import VOID
from segstudio.learning.samples import Item, Library

IMAGES: Final = 12
"""Validation images looked at."""
_PIXELS: Final = 4000
"""Pixels taken of each, at random: neighbours say the same again."""
_COLDEST, _HOTTEST = 0.2, 8.0
_HALVINGS: Final = 30


def temperature_of(inference: Inference, items: Sequence[Item], library: Library) -> float:
    """The temperature for a network on labelled images it has not learned from; 1 without any.

    May raise what `inference` raises to give up.
    """
    rng = np.random.default_rng(0)
    logits, labels = [], []
    for item in items[:IMAGES]:
        labelled = library.get(item)
        known = np.flatnonzero(labelled.labels != VOID)
        if not len(known):
            continue
        chosen = rng.choice(known, min(_PIXELS, len(known)), replace=False)
        inputs = torch.from_numpy(inference.normalisation.apply(labelled.picture))
        with torch.inference_mode():
            found = inference.logits(inputs).flatten(1).cpu()
        logits.append(found[:, torch.from_numpy(chosen)].T)
        labels.append(torch.from_numpy(labelled.labels.ravel()[chosen].astype(np.int64)))
    if not logits:
        return 1.0
    return fit_temperature(torch.cat(logits), torch.cat(labels))


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """What to divide `logits` (n, k) by so that the likelihood of `labels` (n,) is highest.

    The likelihood has one maximum in the inverse temperature; its slope is halved upon.
    """
    if not len(labels):
        return 1.0
    logits = logits.double()
    low, high = np.log(1 / _HOTTEST), np.log(1 / _COLDEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _slope(logits, labels, float(np.exp(middle))) > 0:
            high = middle
        else:
            low = middle
    return round(float(np.exp(-(low + high) / 2)), 3)


def _slope(logits: Tensor, labels: Tensor, inverse: float) -> float:
    """The derivative of the mean cross-entropy by the inverse temperature."""
    shares = F.softmax(logits * inverse, dim=1)
    expected = (shares * logits).sum(1)
    return float((expected - logits.gather(1, labels[:, None])[:, 0]).mean())


def expected_calibration_error(sure: Tensor, right: Tensor, bins: int = 15) -> float:
    """Mean gap between confidence `sure` (n,) in 0..1 and accuracy `right` (n,) bool, by bins
    of confidence (Naeini et al. 2015)."""
    place = (sure * bins).long().clamp(0, bins - 1)
    gaps = torch.zeros(bins, dtype=torch.double)
    gaps.index_add_(0, place, sure.double() - right.double())
    return float(gaps.abs().sum() / max(1, len(sure)))
