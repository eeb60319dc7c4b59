"""Long work a person asks for: segment, train, export, import, adopt, score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from segstudio.engine import protocol as p
from segstudio.project.models import ModelInfo
from segstudio.project.project import Project
from segstudio.studio.class_words import source_words
from segstudio.studio.i18n import tr
from segstudio.studio.jobs import Job, Jobs
from segstudio.studio.session import Session
from segstudio.studio.training import TrainingLog

_GATHER = 250
"""Milliseconds over which finished images are gathered before the list is refreshed."""


class Work(QObject):
    """Turns wishes into jobs, and what jobs bring into the session."""

    models_changed = Signal()
    exported = Signal(str, dict)
    scored = Signal(dict)
    finished = Signal(object)

    def __init__(
        self, session: Session, jobs: Jobs, log: TrainingLog, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._session, self._jobs, self._log = session, jobs, log
        self.models_kept = 5
        self._model: tuple[ModelInfo | None] | None = None
        self._fresh: set[str] = set()
        self._gather = QTimer(self, singleShot=True, interval=_GATHER)
        self._gather.timeout.connect(self._show_fresh)
        self._over: set[str] = set()
        jobs.told.connect(self._take)
        jobs.changed.connect(self._after)
        jobs.trouble.connect(lambda why: session.message.emit(why, "bad"))

    # -- why not

    def no_segment(self) -> str:
        """Why nothing can be segmented now, or "" when it can."""
        project = self._session.project
        if project is None:
            return tr("Open a project first.")
        if project.read_only:
            return tr("This project is open read-only.")
        if self.model() is None:
            return self.no_model()
        if any(not job.quiet for job in self._jobs.running("predictor")):
            return tr("The folder is being segmented.")
        return ""

    def no_model(self) -> str:
        """Why there is no model to use, or ""."""
        project = self._session.project
        if self.model() is not None or project is None:
            return ""
        if project.models.all():
            return tr("No model is in force: choose one in the tab Model, or go on training.")
        return tr(
            "There is no model yet: label an image or two, then press Train, or add one of "
            "your own, or the nuclei model that comes along, in the menu Model."
        )

    def no_train(self, besides: str = "") -> str:
        """Why nothing can be trained now, or ""; a job of id `besides` is not in the way."""
        project = self._session.project
        if project is None:
            return tr("Open a project first.")
        if project.read_only:
            return tr("This project is open read-only.")
        if any(job.id != besides for job in self._jobs.running("trainer")):
            return tr("A model is being trained.")
        if not self._session.has_labels() or not len(project.classes):
            return tr("Label at least one image first.")
        return ""

    def model(self) -> ModelInfo | None:
        """The model in force, else the only one there is unless it was not good enough; read once
        until something changes."""
        if self._model is None:
            project = self._session.project
            self._model = (project.models.default() if project is not None else None,)
        return self._model[0]

    def forget_models(self) -> None:
        """The project's models have changed."""
        self._model = None

    # -- jobs

    def segment(
        self,
        keys: Sequence[str] | None = None,
        quiet: bool = False,
        spare: bool = False,
        thorough: bool = False,
    ) -> Job | None:
        """Predict these images, by default all that are not confirmed; `quiet` without a word,
        `spare` when nothing else is to be done, `thorough` with more care."""
        project, model = self._session.project, self.model()
        ready = self._session.ensure_written if quiet else self._ready
        if project is None or model is None or not ready():
            return None
        if project.models.current() is None:
            project.models.promote(model.id)
            self.models_changed.emit()
        single = keys is not None and len(keys) == 1
        if keys is None:
            keys = [k for k in project.included() if self._session.state(k) != "confirmed"]
        wanted = tuple(key for key in keys if key not in self._session.problems)
        looked_at = single or (quiet and not spare)  # by somebody, next
        title = tr("Segmenting this image") if single else tr("Segmenting")
        if thorough:
            title = tr("Segmenting thoroughly")
        request = p.Segment(
            self._jobs.new_id(),
            str(project.root),
            model.id,
            wanted,
            self._jobs.device,
            as_run=not quiet and not single,
            ahead=quiet,
            spare=spare,
            care="thorough" if thorough else "careful" if looked_at else "quick",
        )
        return self._jobs.run("predictor", title, request, len(wanted), quiet=quiet or single)

    def train(
        self,
        architecture: str | None,
        start: str | None,
        minutes: float | None,
        *,
        title: str = "",
        resume: bool = False,
        **more: Any,
    ) -> Job | None:
        """Train a candidate; `start` is a model's id, "" for scratch, None for the one in force.

        `more` goes to the recipe; with `resume` a run that was cut off goes on.
        """
        project = self._session.project
        if project is None or not self._ready():
            return None
        self._log.clear()
        request = p.Train(
            self._jobs.new_id(),
            str(project.root),
            architecture or None,
            minutes,
            start,
            more,
            self._jobs.device,
            resume,
        )
        return self._jobs.run("trainer", title or tr("Training"), request)

    def export(self, form: str, out: str, only_confirmed: bool) -> Job | None:
        project = self._session.project
        if project is None or not self._session.writing.now():
            return None
        keys = project.included()
        if only_confirmed:
            keys = [key for key in keys if self._session.state(key) == "confirmed"]
        request = p.Export(self._jobs.new_id(), str(project.root), out, form, tuple(keys))
        return self._jobs.run("files", tr("Exporting"), request, len(keys))

    def import_labels(self, source: str) -> Job | None:
        project = self._session.project
        if project is None or not self._ready():
            return None
        request = p.Import(self._jobs.new_id(), str(project.root), source)
        return self._jobs.run("files", tr("Importing"), request)

    def adopt(self, file: str, architecture: str, mapping: dict[str, str]) -> Job | None:
        project = self._session.project
        if project is None or not self._ready():
            return None
        table = self._session.choices.classes
        for name in (name for name in mapping.values() if name):
            table = table.with_class(name)
        if table != self._session.choices.classes:
            self._session.choices.set_classes(table)
        request = p.Adopt(
            self._jobs.new_id(), str(project.root), file, mapping, architecture or None
        )
        return self._jobs.run("predictor", tr("Adding the model"), request)

    def evaluate(self) -> Job | None:
        project, model = self._session.project, self.model()
        if project is None or model is None or not self._session.writing.now():
            return None
        request = p.Evaluate(self._jobs.new_id(), str(project.root), model.id, self._jobs.device)
        return self._jobs.run("predictor", tr("Scoring"), request)

    def promote(self, model_id: str) -> None:
        """Put a model in force, or, with "", none."""
        if not model_id:
            if self._session.try_(lambda p: p.models.retire()):
                self._after_model(tr("No model is in force: guesses go on."))
        elif self._session.try_(lambda p: p.models.promote(model_id)):
            self._after_model(tr("Model {name} is in force.", name=source_words(model_id)))

    def roll_back(self) -> None:
        project = self._session.project
        before = project.models.previous() if project is not None else None
        if before is None:
            self._session.message.emit(tr("There is no model before this one."), "warn")
        elif self._session.try_(lambda p: p.models.roll_back()):
            again = tr("Model {name} is in force again.", name=source_words(before))
            self._after_model(again if before else tr("No model is in force: guesses go on."))

    def pin(self, model_id: str, pinned: bool) -> None:
        project = self._session.project
        if project is not None and self._session.try_(lambda p: p.models.pin(model_id, pinned)):
            self.models_changed.emit()

    def free_space(self) -> None:
        """Remove old models that nothing holds, predictions that nobody saw, and undo histories."""
        project = self._session.project
        if project is None or project.read_only:
            return
        gone, freed = self._prune(project)
        freed += self._session.writing.forget_histories()
        words = tr(
            "{n} model removed, {mb} MB of predictions and undo history freed|"
            "{n} models removed, {mb} MB of predictions and undo history freed",
            n=len(gone),
            mb=round(freed / 1e6, 1),
        )
        self._session.message.emit(words, "info")
        self.models_changed.emit()

    def stop_all(self, root: str) -> None:
        """The project is being closed: nothing goes on working on it."""
        for job in self._jobs.running():
            if job.project == root:
                self._jobs.cancel(job.id)

    def _prune(self, project: Project) -> tuple[list[str], int]:
        gone = project.models.prune(self.models_kept)
        # of the model before too: who rolls back finds its drafts again
        kept = {project.models.previous(), *(m.id for m in (project.models.current(),) if m)}
        return gone, project.predictions.prune_unseen(name for name in kept if name)

    def _ready(self) -> bool:
        """Whether the project is ours and all that was drawn is on the disk."""
        return self._session.ensure_written() and self._session.writing.now()

    def _is_here(self, job_id: str) -> bool:
        """Whether a job works on the project that is open now."""
        job, project = self._jobs.jobs.get(job_id), self._session.project
        return job is not None and project is not None and job.project == str(project.root)

    # -- what comes back

    def _take(self, event: p.Message) -> None:
        job_id = getattr(event, "job", "")
        if job_id and not self._is_here(job_id):
            return
        self._log.take(event)
        match event:
            case p.ImageDone():
                self._fresh.add(event.image)
                if not self._gather.isActive():
                    self._gather.start()
            case p.ModelSaved():
                self._model_saved(event)
            case p.Log():
                self._session.message.emit(event.text, "info")

    def _show_fresh(self) -> None:
        """Finished predictions: their states, and drafts on the open image if it has none."""
        fresh, self._fresh = self._fresh, set()
        self._session.refresh_states(fresh)
        image = self._session.image
        if image is not None and image.key in fresh:
            self._session.reviewing.show_newest_drafts(only_if_untouched=True)

    def _model_saved(self, event: p.ModelSaved) -> None:
        project = self._session.project
        if project is None:
            return
        if event.promoted:
            self._prune(project)
        else:
            project.models.prune(self.models_kept, only_unproven=True)
        tail = tr(" Worse now: {what}.", what=", ".join(event.worse[:4])) if event.worse else ""
        words = _against_guesses(event) or f"{event.reason.rstrip('.')}."
        self._after_model(f"{words}{tail}")

    def _after_model(self, words: str) -> None:
        self.models_changed.emit()
        self._session.refresh_all_states()
        self._session.message.emit(words, "info")

    def _after(self, job: Job) -> None:
        if not job.is_over or job.id in self._over:
            return
        self._over.add(job.id)
        if not self._is_here(job.id):
            return
        if job.state == "failed":
            self._session.message.emit(f"{job.title}: {job.text}", "bad")
        elif job.state == "cancelled" and not job.quiet:
            self._session.message.emit(tr("{what}: cancelled.", what=job.title), "info")
        elif job.state == "done" and not job.quiet:
            self._say_done(job)
        self.finished.emit(job)

    def _say_done(self, job: Job) -> None:
        if job.failures:
            words = tr(
                "{what}: {n} image could not be done, because {why}|"
                "{what}: {n} images could not be done, the first because {why}",
                what=job.title,
                n=len(job.failures),
                why=job.failures[0][1],
            )
            self._session.message.emit(words, "warn")
        request = job.result
        if job.role == "files" and "out" in request:
            self.exported.emit(str(request["out"]), dict(request))
        elif job.request == "Import":
            self._session.reopen()
        elif job.request == "Evaluate":
            self.scored.emit(dict(request))
        elif job.role == "predictor" and not job.failures:
            self.models_changed.emit()
            words = tr("{what}: done.", what=job.title)
            if request.get("run"):
                tail = tr("It is run {n}: Model › Undo a run … takes it back.", n=request["run"])
                words = f"{words} {tail}"
            self._session.message.emit(words, "info")


def _against_guesses(event: p.ModelSaved) -> str:
    """What a first model that was not better than the guesses means; "" for any other."""
    if event.promoted or event.guesses is None:
        return ""
    return tr(
        "Not yet better than the guesses, which go on: mIoU {new} against {old} on {n} image. "
        "More confirmed images help.|"
        "Not yet better than the guesses, which go on: mIoU {new} against {old} on {n} images. "
        "More confirmed images help.",
        new=f"{event.scores.get('miou') or 0.0:.2f}",
        old=f"{event.guesses:.2f}",
        n=int(event.scores.get("images", 0)),
    )


def folder_for_export(project: Project, form: str = "masks") -> Path:
    """A folder under `exports/` that is not there yet."""
    number = 1
    while (place := project.root / "exports" / f"{form}-{number}").exists():
        number += 1
    return place
