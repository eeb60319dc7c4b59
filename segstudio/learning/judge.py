"""The model in force on the candidate's validation images, and which of the two is better.

Where no model is in force, the candidate competes with what it would end: the guesses of round 0.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segstudio.errors import Cancelled
from segstudio.learning import encoded, promotion, store
from segstudio.learning.device import DeviceReport
from segstudio.learning.finish import UNTOUCHED, without_specks
from segstudio.learning.inference import Reader
from segstudio.learning.loop import Control, Fit
from segstudio.learning.mending import mending
from segstudio.learning.metrics import VOID, Confusion
from segstudio.learning.normalise import Picture
from segstudio.learning.round0 import MOST_PIXELS, Round0
from segstudio.learning.samples import Item, Library
from segstudio.learning.scoring import Scored, Scores, is_finite, precision, score
from segstudio.learning.task import task_of
from segstudio.learning.trainingset import TrainingSet, spread
from segstudio.networks.fuse import fused
from segstudio.project.models import ModelInfo
from segstudio.project.project import Project

GUESSED_FROM: Final = 24
"""Training images that the guesses learn from: more would cost time, and add little to so small
a classifier."""
_GUESSED_PIXELS: Final = 6_000_000
"""Of these images in all, as round 0 looks at them: there are fewer large ones."""
_SPECK: Final = 1e-3
"""Share of a picture below which a part of a prediction is a speck."""
_FILTERING: Final = 0.5
"""Of the time of a guess: what round 0 needs to look at the picture."""


@dataclass(eq=False)
class Judge:
    """Scores of the model in force, or of the guesses, for the comparison at the end."""

    project: Project
    incumbent: ModelInfo | None
    library: Library
    data: TrainingSet
    control: Control
    report: DeviceReport
    scores: Scores = field(default_factory=dict)

    def seconds_of_a_guess(self) -> float:
        """What scoring costs for each image beside the candidate's own; 0 without guesses."""
        if self.incumbent is not None:
            return 0.0
        item = self.data.validation[0]
        labelled, round0 = self.library.get(item), _round0(self.data)
        began = time.monotonic()
        round0.take(item.key, labelled.picture, labelled.labels)
        return (time.monotonic() - began) / _FILTERING

    def score(self) -> None:
        """Score the model in force, else the guesses, on validation images whose labels they were
        not scored on."""
        known = {key: scored.version for key, scored in self.scores.items()}
        items = [i for i in self.data.validation if known.get(i.key) != i.version]
        if items and self.incumbent is None:
            self.scores |= guesses(self.data, items, self.library, self.control)
        elif items and self.incumbent is not None:
            self._score(self.incumbent, items)

    def _score(self, model: ModelInfo, items: Sequence[Item]) -> None:
        loaded = store.load_model(model)
        network = fused(loaded.network).to(self.report.device)
        task = task_of(loaded.architecture)
        self.scores |= score(
            task.reader(network, loaded.normalisation, self.report.device),
            items,
            self.library,
            self.control.check,
            len(self.data.classes),
            _rows_of(self._now(loaded.classes), self._now(self.data.classes)),
        )

    def _now(self, names: Sequence[str]) -> list[str]:
        """Classes by the names they have now: they may be renamed while a network trains."""
        return [self.project.classes.now(name) for name in names]

    def decide(self, fit: Fit, reader: Callable[[], Reader]) -> promotion.Decision:
        """Compare on the images for which both were scored against the same labels; `reader` asks
        the candidate.

        The comparison is with the model that is in force now: a person may have put another
        one there while this one trained.
        """
        current = self.project.models.current()
        renewed = (current.id if current else "") != (self.incumbent.id if self.incumbent else "")
        if renewed:
            self.incumbent, self.scores = current, {}
        if renewed and fit.stopped:
            return promotion.undecided(f"stopped before it was compared with {_named(current)}")
        try:
            if not fit.stopped:
                self.score()
        except Cancelled:
            return promotion.undecided(f"stopped before it was compared with {_named(current)}")
        known_scores = _matching(self.scores, fit.scores)
        guessed = current is None
        nothing = guessed and not self.scores  # not even a guess could be made
        old = None if nothing else {k: s.confusion for k, s in known_scores.items()}
        new = {key: scored.confusion for key, scored in fit.scores.items()}
        known = self._now(self.data.classes if current is None else current.classes)
        names = zip(self.data.classes, self._now(self.data.classes), strict=True)
        unknown = [name for name, now in names if now not in known]
        decision = promotion.compare(
            new,
            old,
            self.data.classes,
            new=unknown,
            are_guesses=guessed,
            learned=(len(self.data.train), _taught(current)),
        )
        if guessed and not fit.stopped:
            decision = self._by_mending(decision, known_scores, reader)
        found = {key: fit.scores[key] for key in known_scores}
        decision = promotion.with_precision(
            decision, *(precision(side, self.data.classes) for side in (found, known_scores))
        )
        if self.data.lent:
            return promotion.unproven(decision, current is None)
        return promotion.doubtful(decision, self.data.doubt) if self.data.doubt else decision

    def _by_mending(
        self, decision: promotion.Decision, guessed: Scores, reader: Callable[[], Reader]
    ) -> promotion.Decision:
        """What the candidate and the guesses leave to mend, where mIoU speaks for the guesses."""
        items = [item for item in self.data.validation if item.key in guessed]
        theirs = [guessed[item.key].left or 0.0 for item in items]
        if decision.promote or not items:
            return decision
        ours, nothing = [], []
        try:
            asked = reader()
            if not is_finite(asked.network):
                return decision
            for item in items:
                labelled = self.library.get(item)
                found = asked.read(labelled.picture, self.control.check)
                ours.append(_left(found.labels, labelled.labels))
                nothing.append(_left_by_nothing(labelled.labels))
        except (Cancelled, RuntimeError, MemoryError):  # the model is worth more than this test
            return decision
        return promotion.with_mending(decision, ours, theirs, nothing)


def _left(rows: NDArray[np.integer], truth: NDArray[np.int16]) -> float:
    """What is left to mend once specks are gone, which no way of finishing leaves."""
    return mending(without_specks(rows, _SPECK), truth)


def _left_by_nothing(truth: NDArray[np.int16]) -> float:
    """What is left to mend where one class is said to be everywhere: none, or the one that is most
    of the picture."""
    known = truth[truth != VOID]
    most = int(np.bincount(known).argmax()) if known.size else 0
    return min(mending(np.full_like(truth, row), truth) for row in {0, most})


def _taught(model: ModelInfo | None) -> int:
    """How many images a model has learned from; 0 where nobody knows."""
    found = {} if model is None else model.card.get("images", {})
    number = found.get("train") if isinstance(found, dict) else None
    return number if isinstance(number, int) else 0


def _named(model: ModelInfo | None) -> str:
    return "the guesses" if model is None else model.id


def guesses(data: TrainingSet, items: Sequence[Item], library: Library, control: Control) -> Scores:
    """Scores of round 0, fitted on the training images, on other items; none where these say too
    little for a guess. Raises Cancelled when stopped."""

    round0 = _round0(data)
    for item in spread(data.train, _affordable(library.get(data.train[0]).picture)):
        control.check()
        labelled = library.get(item)
        round0.take(item.key, labelled.picture, labelled.labels)
    if not round0.ready:
        return {}
    round0.fit()
    scores = {}
    for item in items:
        control.check()
        labelled = library.get(item)
        rows, _ = round0.predict(item.key, labelled.picture)
        confusion = Confusion(len(data.classes) + 1).add(rows, labelled.labels)
        left = _left(rows, labelled.labels)
        scores[item.key] = Scored(item.version, confusion, left=left)
    return scores


def _round0(data: TrainingSet) -> Round0:
    """Every picture is looked at once: none is remembered. It competes as networks do, whose
    answers are not finished either."""
    return Round0(len(data.classes), encoder=encoded.at_hand(), remembered=0, finishes=UNTOUCHED)


def _affordable(picture: Picture) -> int:
    """How many training images like this one the guesses learn from."""
    pixels = min(picture.size // 3, MOST_PIXELS)
    return min(GUESSED_FROM, max(1, _GUESSED_PIXELS // pixels))


def _rows_of(classes: Sequence[str], wanted: Sequence[str]) -> np.ndarray[Any, Any]:
    """From rows of one model to rows for other classes, several to one when classes were merged;
    a foreign class becomes background."""
    rows = {name: row for row, name in enumerate(wanted, start=1)}
    return np.array([0, *(rows.get(name, 0) for name in classes)], np.int16)


def _matching(scores: Scores, other: Scores) -> Scores:
    def same(key: str, scored: Scored) -> bool:
        return key in other and other[key].version == scored.version

    return {key: scored for key, scored in scores.items() if same(key, scored)}
