"""`segstudio.toml`: what a project is, in a file a person can read and edit."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from segstudio.errors import UserError
from segstudio.project import atomic
from segstudio.project.classes import (
    ClassTable,
    ProjectClass,
    colour_text,
    default_colour,
    parse_colour,
)
from segstudio.project.lock import held

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

FILE_NAME: Final = "segstudio.toml"
FORMAT: Final = 1
_PATIENCE: Final = 10.0  # seconds that another process may take to write a small file
_UNSAID: Final[Mapping[str, Any]] = {"recipe": {}, "blind": 0.0}
"""What is not written as long as it is so."""
Labels = Literal["beside", "mirrored"]
Unlabelled = Literal["background", "ignore"]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The facts of `segstudio.toml`.

    `image_roots` are folders relative to the project, `.` for one opened in place. A folder
    outside is `NAME:relative/path`, and NAME starts the keys of its pictures; `NAME:` alone has
    its absolute path in `.segstudio/links.json`, which belongs to one machine. `blind` is the
    share of images, 0..1, whose drafts are hidden until they are confirmed.
    """

    name: str
    classes: ClassTable = field(default_factory=ClassTable)
    image_roots: tuple[str, ...] = ("images",)
    labels: Labels = "beside"
    unlabelled: Unlabelled = "background"
    blind: float = 0.0
    excluded: tuple[str, ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)

    def merged(self, base: Manifest, theirs: Manifest) -> Manifest:
        """`theirs` with what this manifest changed since `base`; see `ClassTable.merged`."""
        facts = {}
        for name in (fact.name for fact in fields(self) if fact.name != "classes"):
            mine, before = getattr(self, name), getattr(base, name)
            facts[name] = mine if mine != before else getattr(theirs, name)
        return Manifest(classes=self.classes.merged(base.classes, theirs.classes), **facts)


def path_of(root: Path) -> Path:
    return root / FILE_NAME


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Nobody else changes the manifest meanwhile; UserError when another process hangs in it."""
    remedy = "Try again, or end the other segstudio."
    busy = UserError("Another process is changing the project", path=root, remedy=remedy)
    with held(root / ".segstudio" / "manifest.lock", busy, _PATIENCE):
        yield


def load(root: Path) -> Manifest:
    """The manifest of the project in `root`; UserError says what is wrong in the file."""
    path = path_of(root)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UserError("This folder is no project", path=root, remedy="Run init.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"The manifest cannot be read: {error}", path=path) from error
    try:
        return _from_toml(raw, default_name=root.name)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"The manifest holds something unexpected: {error}", path=path) from error


def save(root: Path, manifest: Manifest) -> None:
    """Write the manifest; comments and keys of others in the file survive."""
    import tomlkit  # for writing only: the window's start does not wait for it

    path = path_of(root)
    existing = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    document = tomlkit.parse(existing)
    for key, value in _to_toml(manifest).items():
        if document.get(key, _UNSAID.get(key)) != value:
            document[key] = value
    _merge_classes(document, manifest.classes)
    atomic.write_text(path, tomlkit.dumps(document))


def _from_toml(raw: Mapping[str, Any], default_name: str) -> Manifest:
    if int(raw.get("format", FORMAT)) > FORMAT:
        raise ValueError("it was written by a newer segstudio; please update")
    classes = [_read_class(entry) for entry in raw.get("classes", [])]
    return Manifest(
        name=str(raw.get("name", default_name)),
        classes=ClassTable(classes, int(raw.get("next_class", 1))),
        image_roots=tuple(str(r) for r in raw.get("images", ["images"])),
        labels=_one_of(raw.get("labels", "beside"), get_args(Labels)),
        unlabelled=_one_of(raw.get("unlabelled", "background"), get_args(Unlabelled)),
        blind=_share(raw.get("blind", 0.0)),
        excluded=tuple(str(key) for key in raw.get("excluded", [])),
        recipe=dict(raw.get("recipe", {})),
    )


def _read_class(entry: Mapping[str, Any]) -> ProjectClass:
    class_id = int(entry["id"])
    colour = entry.get("colour")
    return ProjectClass(
        class_id,
        str(entry["name"]),
        parse_colour(colour) if colour else default_colour(class_id),
        str(entry["key"]) if "key" in entry else None,
        tuple(str(name) for name in entry.get("formerly", [])),
        tuple(int(value) for value in entry.get("absorbed", [])),
    )


def _one_of(value: Any, allowed: tuple[str, ...]) -> Any:
    if value not in allowed:
        raise ValueError(f"{value!r} is none of {', '.join(allowed)}")
    return value


def _share(value: Any) -> float:
    if not 0 <= float(value) <= 1:
        raise ValueError(f"blind = {value!r} is no share between 0 and 1")
    return float(value)


def _to_toml(manifest: Manifest) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "name": manifest.name,
        "images": list(manifest.image_roots),
        "labels": manifest.labels,
        "unlabelled": manifest.unlabelled,
        "blind": manifest.blind,
        "excluded": list(manifest.excluded),
        "next_class": manifest.classes.next_id,
        "recipe": dict(manifest.recipe),
    }


def _merge_classes(document: TOMLDocument, classes: ClassTable) -> None:
    """Put `classes` into `document`, keeping keys that others added to a class."""
    import tomlkit

    old = {int(entry["id"]): entry for entry in document.get("classes", [])}
    tables = tomlkit.aot()
    for project_class in classes:
        table = old.get(project_class.id) or tomlkit.table()
        for key, value in _class_to_toml(project_class).items():
            if table.get(key) != value:
                table[key] = value
        for key in ("key", "formerly", "absorbed"):
            if key in table and not getattr(project_class, key):
                del table[key]
        tables.append(table)
    document.pop("classes", None)
    if len(classes):
        document["classes"] = tables


def _class_to_toml(project_class: ProjectClass) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "id": project_class.id,
        "name": project_class.name,
        "colour": colour_text(project_class.colour),
    }
    if project_class.key is not None:
        facts["key"] = project_class.key
    if project_class.formerly:
        facts["formerly"] = list(project_class.formerly)
    if project_class.absorbed:
        facts["absorbed"] = list(project_class.absorbed)
    return facts
