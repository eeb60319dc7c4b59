"""Brightness, contrast and gamma of the picture as it is shown; nothing else sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Tone:
    """`brightness` and `contrast` from -1 to 1, `gamma` above 0; all at rest change nothing."""

    brightness: float = 0.0
    contrast: float = 0.0
    gamma: float = 1.0

    @property
    def is_plain(self) -> bool:
        return self == Tone()

    def table(self) -> NDArray[np.uint8]:
        """What each grey value 0..255 becomes, (256,)."""
        grey = np.linspace(0.0, 1.0, 256) ** (1.0 / self.gamma)
        slope = np.tan((np.clip(self.contrast, -1.0, 0.98) + 1.0) * np.pi / 4)
        shown = (grey - 0.5) * slope + 0.5 + self.brightness
        table: NDArray[np.uint8] = np.rint(np.clip(shown, 0.0, 1.0) * 255).astype(np.uint8)
        return table
