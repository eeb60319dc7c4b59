"""Labelme JSON, our own label format: read tolerantly, written strictly.

What the reader survives and what the writer owes to Labelme's strict reader (1.0 to 7.9) was read
from Labelme's sources; `tests/project/test_labelme.py` lists it case by case.
"""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PureWindowsPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import Kind, Shape, Source, as_points
from segstudio.errors import UserError
from segstudio.project import atomic, images
from segstudio.project.orientation import turn_array, turn_points

VERSION: Final = "6.3.1"
"""The Labelme version new files name: the oldest that knows every shape type we write."""

EMBEDDED: Final = "<embedded>"
"""Stands for the picture's name where the picture is inside the label file only."""

OUR_KEY: Final = "segstudio"
_TOP_KEYS: Final = (
    "version",
    "flags",
    "shapes",
    "imagePath",
    "imageData",
    "imageHeight",
    "imageWidth",
)
_SHAPE_KEYS: Final = (
    "label",
    "points",
    "group_id",
    "description",
    "shape_type",
    "flags",
    "mask",
    "locked",
)
_KINDS: Final[Mapping[str, Kind]] = {
    "polygon": "polygon",
    "rectangle": "rectangle",
    "oriented_rectangle": "oriented_rectangle",
    "circle": "circle",
    "line": "line",
    "linestrip": "linestrip",
    "point": "point",
    "points": "points",
    "mask": "mask",
}
_UNNAMED: Final = "unknown"
_Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Verbatim:
    """The very numbers of a file, so that what nobody changed is written as it was.

    `points` gives [x, y] as the file has it by its value; `masks` are (pixels, points, PNG).
    """

    points: Mapping[_Point, Sequence[float]] = field(default_factory=dict)
    masks: tuple[tuple[Bitmap, Any, str], ...] = ()

    def point(self, x: float, y: float) -> list[float]:
        return list(self.points.get((x, y), (round(x, 3), round(y, 3))))

    def mask(self, bitmap: Bitmap) -> tuple[Any, str] | None:
        found = (m for m in self.masks if m[0].bounds() == bitmap.bounds() and m[0] == bitmap)
        return next(((points, png) for _, points, png in found), None)

    def joined(self, older: Verbatim) -> Verbatim:
        """What either knows; where both know a point, this one counts."""
        return Verbatim({**older.points, **self.points}, (*self.masks, *older.masks[:1000]))


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
    return parse(load_json(path), path, image_size, orientation)


def load_json(path: Path) -> dict[str, Any]:
    """The JSON object of a Labelme file in whatever encoding; UserError when it is none."""
    try:
        data = path.read_bytes()
        raw = json.loads(_decoded(data))
    except OSError as error:
        raise UserError(f"The label file cannot be read: {error.strerror}", path=path) from error
    except (ValueError, RecursionError) as error:
        message = f"The label file is damaged: {error}"
        raise UserError(message, path=path, remedy="Restore it or move it away.") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("shapes"), list):
        raise UserError("This JSON is not a Labelme file", path=path, remedy="Move it away.")
    return raw


def parse(
    raw: Mapping[str, Any],
    path: Path,
    image_size: tuple[int, int] | None = None,
    orientation: int = 1,
) -> LabelFile:
    """The label file `raw`, which lies at `path`; see `read`."""
    repairs: list[str] = []
    reader = _ShapeReader(repairs)
    shapes = [reader.read(entry, index) for index, entry in enumerate(raw["shapes"], 1)]
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
        flags=_flags(raw.get("flags"), "the picture's flags", repairs),
        extra=extra,
    )
    return LabelFile(
        annotation,
        _image_path(raw),
        raw.get("imageData") if isinstance(raw.get("imageData"), str) else None,
        raw["version"] if isinstance(raw.get("version"), str) else VERSION,
        tuple(repairs),
        Verbatim(reader.points, tuple(reader.masks)),
    )


def find_image(label_file: Path, image_path: str) -> Path | None:
    """The picture a label file names, else one of the same name beside it; None when gone."""
    named = label_file.parent / image_path
    if image_path and named.is_file():
        return named
    beside = [label_file.parent / PureWindowsPath(image_path).name] if image_path else []
    stems = (label_file.stem, Path(label_file.stem).stem)
    beside += [label_file.with_name(s + e) for s in stems for e in sorted(images.IMAGE_SUFFIXES)]
    return next((path for path in beside if path.is_file() and images.is_image(path.name)), None)


def _decoded(data: bytes) -> str:
    """The text of a JSON file in UTF-8, -16, -32 (with or without BOM), GBK or cp1252."""
    try:
        return data.decode(json.detect_encoding(data))
    except UnicodeDecodeError:
        pass
    try:
        text = data.decode("gbk")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
    # Western bytes also decode as GBK, but to characters nobody writes
    foreign = [c for c in text if ord(c) > 127]
    usual = sum(1 for c in foreign if c.encode("gb2312", "ignore"))
    return text if usual * 2 >= len(foreign) else data.decode("cp1252", "replace")


class _ShapeReader:
    """Reads the shapes of one file; `points` and `masks` collect the numbers as they stand."""

    def __init__(self, repairs: list[str]) -> None:
        self.repairs = repairs
        self.points: dict[_Point, Sequence[float]] = {}
        self.masks: list[tuple[Bitmap, Any, str]] = []
        self._groups: dict[str, int] = {}

    def read(self, raw: Any, number: int) -> Shape:
        """The shape; one that cannot be understood stays as it is, opaque."""
        if not isinstance(raw, dict):
            self._mended(number, "is no object; kept as it is")
            return Shape(_UNNAMED, "opaque", extra={"": raw})
        kind = self._kind(raw, number)
        points = _numbers(raw.get("points"))
        if kind is None or points is None or not len(points):
            if kind is not None:
                self._mended(number, "has no points that can be read; kept as it is")
            return Shape(self._label(raw, number), "opaque", extra=dict(raw))
        if kind == "mask":
            return self._mask(raw, points, number)
        self._remember(raw["points"])
        kind, points = self._corners(kind, points, number)
        return Shape(kind=kind, points=points, **self._facts(raw, number))

    def _kind(self, raw: Mapping[str, Any], number: int) -> Kind | None:
        name = raw.get("shape_type")
        if name is None:
            self._mended(number, "had no shape_type; read as a polygon")
            return "polygon"
        if name == "rotation":
            self._mended(number, "was a rotation of X-AnyLabeling; read as oriented_rectangle")
            return "oriented_rectangle"
        kind = _KINDS.get(name) if isinstance(name, str) else None
        if kind is None:
            self._mended(number, f"is of unknown type {name!r}; kept as it is")
        return kind

    def _corners(
        self, kind: Kind, points: NDArray[np.float64], number: int
    ) -> tuple[Kind, NDArray[np.float64]]:
        """Rectangles of four points become those of two when they stand upright."""
        if kind != "rectangle" or len(points) != 4:
            return kind, as_points(points)
        low, high = points.min(axis=0), points.max(axis=0)
        upright = bool(np.all(np.isclose(points, low) | np.isclose(points, high)))
        if not upright:
            self._mended(number, "was a tilted rectangle of four points")
            return "oriented_rectangle", as_points(points)
        self._mended(number, "was a rectangle of four points")
        return "rectangle", as_points([low, high])

    def _mask(self, raw: Mapping[str, Any], points: NDArray[np.float64], number: int) -> Shape:
        """A mask lies with its first pixel at its first corner, rounded half to even."""
        pixels = _decoded_mask(raw.get("mask"))
        if pixels is None:
            self._mended(number, "is a mask without a readable PNG; kept as it is")
            return Shape(self._label(raw, number), "opaque", extra=dict(raw))
        x, y = (round(float(v)) for v in points.min(axis=0))
        right, bottom = (round(float(v)) for v in points.max(axis=0))
        if pixels.shape != (bottom - y + 1, right - x + 1):
            self._mended(number, "is a mask whose PNG has another size than its box")
        bitmap = Bitmap.from_array(pixels, x, y)
        if pixels.shape == (bottom - y + 1, right - x + 1):
            self.masks.append((bitmap, raw["points"], raw["mask"]))
        return Shape(kind="mask", bitmap=bitmap, **self._facts(raw, number))

    def _facts(self, raw: Mapping[str, Any], number: int) -> dict[str, Any]:
        """Everything of a shape that is not its place."""
        ours = raw.get(OUR_KEY)
        facts = dict(ours) if isinstance(ours, dict) else {}
        extra = {k: v for k, v in raw.items() if k not in (*_SHAPE_KEYS, OUR_KEY)}
        source, model, score = (facts.pop(key, None) for key in ("source", "model", "score"))
        if facts:
            extra[OUR_KEY] = facts
        description = raw.get("description")
        return {
            "class_name": self._label(raw, number),
            "group_id": self._group(raw.get("group_id"), number),
            "description": description if description is None else str(description),
            "flags": _flags(raw.get("flags"), f"shape {number}: flags", self.repairs),
            "locked": raw.get("locked") is True,
            "source": _source(source),
            "model": model if isinstance(model, str) else None,
            "score": float(score) if isinstance(score, int | float) else None,
            "extra": extra,
        }

    def _label(self, raw: Mapping[str, Any], number: int) -> str:
        label = raw.get("label")
        if isinstance(label, str) and label:
            return label
        if label is None or label == "":
            self._mended(number, f"had no label; called {_UNNAMED!r}")
            return _UNNAMED
        self._mended(number, f"had the label {label!r}, which is no text")
        return str(label)

    def _group(self, value: Any, number: int) -> int | None:
        if value is None or value == "" or (isinstance(value, int) and not isinstance(value, bool)):
            return value if isinstance(value, int) else None
        self._mended(number, f"had the group_id {value!r}")
        try:
            return int(float(value))
        except (TypeError, ValueError, OverflowError):
            # groups with names: shapes of one name stay one group, far from usual numbers
            return self._groups.setdefault(str(value), 1_000_000 + len(self._groups))

    def _remember(self, raw_points: Iterable[Sequence[float]]) -> None:
        for x, y in raw_points:
            self.points[float(x), float(y)] = (x, y)

    def _mended(self, number: int, what: str) -> None:
        self.repairs.append(f"shape {number} {what}")


def _numbers(raw: Any) -> NDArray[np.float64] | None:
    """Points (n, 2) of a JSON list of pairs; None when it is not one, or not finite."""
    if not isinstance(raw, list):
        return None
    for point in raw:
        if not (isinstance(point, list) and len(point) == 2):
            return None
        if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in point):
            return None
    try:
        points = np.array(raw, dtype=np.float64).reshape(-1, 2)
    except OverflowError:
        return None
    return points if np.isfinite(points).all() else None


def _source(value: Any) -> Source:
    return value if value in ("model", "corrected") else "human"


def _flags(raw: Any, where: str, repairs: list[str]) -> dict[str, bool]:
    if isinstance(raw, dict):
        if not all(isinstance(value, bool) for value in raw.values()):
            repairs.append(f"{where} were not all true or false")
        return {str(key): bool(value) for key, value in raw.items()}
    if raw:
        repairs.append(f"{where} were a list of names")
        return {str(name): True for name in raw} if isinstance(raw, list) else {}
    return {}


def _image_path(raw: Mapping[str, Any]) -> str:
    name = raw.get("imagePath")
    return PureWindowsPath(name).as_posix() if isinstance(name, str) and name else ""


def _decoded_mask(data: Any) -> NDArray[np.bool_] | None:
    """The pixels (h, w) of a mask in base64; its non-zero pixels are the shape."""
    if not isinstance(data, str):
        return None
    try:
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            pixels = np.asarray(image)
    except (OSError, ValueError, SyntaxError):
        return None
    return np.asarray(pixels.reshape(*pixels.shape[:2], -1).any(axis=-1), dtype=np.bool_)


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
    *,
    version: str = VERSION,
    verbatim: Verbatim | None = None,
) -> None:
    """Write a label file that Labelme's strict reader takes, atomically.

    `image_path` is relative to the file, `image_data` base64 or None. Points that `verbatim`
    knows are written as they were, others with 3 decimals.
    """
    atomic.write_bytes(
        path, dump(annotation, image_path, image_data, version=version, verbatim=verbatim)
    )


def dump(
    annotation: Annotation,
    image_path: str,
    image_data: str | None = None,
    *,
    version: str = VERSION,
    verbatim: Verbatim | None = None,
) -> bytes:
    """The bytes of a label file; see `write`."""
    known = verbatim or Verbatim()
    extra = dict(annotation.extra)
    ours = extra.pop(OUR_KEY, None)
    document = {
        "version": version,
        "flags": dict(annotation.flags),
        "shapes": [_shape_json(shape, known) for shape in annotation.shapes],
        "imagePath": image_path,
        "imageData": image_data,
        "imageHeight": annotation.height,
        "imageWidth": annotation.width,
        **{key: value for key, value in extra.items() if key not in _TOP_KEYS},
    }
    if not annotation.foreign or annotation.confirmed:
        document[OUR_KEY] = {**_as_dict(ours), **_status(annotation)}
    return _encoded(document)


def _encoded(document: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(document, ensure_ascii=False, indent=2).encode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can carry and UTF-8 cannot
        return json.dumps(document, indent=2).encode("ascii")


def _status(annotation: Annotation) -> dict[str, Any]:
    status = "confirmed" if annotation.confirmed else "in_progress"
    return {"status": status, "seconds": round(annotation.seconds, 1)}


def _as_dict(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def _shape_json(shape: Shape, known: Verbatim) -> Any:
    if shape.kind == "opaque":
        return _opaque_json(shape)
    points, mask = _place(shape, known)
    entry: dict[str, Any] = {
        "label": shape.class_name,
        "points": points,
        "group_id": shape.group_id,
        "description": shape.description,
        "shape_type": shape.kind,
        "flags": dict(shape.flags),
    }
    if mask is not None:
        entry["mask"] = mask
    if shape.locked:
        entry["locked"] = True
    extra = dict(shape.extra)
    ours = {**_as_dict(extra.pop(OUR_KEY, None)), **_origin(shape)}
    entry.update((key, value) for key, value in extra.items() if key not in entry)
    if ours:
        entry[OUR_KEY] = ours
    return entry


def _opaque_json(shape: Shape) -> Any:
    """A shape we do not understand, as it was read but for its class."""
    if "" in shape.extra:
        return shape.extra[""]
    raw = dict(shape.extra)
    if shape.class_name not in (_UNNAMED, str(raw.get("label"))):
        raw["label"] = shape.class_name
    return raw


def _place(shape: Shape, known: Verbatim) -> tuple[Any, str | None]:
    """(points, mask) as the file wants them."""
    if shape.bitmap is None:
        return [known.point(x, y) for x, y in shape.points.tolist()], None
    return known.mask(shape.bitmap) or _mask_json(shape.bitmap)


def _mask_json(bitmap: Bitmap) -> tuple[list[list[float]], str]:
    """Two inclusive corners, and the pixels between them as a PNG in base64."""
    x, y, mask = bitmap.crop()
    if mask.size == 0:
        mask = np.zeros((1, 1), np.bool_)  # Labelme wants a picture even of nothing
    height, width = mask.shape
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(buffer, "PNG", optimize=False)
    corners = [[float(x), float(y)], [float(x + width - 1), float(y + height - 1)]]
    return corners, base64.b64encode(buffer.getvalue()).decode("ascii")


def _origin(shape: Shape) -> dict[str, Any]:
    """Who made the shape; nothing for what a person drew."""
    facts: dict[str, Any] = {} if shape.source == "human" else {"source": shape.source}
    if shape.model is not None:
        facts["model"] = shape.model
    if shape.score is not None and math.isfinite(shape.score):
        facts["score"] = shape.score
    return facts
