"""How doubtful the predictions of a project's images are, worked out once for each prediction."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from segstudio.annotation.doubt import class_doubts, doubtful_regions, image_doubt
from segstudio.project import atomic
from segstudio.project.index import Stamp
from segstudio.project.project import Project

_FILE: Final = Path(".segstudio", "cache", "doubts.json")


@dataclass(frozen=True, slots=True)
class ImageDoubt:
    """The doubt of a whole image, and of each of its classes by name, 0..1; and how many of its
    regions are worth a look."""

    whole: float
    regions: int
    classes: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A doubt, and the prediction that it is of."""

    model: str
    stamp: Stamp
    doubt: ImageDoubt


class DoubtBook:
    """The newest doubts of a project's images, remembered until an image is predicted again.

    They are kept in the cache, which may be deleted. Any thread may ask.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] | None = None

    def of(
        self, keys: Iterable[str], is_wanted: Callable[[], bool] = lambda: True
    ) -> dict[str, ImageDoubt]:
        """Of images that the model in force has predicted; may take a while, and ends early when
        it is not wanted any more."""
        model = self._project.models.current()
        if model is None:
            return {}
        found, fresh = {}, False
        for key in keys:
            if not is_wanted():
                break
            doubt, is_new = self._one(model.id, key)
            fresh = fresh or is_new
            if doubt is not None:
                found[key] = doubt
        if fresh:
            self._keep()
        return found

    def known(self, keys: Iterable[str], model: str | None = None) -> dict[str, ImageDoubt]:
        """What was worked out before, of `model` or of whatever one: at once, and perhaps a little
        old."""
        with self._lock:
            there = ((key, self._read().get(key)) for key in keys)
            return {
                key: entry.doubt for key, entry in there if entry and model in (None, entry.model)
            }

    def _one(self, model: str, key: str) -> tuple[ImageDoubt | None, bool]:
        """The doubt of an image, and whether it is new."""
        stamp = self._project.predictions.stamp(model, key)
        if stamp is None:
            return None, False
        with self._lock:
            known = self._read().get(key)
        if known is not None and (known.model, known.stamp) == (model, stamp):
            return known.doubt, False
        read = self._project.predictions.read(model, key)
        if read is None:
            return None, False
        labels, margin = read
        names = {**self._project.classes.by_value, 0: "background"}
        by_class = {
            names[value]: doubt
            for value, doubt in class_doubts(margin, labels).items()
            if value in names
        }
        found = ImageDoubt(image_doubt(margin), len(doubtful_regions(margin)), by_class)
        with self._lock:
            self._read()[key] = _Entry(model, stamp, found)
        return found, True

    # -- on the disk

    def _read(self) -> dict[str, _Entry]:
        """All that is known; from the cache the first time. The lock is held."""
        if self._entries is None:
            try:
                raw = json.loads((self._project.root / _FILE).read_text(encoding="utf-8"))
                self._entries = {key: self._entry(facts) for key, facts in raw.items()}
            except (OSError, ValueError, TypeError, KeyError, AttributeError):
                self._entries = {}
        return self._entries

    def _entry(self, raw: Mapping[str, Any]) -> _Entry:
        """With the names that classes have now."""
        now = self._project.classes.now
        classes = {now(str(name)): float(doubt) for name, doubt in raw["classes"].items()}
        when, size = raw["stamp"]
        doubt = ImageDoubt(float(raw["whole"]), int(raw["regions"]), classes)
        return _Entry(str(raw["model"]), (int(when), int(size)), doubt)

    def _keep(self) -> None:
        """Write the cache; one that cannot be written is only slower next time."""
        if self._project.read_only:
            return
        with self._lock:
            raw = {
                key: {
                    "model": entry.model,
                    "stamp": list(entry.stamp),
                    "whole": entry.doubt.whole,
                    "regions": entry.doubt.regions,
                    "classes": dict(entry.doubt.classes),
                }
                for key, entry in self._read().items()
            }
        with contextlib.suppress(OSError):
            data = json.dumps(raw).encode("utf-8")
            atomic.write_bytes(self._project.root / _FILE, data, durable=False)
