"""Changes of all images at once: whole or not at all, undone as one, safe from crashes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import picture

from segstudio.annotation import components
from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Annotation, Document, Edit, Splice
from segstudio.annotation.shape import Shape, as_points, mask_shape
from segstudio.errors import Cancelled, UserError
from segstudio.project import bulk_plan, bulk_store
from segstudio.project.bulk import BulkEdit, Pick
from segstudio.project.bulk_store import KEPT
from segstudio.project.classes import ClassTable
from segstudio.project.project import Project

RENAME = BulkEdit("rename", "cat", "tiger")
MERGE = BulkEdit("merge", "cat", "dog")
DELETE = BulkEdit("delete", "cat")


def box(name: str, at: int = 0, **facts: Any) -> Shape:
    return Shape(name, "rectangle", as_points([[at, 1], [at + 3, 5]]), **facts)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four pictures: cat and dog, dog, two cats (one a mask), nothing."""
    top = tmp_path / "p"
    for name in "abcd":
        picture(top / "images" / f"{name}.png")
    with Project.create(top, classes=["cat", "dog"]) as project:
        mask = mask_shape("cat", Bitmap.from_array(np.eye(4, dtype=np.bool_)), source="model")
        for key, shapes in (
            ("a", (box("cat"), box("dog", 6))),
            ("b", (box("dog"),)),
            ("c", (box("cat", 9), mask)),
        ):
            project.save(f"images/{key}.png", Annotation(20, 10, shapes, confirmed=key == "a"))
    return top


def label_files(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(root.rglob("images/*.json"))}


def names(root: Path) -> dict[str, list[str]]:
    return {
        name: [shape["label"] for shape in json.loads(data)["shapes"]]
        for name, data in label_files(root).items()
    }


def run(root: Path, edit: BulkEdit, **how: Any) -> bulk_store.BulkResult:
    with Project.open(root) as project:
        return project.bulk.run(edit, **how)


def undo(root: Path) -> bulk_store.BulkResult | None:
    with Project.open(root) as project:
        return project.bulk.undo()


# -- what they do


def test_rename_touches_only_files_of_the_class_and_undo_gives_every_byte_back(root: Path) -> None:
    before = label_files(root)
    result = run(root, RENAME)
    assert (result.images, result.shapes, result.skipped) == (2, 3, ())
    assert names(root) == {"a.json": ["tiger", "dog"], "b.json": ["dog"], "c.json": ["tiger"] * 2}
    assert label_files(root)["b.json"] == before["b.json"]
    with Project.open(root) as project:
        assert project.classes.names == ("tiger", "dog")
        assert project.classes.values["tiger"] == 1
        assert project.classes.now("cat") == "tiger"
        assert project.state("images/a.png") == "confirmed"
        assert [s.source for s in project.load("images/c.png").shapes] == ["human", "model"]
        last = project.bulk.last()
        assert last is not None
        assert last.title == "Rename class cat to tiger"
    assert undo(root) is not None
    assert label_files(root) == before
    with Project.open(root) as project:
        assert project.classes.names == ("cat", "dog")
        assert project.classes.now("tiger") == "cat"  # models of that time are still known
        assert project.bulk.last() is None


def test_merge_keeps_the_numbers_of_both_and_undo_parts_them(root: Path) -> None:
    before = label_files(root)
    run(root, MERGE)
    assert names(root)["c.json"] == ["dog", "dog"]
    with Project.open(root) as project:
        assert project.classes.names == ("dog",)
        assert project.classes.by_value == {1: "dog", 2: "dog"}
        assert project.classes.old_values == {"cat": 2, "dog": 2}
        assert project.classes.with_class("new")[1].id == 3
    undo(root)
    assert label_files(root) == before
    with Project.open(root) as project:
        assert project.classes == ClassTable.of("cat", "dog")


def test_delete_and_recolour(root: Path) -> None:
    before = label_files(root)
    assert run(root, DELETE).shapes == 3
    assert names(root) == {"a.json": ["dog"], "b.json": ["dog"], "c.json": []}
    run(root, BulkEdit("recolour", "dog", "#010203"))
    with Project.open(root) as project:
        assert [(c.name, c.id, c.colour) for c in project.classes] == [("dog", 2, (1, 2, 3))]
    undo(root)
    undo(root)
    assert undo(root) is None
    assert label_files(root) == before
    with Project.open(root) as project:
        assert project.classes == ClassTable.of("cat", "dog")


def test_picked_shapes_change_class_or_go_and_stale_picks_are_left_alone(root: Path) -> None:
    before = label_files(root)
    with Project.open(root) as project:
        picks = {}
        for key in ("images/a.png", "images/c.png"):
            at = project.label_stamp(key)
            assert at is not None
            picks[key] = Pick(at, (0,))
    result = run(root, BulkEdit("reclass", to="dog", picks=picks))
    assert (result.images, result.shapes) == (2, 2)
    assert names(root)["c.json"] == ["dog", "cat"]
    result = run(root, BulkEdit("remove", picks=picks))
    assert (result.images, len(result.skipped)) == (0, 2)
    undo(root)
    undo(root)
    assert label_files(root) == before


def test_opaque_shapes_and_embedded_facts_survive(root: Path) -> None:
    file = root / "images" / "b.json"
    raw = json.loads(file.read_text())
    odd = {"label": "cat", "points": [], "shape_type": "cuboid", "depth": 3}
    file.write_text(json.dumps({**raw, "shapes": [*raw["shapes"], odd], "camera": "x"}))
    before = label_files(root)
    run(root, RENAME)
    after = json.loads(file.read_text())
    assert after["shapes"][1] == {**odd, "label": "tiger"}
    assert after["camera"] == "x"
    undo(root)
    assert label_files(root) == before


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (BulkEdit("rename", "cow", "x"), "no class 'cow'"),
        (BulkEdit("rename", "cat", "dog"), "already"),
        (BulkEdit("rename", "cat", " "), "needs a name"),
        (BulkEdit("rename", "cat", "__ignore__"), "something else"),
        (BulkEdit("merge", "cat", "cat"), "into itself"),
        (BulkEdit("merge", "cat", "cow"), "no class 'cow'"),
        (BulkEdit("recolour", "cat", "red"), "not a colour"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    root: Path, edit: BulkEdit, why: str
) -> None:
    before = label_files(root)
    with pytest.raises(UserError, match=why):
        run(root, edit)
    assert label_files(root) == before
    assert not any((root / ".segstudio" / "bulk").glob("0*"))


def test_a_labelme_folder_in_place_changes_only_where_the_class_is(tmp_path: Path) -> None:
    for name in "xy":
        picture(tmp_path / f"{name}.png")
        shape = {"label": name, "points": [[1, 1], [9, 1], [5, 8]], "shape_type": "polygon"}
        facts = {"version": "5.0.1", "flags": {}, "shapes": [shape], "imagePath": f"{name}.png"}
        (tmp_path / f"{name}.json").write_text(json.dumps({**facts, "imageData": None}))
    other = (tmp_path / "y.json").read_bytes()
    with Project.open(tmp_path) as project:
        project.bulk.run(BulkEdit("rename", "x", "z"))
        assert project.state("x.png") == "confirmed"  # another program's file still counts as done
    assert (tmp_path / "y.json").read_bytes() == other
    raw = json.loads((tmp_path / "x.json").read_text())
    assert (raw["version"], raw["shapes"][0]["label"]) == ("5.0.1", "z")
    assert "segstudio" not in raw


def test_damaged_label_files_are_named_and_left_alone(root: Path) -> None:
    (root / "images" / "d.json").write_text("{")
    result = run(root, RENAME)
    assert [key for key, _ in result.skipped] == ["images/d.png"]
    assert (root / "images" / "d.json").read_text() == "{"


# -- human work since


def test_undo_keeps_what_a_person_has_done_since(root: Path) -> None:
    run(root, MERGE)
    with Project.open(root) as project:
        found = project.load("images/c.png")
        moved = found.shapes[0].moved(1, 0)  # touched: it stays what it is now
        project.save("images/c.png", replace(found, shapes=(moved, found.shapes[1], box("dog", 2))))
    undo(root)
    assert names(root)["a.json"] == ["cat", "dog"]
    assert names(root)["c.json"] == ["dog", "cat", "dog"]


def test_undone_rename_gives_the_name_back_to_what_was_drawn_since(root: Path) -> None:
    run(root, RENAME)
    with Project.open(root) as project:
        project.save("images/d.png", Annotation(20, 10, (box("tiger"),)))
        found = project.load("images/c.png")
        project.save("images/c.png", replace(found, shapes=(*found.shapes, box("tiger", 2))))
    undo(root)
    assert names(root)["d.json"] == ["cat"]
    assert names(root)["c.json"] == ["cat"] * 3


def test_undone_delete_brings_shapes_back_between_those_that_are_there(root: Path) -> None:
    run(root, DELETE)
    with Project.open(root) as project:
        found = project.load("images/a.png")
        shapes = (box("dog", 1), *found.shapes, box("dog", 12))
        project.save("images/a.png", replace(found, shapes=shapes))
    undo(root)
    assert names(root)["a.json"] == ["cat", "dog", "dog", "dog"]
    assert names(root)["c.json"] == ["cat", "cat"]


def test_undo_is_refused_when_the_old_name_is_taken(root: Path) -> None:
    run(root, RENAME)
    with Project.open(root) as project:
        project.set_classes(project.classes.with_class("cat"))
    with pytest.raises(UserError, match="another class 'cat'"):
        undo(root)


# -- all or nothing


def test_cancel_leaves_nothing_behind(root: Path) -> None:
    before = label_files(root)
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 1

    with pytest.raises(Cancelled):
        run(root, RENAME, should_stop=stop)
    assert label_files(root) == before
    with Project.open(root) as project:
        assert project.classes.names == ("cat", "dog")
        assert project.bulk.last() is None


def test_a_failure_in_the_middle_puts_everything_back(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = label_files(root)
    monkeypatch.setattr(bulk_store, "move", _failing(bulk_plan.move, 2))
    with pytest.raises(UserError, match="Nothing was changed"):
        run(root, RENAME)
    monkeypatch.undo()
    assert label_files(root) == before
    with Project.open(root) as project:
        assert project.classes == ClassTable.of("cat", "dog")
        assert project.bulk.last() is None


def _failing(real: Callable[[Path, Path], None], at: int) -> Callable[[Path, Path], None]:
    calls: list[int] = []

    def move(new: Path, path: Path) -> None:
        calls.append(1)
        if len(calls) == at:
            raise OSError(28, "No space left on device")
        real(new, path)

    return move


def test_a_file_changed_while_it_was_prepared_is_prepared_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = bulk_plan.write_plan

    def meanwhile(folder: Path, plan: Any) -> None:
        real(folder, plan)
        monkeypatch.setattr(bulk_store, "write_plan", real)
        with Project.open(root, read_only=True) as other:
            found = other.load("images/a.png")
        with Project(root, _manifest(root), None) as writer:
            writer.label_files.write(
                "images/a.png", replace(found, shapes=(*found.shapes, box("cat", 12)))
            )

    monkeypatch.setattr(bulk_store, "write_plan", meanwhile)
    run(root, RENAME)
    assert names(root)["a.json"] == ["tiger", "dog", "tiger"]
    undo(root)
    assert names(root)["a.json"] == ["cat", "dog", "cat"]


def _manifest(root: Path) -> Any:
    from segstudio.project import manifest

    return manifest.load(root)


CRASH = """
import os, signal, sys
from pathlib import Path
from segstudio.project import bulk_plan, bulk_store
from segstudio.project.bulk import BulkEdit
from segstudio.project.project import Project

what, at, kind = sys.argv[2], int(sys.argv[3]), sys.argv[4]
calls = 0

def dying(real):
    def call(*arguments):
        global calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments)
    return call

with Project.open(Path(sys.argv[1])) as project:
    setattr(bulk_store, what, dying(getattr(bulk_store, what)))
    if kind == "undo":
        project.bulk.undo()
    else:
        project.bulk.run(BulkEdit(kind, "cat", {"rename": "tiger", "merge": "dog"}.get(kind, "")))
"""


def crash(root: Path, what: str, at: int, kind: str) -> None:
    command = [sys.executable, "-c", CRASH, str(root), what, str(at), kind]
    done = subprocess.run(command, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.parametrize("kind", ["rename", "merge", "delete"])
@pytest.mark.parametrize(("what", "at"), [("digest", 2), ("move", 1), ("link", 2), ("move", 2)])
def test_killed_in_the_middle_the_next_opening_makes_it_whole(
    root: Path, what: str, at: int, kind: str
) -> None:
    before = label_files(root)
    crash(root, what, at, kind)
    with Project.open(root) as project:
        finished = what != "digest"  # before the plan was written nothing has happened
        assert len(project.recovered) == int(finished)
        assert ("cat" in project.classes) is not finished
    assert any("cat" in labels for labels in names(root).values()) is not finished
    if finished:
        undo(root)
    assert label_files(root) == before


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.parametrize("kind", ["rename", "delete"])
@pytest.mark.parametrize("at", [1, 2])
def test_killed_while_undoing_the_next_opening_ends_it(root: Path, kind: str, at: int) -> None:
    before = label_files(root)
    run(root, BulkEdit("rename", "cat", "tiger") if kind == "rename" else DELETE)
    crash(root, "link", at, "undo")
    with Project.open(root) as project:
        assert len(project.recovered) == 1
        assert "cat" in project.classes
    assert label_files(root) == before


def test_who_looks_while_another_works_waits_for_nothing(root: Path) -> None:
    with Project.open(root) as project:

        def look(done: int, total: int, text: str) -> None:
            with Project.open(root) as other:
                assert other.recovered == ()
                with pytest.raises(UserError, match="under way"):
                    other.bulk.run(MERGE)

        project.bulk.run(RENAME, on_progress=look)
        assert names(root)["a.json"] == ["tiger", "dog"]


def test_old_ones_are_let_go_and_all_can_be_forgotten(root: Path) -> None:
    with Project.open(root) as project:
        for number in range(KEPT + 3):
            project.bulk.run(BulkEdit("recolour", "cat", f"#0000{number:02x}"))
        assert len(list((root / ".segstudio" / "bulk").glob("0*"))) == KEPT
        project.bulk.clear()
        assert project.bulk.last() is None


# -- what was made before


def test_drafts_of_renamed_merged_and_deleted_classes(root: Path) -> None:
    labels = np.zeros((10, 20), np.uint8)
    labels[2:5, 2:5], labels[2:5, 5:9] = 1, 2

    def shown() -> list[tuple[str, int]]:
        with Project.open(root) as project:
            found = components.drafts(labels, None, project.classes.by_value)
            return [(s.class_name, s.bitmap.area) for s in found if s.bitmap is not None]

    run(root, RENAME)
    assert shown() == [("tiger", 9), ("dog", 12)]
    run(root, BulkEdit("merge", "tiger", "dog"))
    assert shown() == [("dog", 21)]
    undo(root)
    run(root, BulkEdit("delete", "tiger"))
    assert shown() == [("dog", 12)]


def test_models_keep_their_rows(root: Path) -> None:
    run(root, RENAME)
    run(root, BulkEdit("merge", "tiger", "dog"))
    with Project.open(root) as project:
        table = project.classes
        assert table.old_values["cat"] == table.old_values["tiger"] == 2
        assert table.now_each(["cat", "bird"]) == ("dog", "bird")
        assert table.now_each(["cat", "dog"]) == ("cat", "dog")  # one row has the name already


def test_undo_histories_follow(root: Path) -> None:
    """A new name is read into an old history; shapes that went are a step of it."""
    with Project.open(root) as project:
        document = Document(project.load("images/a.png"))
        history = project.histories.open("images/a.png", document)
        edit = Edit("Draw", (Splice("shapes", 2, (), (box("cat", 12),)),))
        document.apply(edit)
        history.note("do", edit)
        history.take()()
        project.save("images/a.png", replace(document.annotation, shapes=tuple(document.shapes)))
    run(root, RENAME)
    assert _undone(root) == (["Draw"], ["tiger", "dog"])
    undo(root)
    assert _undone(root) == (["Draw"], ["cat", "dog"])
    run(root, DELETE)
    assert _undone(root) == (["Draw", "Delete a class"], ["cat", "dog", "cat"])
    undo(root)
    assert _undone(root) == (["Draw", "Delete a class", "Delete a class"], ["dog"])


def _undone(root: Path) -> tuple[list[str], list[str]]:
    """The steps of the first image, and its classes after one is taken back."""
    with Project.open(root) as project:
        document = Document(project.load("images/a.png"))
        project.histories.open("images/a.png", document)
        steps = [edit.name for edit in document.history[0]]
        document.undo()
        return steps, [shape.class_name for shape in document.shapes]


def test_a_copy_of_a_project_takes_back_its_own_change_and_leaves_the_original(
    root: Path, tmp_path: Path
) -> None:
    before = label_files(root)
    run(root, DELETE)
    changed = label_files(root)
    copy = Path(shutil.copytree(root, tmp_path / "copy"))
    assert undo(copy) is not None
    assert label_files(copy) == before
    assert label_files(root) == changed
    moved = root.rename(tmp_path / "moved")
    assert undo(moved) is not None
    assert label_files(moved) == before


@pytest.mark.parametrize("damage", ["{", "[]", '{"edit": {}}'])
def test_a_damaged_record_is_said_so_and_the_project_opens(root: Path, damage: str) -> None:
    run(root, RENAME)
    (plan,) = root.rglob("plan.json")
    plan.write_text(damage)
    with Project.open(root) as project:
        assert project.bulk.last() is None
        with pytest.raises(UserError, match="damaged"):
            project.bulk.undo()
        assert project.load("images/a.png").shapes[0].class_name == "tiger"


def test_label_files_written_since_the_folder_was_looked_at_are_still_known(root: Path) -> None:
    with Project.open(root) as project:
        project.save("images/d.png", Annotation(20, 10, (box("cat"),), confirmed=True))
        run(root, RENAME)
        project.reload_manifest()
        project.reload_labels()
        assert project.state("images/d.png") == "confirmed"
        assert dict(project.states())["images/d.png"] == "confirmed"
        assert "images/d.png" in project.confirmed_keys()
