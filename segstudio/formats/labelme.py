"""Folders of Labelme JSON, in and out. The codec itself is the project's own label format."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from segstudio.annotation.document import Annotation
from segstudio.errors import UserError
from segstudio.formats.base import ExportJob, ImportItem, Source, Written
from segstudio.formats.pictures import copy_picture, unique_places
from segstudio.project import images, labelme
from segstudio.project.labelme import LabelFile

_LOOKED_AT: Final = 20
_END: Final = 65536


def detect(folder: Path) -> float:
    """Whether JSON files below the folder look like Labelme's."""
    for count, file in enumerate(_json_files(folder)):
        ends = _ends(file)
        if b'"shapes"' in ends or b'"imagePath"' in ends:
            return 0.9
        if count >= _LOOKED_AT:
            break
    return 0.0


def read(source: Source) -> Iterator[ImportItem]:
    """Every label file whose picture is found: beside it, where it says, or inside it."""
    for file in _json_files(source.folder):
        try:
            raw = labelme.load_json(file)
        except UserError:
            if b'"shapes"' in _ends(file):
                yield _broken(file, source.folder)
            continue
        picture = _find_picture(file, labelme.parse(raw, file, (1, 1)).image_path, source)
        place = _place(file, picture, source.folder)
        yield ImportItem(picture or file, place, _loader(file, picture))


def write(job: ExportJob) -> Written:
    """Pictures with their label files beside them; masks, holes and unknown keys included."""
    places = unique_places(job.project, job.keys)
    for key in job.keys:
        found = job.project.load_label_file(key)
        place = copy_picture(job.project.image_file(key), job.folder / places[key], job.notes)
        annotation = found.annotation if found else Annotation(*job.project.image_size(key))
        # whoever trains on the files shall see an unfinished image as unfinished
        path = place.with_suffix(".json")
        labelme.write(
            path,
            replace(annotation, foreign=False, confirmed=annotation.is_confirmed),
            place.name,
            version=found.version if found else labelme.VERSION,
            verbatim=found.verbatim if found else None,
        )
        job.tick(key)
    return {key: places[key] for key in job.keys}


def _loader(file: Path, picture: Path | None) -> Callable[[], LabelFile]:
    def load() -> LabelFile:
        if picture is None:
            return labelme.read(file)
        return labelme.read_for(picture, images.image_size(picture), file)

    return load


def _broken(file: Path, folder: Path) -> ImportItem:
    place = file.relative_to(folder).as_posix()
    return ImportItem(file, place, lambda: labelme.read(file))


def _find_picture(file: Path, image_path: str, source: Source) -> Path | None:
    found = labelme.find_image(file, image_path)
    if found is None and source.images is not None:
        candidate = source.images / PurePosixPath(image_path).name
        return candidate if candidate.is_file() else None
    return found


def _place(file: Path, picture: Path | None, folder: Path) -> str:
    """Where the picture goes: where it lies in the set, else beside its label file."""
    if picture is not None and picture.is_relative_to(folder):
        return picture.relative_to(folder).as_posix()
    name = picture.name if picture is not None else file.name
    return file.with_name(name).relative_to(folder).as_posix()


def _json_files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(names) if name.endswith(".json"))


def _ends(file: Path) -> bytes:
    """The beginning and the end of a file: enough to know it, however large it is."""
    with file.open("rb") as stream:
        head = stream.read(_END)
        stream.seek(max(_END, file.stat().st_size - _END))
        return head + stream.read(_END)
