"""The models of a project: numbered folders that never change, and one pointer."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from segstudio.errors import UserError
from segstudio.project import atomic
from segstudio.project.lock import held

CARD: Final = "model.toml"
WEIGHTS: Final = "weights.safetensors"
_PATIENCE: Final = 60.0
"""Seconds that another process may take to write a model."""
_NAME: Final = re.compile(r"(\d{6})-(.+)")


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model as its `model.toml` describes it; `card` is all of that file."""

    id: str
    number: int
    path: Path
    architecture: str
    classes: tuple[str, ...] = ()
    parameters: int = 0
    scores: Mapping[str, Any] = field(default_factory=dict)
    parent: str | None = None
    created: str = ""
    pinned: bool = False
    card: Mapping[str, Any] = field(default_factory=dict)

    @property
    def weights(self) -> Path:
        return self.path / WEIGHTS

    @property
    def made(self) -> str:
        """When it was made, by the clock here: "2026-03-01 12:03"; "" where nobody knows."""
        try:
            at = datetime.fromisoformat(self.created).astimezone()
        except ValueError:
            return ""
        return at.strftime("%Y-%m-%d %H:%M")

    @property
    def learned_from(self) -> int:
        """How many images it has learned from, or was scored on; 0 where nobody knows."""
        counts = self.card.get("images", {})
        return sum(int(count) for count in counts.values()) if isinstance(counts, dict) else 0

    @property
    def miou(self) -> float:
        """Its mean IoU on the validation images of its time; 0 where nobody knows."""
        score = self.scores.get("miou")
        return float(score) if isinstance(score, (int, float)) else 0.0

    @property
    def is_unproven(self) -> bool:
        """Whether it was trained here and was not better than what it was compared with."""
        return self.card.get("promoted") is False


def best(models: Iterable[ModelInfo]) -> ModelInfo | None:
    """The model with the highest score, the newest of equals; None of none.

    The newest may be a network that somebody tried for a minute.
    """
    return max(models, key=lambda model: (model.miou, model.number), default=None)


class ModelStore:
    """`models/`: folders like `000007-unet`, the pointer `current`, its history, and pins."""

    def __init__(self, folder: Path, has_shown: Callable[[str], bool] = lambda _: False) -> None:
        self.folder: Final = folder
        self._has_shown = has_shown

    def all(self) -> list[ModelInfo]:
        """All models, oldest first; other folders, and those without a readable card, are left out.

        A folder that a live process is still filling has a temporary name, and is no model yet.
        """
        if not self.folder.is_dir():
            return []
        pins = self._pins()
        found = (_read(path, pins) for path in sorted(self.folder.iterdir()) if _is_model(path))
        return [info for info in found if info is not None]

    def get(self, model_id: str) -> ModelInfo:
        """The model of this id, or of this number; UserError when there is none."""
        for info in self.all():
            if model_id in (info.id, str(info.number)):
                return info
        known = ", ".join(i.id for i in self.all()) or "none yet"
        raise UserError(f"There is no model {model_id!r}", remedy=f"Models here: {known}.")

    def current(self) -> ModelInfo | None:
        """The model in force."""
        name = self._pointer()
        return _read(self.folder / name, self._pins()) if name else None

    def default(self) -> ModelInfo | None:
        """The model to use when nobody names one: the one in force, else the only one there is,
        unless it was not good enough, or was in force before."""
        current = self.current()
        if current is not None:
            return current
        models = self.all()
        untried = len(models) == 1 and not models[0].is_unproven and not self._choices()
        return models[0] if untried else None

    def promote(self, model_id: str) -> ModelInfo:
        """Put a model in force by swapping the pointer."""
        info = self.get(model_id)
        if info.id != self._pointer():
            self._note("promote", info.id)
            atomic.write_text(self.folder / "current", info.id + "\n")
        return info

    def retire(self) -> None:
        """Put no model in force, as it was in the beginning; `roll_back` takes that back."""
        if self._pointer():
            self._note("promote", "")
            atomic.write_text(self.folder / "current", "\n")

    def roll_back(self) -> str | None:
        """Put in force what was so before: its id, "" for no model; None when nothing was."""
        before = self.previous()
        if before is not None:
            self._note("roll back", before)
            atomic.write_text(self.folder / "current", before + "\n")
        return before

    def previous(self) -> str | None:
        """The id `roll_back` would return to, "" for no model; None when there is no way back."""
        stack = self._stack()
        return stack[-2] if len(stack) > 1 else None

    def add(self, architecture: str, write: Callable[[Path], None]) -> ModelInfo:
        """A new model with the next number; `write` fills its folder, which then never changes."""
        remedy = "Try again, or end the other segstudio."
        busy = UserError("Another process is writing a model", path=self.folder, remedy=remedy)
        with held(self.folder.parent / ".segstudio" / "models.lock", busy, _PATIENCE):
            path = self.folder / f"{self._next_number():06d}-{architecture}"
            with atomic.folder(path) as staging:
                write(staging)
        info = _read(path, self._pins())
        if info is None:
            shutil.rmtree(path)
            raise UserError("The new model has no readable card", path=path / CARD)
        self._note("add", info.id)
        return info

    def pin(self, model_id: str, pinned: bool) -> None:
        """Keep a model for good, or no longer."""
        import tomlkit  # for writing only: the window's start does not wait for it

        pins = self._pins() - {self.get(model_id).id}
        if pinned:
            pins = pins | {self.get(model_id).id}
        text = tomlkit.dumps({"pinned": sorted(pins)})
        atomic.write_text(self.folder / "pins.toml", text)

    def prune(self, keep: int = 5, only_unproven: bool = False) -> list[str]:
        """Remove old models, or old candidates that were not better, and return their ids.

        The newest `keep` stay, and the one in force, the one before it, pinned ones, and those
        whose predictions a person has seen.
        """
        sacred = {self._pointer(), self.previous()}
        removed = []
        for info in self.all()[: -keep or None]:
            if info.id in sacred or info.pinned or self._has_shown(info.id):
                continue
            if only_unproven and not info.is_unproven:
                continue
            shutil.rmtree(info.path)
            removed.append(info.id)
        return removed

    def _pointer(self) -> str:
        try:
            return (self.folder / "current").read_text(encoding="utf-8").strip()
        except OSError:
            return ""

    def _pins(self) -> frozenset[str]:
        try:
            text = (self.folder / "pins.toml").read_text(encoding="utf-8")
            return frozenset(str(name) for name in tomllib.loads(text).get("pinned", []))
        except (OSError, tomllib.TOMLDecodeError):
            return frozenset()

    def _history(self) -> list[dict[str, Any]]:
        try:
            lines = (self.folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
        except OSError:
            return []
        return [entry for entry in map(_parsed, lines) if entry]

    def _note(self, event: str, model_id: str) -> None:
        entry = {"event": event, "model": model_id, "at": now()}
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "history.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def _choices(self) -> list[tuple[str, str]]:
        """(event, id) of all that was put in force, or given up, so far."""
        known = ("promote", "roll back")
        entries = ((str(e.get("event")), str(e.get("model"))) for e in self._history())
        return [(event, model) for event, model in entries if event in known]

    def _stack(self) -> list[str]:
        """Models that were in force and still exist, the present one last; "" where none was, as
        in the beginning."""
        stack = [""]
        there = {path.name for path in self.folder.iterdir()} if self.folder.is_dir() else set()
        for event, model in self._choices():
            if model and model not in there:
                continue
            if event == "roll back" and model in stack:
                while stack[-1] != model:
                    stack.pop()
            elif model != stack[-1]:
                stack.append(model)
        if self._pointer() != stack[-1]:
            stack.append(self._pointer())
        return stack

    def _next_number(self) -> int:
        """One above every number ever given, so that removed models keep theirs."""
        names = [str(entry.get("model")) for entry in self._history()]
        names += [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        numbers = [int(m[1]) for m in map(_NAME.fullmatch, names) if m]
        return max(numbers, default=0) + 1


def _is_model(path: Path) -> bool:
    return _NAME.fullmatch(path.name) is not None and path.is_dir()


def read_model(folder: Path) -> ModelInfo:
    """A model folder anywhere (the starter model, a project's); UserError when it is none."""
    info = _read(folder, frozenset())
    if info is None:
        raise UserError("This folder holds no model", path=folder, remedy=f"It needs a {CARD}.")
    return info


def now() -> str:
    """The time in UTC, as written into cards."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _read(path: Path, pins: frozenset[str]) -> ModelInfo | None:
    try:
        card = tomllib.loads((path / CARD).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return None
    match = _NAME.fullmatch(path.name)
    scores, parameters = card.get("scores"), card.get("parameters")
    return ModelInfo(
        id=path.name,
        number=int(match[1]) if match else 0,
        path=path,
        architecture=str(card.get("architecture", match[2] if match else path.name)),
        classes=tuple(_class_name(entry) for entry in card.get("classes", [])),
        parameters=parameters if isinstance(parameters, int) else 0,
        scores=scores if isinstance(scores, dict) else {},
        parent=str(card["parent"]) if card.get("parent") else None,
        created=str(card.get("created", "")),
        pinned=path.name in pins,
        card=card,
    )


def _class_name(entry: Any) -> str:
    return str(entry.get("name", "")) if isinstance(entry, dict) else str(entry)


def _parsed(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}  # the last line of a process killed while it wrote
    return entry if isinstance(entry, dict) else {}
