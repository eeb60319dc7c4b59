"""Batch runs: what they made is taken back everywhere, what a person decided stays."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import picture

from segstudio.annotation import components
from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import Shape, as_points
from segstudio.errors import UserError
from segstudio.project import runs as room
from segstudio.project.prepared import Prepared
from segstudio.project.project import Project
from segstudio.project.reviews import Review
from segstudio.project.runs import KEPT

KEYS = tuple(f"images/{name}.png" for name in "abcd")
LABELS = np.zeros((10, 20), np.uint8)
LABELS[2:6, 3:9] = 1
MARGIN = np.full((10, 20), 200, np.uint8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for key in KEYS:
        picture(tmp_path / "p" / key)
    Project.create(tmp_path / "p", classes=["cat"]).close()
    return tmp_path / "p"


def segment(project: Project, model: str, keys: Sequence[str] = KEYS) -> int:
    with project.runs.start(model, len(keys)) as run:
        for key in keys:
            run.note(key)
            project.predictions.write(model, key, LABELS, MARGIN)
        return run.number


def files(root: Path) -> dict[str, bytes]:
    """All but the records of runs, and caches."""
    found = (path for path in root.rglob("*") if path.is_file())
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in found
        if not {"runs", "cache"} & set(path.relative_to(root).parts)
    }


def test_a_run_has_a_number_and_a_name_and_undo_restores_what_was(root: Path) -> None:
    with Project.open(root) as project:
        segment(project, "m1")
        project.predictions.mark_shown("m1", KEYS[0])
        project.reviews.save(KEYS[0], Review(shown="m1", model="m1", rejected=("cat:1",)))
        before = files(root)
        number = segment(project, "m2")
        info = project.runs.get(number)
        assert (info.number, info.model, info.images, info.left) == (2, "m2", 4, 4)
        project.predictions.mark_shown("m2", KEYS[0])  # looked at, nothing decided
        project.reviews.save(KEYS[0], Review(shown="m2", model="m2"))
        done = project.runs.undo(number)
        assert (done.images, done.kept, done.labels) == (4, 0, 0)
        assert files(root) == before
        assert [run.state for run in project.runs.all()] == ["done", "undone"]
        assert not project.runs.get(number).can_undo
        with pytest.raises(UserError, match="undone already"):
            project.runs.undo(number)
        with pytest.raises(UserError, match="no run 9") as caught:
            project.runs.undo(9)
        assert caught.value.path == project.root


def test_what_a_thorough_run_replaced_comes_back(root: Path) -> None:
    better = np.where(LABELS == 0, 1, 0).astype(np.uint8)
    with Project.open(root) as project:
        first = segment(project, "m1", KEYS[:2])
        project.predictions.write("m1", KEYS[2], LABELS, MARGIN)  # of no run
        before = files(root)
        with project.runs.start("m1", 4, thorough=True) as run:
            for key in KEYS:
                run.note(key)
                project.predictions.write("m1", key, better, MARGIN)
        assert project.runs.get(run.number).thorough
        assert project.runs.undo(run.number).images == 4
        assert files(root) == before
        assert project.runs.undo(first).images == 2
        assert project.predictions.done("m1") == {KEYS[2]}


def test_drafts_that_were_taken_back_do_not_come_back_with_a_later_run(root: Path) -> None:
    with Project.open(root) as project:
        first = segment(project, "m1", KEYS[:2])
        with project.runs.start("m1", 4, thorough=True) as run:
            for key in KEYS:
                run.note(key)
                project.predictions.write("m1", key, LABELS, MARGIN)
        assert project.runs.undo(first).images == 0  # they are the later run's now
        project.runs.undo(run.number)
        assert project.predictions.done("m1") == set()


def test_what_was_prepared_ahead_is_part_of_the_run_that_asks_for_it(root: Path) -> None:
    asked, seen, decided, late = KEYS
    with Project.open(root) as project:
        before = files(root)
        ahead = Prepared(root, "m1")
        for key in (asked, seen, decided):
            ahead.note(key)
            project.predictions.write("m1", key, LABELS, MARGIN)
        for key, review in (
            (seen, Review(shown="m1", model="m1")),
            (decided, Review(shown="m1", model="m1", rejected=("cat:1",))),
        ):
            project.predictions.mark_shown("m1", key)
            project.reviews.save(key, review)
        with project.runs.start("m1", 4) as run:
            run.take_over(KEYS[:3])
            run.note(late)
            project.predictions.write("m1", late, LABELS, MARGIN)
        with project.runs.start("m1", 4) as again:
            again.take_over(KEYS)  # all of it belongs to the first run
            assert again.number == 0
        assert project.runs.undo(run.number).images == 3
        assert project.predictions.done("m1") == {decided}
        assert project.runs.refused("m1") == {asked, seen, late}
        left = {name: data for name, data in files(root).items() if "prepared" not in name}
        assert set(left) - set(before) == {
            name for name in left if Path(name).name.startswith(Path(decided).stem + ".")
        } - set(before)


@pytest.mark.parametrize(
    "review",
    [
        Review(shown="m1", model="m1", accepted=("cat:1",)),
        Review(shown="m1", model="m1", confirmed_at=5.0, accepted_unchanged=True),
    ],
    ids=["accepted", "confirmed unchanged"],
)
def test_what_a_person_decided_stays_with_what_he_was_shown(root: Path, review: Review) -> None:
    own = Shape("cat", "rectangle", as_points([[1, 1], [5, 5]]))
    with Project.open(root) as project:
        number = segment(project, "m1")
        drafts = components.drafts(LABELS, MARGIN, {1: "cat"}, model="m1")
        shapes = (*drafts, own)
        confirmed = bool(review.confirmed_at)
        project.save(KEYS[1], Annotation(20, 10, shapes, confirmed=confirmed))
        project.predictions.mark_shown("m1", KEYS[1])
        project.reviews.save(KEYS[1], review)
        labels = project.label_file(KEYS[1]).read_bytes()
        done = project.runs.undo(number)
        assert (done.images, done.kept) == (4, 1)
        assert project.label_file(KEYS[1]).read_bytes() == labels
        assert project.reviews.load(KEYS[1]) == review
        shown = project.predictions.read_shown("m1", KEYS[1])
        assert shown is not None
        assert np.array_equal(shown, LABELS)
        assert project.predictions.done("m1") == set()
        # segmented again: what was seen then is what comes back
        project.predictions.write("m1", KEYS[1], np.zeros_like(LABELS), MARGIN)
        read = project.predictions.read("m1", KEYS[1])
        assert read is not None
        assert np.array_equal(read[0], LABELS)


def test_what_a_person_decides_about_another_models_drafts_stays(root: Path) -> None:
    later = Review(shown="m1", model="m1", accepted=("cat:1", "cat:2"), confirmed_at=5.0)
    with Project.open(root) as project:
        segment(project, "m1")
        project.reviews.save(KEYS[0], Review(shown="m1", model="m1", accepted=("cat:1",)))
        number = segment(project, "m2")
        for key in KEYS[:2]:  # he never left what m1 had shown him
            project.reviews.save(key, later)
        assert project.runs.undo(number).kept == 0
        assert [project.reviews.load(key) for key in KEYS[:2]] == [later, later]
        assert project.predictions.done("m2") == set()


def test_an_image_noted_twice_keeps_the_reviews_of_others_apart(root: Path) -> None:
    a, b, c, _ = KEYS
    with Project.open(root) as project:
        reviews = {key: Review(shown="m1", model=f"of {key}") for key in (a, b, c)}
        for key, review in reviews.items():
            project.reviews.save(key, review)
        number = segment(project, "m2", (a, a, b, c))
        for key in reviews:
            project.reviews.save(key, Review(shown="m2"))
        project.runs.undo(number)
        assert {key: project.reviews.load(key) for key in reviews} == reviews


def test_labels_that_a_run_made_of_drafts_go_where_nobody_took_them_over(root: Path) -> None:
    own = Shape("cat", "rectangle", as_points([[1, 1], [5, 5]]))
    drafts = tuple(components.drafts(LABELS, MARGIN, {1: "cat"}, model="m1"))
    with Project.open(root) as project:
        with project.runs.start("m1", 4) as run:
            for key in KEYS:
                run.note_accepted(key)
                project.save(key, Annotation(20, 10, drafts))
        a, b, c, d = KEYS
        project.save(b, Annotation(20, 10, (*drafts, own)))
        project.save(c, Annotation(20, 10, drafts, confirmed=True))
        project.save(d, Annotation(20, 10, (drafts[0].moved(1, 0),)))
        assert project.runs.undo(run.number).labels == 2
        assert not project.label_file(a).exists()
        assert project.state(a) == project.states()[a] == "none"
        assert project.load(b).shapes == (own,)
        assert len(project.load(c).shapes) == 1
        assert [s.source for s in project.load(d).shapes] == ["corrected"]


def test_predictions_made_again_since_belong_to_the_later_run(root: Path) -> None:
    with Project.open(root) as project:
        first = segment(project, "m1")
        project.predictions.prune_unseen([])
        assert not project.runs.get(first).can_undo  # nothing of it is left
        second = segment(project, "m1", KEYS[:2])
        assert project.runs.undo(first).images == 2
        assert project.predictions.done("m1") == set(KEYS[:2])
        assert project.runs.refused("m1") == set(KEYS[2:])
        project.runs.undo(second)
        assert project.runs.refused("m1") == set(KEYS)
        assert project.runs.refused("m2") == set()


def test_a_run_that_was_cut_off_is_taken_back_too(root: Path) -> None:
    with Project.open(root) as project:
        before = files(root)
        with pytest.raises(KeyboardInterrupt), project.runs.start("m1", 4) as run:
            run.note(KEYS[0])
            project.predictions.write("m1", KEYS[0], LABELS, MARGIN)
            run.note(KEYS[1])
            raise KeyboardInterrupt
        assert project.runs.get(run.number).images == 2
        project.runs.undo(run.number)
        assert files(root) == before


def test_a_run_that_goes_on_is_not_taken_back_and_one_that_does_nothing_is_none(
    root: Path,
) -> None:
    with Project.open(root) as project:
        with project.runs.start("m1", 0) as run:
            assert run.number == 0
        assert project.runs.all() == []
        with project.runs.start("m1", 1) as run:
            run.note(KEYS[0])
            with pytest.raises(UserError, match="still going on") as caught:
                project.runs.undo(run.number)
            assert caught.value.path == project.root


def test_a_run_noted_on_another_thread_is_over_when_it_ends(root: Path) -> None:
    with Project.open(root) as project:
        with project.runs.start("m1", 1) as run, ThreadPoolExecutor(1) as writer:
            writer.submit(run.note, KEYS[0]).result()
        assert project.runs.undo(run.number).images == 1


def test_old_runs_are_forgotten(root: Path) -> None:
    with Project.open(root) as project:
        for number in range(KEPT + 2):
            segment(project, f"m{number}", KEYS[:1])
        found = project.runs.all()
        assert len(found) == KEPT
        assert found[-1].number == KEPT + 2


CRASH = """
import os, signal, sys
from pathlib import Path
from segstudio.project import predictions
from segstudio.project.project import Project

calls = 0
real = predictions.Predictions.remove

def dying(self, *arguments, **facts):
    global calls
    calls += 1
    if calls == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, *arguments, **facts)

predictions.Predictions.remove = dying
with Project.open(Path(sys.argv[1])) as project:
    project.runs.undo(1)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_killed_while_undoing_the_next_opening_ends_it(root: Path) -> None:
    with Project.open(root) as project:
        before = files(root)
        project.reviews.save(KEYS[1], Review(shown="m0", rejected=("x",)))
        kept = project.reviews.load(KEYS[1])
        number = segment(project, "m1")
        project.reviews.save(KEYS[1], Review(shown="m1"))
        journal = root / ".segstudio" / "runs" / f"{number:06d}" / "images"
        journal.write_bytes(journal.read_bytes() + b'"ima')  # a line that was not finished
    command = [sys.executable, "-c", CRASH, str(root)]
    done = subprocess.run(command, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    with Project.open(root, read_only=True) as project:
        assert project.runs.get(1).state == "undoing"
    with Project.open(root) as project:
        assert project.recovered_runs == (1,)
        assert project.reviews.load(KEYS[1]) == kept
        project.reviews.path(KEYS[1]).unlink()
    assert files(root) == before


@pytest.mark.parametrize("asked", ["recover", "undo"])
def test_what_another_process_has_taken_back_meanwhile_is_left_alone(
    root: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    with Project.open(root) as project, Project.open(root) as other:
        number = segment(project, "m1")
        if asked == "recover":
            (root / ".segstudio" / "runs" / f"{number:06d}" / "state").write_text("undoing")
        since = Review(shown="m1", model="m1")
        real = room.held

        @contextmanager
        def late(path: Path, busy: UserError, seconds: float = 0) -> Iterator[None]:
            monkeypatch.setattr(room, "held", real)
            other.runs.undo(number)
            other.reviews.save(KEYS[0], since)
            with real(path, busy, seconds):
                yield

        monkeypatch.setattr(room, "held", late)
        if asked == "recover":
            assert project.runs.recover() == ()
        else:
            with pytest.raises(UserError, match="undone already"):
                project.runs.undo(number)
        assert project.reviews.load(KEYS[0]) == since


def test_no_review_goes_when_nobody_knows_what_was_before(root: Path) -> None:
    review = Review(shown="m1", model="m1")
    with Project.open(root) as project:
        number = segment(project, "m1")
        project.reviews.save(KEYS[0], review)
        (root / ".segstudio" / "runs" / f"{number:06d}" / "before").rmdir()
        project.runs.undo(number)
        assert project.reviews.load(KEYS[0]) == review


def test_a_damaged_record_is_no_run(root: Path) -> None:
    with Project.open(root) as project:
        segment(project, "m1")
        (root / ".segstudio" / "runs" / "000001" / "run.json").write_text("{")
        assert project.runs.all() == []
        assert project.runs.refused("m1") == set()


def test_times_are_read_or_left_as_they_are() -> None:
    assert room.when("soon") == "soon"
    info = room.RunInfo(1, "m", "2026-01-02T03:04:05+00:00", 1, 1, 1)
    assert room.when(info.began).startswith("2026-01-0")
    assert not replace(info, left=0).can_undo
