"""EXIF orientations (CIPA DC-008, tag 0x0112) for arrays, sizes and points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_ARRAYS: Final[dict[int, Callable[[NDArray[Any]], NDArray[Any]]]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.swapaxes(a[::-1], 0, 1),
    7: lambda a: np.swapaxes(a[::-1, ::-1], 0, 1),
    8: lambda a: np.swapaxes(a[:, ::-1], 0, 1),
}


def turn_array(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """The stored pixels (h, w, ...) as they are to be shown."""
    turn = _ARRAYS.get(orientation)
    return array if turn is None else np.ascontiguousarray(turn(array))


def turn_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """The shown (width, height) of stored (width, height)."""
    return (size[1], size[0]) if orientation in (5, 6, 7, 8) else size


def turn_points(
    points: NDArray[np.float64], stored: tuple[int, int], orientation: int
) -> NDArray[np.float64]:
    """Points (n, 2) on the stored picture of (width, height) `stored`, on the shown one."""
    width, height = stored
    x, y = points[:, 0], points[:, 1]
    mirrored_x, mirrored_y = width - x, height - y
    turned = {
        2: (mirrored_x, y),
        3: (mirrored_x, mirrored_y),
        4: (x, mirrored_y),
        5: (y, x),
        6: (mirrored_y, x),
        7: (mirrored_y, mirrored_x),
        8: (y, mirrored_x),
    }.get(orientation, (x, y))
    return np.stack(turned, axis=1)
