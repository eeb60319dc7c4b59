"""Pictures on their way in and out of a project."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from segstudio.formats.base import Notes
from segstudio.project import images
from segstudio.project.project import Project
from segstudio.project.scan import ImageKey, stem_of


def unique_places(project: Project, keys: Sequence[ImageKey]) -> dict[ImageKey, str]:
    """A path in an export for every image, unique even without its ending.

    The one folder that holds all pictures is left out: "images/a/b.jpg" goes to "a/b.jpg".
    """
    tops = {key.partition("/")[0] for key in project.images()}
    strip = len(tops) == 1 and all("/" in key for key in project.images())
    places: dict[ImageKey, str] = {}
    taken: set[str] = set()
    for key in keys:
        place = key.partition("/")[2] if strip else key
        if stem_of(place).casefold() in taken:
            place = f"{place.replace('.', '_')}{PurePosixPath(place).suffix}"
        taken.add(stem_of(place).casefold())
        places[key] = place
    return places


def flat(place: str) -> str:
    """A place as one file name without its ending, for formats without folders."""
    return stem_of(place).replace("/", "__")


def copy_picture(source: Path, target: Path, notes: Notes) -> Path:
    """Copy a picture; where copying would show it differently elsewhere it is written anew.

    A picture that its EXIF turns is turned in its pixels, since many readers of training data
    ignore EXIF; one embedded in a label file becomes a file. Returns the path written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix.lower() == ".json":
        target = target.with_suffix(".png")
        Image.fromarray(images.read_image(source)).save(target)
    elif images.orientation_of(source) != 1:
        options: dict[str, Any] = (
            {"quality": 95} if target.suffix.lower() in (".jpg", ".jpeg") else {}
        )
        Image.fromarray(images.read_image(source)).save(target, **options)
        notes["turned as its EXIF says and written anew"].append(source.name)
    else:
        shutil.copyfile(source, target)
    return target


def to_jpeg(source: Path, target: Path, notes: Notes) -> None:
    """A picture as JPEG: copied when it is one already, else re-encoded with quality 95."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix.lower() in (".jpg", ".jpeg"):
        copy_picture(source, target, notes)
        return
    Image.fromarray(images.read_image(source)).save(target, quality=95, subsampling=0)
    notes["re-encoded as JPEG, which the format asks for"].append(source.name)
