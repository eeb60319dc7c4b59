"""Writing bulk edits: all or nothing, undone as one, and finished after a crash.

Each has a folder under `.segstudio/bulk`. First every new label file is written into its `after`,
which can be given up at any moment. Then `plan.json` appears: from there on it counts. The old
files are linked into `before` and the new ones moved into place; that takes a fraction of a
millisecond each, and what does not get to its end is finished when the project is opened again.
Undo moves the old files back where the new ones are as they were left, and takes back shape by
shape where a person has gone on.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import Shape
from segstudio.errors import Cancelled, UserError
from segstudio.project import atomic
from segstudio.project.atomic import link
from segstudio.project.bulk import BulkEdit
from segstudio.project.bulk_plan import (
    STATE,
    Plan,
    PlannedFile,
    digest,
    move,
    own_bytes,
    read_plan,
    state_of,
    write_plan,
)
from segstudio.project.index import LabelFacts, stamp
from segstudio.project.labels import DAMAGED
from segstudio.project.lock import held
from segstudio.project.scan import ImageKey
from segstudio.project.steps import change_shapes, noted

if TYPE_CHECKING:
    from segstudio.project.project import Project

KEPT: Final = 20
"""Bulk edits that can be undone; the old label files of those before are let go."""
OnProgress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class BulkResult:
    """Images and shapes that were changed, and images left alone with the reason."""

    edit: BulkEdit
    images: int
    shapes: int
    skipped: tuple[tuple[ImageKey, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        facts = {k: v for k, v in self.edit.to_json().items() if k != "picks"}
        return {**facts, "images": self.images, "shapes": self.shapes, "skipped": self.skipped}


class BulkStore:
    """The bulk edits of a project."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._folder = project.root / ".segstudio" / "bulk"

    # -- what is there

    def last(self) -> BulkEdit | None:
        """The one that `undo` takes back; None when there is none."""
        for folder in reversed(self._done()):
            with contextlib.suppress(UserError):  # damaged: undoing it says so
                return read_plan(folder).edit
        return None

    def clear(self) -> int:
        """Forget all that are done, so that they cannot be undone; the bytes freed."""
        freed = 0
        with self._held():
            for folder in self._done():
                # a file that is linked elsewhere frees nothing
                freed += sum(own_bytes(path) for path in folder.rglob("*") if path.is_file())
                shutil.rmtree(folder, ignore_errors=True)
        return freed

    def _keys_with(self, wanted: Callable[[ImageKey, Sequence[str]], bool]) -> list[ImageKey]:
        """Images, excluded ones too, by their labels' classes."""
        pairs = ((key, self._summary(key)) for key in self._project.images())
        return [key for key, facts in pairs if facts is not None and wanted(key, facts.classes)]

    def _damaged(self) -> list[ImageKey]:
        pairs = ((key, self._summary(key)) for key in self._project.images())
        return [key for key, facts in pairs if facts is not None and facts.status == DAMAGED]

    def _summary(self, key: ImageKey) -> LabelFacts | None:
        return self._project.label_files.listed_summary(key)

    def _folders(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return sorted(path for path in self._folder.iterdir() if path.name.isdecimal())

    def _done(self) -> list[Path]:
        return [folder for folder in self._folders() if state_of(folder) == "done"]

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Nobody else makes or finishes a bulk edit meanwhile; UserError when somebody does."""
        remedy = "Wait until it is done."
        message = "Another change of the whole project is under way"
        busy = UserError(message, path=self._project.root, remedy=remedy)
        with held(self._folder / "lock", busy):
            yield

    # -- doing

    def run(
        self,
        edit: BulkEdit,
        on_progress: OnProgress = lambda done, total, text: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> BulkResult:
        """Make a change over all images, excluded ones too, or none of it.

        Cancelled when it was stopped, UserError when it cannot be; then everything is as it was.
        Label files that cannot be read are left alone and named.
        """
        project = self._project
        project.ensure_written()
        project.reload_manifest()
        edit = edit.checked(project.classes)
        with self._held():
            self._finish_all()
            folder = self._new_folder()
            try:
                plan, result = self._prepare(folder, edit, on_progress, should_stop)
                atomic.flush_folder(folder / "after")
                write_plan(folder, plan)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            try:
                self._commit(folder, plan)
            except OSError as error:
                self._undo(folder, plan)
                raise UserError(f"Nothing was changed: {error}", path=project.root) from error
            for old in self._done()[:-KEPT]:
                shutil.rmtree(old, ignore_errors=True)
        return result

    def _new_folder(self) -> Path:
        numbers = [int(path.name) for path in self._folders()]
        folder = self._folder / f"{max(numbers, default=0) + 1:06d}"
        for part in ("before", "after"):
            (folder / part).mkdir(parents=True)
        return folder

    def _prepare(
        self,
        folder: Path,
        edit: BulkEdit,
        on_progress: OnProgress,
        should_stop: Callable[[], bool],
    ) -> tuple[Plan, BulkResult]:
        """Write the label files as they are to be into `after`."""
        files: list[PlannedFile] = []
        skipped: list[tuple[ImageKey, str]] = []
        shapes = 0
        keys = self._keys_with(edit.may_touch)
        if not edit.picks:
            skipped += [(key, "The label file cannot be read") for key in self._damaged()]
        for done, key in enumerate(keys):
            if should_stop():
                raise Cancelled
            on_progress(done, len(keys), "")
            try:
                count, planned = self._prepare_one(folder / "after" / str(len(files)), edit, key)
            except UserError as error:
                skipped.append((key, error.message))
                continue
            shapes += count
            files += [planned] if planned is not None else []
        on_progress(len(keys), len(keys), "")
        table = self._project.classes
        place = table.names.index(edit.name) if edit.name in table else 0
        plan = Plan(edit, tuple(files), table.get(edit.name), place)
        return plan, BulkResult(edit, len(files), shapes, tuple(skipped))

    def _prepare_one(
        self, target: Path, edit: BulkEdit, key: ImageKey
    ) -> tuple[int, PlannedFile | None]:
        """(shapes changed, the file planned) of one image; nothing when it is not concerned."""
        if key in edit.picks and self._project.label_stamp(key) != edit.picks[key].stamp:
            raise UserError("The labels have changed since they were searched")
        count = 0

        def change(annotation: Annotation) -> Annotation | None:
            nonlocal count
            changes = edit.changes(key, annotation.shapes)
            count = len(changes)
            return _with_changes(annotation, changes) if changes else None

        found = self._project.label_files.rewritten(key, change)
        if found is None:
            return 0, None
        target.write_bytes(found.data)
        atomic.flush(target)
        place = self._stored(found.path)
        return count, PlannedFile(key, place, found.stamp, digest(found.data))

    def _stored(self, path: Path) -> str:
        """How a plan names a file: a project that was moved or copied has its own."""
        inside = path.is_relative_to(self._project.root)
        return path.relative_to(self._project.root).as_posix() if inside else str(path)

    def _place(self, file: PlannedFile) -> Path:
        return self._project.root / file.path

    def _commit(self, folder: Path, plan: Plan) -> None:
        """Move what is ready into place; what is there already stays."""
        for number, file in enumerate(plan.files):
            after, before = folder / "after" / str(number), folder / "before" / str(number)
            if not after.exists():
                continue
            if stamp(self._place(file)) != file.stamp:  # changed while it was being prepared
                plan = self._prepare_again(folder, plan, number)
            if not after.exists():
                continue
            path = self._place(plan.files[number])
            link(path, before)
            with noted(self._project, file.key, plan.edit.step):
                move(after, path)
        self._set_table(lambda: plan.edit.table_after(self._project.classes))
        atomic.write_text(folder / STATE, "done")
        self._project.states()  # what the files say now is learnt here, not in the window

    def _prepare_again(self, folder: Path, plan: Plan, number: int) -> Plan:
        """The plan with a file as it is now; one that is gone, or is not concerned any more, or
        whose picked shapes cannot be told, is left alone."""
        after = folder / "after" / str(number)
        after.unlink()
        with contextlib.suppress(UserError):
            _, planned = self._prepare_one(after, plan.edit, plan.files[number].key)
            if planned is not None:
                files = (*plan.files[:number], planned, *plan.files[number + 1 :])
                plan = replace(plan, files=files)
                write_plan(folder, plan)
        return plan

    def _set_table(self, table: Callable[[], Any]) -> None:
        self._project.reload_manifest()
        changed = table()
        if changed != self._project.classes:
            self._project.set_classes(changed)

    # -- undoing

    def undo(self, on_progress: OnProgress = lambda done, total, text: None) -> BulkResult | None:
        """Take back the last one, keeping what a person has done since; None when there is none.

        UserError when it cannot be any more.
        """
        self._project.reload_manifest()
        with self._held():
            self._finish_all()
            done = self._done()
            if not done:
                return None
            plan = read_plan(done[-1])
            plan.edit.check_undo(self._project.classes)
            return self._undo(done[-1], plan, on_progress)

    def _undo(
        self,
        folder: Path,
        plan: Plan,
        on_progress: OnProgress = lambda done, total, text: None,
    ) -> BulkResult:
        """Put everything back; may be done again after a crash."""
        atomic.write_text(folder / STATE, "undoing")
        images = 0
        for number, file in enumerate(plan.files):
            on_progress(number, len(plan.files), "")
            images += self._take_back(plan.edit, file, folder / "before" / str(number))
        if plan.edit.kind == "rename":
            images += self._rename_back(plan.edit)
        was = plan.was
        if was is not None:
            now = self._project
            self._set_table(lambda: plan.edit.table_before(now.classes, was, plan.place))
        atomic.write_text(folder / STATE, "undone")
        shutil.rmtree(folder, ignore_errors=True)
        self._project.states()
        return BulkResult(plan.edit, images, 0)

    def _take_back(self, edit: BulkEdit, file: PlannedFile, before: Path) -> bool:
        """Whether a label file was put back, in whole or in part."""
        path = self._place(file)
        if not before.exists() or not path.exists():
            return False
        if digest(path.read_bytes()) == file.digest:
            note = noted(self._project, file.key, edit.step)
            with note, atomic.replacing(path, durable=False) as temporary:
                link(before, temporary)
            return True
        try:
            old = self._project.label_files.read_copy(file.key, before).annotation.shapes
            changes = edit.changes(file.key, old)
            undone = partial(edit.undone, before=old, changes=changes)
            return change_shapes(self._project, file.key, undone, edit.step)
        except UserError:  # it cannot be read any more: somebody's work all the same
            return False

    def _rename_back(self, edit: BulkEdit) -> int:
        """Images that got the new name since."""
        keys = self._keys_with(lambda key, classes: edit.to in classes)
        count = 0
        for key in keys:
            with contextlib.suppress(UserError):
                undone = partial(edit.undone, before=(), changes={})
                count += change_shapes(self._project, key, undone, edit.step)
        return count

    # -- after a crash

    def recover(self) -> tuple[BulkEdit, ...]:
        """Finish what a process that died has left; what was finished."""
        pending = [folder for folder in self._folders() if state_of(folder) != "done"]
        if not pending:
            return ()
        try:
            with self._held():
                return self._finish_all()
        except (UserError, OSError):
            return ()  # it is being made, or cannot be finished now; the next opening tries again

    def _finish_all(self) -> tuple[BulkEdit, ...]:
        finished = []
        for folder in self._folders():
            state = state_of(folder)
            if state in ("preparing", "undone"):
                shutil.rmtree(folder, ignore_errors=True)
            elif state != "done":
                plan = read_plan(folder)
                (self._commit if state == "planned" else self._undo)(folder, plan)
                finished.append(plan.edit)
        return tuple(finished)


def _with_changes(annotation: Annotation, changes: dict[int, Shape | None]) -> Annotation:
    now = (changes.get(place, shape) for place, shape in enumerate(annotation.shapes))
    return replace(annotation, shapes=tuple(shape for shape in now if shape is not None))
