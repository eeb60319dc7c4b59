"""`models`: what there is, which is in force, and housekeeping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from segstudio.cli import console, networks
from segstudio.cli.console import OK, Result, say
from segstudio.errors import UserError
from segstudio.project import sample
from segstudio.project.models import ModelInfo
from segstudio.project.project import Project

NONE = "none"
"""What `--promote` is told so that no model is in force."""


def models(
    folder: Path | None,
    promote: str | None,
    roll_back: bool,
    pin: str | None,
    unpin: str | None,
    prune: int | None,
    adopt: Path | None,
    architectures: bool,
    measure: bool,
    arch: str | None,
    mapping: list[str],
    json: bool,
) -> Result:
    if architectures:
        return networks.architectures()
    if measure:
        return networks.measure(folder, arch)
    if folder is None and not Project.is_project(Path.cwd()):
        return _shipped()
    with Project.open(folder or Path.cwd()) as project:
        store = project.models
        if promote == NONE:
            store.retire()
        elif promote is not None:
            store.promote(promote)
        if roll_back and store.roll_back() is None:
            raise UserError("There is nothing earlier to go back to", path=project.root)
        if pin is not None:
            store.pin(pin, True)
        if unpin is not None:
            store.pin(unpin, False)
        if prune is not None:
            removed = store.prune(prune)
            freed = project.predictions.prune_unseen(m.id for m in store.all())
            say(f"removed {', '.join(removed) or 'nothing'}; {freed:,} bytes of predictions")
        if adopt is not None:
            _adopt(project, adopt, mapping, arch)
        return _list(store.all(), store.current())


def _adopt(project: Project, file: Path, mapping: list[str], arch: str | None) -> None:
    from segstudio.learning.adopt import adopt_model

    pairs = [text.partition("=") for text in mapping]
    if any(not equals for _, equals, _ in pairs):
        raise UserError("--map wants THEIRS=OURS")
    project.ensure_written()
    added = adopt_model(project, file, {theirs: ours for theirs, _, ours in pairs}, arch)
    say(f"{added.id} was added; --promote {added.id} puts it in force")


def _shipped() -> Result:
    return _list([sample.shipped_starter()], None)


def _list(found: list[ModelInfo], current: ModelInfo | None) -> Result:
    force = current.id if current else None
    rows = [
        (
            "in force" if m.id == force else "",
            m.id,
            m.architecture,
            m.made,
            m.learned_from or "",
            _miou(m),
            ", ".join(m.classes),
            "pinned" if m.pinned else "",
        )
        for m in found
    ]
    console.say_table(("", "id", "network", "made", "images", "mIoU", "classes", ""), rows)
    if force is None and found:
        say("no model is in force; --promote ID puts one there")
    return OK, [_facts(m, m.id == force) for m in found]


def _facts(model: ModelInfo, in_force: bool) -> dict[str, Any]:
    return {
        "id": model.id,
        "architecture": model.architecture,
        "classes": list(model.classes),
        "parameters": model.parameters,
        "scores": model.scores,
        "in_force": in_force,
        "pinned": model.pinned,
        "parent": model.parent,
        "created": model.created,
        "path": str(model.path),
    }


def _miou(model: ModelInfo) -> float | None:
    value = model.scores.get("miou")
    return float(value) if isinstance(value, int | float) else None
