"""What becomes of the guesses that an image opens with, step by step."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Annotation, Document, add_shapes
from segstudio.annotation.shape import Shape, mask_shape
from segstudio.project.history import Histories
from segstudio.studio.canvas.picture import NO_PICTURE
from segstudio.studio.open_image import Drafts, OpenImage, draft_name, make_desk


def square(left: int, top: int, model: str | None = "round-0") -> Shape:
    bitmap = Bitmap.from_array(np.ones((10, 10), bool), left, top)
    return mask_shape("a", bitmap, source="model" if model else None, model=model)


def opened(folder: Path) -> tuple[OpenImage, Document, Shape, Shape]:
    one, other = square(0, 0), square(20, 20)
    drafts = Drafts("", (one, other), (draft_name(one), draft_name(other)))
    desk = make_desk(Annotation(100, 100), drafts)
    history = Histories(folder, str).fresh("a", desk.document)
    image = OpenImage("a", NO_PICTURE, desk, drafts, history)
    desk.document.listeners.append(image._count)
    return image, desk.document, one, other


def paint(document: Document) -> None:
    document.apply(add_shapes("Paint", document, [square(50, 50, None)]))


def same(found: list[Shape], expected: list[Shape]) -> bool:
    return list(map(id, found)) == list(map(id, expected))


def test_guesses_make_way_with_the_last_step_and_come_back_with_its_undo(tmp_path: Path) -> None:
    image, document, one, other = opened(tmp_path)
    document.apply(image.accept_edit([one], "Accept"))
    paint(document)
    image.make_way()
    assert not document.drafts
    assert not image.rejected()
    document.undo()
    assert same(list(document.drafts), [other])
    document.redo()
    assert not document.drafts
    assert not image.rejected()


def test_a_guess_that_gave_way_and_came_back_can_be_rejected(tmp_path: Path) -> None:
    image, document, one, other = opened(tmp_path)
    document.apply(image.reject_edit([one], "Reject"))
    paint(document)
    image.make_way()
    document.undo()
    document.apply(image.reject_edit([other], "Reject"))
    assert same(image.rejected(), [one, other])


def test_a_guess_whose_acceptance_was_undone_can_be_rejected(tmp_path: Path) -> None:
    image, document, one, _ = opened(tmp_path)
    document.apply(image.accept_edit([one], "Accept"))
    document.undo()
    document.apply(image.reject_edit([one], "Reject"))
    assert same(image.rejected(), [one])


def test_what_was_undone_can_be_redone_beside_guesses(tmp_path: Path) -> None:
    image, document, one, _ = opened(tmp_path)
    paint(document)
    document.apply(image.accept_edit([one], "Accept"))
    document.undo()
    image.make_way()
    assert (document.undo_name, document.redo_name) == ("Paint", "Accept")
    assert document.redo() is not None


def test_untouched_guesses_make_way_without_a_step(tmp_path: Path) -> None:
    image, document, *_ = opened(tmp_path)
    image.make_way()
    assert len(document.drafts) == 2  # there is nothing yet that others could follow
    paint(document)
    image.make_way()
    assert not document.drafts
    document.undo()
    assert not document.drafts
    assert document.redo_name == "Paint"
