"""Rectangles: things themselves, or boxes around things."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import BACKGROUND_CLASS, IGNORE_CLASS, Shape
from segstudio.errors import UserError

if TYPE_CHECKING:
    from segstudio.project.project import Project

_KINDS: Final = ("rectangle", "oriented_rectangle")
_ENOUGH: Final = 50
"""Labelled images that are looked at."""


def rectangles_of(annotation: Annotation) -> list[Shape]:
    """The rectangles of an image that may be boxes around things."""
    special = (IGNORE_CLASS, BACKGROUND_CLASS)
    shapes = (s for s in annotation.shapes if s.kind in _KINDS)
    return [shape for shape in shapes if shape.class_name not in special]


def only_rectangles(project: Project) -> bool:
    """Whether all that a person has drawn is rectangles, by the first images; it is likely that
    those are boxes around things then, whatever guesses were confirmed beside them."""
    found = False
    for key in project.labelled_keys()[:_ENOUGH]:
        try:
            annotation = project.load(key)
        except UserError:  # the window names label files that cannot be read
            continue
        drawn = [shape for shape in annotation.shapes if shape.source != "model"]
        if len(rectangles_of(annotation)) < len(drawn):
            return False
        found = found or bool(drawn)
    return found
