"""`init`, `import` and `export`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segstudio.annotation.shape import BACKGROUND_CLASS, IGNORE_CLASS
from segstudio.cli import console
from segstudio.cli.console import FAILED, INTERRUPTED, OK, Progress, Result, note, say
from segstudio.formats import Meaning, Numbering, export, find_set, import_into
from segstudio.formats.instance_png import DEFAULT_CLASS
from segstudio.project.project import Project

_MOST_ROWS = 60


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
    first_value: int,
    void_value: int | None,
    format: str,
    json: bool,
) -> Result:
    numbering = Numbering(classes, first_value, void_value)
    found = find_set(source, format, images=images, numbering=numbering)
    progress = Progress("importing")
    with _open_or_create(folder) as project, console.stoppable() as stopper:
        report = import_into(project, found, progress.step, stopper)
        progress.close()
        result = {"project": str(project.root), **report.to_json()}
        say(
            f"{report.images} pictures with {report.shapes} shapes from {report.format}; "
            f"classes {_listed(project.classes.names)}"
        )
    say_values(report.values)
    if report.format == "instance_png" and report.classes == (DEFAULT_CLASS,):
        note(f"note: the class is called {DEFAULT_CLASS}; --classes NAME calls it something else")
    if report.format == "index_png":
        _doubt_zero(report.values, numbering)
    _list_problems("skipped", report.skipped)
    _list_problems("mended", report.repairs)
    if report.cancelled:
        return INTERRUPTED, result
    return (OK if report.images or not report.skipped else FAILED), result


def say_values(values: Sequence[Meaning]) -> None:
    """What the values of label maps were taken for."""
    if values:
        rows = [(row.value, row.name, f"{row.share:.1%}") for row in values[:_MOST_ROWS]]
        console.say_table(("value", "taken for", "share"), rows)
        if len(values) > _MOST_ROWS:
            say(f"… and {len(values) - _MOST_ROWS:,} more values")


def _doubt_zero(values: Sequence[Meaning], numbering: Numbering) -> None:
    """Nothing in a map tells whether 0 is background or the first class."""
    zero = next((row for row in values if row.value == "0"), None)
    several = sum(row.name not in (BACKGROUND_CLASS, IGNORE_CLASS) for row in values) > 1
    if zero is not None and zero.name == BACKGROUND_CLASS and several and numbering.first == 1:
        note(
            f"note: value 0 ({zero.share:.1%} of the pixels) was taken for background. If it is "
            "a class, import again with --first-value 0; --void-value N names the value of "
            "unlabelled pixels."
        )


def export_set(folder: Path, out: Path, format: str, all: bool, json: bool) -> Result:
    progress = Progress("exporting")
    with Project.open(folder) as project, console.stoppable() as stopper:
        keys = project.included() if all else None
        report = export(project, out, format, keys, progress.step, stopper)
        waiting = sum(project.state(key) == "draft" for key in keys or ())
    progress.close()
    say(f"{report.images} images as {report.format} in {report.out}; read back and compared:")
    rows = [(c.name, c.written, c.back, c.lost) for c in report.classes]
    console.say_table(("class", "pixels written", "came back", "lost"), rows)
    _list_problems("skipped", report.skipped)
    for text in report.notes:
        note(f"note: {text}")
    if waiting:
        note(
            f"note: {waiting} of these images have a draft that nobody has accepted; drafts are "
            "not exported. Accept them in the window, or all of them with `segment --accept`."
        )
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
