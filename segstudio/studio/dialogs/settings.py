"""Settings: of the program, and of the open project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QLabel, QSpinBox, QWidget

from segstudio.engine.protocol import Ready
from segstudio.project.blind import USUAL
from segstudio.project.manifest import Manifest
from segstudio.studio.dialogs.base import Form
from segstudio.studio.i18n import LANGUAGES, tr
from segstudio.studio.widgets import faint


def _choice(options: list[tuple[str, str]], now: str) -> QComboBox:
    box = QComboBox()
    for words, value in options:
        box.addItem(words, value)
    box.setCurrentIndex(max(0, box.findData(now)))
    return box


def size_words(count: float) -> str:
    """Bytes for a person."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit in ("B", "KB") else f"{count:.1f} {unit}"
        count /= 1000
    return ""


class SettingsDialog(Form):
    """Emits `chosen`: program settings, what unlabelled pixels mean ("" with no project), and the
    share of blind images."""

    chosen = Signal(dict, str, float)

    def __init__(
        self,
        now: Mapping[str, Any],
        ready: Ready | None,
        facts: Manifest | None,
        disk: Mapping[str, int],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent, tr("Settings"), tr("Save"))
        devices = [
            (tr("the best there is"), "auto"),
            ("CUDA", "cuda"),
            ("MPS", "mps"),
            ("CPU", "cpu"),
        ]
        themes = [(tr("like the system"), "system"), (tr("light"), "light"), (tr("dark"), "dark")]
        tongues = [(tr("like the system"), "system"), *((w, c) for c, w in LANGUAGES.items())]
        self.device = _choice(devices, str(now["device"]))
        self.theme = _choice(themes, str(now["theme"]))
        self.language = _choice(tongues, str(now["language"] or "system"))
        self.autosave = QCheckBox(tr("save every edit within a second"))
        self.autosave.setChecked(bool(now["autosave"]))
        self.kept = QSpinBox(minimum=1, maximum=999, value=int(now["models_kept"]))
        self.rows.addRow(tr("Device"), self.device)
        self.rows.addRow("", self._device_words(ready))
        self.rows.addRow(tr("Look"), self.theme)
        self.rows.addRow(tr("Language"), self.language)
        self.rows.addRow(tr("Autosave"), self.autosave)
        self.rows.addRow(tr("Models kept"), self.kept)
        self.unlabelled: QComboBox | None = None
        self._share = 0.0
        self.blind = QSpinBox(minimum=0, maximum=100, suffix=" %")
        self.blind.setSpecialValueText(tr("off"))
        if facts is not None:
            meanings = [
                (tr("background"), "background"),
                (tr("unknown, not learned from"), "ignore"),
            ]
            self.unlabelled = _choice(meanings, facts.unlabelled)
            self.rows.addRow(tr("Unlabelled pixels of a confirmed image are"), self.unlabelled)
            self._share = facts.blind
            self.blind.setValue(round(100 * facts.blind))
            self.rows.addRow(tr("Blind images"), self.blind)
            words = tr(
                "Hides the drafts of a few images until you confirm them, so that agreement is "
                "measured without their influence; {n} % is enough."
            )
            self.rows.addRow("", faint(words.format(n=round(100 * USUAL)), wrap=True))
            self.rows.addRow(tr("Disk use"), self._disk_words(disk))
        note = faint(tr("Keys are listed under Help › Keys (F1)."))
        self.rows.addRow(note)
        self.accepted.connect(self._tell)

    @staticmethod
    def _device_words(ready: Ready | None) -> QLabel:
        if ready is None:
            words = tr("The device is shown once the first model runs.")
        else:
            words = tr("Now: {name}", name=ready.device_name or ready.device)
            words += f". {ready.reason}" if ready.reason else "."
        label = faint(words)
        label.setWordWrap(True)
        return label

    @staticmethod
    def _disk_words(disk: Mapping[str, int]) -> QLabel:
        parts = [f"{name} {size_words(count)}" for name, count in disk.items() if count]
        label = faint(" · ".join(parts) or tr("nothing yet"))
        label.setWordWrap(True)
        return label

    def _tell(self) -> None:
        settings = {
            "device": self.device.currentData(),
            "theme": self.theme.currentData(),
            "language": self.language.currentData(),
            "autosave": self.autosave.isChecked(),
            "models_kept": self.kept.value(),
        }
        meaning = str(self.unlabelled.currentData()) if self.unlabelled is not None else ""
        same = self.blind.value() == round(100 * self._share)
        self.chosen.emit(settings, meaning, self._share if same else self.blind.value() / 100)
