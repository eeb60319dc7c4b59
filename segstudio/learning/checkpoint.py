"""A training run on the disk: after a crash, or the end of the program, it goes on from there,
and so does a round of training by itself after one that brought nothing better."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import torch

from segstudio.project import atomic

PLACE: Final = Path(".segstudio", "training.pt")
"""In a project."""


@dataclass(frozen=True)
class Checkpoint:
    """What a run was about and how far it was.

    `state` is what `Run.state` gave: tensors and plain values. `ended` is the model that it wrote
    at its end, nothing while it runs.
    """

    architecture: str
    classes: tuple[str, ...]
    parent: str
    recipe: Mapping[str, Any]
    seconds: float
    state: Mapping[str, Any] = field(default_factory=dict)
    ended: str = ""

    def write(self, path: Path) -> None:
        """Put it in the place of the last one, atomically; OSError when it cannot be written."""
        facts = {**asdict(self), "state": dict(self.state), "classes": list(self.classes)}
        with (
            atomic.replacing(path, durable=False) as temporary,
            temporary.open("wb") as file,  # given a path, torch hides why it cannot write
        ):
            torch.save(facts, file)


def read(path: Path) -> Checkpoint | None:
    """The checkpoint, None when there is none or it cannot be read; runs no code of the file."""
    try:
        facts = torch.load(path, map_location="cpu", weights_only=True)
        return Checkpoint(**{**facts, "classes": tuple(facts["classes"])})
    except (
        OSError,
        RuntimeError,
        EOFError,
        pickle.UnpicklingError,
        TypeError,
        KeyError,
        ValueError,
    ):
        return None
