"""What tools share that look at the picture: its pixels about the pointer."""

from __future__ import annotations

from segstudio.annotation.bitmap import Box
from segstudio.tools.desk import NO_CLASS, NO_PIXELS, Desk, Pointer, Tool


class PixelTool(Tool):
    """A tool that looks at the picture within `_room` pixels of the pointer."""

    _room = 256

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.hover: Pointer | None = None

    @property
    def refusal(self) -> str:
        return refusal(self.desk, self.hover, self._room)

    def move(self, pointer: Pointer) -> None:
        self.hover = pointer

    def double_click(self, pointer: Pointer) -> None:
        """Its first click has done the work already."""


def refusal(desk: Desk, pointer: Pointer | None, room: int) -> str:
    """Why a tool that looks `room` pixels about the pointer cannot draw now, or nothing."""
    if not desk.class_name:
        return NO_CLASS
    place = desk.clamp(pointer.x, pointer.y) if pointer is not None else (0.0, 0.0)
    near = around(desk, place, room if pointer is not None else 1)
    return NO_PIXELS if desk.pixels(near) is None else ""


def around(desk: Desk, place: tuple[float, float], room: int) -> Box:
    """The part of the picture within `room` pixels of a place in it; never empty."""
    height, width = desk.document.size
    x, y = min(int(place[0]), width - 1), min(int(place[1]), height - 1)
    return desk.clipped((x - room, y - room, x + room + 1, y + room + 1))
