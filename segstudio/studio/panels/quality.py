"""The quality panel: how far drafts agreed with what was confirmed, the pace, labels to doubt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QScrollArea,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from segstudio.annotation.bitmap import Box
from segstudio.engine import protocol as p
from segstudio.studio import dialogs
from segstudio.studio.i18n import tr
from segstudio.studio.jobs import Job, Jobs, time_left
from segstudio.studio.panels.confusion import ConfusionView, row_words
from segstudio.studio.panels.model import make_table
from segstudio.studio.panels.quality_chart import (
    MEASURES,
    QualityChart,
    changes_of,
    points_of,
)
from segstudio.studio.session import Session
from segstudio.studio.widgets import faint, heading, named

_TABLE_HEAD: Final = 28
_TABLE_ROW: Final = 22
_TABLE_MOST: Final = 12
_LIST_LEAST: Final = 90
_LIST_MOST: Final = 180
_AROUND: Final = 12
"""Image pixels around the place of a doubtful label."""
Facts = Mapping[str, Any]


class QualityPanel(QWidget):
    """Figures come from a job when the panel is shown, and again on request."""

    image_asked = Signal(str, object)
    """An image key, and a box of it to look at, or None."""

    def __init__(self, session: Session, jobs: Jobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._session, self._jobs = session, jobs
        self._asked = ""
        self._is_old = True
        self._chart: QualityChart | None = None
        self.facts: Facts = {}
        self.caption = faint(tr("Figures appear here once images are confirmed."))
        self.caption.setWordWrap(True)
        self.place = QVBoxLayout()
        self.measure = QComboBox()
        self.measure.addItems(_measure_words())
        self.measure.setAccessibleName(tr("What the curve shows"))
        self.measure.currentIndexChanged.connect(lambda _: self._show_chart())
        self.detail = QComboBox()
        self.detail.addItems([tr("Overlap by class"), tr("What was taken for what")])
        self.detail.setAccessibleName(tr("What the table shows"))
        self.detail.currentIndexChanged.connect(lambda _: self._show_parts())
        self.confusion = ConfusionView()
        self.key = faint(tr("Rows: confirmed as. Columns: shown as. Per cent of the row."), True)
        self.table = make_table(tr("class"), "IoU")
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.doubtful = QListWidget()
        self.doubtful.setAccessibleName(tr("Labels to look at again"))
        self.doubtful.setMinimumHeight(_LIST_LEAST)
        self.doubtful.setMaximumHeight(_LIST_MOST)
        self.doubtful.setWordWrap(True)
        self.doubtful.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.doubtful.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.doubtful.itemActivated.connect(self._open_doubtful)
        self.doubtful.itemClicked.connect(self._open_doubtful)
        self.calm = faint(tr("No label stands out."), wrap=True)
        self.again = QPushButton(tr("Refresh"))
        self.save = QPushButton(tr("Save report …"))
        self._lay_out()
        self.again.clicked.connect(self.refresh)
        self.save.clicked.connect(self._ask_file)
        jobs.changed.connect(self._take)
        session.project_changed.connect(self._forget)
        session.states_changed.connect(lambda _: self._mark_old())

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        for button in (self.again, self.save):
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(6)
        layout.addWidget(self._scrolled(), 1)
        layout.addLayout(buttons)
        self._show_parts()

    def _scrolled(self) -> QScrollArea:
        """All but the buttons; in a low window nothing is squeezed."""
        inside = named(QWidget(), "panel")
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        self.over_doubtful = heading(tr("LABELS TO LOOK AT AGAIN"))
        layout.addWidget(self.caption)
        layout.addWidget(self.measure)
        layout.addLayout(self.place, 3)
        scores: list[QWidget] = [self.detail, self.table, self.confusion, self.key]
        for part in (*scores, self.over_doubtful, self.calm, self.doubtful):
            layout.addWidget(part)
        layout.addStretch()
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(inside)
        return area

    def _show_parts(self) -> None:
        """What there is something to show of; a title stands over labels to look at, or that there
        are none."""
        compared, found = bool(self.facts.get("images")), self.doubtful.count() > 0
        scored, is_matrix = self.table.rowCount() > 0, self.detail.currentIndex() == 1
        self.measure.setVisible(compared)
        self.detail.setVisible(scored)
        self.table.setVisible(scored and not is_matrix)
        for part in (self.confusion, self.key):
            part.setVisible(scored and is_matrix)
        self.over_doubtful.setVisible(compared)
        self.calm.setVisible(compared and not found)
        self.doubtful.setVisible(compared and found)
        self.calm.setText(_calm_words(self.facts))

    # -- asking

    def refresh(self) -> None:
        """Compare again, in a process of its own."""
        project = self._session.project
        if project is None or self._asked:
            return
        self._is_old = False
        request = p.Quality(self._jobs.new_id(), str(project.root))
        self._asked = request.job
        if not self.facts:
            self.caption.setText(tr("Comparing …"))
        self._jobs.run("files", tr("Comparing"), request, quiet=True)

    def _ask_file(self) -> None:
        project = self._session.project
        if project is None:
            return
        words = tr("Web page (*.html);;Table (*.csv)")
        place = project.root / f"{project.name}-quality.html"
        chosen = dialogs.ask_new_file(self, tr("Save report"), place, words)
        if chosen:
            self.save_report(chosen)

    def save_report(self, file: str) -> None:
        """Write a report, HTML or CSV by the file's ending."""
        project = self._session.project
        if project is not None:
            request = p.Quality(self._jobs.new_id(), str(project.root), file)
            self._jobs.run("files", tr("Writing the report"), request, quiet=True)

    def _take(self, job: Job) -> None:
        project = self._session.project
        if job.state == "done" and job.result.get("report"):
            words = tr("The report is in {file}", file=str(job.result["report"]))
            self._session.message.emit(words, "info")
        if job.id != self._asked or not job.is_over:
            return
        self._asked = ""
        if job.state == "done" and project is not None and job.project == str(project.root):
            self.facts = job.result["quality"]
            self.show_facts()
        elif job.state == "failed" and not self.facts:
            self.caption.setText(job.text)

    def _mark_old(self) -> None:
        self._is_old = True

    def _forget(self) -> None:
        self.facts, self._asked, self._is_old = {}, "", True
        self.show_facts()
        self.caption.setText(tr("Figures appear here once images are confirmed."))
        if self.isVisible():
            self.refresh()

    def look_again(self) -> None:
        """The model in force has looked at more images."""
        self._is_old = True
        if self.isVisible():
            self.refresh()

    def showEvent(self, event: object) -> None:
        if self._is_old:
            self.refresh()

    # -- showing

    def show_facts(self) -> None:
        """Fill the panel with the figures that came."""
        facts = self.facts
        images: Sequence[Facts] = facts.get("images", ())
        self.caption.setText(_caption(facts) if images else tr("Nothing is confirmed yet."))
        self._fill_table(facts)
        self.doubtful.clear()
        for doubt in facts.get("suspicious", ()):
            words = tr("{image}: {labelled}, or {predicted}?")
            item = QListWidgetItem(words.format(**doubt))
            item.setData(Qt.ItemDataRole.UserRole, dict(doubt))
            item.setToolTip(tr("The model is sure of it: {n}", n=f"{doubt['doubt']:.2f}"))
            self.doubtful.addItem(item)
        colours = {c.name: c.colour for c in self._session.choices.classes}
        self.confusion.show_counts(facts.get("classes", ()), facts.get("confusion", ()), colours)
        self._show_parts()
        self._show_chart()

    def _show_chart(self) -> None:
        """The measure that is chosen, image by image."""
        images: Sequence[Facts] = self.facts.get("images", ())
        if images and self._chart is None:
            self._chart = QualityChart(lambda key: self.image_asked.emit(key, None))
            self.place.addWidget(self._chart.widget)
        if self._chart is not None:
            measure = MEASURES[max(0, self.measure.currentIndex())]
            self._chart.widget.setVisible(bool(images))
            changes = changes_of(images)
            self._chart.show_points(points_of(images, measure), changes, measure.top)

    def _fill_table(self, facts: Facts) -> None:
        """IoU by class: of drafts that were shown, and of those of blind images."""
        shown, blind = facts.get("iou", {}), (facts.get("blind") or {}).get("iou", {})
        rows = [(n, v, blind.get(n)) for n, v in shown.items() if (v, blind.get(n)) != (None, None)]
        self.table.setColumnCount(3 if blind else 2)
        heads = [tr("class"), tr("IoU shown"), tr("IoU blind")] if blind else [tr("class"), "IoU"]
        self.table.setHorizontalHeaderLabels(heads)
        self.table.setRowCount(len(rows))
        self.table.setFixedHeight(_table_height(len(rows)))
        for row, (name, *scores) in enumerate(rows):
            texts = [
                row_words(name),
                *("–" if score is None else f"{score:.3f}" for score in scores),
            ]
            for column, text in enumerate(texts[: self.table.columnCount()]):
                self.table.setItem(row, column, QTableWidgetItem(text))

    def _open_doubtful(self, item: QListWidgetItem) -> None:
        doubt = item.data(Qt.ItemDataRole.UserRole)
        x, y = int(doubt["x"]), int(doubt["y"])
        box: Box = (x - _AROUND, y - _AROUND, x + _AROUND, y + _AROUND)
        self.image_asked.emit(str(doubt["image"]), box)

    def restyle(self) -> None:
        """The look has changed."""
        if self._chart is not None:
            self._chart.restyle()


def _measure_words() -> list[str]:
    """One for each of MEASURES."""
    return [
        tr("Overlap, image by image (mIoU)"),
        tr("Overlap along outlines (boundary IoU)"),
        tr("Seconds an image"),
        tr("Strokes an image"),
    ]


def _table_height(rows: int) -> int:
    return _TABLE_HEAD + _TABLE_ROW * min(rows, _TABLE_MOST)


def _calm_words(facts: Facts) -> str:
    """That nothing stands out, and among how many, since a label must be compared for that."""
    count, compared = len(facts.get("images", ())), int(facts.get("compared", 0))
    if not compared:
        return tr("No label was compared with the model in force yet.")
    if compared < count:
        words = tr("No label stands out among the {n} of {all} images that were compared.")
        return words.format(n=compared, all=count)
    return tr("No label stands out.")


def _caption(facts: Facts) -> str:
    images = facts["images"]
    parts = [tr("Confirmed: {n}, left: {left}.", n=len(images), left=facts["left"])]
    if facts["seconds_left"] and facts["left"]:
        parts.append(tr("At this pace: {time} more.", time=time_left(facts["seconds_left"])))
    if facts["miou"] is not None:
        words = tr("Drafts you were shown overlap by {score} (mIoU) with what you confirmed.")
        parts.append(words.format(score=f"{facts['miou']:.3f}"))
    blind = facts.get("blind")
    if blind is not None and blind["miou"] is not None:
        words = tr("Blind images: {n}, overlap {score}: what it is when nobody sees the draft.")
        parts.append(words.format(n=blind["images"], score=f"{blind['miou']:.3f}"))
    if facts.get("boxes"):
        words = tr("Rectangles count as boxes: compared with the segments made of them.")
        parts.append(words)
    unchanged = sum(bool(image["unchanged"]) for image in images)
    if unchanged:
        parts.append(tr("Accepted as shown: {n}.", n=unchanged))
    return " ".join(parts)
