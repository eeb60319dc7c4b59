"""Reading in the background: projects, pictures, labels, drafts. Answers come to the window."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from PySide6.QtCore import QObject, Qt, Signal

from segstudio.errors import UserError
from segstudio.project.frames import FRAME_BEFORE
from segstudio.project.index import stamp
from segstudio.project.project import Project
from segstudio.studio.canvas.picture import Picture, halved
from segstudio.studio.canvas.tiled import TiledPicture
from segstudio.studio.i18n import tr
from segstudio.studio.open_image import Loaded, keep_shown, load_drafts, make_desk

T = TypeVar("T")
_PICTURES_KEPT: Final = 4
_PREVIEW_SIDE: Final = 1400


class Loader(QObject):
    """Two threads that read, and one for the tiles of large pictures; what they bring is handed
    over on the window's thread."""

    loaded = Signal(object)
    failed = Signal(object, str, str)
    """A project, an image key, and why it cannot be shown."""
    sketched = Signal(object, str, object)
    """A project, an image key, and its picture: a large one, whose labels may take longer."""
    told = Signal(str)
    """Something that is wrong with a picture that is shown all the same."""
    _in_window = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="load")
        self._tile_pool = ThreadPoolExecutor(1, thread_name_prefix="tiles")
        self._pictures: dict[str, Future[Picture]] = {}
        self._at_work: set[TiledPicture] = set()
        self._next: _Ahead | None = None
        self._closed = False
        self.waits: Callable[[Project, str], bool] = lambda project, key: False
        """Whether no model's drafts are to be shown yet, because others may come."""
        # queued: what was done before anybody asked must not be told before the asker goes on
        self._in_window.connect(self._act, Qt.ConnectionType.QueuedConnection)

    def _act(self, task: Callable[[], object]) -> None:
        task()

    def close(self) -> None:
        """Wait for what is being read and end the threads."""
        self._closed = True
        self.forget()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._tile_pool.shutdown(wait=True, cancel_futures=True)

    def forget(self, key: str | None = None) -> None:
        """Drop one decoded picture, or all."""
        self._next = None
        for known in list(self._pictures) if key is None else [key]:
            _let_go(self._pictures.pop(known, None))

    def in_window(self, act: Callable[[], object]) -> None:
        """Call `act` on the window's thread; may be called on any."""
        self._in_window.emit(act)

    def later(self, work: Callable[[], T], then: Callable[[T | Exception], None]) -> None:
        """Do `work` on a thread, then call `then` with its answer, or its error, in the window."""
        self._submit(self._pool, work, then)

    def _submit(
        self,
        pool: ThreadPoolExecutor,
        work: Callable[[], T],
        then: Callable[[T | Exception], None],
    ) -> None:
        def report(done: Future[T]) -> None:
            if done.cancelled():
                return
            error = done.exception()
            if error is None:
                answer = done.result()
                self.in_window(lambda: then(answer))
            elif isinstance(error, Exception):
                self.in_window(lambda: then(error))

        pool.submit(work).add_done_callback(report)

    def load(
        self, project: Project, key: str, before: Callable[[], object], number: int = 0
    ) -> None:
        """Read an image, after `before` (on the thread); ends in `loaded`, with that number, or
        `failed`."""
        picture = self.picture_of(project, key)
        ahead, self._next = self._next, None

        def tell(answer: Loaded | Exception) -> None:
            if isinstance(answer, CancelledError):
                return  # its picture was let go: the person has gone on
            if isinstance(answer, Exception):
                self.forget(key)
                self.failed.emit(project, key, str(answer))
            else:
                self.loaded.emit(answer)

        def work() -> Loaded:
            before()
            model = self._model_to_show(project, key)
            read = project.predictions.stamps(model, key)
            loaded = ahead.take(project, key, model) if ahead is not None else None
            if loaded is None:
                loaded = _load(project, key, picture, model)
            if not project.read_only:
                keep_shown(project, key, loaded.drafts)
                if project.predictions.stamps(model, key) != read:
                    # replaced by a better one meanwhile: that is what was kept
                    loaded = _load(project, key, picture, model)
                    keep_shown(project, key, loaded.drafts)
            return replace(loaded, number=number)

        self.later(work, tell)

    def read_ahead(self, project: Project, key: str) -> None:
        """Read an image that will probably be asked for next."""
        picture = self.picture_of(project, key)

        def work() -> tuple[object, Loaded]:
            model = self._model_to_show(project, key)
            return _state_of(project, key, model), _load(project, key, picture, model)

        self._next = _Ahead(project, key, self._pool.submit(work))

    def _model_to_show(self, project: Project, key: str) -> str:
        """What a person has begun to review stays, as do labels carried along that he has seen;
        else the model in force, and such labels where it has predicted nothing."""
        review, has = project.reviews.load(key), project.predictions.has
        if review is not None and review.shown and has(review.shown, key):
            return review.shown
        current, waits = project.models.current(), self.waits(project, key)
        model = current.id if current is not None and not waits else ""
        if not has(FRAME_BEFORE, key):
            return model
        seen = project.predictions.paths(FRAME_BEFORE, key).shown.exists()
        return model if not seen and (waits or has(model, key)) else FRAME_BEFORE

    @property
    def has_read_ahead(self) -> bool:
        """Whether nothing more is being read for later."""
        ahead = self._next is None or self._next.read.done()
        return ahead and all(picture.done() for picture in self._pictures.values())

    def picture_of(self, project: Project, key: str) -> Future[Picture]:
        """The picture, which may be on its way already; the newest few are kept."""
        known = self._pictures.pop(key, None)
        self._pictures[key] = future = known or self._pool.submit(lambda: self._read(project, key))
        if known is None:  # it may be read already: then this is called at once
            future.add_done_callback(
                lambda done: self.in_window(lambda: self._complete(project, key, done))
            )
        kept = 1 if project.is_large(key) else _PICTURES_KEPT
        while len(self._pictures) > kept:
            _let_go(self._pictures.pop(next(iter(self._pictures))))
        return future

    # -- pictures of any size

    def _read(self, project: Project, key: str) -> Picture:
        """On a thread: the picture, or what can be shown of a large one for now."""
        if not project.is_large(key):
            return Picture.of(project.read_image(key))
        tiles = project.tiles(key)
        if tiles is not None:
            return TiledPicture(tiles, self._feed)
        small = project.preview(key, _PREVIEW_SIDE)
        if small is None:
            return Picture.of(project.read_image(key))
        return Picture.preview(*project.image_size(key), small)

    def _complete(self, project: Project, key: str, read: Future[Picture]) -> None:
        """Bring the rest of a picture of which little is there yet, unless it was let go."""
        if self._closed or self._pictures.get(key) is not read or read.exception() is not None:
            return
        picture = read.result()
        if project.is_large(key):
            self.sketched.emit(project, key, picture)
        if isinstance(picture, TiledPicture):
            self._feed(picture)
        elif not picture.is_whole:
            self._sharpen(project, key, picture)

    def _sharpen(self, project: Project, key: str, picture: Picture) -> None:
        """Bring all of a picture of which a small copy is shown."""

        def show(answer: object) -> None:
            if isinstance(answer, list):
                picture.complete(answer)
            else:
                self.forget(key)
                self.failed.emit(project, key, str(answer))

        self.later(lambda: halved(project.read_image(key)), show)

    def _feed(self, picture: TiledPicture) -> None:
        """Read tiles one after the other, as long as the picture asks for some."""
        if picture in self._at_work or self._closed:
            return
        self._at_work.add(picture)

        def take(answer: Callable[[], None] | Exception | None) -> None:
            self._at_work.discard(picture)
            if isinstance(answer, Exception) or answer is None:
                return  # closed, or all is there
            answer()
            damaged = picture.newly_damaged()
            if damaged:
                self.told.emit(
                    tr(
                        "{file}: tiles that cannot be read: {count}",
                        file=picture.name,
                        count=damaged,
                    )
                )
            self._feed(picture)

        self._submit(self._tile_pool, picture.work, take)


@dataclass(frozen=True, slots=True)
class _Ahead:
    """An image read before it was asked for, with the state its files had then."""

    project: Project
    key: str
    read: Future[tuple[object, Loaded]]

    def take(self, project: Project, key: str, model: str) -> Loaded | None:
        """On a thread: what was read, unless it is another image, or not so any more."""
        if (project, key) != (self.project, self.key) or self.read.cancel():
            return None
        if self.read.exception() is not None:
            return None  # read again, and then it is said
        state, loaded = self.read.result()
        return loaded if state == _state_of(project, key, model) else None


def _let_go(future: Future[Picture] | None) -> None:
    """The picture is not needed any more."""
    if future is not None and not future.cancel():
        future.add_done_callback(_close)


def _close(future: Future[Picture]) -> None:
    picture = future.result() if future.exception() is None else None
    if isinstance(picture, TiledPicture):
        picture.close()


def _load(project: Project, key: str, picture: Future[Picture], model: str) -> Loaded:
    round = project.label_round
    file = project.load_label_file(key)
    annotation = file.annotation if file is not None else project.load(key)
    drafts = load_drafts(project, key, annotation, model)
    desk = make_desk(annotation, drafts)
    shown = picture.result()
    size = (annotation.width, annotation.height)
    if size != (shown.width, shown.height):
        text = f"The label file is for {size[0]}x{size[1]} pixels, the picture has "
        raise UserError(f"{text}{shown.width}x{shown.height}", path=project.label_file(key))
    repairs = file.repairs if file is not None else ()
    history = project.histories.open(key, desk.document)
    return Loaded(project, key, shown, annotation, drafts, desk, history, repairs, round)


def _state_of(project: Project, key: str, model: str) -> object:
    """Equal as long as `_load` would bring the same."""
    paths = project.predictions.paths(model, key) if model else None
    shown = (paths.label, paths.conf) if paths else ()
    files = (*shown, project.reviews.path(key), project.histories.path(key))
    return model, project.manifest, project.label_stamp(key), tuple(map(stamp, files))
