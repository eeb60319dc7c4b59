"""Round 0 in the predictor: what it has learned of which label files, kept between requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from segstudio.engine import protocol
from segstudio.errors import UserError
from segstudio.networks import weights
from segstudio.project import atomic
from segstudio.project.index import Stamp, stamp
from segstudio.project.manifest import FILE_NAME
from segstudio.project.project import Project

if TYPE_CHECKING:
    from segstudio.learning.encoded import Encoder
    from segstudio.learning.round0 import Round0

FOLDER: Final = Path(".segstudio", "guesses")
"""Where guesses wait for the window, in the project's folder."""
_ASKED: Final = 2
"""Confirmed images that say how guesses are finished."""


@dataclass(eq=False)
class Guesser:
    """Answers Guess; label files are read again only when they have changed.

    The project stays open between requests, since a stroke cannot wait for it, until its
    manifest changes: other classes are another classifier.
    """

    _project: Project | None = None
    _manifest: Stamp | None = None
    _round0: Round0 | None = None
    _known: dict[str, Stamp | None] = field(default_factory=dict)
    _encoder: Encoder | None = None
    _looked_at: int | None = None
    _settled: int = 0
    _own: str = ""

    def guess(self, request: protocol.Guess) -> Mapping[str, Any]:
        """What Done says; see protocol.Guess."""
        from segstudio.learning.trainingset import number_table

        project, round0 = self._open(Path(request.project), request.image)
        self._learn(project, round0, request)
        answer = {"image": request.image, "file": ""}
        if not round0.ready or project.is_large(request.image):
            return answer
        untouched = request.image not in request.learn  # nobody is in the middle of a stroke
        if untouched:
            self._settle(project, round0)
        picture = project.read_image(request.image)
        rows, margin = round0.predict(request.image, picture, careful=untouched)
        labels = number_table(project.classes.values, project.classes.names)[rows]
        file = project.root / FOLDER / f"{request.job}.npz"
        with atomic.replacing(file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, labels=labels, margin=margin)
        return {**answer, "file": str(file)}

    def close(self) -> None:
        """Let go of the project."""
        if self._project is not None:
            self._project.close()
        self._project = None

    def _open(self, root: Path, image: str) -> tuple[Project, Round0]:
        from segstudio.learning.round0 import Round0

        now, encoder = stamp(root / FILE_NAME), self._find_encoder()
        project, round0 = self._project, self._round0
        same = project is not None and project.root == root and now == self._manifest
        same = same and round0 is not None and round0.encoder is encoder
        if project is None or round0 is None or not same or image not in project:
            self.close()
            project = self._project = Project.open(root, read_only=True)
            self._manifest, self._known, self._settled = now, {}, 0
            self._round0 = round0 = Round0(len(project.classes), encoder=encoder)
        return project, round0

    def _find_encoder(self) -> Encoder | None:
        """Looked for, which takes a second, until there is one, when weights have come or gone."""
        try:
            now = weights.cache_folder().stat().st_mtime_ns
        except OSError:
            return self._encoder
        if self._encoder is None and now != self._looked_at:
            from segstudio.learning import encoded

            self._looked_at, self._encoder = now, encoded.at_hand()
        return self._encoder

    def _learn(self, project: Project, round0: Round0, request: protocol.Guess) -> None:
        """Bring the classifier up to date with the label files."""
        from segstudio.learning.trainingset import to_rows

        changed, keys = False, request.learn
        for key in (*keys, *(known for known in self._known if known not in keys)):
            now = project.label_stamp(key)
            if key in self._known and self._known[key] == now:
                continue
            self._known[key], changed = now, True
            try:
                if now is None or project.is_large(key):
                    round0.forget(key)
                    continue
                rows = to_rows(project.training_map(key), project, project.classes.names)
                round0.take(key, project.read_image(key), rows)
            except (UserError, OSError):  # damaged: the window says so where it is opened
                round0.forget(key)
        own = request.image if request.image in keys else ""
        if changed or (own and own != self._own):
            round0.fit(own)
            self._own = own

    def _settle(self, project: Project, round0: Round0) -> None:
        """When there are twice as many confirmed images as the last time, let the newest say how
        guesses are to be finished."""
        from segstudio.learning.trainingset import to_rows

        confirmed = [key for key in self._known if _is_confirmed(project, key)]
        if len(confirmed) < max(1, 2 * self._settled):
            return
        newest = sorted(confirmed, key=lambda key: self._known[key] or (0, 0))[-_ASKED:]
        names = project.classes.names
        try:
            maps = {key: to_rows(project.training_map(key), project, names) for key in newest}
            round0.settle([(key, project.read_image(key), rows) for key, rows in maps.items()])
        except (UserError, OSError):  # one of them is gone: guesses are finished as before
            return
        self._settled = len(confirmed)


def _is_confirmed(project: Project, key: str) -> bool:
    try:
        return not project.is_large(key) and project.load(key).is_confirmed
    except (UserError, OSError):  # damaged: the window says so where it is opened
        return False
