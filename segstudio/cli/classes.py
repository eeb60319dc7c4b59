"""`classes`: what classes there are, and changing them over the whole project."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from segstudio.cli import console
from segstudio.cli.console import OK, Progress, Result, note, say
from segstudio.errors import UserError
from segstudio.project.bulk import BulkEdit, BulkKind
from segstudio.project.bulk_store import BulkResult
from segstudio.project.classes import colour_text
from segstudio.project.lock import ProjectLock
from segstudio.project.project import Project
from segstudio.project.shape_index import FILE, ClassStatistics, ShapeIndex


def classes(
    folder: Path,
    rename: str | None,
    merge: str | None,
    delete: str | None,
    recolour: str | None,
    undo: bool,
    statistics: bool,
    json: bool,
) -> Result:
    edit = _asked(rename, merge, delete, recolour)
    with Project.open(folder) as project:
        done = _change(project, edit, undo) if edit is not None or undo else None
        result = {} if done is None else {"done": done.to_json()}
        return OK, {**result, **_list(project, statistics)}


def _asked(
    rename: str | None, merge: str | None, delete: str | None, recolour: str | None
) -> BulkEdit | None:
    kinds: tuple[tuple[BulkKind, str | None], ...] = (
        ("rename", rename),
        ("merge", merge),
        ("recolour", recolour),
    )
    for kind, text in kinds:
        if text is not None:
            name, equals, to = text.rpartition("=")
            if not equals:
                raise UserError(f"--{kind} wants two names with = between, not {text!r}")
            return BulkEdit(kind, name, to)
    return BulkEdit("delete", delete) if delete is not None else None


@contextmanager
def to_ourselves(root: Path) -> Iterator[None]:
    """No window has the project meanwhile; UserError when one has it now."""
    with ProjectLock(root) as lock:
        if not lock.acquire():
            remedy = f"Close it first; held by {lock.holder() or '?'}."
            raise UserError("A window has this project open", path=root, remedy=remedy)
        yield


def _change(project: Project, edit: BulkEdit | None, undo: bool) -> BulkResult | None:
    """Do or undo a change, with the project to ourselves."""
    with to_ourselves(project.root), console.stoppable() as stopper:
        progress = Progress("undoing" if edit is None else "changing")
        if edit is None:
            done = project.bulk.undo(progress.step)
        else:
            done = project.bulk.run(edit, progress.step, stopper)
        progress.close()
    _say_done(done, undo)
    return done


def _say_done(done: BulkResult | None, undo: bool) -> None:
    if done is None:
        say("There is nothing to undo")
        return
    head = "Undone: " if undo else ""
    say(f"{head}{done.edit.title}: {done.images} images")
    for key, why in done.skipped[:20]:
        note(f"left alone: {key}: {why}")
    if not undo:
        note("`segstudio classes FOLDER --undo` takes it back")


def _list(project: Project, statistics: bool) -> dict[str, Any]:
    found = _counted(project, Progress("counting").step)
    table = []
    for row in found:
        known = project.classes.get(row.name)
        colour = colour_text(known.colour) if known is not None else ""
        facts = {"id": known.id if known is not None else None, "colour": colour}
        table.append({**facts, **row.to_json()})
    if statistics:
        _say_statistics(found)
    else:
        cells = [(t["id"], t["name"], t["colour"], t["images"], t["shapes"]) for t in table]
        console.say_table(("id", "class", "colour", "images", "shapes"), cells)
    last = project.bulk.last()
    return {"classes": table, "undo": last.title if last is not None else None}


def _say_statistics(found: Sequence[ClassStatistics]) -> None:
    header = ("class", "images", "shapes", "pixels", "share", "median area")
    cells = [
        (r.name, r.images, r.shapes, r.pixels, f"{r.share:.2%}", f"{r.median_area:g}")
        for r in found
    ]
    console.say_table(header, cells)


def _counted(
    project: Project, on_progress: Callable[[int, int, str], None]
) -> list[ClassStatistics]:
    kept = Project.is_project(project.root)
    index = ShapeIndex(project.root / FILE if kept else None)
    try:
        index.refresh(project, on_progress)
        return index.statistics(project.classes.names)
    finally:
        index.close()
