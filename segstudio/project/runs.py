"""Batch runs: what one job over many images has predicted, and taking it back everywhere.

Each run has a folder under `.segstudio/runs`. An image is noted there before its prediction is
written, with its review as it was (a second name of that file, no copy), so that a run that was
cut off is taken back as well as one that came to its end. Taking back goes image by image, each
of which can be done twice: what does not get to its end is finished when the project is opened
again. Nothing but what a run has made is removed, so nothing has to be kept for that.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TextIO

from segstudio.annotation.shape import Shape
from segstudio.errors import UserError
from segstudio.project import atomic
from segstudio.project.lock import file_lock, held
from segstudio.project.prepared import Prepared
from segstudio.project.reviews import Review
from segstudio.project.scan import ImageKey
from segstudio.project.steps import change_shapes

if TYPE_CHECKING:
    from filelock import FileLock

    from segstudio.project.project import Project

KEPT: Final = 20
"""Runs that are remembered; those before can not be taken back any more."""
STEP: Final = "Undo a run"
"""What images whose labels it was note in their undo history."""
OnProgress = Callable[[int, int, str], None]
State = Literal["done", "undoing", "undone"]
_FACTS: Final = "run.json"
_STATE: Final = "state"
_KEYS: Final = "images"
_ACCEPTED: Final = "accepted"


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run: its number, model, when it began (UTC), how many images it was asked for, how many
    it did, of how many its predictions are still there, and whether it was a thorough one."""

    number: int
    model: str
    began: str
    asked: int
    images: int
    left: int
    accepted: int = 0
    state: State = "done"
    thorough: bool = False

    @property
    def can_undo(self) -> bool:
        """Whether there is anything left that it has made."""
        return self.state == "done" and bool(self.left or self.accepted)


@dataclass(frozen=True, slots=True)
class Undone:
    """What taking a run back has done: images without its drafts now, those of them where a
    person's decisions about them stay, and images without the labels that it had made."""

    run: int
    images: int
    kept: int
    labels: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class BatchRun:
    """A run that goes on; its folder, and its number, come with the first image."""

    def __init__(self, runs: Runs, model: str, asked: int, thorough: bool = False) -> None:
        self._runs, self._model, self._asked, self._thorough = runs, model, asked, thorough
        self._folder: Path | None = None
        self._lock: FileLock | None = None
        self._lists: dict[str, TextIO] = {}
        self._noted: set[ImageKey] = set()

    @property
    def number(self) -> int:
        """0 as long as it has done nothing."""
        return int(self._folder.name) if self._folder is not None else 0

    def note(self, key: ImageKey) -> None:
        """Before a prediction is written; nothing happens the second time.

        A prediction that is there already, which only a thorough run replaces, is kept.
        """
        if key in self._noted:
            return
        predictions = self._runs.project.predictions
        if predictions.has(self._model, key):
            predictions.keep(self._model, key, self._kept(len(self._noted)))
        self._note(key)

    def _kept(self, number: int) -> Path:
        return kept_prediction(self._begun() / "before" / str(number))

    def _note(self, key: ImageKey) -> None:
        folder = self._begun()
        review = self._runs.project.reviews.path(key)
        if review.exists() and not self._is_shown(key):
            atomic.link(review, folder / "before" / str(len(self._noted)))
        self._append(_KEYS, key)
        self._noted.add(key)

    def _is_shown(self, key: ImageKey) -> bool:
        """Whether its review is of drafts that are taken over: it goes with them."""
        review = self._runs.project.reviews.load(key)
        has = self._runs.project.predictions.has(self._model, key)
        return has and review is not None and review.shown == self._model

    def take_over(self, keys: Collection[ImageKey]) -> None:
        """Of images that have their drafts already, those are part of this run that were prepared
        ahead: nobody had asked for them, and nobody has decided anything about them."""
        project = self._runs.project
        ready = Prepared(project.root, self._model).keys() - self._runs.standing(self._model)
        for key in keys:
            if key in ready and not _is_decided(project.reviews.load(key), self._model):
                self._note(key)

    def note_accepted(self, key: ImageKey) -> None:
        """Before the drafts of an image without labels are made its labels."""
        self._append(_ACCEPTED, key)

    def _append(self, name: str, key: ImageKey) -> None:
        if name not in self._lists:
            place = self._begun() / name
            self._lists[name] = place.open("a", encoding="utf-8")  # closed at exit
        self._lists[name].write(json.dumps(key) + "\n")
        self._lists[name].flush()

    def _begun(self) -> Path:
        if self._folder is None:
            self._folder = self._runs.new_folder(self._model, self._asked, self._thorough)
            self._lock = file_lock(self._folder / "lock")
            self._lock.acquire()
        return self._folder

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for file in self._lists.values():
            file.close()
        if self._lock is not None:
            self._lock.release()


class Runs:
    """The batch runs of a project."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._folder = project.root / ".segstudio" / "runs"

    # -- what there is

    def any(self) -> bool:
        """Whether any run is remembered."""
        return bool(self._folders())

    def all(self) -> list[RunInfo]:
        """The runs that are remembered, oldest first; damaged records are left out."""
        done: dict[str, set[ImageKey]] = {}
        found = (self._info(folder, done) for folder in self._folders())
        return [info for info in found if info is not None]

    def get(self, number: int) -> RunInfo:
        """UserError when there is none of that number."""
        for info in self.all():
            if info.number == number:
                return info
        known = ", ".join(str(info.number) for info in self.all()) or "none yet"
        root = self.project.root
        raise UserError(f"There is no run {number}", path=root, remedy=f"Runs here: {known}.")

    def refused(self, model: str, before: Path | None = None) -> set[ImageKey]:
        """Images whose drafts of `model` were taken back, and not asked for again since; with
        the folder `before`, counting only runs before that one."""
        keys: set[ImageKey] = set()
        for folder in self._folders():
            if before is not None and folder.name >= before.name:
                break
            if _facts_of(folder).get("model") == model:
                touched = set(_listed(folder / _KEYS))
                keys = keys | touched if state_of(folder) == "undone" else keys - touched
        return keys

    def standing(self, model: str) -> set[ImageKey]:
        """Images of all runs of `model` that were not taken back."""
        there = [f for f in self._folders() if _facts_of(f).get("model") == model]
        return {key for f in there if state_of(f) == "done" for key in _listed(f / _KEYS)}

    def start(self, model: str, asked: int, thorough: bool = False) -> BatchRun:
        """A run of `model` over so many images, to be used as a context manager."""
        return BatchRun(self, model, asked, thorough)

    def new_folder(self, model: str, asked: int, thorough: bool) -> Path:
        """The folder of a run that begins now; those no longer remembered go."""
        with self._held():
            folders = self._folders()
            number = max((int(folder.name) for folder in folders), default=0) + 1
            began = datetime.now(UTC).isoformat(timespec="seconds")
            with atomic.folder(self._folder / f"{number:06d}") as staging:
                (staging / "before").mkdir()
                facts = {"model": model, "asked": asked, "began": began, "thorough": thorough}
                atomic.write_text(staging / _FACTS, json.dumps(facts))
            for old in folders[: -KEPT + 1]:
                shutil.rmtree(old, ignore_errors=True)
        return self._folder / f"{number:06d}"

    def _info(self, folder: Path, done: dict[str, set[ImageKey]]) -> RunInfo | None:
        facts = _facts_of(folder)
        if not facts:
            return None
        model = str(facts["model"])
        if model not in done:
            done[model] = self.project.predictions.done(model)
        keys, accepted = set(_listed(folder / _KEYS)), set(_listed(folder / _ACCEPTED))
        left = len(keys & done[model])
        return RunInfo(
            int(folder.name),
            model,
            str(facts.get("began", "")),
            int(facts.get("asked", 0)),
            len(keys | accepted),
            left,
            len(accepted),
            state_of(folder),
            bool(facts.get("thorough")),
        )

    def _folders(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return sorted(path for path in self._folder.iterdir() if path.name.isdecimal())

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Nobody else begins or takes back a run meanwhile."""
        with held(self._folder / "lock", self._busy("A run"), 5):
            yield

    @contextlib.contextmanager
    def _held_run(self, folder: Path) -> Iterator[None]:
        """Nor does that run go on; what has become of it is to be asked in here."""
        with self._held(), held(folder / "lock", self._busy(f"Run {int(folder.name)}")):
            yield

    def _busy(self, who: str) -> UserError:
        remedy = "Wait until it is done, or cancel it."
        return UserError(f"{who} is still going on", path=self.project.root, remedy=remedy)

    # -- taking back

    def undo(self, number: int, on_progress: OnProgress = lambda done, total, text: None) -> Undone:
        """Take back what a run has made, wherever it is still as the run left it.

        Its predictions go, and what was shown of them, and reviews are again as they were; those
        that a thorough run has replaced come back. Where a
        person has accepted or rejected some of its drafts, or confirmed the image while they were
        shown, his decisions are kept: the shapes, the review and what he was shown. Of labels that
        the run itself had made of drafts, those shapes go that are still the model's in images
        that nobody has confirmed. UserError when it cannot be taken back.
        """
        info = self.get(number)
        self.project.ensure_written()
        folder = self._folder / f"{number:06d}"
        with self._held_run(folder):
            if state_of(folder) == "undone":
                raise UserError(f"Run {number} is undone already", path=self.project.root)
            return self._undo(folder, info.model, on_progress)

    def recover(self) -> tuple[int, ...]:
        """Finish what a process that died has begun to take back; the numbers of those runs."""
        pending = [folder for folder in self._folders() if state_of(folder) == "undoing"]
        try:
            return tuple(int(folder.name) for folder in pending if self._finish(folder))
        except (UserError, OSError):
            return ()  # it is being done, or cannot be now; the next opening tries again

    def _finish(self, folder: Path) -> bool:
        """Whether it was still to be done: another process may have, while we waited."""
        with self._held_run(folder):
            pending = state_of(folder) == "undoing"
            if pending:
                self._undo(folder, str(_facts_of(folder).get("model", "")))
        return pending

    def _undo(
        self,
        folder: Path,
        model: str,
        on_progress: OnProgress = lambda done, total, text: None,
    ) -> Undone:
        """May be done again after a crash."""
        atomic.write_text(folder / _STATE, "undoing")
        numbered = {key: n for n, key in enumerate(_listed(folder / _KEYS))}
        later = self._done_again(folder, model)
        refused = self.refused(model, folder)
        accepted = _listed(folder / _ACCEPTED)
        images = kept = labels = 0
        for done, key in enumerate((*accepted, *numbered)):
            on_progress(done, len(accepted) + len(numbered), "")
            if done < len(accepted):
                labels += self._take_labels_back(key, model)
            elif key not in later:
                images += 1
                before = folder / "before" / str(numbered[key])
                decided = self._take_back(key, model, before)
                kept += decided
                if not decided and key not in refused:
                    self.project.predictions.put_back(model, key, kept_prediction(before))
        atomic.write_text(folder / _STATE, "undone")
        shutil.rmtree(folder / "before", ignore_errors=True)
        return Undone(int(folder.name), images, kept, labels)

    def _done_again(self, folder: Path, model: str) -> set[ImageKey]:
        """Images whose predictions of `model` a later run has made anew."""
        later = [
            other
            for other in self._folders()
            if other.name > folder.name
            and state_of(other) == "done"
            and _facts_of(other).get("model") == model
        ]
        return {key for other in later for key in _listed(other / _KEYS)}

    def _take_back(self, key: ImageKey, model: str, before: Path) -> bool:
        """Whether a person's decisions about the drafts of this image are kept."""
        reviews = self.project.reviews
        review = reviews.load(key)
        decided = _is_decided(review, model)
        if review is not None and review.shown == model and not decided:
            self._review_back(reviews.path(key), before)
        self.project.predictions.remove(model, key, shown=not decided)
        return decided

    @staticmethod
    def _review_back(path: Path, before: Path) -> None:
        if before.exists():
            atomic.write_bytes(path, before.read_bytes())
        elif before.parent.is_dir():  # else nobody knows whether there was one
            path.unlink(missing_ok=True)

    def _take_labels_back(self, key: ImageKey, model: str) -> bool:
        """Whether labels that were made of drafts are gone; nobody's work is among them."""
        try:
            if key not in self.project or self.project.load(key).is_confirmed:
                return False
            changed = change_shapes(self.project, key, lambda s: _not_made_by(model, s), STEP)
            self.project.label_files.remove_empty(key)
        except UserError:  # it cannot be read any more: somebody's work all the same
            return False
        return changed


def kept_prediction(before: Path) -> Path:
    """Where a run keeps the prediction that it has replaced, by where it keeps the review."""
    return before.with_name(f"{before.name}.predicted")


def when(began: str) -> str:
    """The time a run began, on this machine's clock and to the minute."""
    try:
        return datetime.fromisoformat(began).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return began


def state_of(folder: Path) -> State:
    """What has become of the run in a folder."""
    try:
        text = (folder / _STATE).read_text(encoding="utf-8").strip()
    except OSError:
        return "done"
    return "undoing" if text == "undoing" else "undone"


def _is_decided(review: Review | None, model: str) -> bool:
    """Whether a person has decided anything about what `model` showed him."""
    if review is None or review.shown != model:
        return False
    return bool(review.accepted or review.rejected or review.confirmed_at)


def _not_made_by(model: str, shapes: Sequence[Shape]) -> list[Shape]:
    """Without what is still as `model` made it."""
    return [s for s in shapes if not (s.source == "model" and s.model == model)]


def _facts_of(folder: Path) -> dict[str, Any]:
    try:
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        return facts if isinstance(facts, dict) and "model" in facts else {}
    except (OSError, ValueError):
        return {}


def _listed(file: Path) -> list[ImageKey]:
    """The images of a list; a last line that was not finished is left out."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")[:-1]
        return list(dict.fromkeys(str(json.loads(line)) for line in lines))
    except (OSError, ValueError):
        return []
