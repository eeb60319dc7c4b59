"""What every test may rely on: no display, no user settings touched, nothing left running."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED = Path(
    os.environ.get("SEGSTUDIO_SHARED", Path(__file__).resolve().parents[2] / "shared" / "data")
)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Development data that lies beside a checkout; tests that need it skip without it."""
    if not SHARED.is_dir():
        pytest.skip(f"no development data at {SHARED}; SEGSTUDIO_SHARED names another place")
    return SHARED


@pytest.fixture(autouse=True)
def own_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings and recent projects of the tests, not of the person who runs them."""
    monkeypatch.setenv("SEGSTUDIO_CONFIG", str(tmp_path_factory.mktemp("config")))


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    """Fail a test that leaves a thread or a child process behind."""
    threads, children = set(threading.enumerate()), _children()
    yield
    gc.collect()
    left: list[object] = []
    for thread in set(threading.enumerate()) - threads:
        thread.join(5)
        if thread.is_alive() and not _is_a_librarys(thread):
            left.append(thread)
    for child in _children() - children:
        if _still_runs(child):
            left.append(child)
    assert not left, f"left running: {left}"


def _children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def _still_runs(child: psutil.Process) -> bool:
    try:
        child.wait(5)
    except psutil.TimeoutExpired:
        return True
    except psutil.NoSuchProcess:
        return False
    return False


def _is_a_librarys(thread: threading.Thread) -> bool:
    """Threads that libraries keep for good and that end with the process."""
    return thread.daemon and thread.name.startswith(("tqdm", "pymain", "Dummy", "QThread"))
