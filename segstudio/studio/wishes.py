"""What needs a question first: opening, new project, training, exporting, settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QMessageBox

from segstudio import __version__
from segstudio.annotation.document import Annotation
from segstudio.errors import UserError
from segstudio.project import recent, sample, settings
from segstudio.project.manifest import Unlabelled
from segstudio.project.models import CARD
from segstudio.project.project import Project
from segstudio.project.rectangles import only_rectangles
from segstudio.project.touching import share_touching
from segstudio.studio import dialogs, theme
from segstudio.studio.i18n import tr
from segstudio.studio.locking import LockedError
from segstudio.studio.work import folder_for_export

if TYPE_CHECKING:
    from segstudio.studio.main_window import MainWindow


class Wishes:
    """Dialogs of the main window; each asks, then tells the session or the work."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        on = window.actions_.on
        acts: dict[str, Callable[[], object]] = {
            "new": self.new_project,
            "open": self.open_any,
            "sample": self.open_sample,
            "import": self.import_labels,
            "export": self.export,
            "settings": self.settings,
            "close": self.close_project,
            "train": self.train,
            "adopt": self.adopt,
            "starter": lambda: self.adopt(sample.starter_folder() / CARD),
            "undo_run": self.undo_run,
            "palette": self.find_action,
            "keys": self.keys,
            "about": self.about,
        }
        for name, act in acts.items():
            on(name, act)
        window.session.changed_outside.connect(self._ask_outside)
        window.session.open_failed.connect(self._not_opened)
        window.start.new_asked.connect(self.new_project)
        window.start.open_asked.connect(self.open_any)
        window.start.sample_asked.connect(self.open_sample)
        window.start.recent_asked.connect(lambda root: self.open(Path(root)))
        window.model.adopt_asked.connect(window.actions_["adopt"].trigger)
        window.model.starter_asked.connect(window.actions_["starter"].trigger)
        window.work.exported.connect(self._show_report)
        window.work.scored.connect(self._show_scores)

    def _say(self, error: Exception) -> None:
        self._window.status.say(str(error), "bad")

    # -- projects

    def open(self, folder: Path, read_only: bool = False) -> None:
        """Open a project; one that another window has can be looked at."""
        self._window.session.open_project(folder, read_only)

    def _not_opened(self, folder: Path, error: Exception) -> None:
        if isinstance(error, LockedError):
            self._offer_read_only(folder, error)
            return
        recent.remove(folder)
        self._window.show_start()
        self._say(error)

    def _offer_read_only(self, folder: Path, error: UserError) -> None:
        box = QMessageBox(self._window)
        box.setWindowTitle("segstudio")
        box.setText(error.message)
        box.setInformativeText(f"{folder}\n{error.remedy}")
        look = box.addButton(tr("Open read-only"), QMessageBox.ButtonRole.AcceptRole)
        box.addButton(tr("Cancel"), QMessageBox.ButtonRole.RejectRole)
        look.clicked.connect(lambda: self.open(folder, read_only=True))
        box.rejected.connect(self._window.show_start)
        box.open()

    def _ask_outside(self, key: str, ours: Annotation) -> None:
        """Two versions of one image: the person says which is right; nothing is lost till then."""
        session = self._window.session
        box = QMessageBox(self._window)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setWindowTitle("segstudio")
        box.setText(tr("{key} was changed by another program while it was open here.", key=key))
        mine = box.addButton(tr("Keep my version"), QMessageBox.ButtonRole.AcceptRole)
        other = box.addButton(tr("Take the other one"), QMessageBox.ButtonRole.DestructiveRole)
        mine.clicked.connect(lambda: session.writing.settle(key, ours))
        other.clicked.connect(lambda: session.writing.settle(key, None))
        box.open()

    def open_any(self) -> None:
        start = str(next(iter(recent.load()), Path.home()))
        words = tr("Open a folder of pictures, Labelme files, or a project")
        chosen = dialogs.ask_folder(self._window, words, start)
        if chosen:
            self.open(Path(chosen))

    def open_sample(self) -> None:
        try:
            self.open(sample.open_copy(sample.sample_place()))
        except (UserError, OSError) as error:
            self._say(error)

    def new_project(self) -> None:
        dialog = dialogs.NewProject(self._window)
        dialog.chosen.connect(self._create)
        dialog.open()

    def _create(self, folder: str, images: str, names: list[str]) -> None:
        try:
            pictures = Path(images) if images else None
            Project.create(Path(folder), images=pictures, classes=names).close()
        except (UserError, OSError) as error:
            self._say(error)
            return
        self.open(Path(folder))

    def close_project(self) -> None:
        if not self._window.session.close_project():
            words = tr("Some work could not be saved; the project stays open.")
            self._window.status.say(words, "bad")

    def import_labels(self) -> None:
        words = tr("A folder with labels: Labelme, VOC, or PNG masks")
        chosen = dialogs.ask_folder(self._window, words)
        if chosen:
            self._window.work.import_labels(chosen)

    # -- learning

    def train(self) -> None:
        project = self._window.session.project
        if project is None:
            return
        from segstudio.networks import choosing  # the window's start does not wait for networks

        confirmed = self._window.session.counts()[0]
        models, current = project.models.all(), project.models.current()
        jobs = self._window.jobs
        situation = choosing.Situation(confirmed, len(project.classes.names))
        busy = bool(self._window.live.job)
        dialog = dialogs.TrainDialog(models, current, situation, self._window, jobs.device, busy)
        dialog.know_machine(jobs.machine())
        dialog.chosen.connect(self._train)
        dialog.open()
        self._ask_rectangles(project, dialog)
        self._notice_touching(project, dialog)
        self._notice_machine(dialog)

    def _notice_machine(self, dialog: dialogs.TrainDialog) -> None:
        """The recommendation goes by memory and weights as they are now, as soon as it can."""
        jobs = self._window.jobs

        def show() -> None:
            dialog.know_machine(jobs.machine())

        told = jobs.device_changed.connect(show)
        dialog.finished.connect(lambda _: jobs.device_changed.disconnect(told))
        jobs.probe()

    def _notice_touching(self, project: Project, dialog: dialogs.TrainDialog) -> None:
        """Where many things touch, another network is recommended."""
        closed: list[int] = []
        dialog.finished.connect(closed.append)

        def show(share: float | Exception) -> None:
            if isinstance(share, float) and not closed:
                dialog.know_touching(share)

        self._window.session.in_background(lambda: share_touching(project), show)

    def _ask_rectangles(self, project: Project, dialog: dialogs.TrainDialog) -> None:
        """When nothing but rectangles is labelled, the dialog asks what they are."""
        known = project.manifest.recipe.get("weak")
        if known is not None:
            dialog.ask_rectangles(str(known))
            return
        closed: list[int] = []
        dialog.finished.connect(closed.append)

        def show(only: bool | Exception) -> None:
            if only is True and not closed:
                dialog.ask_rectangles("boxes")

        self._window.session.in_background(lambda: only_rectangles(project), show)

    def _train(
        self,
        architecture: str,
        start: str,
        minutes: float,
        pretrained: str,
        recipe: str = "",
        rectangles: str | None = None,
    ) -> None:
        if rectangles is not None:  # training by itself goes on in the same way
            self._window.session.set_recipe(weak=rectangles)
        more: dict[str, Any] = {"weights": pretrained} if pretrained else {}
        if recipe:
            more["name"] = recipe
        work = self._window.work
        self._window.live.give_way(lambda: work.train(architecture, start, minutes, **more))
        self._window.tabs.setCurrentWidget(self._window.model)

    def adopt(self, start: Path | None = None) -> None:
        """Ask for a model file, beginning with `start`."""
        project = self._window.session.project
        if project is not None:
            dialog = dialogs.AdoptDialog(project.classes.names, start, self._window)
            dialog.chosen.connect(self._window.work.adopt)
            dialog.open()

    def undo_run(self) -> None:
        """Ask which batch run to take back."""
        project = self._window.session.project
        if project is not None:
            dialog = dialogs.RunsDialog(project.runs.all(), self._window)
            dialog.chosen.connect(self._window.bulk.undo_run)
            dialog.open()

    # -- export

    def export(self) -> None:
        project = self._window.session.project
        if project is not None:
            done, everything = self._window.session.counts()
            place = folder_for_export(project)
            dialog = dialogs.ExportDialog(place, done, everything, self._window)
            dialog.chosen.connect(self._window.work.export)
            dialog.open()

    def _show_report(self, out: str, report: dict[str, object]) -> None:
        dialogs.ReportDialog(out, report, self._window).open()

    def _show_scores(self, scores: dict[str, object]) -> None:
        """Of images it did not learn from where there are such: only those tell what it can do."""
        held = scores.get("validation")
        unseen = held if isinstance(held, dict) else {}
        shown = unseen or scores
        n = shown.get("images", 0)
        words = tr("On the confirmed image:|On all {n} confirmed images:", n=n)
        if unseen:
            words = tr(
                "On {n} image it did not learn from:|On {n} images it did not learn from:", n=n
            )
        box = QMessageBox(self._window)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setWindowTitle(tr("Score of the model in force"))
        box.setText(f"{words}\n{_headline(shown)}")
        about = tr("Rectangles count as boxes: compared with the segments made of them.")
        notes = [about] if scores.get("boxes") else []
        box.setInformativeText("\n".join([_by_class(shown.get("iou")), *notes]))
        box.open()

    # -- program

    def settings(self) -> None:
        window, project = self._window, self._window.session.project
        dialog = dialogs.SettingsDialog(
            settings.load(),
            window.jobs.ready,
            project.manifest if project is not None else None,
            project.disk_use() if project is not None else {},
            window,
        )
        dialog.chosen.connect(self._apply)
        dialog.open()

    def _apply(self, chosen: dict[str, object], unlabelled: Unlabelled | str, blind: float) -> None:
        window = self._window
        before = settings.load()
        settings.save(chosen)
        window.session.writing.autosave = bool(chosen["autosave"])
        window.work.models_kept = int(str(chosen["models_kept"]))
        if chosen["device"] != before["device"]:
            window.jobs.use_device(str(chosen["device"]))
        app = QApplication.instance()
        if isinstance(app, QApplication) and chosen["theme"] != before["theme"]:
            theme.apply(app, str(chosen["theme"]))
            window.restyle()
        if chosen["language"] != (before["language"] or "system"):
            window.status.say(tr("The language changes at the next start."))
        if unlabelled in ("background", "ignore"):
            window.session.set_facts(unlabelled, blind)

    def find_action(self) -> None:
        palette = dialogs.Palette(self._window.actions_.all(), self._window)
        middle = self._window.rect().center()
        place = self._window.mapToGlobal(middle)
        palette.move(place.x() - palette.width() // 2, place.y() - palette.height())
        palette.show()
        palette.field.setFocus()

    def keys(self) -> None:
        dialogs.KeysDialog(self._window.actions_.all(), self._window).show()

    def about(self) -> None:
        words = tr(
            "segstudio {version}\n\nDraw a few, let the model fill the rest, correct it, and it "
            "learns. Apache-2.0; Qt is used under the LGPL.",
            version=__version__,
        )
        QMessageBox.about(self._window, "segstudio", words)

    def keep_layout(self) -> None:
        """Remember where the parts are."""
        try:
            settings.save({"layout": self._window.layout_state()})
        except OSError as error:
            self._say(error)


def _headline(scores: Mapping[str, object]) -> str:
    """The scores over all classes in one line."""
    named = ("mIoU", "miou"), ("AP", "ap"), ("AP50", "ap50")
    found = [(name, scores.get(key)) for name, key in named]
    return " · ".join(f"{name} {value:.3f}" for name, value in found if isinstance(value, float))


def _by_class(iou: object) -> str:
    """IoU of each class in a line of its own."""
    rows = iou.items() if isinstance(iou, dict) else ()
    return "\n".join(f"{name}: {'–' if s is None else format(s, '.3f')}" for name, s in rows)
