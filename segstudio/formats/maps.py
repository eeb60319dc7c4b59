"""Label maps in PNG files: reading every kind, writing index and palette, and back to shapes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.rasterise import VOID, VOID_16
from segstudio.annotation.shape import BACKGROUND_CLASS, IGNORE_CLASS, Shape, mask_shape
from segstudio.errors import UserError
from segstudio.formats.base import DEFAULT_NUMBERING, Legend, Numbering
from segstudio.project.classes import Colour
from segstudio.project.images import is_image

VOID_COLOUR: Final[Colour] = (224, 224, 192)
_BACKGROUND_NAMES: Final = frozenset({BACKGROUND_CLASS, "background", "bg", "unlabelled"})
_VOID_NAMES: Final = frozenset({IGNORE_CLASS, "void", "ignore", "ignored", "unlabeled"})
_NUMBERED: Final = re.compile(r"(\d+)[\s,:;]+(\S.*)")
_COLOURED: Final = re.compile(r"([^:#]+):(\d+),(\d+),(\d+)")
LABEL_FOLDERS: Final = ("labels", "masks", "annotations", "gt", "label", "mask")
PICTURE_FOLDERS: Final = ("images", "imgs", "image", "pictures", "JPEGImages")
"""What folders of label maps, and of their pictures, are usually called."""
_ENDINGS: Final = ("", "_mask", "_label", "_labels", "_gt", "_L", "-mask", "_segmentation")
NAME_FILES: Final = ("labels.txt", "classes.txt", "class_names.txt", "names.txt")


@dataclass(frozen=True, slots=True)
class Names:
    """What the values, or the colours, of a set's label maps mean; `legend` counts the pixels
    of each that were read. `known` tells names that somebody gave from names made up here."""

    by_value: Mapping[int, str] = field(default_factory=dict)
    by_colour: Mapping[Colour, str] = field(default_factory=dict)
    numbering: Numbering = DEFAULT_NUMBERING
    legend: Legend = field(default_factory=Counter)

    @property
    def known(self) -> bool:
        return bool(self.by_value)

    def of_value(self, value: int) -> str:
        """The class of a value; void values are `__ignore__`, unknown ones get a name."""
        if value == self.numbering.void:
            return IGNORE_CLASS
        if value in self.by_value:
            return self.by_value[value]
        # one above the last name is void in CamVid's and others' maps
        if value in (VOID, VOID_16) or value == len(self.by_value) > 1:
            return IGNORE_CLASS
        return BACKGROUND_CLASS if value < self.numbering.first else f"class {value}"

    def of_colour(self, colour: Colour) -> str:
        if colour in self.by_colour:
            return self.by_colour[colour]
        if colour == VOID_COLOUR:
            return IGNORE_CLASS
        return (
            BACKGROUND_CLASS
            if colour == (0, 0, 0)
            else "colour #{:02x}{:02x}{:02x}".format(*colour)
        )


def find_names(folders: Iterable[Path], numbering: Numbering, legend: Legend) -> Names:
    """Names from a list a person gave, else from the first name file found."""
    if numbering.classes:
        given = dict(enumerate(numbering.classes, numbering.first))
        return Names(given, {}, numbering, legend)
    for folder in folders:
        coloured = folder / "labelmap.txt"
        if coloured.is_file():
            by_colour = _coloured_names(coloured)
            by_value = dict(enumerate(by_colour.values()))
            return Names(by_value, by_colour, numbering, legend)
        for name in NAME_FILES:
            if (folder / name).is_file():
                return Names(_numbered_names(folder / name), {}, numbering, legend)
    return Names({}, {}, numbering, legend)


def _numbered_names(path: Path) -> dict[int, str]:
    """Lines "3 cat", or names alone: Labelme's lists begin with `__ignore__` (-1)."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    lines = [line for line in lines if line]
    numbered = [_NUMBERED.fullmatch(line) for line in lines]
    if all(numbered):
        return {int(m[1]): _canonical(m[2]) for m in numbered if m}
    first = -1 if lines and lines[0] == IGNORE_CLASS else 0
    return {i: _canonical(name) for i, name in enumerate(lines, first) if i >= 0}


def _coloured_names(path: Path) -> dict[Colour, str]:
    """A `labelmap.txt` of CVAT and Datumaro: name:r,g,b:parts:actions."""
    matches = [_COLOURED.match(line) for line in path.read_text(encoding="utf-8-sig").splitlines()]
    found = [m for m in matches if m]
    return {(int(m[2]), int(m[3]), int(m[4])): _canonical(m[1].strip()) for m in found}


def _canonical(name: str) -> str:
    lowered = name.casefold()
    if lowered in _VOID_NAMES:
        return IGNORE_CLASS
    return BACKGROUND_CLASS if lowered in _BACKGROUND_NAMES else name


# -- reading


def read_map(path: Path) -> NDArray[Any]:
    """Values (h, w), or colours (h, w, 3) uint8, of a label map; UserError when unreadable.

    Modes 1, L, I, I;16 and P give values (of a palette: its indices), colour modes give RGB.
    """
    try:
        with Image.open(path) as image:
            if image.mode == "1":
                return np.asarray(image).astype(np.uint8)
            if image.mode in ("L", "P") or image.mode.startswith("I"):
                return np.asarray(image)
            if image.mode in ("LA", "PA"):
                return np.asarray(image.getchannel(0))
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(f"The label map cannot be read: {error}", path=path) from error


def check_size(labels: NDArray[Any], size: tuple[int, int], path: Path) -> None:
    """UserError when a map is not of the picture's size (width, height)."""
    height, width = labels.shape[:2]
    if (width, height) != size:
        message = f"The map is {width}x{height}, its picture {size[0]}x{size[1]}"
        raise UserError(message, path=path, remedy="Scale one of them without smoothing.")


def named_parts(labels: NDArray[Any], names: Names) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """(class, mask (h, w)) of everything but background in a map of values or colours."""
    coloured = labels.ndim == 3
    values = packed(labels) if coloured else labels
    for value, pixels in zip(*np.unique(values, return_counts=True), strict=True):
        colour = _unpacked(int(value))
        name = names.of_colour(colour) if coloured else names.of_value(int(value))
        text = "#{:02x}{:02x}{:02x}".format(*colour) if coloured else str(value)
        names.legend[text, name] += int(pixels)
        if name != BACKGROUND_CLASS:
            yield name, values == value


def class_shapes(labels: NDArray[Any], names: Names) -> tuple[Shape, ...]:
    """One mask shape per class of a label map."""
    return tuple(
        mask_shape(name, Bitmap.from_array(mask)) for name, mask in named_parts(labels, names)
    )


def object_shapes(labels: NDArray[Any], objects: NDArray[Any], names: Names) -> tuple[Shape, ...]:
    """One mask shape per object and class; what belongs to no object is one shape per class."""
    numbers = packed(objects) if objects.ndim == 3 else objects
    shapes: list[Shape] = []
    for name, mask in named_parts(labels, names):
        if name == IGNORE_CLASS:
            shapes.append(mask_shape(name, Bitmap.from_array(mask)))
            continue
        shapes += [mask_shape(name, part) for _, part in parts(np.where(mask, numbers + 1, 0))]
    return tuple(shapes)


def parts(numbers: NDArray[Any]) -> Iterator[tuple[int, Bitmap]]:
    """(number, its pixels) of every number of a map (h, w) but 0."""
    rows, columns = np.nonzero(numbers)
    found = numbers[rows, columns]
    order = np.argsort(found, kind="stable")
    cuts = np.flatnonzero(np.diff(found[order])) + 1
    for group in np.split(order, cuts):
        if not group.size:
            continue
        y, x = rows[group], columns[group]
        top, left = int(y.min()), int(x.min())
        mask = np.zeros((int(y.max()) - top + 1, int(x.max()) - left + 1), np.bool_)
        mask[y - top, x - left] = True
        yield int(found[group[0]]), Bitmap.from_array(mask, left, top)


def packed(colours: NDArray[Any]) -> NDArray[np.int32]:
    """Colours (h, w, 3) as one number each, (h, w) int32."""
    wide = colours.astype(np.int32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def _unpacked(code: int) -> Colour:
    return code >> 16, code >> 8 & 255, code & 255


# -- writing


def renumbered(labels: NDArray[Any], values: Mapping[int, int]) -> NDArray[Any]:
    """The map with project numbers replaced by those of an export; 0 and void stay."""
    void = VOID_16 if labels.dtype == np.uint16 else VOID
    wide = max(values.values(), default=0) >= VOID
    table = np.zeros(void + 1, np.uint16 if wide else np.uint8)
    for old, new in values.items():
        table[old] = new
    table[void] = VOID_16 if wide else VOID
    result: NDArray[Any] = table[labels]
    return result


def save_index(labels: NDArray[Any], path: Path) -> None:
    """Values as a grey PNG of 8 or 16 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(labels).save(path, "PNG")


def save_palette(labels: NDArray[Any], path: Path, palette: Sequence[Colour]) -> None:
    """Values as a PNG whose palette shows each in its colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(labels)
    image.putpalette([channel for colour in palette for channel in colour])
    image.save(path, "PNG")


def palette_of(colours: Sequence[Colour]) -> list[Colour]:
    """256 colours: black, the classes', grey, and the colour of void."""
    rest = [(128, 128, 128)] * (254 - len(colours))
    return [(0, 0, 0), *colours, *rest, VOID_COLOUR]


def voc_palette() -> list[Colour]:
    """The colour map of PASCAL VOC's devkit (VOClabelcolormap)."""
    return [_voc_colour(i) for i in range(256)]


def _voc_colour(index: int) -> Colour:
    channels = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            channels[channel] |= (index >> channel & 1) << (7 - bit)
        index >>= 3
    return channels[0], channels[1], channels[2]


# -- pairing


def first_folder(folder: Path, names: Iterable[str]) -> Path | None:
    """The first folder of these names in `folder`."""
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def picture_of(stem: str, pictures: Mapping[str, Path]) -> Path | None:
    """The picture of a label map: the same stem, or the stem without a usual ending."""
    for ending in _ENDINGS:
        if stem.endswith(ending) and stem.removesuffix(ending) in pictures:
            return pictures[stem.removesuffix(ending)]
    return None


def pictures_by_stem(folder: Path) -> dict[str, Path]:
    """Pictures below `folder` by their path without ending, relative to it."""
    found = (p for p in sorted(folder.rglob("*")) if is_image(p.name) and p.is_file())
    return {p.relative_to(folder).with_suffix("").as_posix(): p for p in found}
