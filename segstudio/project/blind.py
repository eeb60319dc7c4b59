"""Blind images: a few whose drafts stay hidden until a person has confirmed them.

People accept what they are shown, so agreement with a draft that was seen flatters the model. On
blind images nobody has seen it, and the agreement is honest.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from segstudio.project.reviews import Review
from segstudio.project.scan import ImageKey

if TYPE_CHECKING:
    from segstudio.project.project import Project

USUAL: Final = 0.05
"""The share of images that is enough to tell, and costs little."""


def is_chosen(key: ImageKey, share: float) -> bool:
    """Whether an image is among this share; with a larger share it still is."""
    digest = hashlib.sha256(key.encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def is_blind(project: Project, key: ImageKey) -> bool:
    """Whether drafts of an image are to be hidden: it is chosen, and nobody has seen any yet."""
    if not is_chosen(key, project.manifest.blind):
        return False
    review = project.reviews.load(key)
    if review is not None and (review.shown or review.blind):
        return review.blind
    return not project.predictions.was_shown(key)  # drafts looked at leave no review


def freeze(project: Project, key: ImageKey, model: str) -> None:
    """Keep what would have been shown of a blind image, as what is shown is kept."""
    review = project.reviews.load(key) or Review()
    if review.shown != model or not review.blind:
        review = replace(review, model=model, shown=model, blind=True)
        project.reviews.save(key, review)
    project.predictions.mark_shown(model, key)
