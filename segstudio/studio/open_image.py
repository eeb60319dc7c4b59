"""The image on the canvas: its picture, its document, and what happened to its drafts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from segstudio.annotation import components
from segstudio.annotation.bitmap import Bitmap, Box, boxes_meet, union_boxes
from segstudio.annotation.document import Annotation, Change, Document, Edit, Splice
from segstudio.annotation.idmap import IdMap
from segstudio.annotation.rasterise import draw_ids
from segstudio.annotation.shape import Shape
from segstudio.project import blind
from segstudio.project.classes import ClassTable
from segstudio.project.history import History
from segstudio.project.project import Project
from segstudio.project.reviews import Review
from segstudio.studio.canvas.picture import Picture
from segstudio.studio.guesses import Guesses
from segstudio.tools import Desk

_VIEW = (1600, 1000)
"""Pixels of a usual canvas: what it shows of a picture at first is drawn before."""
_PAUSE = 30.0
"""Seconds without an edit after which a person counts as away."""


@dataclass(frozen=True, slots=True)
class Drafts:
    """A model's prediction as drafts, with the names by which reviews remember them; of a `blind`
    image they are kept from sight, and there are none.

    `offered`: what the model found is seen, be it that there is nothing; not so when a person had
    labelled all of it before.
    """

    model: str = ""
    shapes: tuple[Shape, ...] = ()
    names: tuple[str, ...] = ()
    blind: bool = False
    offered: bool = False


def draft_name(shape: Shape) -> str:
    """What tells a draft from all others of its prediction: class, place and size."""
    box = shape.bounds() or (0, 0, 0, 0)
    area = shape.bitmap.area if shape.bitmap is not None else 0
    return f"{shape.class_name}:{','.join(map(str, box))}:{area}"


def now(names: Iterable[str], classes: ClassTable) -> tuple[str, ...]:
    """Names of drafts with their classes as they are called now."""
    parts = (str(name).rsplit(":", 2) for name in names)
    return tuple(":".join((classes.now(head), *tail)) for head, *tail in parts)


def load_drafts(project: Project, key: str, annotation: Annotation, model: str) -> Drafts:
    """The drafts of `model` still pending: neither reviewed nor under a person's shapes."""
    found = project.predictions.read(model, key) if model else None
    if annotation.is_confirmed:
        return Drafts()
    usable = found is not None and found[0].shape == annotation.size
    if project.is_blind(key):
        return Drafts(model if usable else "", blind=True)
    if found is None or not usable:
        return Drafts()
    review = project.reviews.load(key)
    done = set()
    if review is not None and review.shown == model:
        done = {*now(review.accepted, project.classes), *now(review.rejected, project.classes)}
    instances = project.predictions.read_instances(model, key)
    names = project.classes.by_value
    parts = components.of_prediction(*found, instances, names, model, annotation.shapes)
    named = [(draft_name(shape), shape) for shape in parts]
    named = [(name, shape) for name, shape in named if name not in done]
    clipped = clip_to_free([s for _, s in named], annotation.shapes, annotation.width)
    kept = [(n, s) for (n, _), s in zip(named, clipped, strict=True) if s.bitmap]
    shown = tuple(s for _, s in kept)
    return Drafts(model, shown, tuple(n for n, _ in kept), offered=bool(kept) or not parts)


def keep_shown(project: Project, key: str, drafts: Drafts) -> None:
    """What is shown of a prediction, or would be of a blind image, stays as it is from now on."""
    if drafts.blind and drafts.model:
        blind.freeze(project, key, drafts.model)
    elif drafts.offered:
        project.predictions.mark_shown(drafts.model, key)


def clip_to_free(drafts: Sequence[Shape], shapes: Sequence[Shape], width: int) -> list[Shape]:
    """Drafts (masks) without the pixels that `shapes` cover on a picture this wide."""
    area: Box | None = None
    for draft in drafts:
        area = union_boxes(area, draft.bounds())
    near = [s for s in shapes if area is not None and _meets(s, area)]
    if area is None or not near:
        return list(drafts)
    _, top, right, bottom = area
    covered = draw_ids(near, [1] * len(near), (0, top, max(width, right), bottom), "L") > 0
    return [_without(draft, covered, top) for draft in drafts]


def _without(draft: Shape, covered: NDArray[np.bool_], top: int) -> Shape:
    """A draft without the pixels of a strip that begins at row `top`."""
    box = draft.bounds()
    if box is None or draft.bitmap is None:
        return draft
    x0, y0, x1, y1 = box
    part = covered[y0 - top : y1 - top, x0:x1]
    if not part.any():
        return draft
    left = draft.bitmap.to_array(box) & ~part
    return replace(draft, bitmap=Bitmap.from_array(left, x0, y0))


def _meets(shape: Shape, box: Box) -> bool:
    bounds = shape.bounds()
    return bounds is not None and boxes_meet(bounds, box)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the loader brings: everything to show an image of a project."""

    project: Project
    key: str
    picture: Picture
    annotation: Annotation
    drafts: Drafts
    desk: Desk
    history: History
    repairs: tuple[str, ...] = ()
    round: int = 0
    """How often label files had been changed behind our back when this was read."""
    number: int = 0
    """Of the request that this answers."""


def make_desk(annotation: Annotation, drafts: Drafts) -> Desk:
    """A desk with the document; may be made on any thread, and then its first view is drawn."""
    document = Document(annotation, drafts.shapes)
    idmap = IdMap(document)
    document.listeners.append(idmap.update)
    height, width = document.size
    step = 1
    while max(width / _VIEW[0], height / _VIEW[1]) >= 2 * step:
        step *= 2
    if document.shapes or document.drafts:
        idmap.prepare(step)
    return Desk(document, idmap)


@dataclass(slots=True)
class OpenImage:
    """An image being worked on. `desk` holds its document; time and strokes are counted here."""

    key: str
    picture: Picture
    desk: Desk
    drafts: Drafts
    history: History
    repairs: tuple[str, ...] = ()
    strokes: int = 0
    _seconds: float = 0.0
    _confirmed_at: float = 0.0
    _last_edit: float = field(default_factory=time.monotonic)
    _accepted: set[int] = field(default_factory=set)
    _gave_way: set[int] = field(default_factory=set)
    _past: Review | None = None
    _before: Review | None = None
    guessed: Guesses | None = None
    """What round 0 shows of the pixels that nobody labelled: drafts that every stroke changes."""

    @classmethod
    def of(cls, loaded: Loaded, past: Review | None) -> OpenImage:
        document, classes = loaded.desk.document, loaded.project.classes
        if past is not None:
            accepted, rejected = now(past.accepted, classes), now(past.rejected, classes)
            past = replace(past, accepted=accepted, rejected=rejected)
        image = cls(
            loaded.key,
            loaded.picture,
            loaded.desk,
            loaded.drafts,
            loaded.history,
            loaded.repairs,
            _seconds=loaded.annotation.seconds,
            _past=past if past is not None and past.shown == loaded.drafts.model else None,
            _before=past,
        )
        document.listeners.append(image._count)
        image.desk.read_pixels = image.pixels
        return image

    def pixels(self, box: Box) -> NDArray[np.uint8] | None:
        """The picture inside a box, for tools; the picture may be another after a return."""
        return self.picture.pixels(box)

    @property
    def is_blind(self) -> bool:
        """Whether what the model thinks of it is hidden now."""
        return self.drafts.blind and not self.document.confirmed

    @property
    def document(self) -> Document:
        return self.desk.document

    def annotation(self) -> Annotation:
        """What is to be saved now."""
        return replace(
            self.document.annotation,
            shapes=tuple(self.document.shapes),
            confirmed=self.document.confirmed,
            foreign=False,
            seconds=round(self._seconds, 1),
        )

    def looked_at_again(self) -> None:
        """It was left, and comes back: the time in between was another image's."""
        self._last_edit = time.monotonic()

    def _count(self, change: Change) -> None:
        now = time.monotonic()
        self._seconds += min(now - self._last_edit, _PAUSE)
        self._last_edit = now
        if self.document.is_live or not change.is_edit:
            return
        self.strokes += 1
        # a stroke that ends has changed the document before: only its step says how
        splices = change.splices or (change.step[1].splices if change.step is not None else ())
        came = any(s.layer == "shapes" and s.inserted for s in splices)
        for splice in splices:
            if splice.layer == "drafts" and came:
                self._accepted.update(id(shape) for shape in splice.removed)

    def _when_confirmed(self, past: Review) -> float:
        if not self.document.confirmed:
            self._confirmed_at = 0.0
        elif not self._confirmed_at:
            self._confirmed_at = past.confirmed_at or round(time.time(), 1)
        return self._confirmed_at

    def show_drafts(self, drafts: Drafts) -> None:
        """Another prediction in place of the one shown."""
        self.drafts = drafts
        self._accepted.clear()
        self._gave_way.clear()
        self._past = None
        self.document.set_drafts(drafts.shapes)

    @property
    def guesses(self) -> tuple[Shape, ...]:
        """What is guessed and not among the shapes yet."""
        return self.guessed.left(self.document.shapes) if self.guessed is not None else ()

    @property
    def has_offers(self) -> bool:
        """Whether anything waits to be accepted, a draft or a guess."""
        return bool(self.document.drafts) or self.has_guesses

    @property
    def has_guesses(self) -> bool:
        return self.guessed is not None and self.guessed.is_any_left(self.document.shapes)

    @property
    def offered(self) -> list[Shape]:
        """All that waits to be accepted."""
        return [*self.document.drafts, *self.guesses]

    def rejected(self) -> list[Shape]:
        """The drafts that were dropped since the image was opened."""
        pending = {id(shape) for shape in self.document.drafts}
        gone = (shape for shape in self.drafts.shapes if id(shape) not in pending)
        return [s for s in gone if id(s) not in self._accepted and id(s) not in self._gave_way]

    def make_way(self) -> None:
        """Guesses that the image opened with make way for those that follow the strokes, which is
        part of the last step; after an undo they stay, or what was undone could not be redone."""
        document = self.document
        waiting = document.drafts
        if self.drafts.model or not waiting or not document.shapes:
            return
        steps = (edit for row in document.history for edit in row)
        if not any(splice.layer == "drafts" for edit in steps for splice in edit.splices):
            self.show_drafts(Drafts())
        elif document.undo_name and not document.redo_name and not document.is_live:
            self._gave_way.update(id(shape) for shape in waiting)
            document.amend(self._removal(range(len(waiting) - 1, -1, -1)))

    def accept_edit(self, chosen: Sequence[Shape], name: str, confirm: bool = False) -> Edit:
        """Drafts and guesses become shapes under all human work, without the pixels taken since.

        With `confirm` the same step marks the image as done.
        """
        document = self.document
        gone = self._places(chosen)
        wanted = {id(shape) for shape in chosen}
        drafts = [document.drafts[index] for index in reversed(gone)]
        guesses = [shape for shape in self.guesses if id(shape) in wanted]
        taken = clip_to_free([*drafts, *guesses], document.shapes, document.size[1])
        shapes = tuple(s for s in taken if s.bitmap)
        if self.guessed is not None:
            for guess, shape in zip(guesses, taken[len(drafts) :], strict=True):
                self.guessed.take(guess, shape)
        added = (Splice("shapes", 0, (), shapes),) if shapes else ()
        status = (document.confirmed, True) if confirm else None
        return Edit(name, (*self._removal(gone), *added), status)

    def reject_edit(self, chosen: Sequence[Shape], name: str) -> Edit:
        """Drafts go, whatever had become of them before that was undone."""
        again = {id(shape) for shape in chosen}
        self._accepted -= again
        self._gave_way -= again
        return Edit(name, self._removal(self._places(chosen)))

    def _places(self, chosen: Sequence[Shape]) -> list[int]:
        """Where these drafts are, the last first."""
        wanted = {id(shape) for shape in chosen}
        drafts = self.document.drafts
        return [i for i in range(len(drafts) - 1, -1, -1) if id(drafts[i]) in wanted]

    def _removal(self, places: Sequence[int]) -> tuple[Splice, ...]:
        """Splices that take drafts out, neighbours in one, so that thousands are one step."""
        drafts = self.document.drafts
        runs: list[list[int]] = []
        for index in places:
            if runs and runs[-1][-1] == index + 1:
                runs[-1].append(index)
            else:
                runs.append([index])
        return tuple(
            Splice("drafts", run[-1], tuple(drafts[run[-1] : run[0] + 1]), ()) for run in runs
        )

    def review(self, run: str = "") -> Review:
        """What has become of the drafts shown, this time and the times before."""
        if not self.drafts.model:
            return self._without_drafts()
        pending = {id(shape) for shape in self.document.drafts}
        past = self._past or Review()
        # what an earlier session accepted or rejected, and undo has brought back, waits again
        waiting = {draft_name(shape) for shape in self.document.drafts}
        accepted = tuple(name for name in past.accepted if name not in waiting)
        dropped = tuple(name for name in past.rejected if name not in waiting)
        gone = [
            (name, id(shape) in self._accepted)
            for name, shape in zip(self.drafts.names, self.drafts.shapes, strict=True)
            if id(shape) not in pending
        ]
        rejected = dropped or not all(accepted for _, accepted in gone)
        none = self.drafts.offered and not self.drafts.shapes
        untouched = not rejected and all(s.source == "model" for s in self.document.shapes)
        return Review(
            model=self.drafts.model,
            run=run,
            accepted=(*accepted, *(name for name, accepted in gone if accepted)),
            rejected=(*dropped, *(name for name, accepted in gone if not accepted)),
            confirmed_at=self._when_confirmed(past),
            accepted_unchanged=self.document.confirmed and untouched and bool(gone or none),
            seconds=round(self._seconds, 1),
            strokes=self._all_strokes,
            shown=self.drafts.model,
            blind=self.drafts.blind,
        )

    def _without_drafts(self) -> Review:
        """Time and strokes, where no model's drafts are shown now; what was shown before stays."""
        past = self._before or Review()
        made = all(shape.source == "model" for shape in self.document.shapes)
        return replace(
            past,
            confirmed_at=self._when_confirmed(past),
            accepted_unchanged=past.accepted_unchanged and self.document.confirmed and made,
            seconds=round(self._seconds, 1),
            strokes=self._all_strokes,
        )

    @property
    def _all_strokes(self) -> int:
        return self.strokes + (self._before.strokes if self._before is not None else 0)
