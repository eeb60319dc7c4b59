"""The status bar: what is under the pointer, whether work is saved, and the jobs."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QPushButton, QWidget

from segstudio.studio import theme
from segstudio.studio.i18n import tr
from segstudio.studio.jobs import Job, progress_line
from segstudio.studio.widgets import faint, flat_button


class JobRow(QWidget):
    """One running job: words, bar, cancel."""

    cancel_asked = Signal(str)
    pause_asked = Signal(str, bool)

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._id = job.id
        self.words = QLabel()
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
            pause = flat_button("pause", tr("Pause and go on"))
            pause.setCheckable(True)
            pause.toggled.connect(lambda on: self.pause_asked.emit(self._id, on))
            row.addWidget(pause)
        row.addWidget(stop)
        self.show_job(job)

    def show_job(self, job: Job) -> None:
        self.words.setText(progress_line(job))
        self.words.setToolTip(job.text)
        self.bar.setRange(0, job.total)
        self.bar.setValue(job.done)


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
        self.message = QLabel()
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
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
        row.addWidget(self.message, 1)
        row.addLayout(self._jobs)
        row.addWidget(self.saved)
        row.addWidget(self.retry)
        self._fade = QTimer(self, singleShot=True, interval=9000)
        self._fade.timeout.connect(self.message.clear)

    def say(self, text: str, kind: str = "info") -> None:
        """A sentence; it goes after a while unless it is bad."""
        look = theme.current()
        colour = {"warn": look.warn, "bad": look.bad}.get(kind, look.text)
        self.message.setStyleSheet(f"color: {colour};")
        short = self.message.fontMetrics().elidedText(
            text.replace("\n", " "), Qt.TextElideMode.ElideRight, max(200, self.message.width() - 8)
        )
        self.message.setText(short)
        self.message.setToolTip(text)
        self._fade.stop()
        if kind != "bad":
            self._fade.start()

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
