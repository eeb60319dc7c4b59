"""Writing a project in a foreign format, and proving what came out by reading it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from segstudio.annotation import rasterise
from segstudio.annotation.document import Annotation
from segstudio.errors import Cancelled, UserError
from segstudio.formats.base import (
    ClassLoss,
    ExportJob,
    Format,
    OnProgress,
    Report,
    ShouldStop,
    Source,
    never,
    note_lines,
    quiet,
)
from segstudio.formats.table import TABLE
from segstudio.project import atomic
from segstudio.project.project import Project
from segstudio.project.scan import ImageKey


def export(
    project: Project,
    out: Path,
    fmt: str,
    keys: Sequence[ImageKey] | None = None,
    on_progress: OnProgress = quiet,
    should_stop: ShouldStop = never,
) -> Report:
    """Write images (default: all confirmed ones) to the new folder `out`.

    Everything is written beside `out`, read back and compared, and only then renamed. Images
    that cannot be read are listed in the report and left out. UserError when `out` holds
    something, Cancelled (with nothing left behind) when stopped.
    """
    chosen = _writer(fmt)
    out = out.absolute()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError("The export folder is not empty", path=out, remedy="Choose a new one.")
    if keys is None:
        keys = [*project.confirmed_keys(), *project.damaged_keys()]  # the latter to be named
    wanted = list(keys)
    progress = _Progress(3 * len(wanted), on_progress, should_stop)
    usable, skipped = _usable(project, wanted, progress)
    if not usable:
        raise UserError("There is no image to export", remedy=_remedy(skipped))
    progress.total -= 2 * len(skipped)
    with atomic.folder(out) as staging:
        job = ExportJob(project, usable, staging, progress.step)
        written = _written(chosen, job)
        classes = _read_back(chosen, job, written, progress)
    return Report(chosen.name, out, len(usable), classes, tuple(skipped), note_lines(job.notes))


def _writer(fmt: str) -> Format:
    chosen = TABLE.get(fmt.replace("-", "_"))
    if chosen is None or chosen.write is None:
        known = ", ".join(name for name, row in TABLE.items() if row.write)
        raise UserError(f"Format {fmt!r} cannot be written", remedy=f"Formats: {known}.")
    return chosen


def _written(chosen: Format, job: ExportJob) -> Mapping[ImageKey, str]:
    if chosen.write is None:
        raise UserError(f"Format {chosen.name} cannot be written")
    return chosen.write(job)


def _remedy(skipped: Sequence[tuple[str, str]]) -> str:
    return f"None can be read: {skipped[0][1]}" if skipped else "Confirm some, or export all."


def _usable(
    project: Project, keys: Sequence[ImageKey], progress: _Progress
) -> tuple[list[ImageKey], list[tuple[str, str]]]:
    """Images whose picture and labels can be read, and why the others cannot.

    Pictures are decoded whole: a cut-off one has a good header, and no use for training.
    """
    usable: list[ImageKey] = []
    skipped: list[tuple[str, str]] = []
    for key in keys:
        try:
            project.read_image(key)
            project.load(key)
            usable.append(key)
        except UserError as error:
            skipped.append((key, str(error)))
        progress.step(key)
    return usable, skipped


def _read_back(
    chosen: Format, job: ExportJob, written: Mapping[ImageKey, str], progress: _Progress
) -> tuple[ClassLoss, ...]:
    """Compare the label map of every image with what its files give when read again."""
    key_of = {place: key for key, place in written.items()}
    values = job.project.classes.values
    sent: Counter[int] = Counter()
    came: Counter[int] = Counter()
    for item in chosen.read(Source(job.folder)):
        key = key_of.pop(item.place, None)
        if key is None:
            continue
        _compare(job, key, item.load().annotation, values, sent, came)
        progress.step(key)
    for key in key_of.values():  # written, and not to be found again: all of it is lost
        _compare(job, key, None, values, sent, came)
    return tuple(ClassLoss(c.name, sent[c.id], came[c.id]) for c in job.project.classes)


def _compare(
    job: ExportJob,
    key: ImageKey,
    back: Annotation | None,
    values: Mapping[str, int],
    sent: Counter[int],
    came: Counter[int],
) -> None:
    labels = job.project.training_map(key)
    same = None
    if back is not None and back.size == labels.shape:
        same = rasterise.label_map(back.shapes, values, back.size) == labels
    for value in values.values():
        mask = labels == value
        sent[value] += int(mask.sum())
        came[value] += int((mask & same).sum()) if same is not None else 0


class _Progress:
    """Counts steps and raises Cancelled when the job is to stop."""

    def __init__(self, total: int, on_progress: OnProgress, should_stop: ShouldStop) -> None:
        self.total = total
        self._done = 0
        self._on_progress = on_progress
        self._should_stop = should_stop

    def step(self, key: ImageKey) -> None:
        if self._should_stop():
            raise Cancelled
        self._done += 1
        self._on_progress(self._done, self.total, key)
