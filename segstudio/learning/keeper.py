"""Writing a run down while it goes on, so that it can go on after a restart."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from segstudio.learning import events
from segstudio.learning.checkpoint import Checkpoint
from segstudio.learning.events import Log
from segstudio.learning.loop import Run
from segstudio.learning.start import Start
from segstudio.learning.trainingset import TrainingSet

_BETWEEN = 20
"""Times as long as the run takes to be written down, it is not written down again."""


@dataclass(eq=False)
class Keeper:
    """Writes the run down after validations, and lets weak labels hear of it.

    A large network takes long to write: there is always much more training than writing between
    two times. A full disk stops no training.
    """

    path: Path
    on_event: events.OnEvent
    _next: float = 0.0
    _facts: Checkpoint | None = None
    _data: TrainingSet | None = None

    def of(self, start: Start, data: TrainingSet) -> None:
        self._data = data
        parent = start.parent.id if start.parent is not None else ""
        facts = {**start.recipe.to_dict(), "patience": start.recipe.patience}
        self._facts = Checkpoint(start.architecture, data.classes, parent, facts, 0.0)

    def __call__(self, run: Run) -> None:
        if self._facts is not None and time.monotonic() >= self._next:
            self._write(replace(self._facts, seconds=run.seconds, state=run.state()))
        if self._data is not None and self._data.weak is not None:
            self._data.weak.learned(run, self._data.classes)

    def _write(self, found: Checkpoint) -> None:
        began = time.monotonic()
        try:
            found.write(self.path)
        except OSError as error:
            why = f"Training could not be written down ({error}), and cannot go on after a restart"
            self.on_event(Log(why))
        ended = time.monotonic()
        self._next = ended + _BETWEEN * (ended - began)

    def end(self, run: Run, model: str) -> None:
        """The run has come to its end with `model`: another may go on from where it is."""
        if self._facts is not None:
            self._write(replace(self._facts, ended=model, state=run.state()))

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)
