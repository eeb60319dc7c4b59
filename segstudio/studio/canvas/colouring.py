"""Ids to colours: the overlay of shapes as one picture, by table look-up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segstudio.annotation.document import Change, Document
from segstudio.annotation.rasterise import IdArray
from segstudio.annotation.shape import BACKGROUND_CLASS, IGNORE_CLASS, Shape

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


class Table:
    """Per shape number: fill and outline as premultiplied ARGB, and whether outlines are dashed.

    Number 0, and numbers of no shape, are transparent. It follows a document: shapes that come
    or change their class are entered one by one, for a table of 100,000 takes a while to make.
    """

    def __init__(
        self,
        document: Document,
        colours: Mapping[str, Colour],
        look: Look,
        selected: Iterable[int] = (),
    ) -> None:
        self._colours, self._look = colours, look
        self._inks: dict[str, int] = {}
        self._fills = np.zeros((2, 0), np.uint32)  # of shapes, and of drafts
        self._lines = np.zeros(0, np.uint32)
        self.fill = np.zeros(1, np.uint32)
        self.dashed = np.zeros(1, np.bool_)
        self._plain = np.zeros(1, np.uint32)
        self._enter(document.ids("drafts"), document.drafts, draft=True)
        self._enter(document.ids(), document.shapes, draft=False)
        self.has_dashes = len(document.drafts) > 0
        self.outline = self._plain
        self.select(selected)

    def follow(self, document: Document, change: Change) -> None:
        """Enter the shapes of a change."""
        there = [n for n in change.numbers if document.shape(n) is not None]
        if not there:
            return
        drafts = set(document.ids("drafts")) if len(document.drafts) else set()
        for draft in (True, False):
            numbers = [n for n in there if (n in drafts) == draft]
            shapes = [s for n in numbers if (s := document.shape(n)) is not None]
            self._enter(numbers, shapes, draft)
        self.has_dashes = len(document.drafts) > 0
        self.select(self.selected)

    def select(self, numbers: Iterable[int]) -> None:
        """Draw the outlines of these, and no others, in white."""
        self.selected = tuple(numbers)
        self.outline = self._plain
        marked = [n for n in self.selected if n < len(self._plain)]
        if marked:
            self.outline = self._plain.copy()
            self.outline[marked] = _premultiplied(np.array([SELECTED]), np.ones(1))[0]

    def _enter(self, numbers: Sequence[int], shapes: Sequence[Shape], draft: bool) -> None:
        if not len(numbers):
            return
        self._grow(max(numbers) + 1)
        inks = [self._ink(shape.class_name) for shape in shapes]
        places = np.asarray(numbers)
        self.fill[places] = self._fills[int(draft)].take(inks)
        self._plain[places] = self._lines.take(inks)
        self.dashed[places] = draft

    def _grow(self, size: int) -> None:
        if size <= len(self.fill):
            return
        more = max(size, 2 * len(self.fill)) - len(self.fill)
        self.fill = np.concatenate([self.fill, np.zeros(more, np.uint32)])
        self._plain = np.concatenate([self._plain, np.zeros(more, np.uint32)])
        self.dashed = np.concatenate([self.dashed, np.zeros(more, np.bool_)])

    def _ink(self, class_name: str) -> int:
        """The place of a class's colours."""
        known = self._inks.get(class_name)
        if known is not None:
            return known
        rgb = np.array([self._colours.get(class_name, UNKNOWN)], np.float64)
        opacity, share = self._look.opacity, self._look.draft_share
        fills = [_premultiplied(rgb, np.array([o])) for o in (opacity, opacity * share)]
        bright = np.minimum(255.0, rgb * 1.15 + 24)
        line = _premultiplied(bright, np.array([float(opacity > 0)]))
        self._fills = np.concatenate([self._fills, np.stack(fills)], axis=1)
        self._lines = np.concatenate([self._lines, line])
        return self._inks.setdefault(class_name, len(self._inks))


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
        if table.has_dashes:
            across = place - down * edge.shape[1]
            gap = (across + origin[0] + down + origin[1]) // DASH % 2 == 1
            seen = ~(table.dashed[owner] & gap)
            place, owner = place[seen], owner[seen]
        pixels.ravel()[place] = table.outline[owner]
    return pixels


def colour_table(classes: Iterable[tuple[str, Colour]]) -> dict[str, Colour]:
    """Colours by class name, with those of the two that every project has."""
    return {**RESERVED, **dict(classes)}
