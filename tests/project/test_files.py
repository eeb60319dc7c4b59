"""Atomic files, the lock, the saver: what a killed program leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from helpers import picture

from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import Shape, as_points
from segstudio.errors import UserError
from segstudio.project import atomic
from segstudio.project.autosave import Saver
from segstudio.project.lock import ProjectLock
from segstudio.project.project import Project


def annotation(number: int) -> Annotation:
    points = [[number, i % 7] for i in range(2000)]
    return Annotation(20, 10, (Shape("cat", "polygon", as_points(points)),))


# -- atomic


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    atomic.write_text(path, "old")
    with pytest.raises(RuntimeError), atomic.replacing(path) as temporary:
        temporary.write_text("new")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic.folder(tmp_path / "a") as staging:
        (staging / "x").touch()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with atomic.folder(tmp_path / "a") as staging:
        (staging / "x").touch()
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a" / "x").exists()


def test_a_folder_never_replaces_another(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with atomic.folder(tmp_path / "a") as staging:
        (staging / "x").touch()
    with pytest.raises(FileExistsError), atomic.folder(tmp_path / "a"):
        pass
    assert [p.name for p in tmp_path.rglob("*")] == ["a", "x"]


def test_long_names_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("猫" * 80 + ".json")
    atomic.write_text(path, "x")
    assert path.read_text() == "x"


def test_sweep_spares_the_living(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    old = tmp_path / "deep" / f".a.json.{dead.pid}-0{atomic.SUFFIX}"
    own = tmp_path / "deep" / f".a.json.{os.getpid()}-0{atomic.SUFFIX}"
    staging = tmp_path / f".m.{dead.pid}-1{atomic.SUFFIX}"
    (tmp_path / "deep").mkdir()
    (staging / "inner").mkdir(parents=True)
    old.touch()
    own.touch()
    assert set(atomic.sweep(tmp_path)) == {old, staging}
    assert [p.name for p in tmp_path.rglob("*")] == ["deep", own.name]


# -- killed at any moment

_SAVES_FOR_EVER = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from project.test_files import annotation
from segstudio.project.project import Project
project = Project.open(Path(sys.argv[1]))
print("ready", flush=True)
number = 0
while True:
    number += 1
    project.save("a.png", annotation(number))
    print(number, flush=True)
"""


@pytest.mark.parametrize("saves", [1, 2, 5, 9])
def test_sigkill_leaves_a_whole_file(tmp_path: Path, saves: int) -> None:
    picture(tmp_path / "a.png")
    Project.create(tmp_path).close()
    tests = Path(__file__).parents[1]
    child = subprocess.Popen(
        [sys.executable, "-c", _SAVES_FOR_EVER, tmp_path, tests, tests.parent],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    with child, child.stdout as lines:
        for _ in range(saves + 1):
            last = next(lines).strip()
        child.send_signal(signal.SIGKILL)
    shape = json.loads((tmp_path / "a.json").read_bytes())["shapes"][0]
    assert len(shape["points"]) == 2000
    assert shape["points"][0][0] >= int(last)
    with Project.open(tmp_path) as project:
        assert not list(tmp_path.rglob("*" + atomic.SUFFIX))
        assert project.state("a.png") == "edited"


# -- the lock

_HOLDS_THE_LOCK = """
import sys
from pathlib import Path
from segstudio.project.lock import ProjectLock
lock = ProjectLock(Path(sys.argv[1]))
print(lock.acquire(), flush=True)
sys.stdin.read()
"""


def test_one_window_per_project_and_a_killed_one_frees_it(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", _HOLDS_THE_LOCK, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    lock = ProjectLock(tmp_path)
    with child:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == "True"
        assert not lock.acquire()
        assert str(child.pid) in lock.holder()
        child.kill()
    assert lock.acquire()
    assert str(os.getpid()) in lock.holder()
    assert not ProjectLock(tmp_path).acquire()
    lock.release()
    with ProjectLock(tmp_path) as other:
        assert other.acquire()
    assert not other.held


# -- autosave


class Disk:
    """A target that can be full."""

    def __init__(self) -> None:
        self.saved: list[tuple[str, Annotation]] = []
        self.full = False
        self.gate = threading.Event()
        self.gate.set()

    def save(self, key: str, annotation: Annotation) -> None:
        self.gate.wait(10)
        if self.full:
            raise OSError("disk full")
        self.saved.append((key, annotation))


def test_the_newest_of_each_key_is_saved_once(tmp_path: Path) -> None:
    disk = Disk()
    saver = Saver(disk, delay=60)
    for number in range(5):
        saver.put("a", annotation(number))
    saver.put("b", annotation(7))
    assert saver.dirty == {"a", "b"}
    assert saver.close()
    assert sorted(key for key, _ in disk.saved) == ["a", "b"]
    assert dict(disk.saved)["a"] == annotation(4)
    assert saver.dirty == frozenset()


def test_it_saves_by_itself_soon(tmp_path: Path) -> None:
    done = threading.Event()
    saver = Saver(Disk(), delay=0.02, on_saved=lambda key: done.set())
    saver.put("a", annotation(1))
    assert done.wait(5)
    assert saver.close()


def test_an_edit_made_while_saving_is_not_lost() -> None:
    disk = Disk()
    disk.gate.clear()
    saver = Saver(disk, delay=0)
    saver.put("a", annotation(1))
    saver.put("a", annotation(2))
    disk.gate.set()
    assert saver.close()
    assert disk.saved[-1] == ("a", annotation(2))


def test_a_failure_is_reported_and_stays_dirty_until_it_works() -> None:
    disk, failures = Disk(), []
    disk.full = True
    saver = Saver(disk, delay=60, on_failed=lambda key, error: failures.append((key, str(error))))
    saver.put("a", annotation(1))
    assert not saver.flush(5)
    assert saver.dirty == {"a"}
    disk.full = False
    assert saver.close()
    assert failures == [("a", "disk full")]
    assert disk.saved == [("a", annotation(1))]


def test_read_only_projects_refuse(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    with (
        Project.open(tmp_path, read_only=True) as project,
        pytest.raises(UserError, match="read-only"),
    ):
        project.save("a.png", annotation(1))
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
