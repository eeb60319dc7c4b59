"""Drafts that a model prepared before anybody asked for them: a later run takes them over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from segstudio.project.scan import ImageKey

_FOLDER: Final = Path(".segstudio", "prepared")


class Prepared:
    """What one model prepared; images are noted before their predictions are written."""

    def __init__(self, root: Path, model: str) -> None:
        self._file = root / _FOLDER / model

    def note(self, key: ImageKey) -> None:
        """The prediction of an image is being written, ahead of any wish for it."""
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
