"""Undo histories on the disk: whatever was done can be taken back after a restart, or a crash."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import (
    Annotation,
    Document,
    Edit,
    Splice,
    add_shapes,
    replace_shapes,
)
from segstudio.annotation.shape import Shape, as_points, mask_shape
from segstudio.project import history
from segstudio.project.history import Histories, History

SIZE = (400, 600)
KEY = "images/a.png"


def histories(folder: Path) -> Histories:
    return Histories(folder, lambda key: key.rpartition(".")[0])


class Session:
    """A document, and a history that hears of its steps, as a window has them."""

    def __init__(
        self, folder: Path, shapes: tuple[Shape, ...], drafts: tuple[Shape, ...] = ()
    ) -> None:
        self.document = Document(Annotation(SIZE[1], SIZE[0], shapes), drafts)
        self.history: History = histories(folder).open(KEY, self.document)
        self.document.listeners.append(
            lambda change: change.step and self.history.note(*change.step)
        )

    def save(self) -> tuple[tuple[Shape, ...], tuple[Shape, ...]]:
        """Write the history; what the label file and the prediction then say."""
        if self.history.has_news:
            self.history.take()()
        return copied(self.document.shapes), copied(self.document.drafts)

    def act(self, kind: int, seed: int) -> None:
        """One step of a person's work, by numbers."""
        rng = np.random.default_rng(seed)
        document = self.document
        name = f"step {seed}"
        ids = document.ids()
        chosen = ids[seed % len(ids)] if ids else 0
        shape = document.shape(chosen)
        if kind == 0 or shape is None:
            ring = rng.uniform(0, 300, (4, 2)).round(3)
            document.apply(add_shapes(name, document, [Shape("a", "polygon", as_points(ring))]))
        elif kind == 1:
            stroke = Bitmap.from_array(
                rng.random((30, 40)) < 0.7, *rng.integers(0, 300, 2).tolist()
            )
            grown = (shape.bitmap or Bitmap()) | stroke
            document.apply(replace_shapes(name, document, {chosen: shape.with_bitmap(grown)}))
        elif kind == 2:
            document.apply(replace_shapes(name, document, {chosen: None}))
        elif kind == 3:
            document.undo()
        elif kind == 4:
            document.redo()
        elif kind == 5:
            status = document.confirmed, not document.confirmed
            document.apply(Edit(name, (), status))
        elif kind == 7:
            if document.drafts and document.undo_name and not document.redo_name:
                document.amend((Splice("drafts", 0, tuple(document.drafts)),))
        elif document.drafts:
            draft = document.drafts[0]
            taken = replace(draft, source="corrected")
            splices = Splice("drafts", 0, (draft,)), Splice("shapes", 0, (), (taken,))
            document.apply(Edit(name, splices))


def copied(shapes: object) -> tuple[Shape, ...]:
    """The same shapes as other objects, as a file gives them back."""
    return tuple(replace(shape) for shape in shapes)  # type: ignore[attr-defined]


def first_shapes() -> tuple[Shape, ...]:
    mask = np.zeros((300, 300), bool)
    mask[10:280, 20:290] = True
    ring = as_points([(1, 2), (50, 3), (40, 60)])
    return (mask_shape("b", Bitmap.from_array(mask)), Shape("a", "polygon", ring))


def draft_shapes() -> tuple[Shape, ...]:
    boxes = (Bitmap.from_array(np.ones((9, 9)), x, 40) for x in (10, 100))
    return tuple(mask_shape("a", box, source="model", model="m1", score=0.5) for box in boxes)


steps = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 10_000)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, min_size=1, max_size=3))
def test_every_step_of_all_sessions_can_be_taken_back_and_done_again(
    tmp_path_factory: pytest.TempPathFactory, sessions: list[list[tuple[int, int]]]
) -> None:
    folder = tmp_path_factory.mktemp("history")
    shapes, drafts = first_shapes(), draft_shapes()
    states = []
    depth = 0
    for acts in sessions:
        session = Session(folder, shapes, drafts)
        assert len(session.document.history[0]) == depth
        for kind, seed in acts:
            session.act(kind, seed)
        depth = len(session.document.history[0])
        names = [e.name for e in session.document.history[0]]
        undone = [e.name for e in session.document.history[1]]
        shapes, drafts = session.save()
        states.append((shapes, drafts))
    session = Session(folder, *states[-1])
    document = session.document
    assert [e.name for e in document.history[0]] == names
    assert [e.name for e in document.history[1]] == undone
    while document.undo():
        pass
    assert tuple(document.shapes) == first_shapes()
    assert tuple(document.drafts) == draft_shapes()
    for _ in range(depth):
        document.redo()
    assert tuple(document.shapes) == states[-1][0]


def test_after_a_crash_the_steps_that_were_not_saved_can_be_done_again(tmp_path: Path) -> None:
    session = Session(tmp_path, first_shapes())
    for seed in range(3):
        session.act(0, seed)
    saved = copied(session.document.shapes)
    session.act(1, 1)
    session.act(0, 9)
    newest = tuple(session.document.shapes)
    session.save()
    again = Session(tmp_path, saved)
    assert (len(again.document.history[0]), len(again.document.history[1])) == (3, 2)
    again.document.redo()
    again.document.redo()
    assert tuple(again.document.shapes) == newest
    again.save()
    last = Session(tmp_path, newest)
    assert len(last.document.history[0]) == 5


def test_a_line_that_was_not_finished_costs_itself_only(tmp_path: Path) -> None:
    session = Session(tmp_path, ())
    session.act(0, 1)
    one = copied(session.document.shapes)
    session.save()
    session.act(0, 2)
    session.save()
    path = histories(tmp_path).path(KEY)
    path.write_bytes(path.read_bytes()[:-20])
    again = Session(tmp_path, one)
    assert len(again.document.history[0]) == 1
    again.act(0, 3)
    shapes, _ = again.save()
    assert len(Session(tmp_path, shapes).document.history[0]) == 2


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{}\n",
        b"nonsense\n",
        b'{"v":99,"base":[0,0]}\n',
        b'{"v":1,"base":[0,0]}\n{"undo":1}\n',
        b'{"v":1,"base":[0,0]}\n{"do":"x","s":[[0,0,[5],[6]]]}\n',
        b'{"v":1,"base":[0,0]}\n{"shape":0,"f":{"nose":1}}\n',
        b"\xff\xfe\n",
    ],
)
def test_a_damaged_file_is_left_behind(tmp_path: Path, damage: bytes) -> None:
    path = histories(tmp_path).path(KEY)
    path.parent.mkdir(parents=True)
    path.write_bytes(damage)
    session = Session(tmp_path, first_shapes())
    assert session.document.history == ([], [])
    session.act(0, 1)
    shapes, _ = session.save()
    assert len(Session(tmp_path, shapes).document.history[0]) == 1


def test_labels_changed_by_another_program_end_the_history(tmp_path: Path) -> None:
    session = Session(tmp_path, first_shapes())
    session.act(1, 5)
    shapes, _ = session.save()
    gone, renamed = shapes[:1], (shapes[0], shapes[1].with_class("z"))
    moved, more = (shapes[0], shapes[1].moved(5, 0)), (*shapes, shapes[0])
    for changed in (gone, renamed, moved, more):
        assert Session(tmp_path, changed).document.history == ([], [])
    untouched = (shapes[0].moved(5, 0), shapes[1])  # no step is about it
    again = Session(tmp_path, untouched)
    again.document.undo()
    assert tuple(again.document.shapes) == (untouched[0], first_shapes()[1])


def test_a_stroke_costs_the_tiles_it_touches(tmp_path: Path) -> None:
    session = Session(tmp_path, first_shapes())
    big = mask_shape("b", Bitmap.from_array(np.random.default_rng(0).random((2000, 2000)) < 0.5))
    session.document.apply(add_shapes("add", session.document, [big]))
    session.save()
    path = histories(tmp_path).path(KEY)
    before = path.stat().st_size
    number = session.document.ids()[-1]
    grown = big.with_bitmap((big.bitmap or Bitmap()) | Bitmap.from_array(np.ones((20, 20)), 30, 30))
    session.document.apply(replace_shapes("stroke", session.document, {number: grown}))
    session.save()
    assert path.stat().st_size - before < 16_000 < before


def test_a_file_that_grew_too_large_keeps_its_newer_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(tmp_path, ())
    for seed in range(10):
        session.act(0, seed)
    shapes, _ = session.save()
    size = histories(tmp_path).path(KEY).stat().st_size
    monkeypatch.setattr(history, "MOST", 1000)
    again = Session(tmp_path, shapes)
    assert len(again.document.history[0]) == 5
    again.save()
    assert histories(tmp_path).path(KEY).stat().st_size < size
    assert len(json.loads(histories(tmp_path).path(KEY).read_text().splitlines()[0])["base"]) == 2


def test_histories_can_be_deleted(tmp_path: Path) -> None:
    session = Session(tmp_path, ())
    session.act(0, 1)
    shapes, _ = session.save()
    assert histories(tmp_path).clear() > 100
    assert not histories(tmp_path).path(KEY).exists()
    assert Session(tmp_path, shapes).document.history == ([], [])
    assert histories(tmp_path / "none").clear() == 0


@pytest.mark.parametrize("accepted", [0, 1])
def test_drafts_that_came_after_opening_do_no_harm(tmp_path: Path, accepted: int) -> None:
    """A model's answer, or labels carried along, come while the image is open."""
    session = Session(tmp_path, first_shapes())
    session.act(0, 1)
    session.document.set_drafts(draft_shapes())
    draft = session.document.drafts[accepted]
    splices = Splice("drafts", accepted, (draft,)), Splice("shapes", 0, (), (draft,))
    session.document.apply(Edit("accept", splices))
    session.act(0, 3)
    shapes, rest = session.save()
    again = Session(tmp_path, shapes, rest)
    assert [edit.name for edit in again.document.history[0]] == ["step 1", "accept", "step 3"]
    while again.document.undo():
        pass
    assert tuple(again.document.shapes) == first_shapes()
    while again.document.redo():
        pass
    assert tuple(again.document.shapes) == shapes
    again.act(0, 5)
    shapes, _ = again.save()
    assert len(Session(tmp_path, shapes).document.history[0]) == 4


def test_with_other_drafts_than_then_steps_are_about_shapes_only(tmp_path: Path) -> None:
    """Drafts come and go; what a person did to shapes stays undoable, back to the first step."""
    session = Session(tmp_path, first_shapes(), draft_shapes())
    session.act(0, 1)
    session.act(6, 2)
    session.act(0, 3)
    rest = tuple(session.document.drafts)
    session.document.apply(Edit("reject", (Splice("drafts", 0, rest),)))
    session.act(0, 4)
    session.document.undo()
    shapes, _ = session.save()
    boxes = (Bitmap.from_array(np.ones((5, 5)), x, 3) for x in (3, 33, 63))
    newer = tuple(mask_shape("a", box, source="model", model="m2") for box in boxes)
    again = Session(tmp_path, shapes, newer)
    done, undone = again.document.history
    assert [edit.name for edit in done] == ["step 1", "step 2", "step 3"]
    assert [edit.name for edit in undone] == ["step 4"]
    for expected in (2, 1, 0):
        again.document.undo()
        assert len(again.document.shapes) == len(first_shapes()) + expected
        assert tuple(again.document.drafts) == newer
    assert tuple(again.document.shapes) == first_shapes()
    kept, _ = again.save()
    undone = Session(tmp_path, kept, newer).document.history[1]
    assert [edit.name for edit in undone] == ["step 4", "step 3", "step 2", "step 1"]
