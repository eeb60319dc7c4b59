"""Better outlines for a label map: along the picture's edges, without holes and specks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from segstudio.errors import UserError

Edges = Literal["none", "guided", "crf"]
LabelMap = NDArray[np.int32]
_REACH: Final = 24
"""The guided filter's window is this part of the picture's shorter side, and 9 px at least."""
_SMOOTH: Final = 1e-3
"""Its tolerance for texture, of the picture's values squared in 0..1."""


@dataclass(frozen=True)
class Refinement:
    """What to do, in this order: draw outlines to `edges`, fill holes of at most `holes` px, and
    drop parts smaller than `parts` px."""

    edges: Edges = "crf"
    holes: int = 0
    parts: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Refinement:
        found = cls(str(facts["edges"]), int(facts["holes"]), int(facts["parts"]))  # type: ignore[arg-type]
        if found.edges not in ("none", "guided", "crf"):
            raise UserError(f"There is no refinement called {found.edges!r}")
        return found


def refine(
    labels: LabelMap,
    margin: NDArray[np.uint8],
    picture: NDArray[np.uint8],
    how: Refinement,
    fixed: NDArray[np.bool_] | None = None,
) -> LabelMap:
    """Labels (h, w), 0 for nothing, by `how`; `margin` (h, w) is p1 - p2 as 0..255, `picture`
    (h, w, 3) uint8. Pixels that are `fixed` (h, w), because others own them, stay as they are."""
    found = labels.copy()
    if how.edges == "crf":
        from segstudio.networks.crf import snap

        found = np.asarray(snap(found, margin, picture), np.int32)
    elif how.edges == "guided":
        found = guided(found, picture)
    for value in np.unique(found[found > 0]).tolist():
        if how.holes:
            found[small_holes(found == value, how.holes) & (found == 0)] = value
        if how.parts:
            found[small_parts(found == value, how.parts)] = 0
    if fixed is not None:
        found[fixed] = labels[fixed]
    return found


def guided(labels: LabelMap, picture: NDArray[np.uint8]) -> LabelMap:
    """Each label's pixels filtered with the picture as the guide, then the strongest one.

    He, Sun, Tang 2010, "Guided Image Filtering", with a grey guide.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    guide = np.asarray(grey / np.float32(255), np.float32)
    side = max(9, min(guide.shape) // _REACH) | 1
    best = np.full(labels.shape, -np.inf, np.float32)
    found = np.zeros_like(labels)
    for value in np.unique(labels).tolist():
        indicator = np.asarray(labels == value, np.float32)
        share = guided_filter(guide, indicator, side)
        better = share > best
        best[better], found[better] = share[better], value
    return found


def guided_filter(
    guide: NDArray[np.float32], values: NDArray[np.float32], side: int
) -> NDArray[np.float32]:
    """`values` (h, w) smoothed in windows of `side` px, but not over edges of the `guide` (h, w) of
    0..1: He, Sun, Tang 2010, "Guided Image Filtering"."""

    def mean(array: Any) -> Any:
        return cv2.blur(array, (side, side), borderType=cv2.BORDER_REFLECT)

    centre, level = mean(guide), mean(values)
    spread = mean(guide * guide) - centre * centre
    slope = (mean(guide * values) - centre * level) / (spread + _SMOOTH)
    return np.asarray(mean(slope) * guide + mean(level - slope * centre), np.float32)


def small_holes(mask: NDArray[np.bool_], most: int) -> NDArray[np.bool_]:
    """The holes of a mask (h, w) that have at most `most` pixels."""
    numbers, stats = _parts(~mask, connectivity=4)
    x, y, w, h, area = stats.T
    height, width = mask.shape
    open_ones = (x == 0) | (y == 0) | (x + w == width) | (y + h == height)
    small = (area <= most) & ~open_ones
    small[0] = False
    return np.asarray(small[numbers])


def small_parts(mask: NDArray[np.bool_], fewest: int, connectivity: int = 8) -> NDArray[np.bool_]:
    """The connected parts of a mask (h, w) that have fewer than `fewest` pixels."""
    numbers, stats = _parts(mask, connectivity)
    small = stats[:, cv2.CC_STAT_AREA] < fewest
    small[0] = False
    return np.asarray(small[numbers])


def absorbed(labels: NDArray[Any], fewest: int) -> NDArray[Any]:
    """Label map (h, w) whose parts, connected side by side, of fewer than `fewest` pixels have the
    label that is nearest beyond them; as it is where there is nothing else."""
    small = np.zeros(labels.shape, np.bool_)
    for value in np.unique(labels).tolist():
        small |= small_parts(labels == value, fewest, connectivity=4)
    if small.all() or not small.any():
        return labels
    _, nearest = cv2.distanceTransformWithLabels(
        small.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros(int(nearest.max()) + 1, labels.dtype)
    table[nearest[~small]] = labels[~small]
    return np.asarray(table[nearest])


def _parts(mask: NDArray[np.bool_], connectivity: int) -> tuple[Any, Any]:
    """The number of each pixel's part, 0 outside, and (x, y, w, h, area) of each."""
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(
        mask.view(np.uint8), connectivity=connectivity
    )
    return numbers, stats
