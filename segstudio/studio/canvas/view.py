"""Where the picture lies on the screen: a scale and an offset, in logical screen pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_SCALE: Final = 64.0
MIN_SCALE: Final = 1 / 64
_MARGIN: Final = 24.0


@dataclass(frozen=True, slots=True)
class View:
    """screen = image * scale + (x, y)."""

    scale: float = 1.0
    x: float = 0.0
    y: float = 0.0

    def to_image(self, sx: float, sy: float) -> tuple[float, float]:
        return (sx - self.x) / self.scale, (sy - self.y) / self.scale

    def to_screen(self, ix: float, iy: float) -> tuple[float, float]:
        return ix * self.scale + self.x, iy * self.scale + self.y

    def moved(self, dx: float, dy: float) -> View:
        return View(self.scale, self.x + dx, self.y + dy)

    def zoomed(self, factor: float, sx: float, sy: float) -> View:
        """Scaled by `factor`, the image point under the screen point (sx, sy) staying there."""
        scale = min(max(self.scale * factor, MIN_SCALE), MAX_SCALE)
        ix, iy = self.to_image(sx, sy)
        return View(scale, sx - ix * scale, sy - iy * scale)

    def snapped(self, ratio: float) -> View:
        """The corner on a whole device pixel, so that a pan can shift what is drawn already."""
        return View(self.scale, round(self.x * ratio) / ratio, round(self.y * ratio) / ratio)

    def kept_in(self, picture: tuple[int, int], room: tuple[int, int]) -> View:
        """Moved so that some of the picture (width, height) stays in sight."""
        x = min(max(self.x, 48 - picture[0] * self.scale), room[0] - 48)
        y = min(max(self.y, 48 - picture[1] * self.scale), room[1] - 48)
        return View(self.scale, x, y)


def fit(picture: tuple[int, int], room: tuple[int, int]) -> View:
    """The whole picture (width, height) in the middle of the room, small ones at most 8 times."""
    width, height = max(picture[0], 1), max(picture[1], 1)
    free = max(room[0] - _MARGIN, 16.0), max(room[1] - _MARGIN, 16.0)
    scale = min(free[0] / width, free[1] / height, 8.0)
    return View(scale, (room[0] - width * scale) / 2, (room[1] - height * scale) / 2)
