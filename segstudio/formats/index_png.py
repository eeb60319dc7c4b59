"""Folders of label maps as PNG: the value of a pixel (or its colour) is its class.

Written as `images/`, `labels/` (grey, the value is the class), `palette/` (the same values, shown
in the classes' colours) and `labels.txt`. Read from any of the usual pairs of folders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from segstudio.annotation.document import Annotation
from segstudio.annotation.rasterise import VOID, VOID_16
from segstudio.annotation.shape import BACKGROUND_CLASS, IGNORE_CLASS
from segstudio.errors import UserError
from segstudio.formats import maps
from segstudio.formats.base import ExportJob, ImportItem, Source, Written
from segstudio.formats.pictures import copy_picture, unique_places
from segstudio.project import images
from segstudio.project.labelme import LabelFile
from segstudio.project.scan import stem_of
from segstudio.project.splits import Side

_PAIRS: Final = (
    f"Label maps are looked for in {', '.join(maps.LABEL_FOLDERS[:4])}, pictures in "
    f"{', '.join(maps.PICTURE_FOLDERS)}, or train and trainannot; --images names another folder "
    "of pictures."
)
_SPLITS: Final[tuple[tuple[str, Side], ...]] = (
    ("train", "train"),
    ("val", "val"),
    ("test", "test"),
)


def detect(folder: Path) -> float:
    return 0.6 if _pairs_of_folders(folder) else 0.0


def read(source: Source) -> Iterator[ImportItem]:
    """Every label map that has a picture of the same stem; one mask shape per class."""
    folders = (source.folder, source.folder.parent)
    names = maps.find_names(folders, source.numbering, source.legend)
    pairs = _pairs_of_folders(source.folder)
    if source.images is not None:
        label_folder = pairs[0][1] if pairs else source.folder
        pairs = [(source.images, label_folder, None)]
    if not pairs:
        raise UserError("No pair of picture and label folders", path=source.folder, remedy=_PAIRS)
    for picture_folder, label_folder, side in pairs:
        pictures = maps.pictures_by_stem(picture_folder)
        prefix = f"{picture_folder.name}/" if len(pairs) > 1 else ""
        for stem, label_map in sorted(maps.pictures_by_stem(label_folder).items()):
            image = maps.picture_of(stem, pictures)
            if image is not None:
                place = prefix + image.relative_to(picture_folder).as_posix()
                yield ImportItem(image, place, loader(label_map, image, names), side)


def write(job: ExportJob) -> Written:
    places = unique_places(job.project, job.keys)
    palette = maps.palette_of([c.colour for c in job.project.classes][:254])
    written: dict[str, str] = {}
    for key in job.keys:
        image = copy_picture(
            job.project.image_file(key), job.folder / "images" / places[key], job.notes
        )
        written[key] = image.relative_to(job.folder / "images").as_posix()
        labels = maps.renumbered(job.project.training_map(key), job.values())
        name = f"{stem_of(written[key])}.png"
        maps.save_index(labels, job.folder / "labels" / name)
        if labels.itemsize == 1:
            maps.save_palette(labels, job.folder / "palette" / name, palette)
        job.tick(key)
    _write_names(job)
    return written


def loader(label_map: Path, image: Path, names: maps.Names) -> Callable[[], LabelFile]:
    def load() -> LabelFile:
        width, height = images.image_size(image)
        labels = maps.read_map(label_map)
        maps.check_size(labels, (width, height), label_map)
        shapes = maps.class_shapes(labels, names)
        return LabelFile(Annotation(width, height, shapes, foreign=True))

    return load


def _write_names(job: ExportJob) -> None:
    names = job.names()
    void = VOID if len(names) < VOID else VOID_16
    lines = [f"0 {BACKGROUND_CLASS}", *(f"{i} {name}" for i, name in enumerate(names, 1))]
    text = "\n".join([*lines, f"{void} {IGNORE_CLASS}"]) + "\n"
    (job.folder / "labels.txt").write_text(text, encoding="utf-8")


def _pairs_of_folders(folder: Path) -> list[tuple[Path, Path, Side | None]]:
    """(pictures, label maps, side) folders of a set."""
    found: list[tuple[Path, Path, Side | None]] = []
    for split, side in _SPLITS:  # CamVid: train and trainannot
        if (folder / f"{split}annot").is_dir() and (folder / split).is_dir():
            found.append((folder / split, folder / f"{split}annot", side))
    if found:
        return found
    named = (folder / name for name in maps.LABEL_FOLDERS)
    labels = next((place for place in named if _holds_maps(place)), None)
    pictures = maps.first_folder(folder, maps.PICTURE_FOLDERS)
    return [(pictures, labels, None)] if labels and pictures else []


def _holds_maps(folder: Path) -> bool:
    return folder.is_dir() and any(p.suffix.lower() == ".png" for p in folder.rglob("*"))
