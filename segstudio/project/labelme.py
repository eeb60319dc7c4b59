"""Labelme JSON, our own label format: read tolerantly, written strictly.

What the reader survives and what the writer owes to Labelme's strict reader (1.0 to 7.9) was read
from Labelme's sources; `tests/project/test_labelme.py` lists it case by case.
"""

from __future__ import annotations

import base64
import gc
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PureWindowsPath
from typing import Any, Final

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import (
    BACKGROUND_CLASS,
    IGNORE_CLASS,
    Shape,
    as_points,
)
from segstudio.errors import UserError
from segstudio.project import atomic, images, label_json
from segstudio.project.labelme_shapes import (
    OUR_KEY,
    UNNAMED,
    ShapeReader,
    Verbatim,
    as_dict,
    read_flags,
    shape_json,
)
from segstudio.project.labelme_text import ShapeTexts, joined, listed, nested
from segstudio.project.orientation import turn_array, turn_points

VERSION: Final = "6.3.1"
"""The Labelme version new files name: the oldest that knows every shape type we write."""

EMBEDDED: Final = "<embedded>"
"""Stands for the picture's name where the picture is inside the label file only."""

_TOP_KEYS: Final = (
    "version",
    "flags",
    "shapes",
    "imagePath",
    "imageData",
    "imageHeight",
    "imageWidth",
)


@dataclass(frozen=True, slots=True)
class LabelFile:
    """A label file as read: the annotation, what belongs to the file alone, and what was mended.

    `image_path` is relative to the file, with forward slashes, "" when it names none;
    `image_data` is the embedded picture file in base64.
    """

    annotation: Annotation
    image_path: str = ""
    image_data: str | None = None
    version: str = VERSION
    repairs: tuple[str, ...] = ()
    verbatim: Verbatim = field(default_factory=Verbatim)


# -- reading


def read(path: Path, image_size: tuple[int, int] | None = None, orientation: int = 1) -> LabelFile:
    """Read a label file, mending what can be mended.

    `image_size` is (width, height) of the picture as shown; `orientation` its EXIF orientation,
    with which shapes drawn on the unturned picture are turned. UserError when it is not a
    Labelme file.
    """
    with _no_collection():
        return parse(load_json(path), path, image_size, orientation)


def read_for(picture: Path, size: tuple[int, int] | None, path: Path) -> LabelFile:
    """Read the label file of a picture of `size` (width, height), None when it is unreadable."""

    def parsed(raw: Mapping[str, Any]) -> LabelFile:
        turned = size is not None and declared_size(raw) == size[::-1] != size
        return parse(raw, path, size, images.orientation_of(picture) if turned else 1)

    with _no_collection():
        return parsed(load_json(path))


def load_json(path: Path) -> dict[str, Any]:
    """The object of a Labelme file as `label_json` reads it; UserError when it is none."""
    try:
        with _no_collection():
            raw = label_json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"The label file cannot be read: {error.strerror}", path=path) from error
    except (ValueError, RecursionError) as error:
        message = f"The label file is damaged: {error}"
        raise UserError(message, path=path, remedy="Restore it or move it away.") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("shapes"), list):
        raise UserError("This JSON is not a Labelme file", path=path, remedy="Move it away.")
    return raw


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without looking for reference cycles, of which JSON makes none: half the time otherwise."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def parse(
    raw: Mapping[str, Any],
    path: Path,
    image_size: tuple[int, int] | None = None,
    orientation: int = 1,
) -> LabelFile:
    """The label file `raw`, which lies at `path`; see `read`."""
    repairs: list[str] = []
    reader = ShapeReader(repairs)
    shapes = reader.read_all(raw["shapes"])
    declared = declared_size(raw)
    size = image_size or declared or _found_size(raw, path) or _extent(shapes)
    if image_size and declared and image_size != declared:
        shapes = _mended_size(shapes, declared, image_size, orientation, repairs)
    ours = raw.get(OUR_KEY)
    facts = dict(ours) if isinstance(ours, dict) else {}
    extra = {key: value for key, value in raw.items() if key not in (*_TOP_KEYS, OUR_KEY)}
    status, seconds = facts.pop("status", None), facts.pop("seconds", 0.0)
    if facts:
        extra[OUR_KEY] = facts
    annotation = Annotation(
        width=size[0],
        height=size[1],
        shapes=tuple(shapes),
        confirmed=status == "confirmed",
        foreign=not isinstance(ours, dict),
        seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
        flags=read_flags(raw.get("flags"), "the picture's flags", repairs),
        extra=extra,
    )
    return LabelFile(
        annotation,
        _image_path(raw),
        raw.get("imageData") if isinstance(raw.get("imageData"), str) else None,
        raw["version"] if isinstance(raw.get("version"), str) else VERSION,
        tuple(repairs),
        Verbatim(reader.points, reader.masks),
    )


@dataclass(frozen=True, slots=True)
class Brief:
    """What a label file says in short: `annotation` has its status, and no shape but one that
    stands for all."""

    annotation: Annotation
    classes: tuple[str, ...]
    image_path: str
    embedded: bool


def brief(raw: Mapping[str, Any]) -> Brief:
    """The short form of a label file, without decoding its shapes."""
    ours = raw.get(OUR_KEY)
    labels = [entry.get("label") if isinstance(entry, dict) else None for entry in raw["shapes"]]
    names = (str(label) if label not in (None, "") else UNNAMED for label in labels)
    special = (IGNORE_CLASS, BACKGROUND_CLASS)
    annotation = Annotation(
        1,
        1,
        shapes=(Shape(UNNAMED, "opaque"),) if labels else (),
        confirmed=isinstance(ours, dict) and ours.get("status") == "confirmed",
        foreign=not isinstance(ours, dict),
        flags=read_flags(raw.get("flags"), "", []),
    )
    classes = tuple(name for name in dict.fromkeys(names) if name not in special)
    return Brief(annotation, classes, _image_path(raw), bool(raw.get("imageData")))


def find_image(label_file: Path, image_path: str) -> Path | None:
    """The picture a label file names, else one of the same name beside it; None when gone."""
    named = label_file.parent / image_path
    if image_path and named.is_file():
        return named
    beside = [label_file.parent / PureWindowsPath(image_path).name] if image_path else []
    stems = (label_file.stem, Path(label_file.stem).stem)
    beside += [label_file.with_name(s + e) for s in stems for e in sorted(images.IMAGE_SUFFIXES)]
    return next((path for path in beside if path.is_file() and images.is_image(path.name)), None)


def _image_path(raw: Mapping[str, Any]) -> str:
    name = raw.get("imagePath")
    return PureWindowsPath(name).as_posix() if isinstance(name, str) and name else ""


def declared_size(raw: Mapping[str, Any]) -> tuple[int, int] | None:
    """(width, height) that a label file gives for its picture."""
    width, height = raw.get("imageWidth"), raw.get("imageHeight")
    if isinstance(width, int | float) and isinstance(height, int | float):
        return (int(width), int(height)) if width >= 1 and height >= 1 else None
    return None


def _found_size(raw: Mapping[str, Any], path: Path) -> tuple[int, int] | None:
    """The size of the picture the file holds or names."""
    try:
        if raw.get("imageData"):
            return images.data_size(base64.b64decode(raw["imageData"]))
        found = find_image(path, _image_path(raw))
        return images.image_size(found) if found else None
    except (OSError, ValueError, TypeError, UserError):
        return None


def _extent(shapes: Iterable[Shape]) -> tuple[int, int]:
    """A size that holds all shapes, for want of a better one."""
    boxes = [box for box in (shape.bounds() for shape in shapes) if box is not None]
    return max([b[2] for b in boxes], default=1), max([b[3] for b in boxes], default=1)


def _mended_size(
    shapes: list[Shape],
    declared: tuple[int, int],
    actual: tuple[int, int],
    orientation: int,
    repairs: list[str],
) -> list[Shape]:
    """Shapes for a picture of `actual` size whose label file says `declared`."""
    sizes = f"{declared[0]}x{declared[1]}, the picture is {actual[0]}x{actual[1]}"
    turned = declared == actual[::-1] and orientation in (5, 6, 7, 8)
    if not (turned and _fits(shapes, declared)):
        repairs.append(f"the file says {sizes}")
        return shapes
    repairs.append(f"the file says {sizes}: shapes were turned as the picture's EXIF says")
    return [_turned(shape, declared, orientation) for shape in shapes]


def _fits(shapes: Sequence[Shape], size: tuple[int, int]) -> bool:
    width, height = _extent(shapes)
    return width <= size[0] + 12 and height <= size[1] + 12  # bounds are padded by a pen's width


def _turned(shape: Shape, stored: tuple[int, int], orientation: int) -> Shape:
    if shape.bitmap is not None:
        whole = shape.bitmap.to_array((0, 0, *stored))
        return replace(shape, bitmap=Bitmap.from_array(turn_array(whole, orientation)))
    return replace(shape, points=as_points(turn_points(shape.points, stored, orientation)))


# -- writing


def write(
    path: Path,
    annotation: Annotation,
    image_path: str,
    image_data: str | None = None,
    **more: Any,
) -> None:
    """Write a label file that Labelme's strict reader takes, atomically; `more` as for
    `dump_parts`.

    `image_path` is relative to the file, `image_data` base64 or None.
    """
    atomic.write_parts(path, dump_parts(annotation, image_path, image_data, **more))


def write_file(path: Path, file: LabelFile, texts: ShapeTexts | None = None) -> None:
    """Write what was read, its annotation perhaps changed; `texts` as for `dump_parts`."""
    facts = {"version": file.version, "verbatim": file.verbatim, "texts": texts}
    write(path, file.annotation, file.image_path, file.image_data, **facts)


def encoded_file(file: LabelFile) -> bytes:
    """The bytes of what was read, its annotation perhaps changed."""
    facts = {"version": file.version, "verbatim": file.verbatim}
    return dump(file.annotation, file.image_path, file.image_data, **facts)


def dump(
    annotation: Annotation, image_path: str, image_data: str | None = None, **more: Any
) -> bytes:
    """The bytes of a label file; `more` as for `dump_parts`."""
    return b"".join(dump_parts(annotation, image_path, image_data, **more))


def dump_parts(
    annotation: Annotation,
    image_path: str,
    image_data: str | None = None,
    *,
    version: str = VERSION,
    verbatim: Verbatim | None = None,
    texts: ShapeTexts | None = None,
) -> list[bytes]:
    """The bytes of a label file, in parts.

    Points that `verbatim` knows are written as they were, others with 3 decimals. `texts`
    remembers the shapes of the last file, so that the next one encodes only what is new.
    """
    known = verbatim or Verbatim()
    document = _document(annotation, image_path, image_data, version)
    try:
        shapes = (texts or ShapeTexts()).of(annotation.shapes, known)
        return _encoded(document, shapes)
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can carry and UTF-8 cannot
        document["shapes"] = [shape_json(shape, known) for shape in annotation.shapes]
        return [json.dumps(document, indent=2).encode("ascii")]


def _document(
    annotation: Annotation, image_path: str, image_data: str | None, version: str
) -> dict[str, Any]:
    """The file's object, its shapes left out."""
    extra = dict(annotation.extra)
    ours = extra.pop(OUR_KEY, None)
    document = {
        "version": version,
        "flags": dict(annotation.flags),
        "shapes": [],
        "imagePath": image_path,
        "imageData": image_data,
        "imageHeight": annotation.height,
        "imageWidth": annotation.width,
        **{key: value for key, value in extra.items() if key not in _TOP_KEYS},
    }
    if not annotation.foreign or annotation.confirmed:
        document[OUR_KEY] = {**as_dict(ours), **_status(annotation)}
    return document


def _encoded(document: Mapping[str, Any], shapes: list[bytes]) -> list[bytes]:
    """`document` as `json.dumps(…, indent=2)` writes it, with these texts as its shapes."""
    texts = {key: nested(value, 2) for key, value in document.items()}
    place = "\0"  # which JSON always writes otherwise
    texts["shapes"] = place if shapes else "[]"
    members = (f"{nested(key, 0)}: {text}" for key, text in texts.items())
    before, _, after = joined(members, "{}", 0).partition(place)
    return [before.encode("utf-8"), *listed(shapes, 2), after.encode("utf-8")]


def _status(annotation: Annotation) -> dict[str, Any]:
    status = "confirmed" if annotation.confirmed else "in_progress"
    return {"status": status, "seconds": round(annotation.seconds, 1)}
