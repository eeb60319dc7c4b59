"""Who may know whom: the import table of the architecture, checked in the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "segstudio"
ROOT = {"errors", "data", "cli"}  # files beside the rooms; `cli` for __main__ alone

MAY_IMPORT: dict[str, set[str]] = {
    "annotation": set(),
    "project": {"annotation"},
    "formats": {"annotation", "project"},
    "tools": {"annotation", "project"},
    "networks": {"project"},
    "learning": {"annotation", "project", "networks"},
    "engine": {"annotation", "project", "formats", "networks", "learning"},
    "studio": {"annotation", "project", "tools", "engine", "networks"},
    "cli": {"annotation", "project", "formats", "networks", "learning", "engine"},
}
LAZILY = {"cli": {"studio"}}
HEAVY = {"torch": {"networks", "learning"}, "PySide6": {"studio"}}
HEAVY_LAZILY = {"torch": {"engine", "cli"}, "PySide6": set[str]()}


def imports(file: Path) -> Iterator[tuple[str, bool]]:
    """(module, at import time) of every import; those for type checkers do not count."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    yield from _imports(tree, True)


def _imports(node: ast.AST, eager: bool) -> Iterator[tuple[str, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, eager) for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            yield child.module, eager
            yield from ((f"{child.module}.{alias.name}", eager) for alias in child.names)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        else:
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from _imports(child, eager and not function)


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0]


FILES = [f for f in sorted(PACKAGE.rglob("*.py")) if f.parent != PACKAGE and "_data" not in f.parts]


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_a_room_knows_only_its_neighbours(file: Path) -> None:
    room = room_of(file)
    for module, eager in imports(file):
        parts = module.split(".")
        if parts[0] == "segstudio" and len(parts) > 1 and parts[1] in MAY_IMPORT:
            allowed = MAY_IMPORT[room] | {room}
            allowed |= set() if eager else LAZILY.get(room, set())
            assert parts[1] in allowed, f"{room} imports {module}"
        if parts[0] in HEAVY:
            allowed = HEAVY[parts[0]] | (set() if eager else HEAVY_LAZILY[parts[0]])
            assert room in allowed, f"{room} imports {module}"


def test_every_room_is_in_the_table() -> None:
    rooms = {p.name for p in PACKAGE.iterdir() if (p / "__init__.py").is_file()}
    assert rooms == set(MAY_IMPORT)


def test_the_studio_knows_only_the_protocol_side_of_the_engine() -> None:
    for file in (PACKAGE / "studio").rglob("*.py"):
        for module, _ in imports(file):
            if module.startswith("segstudio.engine."):
                assert module.split(".")[2] in {"protocol", "child"}, f"{file.name}: {module}"


def test_the_studio_knows_only_the_list_of_networks() -> None:
    for file in (PACKAGE / "studio").rglob("*.py"):
        for module, _ in imports(file):
            if module.startswith("segstudio.networks."):
                assert module.split(".")[2] in {"registry", "choosing"}, f"{file.name}: {module}"


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("segstudio.studio.main_window", "torch"),
        ("segstudio.engine.protocol", "torch"),
        ("segstudio.engine.child", "torch"),
        ("segstudio.learning.trainer", "PySide6"),
        ("segstudio.learning", "torch"),
        ("segstudio.networks.registry", "torch"),
        ("segstudio.networks.choosing", "torch"),
        ("segstudio.project.project", "PySide6"),
        ("segstudio.formats", "torch"),
    ],
)
def test_importing_does_not_load(module: str, never: str) -> None:
    code = f"import sys, {module}; sys.exit({never!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
