"""How many things touch another of their class: what connected parts cannot tell apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segstudio.errors import UserError
from segstudio.project.project import Project

_IMAGES: Final = 3
"""Confirmed images looked at, evenly spaced: a hint is wanted, at once."""
_PIXELS: Final = 2_000_000
"""Larger pictures are not looked at."""


def share_touching(project: Project) -> float:
    """The share of the things on a few confirmed images that touch another, 0..1."""
    keys = project.confirmed_keys()
    counts = [
        count_touching(*maps) for maps in _maps(project, keys[:: -(-len(keys) // _IMAGES) or 1])
    ]
    things = sum(count for _, count in counts)
    return sum(touching for touching, _ in counts) / things if things else 0.0


def _maps(project: Project, keys: list[str]) -> Iterable[tuple[NDArray[np.integer], ...]]:
    for key in keys:
        try:
            width, height = project.image_size(key)
            if width * height <= _PIXELS:
                labels, instances = project.training_maps(key, True)
                if instances is not None:
                    yield labels, instances
        except UserError:  # a hint may leave out what cannot be read; training names it
            continue


def count_touching(labels: NDArray[np.integer], instances: NDArray[np.integer]) -> tuple[int, int]:
    """How many things touch another of their class, side by side or one above the other, of how
    many."""
    found = [np.zeros(0, instances.dtype)]
    for one, other in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        a, b = instances[one], instances[other]
        meet = (a != b) & (a > 0) & (b > 0) & (labels[one] == labels[other])
        found += [a[meet], b[meet]]
    return len(np.unique(np.concatenate(found))), len(np.unique(instances[instances > 0]))
