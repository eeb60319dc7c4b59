"""The status bar: what is under the pointer, whether work is saved, and the jobs."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QMouseEvent, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QToolTip,
    QWidget,
)

from segstudio.studio import theme
from segstudio.studio.i18n import tr
from segstudio.studio.jobs import Job, progress_line
from segstudio.studio.widgets import faint, flat_button

_LEAST: Final = 3000
_A_LETTER: Final = 50
"""Milliseconds that a message stays: so many, and so many more for each letter."""


class JobRow(QWidget):
    """One running job: words, bar, cancel."""

    cancel_asked = Signal(str)
    pause_asked = Signal(str, bool)

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._id = job.id
        self._is_paused = False
        self.words = _JobWords()
        self.bar = QProgressBar(textVisible=False)
        self.bar.setFixedWidth(90)
        stop = flat_button("cancel", tr("Cancel"))
        stop.clicked.connect(lambda: self.cancel_asked.emit(self._id))
        row = QHBoxLayout(self)
        row.setContentsMargins(6, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(self.words)
        row.addWidget(self.bar)
        if job.role == "trainer":
            self.pause = flat_button("pause", tr("Pause"))
            self.pause.setCheckable(True)
            self.pause.toggled.connect(self._on_pause)
            row.addWidget(self.pause)
        row.addWidget(stop)
        self._job = job
        self.show_job(job)

    def _on_pause(self, paused: bool) -> None:
        self.pause.setIcon(theme.icon("play" if paused else "pause"))
        self.pause.setToolTip(tr("Go on") if paused else tr("Pause"))
        self._is_paused = paused
        self.show_job(self._job)
        self.pause_asked.emit(self._id, paused)

    def show_job(self, job: Job) -> None:
        self._job = job
        line = progress_line(job)
        self.words.say(f"{tr('Paused')} · {line}" if self._is_paused else line)
        self.bar.setRange(0, job.total)
        self.bar.setValue(job.done)


class Message(QLabel):
    """One sentence in one line: what does not fit is seen by pointing at it, or by a click."""

    least = 200
    """Pixels of text that are shown in any case."""

    def __init__(self) -> None:
        super().__init__()
        self.whole = ""
        self.setMinimumWidth(60)
        copy = QAction(tr("Copy the message"), self)
        copy.triggered.connect(lambda: QApplication.clipboard().setText(self.whole))
        self.addAction(copy)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)

    def say(self, text: str) -> None:
        self.whole = text
        self.setToolTip(text)
        self._fit()
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        """As wide as its words where there is room, so that a message and the words of jobs share
        what there is."""
        width = self.fontMetrics().horizontalAdvance(self.whole.replace("\n", " ")) + 12
        return QSize(width, super().sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        is_left = event.button() == Qt.MouseButton.LeftButton
        if is_left and self.text() != self.whole:
            QToolTip.showText(event.globalPosition().toPoint(), self.whole, self)

    def _fit(self) -> None:
        line = self.whole.replace("\n", " ")
        room = max(self.least, self.width() - 8)
        self.setText(self.fontMetrics().elidedText(line, Qt.TextElideMode.ElideRight, room))


class _JobWords(Message):
    """Two jobs must not widen the window."""

    least = 60


class StatusBar(QFrame):
    """Pointer read-out on the left, messages in the middle, saving and jobs on the right."""

    cancel_asked = Signal(str)
    pause_asked = Signal(str, bool)
    retry_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("bottom")
        self.setFixedHeight(34)
        self.pointer = faint()
        self.pointer.setMinimumWidth(230)
        self.message = Message()
        self.dismiss = flat_button("cancel", tr("Put this message away"))
        self.dismiss.clicked.connect(self.forget)
        self.dismiss.hide()
        self.saved = faint()
        self.retry = QPushButton(tr("Retry"))
        self.retry.hide()
        self.retry.clicked.connect(self.retry_asked)
        self._jobs = QHBoxLayout()
        self._rows: dict[str, JobRow] = {}
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 0, 10, 0)
        row.setSpacing(10)
        row.addWidget(self.pointer)
        row.addWidget(self.dismiss)
        row.addWidget(self.message, 1)
        row.addLayout(self._jobs)
        row.addWidget(self.saved)
        row.addWidget(self.retry)
        self._fade = QTimer(self, singleShot=True)
        self._fade.timeout.connect(self.forget)

    def forget(self) -> None:
        """Put the message away."""
        self.message.say("")
        self.dismiss.hide()

    def say(self, text: str, kind: str = "info") -> None:
        """A sentence; it goes after the time it takes to read it, unless it is bad: then a person
        puts it away, or the next one does."""
        look = theme.current()
        colour = {"warn": look.warn, "bad": look.bad}.get(kind, look.text)
        self.message.setStyleSheet(f"color: {colour};")
        self.message.say(text)
        self.dismiss.setVisible(kind == "bad")
        self._fade.stop()
        if kind != "bad":
            self._fade.start(_LEAST + _A_LETTER * len(text))

    def show_saving(self, state: str, why: str) -> None:
        words = {"saving": tr("saving …"), "saved": tr("saved ✓"), "failed": tr("not saved")}
        self.saved.setText(words[state])
        self.saved.setToolTip(why)
        self.retry.setVisible(state == "failed")
        if state == "failed":
            self.say(tr("Your work is not saved: {why}", why=why), "bad")

    def show_job(self, job: Job) -> None:
        row = self._rows.get(job.id)
        if job.is_over or job.quiet:
            if row is not None:
                self._jobs.removeWidget(row)
                self._rows.pop(job.id).deleteLater()
        elif row is None:
            row = self._rows[job.id] = JobRow(job)
            row.cancel_asked.connect(self.cancel_asked)
            row.pause_asked.connect(self.pause_asked)
            self._jobs.addWidget(row)
        else:
            row.show_job(job)
