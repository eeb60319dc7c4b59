"""Reading in the background: projects, pictures, labels, drafts. Answers come to the window."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from PySide6.QtCore import QObject, Signal

from segstudio.errors import UserError
from segstudio.project.project import Project
from segstudio.studio.canvas.picture import Picture
from segstudio.studio.open_image import Loaded, load_drafts

T = TypeVar("T")
_PICTURES_KEPT: Final = 4


class Loader(QObject):
    """Two threads that read; what they bring is handed over on the window's thread."""

    loaded = Signal(object)
    failed = Signal(object, str, str)
    """A project, an image key, and why it cannot be shown."""
    _in_window = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="load")
        self._pictures: dict[str, Future[Picture]] = {}
        self._in_window.connect(lambda task: task())

    def close(self) -> None:
        """Wait for what is being read and end the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def forget(self, key: str | None = None) -> None:
        """Drop one decoded picture, or all."""
        if key is None:
            self._pictures.clear()
        else:
            self._pictures.pop(key, None)

    def in_window(self, act: Callable[[], object]) -> None:
        """Call `act` on the window's thread; may be called on any."""
        self._in_window.emit(act)

    def later(self, work: Callable[[], T], then: Callable[[T | Exception], None]) -> None:
        """Do `work` on a thread, then call `then` with its answer, or its error, in the window."""

        def report(done: Future[T]) -> None:
            if done.cancelled():
                return
            error = done.exception()
            if error is None:
                answer = done.result()
                self.in_window(lambda: then(answer))
            elif isinstance(error, Exception):
                self.in_window(lambda: then(error))

        self._pool.submit(work).add_done_callback(report)

    def load(self, project: Project, key: str, before: Callable[[], object]) -> None:
        """Read an image, after `before` (on the thread); ends in `loaded` or `failed`."""
        picture = self.picture_of(project, key)

        def tell(answer: Loaded | Exception) -> None:
            if isinstance(answer, Exception):
                self.forget(key)
                self.failed.emit(project, key, str(answer))
            else:
                self.loaded.emit(answer)

        def work() -> Loaded:
            before()
            return _load(project, key, picture)

        self.later(work, tell)

    def picture_of(self, project: Project, key: str) -> Future[Picture]:
        """The decoded picture, which may be on its way already; the newest few are kept."""
        known = self._pictures.pop(key, None)
        future = known or self._pool.submit(lambda: Picture(project.read_image(key)))
        self._pictures[key] = future
        while len(self._pictures) > _PICTURES_KEPT:
            self._pictures.pop(next(iter(self._pictures)))
        return future


def _load(project: Project, key: str, picture: Future[Picture]) -> Loaded:
    shown = picture.result()
    file = project.load_label_file(key)
    annotation = file.annotation if file is not None else project.load(key)
    size = (annotation.width, annotation.height)
    if size != (shown.width, shown.height):
        text = f"The label file is for {size[0]}x{size[1]} pixels, the picture has "
        raise UserError(f"{text}{shown.width}x{shown.height}", path=project.label_file(key))
    drafts = load_drafts(project, key, annotation, _model_to_show(project, key))
    if drafts.shapes and not project.read_only:
        project.predictions.mark_shown(drafts.model, key)
    return Loaded(project, key, shown, annotation, drafts, file.repairs if file is not None else ())


def _model_to_show(project: Project, key: str) -> str:
    """What a person has begun to review stays; else the model in force."""
    review = project.reviews.load(key)
    if review is not None and review.shown and project.predictions.has(review.shown, key):
        return review.shown
    current = project.models.current()
    return current.id if current is not None else ""
