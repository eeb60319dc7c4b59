"""Round 0 in the window: a guess of the rest of the picture after every stroke, and drafts on the
next images, until a model is in force.

Guesses are drafts that every stroke changes: they are accepted one by one, by class, or by
confirming the image. What is shown is what is accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal

from segstudio.annotation.document import Change
from segstudio.annotation.rasterise import covered
from segstudio.annotation.shape import IGNORE_CLASS, Shape
from segstudio.engine import protocol as p
from segstudio.studio.canvas.guess import Guess
from segstudio.studio.guesses import Guesses
from segstudio.studio.i18n import tr
from segstudio.studio.jobs import Job, Jobs
from segstudio.studio.open_image import Drafts, OpenImage, draft_name
from segstudio.studio.session import Session
from segstudio.studio.work import Work

_PAUSE: Final = 60
"""Milliseconds after an edit in which another one may come."""
_EXAMPLES: Final = 8
"""Other labelled images to learn from: the nearest in the list."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """A guess that was read, as what is to be shown of it: drafts like a model's, or a preview."""

    drafts: Drafts | None = None
    found: Guesses | None = None
    preview: Guess | None = None


class Guessing(QObject):
    """Asks for a guess when something was drawn and saved, and hands it on.

    One question at a time; what changes meanwhile is asked afterwards.
    """

    made = Signal(object)
    """A canvas.guess.Guess for the open image, or None when there is none any more."""

    def __init__(
        self, session: Session, jobs: Jobs, work: Work, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.enabled = True
        self._session, self._jobs = session, jobs
        self._asked = ""
        self._again = self._shown = False
        self._said: set[str] = set()
        self._due = QTimer(self, singleShot=True, interval=_PAUSE)
        self._due.timeout.connect(session.writing.soon)
        session.document_changed.connect(self._on_change)
        session.saving.connect(lambda state, _: self._ask() if state == "saved" else None)
        session.image_changed.connect(self._on_image)
        session.project_changed.connect(self._said.clear)
        work.models_changed.connect(self._on_models)
        jobs.changed.connect(self._take)

    def set_enabled(self, enabled: bool) -> None:
        self.enabled = enabled
        self._show(None)
        if enabled:
            self._ask()

    def look_again(self) -> None:
        """What was in the way of guessing may be there no more."""
        self._on_image()

    # -- when

    def _on_change(self, change: Change) -> None:
        image = self._session.image
        if image is None or not change.is_edit or image.document.is_live:
            return
        if image.document.confirmed:
            self._show(None)
            return
        if any(splice.layer == "drafts" and splice.inserted for splice in change.splices):
            self._show(None)  # they are back, below what is guessed
        if self._is_wanted():
            self._due.start()
        else:  # nothing is labelled any more that could be learned from
            self._show(None)
            self._say_why_not(image)

    def _on_image(self) -> None:
        """What was drawn on the image before is to be learned from: it is written first."""
        self._show(None)
        if not self._session.writing.soon():
            self._ask()

    def _on_models(self) -> None:
        if self._is_wanted():  # no model is in force any more
            self._ask()
        else:
            self._show(None)

    def _is_wanted(self) -> bool:
        """Whether a guess is of use, can be made, and there is something to tell apart."""
        image, project = self._session.image, self._session.project
        if image is None or project is None or not self._is_of_use():
            return False
        return self._tells_apart(image) and not project.is_large(image.key)

    def _is_of_use(self) -> bool:
        """Whether a guess would be shown if there was one."""
        session = self._session
        project, image = session.project, session.image
        if not self.enabled or project is None or project.read_only or image is None:
            return False
        if image.drafts.model or session.reviewing.waits(image.key):
            return False  # there are drafts, or may be in a moment
        done = image.document.confirmed or not session.writing.autosave
        return not done and project.models.current() is None

    def _tells_apart(self, image: OpenImage) -> bool:
        """Whether there may be two classes to learn from; only the predictor knows for sure."""
        here = {shape.class_name for shape in image.document.shapes} - {IGNORE_CLASS}
        return len(here) > 1 or bool(self._examples(image.key))

    def _examples(self, key: str) -> list[str]:
        """Labelled images near the open one; large pictures are not read for this."""
        session, project = self._session, self._session.project
        if project is None:
            return []
        keys = project.included()
        place = keys.index(key) if key in keys else 0
        labelled = [
            (abs(i - place), k)
            for i, k in enumerate(keys)
            if k != key and session.state(k) in ("edited", "confirmed")
        ]
        near = (k for _, k in sorted(labelled) if not project.is_large(k))
        return list(islice(near, _EXAMPLES))

    def _say_why_not(self, image: OpenImage) -> None:
        """The person has drawn and might wait for a guess: what it takes, once each."""
        project = self._session.project
        if project is None or not image.document.shapes or not self._is_of_use():
            return
        if project.is_large(image.key):
            self._say(
                tr(
                    "This picture is too large for guesses (above 24 megapixels): drafts come "
                    "once a model is in force."
                )
            )
        else:
            self._say_one_class()

    def _say_one_class(self) -> None:
        self._say(tr("To guess the rest, a second class is needed: paint some background too (,)."))

    def _say(self, words: str) -> None:
        if words not in self._said:
            self._said.add(words)
            self._session.message.emit(words, "info")

    # -- asking

    def _ask(self) -> None:
        if self._asked:
            self._again = True
            return
        image, project = self._session.image, self._session.project
        if image is None or project is None or not self._is_wanted():
            return
        own = [image.key] if image.document.shapes else []
        learn = (*own, *self._examples(image.key))
        request = p.Guess(self._jobs.new_id(), str(project.root), image.key, learn)
        self._asked = request.job
        self._jobs.run("predictor", tr("Guessing"), request, quiet=True)

    def _take(self, job: Job) -> None:
        if job.id != self._asked or not job.is_over:
            return
        self._asked = ""
        file = str(job.result.get("file", ""))
        if file:
            self._read(Path(file), str(job.result["image"]))
        elif job.state == "done" and not self._again and self._session.image is not None:
            self._after_nothing(self._session.image)
        if self._again:
            self._again = False
            self._ask()

    def _after_nothing(self, image: OpenImage) -> None:
        """All that is labelled is of one class: confirmed images may say nothing of the rest."""
        if image.document.shapes and self._is_wanted():
            self._say_one_class()

    # -- showing

    def _read(self, file: Path, key: str) -> None:
        """Make of the file what can be shown, on a thread."""
        session, image, project = self._session, self._session.image, self._session.project
        here = project is not None and file.is_relative_to(project.root)
        if image is None or not here or image.key != key or not self._is_wanted():
            file.unlink(missing_ok=True)
            return
        fresh = not image.document.shapes and session.state(key) == "none"
        image.make_way()
        settled = (*image.document.shapes, *image.document.drafts, *image.rejected())
        classes = list(session.choices.classes)

        def work() -> _Answer:
            with np.load(file) as found:
                labels, margin = found["labels"], found["margin"]
            file.unlink(missing_ok=True)
            labels[covered(settled, labels.shape)] = 0
            made = Guesses(labels, margin, {c.id: c.name for c in classes})
            if fresh:
                return _Answer(_drafts(made.shapes))
            return _Answer(None, made, Guess.of(labels, margin, {c.id: c.colour for c in classes}))

        def show(answer: _Answer | Exception) -> None:
            now = session.image
            if isinstance(answer, Exception) or now is not image or not self._is_wanted():
                return
            found = answer.found
            if found is not None:
                self._show(answer.preview, found)
                session.in_background(lambda: found.shapes, lambda _: None)
            elif answer.drafts is not None and not (image.document.shapes or image.document.drafts):
                self._show(None)
                image.show_drafts(answer.drafts)

        session.in_background(work, show)

    def _show(self, guess: Guess | None, found: Guesses | None = None) -> None:
        if self._session.image is not None:
            self._session.image.guessed = found
        if guess is not None or self._shown:
            self._shown = guess is not None
            self.made.emit(guess)


def _drafts(regions: Sequence[Shape]) -> Drafts:
    """Drafts that no review remembers: the next guess is another one."""
    return Drafts("", tuple(regions), tuple(draft_name(shape) for shape in regions))
