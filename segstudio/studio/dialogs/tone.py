"""A small window: how the picture is shown."""

from __future__ import annotations

import math
from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from segstudio.project.bands import Bands, RawFacts
from segstudio.studio.canvas.tone import Tone
from segstudio.studio.i18n import tr

_STEPS: Final = 100


class ToneDialog(QDialog):
    """Stays open beside the work; what it shows takes effect at once, for the eye only."""

    changed = Signal(object)
    bands_changed = Signal(object)
    """A Bands: of a picture of 16 bits or many bands."""

    def __init__(self, tone: Tone, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Tool)
        self.setWindowTitle(tr("Brightness and contrast"))
        self.brightness, self.contrast, self.gamma = _slider(), _slider(), _slider()
        self.show_tone(tone)
        self._value = QLabel()
        self.bands = BandsForm()
        self.bands.changed.connect(self.bands_changed)
        column = QVBoxLayout(self)
        rows = QFormLayout()
        column.addLayout(rows)
        column.addWidget(self.bands)
        rows.addRow(tr("Brightness"), self.brightness)
        rows.addRow(tr("Contrast"), self.contrast)
        rows.addRow(tr("Gamma"), self.gamma)
        reset = QPushButton(tr("Reset"))
        reset.clicked.connect(self.reset)
        row = QHBoxLayout()
        row.addWidget(self._value, 1)
        row.addWidget(reset)
        column.addLayout(row)
        self.show_raw(None, Bands())
        for slider in (self.brightness, self.contrast, self.gamma):
            slider.valueChanged.connect(lambda _: self._tell())
        self._show_values()

    @property
    def tone(self) -> Tone:
        """What the sliders say; gamma goes from 1/4 to 4."""
        return Tone(
            self.brightness.value() / _STEPS,
            self.contrast.value() / _STEPS,
            4.0 ** (self.gamma.value() / _STEPS),
        )

    def reset(self) -> None:
        self.show_tone(Tone())
        self.bands.reset()

    def show_tone(self, tone: Tone) -> None:
        """Another tone, chosen elsewhere."""
        self.brightness.setValue(round(tone.brightness * _STEPS))
        self.contrast.setValue(round(tone.contrast * _STEPS))
        self.gamma.setValue(round(math.log(tone.gamma, 4.0) * _STEPS))

    def show_raw(self, facts: RawFacts | None, bands: Bands) -> None:
        """What can be chosen of the picture's bands and values; nothing of an ordinary one."""
        self.bands.show_facts(facts, bands)
        self.bands.setVisible(facts is not None)
        self.adjustSize()

    def _tell(self) -> None:
        self._show_values()
        self.changed.emit(self.tone)

    def _show_values(self) -> None:
        tone = self.tone
        self._value.setText(f"{tone.brightness:+.2f}  {tone.contrast:+.2f}  γ {tone.gamma:.2f}")


class BandsForm(QWidget):
    """Which bands are shown, and from which value to which."""

    changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.channels = (QComboBox(), QComboBox(), QComboBox())
        self.black, self.white = QDoubleSpinBox(), QDoubleSpinBox()
        self._facts: RawFacts | None = None
        self._rows = QFormLayout(self)
        self._rows.setContentsMargins(0, 6, 0, 0)
        for words, box in zip((tr("Red"), tr("Green"), tr("Blue")), self.channels, strict=True):
            self._rows.addRow(words, box)
            box.activated.connect(lambda _: self._tell())
        for words, spin in ((tr("Black at"), self.black), (tr("White at"), self.white)):
            self._rows.addRow(words, spin)
            spin.setKeyboardTracking(False)
            spin.valueChanged.connect(lambda _: self._tell())

    def show_facts(self, facts: RawFacts | None, bands: Bands) -> None:
        """The choices for a picture, and what is chosen."""
        self._facts = facts
        if facts is None:
            return
        chosen = bands.channels or ((0, 0, 0) if facts.bands < 3 else (0, 1, 2))
        for box, channel in zip(self.channels, chosen, strict=True):
            box.clear()
            box.addItems([tr("band {n}", n=number) for number in range(1, facts.bands + 1)])
            box.setCurrentIndex(min(channel, facts.bands - 1))
            self._rows.setRowVisible(box, facts.bands > 1)
        for spin, value, rest in (
            (self.black, bands.black, facts.black),
            (self.white, bands.white, facts.white),
        ):
            spin.blockSignals(True)
            spin.setDecimals(0 if facts.whole else 4)
            spin.setSingleStep(max((facts.high - facts.low) / 100, 1.0 if facts.whole else 1e-4))
            spin.setRange(facts.low, facts.high)
            spin.setValue(rest if value is None else value)
            spin.blockSignals(False)

    def reset(self) -> None:
        """As every other program shows it."""
        self.show_facts(self._facts, Bands())
        self.changed.emit(Bands())

    @property
    def chosen(self) -> Bands:
        red, green, blue = (max(0, box.currentIndex()) for box in self.channels)
        return Bands((red, green, blue), self.black.value(), self.white.value())

    def _tell(self) -> None:
        self.changed.emit(self.chosen)


def _slider() -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setRange(-_STEPS, _STEPS)
    slider.setMinimumWidth(220)
    return slider
