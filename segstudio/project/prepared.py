"""Notes about drafts that a model made one by one: before anybody asked for them, or with care."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from segstudio.project.scan import ImageKey

if TYPE_CHECKING:
    from segstudio.project.models import ModelInfo
    from segstudio.project.project import Project

_THOROUGH: Final = "thorough"


class _Lines:
    """JSON values, one a line, in a file that grows; a last line that was not finished is none."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def append(self, value: Any) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(value) + "\n")

    def __iter__(self) -> Iterator[Any]:
        try:
            lines = self._file.read_text(encoding="utf-8").split("\n")[:-1]
        except (OSError, ValueError):
            return
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:  # cut off, and written on after that
                continue


class Prepared:
    """What a model predicted and nobody had asked for: a later run takes it over.

    Images are noted before their predictions are written.
    """

    def __init__(self, root: Path, model: str) -> None:
        self._lines = _Lines(root / ".segstudio" / "prepared" / model)
        self._known: set[ImageKey] | None = None

    def note(self, key: ImageKey) -> None:
        """The prediction of an image is being written."""
        if self._known is None:
            self._known = self.keys()
        if key not in self._known:
            self._lines.append(key)
            self._known.add(key)

    def keys(self) -> set[ImageKey]:
        """The images, also those that another process noted."""
        return set(map(str, self._lines))


class Cares:
    """How carefully the predictions of one model were made: "careful", which is how a person sees
    them one by one, or "thorough"; of others nothing is noted.

    A note is written after the prediction, with the time and size of its margin, and is none when
    these are others: then the prediction was made anew.
    """

    def __init__(self, project: Project, model: str) -> None:
        self._project, self._model = project, model
        self._lines = _Lines(project.root / ".segstudio" / "care" / model)

    def note(self, key: ImageKey, care: str) -> None:
        """The prediction of an image has been written."""
        self._lines.append([key, care, *(self._project.predictions.stamp(self._model, key) or ())])

    def keys(self, *, thorough: bool = False) -> set[ImageKey]:
        """The images whose predictions were made with care, or only those with all of it."""
        stamp = self._project.predictions.stamp
        notes = {line[0]: line[1:] for line in self._lines if isinstance(line, list) and line[1:]}
        wanted = (_THOROUGH,) if thorough else ("careful", _THOROUGH)
        return {
            key
            for key, (care, *known) in notes.items()
            if care in wanted and tuple(known) == stamp(self._model, key)
        }


def lacking_care(
    project: Project, model: ModelInfo, *, thorough: bool = False
) -> Callable[[ImageKey], bool]:
    """Whether an image has no prediction of a model, or one that nobody has seen and that was made
    with less care: thoroughly, else so that it shows the model's careful finish."""
    there = project.predictions
    finish = model.card.get("finish", {})
    if not thorough and finish.get("careful") == finish.get("quick"):
        return lambda key: not there.has(model.id, key)
    done = Cares(project, model.id).keys(thorough=thorough)
    return lambda key: (
        not there.has(model.id, key) or not (key in done or there.is_seen(model.id, key))
    )
