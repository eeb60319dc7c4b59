"""Folders of instance maps as PNG: 0 is background, every other value is one object.

Written as `images/`, `instances/` (16 bits, numbered 1..n in each map, 65535 where nobody said what
it is) and `instances.csv`, which has a line for each object: its map, its value, its class. In
maps of others, which have no such table, all objects are of one class; the first of
`Source.numbering.classes` names it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from segstudio.annotation import rasterise
from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Annotation
from segstudio.annotation.rasterise import VOID_16
from segstudio.annotation.shape import IGNORE_CLASS, mask_shape
from segstudio.errors import UserError
from segstudio.formats import maps
from segstudio.formats.base import ExportJob, ImportItem, Source, Written
from segstudio.formats.pictures import copy_picture, unique_places
from segstudio.project import images
from segstudio.project.labelme import LabelFile
from segstudio.project.scan import stem_of

TABLE: Final = "instances.csv"
_COLUMNS: Final = ("map", "value", "class")
_MAPS: Final = ("instances", "instance_masks", "objects")
DEFAULT_CLASS: Final = "object"
_LOOKED_AT: Final = 5
"""Maps that are looked at to know what a folder holds."""
_FEW: Final = 8
"""Values that a set may have in all and still show classes, however dense and whole they are."""
_SHARED: Final = 16
"""The same when every map has all of them."""
_DENSE: Final = 0.5
"""The least share of the numbers 1..n that a map of objects uses."""
_WHOLE: Final = 0.8
"""The least share of objects that are in one piece."""

Classes = Mapping[str, Mapping[int, str]]
"""The class of each object by its map, then its value."""


def detect(folder: Path) -> float:
    """A folder named for it, or label maps of 16 bits whose values are numbers of objects."""
    if maps.first_folder(folder, _MAPS):
        return 0.8
    found = maps.first_folder(folder, maps.LABEL_FOLDERS)
    pictures = maps.first_folder(folder, maps.PICTURE_FOLDERS)
    named = any((place / name).is_file() for place in (folder, found or folder) for name in _NAMED)
    return 0.7 if found and pictures and not named and are_instances(found) else 0.0


def read(source: Source) -> Iterator[ImportItem]:
    """Every instance map with a picture of the same stem; one mask shape per object."""
    usual = (*_MAPS, *maps.LABEL_FOLDERS)
    map_folder = maps.first_folder(source.folder, usual) or source.folder
    picture_folder = source.images or maps.first_folder(source.folder, maps.PICTURE_FOLDERS)
    if picture_folder is None:
        remedy = f"They are looked for in {', '.join(maps.PICTURE_FOLDERS)}; --images names others."
        raise UserError("There is no picture folder", path=source.folder, remedy=remedy)
    pictures = maps.pictures_by_stem(picture_folder)
    known = _read_table(source.folder / TABLE)
    given = source.numbering.classes
    name = given[0] if given else DEFAULT_CLASS
    for stem, path in sorted(maps.pictures_by_stem(map_folder).items()):
        image = maps.picture_of(stem, pictures)
        if image is not None:
            place = image.relative_to(picture_folder).as_posix()
            at = path.relative_to(map_folder).as_posix()
            yield ImportItem(image, place, _loader(path, image, known.get(at, {}), name))


def write(job: ExportJob) -> Written:
    """An object is a shape, or the shapes of one class and group."""
    places = unique_places(job.project, job.keys)
    written: dict[str, str] = {}
    with (job.folder / TABLE).open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(_COLUMNS)
        for key in job.keys:
            image = copy_picture(
                job.project.image_file(key), job.folder / "images" / places[key], job.notes
            )
            written[key] = image.relative_to(job.folder / "images").as_posix()
            at = f"{stem_of(written[key])}.png"
            numbers, names = _objects(job, key)
            maps.save_index(numbers, job.folder / "instances" / at)
            table.writerows((at, value, name) for value, name in names.items())
            job.tick(key)
    return written


def are_instances(folder: Path) -> bool:
    """Whether the maps of a folder have 16 bits and number objects, each in one piece.

    Maps of classes share a few values, or have values far apart, or classes lie in many pieces.
    """
    files = sorted(path for path in folder.rglob("*.png") if path.is_file())
    some = files[:: -(-len(files) // _LOOKED_AT)] if files else []
    try:
        looked = [maps.read_map(path) for path in some]
    except UserError:
        return False
    if any(found.ndim != 2 or found.itemsize == 1 for found in looked):
        return False
    values = [_void_apart(found) for found in looked]
    return not _are_shared(values) and all(map(_number_objects, values))


def _void_apart(numbers: NDArray[Any]) -> dict[int, Bitmap]:
    """The values of a map but 0 and void, and their pixels."""
    return {value: bitmap for value, bitmap in maps.parts(numbers) if value != VOID_16}


def _are_shared(values: Sequence[Mapping[int, Bitmap]]) -> bool:
    """Whether maps have the same few values, as those of classes do."""
    there = set[int]().union(*values)
    same = len(values) > 1 and all(found.keys() == there for found in values)
    return len(there) <= (_SHARED if same else _FEW)


def _number_objects(found: Mapping[int, Bitmap]) -> bool:
    """Whether the values of a map look like numbers of objects."""
    whole = sum(_is_whole(bitmap) for bitmap in found.values())
    return len(found) >= _DENSE * max(found, default=0) and whole >= _WHOLE * len(found)


def _is_whole(bitmap: Bitmap) -> bool:
    """Whether it is one 8-connected piece."""
    mask = bitmap.to_array(bitmap.bounds() or (0, 0, 1, 1)).astype(np.uint8)
    return cv2.connectedComponents(mask, connectivity=8)[0] == 2


_NAMED: Final = (*maps.NAME_FILES, "labelmap.txt")
"""Files that give classes to values: where there is one, values are classes."""


def _objects(job: ExportJob, key: str) -> tuple[NDArray[np.uint16], dict[int, str]]:
    """Objects of an image from 1 on (h, w), VOID_16 for void, and their classes."""
    project = job.project
    values = project.classes.values
    labels, objects = project.training_maps(key, True)
    assert objects is not None
    there, first, numbers = np.unique(objects, return_index=True, return_inverse=True)
    if len(there) > VOID_16:
        remedy = "Export index_png instead."
        raise UserError(f"{len(there)} objects are more than 16 bits hold", remedy=remedy)
    start = 0 if there[0] == 0 else 1
    numbered = (numbers.reshape(objects.shape) + start).astype(np.uint16)
    by_value = project.classes.by_value
    classes = labels.ravel()[first].tolist()
    names = {n: by_value[value] for n, value in enumerate(classes, start) if n}
    void = labels == rasterise.void_value(values.values())
    if void.any():
        numbered[void] = VOID_16
        names[VOID_16] = IGNORE_CLASS
    return numbered, names


def _loader(
    path: Path, image: Path, names: Mapping[int, str], name: str
) -> Callable[[], LabelFile]:
    def load() -> LabelFile:
        width, height = images.image_size(image)
        numbers = maps.read_map(path)
        if numbers.ndim == 3:
            numbers = maps.packed(numbers)
        maps.check_size(numbers, (width, height), path)
        found = maps.parts(numbers.astype(np.int64))
        shapes = (mask_shape(names.get(value, name), bitmap) for value, bitmap in found)
        return LabelFile(Annotation(width, height, tuple(shapes), foreign=True))

    return load


def _read_table(file: Path) -> Classes:
    """The classes of objects; empty where there is no table, UserError when it cannot be read."""
    if not file.is_file():
        return {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream)
            head = next(rows, [])
            columns = [head.index(name) for name in _COLUMNS]
            found: dict[str, dict[int, str]] = {}
            for row in filter(None, rows):
                at, value, name = (row[column] for column in columns)
                found.setdefault(at, {})[int(value)] = name
            return found
    except (IndexError, ValueError, csv.Error) as error:
        remedy = f"It has the columns {', '.join(_COLUMNS)}, separated by commas."
        raise UserError("The table of objects cannot be read", path=file, remedy=remedy) from error
