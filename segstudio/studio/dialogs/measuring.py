"""Measure a network on this machine, from where it is chosen."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QProcess, Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from segstudio.networks import choosing
from segstudio.networks.choosing import Measured
from segstudio.networks.registry import ARCHITECTURES
from segstudio.studio.i18n import tr
from segstudio.studio.widgets import faint

_THIN: Final = 4
"""Pixels."""
_END: Final = 5000
"""Milliseconds for a process that was killed to be gone."""


class Measuring(QWidget):
    """A quiet line with a button; the work is done by a process of its own, one at a time.

    Emits `measured` with what was found, which is remembered, too. `stop` ends the process.
    """

    measured = Signal(object)

    def __init__(self, device: str) -> None:
        super().__init__()
        self._device, self._name, self._at_work = device, "", ""
        self._process: QProcess | None = None
        self.words = faint(wrap=True)
        self.button = QPushButton(tr("Measure"))
        self.button.setAutoDefault(False)
        self.button.clicked.connect(self._start)
        self.bar = QProgressBar(textVisible=False)
        self.bar.setRange(0, 0)
        self.bar.setFixedHeight(_THIN)
        self.bar.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        row = QHBoxLayout()
        row.addWidget(self.words, 1)
        row.addWidget(self.button)
        column.addLayout(row)
        column.addWidget(self.bar)

    def offer(self, name: str, again: bool = False) -> None:
        """Offer to measure this network, maybe once more; what is being measured goes on."""
        self._name = name
        if self._at_work:
            return
        if again:
            self.words.setText(tr("Measured beside other work, it seems slower than it is."))
        else:
            self.words.setText(tr("How fast it is here has not been measured."))
        self.button.setText(tr("Measure again") if again else tr("Measure"))

    @property
    def at_work(self) -> str:
        """The network that is being measured, or nothing."""
        return self._at_work

    def stop(self) -> None:
        """End the process, at once."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.waitForFinished(_END)
        self._show("")

    def _start(self) -> None:
        program, *arguments = choosing.measuring(self._name, self._device)
        self._process = process = QProcess(self)
        process.finished.connect(self._end)
        process.errorOccurred.connect(self._end)
        self._show(self._name)
        process.start(program, arguments)

    def _show(self, name: str) -> None:
        self._at_work = name
        self.button.setVisible(not name)
        self.bar.setVisible(bool(name))
        if name:
            title = ARCHITECTURES[name].title
            self.words.setText(tr("Measuring {network}: up to some minutes …", network=title))

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        found = choosing.read_measured(bytes(process.readAllStandardOutput().data()).decode())
        process.deleteLater()
        name = self._at_work
        self._show("")
        if isinstance(found, Measured):
            choosing.remember(found)
            self.measured.emit(found)
            return
        title = ARCHITECTURES[name].title
        self.words.setText(tr("{network} could not be measured: {why}", network=title, why=found))
