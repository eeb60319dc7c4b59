"""Every sentence of the window is in the table, and the table holds no other."""

from __future__ import annotations

import ast
import string
import tomllib
from pathlib import Path

import pytest

from segstudio.data import data_folder
from segstudio.project.bulk import STEPS
from segstudio.project.runs import STEP
from segstudio.studio import i18n
from segstudio.studio.canvas.canvas import READ_ONLY
from segstudio.tools.desk import NO_CLASS, NO_PIXELS

STUDIO = Path(i18n.__file__).parent
TABLES = sorted((data_folder() / "resources" / "translations").glob("*.toml"))
EDITS = Path(i18n.__file__).parents[1] / "tools"


def sentences() -> set[str]:
    """Literals given to tr(), and the names of edits, which the undo menu translates."""
    found: set[str] = set()
    for file in STUDIO.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "tr" and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    found.add(str(first.value))
                    counts = [word.arg for word in node.keywords]
                    assert "|" not in str(first.value) or "n" in counts, f"{file}: {first.value}"
                else:
                    assert isinstance(first, ast.Name), f"{file}: tr() of something computed"
    return found | edit_names() | {NO_CLASS, NO_PIXELS, READ_ONLY, STEP} | set(STEPS.values())


def edit_names() -> set[str]:
    """First arguments of what makes edits in the tools, and the `step` of whole tools."""
    makers = {"Edit", "add_shapes", "replace_shapes", "_show", "_apply"}
    found: set[str] = set()
    for file in EDITS.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "step":
                found.add(ast.literal_eval(node.value))
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.IfExp):
                both = (node.value.body, node.value.orelse)
                if getattr(node.targets[0], "id", "") == "name":
                    found.update(str(ast.literal_eval(one)) for one in both)
            if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "_NAMES":
                assert node.value is not None
                found.update(ast.literal_eval(node.value).values())
            if isinstance(node, ast.IfExp) and getattr(node.test, "id", "") == "locked":
                found.update(str(ast.literal_eval(one)) for one in (node.body, node.orelse))
            if isinstance(node, ast.FunctionDef) and node.args.defaults:
                last = node.args.args[-1].arg, node.args.defaults[-1]
                found.update([ast.literal_eval(last[1])] if last[0] == "name" else [])
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
            if name in makers:
                found.update(t for t in texts[:1] if isinstance(t, str) and t)
            if name == "paste":
                found.update(t for t in texts if isinstance(t, str))
            if name == "_finish":
                found.update(t for t in texts[1:2] if isinstance(t, str))
    return found


def names_in(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_the_table_is_whole(table: Path) -> None:
    words: dict[str, str] = tomllib.loads(table.read_text(encoding="utf-8"))
    asked = sentences()
    assert sorted(asked - words.keys()) == []
    assert sorted(words.keys() - asked) == []
    for english, other in words.items():
        assert names_in(english) == names_in(other), english
        assert other.strip()


def test_chinese_is_there() -> None:
    assert [table.stem for table in TABLES] == ["zh_CN"]


def test_use_language() -> None:
    i18n.use_language("zh_CN")
    try:
        assert i18n.tr("Undo") == "撤销"
        assert i18n.tr("{n} min", n=3) == "3 分钟"
        assert i18n.tr("not in the table") == "not in the table"
    finally:
        i18n.use_language("en")


def test_one_and_many() -> None:
    i18n.use_language("en")
    text = "{n} shape copied|{n} shapes copied"
    assert [i18n.tr(text, n=n) for n in (0, 1, 2)] == [
        "0 shapes copied",
        "1 shape copied",
        "2 shapes copied",
    ]
    assert i18n.tr("{n} pixel was lost.|{n} pixels were lost.", n="1") == "1 pixel was lost."
    assert i18n.tr("Undo") == "Undo"
