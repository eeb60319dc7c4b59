"""Which images a new model looks at by itself: confirmed ones, to find labels that it contradicts,
and some others, to find what it is unsure of. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, zip_longest
from typing import Final
from zlib import crc32

from segstudio.project.project import Project, State
from segstudio.project.scan import ImageKey

CONFIRMED: Final = 200
"""Confirmed images that each model is compared with, the training side first."""
OTHERS: Final = 300
"""Images that nobody has labelled, drawn at random for each model."""


def glances(project: Project, model: str, states: Mapping[ImageKey, State]) -> list[ImageKey]:
    """The images that `model` has yet to look at, both kinds by turns.

    A model draws the same images each time it is asked, another model draws others. Large
    pictures, which take minutes, and drafts that were taken back are left out.
    """
    project.splits.reload()
    learned = set(project.splits.keys("train"))
    there = project.predictions.done(model) | project.runs.refused(model)
    keys = sorted(states, key=lambda key: crc32(f"{model}/{key}".encode()))
    confirmed = [key for key in keys if states[key] == "confirmed"]
    confirmed.sort(key=lambda key: key not in learned)
    others = [key for key in keys if states[key] in ("none", "draft")]
    mixed = chain(*zip_longest(confirmed[:CONFIRMED], others[:OTHERS], fillvalue=""))
    return [key for key in mixed if key and key not in there and not project.is_large(key)]
