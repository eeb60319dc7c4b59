"""Things in a whole picture: in one pass when it fits, else in tiles whose findings are joined."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segstudio.learning.inference import (
    QUICK,
    Care,
    Check,
    Prediction,
    Reader,
    _nothing,
)
from segstudio.learning.painting import Instance, joined, painted, pasted


class Finder(Reader):
    """A network that finds instances; see `Reader`. Things have no mean: it looks at no mirror
    image, whatever the care."""

    def predict(
        self, inputs: NDArray[np.float32], care: Care = QUICK, check: Check = _nothing
    ) -> Prediction:
        with torch.inference_mode():
            found = self.instances(torch.from_numpy(inputs), care, check)
        return painted(found, inputs.shape[1:])

    def instances(
        self, picture: Tensor, care: Care = QUICK, check: Check = _nothing
    ) -> list[Instance]:
        """All things in (c, h, w) inputs, the surest first."""
        return self._with_retreat(
            picture, check, self._look, lambda whole: self._tiled(whole, care.overlap, check)
        )

    def _look(self, picture: Tensor) -> list[Instance]:
        height, width = (int(side) for side in picture.shape[1:])
        return instances_of(self._run(picture)[0], (height, width))

    def _tiled(self, picture: Tensor, overlap: float, check: Check) -> list[Instance]:
        height, width = (int(side) for side in picture.shape[1:])
        parts = []
        for down, across in self._parts((height, width), overlap):
            check()
            found = self._look(picture[:, down, across])
            box = (across.start, down.start, across.stop, down.stop)
            parts.append((box, [_moved(one, across.start, down.start) for one in found]))
        return joined(parts)


def instances_of(found: Mapping[str, Tensor], size: tuple[int, int]) -> list[Instance]:
    """What a network found (`maskrcnn.Found`) in a picture of `size` (h, w)."""
    facts = (found[name].float().cpu().numpy() for name in ("labels", "scores", "masks", "boxes"))
    placed = (
        pasted(int(row), float(score), mask[0], box.tolist(), size)
        for row, score, mask, box in zip(*facts, strict=True)
    )
    return [one for one in placed if one is not None]


def _moved(one: Instance, dx: int, dy: int) -> Instance:
    x, y = one.corner
    return Instance(one.row, one.score, one.mask, (x + dx, y + dy))
