"""The open project and the open image: what panels show and actions change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeVar

from PySide6.QtCore import QObject, QTimer, Signal

from segstudio.annotation.document import Change
from segstudio.errors import UserError
from segstudio.project import recent
from segstudio.project.lock import ProjectLock
from segstudio.project.manifest import Unlabelled
from segstudio.project.project import Project, State
from segstudio.studio.bulk_words import bulk_title
from segstudio.studio.canvas.picture import NO_PICTURE, Picture
from segstudio.studio.choices import Choices
from segstudio.studio.i18n import tr
from segstudio.studio.loading import Loader
from segstudio.studio.locking import lock_project
from segstudio.studio.open_image import Loaded, OpenImage
from segstudio.studio.reviewing import Reviewing
from segstudio.studio.states import States
from segstudio.studio.writing import Writing

T = TypeVar("T")
_AHEAD_AFTER: Final = 40
"""Milliseconds after an image is shown: its painting and the panels come first."""
_LEFT_KEPT: Final = 30
"""Images left lately keep their undo history; their pictures are let go."""


class Session(QObject):
    """One project, one open image, and `writing`, which takes both to the disk; no widgets.

    Signals tell what changed; whoever shows it asks the session for it.
    """

    opening = Signal(object)
    """The folder that is being opened."""
    open_failed = Signal(object, object)
    """A folder and the error."""
    leaving = Signal()
    """The open image is about to be left: what a tool has begun on it is finished now."""
    closing = Signal(str)
    """The project's folder: what still works on it should stop."""
    project_changed = Signal()
    images_changed = Signal()
    states_changed = Signal(list)
    image_opening = Signal(str)
    image_changed = Signal()
    selection_changed = Signal()
    document_changed = Signal(object)
    paused_changed = Signal()
    """`paused` is another: why nobody may edit just now, "" when everybody may."""
    changed_outside = Signal(str, object)
    """An image whose label file another program has changed, and what we have of it."""
    saving = Signal(str, str)
    """"saving", "saved" or "failed", and why."""
    message = Signal(str, str)
    """A sentence and "info", "warn" or "bad"."""

    def __init__(self, parent: QObject | None = None, autosave: bool = True) -> None:
        super().__init__(parent)
        self.project: Project | None = None
        self.image: OpenImage | None = None
        self.sketch: Picture | None = None
        """The picture of an image whose labels are still being read."""
        self.choices = Choices(self)
        self.reviewing = Reviewing(self)
        self.problems: dict[str, str] = {}
        self.paused = ""
        self._followed = False
        self._lock: ProjectLock | None = None
        self._wanted = ""
        self._reads = 0
        self._is_reading = False
        self._states = States()
        self._left: dict[str, OpenImage] = {}
        self._ahead_due = QTimer(self, singleShot=True, interval=_AHEAD_AFTER)
        self._ahead_due.timeout.connect(self._read_ahead)
        self._loader = Loader(self)
        self.writing = Writing(self, self._loader.in_window, autosave)
        self._loader.loaded.connect(self._install)
        self._loader.sketched.connect(self._show_sketch)
        self._loader.failed.connect(self._cannot_show)
        self._loader.told.connect(lambda words: self.message.emit(words, "warn"))

    # -- project

    def open_project(self, folder: Path, read_only: bool = False) -> None:
        """Open a project, or a folder of pictures in place, in the background.

        `project_changed` tells the end; `open_failed` what went wrong, a LockedError when
        another window has the project.
        """
        if self.project is not None and self.project.root == folder.absolute():
            self.reopen()
            return
        lock = None
        try:
            if not read_only and Project.is_project(folder):
                lock = lock_project(folder)
        except UserError as error:
            self.open_failed.emit(folder, error)
            return
        self._open(folder, read_only, lock)

    def reopen(self) -> None:
        """Read the open project again: another process has brought pictures, labels or classes."""
        if self.project is None:
            return
        root, read_only = self.project.root, self.project.read_only
        lock, self._lock = self._lock, None
        if self.close_project(reopening=True):
            self._open(root, read_only, lock)
        else:
            self._lock = lock

    def _open(self, folder: Path, read_only: bool, lock: ProjectLock | None) -> None:
        self.opening.emit(folder)

        def read() -> tuple[Project, dict[str, State]]:
            project = Project.open(folder, read_only=read_only)
            return project, dict(project.states())

        def install(answer: tuple[Project, dict[str, State]] | Exception) -> None:
            if not isinstance(answer, Exception) and self.close_project():
                self._begin(*answer, lock)
                return
            if lock is not None:
                lock.release()
            if isinstance(answer, Exception):
                self.open_failed.emit(folder, answer)
            else:
                answer[0].close()

        self._loader.later(read, install)

    def _begin(self, project: Project, states: dict[str, State], lock: ProjectLock | None) -> None:
        """The project that was read is the one shown from now on."""
        self.project, self._lock, self._states = project, lock, States(states)
        self.writing.begin(project)
        recent.add(project.root)
        self.project_changed.emit()
        self.choices.start()
        self._tell_recovered()
        images = project.included()
        if images:
            undone = (key for key in images if self.state(key) != "confirmed")
            self.go(next(undone, images[0]))
        else:
            self.image_changed.emit()

    def close_project(self, reopening: bool = False) -> bool:
        """Save and close; False when something could not be saved (it stays open then)."""
        if self.project is None:
            return True
        self.leave_image()
        if not self.writing.now():
            return False
        if not reopening:
            self.closing.emit(str(self.project.root))
        self.writing.end()
        self.project.close()
        if self._lock is not None:
            self._lock.release()
        self.project = self._lock = self.image = self.sketch = None
        self._wanted = self.paused = ""
        self._is_reading = False
        self._followed = False
        self._states, self._left, self.problems = States(), {}, {}
        self._loader.forget()
        self.image_changed.emit()
        self.project_changed.emit()
        return True

    def shut_down(self) -> bool:
        """Close everything for good; False when work could not be saved."""
        if self.project is not None and not self.close_project():
            return False
        self._loader.close()
        self.writing.close()
        return True

    def ensure_written(self) -> bool:
        """Make a folder opened in place a project of ours; False, and said why, when it is not.

        The lock comes first: two windows may have opened the same folder before.
        """
        project = self.project
        if project is None or project.read_only:
            return False
        try:
            if self._lock is None:
                self._lock = lock_project(project.root)
            project.ensure_written()
        except (UserError, OSError) as error:
            self.saving.emit("failed", str(error))
            return False
        return True

    def rescan(self) -> None:
        """Look for new pictures, in the background."""
        project = self.project
        if project is None:
            return

        number = self._states.look()

        def look() -> tuple[int, int, dict[str, State]]:
            came, went = project.rescan()
            project.collect_classes()
            return len(came), len(went), dict(project.states())

        def show(answer: tuple[int, int, dict[str, State]] | Exception) -> None:
            if isinstance(answer, Exception):
                self.message.emit(str(answer), "bad")
            elif project is self.project:
                came, gone, states = answer
                self._states.take_all(states, number, self.writing.unwritten())
                self.problems.clear()
                self.images_changed.emit()
                self.choices.classes_changed.emit()
                if self.image is None and not self._is_reading and project.included():
                    self.go(project.included()[0])
                words = tr("{came} new pictures, {gone} gone", came=came, gone=gone)
                self.message.emit(words, "info")

        self._loader.later(look, show)

    def exclude(self, key: str, excluded: bool) -> None:
        if self.try_(lambda project: project.exclude(key, excluded)):
            self.images_changed.emit()

    def set_facts(self, unlabelled: Unlabelled, blind: float) -> None:
        """What unlabelled pixels of a confirmed image mean from now on, and the share of images
        that are blind."""
        if self.project is None:
            return
        facts = replace(self.project.manifest, unlabelled=unlabelled, blind=blind)
        if facts != self.project.manifest:
            self.try_(lambda project: project.set_manifest(facts))

    def set_recipe(self, **numbers: Any) -> None:
        """Change numbers of the project's own recipe."""
        if self.project is not None:
            recipe = {**self.project.manifest.recipe, **numbers}
            facts = replace(self.project.manifest, recipe=recipe)
            if facts != self.project.manifest:
                self.try_(lambda project: project.set_manifest(facts))

    # -- changes of all images at once

    def pause(self, why: str) -> bool:
        """Let nobody edit for the reason `why` until `follow`; all that was drawn is written, with
        its history. False, and nothing is paused, when that failed."""
        self.leave_image()
        if not self.ensure_written() or not self.writing.now():
            return False
        self.writing.wait_for_histories()
        self.paused = why
        self.paused_changed.emit()
        return True

    def follow(self) -> None:
        """Read anew what a change of all images has done, then let everybody go on."""
        project = self.project
        if project is None:
            return

        def look() -> dict[str, State]:
            recovered = project.bulk.recover()
            project.recovered, project.recovered_runs = recovered, project.runs.recover()
            project.reload_manifest()
            project.reload_labels()
            return dict(project.states())

        def show(states: dict[str, State] | Exception) -> None:
            if project is not self.project:
                return
            if isinstance(states, Exception):
                self.message.emit(str(states), "bad")
            else:
                self._states = States(states)
            self._left.clear()
            self.choices.follow()
            self.states_changed.emit(project.included())
            self._tell_recovered()
            self._followed = True
            self._read_again()

        self._loader.later(look, show)

    def _read_again(self) -> None:
        """The open image as it is on the disk now; its undo history comes from there too."""
        if self.project is not None and self._wanted:
            self.writing.drop(self._wanted)
            self._read(self.project, self._wanted)
        else:
            self._resume()

    def _resume(self) -> None:
        """What is shown is what all images were changed to: everybody may go on."""
        if self._followed:
            self._followed, self.paused = False, ""
            self.paused_changed.emit()

    def _tell_recovered(self) -> None:
        if self.project is not None and self.project.recovered:
            titles = ", ".join(bulk_title(edit) for edit in self.project.recovered)
            words = tr("A change of the whole project was finished: {what}", what=titles)
            self.message.emit(words, "warn")
        for number in self.project.recovered_runs if self.project is not None else ():
            self.message.emit(tr("Undoing run {n} was finished.", n=number), "warn")

    # -- states

    @property
    def wanted(self) -> str:
        """The image asked for last."""
        return self._wanted

    def let_wait(
        self, expects: Callable[[Project, str], bool], waits: Callable[[str], bool]
    ) -> None:
        """A model's drafts of images are not shown while `waits`, nor at first where somebody
        `expects` (on any thread) better ones."""
        self._loader.waits, self.reviewing.waits = expects, waits

    def state(self, key: str) -> State:
        return self._states[key]

    def counts(self) -> tuple[int, int]:
        """(confirmed, all) of the included images."""
        keys = self.project.included() if self.project is not None else []
        return sum(self.state(key) == "confirmed" for key in keys), len(keys)

    def has_labels(self) -> bool:
        """Whether a person has labelled anything."""
        return self._states.has("edited", "confirmed")

    def refresh_states(self, keys: Iterable[str]) -> None:
        """Look at the disk again for these images."""
        if self.project is None:
            return
        number = self._states.look()
        seen = {key: self.project.state(key) for key in keys}
        self.states_changed.emit(self._states.take(seen, number, self.writing.unwritten()))

    def refresh_all_states(self) -> None:
        """Look at the disk again for all images, in the background."""
        project = self.project
        if project is None:
            return

        number = self._states.look()

        def show(states: dict[str, State] | Exception) -> None:
            if project is self.project and not isinstance(states, Exception):
                fresh = self._states.take_all(states, number, self.writing.unwritten())
                self.states_changed.emit(fresh)

        self._loader.later(lambda: dict(project.states()), show)

    # -- images

    def go(self, key: str) -> None:
        """Open an image; the canvas keeps the old one until the new one is there, or, of a large
        one, the picture."""
        project = self.project
        there = self.image is not None and self.image.key == key
        if project is None or (self._wanted == key and (there or self._is_reading)):
            return
        self._wanted = key
        self.image_opening.emit(key)
        self.leave_image()
        self._read(project, key)

    def _read(self, project: Project, key: str) -> None:
        self._reads += 1
        self._is_reading = True
        self._loader.load(project, key, lambda: self.writing.wait_for(key), self._reads)

    def step(self, by: int) -> None:
        """Open the next or previous image of the list."""
        keys = self.project.included() if self.project is not None else []
        now = self._wanted or (self.image.key if self.image is not None else "")
        if keys:
            place = keys.index(now) + by if now in keys else 0
            if 0 <= place < len(keys):
                self.go(keys[place])

    def leave_image(self) -> None:
        """Put what is open into the writer's hands."""
        if self.image is None:
            return
        self.leaving.emit()
        self.image.document.commit()
        self.image.desk.select([])  # who comes back must not delete by one key what he had chosen
        self.writing.keep_review(self.image)
        self._left.pop(self.image.key, None)
        self._left[self.image.key] = self.image
        while len(self._left) > _LEFT_KEPT:
            self._left.pop(next(iter(self._left)))
        if not self.writing.autosave:
            self.writing.hand_over()

    def kept(self) -> list[OpenImage]:
        """The open image, and those left lately."""
        images = (self.image, *self._left.values())
        return list({id(image): image for image in images if image is not None}.values())

    def read_anew(self, key: str) -> None:
        """Another program's version of an image is the one from now on."""
        self._left.pop(key, None)
        if self.image is not None and self.image.key == key:
            self.image = None
            self.go(key)

    def _read_ahead(self) -> None:
        """Read the next image before it is asked for; one that was open is read when it is."""
        if self.project is None or self.image is None:
            return
        keys, key = self.project.included(), self.image.key
        following = dict(pairwise(keys)).get(key)
        if following is None or following in self.problems or self.project.is_large(following):
            return
        if following in self._left:
            self._loader.picture_of(self.project, following)
        else:
            self._loader.read_ahead(self.project, following)

    @property
    def has_read_ahead(self) -> bool:
        """Whether what may be asked for next is in memory."""
        return not self._ahead_due.isActive() and self._loader.has_read_ahead

    def _show_sketch(self, project: Project, key: str, picture: Picture) -> None:
        """A large picture is shown before its labels are there."""
        there = self.image is not None and self.image.key == key
        if project is self.project and key == self._wanted and not there:
            self.image, self.sketch = None, picture
            self.image_changed.emit()

    def _install(self, loaded: Loaded) -> None:
        if loaded.project is not self.project or loaded.number != self._reads:
            return  # what was asked for later may have been drawn on since this was read
        self._is_reading = False
        if loaded.round != loaded.project.label_round:  # read before all images were changed
            self._read(loaded.project, loaded.key)
            return
        for left in self._left.values():
            left.picture, left.guessed = NO_PICTURE, None
        self.image = image = self._reopen(loaded) or self._open_anew(loaded)
        self.sketch = None
        self.choices.put_on(image.desk)
        self.problems.pop(loaded.key, None)
        self.image_changed.emit()
        if image.repairs:
            more = tr("Mended while reading: {what}", what="; ".join(image.repairs[:3]))
            self.message.emit(more, "warn")
        self._ahead_due.start()
        self._resume()

    def _open_anew(self, loaded: Loaded) -> OpenImage:
        past = self.project.reviews.load(loaded.key) if self.project is not None else None
        image = OpenImage.of(loaded, past)
        image.desk.on_select = self.selection_changed.emit
        image.document.listeners.append(self._on_change)
        return image

    def _reopen(self, loaded: Loaded) -> OpenImage | None:
        """The image as it was left, with its undo history; only the picture is new."""
        image = self._left.pop(loaded.key, None)
        if image is None:
            return None
        if image is self.image:  # it never left the canvas, and may have been drawn on since
            image.picture = loaded.picture
            return image
        now, there = image.annotation(), loaded.annotation
        if (now.shapes, now.confirmed) != (there.shapes, there.is_confirmed):
            self.message.emit(tr("{key} was changed outside: read anew.", key=loaded.key), "warn")
            return None
        image.picture = loaded.picture
        image.looked_at_again()
        new, old = loaded.drafts, image.drafts
        if (new.model and not old.model) or (new.shapes and not old.shapes):
            image.show_drafts(new)  # of a blind image there are none, only a model
        return image

    def _cannot_show(self, project: Project, key: str, why: str) -> None:
        if project is not self.project:
            return
        self.problems[key] = why
        self.states_changed.emit([key])
        if key == self._wanted:
            self._is_reading = False
            self.image = self.sketch = None
            self.image_changed.emit()
            self.message.emit(why, "bad")
            self._resume()

    def in_background(self, work: Callable[[], T], then: Callable[[T | Exception], None]) -> None:
        """Do `work` on a thread, then call `then` with its answer, or its error, in the window."""
        self._loader.later(work, then)

    # -- changes

    def _on_change(self, change: Change) -> None:
        image = self.image
        if image is not None:
            self.writing.take(image, change)
        self.document_changed.emit(change)
        if image is not None and change.is_edit and not image.document.is_live:
            self._note_edit(image)

    def _note_edit(self, image: OpenImage) -> None:
        if self.project is None or self.project.read_only:
            return
        state: State = "confirmed" if image.document.confirmed else "edited"
        if self._states.note(image.key, state):
            self.states_changed.emit([image.key])
        self.writing.put(image)

    def try_(self, change: Callable[[Project], object]) -> bool:
        """Change the project; what goes wrong is said in the window."""
        if self.project is None or self.is_read_only() or not self.ensure_written():
            return False
        try:
            change(self.project)
        except (UserError, OSError) as error:
            self.message.emit(str(error), "bad")
            return False
        return True

    def is_read_only(self) -> bool:
        if self.project is not None and self.project.read_only:
            self.message.emit(tr("This project is open read-only."), "warn")
            return True
        if self.paused:
            self.message.emit(self.paused, "warn")
        return bool(self.paused)
