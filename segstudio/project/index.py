"""The index: what was learnt about files, so that it need not be learnt again.

SQLite in WAL mode, `.segstudio/cache/index.sqlite`. Every fact is stored with the time and size
of its file and counts only while they are the same. Delete it and nothing is lost.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

VERSION: Final = 2
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS images (
    key TEXT PRIMARY KEY, mtime INTEGER, bytes INTEGER,
    width INTEGER, height INTEGER, problem TEXT, fingerprint TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS labels (
    path TEXT PRIMARY KEY, mtime INTEGER, bytes INTEGER,
    status TEXT, classes TEXT, image TEXT
) WITHOUT ROWID;
"""
Stamp = tuple[int, int]
"""(mtime in ns, bytes) of a file."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Size of a picture in pixels, or the reason why it cannot be read."""

    stamp: Stamp
    width: int = 0
    height: int = 0
    problem: str = ""
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """What a label file says: its status, its classes, and the picture it names."""

    stamp: Stamp
    status: str
    classes: tuple[str, ...] = ()
    image: str = ""


def stamp(path: str | Path) -> Stamp | None:
    """The stamp of a file, None when it is not there."""
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size


class Index:
    """Facts about pictures and label files, kept in memory and in SQLite; thread-safe."""

    def __init__(self, file: Path | None) -> None:
        self._lock = threading.RLock()
        self._database = connect(file, _SCHEMA, VERSION, ("images", "labels"))
        self._images = {
            row[0]: ImageFacts((row[1], row[2]), *row[3:])
            for row in self._database.execute("SELECT * FROM images")
        }
        self._labels = {
            row[0]: LabelFacts((row[1], row[2]), row[3], _names(row[4]), row[5])
            for row in self._database.execute("SELECT * FROM labels")
        }
        self._pending: list[tuple[str, tuple[object, ...]]] = []

    def reload_labels(self) -> None:
        """Take over what another process has learnt about label files."""
        with self._lock:
            self.flush()
            rows = self._database.execute("SELECT * FROM labels")
            for row in rows:
                self._labels[row[0]] = LabelFacts((row[1], row[2]), row[3], _names(row[4]), row[5])

    def image(self, key: str) -> ImageFacts | None:
        return self._images.get(key)

    def label(self, path: str) -> LabelFacts | None:
        return self._labels.get(path)

    def set_image(self, key: str, facts: ImageFacts) -> None:
        values = (facts.width, facts.height, facts.problem, facts.fingerprint)
        with self._lock:
            self._images[key] = facts
            self._put("images", (key, *facts.stamp, *values))

    def set_label(self, path: str, facts: LabelFacts) -> None:
        with self._lock:
            self._labels[path] = facts
            classes = "\n".join(facts.classes)
            self._put("labels", (path, *facts.stamp, facts.status, classes, facts.image))

    def forget(self, keys: Iterable[str]) -> None:
        """Drop what is known of pictures that are gone."""
        with self._lock:
            for key in keys:
                if self._images.pop(key, None) is not None:
                    self._pending.append(("DELETE FROM images WHERE key = ?", (key,)))

    def flush(self) -> None:
        """Write what was learnt, in one short transaction.

        When another process is writing, or the disk is full, the facts are dropped: they will
        be learnt again.
        """
        with self._lock:
            pending, self._pending = self._pending, []
            try:
                with self._database:
                    for sql, row in pending:
                        self._database.execute(sql, row)
            except sqlite3.OperationalError:
                return

    def close(self) -> None:
        with self._lock:
            self.flush()
            self._database.close()

    def _put(self, table: str, row: tuple[object, ...]) -> None:
        marks = ", ".join("?" * len(row))
        self._pending.append((f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row))
        if len(self._pending) >= 500:
            self.flush()


def connect(
    file: Path | None, schema: str, version: int, tables: Iterable[str]
) -> sqlite3.Connection:
    """The cache in `file`, made anew when it is damaged or of another version; in memory where
    we cannot write."""
    if file is None:
        return _connect(":memory:", schema, version, tables)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return _connect(str(file), schema, version, tables)
    except (sqlite3.DatabaseError, OSError):
        pass
    try:
        for ending in ("", "-wal", "-shm"):
            file.with_name(file.name + ending).unlink(missing_ok=True)
        return _connect(str(file), schema, version, tables)
    except (sqlite3.DatabaseError, OSError):
        return _connect(":memory:", schema, version, tables)


def _connect(name: str, schema: str, version: int, tables: Iterable[str]) -> sqlite3.Connection:
    database = sqlite3.connect(name, timeout=1.0, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        if database.execute("PRAGMA user_version").fetchone()[0] != version:
            drops = (f"DROP TABLE IF EXISTS {table};" for table in tables)
            database.executescript("\n".join(drops))
            database.executescript(schema)
            database.execute(f"PRAGMA user_version = {version}")
            database.commit()
    except sqlite3.Error:
        database.close()
        raise
    return database


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split("\n")) if text else ()
