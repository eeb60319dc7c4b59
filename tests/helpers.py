"""Small projects for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def picture(path: Path, width: int = 20, height: int = 10, **options: Any) -> Path:
    """A small RGB picture with a gradient."""
    path.parent.mkdir(parents=True, exist_ok=True)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([x * 10 % 256, y * 20 % 256, (x + y) * 5 % 256], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path
