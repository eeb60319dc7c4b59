"""The folder of one bulk edit: its plan, how far it is, and its label files before and after."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from segstudio.errors import UserError
from segstudio.project import atomic
from segstudio.project.bulk import BulkEdit
from segstudio.project.classes import ProjectClass
from segstudio.project.index import Stamp
from segstudio.project.scan import ImageKey

PLAN: Final = "plan.json"
STATE: Final = "state"


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One label file: its image, its place (relative to the project when it lies in it), its stamp
    before, and the digest of what it is to be."""

    key: ImageKey
    path: str
    stamp: Stamp
    digest: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a bulk edit does. `was` is its class as it had been, at `place` in the table."""

    edit: BulkEdit
    files: tuple[PlannedFile, ...]
    was: ProjectClass | None = None
    place: int = 0


def state_of(folder: Path) -> str:
    """ "preparing", "planned", "done", "undoing" or "undone"."""
    try:
        return (folder / STATE).read_text(encoding="utf-8").strip()
    except OSError:
        return "planned" if (folder / PLAN).exists() else "preparing"


def write_plan(folder: Path, plan: Plan) -> None:
    files = [[f.key, f.path, *f.stamp, f.digest] for f in plan.files]
    was = None if plan.was is None else asdict(plan.was)
    facts = {"edit": plan.edit.to_json(), "files": files, "was": was, "place": plan.place}
    atomic.write_text(folder / PLAN, json.dumps(facts, ensure_ascii=False))


def read_plan(folder: Path) -> Plan:
    """UserError when it cannot be read."""
    try:
        raw = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        files = tuple(PlannedFile(k, path, (t, size), d) for k, path, t, size, d in raw["files"])
        was = None if raw["was"] is None else _class_of(raw["was"])
        return Plan(BulkEdit.from_json(raw["edit"]), files, was, int(raw["place"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            "The record of a change of all images is damaged, so it cannot be taken back",
            path=folder,
            remedy="Label files are as they were left; move this folder away to go on.",
        ) from error


def _class_of(raw: dict[str, Any]) -> ProjectClass:
    lists = {name: tuple(raw[name]) for name in ("colour", "formerly", "absorbed")}
    return ProjectClass(**{**raw, **lists})


def move(new: Path, path: Path) -> None:
    """Put a file in the place of another, which may be on another disk."""
    try:
        os.replace(new, path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        atomic.write_bytes(path, new.read_bytes())
        new.unlink()


def digest(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def own_bytes(path: Path) -> int:
    facts = path.stat()
    return facts.st_size if facts.st_nlink == 1 else 0
