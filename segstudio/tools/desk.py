"""What every tool shares: the pointer, the desk it works on, and what it wants to be seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from segstudio.annotation.bitmap import Box, intersect_boxes
from segstudio.annotation.document import Document
from segstudio.annotation.geometry import nearest_on_edges, nearest_vertex
from segstudio.annotation.idmap import IdMap
from segstudio.annotation.shape import Points, Shape, as_points

REACH = 8.0
"""How near a click must come to a vertex or an edge, in screen pixels."""
_SNAPPED = frozenset(("polygon", "rectangle", "oriented_rectangle", "line", "linestrip", "point"))
_OPEN = frozenset(("line", "linestrip"))
NO_CLASS = "Add a class first: press / and type its name."
"""Why a drawing tool refuses when no class is chosen."""
NO_PIXELS = "The picture is still being read here: try again in a moment."
"""Why a tool that looks at the picture refuses while there is only a small copy of it."""
RGB = NDArray[np.uint8]


def handles(shape: Shape) -> Points:
    """The points a person can drag, (n, 2); the four corners for a rectangle, none for a mask."""
    if shape.kind == "rectangle" and len(shape.points) == 2:
        (x0, y0), (x1, y1) = shape.points.tolist()
        return as_points([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    return as_points([]) if shape.kind in ("mask", "opaque") else shape.points


@dataclass(frozen=True, slots=True)
class Pointer:
    """A pointer event: position in image pixels, and `scale`, screen pixels per image pixel.

    `pressure` is a pen's, from 0 to 1; a mouse presses fully.
    """

    x: float
    y: float
    scale: float = 1.0
    shift: bool = False
    ctrl: bool = False
    alt: bool = False
    pressure: float = 1.0

    @property
    def reach(self) -> float:
        """The grab distance in image pixels."""
        return REACH / self.scale

    @property
    def pixel(self) -> tuple[int, int]:
        return int(np.floor(self.x)), int(np.floor(self.y))


@dataclass(frozen=True, slots=True)
class Preview:
    """What the canvas shows of a tool at work, in image pixels.

    A path (with its vertices, the one to close on first, and its inside when filled), a rubber
    band, the brush's outline, the place that a point has snapped to, and a few signs beside a
    place. `nodes` are the vertices to show when they are not all those of the path.
    """

    path: Points = field(default_factory=lambda: as_points([]))
    closed: bool = False
    closing: bool = False
    filled: bool = True
    handles: bool = True
    band: tuple[float, float, float, float] | None = None
    brush: tuple[float, float, float] | None = None
    square: bool = False
    snapped: tuple[float, float] | None = None
    nodes: Points | None = None
    note: tuple[float, float, str] | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """How tools work.

    `square`: the brush's form. `exclusive`: what is painted is taken from other shapes.
    `only_class`: the eraser leaves other classes alone. `snap`: points are drawn to the corners
    and edges of what is there, so that neighbours share their borders. `pressure`: the harder a
    pen presses, the wider brush and eraser are, up to their size.
    """

    square: bool = False
    exclusive: bool = False
    only_class: bool = False
    snap: bool = False
    pressure: bool = True


@dataclass(slots=True)
class Desk:
    """The open image and the choices a person has made: what tools work on.

    `read_pixels` gives the picture inside a box that lies in it, (h, w, 3) uint8 RGB, or None
    while not all of that is in memory; tools call `pixels`.
    """

    document: Document
    idmap: IdMap
    class_name: str = ""
    brush_radius: float = 10.0
    selection: tuple[int, ...] = ()
    on_select: Callable[[], None] = lambda: None
    locked_classes: frozenset[str] = frozenset()
    hidden_classes: frozenset[str] = frozenset()
    hidden_shapes: frozenset[int] = frozenset()
    """By number; that of a shape that is gone and comes back is another."""
    options: Options = Options()
    read_pixels: Callable[[Box], RGB | None] | None = None

    def pixels(self, box: Box) -> RGB | None:
        """The picture inside `box`, clipped to it: (h, w, 3) uint8 RGB, not to be written to.

        None while those pixels are not in memory, and for a box wholly outside.
        """
        x0, y0, x1, y1 = part = self.clipped(box)
        if self.read_pixels is None or x1 <= x0 or y1 <= y0:
            return None
        return self.read_pixels(part)

    def clipped(self, box: Box) -> Box:
        """The part of `box` inside the picture."""
        height, width = self.document.size
        return intersect_boxes(box, (0, 0, width, height))

    def select(self, numbers: Sequence[int]) -> None:
        """Make these shapes (by number) the selection; the last one is the one worked on."""
        chosen = tuple(dict.fromkeys(numbers))
        if chosen != self.selection:
            self.selection = chosen
            self.on_select()

    def selected(self) -> list[tuple[int, Shape]]:
        """The selected shapes that still exist, with their numbers."""
        pairs = ((n, self.document.shape(n)) for n in self.selection)
        return [(n, shape) for n, shape in pairs if shape is not None]

    def visible(self) -> list[tuple[int, Shape]]:
        """(number, shape) of all that can be seen, drafts too, from the bottom up."""
        shapes, ids = self.document.items()
        pairs = zip(ids, shapes, strict=True)
        return [
            (n, shape)
            for n, shape in pairs
            if shape.class_name not in self.hidden_classes and n not in self.hidden_shapes
        ]

    def hide(self, classes: frozenset[str], shapes: frozenset[int]) -> None:
        """Let these classes and these shapes not be seen, nor met by tools."""
        self.hidden_classes, self.hidden_shapes = classes, shapes
        self.idmap.hide(classes, shapes)

    def is_locked(self, shape: Shape) -> bool:
        return shape.locked or shape.class_name in self.locked_classes

    def snapped(self, pointer: Pointer, ignore: Shape | None = None) -> tuple[float, float] | None:
        """The corner, else the place on an edge, of a shape that is near enough; None when there
        is none, the option is off, or Alt is held."""
        if not self.options.snap or pointer.alt:
            return None
        x, y, reach = pointer.x, pointer.y, pointer.reach
        near = [s for s in self.idmap.near(x, y, reach) if s is not ignore and s.kind in _SNAPPED]
        corners = [handles(shape) for shape in near]
        if corners:
            joined = np.concatenate(corners)
            index = nearest_vertex(joined, x, y, reach)
            if index is not None:
                return float(joined[index][0]), float(joined[index][1])
        for shape, points in zip(near, corners, strict=True):
            place = nearest_on_edges(points, x, y, reach, shape.kind not in _OPEN)
            if place is not None:
                return place
        return None

    def clamp(self, x: float, y: float) -> tuple[float, float]:
        """The nearest point inside the picture."""
        height, width = self.document.size
        return min(max(x, 0.0), float(width)), min(max(y, 0.0), float(height))


class Tool:
    """Begin, continue, end; Escape takes back what has begun. The base does nothing."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def press(self, pointer: Pointer) -> None: ...

    def move(self, pointer: Pointer) -> None: ...

    def drag(self, pointer: Pointer) -> None: ...

    def release(self, pointer: Pointer) -> None: ...

    def double_click(self, pointer: Pointer) -> None:
        self.press(pointer)

    def key(self, name: str) -> bool:
        """Enter, Backspace, Delete, Escape, or an arrow ("Left", "Shift+Left", …); returns whether
        the tool had a use for it. Escape gives up what has begun, else the selection."""
        if name != "Escape" or not (self.busy or self.desk.selection):
            return False
        if self.busy:
            self.cancel()
        else:
            self.desk.select([])
        return True

    def cancel(self) -> None:
        """Leave everything as it was before the tool began."""
        self.desk.document.cancel()

    def leave(self) -> None:
        """Another tool or another image comes: what was begun is given up, or finished where that
        needs no more than saying so."""
        self.cancel()

    @property
    def busy(self) -> bool:
        """Whether something has begun that is not yet an edit."""
        return self.desk.document.is_live

    def preview(self) -> Preview:
        return Preview()

    @property
    def cursor(self) -> str:
        """The pointer's look: "arrow", "cross", "move" or "blank"."""
        return "cross"

    @property
    def refusal(self) -> str:
        """Why the tool cannot draw now, or nothing."""
        return ""
