"""Where the model is unsure: heat over the picture, and a walk from doubt to doubt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from PySide6.QtCore import QObject, Signal

from segstudio.annotation.bitmap import Box, boxes_meet
from segstudio.annotation.doubt import Region, doubtful_regions
from segstudio.annotation.rasterise import covered
from segstudio.annotation.shape import Shape
from segstudio.project.doubts import DoubtBook
from segstudio.studio.canvas.guess import Guess
from segstudio.studio.i18n import tr
from segstudio.studio.open_image import OpenImage
from segstudio.studio.session import Session

_SCORED: Final = 300
"""Images that are looked through at once for the most doubtful one of them."""
_DRAFTED: Final = ("draft", "edited")
_MEANT: Final = 0.25
"""A draft is accepted or rejected as a whole: it is not selected with a region in which less than
this share of its pixels lies."""


class Doubts(QObject):
    """Heat for the open image, and the next doubtful region: here, then in the other images."""

    heat_made = Signal(object)
    """A canvas.guess.Guess, or None."""
    region_found = Signal(object)
    """The box of a region of the open image, or None."""
    learned = Signal()
    """More is known of what the model in force is unsure of."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.shown = False
        self._session = session
        self._seen: dict[tuple[str, str], list[Box]] = {}
        self._walked: set[tuple[str, str]] = set()
        self._book: DoubtBook | None = None
        self._looking = False
        self._arriving = ""
        session.image_changed.connect(self._on_image)
        session.project_changed.connect(self._forget)

    @property
    def book(self) -> DoubtBook | None:
        """The doubts of the open project."""
        return self._book

    def show_heat(self, shown: bool) -> None:
        self.shown = shown
        self._make_heat()

    def walk(self) -> None:
        """Go to the worst region that was not looked at, else to the most doubtful image."""
        image, project = self._session.image, self._session.project
        model = self._model()
        if image is None or project is None or self._looking:
            return
        if not model:
            self._session.message.emit(tr("No model has looked at this picture yet."), "warn")
            return
        self._looking = True
        shapes, size = tuple(image.document.shapes), image.document.size
        is_done = image.document.confirmed or image.is_blind

        def work() -> list[Region]:
            margin = project.predictions.read_margin(model, image.key)
            if margin is None or margin.shape != size or is_done:
                return []
            return doubtful_regions(margin, covered(shapes, size))

        self._session.in_background(work, lambda found: self._show(image, model, found))

    def learn(self, keys: Sequence[str]) -> None:
        """Images were predicted: work out their doubts, for the choice of the next image."""
        project, book = self._session.project, self._book
        if project is None or book is None:
            return

        def is_wanted() -> bool:
            return project is self._session.project

        def tell(_: object) -> None:
            if is_wanted():
                self.learned.emit()

        self._session.in_background(lambda: book.of(keys, is_wanted), tell)

    # -- here

    def _show(self, image: OpenImage, model: str, found: list[Region] | Exception) -> None:
        self._looking = False
        if isinstance(found, Exception) or self._session.image is not image:
            return
        seen = self._seen.setdefault((model, image.key), [])
        left = [r for r in found if not any(_holds(box, r.centre) for box in seen)]
        if not left:
            # as far as another model's drafts are shown, the one in force has no say here
            self._walked.update({(model, image.key), (self._in_force(), image.key)})
            self.region_found.emit(None)
            self._go_on(image.key)
            return
        region = left[0]
        seen.append(region.box)
        drafts = zip(image.document.ids("drafts"), image.document.drafts, strict=True)
        there = [(number, _share_in(draft, region.box)) for number, draft in drafts]
        meant = [number for number, share in there if share >= _MEANT]
        image.desk.select(meant)
        self.region_found.emit(region.box)
        reach_beyond = any(share > 0 for _, share in there)
        self._session.message.emit(_region_words(len(left), len(meant), reach_beyond), "info")

    # -- elsewhere

    def _go_on(self, key: str) -> None:
        """Open the image that is most in doubt of those not finished and not walked to the end."""
        project, session, book = self._session.project, self._session, self._book
        if project is None or book is None:
            return
        included, model = project.included(), self._in_force()
        others = [
            k
            for k in included
            if k != key and (model, k) not in self._walked and session.state(k) in _DRAFTED
        ]
        unseen = sum(session.state(k) == "none" for k in included)
        self._looking = True

        def is_wanted() -> bool:
            return project is session.project and session.wanted == key

        def show(worst: str | Exception) -> None:
            self._looking = False
            if isinstance(worst, Exception) or not is_wanted():
                return  # or the person has gone elsewhere
            if not worst:
                session.message.emit(_end_words(unseen), "info")
                return
            self._arriving = worst
            session.go(worst)

        session.in_background(lambda: _worst(book, others, model, is_wanted), show)

    # -- following

    def _on_image(self) -> None:
        self.region_found.emit(None)
        self._make_heat()
        image = self._session.image
        if image is not None and self._arriving:
            arrived, self._arriving = self._arriving == image.key, ""
            if arrived:
                self.walk()

    def _forget(self) -> None:
        project = self._session.project
        self._seen.clear()
        self._walked.clear()
        self._book = DoubtBook(project) if project is not None else None
        self._looking = False
        self._arriving = ""

    def _model(self) -> str:
        """Whose prediction is shown, else the model in force."""
        image = self._session.image
        if image is not None and image.drafts.model:
            return image.drafts.model
        return self._in_force()

    def _in_force(self) -> str:
        project = self._session.project
        current = project.models.current() if project is not None else None
        return current.id if current is not None else ""

    def _make_heat(self) -> None:
        image, project, model = self._session.image, self._session.project, self._model()
        hidden = image is None or image.is_blind
        if not self.shown or image is None or hidden or project is None or not model:
            self.heat_made.emit(None)
            return

        def work() -> Guess | None:
            margin = project.predictions.read_margin(model, image.key)
            return None if margin is None else Guess.heat(margin)

        def show(heat: Guess | Exception | None) -> None:
            if self._session.image is image and self.shown:
                self.heat_made.emit(heat if isinstance(heat, Guess) else None)

        self._session.in_background(work, show)


def _worst(book: DoubtBook, keys: Sequence[str], model: str, is_wanted: Callable[[], bool]) -> str:
    """The image most in doubt, "" when none is: of what is known and the first few hundred others
    first, so that a person need not wait for all of a large folder."""
    known = book.known(keys, model)
    rest = [key for key in keys if key not in known]
    parts = [rest[start : start + _SCORED] for start in range(0, len(rest), _SCORED)]
    for part in ([*known, *(parts[0] if parts else [])], *parts[1:]):
        found = book.of(part, is_wanted)
        worth = [key for key, doubt in found.items() if doubt.regions]
        if worth or not is_wanted():
            return max(worth, key=lambda key: found[key].whole, default="")
    return ""


def _region_words(left: int, drafts: int, reach_beyond: bool) -> str:
    """What can be done about a region: a draft is accepted or rejected as a whole."""
    if not drafts and reach_beyond:
        words = tr(
            "Doubtful regions left here: {n}. The drafts in it reach far beyond: paint what is "
            "wrong, or N."
        )
        return words.format(n=left)
    if not drafts:
        words = tr(
            "Doubtful regions left here: {n}. No draft is there: draw what is missing, or N."
        )
        return words.format(n=left)
    words = tr(
        "Doubtful regions left here: {n}. The whole drafts in it are selected: {drafts}. "
        "Y accepts, Delete rejects, N goes on."
    )
    return words.format(n=left, drafts=drafts)


def _end_words(unseen: int) -> str:
    if not unseen:
        return tr("Nothing doubtful is left.")
    return tr(
        "Nothing doubtful is left where the model has looked; {n} image it has not seen yet.|"
        "Nothing doubtful is left where the model has looked; {n} images it has not seen yet.",
        n=unseen,
    )


def _holds(box: Box, place: tuple[float, float]) -> bool:
    return box[0] <= place[0] <= box[2] and box[1] <= place[1] <= box[3]


def _share_in(shape: Shape, box: Box) -> float:
    """The share of a draft's pixels that lie in a box."""
    bounds = shape.bounds()
    if bounds is None or not boxes_meet(bounds, box) or shape.bitmap is None:
        return 0.0
    return float(shape.bitmap.to_array(box).sum()) / max(1, shape.bitmap.area)
