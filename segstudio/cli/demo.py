"""`demo`: the main job on a copy of the sample project."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import Any

from segstudio.cli import console, learn, window
from segstudio.cli.console import INTERRUPTED, OK, Result, say
from segstudio.formats import export
from segstudio.project import sample
from segstudio.project.project import Project


def demo(folder: Path | None, minutes: float, headless: bool, device: str, json: bool) -> Result:
    root = sample.open_copy((folder or Path("segstudio-demo")).absolute())
    if not headless and window.has_display() and not _is_offscreen():
        say(f"The sample is in {root}; opening the window. --headless does the job without it.")
        return window.open_window(root, json)
    why = "as you asked" if headless else "there is no display"
    say(f"Without a window ({why}): segment, train, evaluate, export in {root}")
    return _without_window(root, minutes, device)


def _without_window(root: Path, minutes: float, device: str) -> Result:
    result: dict[str, Any] = {"project": str(root)}
    step = count(1)
    with Project.open(root) as project:
        if project.models.current() is not None:
            say(f"\n{next(step)}. The starter model segments the pictures without labels")
            model = learn.choose_model(project, None)
            result["segment"] = learn.segment_project(project, model, "unlabelled", device)[1]
        say(f"\n{next(step)}. Training for {minutes:g} min on the labelled pictures")
        code, result["train"] = learn.train_project(project, minutes=minutes, device=device)
        if code == INTERRUPTED:
            return code, result
        say(f"\n{next(step)}. Scores of the model in force")
        model = learn.choose_model(project, None)
        result["evaluate"] = learn.evaluate_project(project, model, device=device)[1]
        say(f"\n{next(step)}. Export as PASCAL VOC, read back")
        result["export"] = _export(project)
    say(f"\nDone. `segstudio {root}` opens it in the window.")
    return OK, result


def _export(project: Project) -> dict[str, Any]:
    with console.stoppable() as stopper:
        out = _free_name(project.root / "exports" / "voc")
        report = export(project, out, "voc", should_stop=stopper)
    rows = [(c.name, c.written, c.back, c.lost) for c in report.classes]
    console.say_table(("class", "pixels written", "came back", "lost"), rows)
    say(f"{report.images} images in {report.out}")
    return report.to_json()


def _free_name(path: Path) -> Path:
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def _is_offscreen() -> bool:
    return os.environ.get("QT_QPA_PLATFORM") in ("offscreen", "minimal")
