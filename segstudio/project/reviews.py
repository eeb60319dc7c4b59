"""What a person did with a model's drafts, image by image."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from segstudio.project import atomic


@dataclass(frozen=True, slots=True)
class Review:
    """The drafts of one image that were accepted and rejected.

    Drafts are named by whoever makes them (any JSON value); `shown` is the model whose
    prediction the person saw, `accepted_unchanged` that the image was confirmed as it was shown,
    `confirmed_at` when it was confirmed (seconds since 1970, 0 while it is not). Of a `blind` image
    the person did not see that prediction: it was kept for the comparison.
    """

    model: str = ""
    run: str = ""
    accepted: tuple[Any, ...] = ()
    rejected: tuple[Any, ...] = ()
    accepted_unchanged: bool = False
    seconds: float = 0.0
    strokes: int = 0
    shown: str = ""
    confirmed_at: float = 0.0
    blind: bool = False


class Reviews:
    """`reviews/<image>.json`, one file per image that was reviewed."""

    def __init__(
        self,
        folder: Path,
        stem_of: Callable[[str], str] = lambda key: key.rpartition(".")[0],
    ) -> None:
        self._folder = folder
        self._stem_of = stem_of

    def path(self, key: str) -> Path:
        stem = self._folder / self._stem_of(key)
        return stem.with_name(stem.name + ".json")

    def load(self, key: str) -> Review | None:
        """The review of an image; None when there is none, or it cannot be read."""
        try:
            raw = json.loads(self.path(key).read_text(encoding="utf-8"))
            return _from_json(raw)
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    def save(self, key: str, review: Review) -> None:
        atomic.write_text(self.path(key), json.dumps(asdict(review), ensure_ascii=False, indent=1))

    def has(self, key: str) -> bool:
        return self.path(key).exists()


def _from_json(raw: Any) -> Review:
    if not isinstance(raw, dict):
        raise TypeError("a review is an object")
    known = {f.name: raw[f.name] for f in fields(Review) if f.name in raw}
    for name in ("accepted", "rejected"):
        known[name] = tuple(known.get(name, ()))
    return Review(**known)
