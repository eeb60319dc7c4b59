"""Changing label files from outside a window: what an image's undo history notes of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from segstudio.annotation.document import Annotation, Document, Edit, Splice
from segstudio.annotation.shape import Shape
from segstudio.project import atomic
from segstudio.project.scan import ImageKey

if TYPE_CHECKING:
    from segstudio.project.project import Project


@contextlib.contextmanager
def noted(project: Project, key: ImageKey, step: str) -> Iterator[None]:
    """What becomes of an image meanwhile is appended to its undo history as `step`, if it has
    one; with no name for the step it is not."""
    if not step or not project.histories.path(key).exists():
        yield
        return
    document = Document(project.load(key))
    history = project.histories.open(key, document)
    yield
    if any(document.history):
        edit = _difference(step, document, project.load(key).shapes)
        document.apply(edit)
        history.note("do", edit)
        history.take()()


def change_shapes(
    project: Project,
    key: ImageKey,
    change: Callable[[Sequence[Shape]], Sequence[Shape]],
    step: str,
) -> bool:
    """Change the shapes in a label file, losing nothing else of it; whether it was changed.

    UserError when it cannot be read.
    """

    def changed(annotation: Annotation) -> Annotation | None:
        shapes = tuple(change(annotation.shapes))
        return None if shapes == annotation.shapes else replace(annotation, shapes=shapes)

    found = project.label_files.rewritten(key, changed)
    if found is None:
        return False
    with noted(project, key, step):
        atomic.write_bytes(found.path, found.data)
    return True


def _difference(name: str, document: Document, after: Sequence[Shape]) -> Edit:
    """One splice that leads from a document's shapes to others."""
    before = document.shapes
    shorter = min(len(before), len(after))
    first = next((i for i in range(shorter) if before[i] != after[i]), shorter)
    room = range(shorter - first)
    same = next((i for i in room if before[-1 - i] != after[-1 - i]), shorter - first)
    old, new = before[first : len(before) - same], after[first : len(after) - same]
    return Edit(name, (Splice("shapes", first, tuple(old), tuple(new)),))
