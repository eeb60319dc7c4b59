"""A slider for how far outlines may change; the canvas shows what it does."""

from __future__ import annotations

import math
from typing import Final

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QSlider, QWidget

from segstudio.studio.dialogs.base import Form
from segstudio.studio.i18n import tr
from segstudio.studio.widgets import faint

_MOST: Final = 50.0
_STEPS: Final = 200
_PAUSE: Final = 15
"""Milliseconds in which steps of the slider are gathered."""


class SimplifyDialog(Form):
    """Emits `changed` with image pixels; Esc takes everything back."""

    changed = Signal(float)

    def __init__(self, tolerance: float, parent: QWidget | None = None) -> None:
        super().__init__(parent, tr("Simplify outlines"), tr("Simplify"))
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _STEPS)
        self.number = QDoubleSpinBox()
        self.number.setRange(0.0, _MOST)
        self.number.setDecimals(2)
        self.number.setSingleStep(0.25)
        self.number.setSuffix(" px")
        self.number.setValue(tolerance)
        self.slider.setValue(_step(tolerance))
        self.counts = faint()
        row = QHBoxLayout()
        row.addWidget(self.slider, 1)
        row.addWidget(self.number)
        self.rows.addRow(tr("May change by"), row)
        self.rows.addRow("", self.counts)
        self._due = QTimer(self, singleShot=True, interval=_PAUSE)
        self._due.timeout.connect(lambda: self.changed.emit(self.number.value()))
        self.slider.sliderMoved.connect(lambda step: self.number.setValue(_pixels(step)))
        self.number.valueChanged.connect(self._follow)

    def _follow(self, tolerance: float) -> None:
        if not self.slider.isSliderDown():
            self.slider.setValue(_step(tolerance))
        self._due.start()

    def show_counts(self, before: int, now: int) -> None:
        """How many points there were, and are."""
        words = tr("{before} points become {now}", before=f"{before:,}", now=f"{now:,}")
        self.counts.setText(words)


def _pixels(step: int) -> float:
    """The slider is fine near 0: the cube of its share."""
    return round(_MOST * (step / _STEPS) ** 3, 2)


def _step(pixels: float) -> int:
    return round(_STEPS * math.pow(pixels / _MOST, 1 / 3))
