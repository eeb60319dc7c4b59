"""Label maps that somebody else made of a project's pictures, to score a model against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segstudio.annotation.rasterise import VOID_16
from segstudio.annotation.shape import BACKGROUND_CLASS, IGNORE_CLASS
from segstudio.errors import UserError
from segstudio.formats import maps
from segstudio.formats.base import DEFAULT_NUMBERING, Legend, Meaning, Numbering, meanings
from segstudio.project.project import Project
from segstudio.project.scan import ImageKey, stem_of

_KNOWN = 0.5
"""Share of what maps show that must be classes of the project."""


@dataclass(frozen=True)
class Truth:
    """Label-map files by image, and what their values mean; `by_order` where nothing says it but
    the order of the project's classes."""

    project: Project
    files: Mapping[ImageKey, Path]
    names: maps.Names
    by_order: bool = False

    def read(self, key: ImageKey) -> NDArray[np.uint16]:
        """The project's class numbers (h, w), 0 for background, 65535 for void and for classes
        that the project does not have."""
        values = self.project.classes.values
        labels = maps.read_map(self.files[key])
        numbers = np.zeros(labels.shape[:2], np.uint16)
        for name, mask in maps.named_parts(labels, self.names):
            numbers[mask] = values.get(name, VOID_16)
        return numbers

    def check(self) -> None:
        """UserError when most of what the maps read so far show is no class of the project: they
        are pictures, maps of instances, or of other classes."""
        drawn = [m for m in self.meanings if m.name not in (BACKGROUND_CLASS, IGNORE_CLASS)]
        total = sum(meaning.share for meaning in drawn)
        known = sum(m.share for m in drawn if m.name in self.project.classes.values)
        if total and known < _KNOWN * total:
            others = ", ".join(m.name for m in drawn if m.name not in self.project.classes.values)
            share = f"{1 - known / total:.0%} of what they show is something else"
            raise UserError(
                f"These PNGs are no label maps of the project's classes: {share} ({others[:80]})",
                path=next(iter(self.files.values())).parent,
                remedy="Name the folder of label maps, one class a value; maps of instances can "
                "be imported into a project of their own first (--format instance_png).",
            )

    @property
    def readers(self) -> Mapping[ImageKey, Callable[[], NDArray[np.uint16]]]:
        return {key: partial(self.read, key) for key in self.files}

    @property
    def meanings(self) -> tuple[Meaning, ...]:
        """What the values of the maps read so far were taken for."""
        return meanings(self.names.legend)


def find_truth(project: Project, folder: Path, numbering: Numbering = DEFAULT_NUMBERING) -> Truth:
    """The PNG label maps of `folder` that have the stem of one of the project's pictures.

    Their values mean the classes that `numbering`, a file of names in the folder or the one
    above, or the order of the project's own classes says. UserError when there are none.
    """
    if not folder.is_dir():
        raise UserError("There is no such folder", path=folder)
    files = {file.stem: file for file in sorted(folder.rglob("*.png"))}
    found = {key: files[stem] for key in project.included() if (stem := _stem(key)) in files}
    if not found:
        raise UserError(
            "No PNG here has the name of one of the project's pictures",
            path=folder,
            remedy="Label maps need the pictures' stems: a.jpg and a.png",
        )
    legend: Legend = Counter()
    names = maps.find_names((folder, folder.parent), numbering, legend)
    if names.known:
        return Truth(project, found, names)
    own = replace(numbering, classes=project.classes.names)
    return Truth(project, found, maps.find_names((), own, legend), by_order=True)


def _stem(key: ImageKey) -> str:
    return Path(stem_of(key)).name
