"""A small window with three sliders: how the picture is shown."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QWidget,
)

from segstudio.studio.canvas.tone import Tone
from segstudio.studio.i18n import tr

_STEPS: Final = 100


class ToneDialog(QDialog):
    """Stays open beside the work; what it shows takes effect at once and is nowhere saved."""

    changed = Signal(object)

    def __init__(self, tone: Tone, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Tool)
        self.setWindowTitle(tr("Brightness and contrast"))
        self.brightness = _slider(round(tone.brightness * _STEPS))
        self.contrast = _slider(round(tone.contrast * _STEPS))
        self.gamma = _slider(0)
        self._set_gamma(tone.gamma)
        self._value = QLabel()
        rows = QFormLayout(self)
        rows.addRow(tr("Brightness"), self.brightness)
        rows.addRow(tr("Contrast"), self.contrast)
        rows.addRow(tr("Gamma"), self.gamma)
        reset = QPushButton(tr("Reset"))
        reset.clicked.connect(self.reset)
        row = QHBoxLayout()
        row.addWidget(self._value, 1)
        row.addWidget(reset)
        rows.addRow(row)
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
        for slider in (self.brightness, self.contrast, self.gamma):
            slider.setValue(0)

    def _set_gamma(self, gamma: float) -> None:
        for value in range(-_STEPS, _STEPS + 1):
            if abs(4.0 ** (value / _STEPS) - gamma) < 1e-9:
                self.gamma.setValue(value)

    def _tell(self) -> None:
        self._show_values()
        self.changed.emit(self.tone)

    def _show_values(self) -> None:
        tone = self.tone
        self._value.setText(f"{tone.brightness:+.2f}  {tone.contrast:+.2f}  γ {tone.gamma:.2f}")


def _slider(value: int) -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setRange(-_STEPS, _STEPS)
    slider.setMinimumWidth(220)
    slider.setValue(value)
    return slider
