"""Ids to colours: the overlay of shapes as one picture, by table look-up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segstudio.annotation.document import Document
from segstudio.annotation.rasterise import IdArray
from segstudio.annotation.shape import IGNORE_CLASS

Colour = tuple[int, int, int]
UNKNOWN: Final[Colour] = (150, 150, 150)
SELECTED: Final[Colour] = (255, 255, 255)
DASH: Final = 4
"""Draft outlines alternate every so many device pixels."""
Pixels = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Look:
    """How shapes are shown: overlay opacity 0..1, outlines, and drafts filled fainter."""

    opacity: float = 0.45
    outlines: bool = True
    draft_share: float = 0.6


@dataclass(frozen=True, slots=True)
class Table:
    """Per shape number: fill and outline as premultiplied ARGB, and whether outlines are dashed."""

    fill: Pixels
    outline: Pixels
    dashed: NDArray[np.bool_]


def make_table(
    document: Document, colours: Mapping[str, Colour], look: Look, selected: Iterable[int] = ()
) -> Table:
    """The table for all shapes and drafts of a document; number 0 is transparent."""
    draft_ids = document.ids("drafts")
    shapes, ids = document.items()
    size = max(ids, default=0) + 1
    rgb = np.zeros((size, 3), dtype=np.float64)
    alpha = np.zeros(size, dtype=np.float64)
    for shape, number in zip(shapes, ids, strict=True):
        rgb[number] = colours.get(shape.class_name, UNKNOWN)
    alpha[ids] = look.opacity
    dashed = np.zeros(size, dtype=np.bool_)
    dashed[list(draft_ids)] = True
    alpha[dashed] *= look.draft_share
    bright = np.minimum(255.0, rgb * 1.15 + 24)
    bright[[n for n in selected if n < size]] = SELECTED
    solid = (alpha > 0).astype(np.float64)
    return Table(_premultiplied(rgb, alpha), _premultiplied(bright, solid), dashed)


def _premultiplied(rgb: NDArray[np.float64], alpha: NDArray[np.float64]) -> Pixels:
    a = np.round(alpha * 255).astype(np.uint32)
    red, green, blue = np.round(rgb * alpha[:, None]).astype(np.uint32).T
    pixels: Pixels = (a << 24) | (red << 16) | (green << 8) | blue
    return pixels


def colour_ids(ids: IdArray, table: Table, look: Look, origin: tuple[int, int]) -> Pixels:
    """The overlay (h, w) of ids (h + 1, w + 1), premultiplied ARGB.

    The extra row and column are the neighbours below and to the right: a pixel whose neighbour
    has another id is outline. `origin` is the device pixel of the first one, so that dashes
    stay where they are when a part is drawn anew.
    """
    core = ids[:-1, :-1]
    pixels = table.fill[core]
    if look.outlines:
        right, below = ids[:-1, 1:], ids[1:, :-1]
        # of two neighbours the higher one draws the line, so that shapes next to nothing have one
        owner = np.maximum(core, np.maximum(right, below))
        edge = (core != right) | (core != below)
        if table.dashed.any():
            edge &= ~(table.dashed[owner] & _gaps(core.shape, origin))
        np.copyto(pixels, table.outline[owner], where=edge)
    return pixels


def _gaps(shape: tuple[int, ...], origin: tuple[int, int]) -> NDArray[np.bool_]:
    across = np.arange(origin[0], origin[0] + shape[1])
    down = np.arange(origin[1], origin[1] + shape[0])
    gaps: NDArray[np.bool_] = ((across[None, :] + down[:, None]) // DASH) % 2 == 1
    return gaps


def colour_table(classes: Iterable[tuple[str, Colour]]) -> dict[str, Colour]:
    """Colours by class name, with the one for pixels not to be learned from."""
    return {IGNORE_CLASS: (110, 110, 110), **dict(classes)}
