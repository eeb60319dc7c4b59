"""Ids to colours: the overlay of shapes as one picture, by table look-up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segstudio.annotation.document import Document
from segstudio.annotation.rasterise import IdArray
from segstudio.annotation.shape import BACKGROUND_CLASS, IGNORE_CLASS

Colour = tuple[int, int, int]
UNKNOWN: Final[Colour] = (150, 150, 150)
RESERVED: Final[Mapping[str, Colour]] = {
    BACKGROUND_CLASS: (205, 205, 205),
    IGNORE_CLASS: (110, 110, 110),
}
"""What a person can paint in every project, beside its classes."""
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
    has another id is outline. `origin` is where the first pixel is, counted in device pixels from
    the picture's corner, so that dashes stay where they are when a part is drawn anew.
    """
    core = ids[:-1, :-1]
    pixels: Pixels = np.take(table.fill, core, mode="clip")
    if look.outlines:
        edge = (core != ids[:-1, 1:]) | (core != ids[1:, :-1])
        place = np.flatnonzero(edge)
        down = place // edge.shape[1]
        here, flat = place + down, ids.ravel()  # a row of ids is one longer
        # of two neighbours the higher one draws the line, so that shapes next to nothing have one
        owner = np.maximum(flat[here], flat[here + 1])
        np.maximum(owner, flat[here + ids.shape[1]], out=owner)
        if table.dashed.any():
            across = place - down * edge.shape[1]
            gap = (across + origin[0] + down + origin[1]) // DASH % 2 == 1
            seen = ~(table.dashed[owner] & gap)
            place, owner = place[seen], owner[seen]
        pixels.ravel()[place] = table.outline[owner]
    return pixels


def colour_table(classes: Iterable[tuple[str, Colour]]) -> dict[str, Colour]:
    """Colours by class name, with those of the two that every project has."""
    return {**RESERVED, **dict(classes)}
