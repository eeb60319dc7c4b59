"""PASCAL VOC segmentation: SegmentationClass, SegmentationObject, ImageSets, the VOC palette.

Layout and void (255) as in the VOC 2012 development kit (Everingham et al., 2010).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from segstudio.annotation import rasterise
from segstudio.annotation.document import Annotation
from segstudio.annotation.rasterise import VOID, VOID_16
from segstudio.errors import UserError
from segstudio.formats import maps
from segstudio.formats.base import ExportJob, ImportItem, Source, Written
from segstudio.formats.pictures import flat, to_jpeg, unique_places
from segstudio.project import images
from segstudio.project.labelme import LabelFile
from segstudio.project.splits import Side

BASE: Final = "VOCdevkit/VOC2012"
_CLASS_FOLDERS: Final = ("SegmentationClass", "SegmentationClassPNG")
_OBJECT_FOLDERS: Final = ("SegmentationObject", "SegmentationObjectPNG")
_SIDES: Final[tuple[tuple[str, Side], ...]] = (("train", "train"), ("val", "val"), ("test", "test"))
CLASSES: Final = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
    "person pottedplant sheep sofa train tvmonitor"
).split()


def detect(folder: Path) -> float:
    return 1.0 if _root(folder) else 0.0


def read(source: Source) -> Iterator[ImportItem]:
    """Every class map; with an object map, one mask shape per object."""
    root = _root(source.folder)
    class_folder = _class_folder(root) if root else None
    if root is None or class_folder is None:
        raise UserError("There is no SegmentationClass folder", path=source.folder)
    names = _names(root, source)
    pictures = maps.pictures_by_stem(source.images or root / "JPEGImages")
    sides = _sides(root)
    for stem, class_map in sorted(maps.pictures_by_stem(class_folder).items()):
        picture = pictures.get(stem)
        image = picture or root / "JPEGImages" / f"{stem}.jpg"
        load = _loader(class_map, _object_map(root, stem), image, names)
        yield ImportItem(image, image.name, load, sides.get(stem))


def write(job: ExportJob) -> Written:
    """The development kit's layout, so that `torchvision.datasets.VOCSegmentation` reads it."""
    if len(job.names()) >= VOID:
        raise UserError("VOC holds at most 254 classes", remedy="Export index_png instead.")
    root = job.folder / BASE
    stems = {key: flat(place) for key, place in unique_places(job.project, job.keys).items()}
    for key in job.keys:
        _write_one(job, key, root, stems[key])
        job.tick(key)
    _write_lists(job, root, stems)
    (root / "class_names.txt").write_text(
        "\n".join(["_background_", *job.names()]) + "\n", encoding="utf-8"
    )
    return {key: f"{stem}.jpg" for key, stem in stems.items()}


def _write_one(job: ExportJob, key: str, root: Path, stem: str) -> None:
    project = job.project
    labels = maps.renumbered(project.training_map(key), job.values())
    annotation = project.load(key)
    _, objects = rasterise.instance_map(annotation.shapes, project.classes.values, annotation.size)
    void = VOID if objects.max(initial=0) < VOID else VOID_16
    numbers = np.where(labels == VOID, void, objects).astype(
        np.uint8 if void == VOID else np.uint16
    )
    to_jpeg(project.image_file(key), root / "JPEGImages" / f"{stem}.jpg", job.notes)
    palette = maps.voc_palette()
    maps.save_palette(labels, root / "SegmentationClass" / f"{stem}.png", palette)
    target = root / "SegmentationObject" / f"{stem}.png"
    if void == VOID:
        maps.save_palette(numbers, target, palette)
    else:
        maps.save_index(numbers, target)
        job.notes["more than 254 objects, so the object map has 16 bits"].append(stem)


def _write_lists(job: ExportJob, root: Path, stems: dict[str, str]) -> None:
    folder = root / "ImageSets" / "Segmentation"
    folder.mkdir(parents=True)
    sides = {key: job.project.splits.side(key) or "train" for key in job.keys}
    lists = {name: [stems[k] for k in job.keys if sides[k] == side] for name, side in _SIDES}
    lists["trainval"] = [stems[k] for k in job.keys if sides[k] != "test"]
    for name, members in lists.items():
        (folder / f"{name}.txt").write_text("".join(f"{m}\n" for m in members), encoding="utf-8")


def _loader(
    class_map: Path, object_map: Path | None, image: Path, names: maps.Names
) -> Callable[[], LabelFile]:
    def load() -> LabelFile:
        width, height = images.image_size(image)
        labels = maps.read_map(class_map)
        maps.check_size(labels, (width, height), class_map)
        if object_map is None:
            shapes = maps.class_shapes(labels, names)
        else:
            objects = maps.read_map(object_map)
            maps.check_size(objects, (width, height), object_map)
            shapes = maps.object_shapes(labels, objects, names)
        return LabelFile(Annotation(width, height, shapes, foreign=True))

    return load


def _names(root: Path, source: Source) -> maps.Names:
    palette = maps.voc_palette()
    folders = (root, source.folder, root.parent)
    names = maps.find_names(folders, source.numbering, source.legend)
    if not names.known:
        names = replace(names, by_value=dict(enumerate(["_background_", *CLASSES])))
    if not names.by_colour:
        return replace(names, by_colour={palette[v]: n for v, n in names.by_value.items()})
    return names


def _sides(root: Path) -> dict[str, Side]:
    sides: dict[str, Side] = {}
    for name, side in _SIDES:
        path = root / "ImageSets" / "Segmentation" / f"{name}.txt"
        if path.is_file():
            lines = path.read_text(encoding="utf-8-sig").split("\n")
            sides.update((line.split()[0], side) for line in lines if line.strip())
    return sides


def _object_map(root: Path, stem: str) -> Path | None:
    folder = next((root / name for name in _OBJECT_FOLDERS if (root / name).is_dir()), None)
    path = folder / f"{stem}.png" if folder else None
    return path if path is not None and path.is_file() else None


def _class_folder(root: Path) -> Path | None:
    """The folder of class maps; Labelme's older converter kept arrays in SegmentationClass."""
    folders = (root / name for name in _CLASS_FOLDERS)
    return next((f for f in folders if f.is_dir() and any(f.glob("*.png"))), None)


def _root(folder: Path) -> Path | None:
    """The folder that holds SegmentationClass: this one, or the kit's below it."""
    candidates = [folder, *sorted(folder.glob("VOC2*")), *sorted(folder.glob("VOCdevkit/VOC2*"))]
    for candidate in candidates:
        if _class_folder(candidate) is not None:
            return candidate
    return None
