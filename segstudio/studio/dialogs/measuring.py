"""Measure a network on this machine, from where it is chosen."""

from __future__ import annotations

from functools import partial
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
    """A quiet line with a button; the work is done by processes of their own, one after the other.

    Emits `measured` with what was found of a network, which is remembered, too; `busy` when it
    begins and when it has ended.
    """

    measured = Signal(object)
    busy = Signal(bool)

    def __init__(self, device: str) -> None:
        super().__init__()
        self._device, self._at_work = device, ""
        self._names: tuple[str, ...] = ()
        self._left: list[str] = []
        self._failed = ""
        self._again = False
        self._process: QProcess | None = None
        self.words = faint(wrap=True)
        self.button = QPushButton(tr("Measure"))
        self.button.setAutoDefault(False)
        self.button.clicked.connect(self._begin_or_stop)
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

    def offer(self, *names: str, again: bool = False) -> None:
        """Offer to measure these networks, maybe once more; what is being measured goes on."""
        self._names, self._again = names, again
        if not self._at_work:
            self._show_offer()

    def _show_offer(self) -> None:
        if self._again:
            self.words.setText(tr("Measured beside other work, it seems slower than it is."))
        elif len(self._names) > 1:
            words = tr("{n} networks have not been measured here; that takes a while.")
            self.words.setText(words.format(n=len(self._names)))
        else:
            self.words.setText(tr("How fast it is here has not been measured."))
        self.button.setText(tr("Measure again") if self._again else tr("Measure"))

    @property
    def at_work(self) -> str:
        """The network that is being measured, or nothing."""
        return self._at_work

    def stop(self) -> None:
        """End the process, at once, and begin none."""
        self._left.clear()
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.waitForFinished(_END)
        if self._at_work:
            self._show("")

    def _begin_or_stop(self) -> None:
        if self._at_work:
            self.stop()
        else:
            self._left, self._failed = list(self._names), ""
            self._start_next()

    def _start_next(self) -> None:
        name = self._left.pop(0)
        program, *arguments = choosing.measuring(name, self._device)
        self._process = process = QProcess(self)
        process.finished.connect(partial(self._end, process))
        process.errorOccurred.connect(partial(self._on_error, process))
        self._show(name)
        process.start(program, arguments)

    def _show(self, name: str) -> None:
        if bool(name) != bool(self._at_work):
            self.busy.emit(bool(name))
        self._at_work = name
        self.bar.setVisible(bool(name))
        if name:
            title = ARCHITECTURES[name].title
            self.words.setText(tr("Measuring {network}: up to some minutes …", network=title))
            self.button.setText(tr("Stop"))
        else:
            self._show_offer()

    def _on_error(self, process: QProcess, error: QProcess.ProcessError) -> None:
        """After all other errors the process ends, and says so."""
        if error == QProcess.ProcessError.FailedToStart:
            self._end(process)

    def _end(self, process: QProcess, *_: object) -> None:
        if process is not self._process:
            return  # it was stopped
        self._process = None
        found = choosing.read_measured(bytes(process.readAllStandardOutput().data()).decode())
        process.deleteLater()
        if not isinstance(found, Measured):
            title = ARCHITECTURES[self._at_work].title
            self._failed = tr("{network} could not be measured: {why}", network=title, why=found)
        if self._left:
            self._start_next()
        else:
            self._show("")
        if isinstance(found, Measured):
            choosing.remember(found)
            self.measured.emit(found)
        if self._failed and not self._at_work:
            self.words.setText(self._failed)
