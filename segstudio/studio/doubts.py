"""Where the model is unsure: heat over the picture, and a walk from doubt to doubt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QObject, Signal

from segstudio.annotation.bitmap import Box, boxes_meet
from segstudio.annotation.doubt import Region, doubtful_regions
from segstudio.annotation.rasterise import covered
from segstudio.annotation.shape import Shape
from segstudio.project.doubts import DoubtBook, ImageDoubt
from segstudio.studio.canvas.guess import Guess
from segstudio.studio.i18n import tr
from segstudio.studio.open_image import OpenImage
from segstudio.studio.session import Session

_SCORED: Final = 300
"""Images that are looked through for the most doubtful one."""


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
        self._seen: dict[str, list[Box]] = {}
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

        self._session.in_background(work, lambda found: self._show(image, found))

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

    def _show(self, image: OpenImage, found: list[Region] | Exception) -> None:
        self._looking = False
        if isinstance(found, Exception) or self._session.image is not image:
            return
        seen = self._seen.setdefault(image.key, [])
        left = [r for r in found if not any(_holds(box, r.centre) for box in seen)]
        if not left:
            self.region_found.emit(None)
            self._go_on(image.key)
            return
        region = left[0]
        seen.append(region.box)
        drafts = zip(image.document.ids("drafts"), image.document.drafts, strict=True)
        image.desk.select([number for number, draft in drafts if _meets(draft, region.box)])
        self.region_found.emit(region.box)
        words = tr("Doubtful regions left here: {n}. Y accepts, Delete rejects, N goes on.")
        self._session.message.emit(words.format(n=len(left)), "info")

    # -- elsewhere

    def _go_on(self, key: str) -> None:
        """Open the image that is most in doubt of those not finished and not looked at."""
        project, session, book = self._session.project, self._session, self._book
        if project is None or book is None:
            return
        others = [
            k
            for k in project.included()
            if k != key and k not in self._seen and session.state(k) in ("draft", "edited")
        ]
        self._looking = True

        def show(doubts: dict[str, ImageDoubt] | Exception) -> None:
            self._looking = False
            if isinstance(doubts, Exception) or project is not session.project:
                return
            if session.wanted != key:
                return  # the person has gone elsewhere
            worth = [k for k, doubt in doubts.items() if doubt.regions]
            worst = max(worth, key=lambda k: doubts[k].whole, default="")
            if not worst:
                session.message.emit(tr("Nothing doubtful is left."), "info")
                return
            self._arriving = worst
            session.go(worst)

        def is_wanted() -> bool:
            return project is session.project

        session.in_background(lambda: book.of(others[:_SCORED], is_wanted), show)

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
        self._book = DoubtBook(project) if project is not None else None
        self._looking = False
        self._arriving = ""

    def _model(self) -> str:
        """Whose prediction is shown, else the model in force."""
        image, project = self._session.image, self._session.project
        if image is not None and image.drafts.model:
            return image.drafts.model
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


def _holds(box: Box, place: tuple[float, float]) -> bool:
    return box[0] <= place[0] <= box[2] and box[1] <= place[1] <= box[3]


def _meets(shape: Shape, box: Box) -> bool:
    bounds = shape.bounds()
    if bounds is None or not boxes_meet(bounds, box) or shape.bitmap is None:
        return False
    return bool(shape.bitmap.to_array(box).any())
