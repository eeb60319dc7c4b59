"""Frames of one film in a folder of pictures: which came before which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from segstudio.project.grouping import are_frames
from segstudio.project.scan import ImageKey

if TYPE_CHECKING:
    from segstudio.project.project import Project

FRAME_BEFORE: Final = "frame-before"
"""Stands where a model's id does for drafts that come from the labels of a frame before."""
FARTHEST: Final = 30
"""Frames back that are looked at for labels."""


def before(keys: Sequence[ImageKey], key: ImageKey, most: int = FARTHEST) -> list[ImageKey]:
    """The frames before an image in the order of `keys`, the nearest first; none where it is no
    frame: names of frames differ in their last number only, and by little from one to the next."""
    place = keys.index(key) if key in keys else 0
    found: list[ImageKey] = []
    while place > 0 and len(found) < most and are_frames(keys[place - 1], keys[place]):
        place -= 1
        found.append(keys[place])
    return found


def way_back(
    project: Project,
    key: ImageKey,
    least: int = 1,
    is_labelled: Callable[[ImageKey], bool] | None = None,
) -> list[ImageKey]:
    """An image, the frames before it, up to the nearest that has labels and is `least` frames
    back or more; [] when none is. What has labels is looked for on the disk."""
    labelled = is_labelled or (lambda one: project.label_stamp(one) is not None)
    way = [key]
    for earlier in before(project.included(), key):
        way.append(earlier)
        if len(way) > least and labelled(earlier):
            return way
    return []


def is_expected(
    project: Project, key: ImageKey, is_labelled: Callable[[ImageKey], bool] | None = None
) -> bool:
    """Whether drafts of an image may come from a frame before: nobody has labelled it or seen
    other drafts of it, it is neither blind nor large, and a frame before it has labels."""
    if project.label_stamp(key) is not None or project.is_blind(key) or project.is_large(key):
        return False
    predictions = project.predictions
    others = (model for model in predictions.models() if model != FRAME_BEFORE)
    seen = any(predictions.paths(model, key).shown.exists() for model in others)
    return not seen and bool(way_back(project, key, is_labelled=is_labelled))
