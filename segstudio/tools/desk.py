"""What every tool shares: the pointer, the desk it works on, and what it wants to be seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from segstudio.annotation.bitmap import Box, intersect_boxes
from segstudio.annotation.document import Document
from segstudio.annotation.idmap import IdMap
from segstudio.annotation.shape import Points, Shape, as_points

REACH = 8.0
"""How near a click must come to a vertex or an edge, in screen pixels."""
NO_CLASS = "Add a class first: press / and type its name."
"""Why a drawing tool refuses when no class is chosen."""
NO_PIXELS = "The picture is still being read here: try again in a moment."
"""Why a tool that looks at the picture refuses while there is only a small copy of it."""
RGB = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Pointer:
    """A pointer event: position in image pixels, and `scale`, screen pixels per image pixel."""

    x: float
    y: float
    scale: float = 1.0
    shift: bool = False
    ctrl: bool = False
    alt: bool = False

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
    band, the brush's outline, and a few signs beside a place. `nodes` are the vertices to show
    when they are not all those of the path.
    """

    path: Points = field(default_factory=lambda: as_points([]))
    closed: bool = False
    closing: bool = False
    filled: bool = True
    handles: bool = True
    band: tuple[float, float, float, float] | None = None
    brush: tuple[float, float, float] | None = None
    nodes: Points | None = None
    note: tuple[float, float, str] | None = None


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

    def is_locked(self, shape: Shape) -> bool:
        return shape.locked or shape.class_name in self.locked_classes

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
