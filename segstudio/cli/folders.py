"""`init`, `import` and `export`."""

from __future__ import annotations

from pathlib import Path

from segstudio.cli import console
from segstudio.cli.console import FAILED, INTERRUPTED, OK, Progress, Result, note, say
from segstudio.formats import export, import_into
from segstudio.project.project import Project


def init(
    folder: Path, images: Path | None, classes: tuple[str, ...], name: str | None, json: bool
) -> Result:
    with Project.create(folder, name=name, images=images, classes=classes) as project:
        count = len(project.images())
        say(f"Project {project.name!r}: {count} pictures, classes {_listed(project.classes.names)}")
        return OK, {
            "project": str(project.root),
            "images": count,
            "classes": list(project.classes.names),
        }


def import_set(
    source: Path,
    folder: Path,
    images: Path | None,
    classes: tuple[str, ...],
    format: str,
    json: bool,
) -> Result:
    progress = Progress("importing")
    with _open_or_create(folder) as project, console.stoppable() as stopper:
        report = import_into(
            project, source, format, progress.step, stopper, images=images, classes=classes
        )
        progress.close()
        result = {"project": str(project.root), **report.to_json()}
        say(
            f"{report.images} pictures with {report.shapes} shapes from {report.format}; "
            f"classes {_listed(project.classes.names)}"
        )
    _list_problems("skipped", report.skipped)
    _list_problems("mended", report.repairs)
    if report.cancelled:
        return INTERRUPTED, result
    return (OK if report.images or not report.skipped else FAILED), result


def export_set(folder: Path, out: Path, format: str, all: bool, json: bool) -> Result:
    progress = Progress("exporting")
    with Project.open(folder) as project, console.stoppable() as stopper:
        keys = project.included() if all else None
        report = export(project, out, format, keys, progress.step, stopper)
    progress.close()
    say(f"{report.images} images as {report.format} in {report.out}; read back and compared:")
    rows = [(c.name, c.written, c.back, c.lost) for c in report.classes]
    console.say_table(("class", "pixels written", "came back", "lost"), rows)
    _list_problems("skipped", report.skipped)
    for text in report.notes:
        note(f"note: {text}")
    return (FAILED if report.skipped else OK), report.to_json()


def _open_or_create(folder: Path) -> Project:
    if Project.is_project(folder) or (folder.is_dir() and any(folder.iterdir())):
        return Project.open(folder)
    return Project.create(folder)


def _list_problems(what: str, problems: tuple[tuple[str, str], ...], limit: int = 20) -> None:
    for name, reason in problems[:limit]:
        note(f"{what}: {name}: {reason}")
    if len(problems) > limit:
        note(f"{what}: {len(problems) - limit} more")


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none yet"
