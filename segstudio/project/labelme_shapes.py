"""One shape of a Labelme file, both ways: read tolerantly, written strictly."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, count, pairwise
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segstudio.annotation.bitmap import Bitmap, Box
from segstudio.annotation.shape import Kind, Shape, Source, as_points
from segstudio.project.label_json import with_lists

OUR_KEY: Final = "segstudio"
UNNAMED: Final = "unknown"
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
_KNOWN_KEYS: Final = frozenset((*_SHAPE_KEYS, OUR_KEY))
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
_Point = tuple[float, float]
_MaskText = tuple[Bitmap, Any, str]


@dataclass(frozen=True, slots=True)
class Verbatim:
    """The very numbers of a file, so that what nobody changed is written as it was.

    `points` gives [x, y] as the file has it by its value; `masks` are (pixels, points, PNG) by
    the box around the pixels.
    """

    points: Mapping[_Point, Sequence[float]] = field(default_factory=dict)
    masks: Mapping[Box | None, tuple[_MaskText, ...]] = field(default_factory=dict)

    def point(self, x: float, y: float) -> list[float]:
        found = self.points.get((x, y))
        return [round(x, 3), round(y, 3)] if found is None else list(found)

    def mask(self, bitmap: Bitmap) -> tuple[Any, str] | None:
        same_box = self.masks.get(bitmap.bounds(), ())
        return next(((points, png) for pixels, points, png in same_box if pixels == bitmap), None)

    def joined(self, older: Verbatim) -> Verbatim:
        """What either knows; where both know a point, this one counts."""
        return Verbatim({**older.points, **self.points}, {**older.masks, **self.masks})


class ShapeReader:
    """Reads the shapes of one file; `points` and `masks` collect the numbers as they stand."""

    def __init__(self, repairs: list[str]) -> None:
        self.repairs = repairs
        self.points: dict[_Point, Sequence[float]] = {}
        self.masks: dict[Box | None, tuple[_MaskText, ...]] = {}
        self._groups: dict[str, int] = {}
        self._odd: list[tuple[Any, NDArray[np.float64]]] = []

    def read_all(self, raw: Sequence[Any]) -> list[Shape]:
        """The shapes of a file; what cannot be understood stays as it is, opaque."""
        points, types = _all_numbers(raw)
        shapes = [self._read(*entry) for entry in zip(raw, points, count(1), strict=False)]
        self._remember(types == {float})
        return shapes

    def _read(self, raw: Any, points: NDArray[np.float64] | None, number: int) -> Shape:
        if not isinstance(raw, dict):
            self._mended(number, "is no object; kept as it is")
            return Shape(UNNAMED, "opaque", extra={"": raw})
        kind = self._kind(raw, number)
        if kind is None or points is None or not len(points):
            if kind is not None:
                self._mended(number, "has no points that can be read; kept as it is")
            return Shape(self._label(raw, number), "opaque", extra=with_lists(raw))
        if kind == "mask":
            return self._mask(raw, points, number)
        self._odd.append((raw["points"], points))
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
            return kind, points
        low, high = points.min(axis=0), points.max(axis=0)
        upright = bool(np.all(np.isclose(points, low) | np.isclose(points, high)))
        if not upright:
            self._mended(number, "was a tilted rectangle of four points")
            return "oriented_rectangle", points
        self._mended(number, "was a rectangle of four points")
        return "rectangle", as_points([low, high])

    def _mask(self, raw: Mapping[str, Any], points: NDArray[np.float64], number: int) -> Shape:
        """A mask lies with its first pixel at its first corner, rounded half to even."""
        pixels = _decoded_mask(raw.get("mask"))
        if pixels is None:
            self._mended(number, "is a mask without a readable PNG; kept as it is")
            return Shape(self._label(raw, number), "opaque", extra=with_lists(raw))
        x, y = (round(float(v)) for v in points.min(axis=0))
        right, bottom = (round(float(v)) for v in points.max(axis=0))
        if pixels.shape != (bottom - y + 1, right - x + 1):
            self._mended(number, "is a mask whose PNG has another size than its box")
        bitmap = Bitmap.from_array(pixels, x, y)
        if pixels.shape == (bottom - y + 1, right - x + 1):
            box = bitmap.bounds()
            known = (bitmap, with_lists(raw)["points"], raw["mask"])
            self.masks[box] = (*self.masks.get(box, ()), known)
        return Shape(kind="mask", bitmap=bitmap, **self._facts(raw, number))

    def _facts(self, raw: Mapping[str, Any], number: int) -> dict[str, Any]:
        """Everything of a shape that is not its place."""
        unknown = raw.keys() - _KNOWN_KEYS
        extra = {key: value for key, value in raw.items() if key in unknown} if unknown else {}
        ours = raw.get(OUR_KEY)
        source = model = score = None
        if isinstance(ours, dict):
            facts = dict(ours)
            source, model, score = (facts.pop(key, None) for key in ("source", "model", "score"))
            if facts:
                extra[OUR_KEY] = facts
        description = raw.get("description")
        return {
            "class_name": self._label(raw, number),
            "group_id": self._group(raw.get("group_id"), number),
            "description": description if description is None else str(description),
            "flags": self._flags(raw.get("flags"), number),
            "locked": raw.get("locked") is True,
            "source": _source(source),
            "model": model if isinstance(model, str) else None,
            "score": float(score) if isinstance(score, int | float) else None,
            "extra": extra,
        }

    def _flags(self, raw: Any, number: int) -> dict[str, bool]:
        return read_flags(raw, f"shape {number}: flags", self.repairs) if raw else {}

    def _label(self, raw: Mapping[str, Any], number: int) -> str:
        label = raw.get("label")
        if isinstance(label, str) and label:
            return label
        if label is None or label == "":
            self._mended(number, f"had no label; called {UNNAMED!r}")
            return UNNAMED
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

    def _remember(self, floats: bool) -> None:
        """Note the numbers of shapes, but of those that would all be written just so anyway.

        `floats` is whether it is known that no number in a list is an integer.
        """
        if not self._odd:
            return
        points = np.concatenate([numbers for _, numbers in self._odd])
        with np.errstate(over="ignore"):
            rounded = np.rint(points * 1000) / 1000 == points
        rounded = rounded[:, 0] & rounded[:, 1]
        starts = np.cumsum([0, *(len(numbers) for _, numbers in self._odd[:-1])])
        usual = np.logical_and.reduceat(rounded, starts).tolist()
        for (raw, _), is_usual in zip(self._odd, usual, strict=True):
            if isinstance(raw, np.ndarray):
                self.points.update({} if is_usual else {(x, y): (x, y) for x, y in raw.tolist()})
            elif not is_usual or not (floats or _value_types(raw) == {float}):
                self.points.update(((float(x), float(y)), (x, y)) for x, y in raw)
        self._odd.clear()

    def _mended(self, number: int, what: str) -> None:
        self.repairs.append(f"shape {number} {what}")


def _all_numbers(shapes: Sequence[Any]) -> tuple[list[NDArray[np.float64] | None], set[type]]:
    """The points (n, 2) of every shape of a file, None where they cannot be understood; and the
    types of all numbers in lists, none when they were not looked at together."""
    given = [entry.get("points") if isinstance(entry, dict) else None for entry in shapes]
    lists = [points for points in given if not isinstance(points, np.ndarray)]
    arrays, types = _listed_numbers(lists)
    read = iter(arrays)
    return [points if isinstance(points, np.ndarray) else next(read) for points in given], types


def _listed_numbers(lists: list[Any]) -> tuple[list[NDArray[np.float64] | None], set[type]]:
    if set(map(type, lists)) == {list}:  # as a rule all are fine, and then one look is enough
        joined, types = _numbers(list(chain.from_iterable(lists)))
        if joined is not None:
            ends = accumulate(map(len, lists), initial=0)
            return [joined[a:b] for a, b in pairwise(ends)], types
    return [_numbers(points)[0] for points in lists], set()


def _numbers(raw: Any) -> tuple[NDArray[np.float64] | None, set[type]]:
    """Points (n, 2) of a JSON list of pairs, and the types of its numbers; None when it is not
    one, or not finite."""
    try:
        if not isinstance(raw, list) or set(map(len, raw)) - {2}:
            return None, set()
        flat = list(chain.from_iterable(raw))  # of texts and objects too, which are found next
    except TypeError:
        return None, set()
    types = set(map(type, flat))
    if not types <= {int, float}:
        return None, types
    try:
        points = np.array(flat, dtype=np.float64).reshape(-1, 2)
    except OverflowError:
        return None, types
    points.setflags(write=False)
    return (points if np.isfinite(points).all() else None), types


def _value_types(points: Iterable[Iterable[Any]]) -> set[type]:
    return set(map(type, chain.from_iterable(points)))


def _source(value: Any) -> Source:
    return value if value in ("model", "corrected") else "human"


def read_flags(raw: Any, where: str, repairs: list[str]) -> dict[str, bool]:
    """Flags of any age as an object of bool; what was mended goes to `repairs`."""
    if not raw:
        return {}
    if isinstance(raw, dict):
        if not all(isinstance(value, bool) for value in raw.values()):
            repairs.append(f"{where} were not all true or false")
        return {str(key): bool(value) for key, value in raw.items()}
    repairs.append(f"{where} were a list of names")
    return {str(name): True for name in raw} if isinstance(raw, list) else {}


def _decoded_mask(data: Any) -> NDArray[np.generic] | None:
    """The pixels (h, w) of a mask in base64; its non-zero pixels are the shape."""
    if not isinstance(data, str):
        return None
    try:
        file = base64.b64decode(data)
        pixels = _grey_png(file)
        if pixels is None:
            with Image.open(io.BytesIO(file)) as image:
                pixels = np.asarray(image)
    except (OSError, ValueError, SyntaxError):
        return None
    return pixels if pixels.ndim == 2 else np.asarray(pixels.any(axis=-1))


def _grey_png(file: bytes) -> NDArray[np.generic] | None:
    """The pixels of a PNG in grey, read in half the time; None for anything else."""
    if file[:8] != _PNG or file[_COLOUR_TYPE : _COLOUR_TYPE + 1] != b"\0":
        return None
    try:
        return cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # more pixels than it is willing to read
        return None


_PNG: Final = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPE: Final = 25
"""Where a PNG says whether it is grey; a palette's numbers, not its colours, are what counts."""


def as_dict(value: Any) -> dict[str, Any]:
    """A copy of an object, empty for anything else."""
    return dict(value) if isinstance(value, dict) else {}


# -- writing


def shape_json(shape: Shape, known: Verbatim) -> Any:
    """The JSON of a shape, all keys that Labelme asks for first."""
    if shape.kind == "opaque":
        return _opaque_json(shape)
    return shape_entry(shape, *_place(shape, known))


def shape_entry(shape: Shape, points: Any, mask: str | None) -> dict[str, Any]:
    """The object that a shape, not an opaque one, is in the file: label and points come first."""
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
    ours = {**as_dict(extra.pop(OUR_KEY, None)), **_origin(shape)}
    entry.update((key, value) for key, value in extra.items() if key not in entry)
    if ours:
        entry[OUR_KEY] = ours
    return entry


def _opaque_json(shape: Shape) -> Any:
    """A shape we do not understand, as it was read but for its class."""
    if "" in shape.extra:
        return shape.extra[""]
    raw = dict(shape.extra)
    if shape.class_name not in (UNNAMED, str(raw.get("label"))):
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
