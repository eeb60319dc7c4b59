"""Which pictures a folder holds, and which label files lie beside them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from segstudio.project import atomic
from segstudio.project.images import is_image
from segstudio.project.manifest import FILE_NAME

ImageKey = str
"""A picture's posix path relative to the project, or "ALIAS/rest" in a folder outside it."""

NOT_PICTURES: Final = frozenset({"predictions", "models", "exports", "reviews", "labels"})
_DIGITS: Final = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Root:
    """A folder of pictures: `prefix` starts its keys ("" or "images/" or "alias/")."""

    prefix: str
    folder: Path


@dataclass(frozen=True)
class Listing:
    """What a scan found; label files are keyed like pictures, by their own path."""

    images: tuple[ImageKey, ...] = ()
    label_files: frozenset[ImageKey] = frozenset()
    leftovers: tuple[Path, ...] = ()
    missing: tuple[Path, ...] = field(default=())

    @cached_property
    def _stems(self) -> Mapping[str, int]:
        return Counter(stem_of(key) for key in self.images)

    @cached_property
    def known(self) -> frozenset[ImageKey]:
        return frozenset(self.images)

    def is_ambiguous(self, key: ImageKey) -> bool:
        """Whether another picture differs from this one in its ending only."""
        return self._stems[stem_of(key)] > 1


def stem_of(key: ImageKey) -> str:
    """The key without its ending: "images/a.jpg" -> "images/a"."""
    head, dot, tail = key.rpartition(".")
    return head if dot and "/" not in tail and head and not head.endswith("/") else key


def natural_order(key: str) -> list[tuple[int, int, str]]:
    """A sort key that puts 2.png before 10.png."""
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part.casefold())
        for part in _DIGITS.split(key)
        if part
    ]


def scan(roots: Iterable[Root], project: Path) -> Listing:
    """List all pictures under `roots`; one walk, no file is opened."""
    images: dict[ImageKey, None] = {}
    label_files: set[ImageKey] = set()
    leftovers: list[Path] = []
    missing: list[Path] = []
    for root in roots:
        if not root.folder.is_dir():
            missing.append(root.folder)
            continue
        for key, entry in _walk(root, project):
            if is_image(key):
                images[key] = None
            elif key.endswith(".json"):
                label_files.add(key)
            elif atomic.is_leftover(entry.name):
                leftovers.append(Path(entry.path))
    ordered = tuple(sorted(images, key=natural_order))
    return Listing(ordered, frozenset(label_files), tuple(leftovers), tuple(missing))


def _walk(root: Root, project: Path) -> Iterator[tuple[ImageKey, os.DirEntry[str]]]:
    """(key, entry) of every file below `root` that is not hidden; symlink loops end."""
    pending = [(root.folder, root.prefix)]
    seen: set[str] = set()
    while pending:
        folder, prefix = pending.pop()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue  # a folder we may not read holds nothing for us
        # another project's folders are no pictures either
        ours = folder == project or any(entry.name == FILE_NAME for entry in entries)
        for entry in entries:
            name = entry.name
            try:
                is_folder = entry.is_dir()
            except OSError:
                continue  # a link to itself, or to where we may not look
            if is_folder:
                if not name.startswith(".") and not (ours and name in NOT_PICTURES):
                    pending.append((Path(entry.path), f"{prefix}{name}/"))
            elif not name.startswith(".") or name.endswith(atomic.SUFFIX):
                yield prefix + name, entry


def orphans(listing: Listing) -> list[ImageKey]:
    """Label files that no picture beside them claims by name."""
    named = {stem_of(key) for key in listing.images} | listing.known
    return [key for key in listing.label_files if stem_of(key) not in named]


def name_of(key: ImageKey) -> str:
    return key.rpartition("/")[2]
