"""How each image was looked at last: zoom, place, tone and bands, for those who want that back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from segstudio.project import atomic
from segstudio.project.bands import Bands
from segstudio.project.scan import ImageKey

FILE: Final = Path(".segstudio", "views.json")
MOST: Final = 1000
"""Images whose view is kept, those looked at last."""


@dataclass(frozen=True, slots=True)
class ImageView:
    """The image point in the middle, screen pixels a pixel, (brightness, contrast, gamma)."""

    x: float
    y: float
    scale: float
    tone: tuple[float, float, float] = (0.0, 0.0, 1.0)
    bands: Bands = field(default_factory=Bands)


class Views:
    """The views of a project; a file that is damaged counts as empty."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._views = _read(file)

    def get(self, key: ImageKey) -> ImageView | None:
        return self._views.get(key)

    def put(self, key: ImageKey, view: ImageView) -> None:
        """Keep a view; the oldest are forgotten."""
        self._views.pop(key, None)
        self._views[key] = view
        while len(self._views) > MOST:
            del self._views[next(iter(self._views))]

    def save(self) -> None:
        """Write them."""
        stored = {key: asdict(view) for key, view in self._views.items()}
        text = json.dumps(stored, ensure_ascii=False, separators=(",", ":"))
        atomic.write_bytes(self._file, text.encode(), durable=False)


def _read(file: Path) -> dict[ImageKey, ImageView]:
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        return {str(key): _view(facts) for key, facts in raw.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _view(raw: dict[str, Any]) -> ImageView:
    brightness, contrast, gamma = (float(value) for value in raw["tone"])
    x, y, scale = (float(raw[name]) for name in ("x", "y", "scale"))
    return ImageView(x, y, scale, (brightness, contrast, gamma), _bands(raw["bands"]))


def _bands(raw: dict[str, Any]) -> Bands:
    channels = raw["channels"]
    red_green_blue = None
    if channels is not None:
        red, green, blue = (max(0, int(channel)) for channel in channels)
        red_green_blue = (red, green, blue)
    ends = (None if raw[name] is None else float(raw[name]) for name in ("black", "white"))
    return Bands(red_green_blue, *ends)
