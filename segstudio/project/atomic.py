"""Files and folders that appear whole or not at all.

Everything is written under a temporary dot name beside its place, flushed to the disk, and
renamed over. A program killed in between leaves a `.segstudio-tmp` name and the old file;
`sweep` removes such names once the process that made them is gone.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

SUFFIX: Final = ".segstudio-tmp"
_BUFFER: Final = 2**20
_counter = itertools.count()


def write_bytes(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write `data` to `path`, creating its folder.

    `durable=False` skips the flush to the disk: for files that can be made again.
    """
    with replacing(path, durable=durable) as temporary:
        temporary.write_bytes(data)


def write_parts(path: Path, parts: Iterable[bytes]) -> None:
    """Write `parts` one after the other; other threads get their turn in between."""
    with replacing(path) as temporary, temporary.open("wb", buffering=_BUFFER) as file:
        file.writelines(parts)


def write_text(path: Path, text: str) -> None:
    """Write `text` in UTF-8 to `path`, line ends as given."""
    write_bytes(path, text.encode("utf-8"))


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """A temporary path that takes the place of the file `path` when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_name(path)
    try:
        yield temporary
        if durable:
            flush(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        flush_folder(path.parent)


@contextlib.contextmanager
def folder(path: Path) -> Iterator[Path]:
    """A staging folder that becomes the folder `path` when the block ends well.

    FileExistsError when something is at `path` already; only an empty folder is replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = _temporary_name(path)
    staging.mkdir()
    try:
        yield staging
        for file in staging.rglob("*"):
            if file.is_file():
                flush(file)
        if path.is_dir() and not os.listdir(path):
            path.rmdir()
        if path.exists():
            raise FileExistsError(f"{path} exists already")
        os.rename(staging, path)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    flush_folder(path.parent)


def link(old: Path, new: Path) -> None:
    """The file `old` under the name `new` too, a copy where files cannot have two names."""
    new.unlink(missing_ok=True)
    try:
        os.link(old, new)
    except OSError:
        shutil.copy2(old, new)


def sweep(top: Path) -> list[Path]:
    """Remove what dead processes left half-written under `top`; returns what was removed."""
    removed = []
    for parent, folders, files in os.walk(top):
        for name in [*folders, *files]:
            if is_leftover(name):
                removed.append(Path(parent, name))
                discard(removed[-1])
        folders[:] = [name for name in folders if not name.endswith(SUFFIX)]
    return removed


def is_leftover(name: str) -> bool:
    """Whether `name` is a temporary name of a process that no longer runs."""
    if not (name.startswith(".") and name.endswith(SUFFIX)):
        return False
    import psutil  # seldom needed, and the window's start does not wait for it

    pid = name.removesuffix(SUFFIX).rpartition(".")[2].partition("-")[0]
    return not (pid.isdigit() and psutil.pid_exists(int(pid)))


def discard(path: Path) -> None:
    """Remove a file or a folder, whichever is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _temporary_name(path: Path) -> Path:
    # a long picture name plus our ending must stay below the 255 bytes of most file systems
    stem = path.name.encode("utf-8")[:180].decode("utf-8", "ignore")
    return path.with_name(f".{stem}.{os.getpid()}-{next(_counter)}{SUFFIX}")


def flush(path: Path) -> None:
    """Have what a file holds on the disk, whatever happens next."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def flush_folder(path: Path) -> None:
    """Have the names in a folder on the disk, whatever happens next."""
    if sys.platform == "win32":
        return  # a folder cannot be opened there, and renames are journaled
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
