"""`runs`: batch runs over many images, and taking one back everywhere."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from segstudio.cli import console
from segstudio.cli.classes import to_ourselves
from segstudio.cli.console import OK, Progress, Result, say
from segstudio.project.project import Project
from segstudio.project.runs import RunInfo, Undone, when


def runs(folder: Path, undo: int | None, json: bool) -> Result:
    with Project.open(folder) as project:
        result: dict[str, Any] = {}
        if undo is not None:
            result["undone"] = _undo(project, undo).to_json()
        found = project.runs.all()
    rows = [
        (run.number, run.model, when(run.began), run.images, run.left, _state(run)) for run in found
    ]
    console.say_table(("run", "model", "began", "images", "left", ""), rows)
    return OK, {**result, "runs": [asdict(run) for run in found]}


def _undo(project: Project, number: int) -> Undone:
    """With the project to ourselves."""
    with to_ourselves(project.root):
        progress = Progress("undoing")
        done = project.runs.undo(number, progress.step)
        progress.close()
    say(f"Run {number} is undone: {done.images} images are without its drafts")
    if done.labels:
        say(f"{done.labels} images are without the labels that it made of drafts")
    if done.kept:
        say(f"in {done.kept} of them stays what somebody accepted, rejected or confirmed")
    return done


def _state(run: RunInfo) -> str:
    state = run.state if run.state != "done" else "" if run.can_undo else "nothing left"
    return ", ".join(word for word in ("thorough" if run.thorough else "", state) if word)
