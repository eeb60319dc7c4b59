"""Training while a person labels: in rounds, each ended by the promotion test. Loads no torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from segstudio.project import atomic
from segstudio.project.models import ModelInfo, best
from segstudio.project.project import Project

AFTER: Final = 5
"""Confirmed images before the first round."""
_SHORTEST: Final = 2.0
_LONGEST: Final = 10.0
_IMAGES_A_MINUTE: Final = 20
_LAST: Final = Path(".segstudio", "last-round.json")
_TRIED: Final = Path(".segstudio", "from-base")
_IN_VAIN: Final = 2
"""Rounds without a better model after which only new labels start another."""


@dataclass(frozen=True)
class Round:
    """One run of the trainer: `start_from` as in `TrainRequest`, `minutes` of wall clock."""

    start_from: str | None
    minutes: float
    images: int

    @property
    def is_from_base(self) -> bool:
        """Whether it begins anew, beside the model that was trained on and on."""
        return self.start_from == ""


def next_round(
    confirmed: int,
    models: Sequence[ModelInfo],
    in_vain: int = 0,
    after: int = AFTER,
    tried: int = 0,
    in_force: bool = True,
) -> Round | None:
    """What to train now, None when that is better left until there are more labels.

    `in_vain` counts the rounds since the last new label that brought nothing better, `tried` is
    how many images there were when one last began from the base weights, better or not. At each
    doubling of the images since the last model from the base weights, another one is tried: a
    network that is always trained on drifts (Cellpose 2, Pachitariu & Stringer 2022). As long as
    no model is `in_force`, a first one that was not better than the guesses is trained on. The
    promotion test decides as always.
    """
    if confirmed < after or in_vain >= _IN_VAIN:
        return None
    minutes = min(_LONGEST, _SHORTEST + confirmed / _IMAGES_A_MINUTE)
    if not models:
        return Round(None, minutes, confirmed)
    if confirmed >= 2 * max(after, tried, _learned_from_base(models)):
        return Round("", min(_LONGEST, 2 * minutes), confirmed)
    return Round(unfinished(models, in_force), minutes, confirmed)


def unfinished(models: Sequence[ModelInfo], in_force: bool) -> str | None:
    """The network that was not better than the guesses yet and is trained on as long as no model is
    in force: the newest, or a better one that was scored on as many images. None after a model was
    taken back."""
    if in_force or not models or not models[-1].is_unproven:
        return None
    images = models[-1].scores.get("images")
    rivals = (model for model in models if model.is_unproven)
    chosen = best(model for model in rivals if model.scores.get("images") == images)
    return chosen.id if chosen is not None else None


def learned_from(models: Sequence[ModelInfo]) -> int:
    """How many images the newest model has learned from, or was scored on."""
    return models[-1].learned_from if models else 0


def from_base_tried(project: Project) -> int:
    """How many images there were when a round last began from the base weights; 0 for never.

    Models say it too, but those that were not better are removed in time.
    """
    try:
        return int((project.root / _TRIED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0


def note_from_base(project: Project, images: int) -> None:
    """A round begins from the base weights."""
    atomic.write_text(project.root / _TRIED, str(images))


@dataclass(frozen=True)
class LastRound:
    """The last round of a project: the confirmed images that were there when it began, and whether
    it came to an end, good or bad."""

    learned: frozenset[str]
    is_over: bool


def last_round(root: Path) -> LastRound | None:
    """None when there was none, or nobody knows."""
    try:
        facts = json.loads((root / _LAST).read_text(encoding="utf-8"))
        return LastRound(frozenset(map(str, facts["learned"])), bool(facts["over"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def note_round(root: Path, learned: Iterable[str], is_over: bool) -> None:
    """A round begins, or is over; one that was cut off is told by this after a restart."""
    atomic.write_text(root / _LAST, json.dumps({"learned": sorted(learned), "over": is_over}))


def _learned_from_base(models: Sequence[ModelInfo]) -> int:
    """The most images that a model without a parent has learned from."""
    return max((model.learned_from for model in models if model.parent is None), default=0)
