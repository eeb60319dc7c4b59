"""Folders of instance maps as PNG: 0 is background, every other value is one object.

All objects are of one class; `Source.numbering.classes` names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np

from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import mask_shape
from segstudio.errors import UserError
from segstudio.formats import maps
from segstudio.formats.base import ImportItem, Source
from segstudio.project import images
from segstudio.project.labelme import LabelFile

_MAPS: Final = ("instances", "instance_masks", "objects")
_PICTURES: Final = ("images", "imgs", "image", "pictures")
DEFAULT_CLASS: Final = "object"


def detect(folder: Path) -> float:
    return 0.8 if _folder(folder, _MAPS) else 0.0


def read(source: Source) -> Iterator[ImportItem]:
    """Every instance map with a picture of the same stem; one mask shape per object."""
    map_folder = _folder(source.folder, _MAPS) or source.folder
    picture_folder = source.images or _folder(source.folder, _PICTURES)
    if picture_folder is None:
        remedy = f"They are looked for in {', '.join(_PICTURES)}; --images names another folder."
        raise UserError("There is no picture folder", path=source.folder, remedy=remedy)
    pictures = maps.pictures_by_stem(picture_folder)
    classes = source.numbering.classes
    name = classes[0] if classes else DEFAULT_CLASS
    for stem, path in sorted(maps.pictures_by_stem(map_folder).items()):
        if stem in pictures:
            image = pictures[stem]
            place = image.relative_to(picture_folder).as_posix()
            yield ImportItem(image, place, _loader(path, image, name))


def _loader(path: Path, image: Path, name: str) -> Callable[[], LabelFile]:
    def load() -> LabelFile:
        width, height = images.image_size(image)
        numbers = maps.read_map(path)
        if numbers.ndim == 3:
            numbers = maps.packed(numbers)
        maps.check_size(numbers, (width, height), path)
        shapes = (mask_shape(name, bitmap) for _, bitmap in maps.parts(numbers.astype(np.int64)))
        return LabelFile(Annotation(width, height, tuple(shapes), foreign=True))

    return load


def _folder(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_dir()), None)
