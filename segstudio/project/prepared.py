"""Notes about drafts that a model made one by one: before anybody asked for them, or with care."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from segstudio.project.scan import ImageKey

if TYPE_CHECKING:
    from segstudio.project.models import ModelInfo
    from segstudio.project.project import Project


class Noted:
    """Images of one model; they are noted before their predictions are written."""

    def __init__(self, root: Path, kind: str, model: str) -> None:
        self._file = root / ".segstudio" / kind / model

    def note(self, key: ImageKey) -> None:
        """The prediction of an image is being written."""
        if key not in self.keys():
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(key) + "\n")

    def keys(self) -> set[ImageKey]:
        """The images; a last line that was not finished is left out."""
        try:
            lines = self._file.read_text(encoding="utf-8").split("\n")[:-1]
            return {str(json.loads(line)) for line in lines}
        except (OSError, ValueError):
            return set()


def prepared(root: Path, model: str) -> Noted:
    """What nobody had asked for: a later run takes it over."""
    return Noted(root, "prepared", model)


def careful(root: Path, model: str) -> Noted:
    """What a person was about to look at."""
    return Noted(root, "careful", model)


def lacking_care(
    project: Project, model: ModelInfo, *, thorough: bool = False
) -> Callable[[ImageKey], bool]:
    """Whether an image has no prediction of a model, or one that nobody has seen and that was made
    with less care: thoroughly, else so that it shows the model's careful finish."""
    there = project.predictions
    done = project.runs.standing(model.id, thorough=True)
    if not thorough:
        finish = model.card.get("finish", {})
        if finish.get("careful") == finish.get("quick"):
            return lambda key: not there.has(model.id, key)
        done |= careful(project.root, model.id).keys()
    return lambda key: (
        not there.has(model.id, key) or not (key in done or there.is_seen(model.id, key))
    )
