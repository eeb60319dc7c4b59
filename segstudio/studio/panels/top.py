"""The bar on top: project and how far it is, the model in force, and the three big buttons."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from segstudio.studio import theme
from segstudio.studio.i18n import tr
from segstudio.studio.jobs import Jobs
from segstudio.studio.panels.model import model_line
from segstudio.studio.session import Session
from segstudio.studio.widgets import faint, follow_action, named


class TopBar(QFrame):
    """Project · confirmed — model — device — Train, Segment folder, Export."""

    def __init__(self, session: Session, jobs: Jobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("top")
        self.setFixedHeight(48)
        self._session, self._jobs = session, jobs
        self.project = named(QLabel(), "project")
        self.progress = faint()
        self.model = QLabel()
        self.device = faint()
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(14, 0, 12, 0)
        self._row.setSpacing(12)
        for widget in (self.project, self.progress, _bar(), self.model, self.device):
            self._row.addWidget(widget)
        self._row.addStretch(1)
        self.buttons: dict[str, QPushButton] = {}
        session.project_changed.connect(self.refresh)
        session.images_changed.connect(self.refresh)
        self._due = QTimer(self, singleShot=True, interval=60)
        self._due.timeout.connect(self.refresh)
        session.states_changed.connect(lambda _: self._due.start())
        jobs.device_changed.connect(self.refresh)

    def add_button(self, name: str, action: QAction, words: str, primary: bool = False) -> None:
        """A button that does what `action` does and is off when it is."""
        button = named(QPushButton(words), "primary" if primary else "")
        button.setIcon(theme.icon(name, on_accent=primary))
        follow_action(button, action, 18)
        self.buttons[name] = button
        self._row.addWidget(button)

    def restyle(self) -> None:
        for name, button in self.buttons.items():
            button.setIcon(theme.icon(name, on_accent=button.objectName() == "primary"))

    def refresh(self) -> None:
        project = self._session.project
        if project is None:
            for label in (self.project, self.progress, self.model, self.device):
                label.clear()
            return
        done, everything = self._session.counts()
        self.project.setText(project.name + (tr("  (read-only)") if project.read_only else ""))
        self.project.setToolTip(str(project.root))
        self.progress.setText(tr("{done}/{all} confirmed", done=done, all=everything))
        current = project.models.current()
        none = tr("no model in force") if project.models.all() else tr("no model yet")
        self.model.setText(tr("model {line}", line=model_line(current)) if current else none)
        self._show_device()

    def _show_device(self) -> None:
        ready = self._jobs.ready
        if ready is None:
            self.device.clear()
            return
        on_gpu = ready.device != "cpu"
        self.device.setText(f"· {ready.device_name}" if on_gpu else "· CPU")
        self.device.setObjectName("warn" if ready.gpu_unused else "faint")
        facts = [tr("Models run on {name}.", name=ready.device_name or ready.device), ready.reason]
        if ready.gpu_unused:
            self.device.setText("· " + tr("CPU: the GPU cannot be used"))
        self.device.setToolTip("\n".join(fact for fact in facts if fact))
        self.device.style().unpolish(self.device)
        self.device.style().polish(self.device)


def _bar() -> QFrame:
    line = QFrame()
    line.setFrameShape(QFrame.Shape.VLine)
    line.setFixedHeight(20)
    line.setEnabled(False)
    return line
