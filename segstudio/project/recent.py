"""The projects opened lately, newest first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from segstudio.project import atomic
from segstudio.project.settings import config_folder

LIMIT: Final = 12


def load() -> list[Path]:
    """Recent project folders that still exist."""
    try:
        stored = json.loads(_file().read_text(encoding="utf-8"))
        return [path for path in map(Path, stored) if path.is_dir()]
    except (OSError, ValueError, TypeError):
        return []


def add(root: Path) -> None:
    """Put a project first in the list."""
    root = root.resolve()
    _save([root, *(path for path in load() if path != root)])


def remove(root: Path) -> None:
    _save([path for path in load() if path != root.resolve()])


def _save(roots: list[Path]) -> None:
    atomic.write_text(_file(), json.dumps([str(path) for path in roots[:LIMIT]], indent=1))


def _file() -> Path:
    return config_folder() / "recent.json"
