"""What training has told so far: curves and scores for the model panel."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from segstudio.engine import protocol as p


@dataclass(slots=True)
class Curves:
    """Loss and validation mIoU over seconds, the last IoU per class, and the last AP50 of a
    network that finds things."""

    title: str = ""
    loss: list[tuple[float, float]] = field(default_factory=list)
    miou: list[tuple[float, float]] = field(default_factory=list)
    per_class: dict[str, float | None] = field(default_factory=dict)
    images: int = 0
    ap50: float | None = None


class TrainingLog(QObject):
    """Follows training events; the newest run is the one shown."""

    changed = Signal()
    saved = Signal(str)
    """The model that came of the run that was shown."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.curves = Curves()
        self._job = ""

    def take(self, event: p.Message) -> None:
        """Hear a protocol event."""
        if isinstance(event, p.ModelSaved) and event.job == self._job:
            self.saved.emit(event.model)
            self.clear()
        if not isinstance(event, (p.Loss, p.Validation)):
            return
        if event.job != self._job:
            self._job, self.curves = event.job, Curves()
        if isinstance(event, p.Loss):
            self.curves.loss.append((event.seconds, event.value))
        else:
            self.curves.miou.append((event.seconds, event.miou))
            self.curves.per_class = dict(event.per_class)
            self.curves.images = event.images
            self.curves.ap50 = event.precision.get("ap50")
        self.changed.emit()

    def clear(self) -> None:
        self._job, self.curves = "", Curves()
        self.changed.emit()


def stored_curves(model_folder: Path) -> Curves:
    """The curves a model was saved with (`metrics.jsonl`); damaged lines are left out.

    Each round that went on with another begins at 0 again: here one follows the other.
    """
    curves = Curves(title=model_folder.name)
    before = latest = 0.0
    try:
        lines = (model_folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError:
        return curves
    for line in lines:
        try:
            fact = json.loads(line)
            seconds = before + float(fact["seconds"])
            if seconds < latest:
                seconds, before = seconds - before + latest, latest
            latest = seconds
            if "loss" in fact:
                curves.loss.append((seconds, float(fact["loss"])))
            elif "miou" in fact:
                curves.miou.append((seconds, float(fact["miou"])))
                curves.per_class = dict(fact.get("per_class", {}))
                curves.images = int(fact.get("images", 0))
        except (ValueError, KeyError, TypeError):
            continue
    return curves
