"""What can be done with the selected shapes at once: copies, order, groups, sets of pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Final, Literal

import cv2
import numpy as np

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Edit, Splice, add_shapes, replace_shapes
from segstudio.annotation.geometry import simplify, trace
from segstudio.annotation.rasterise import coverage
from segstudio.annotation.shape import Shape
from segstudio.tools.desk import Desk

APART: Final = 10.0
"""Image pixels between a shape and its duplicate."""
Operation = Literal["union", "subtract", "intersect"]


def movable(desk: Desk) -> list[tuple[int, Shape]]:
    """The selected shapes, with their numbers, that are neither drafts nor locked."""
    own = set(desk.document.ids())
    return [(n, s) for n, s in desk.selected() if n in own and not desk.is_locked(s)]


def nudge(desk: Desk, dx: float, dy: float) -> bool:
    """Move the selected shapes by image pixels; whether there was one to move."""
    moved: dict[int, Shape | None] = {n: s.moved(dx, dy) for n, s in movable(desk)}
    return _apply(desk, replace_shapes("Move", desk.document, moved))


def delete(desk: Desk, name: str = "Delete") -> bool:
    """Take the selected shapes away; whether there was one to take."""
    gone = [n for n, _ in movable(desk)]
    if not _apply(desk, replace_shapes(name, desk.document, dict.fromkeys(gone))):
        return False
    desk.select([])
    return True


def cut(desk: Desk, name: str = "Cut") -> bool:
    """Take the selected shapes away, to be put elsewhere; whether there was one to take."""
    return delete(desk, name)


def duplicate(desk: Desk) -> bool:
    """Put a copy of each selected shape on top, a little aside."""
    return paste(desk, [s.moved(APART, APART) for _, s in desk.selected()], "Duplicate")


def paste(desk: Desk, shapes: Sequence[Shape], name: str = "Paste") -> bool:
    """Put shapes on top and select them; those wholly outside the picture are left out.

    Copies of a group are a group of their own; a copy of one shape of it is in none.
    """
    height, width = desk.document.size
    inside = [
        replace(s, locked=False, source="human", model=None, score=None)
        for s in shapes
        if (b := s.bounds()) and b[0] < width and b[1] < height and b[2] > 0 and b[3] > 0
    ]
    if not inside:
        return False
    groups = Counter(s.group_id for s in inside if s.group_id is not None)
    together = [number for number, members in groups.items() if members > 1]
    fresh = dict(zip(together, count(_free_group(desk)), strict=False))
    inside = [
        s if s.group_id is None else replace(s, group_id=fresh.get(s.group_id)) for s in inside
    ]
    desk.document.apply(add_shapes(name, desk.document, inside))
    desk.select(desk.document.ids()[-len(inside) :])
    return True


def reorder(desk: Desk, to_top: bool) -> bool:
    """Put the selected shapes above all others, or below; among themselves they keep order."""
    document = desk.document
    chosen = {n for n, _ in movable(desk)}
    pairs = document.layer("shapes")
    ours = [s for n, s in pairs if n in chosen]
    others = [s for n, s in pairs if n not in chosen]
    after = [*others, *ours] if to_top else [*ours, *others]
    before = [s for _, s in pairs]
    if not ours or all(a is b for a, b in zip(after, before, strict=True)):
        return False
    name = "Bring to front" if to_top else "Send to back"
    document.apply(Edit(name, (Splice("shapes", 0, tuple(before), tuple(after)),)))
    ids = document.ids()
    desk.select(ids[len(others) :] if to_top else ids[: len(ours)])
    return True


def combine(desk: Desk, operation: Operation) -> bool:
    """Sets of pixels: the shape selected first becomes its union with the others (which go), or
    what the others (which stay) leave of it or share with it. Holes are kept: it is a mask."""
    chosen = movable(desk)
    if len(chosen) < 2:
        return False
    document = desk.document
    (number, first), *others = chosen
    pixels = coverage(first, document.size)
    for _, shape in others:
        pixels = _OPERATIONS[operation](pixels, coverage(shape, document.size))
    changed: dict[int, Shape | None] = {number: first.with_bitmap(pixels) if pixels else None}
    if operation == "union":
        changed |= dict.fromkeys(n for n, _ in others)
    if not _apply(desk, replace_shapes(_NAMES[operation], document, changed)):
        return False
    desk.select([number] if pixels else [])
    return True


_OPERATIONS: Final[dict[Operation, Callable[[Bitmap, Bitmap], Bitmap]]] = {
    "union": lambda a, b: a | b,
    "subtract": lambda a, b: a - b,
    "intersect": lambda a, b: a & b,
}
_NAMES: Final[dict[Operation, str]] = {
    "union": "Unite shapes",
    "subtract": "Subtract shapes",
    "intersect": "Intersect shapes",
}


def to_masks(desk: Desk) -> bool:
    """Make the selected vectors masks of the very pixels they cover."""
    document = desk.document
    changed: dict[int, Shape | None] = {
        n: s.with_bitmap(coverage(s, document.size))
        for n, s in movable(desk)
        if s.kind not in ("mask", "opaque")
    }
    return _apply(desk, replace_shapes("Make masks", document, changed))


def to_polygons(desk: Desk, tolerance: float = 0.0) -> bool:
    """Make polygons of the selected masks, one for each part; a part with holes stays a mask.

    With `tolerance` 0 the polygons cover the very same pixels, else outlines are simplified by
    so many image pixels.
    """
    document = desk.document
    splices = []
    for number, shape in movable(desk):
        index = document.index_of(number)
        if shape.bitmap is None or index is None:
            continue
        parts = polygons_of(shape, tolerance)
        if any(part.kind == "polygon" for part in parts):
            splices.append(Splice("shapes", index, (shape,), tuple(parts)))
    splices.sort(key=lambda s: -s.index)
    return _apply(desk, Edit("Make polygons", tuple(splices)))


def simplified(desk: Desk, tolerance: float) -> Edit:
    """The step that makes the selected polygons and lines simpler by so many image pixels, and
    polygons of masks; a mask with holes stays what it is.

    For one selection it replaces the same shapes whatever the tolerance.
    """
    document = desk.document
    splices = []
    for number, shape in movable(desk):
        index = document.index_of(number)
        if index is not None and shape.kind in ("mask", "polygon", "linestrip"):
            splices.append(Splice("shapes", index, (shape,), tuple(simpler(shape, tolerance))))
    splices.sort(key=lambda s: -s.index)
    return Edit("Simplify", tuple(splices))


def simpler(shape: Shape, tolerance: float) -> list[Shape]:
    """What becomes of one shape; itself when nothing does."""
    if shape.bitmap is not None:
        return polygons_of(shape, tolerance)
    simple = simplify(shape.points, tolerance, closed=shape.kind == "polygon")
    return [shape if len(simple) == len(shape.points) else shape.with_points(simple)]


def polygons_of(shape: Shape, tolerance: float = 0.0) -> list[Shape]:
    """The parts of a mask as polygons; those with holes together as a mask of what is left."""
    if shape.bitmap is None:
        return [shape]
    x, y, mask = shape.bitmap.crop()
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    found: list[Shape] = []
    left = np.zeros_like(mask)
    for part in range(1, count):
        pixels = parts == part
        ring = simplify(trace(pixels)[0], tolerance)
        filled = cv2.fillPoly(np.zeros(mask.shape, np.uint8), [ring.round().astype(np.int32)], 1)
        if (tolerance == 0 and not np.array_equal(filled > 0, pixels)) or _has_hole(pixels):
            left |= pixels
        else:
            points = ring + np.array([x, y])
            found.append(replace(shape, kind="polygon", bitmap=None).with_points(points))
    return [*([shape.with_bitmap(Bitmap.from_array(left, x, y))] if left.any() else []), *found]


def _has_hole(pixels: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> bool:
    """Whether background is enclosed: it has another part than the one around the picture."""
    around = np.pad(~pixels, 1, constant_values=True).astype(np.uint8)
    return int(cv2.connectedComponents(around, connectivity=4)[0]) > 2


def group(desk: Desk, together: bool) -> bool:
    """Give the selected shapes one group number of their own, or none."""
    document = desk.document
    chosen = movable(desk)
    new = _free_group(desk) if together else None
    changed: dict[int, Shape | None] = {
        n: replace(s, group_id=new) for n, s in chosen if together or s.group_id is not None
    }
    if together and len(changed) < 2:
        return False
    name = "Group" if together else "Ungroup"
    return _apply(desk, replace_shapes(name, document, changed))


def _free_group(desk: Desk) -> int:
    """A number above those of all groups, of drafts too."""
    document = desk.document
    everything = (*document.shapes, *document.drafts)
    return max((shape.group_id or 0 for shape in everything), default=0) + 1


def lock(desk: Desk) -> bool:
    """Lock the selected shapes, or unlock them when all are locked."""
    own = set(desk.document.ids())
    chosen = [(n, s) for n, s in desk.selected() if n in own]
    locked = not all(s.locked for _, s in chosen)
    changed: dict[int, Shape | None] = {n: replace(s, locked=locked) for n, s in chosen}
    return _apply(desk, replace_shapes("Lock" if locked else "Unlock", desk.document, changed))


def _apply(desk: Desk, edit: Edit) -> bool:
    if edit.splices:
        desk.document.apply(edit)
    return bool(edit.splices)
