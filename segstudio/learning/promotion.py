"""Whether a candidate replaces the model in force: a paired test on the same images."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segstudio.learning.metrics import Confusion, or_zero

Mask = NDArray[np.bool_]
RESAMPLES: Final = 1000
AGREEMENT: Final = 0.8
MAJORITY: Final = 0.5
"""What is enough for a candidate that has learned from a quarter more images: ADR 40."""
_MORE: Final = 1.25
FEWEST_IMAGES: Final = 3
_SAVED: Final = 0.95
"""What a first model may leave to mend, of what the guesses leave: ADR 43."""
_WORSE: Final = 0.02
_CHUNK: Final = 100


@dataclass(frozen=True)
class Decision:
    """`gain` is candidate less incumbent in mIoU pooled over the images; `agreement` the share
    of bootstrap resamples that speak for the candidate; `worse` are sentences about losses. Of a
    first model, `guesses` is the mIoU of the guesses that were its incumbent."""

    promote: bool
    provisional: bool
    gain: float
    agreement: float
    images: int
    reason: str
    worse: tuple[str, ...] = ()
    guesses: float | None = None


def compare(
    candidate: Mapping[str, Confusion],
    incumbent: Mapping[str, Confusion] | None,
    classes: Sequence[str],
    seed: int = 0,
    new: Collection[str] = (),
    *,
    are_guesses: bool = False,
    learned: tuple[int, int] = (0, 0),
) -> Decision:
    """Compare confusion matrices by image; only images that both have count. Of a first model the
    incumbent is no model: with `are_guesses` it is what round 0 makes of the same labels.

    A class that is `new` to the incumbent and on no validation image yet is left out of both
    sides: the candidate alone could be wrong about it, and nothing could be right.

    Promotes when the gain is positive and at least 80 % of the resamples agree; the most of them,
    when the candidate has `learned` from a quarter more images than the incumbent (both numbers,
    the incumbent's last). Below 3 images a positive gain is enough, and the decision is
    provisional. NaN counts as 0.
    """
    if incumbent is None:
        return _first(candidate, len(classes) + 1)
    keys = sorted(candidate.keys() & incumbent.keys())
    k = len(classes) + 1
    fresh, old = (_stack([side[key] for key in keys], k) for side in (candidate, incumbent))
    unjudged = [name for name in classes if name in new and not _is_labelled(fresh, classes, name)]
    counted = np.array([True, *(name not in unjudged for name in classes)])
    new_score, old_score = _miou(fresh.sum(0), counted), _miou(old.sum(0), counted)
    gain = new_score - old_score
    agreement = _agreement(fresh, old, seed, counted)
    provisional = len(keys) < FEWEST_IMAGES
    more = 0 < _MORE * learned[1] <= learned[0]
    promote = gain > 0 and (provisional or agreement >= (MAJORITY if more else AGREEMENT))
    facts = promote, provisional, old_score, new_score, agreement, len(keys)
    if are_guesses:
        reason = _reason_of_first(*facts)
        return Decision(promote, provisional, gain, agreement, len(keys), reason, guesses=old_score)
    return Decision(
        promote,
        provisional,
        gain,
        agreement,
        len(keys),
        _reason(*facts) + _taught(more, *learned) + _unjudged(unjudged),
        _worse_classes(fresh.sum(0), old.sum(0), classes) + _worse_images(fresh, old, keys),
    )


def undecided(why: str) -> Decision:
    """There was no comparison: the candidate is kept, and no more."""
    return Decision(False, True, 0.0, 0.0, 0, why)


def unproven(decision: Decision, first: bool) -> Decision:
    """The decision when validation images were training images: only a first model is taken."""
    why = f"{decision.reason}; scored on training images only"
    return replace(decision, promote=first and decision.promote, provisional=True, reason=why)


def doubtful(decision: Decision, why: str) -> Decision:
    """The same decision, provisional: both models were scored on the same images, but not on
    fair ones."""
    return replace(decision, provisional=True, reason=f"{decision.reason}; {why}")


def with_mending(
    decision: Decision,
    candidate: Sequence[float],
    guesses: Sequence[float],
    nothing: Sequence[float],
    seed: int = 0,
) -> Decision:
    """The decision on a first model, which may also be better than the guesses in what they leave
    to mend (`mending`, of the same images in the same order): a mean over classes weighs a rare
    one as much as the road, and says nothing of specks; a person's work is the other way round.
    `nothing` is what one class everywhere would leave: bad guesses may leave more than that."""
    left = np.array([candidate, guesses, nothing], np.float64)
    ours, theirs, idle = left.sum(1)
    if decision.promote or not ours < _SAVED * min(theirs, idle):
        return decision
    draws = np.random.default_rng(seed).integers(0, left.shape[1], (RESAMPLES, left.shape[1]))
    resampled = left[:, draws].sum(2)
    agreement = float((resampled[0] < resampled[1:].min(0)).mean())
    if not decision.provisional and agreement < AGREEMENT:
        return decision
    word = "provisional: " if decision.provisional else ""
    miou = f"mIoU {decision.gain + (decision.guesses or 0.0):.3f} against {decision.guesses:.3f}"
    reason = (
        f"{word}first model, leaves less to mend than the guesses: {ours:,.0f} actions against "
        f"{theirs:,.0f} ({miou}) on {_images(decision.images)}"
    )
    return replace(decision, promote=True, agreement=agreement, reason=reason)


def with_precision(
    decision: Decision, candidate: Mapping[str, Any], incumbent: Mapping[str, Any]
) -> Decision:
    """The decision, with average precision that was lost among what is worse.

    It decides nothing: networks that class pixels have none, and both kinds must be comparable.
    """
    before, after = (side.get("ap50") for side in (incumbent, candidate))
    if before is None or after is None or before - after <= _WORSE:
        return decision
    lost = f"things found: AP50 {before:.3f} → {after:.3f}"
    return replace(decision, worse=(lost, *decision.worse))


def _first(candidate: Mapping[str, Confusion], k: int) -> Decision:
    miou = _miou(_stack(list(candidate.values()), k).sum(0))
    provisional = len(candidate) < FEWEST_IMAGES
    word = "provisional: " if provisional else ""
    reason = f"{word}first model, mIoU {miou:.3f} on {_images(len(candidate))}"
    return Decision(True, provisional, miou, 1.0, len(candidate), reason)


def _stack(confusions: Sequence[Confusion], k: int) -> NDArray[np.float64]:
    if not confusions:
        return np.zeros((0, k, k))
    return np.stack([confusion.counts for confusion in confusions]).astype(np.float64)


def _is_labelled(counts: NDArray[np.float64], classes: Sequence[str], name: str) -> bool:
    return bool(counts[:, 1 + classes.index(name)].any())


def _taught(more: bool, now: int, before: int) -> str:
    return f"; learned from {now} images, before from {before}" if more else ""


def _unjudged(names: Sequence[str]) -> str:
    return f"; on no validation image yet: {', '.join(names)}" if names else ""


def _miou(counts: NDArray[np.float64], counted: Mask | None = None) -> float:
    return or_zero(float(_mious(counts[None], counted)[0]))


def _mious(counts: NDArray[np.float64], counted: Mask | None = None) -> NDArray[np.float64]:
    """mIoU of each matrix of (r, k, k) over the classes that are `counted` (k,), NaN as 0."""
    hits = np.diagonal(counts, axis1=1, axis2=2)
    union = counts.sum(1) + counts.sum(2) - hits
    there = union > 0 if counted is None else (union > 0) & counted
    iou = np.divide(hits, union, out=np.zeros_like(hits), where=there)
    return np.asarray(iou.sum(1) / np.maximum(there.sum(1), 1))


def _agreement(
    new: NDArray[np.float64], old: NDArray[np.float64], seed: int, counted: Mask | None = None
) -> float:
    """The share of resamples of the images in which the new one scores higher."""
    images, k, _ = new.shape
    if images == 0:
        return 0.0
    rng = np.random.default_rng(seed)
    wins = 0
    for _ in range(RESAMPLES // _CHUNK):
        draws = rng.multinomial(images, np.full(images, 1 / images), size=_CHUNK)
        scores = [
            _mious((draws @ side.reshape(images, -1)).reshape(-1, k, k), counted)
            for side in (new, old)
        ]
        wins += int((scores[0] > scores[1]).sum())
    return wins / RESAMPLES


def _reason(
    promote: bool, provisional: bool, old: float, new: float, agreement: float, images: int
) -> str:
    change = f"mIoU {old:.3f} → {new:.3f} on {_images(images)}"
    if provisional:
        return f"provisional: {'better' if promote else 'not better'}, {change}"
    sure = f"{agreement:.0%} of resamples agree"
    if promote:
        return f"better: {change}, {sure}"
    return f"{'not surely better' if new > old else 'not better'}: {change}, {sure}"


def _reason_of_first(
    promote: bool, provisional: bool, old: float, new: float, agreement: float, images: int
) -> str:
    """Why a first model ends the guesses, or does not."""
    scores = f"mIoU {new:.3f} against {old:.3f} on {_images(images)}"
    word = "provisional: " if provisional else ""
    if promote:
        return f"{word}first model, better than the guesses: {scores}"
    surely = "surely " if new > old else ""
    return f"{word}not yet {surely}better than the guesses: {scores}; more confirmed images help"


def _images(count: int) -> str:
    return f"{count} validation image{'' if count == 1 else 's'}"


def _worse_classes(
    new: NDArray[np.float64], old: NDArray[np.float64], classes: Sequence[str]
) -> tuple[str, ...]:
    found = []
    for row, name in enumerate(["background", *classes]):
        before, after = (_class_iou(side, row) for side in (old, new))
        if before - after > _WORSE:
            found.append(f"class {name}: IoU {before:.3f} → {after:.3f}")
    return tuple(found)


def _class_iou(counts: NDArray[np.float64], row: int) -> float:
    union = counts[row].sum() + counts[:, row].sum() - counts[row, row]
    return float(counts[row, row] / union) if union else 0.0


def _worse_images(
    new: NDArray[np.float64], old: NDArray[np.float64], keys: Sequence[str]
) -> tuple[str, ...]:
    before, after = _mious(old), _mious(new)
    order = np.argsort(after - before)
    return tuple(
        f"image {keys[i]}: mIoU {before[i]:.3f} → {after[i]:.3f}"
        for i in order
        if before[i] - after[i] > _WORSE
    )
