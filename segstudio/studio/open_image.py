"""The image on the canvas: its picture, its document, and what happened to its drafts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from segstudio.annotation import components
from segstudio.annotation.document import Annotation, Change, Document, Edit, Splice
from segstudio.annotation.idmap import IdMap
from segstudio.annotation.rasterise import draw_ids
from segstudio.annotation.shape import Shape
from segstudio.project.project import Project
from segstudio.project.reviews import Review
from segstudio.studio.canvas.picture import Picture
from segstudio.tools import Desk

_PAUSE = 30.0
"""Seconds without an edit after which a person counts as away."""


@dataclass(frozen=True, slots=True)
class Drafts:
    """A model's prediction as drafts, with the names by which reviews remember them."""

    model: str = ""
    shapes: tuple[Shape, ...] = ()
    names: tuple[str, ...] = ()


def draft_name(shape: Shape) -> str:
    """What tells a draft from all others of its prediction: class, place and size."""
    box = shape.bounds() or (0, 0, 0, 0)
    area = shape.bitmap.area if shape.bitmap is not None else 0
    return f"{shape.class_name}:{','.join(map(str, box))}:{area}"


def load_drafts(project: Project, key: str, annotation: Annotation, model: str) -> Drafts:
    """The drafts of `model` still pending: neither reviewed nor under a person's shapes."""
    found = project.predictions.read(model, key) if model else None
    if found is None or annotation.is_confirmed or found[0].shape != annotation.size:
        return Drafts()
    review = project.reviews.load(key)
    done = set()
    if review is not None and review.shown == model:
        done = {*review.accepted, *review.rejected}
    labels, margin = found
    names = {c.id: c.name for c in project.classes}
    parts = components.drafts(labels, margin, names, model=model)
    named = [(draft_name(shape), shape) for shape in parts]
    pending = [(name, clip(shape, annotation)) for name, shape in named if name not in done]
    kept = [(name, shape) for name, shape in pending if shape.bitmap]
    return Drafts(model, tuple(s for _, s in kept), tuple(n for n, _ in kept))


def clip(draft: Shape, annotation: Annotation) -> Shape:
    """The draft without pixels that already belong to a shape."""
    return clip_to_free(draft, annotation.shapes, annotation.width)


def clip_to_free(draft: Shape, shapes: Sequence[Shape], width: int) -> Shape:
    """The draft (a mask) without the pixels that `shapes` cover on a picture this wide."""
    box = draft.bounds()
    if box is None or draft.bitmap is None:
        return draft
    x0, y0, x1, y1 = box
    near = [s for s in shapes if _meets(s, box)]
    if not near:
        return draft
    covered = draw_ids(near, [1] * len(near), (0, y0, width, y1), "L")[:, x0:x1] > 0
    if not covered.any():
        return draft
    left = draft.bitmap.to_array(box) & ~covered
    return replace(draft, bitmap=type(draft.bitmap).from_array(left, x0, y0))


def _meets(shape: Shape, box: tuple[int, int, int, int]) -> bool:
    b = shape.bounds()
    return b is not None and b[0] < box[2] and box[0] < b[2] and b[1] < box[3] and box[1] < b[3]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the loader brings: everything to show an image."""

    key: str
    picture: Picture
    annotation: Annotation
    drafts: Drafts
    repairs: tuple[str, ...] = ()


@dataclass(slots=True)
class OpenImage:
    """An image being worked on. `desk` holds its document; time and strokes are counted here."""

    key: str
    picture: Picture
    desk: Desk
    drafts: Drafts
    confirmed: bool
    repairs: tuple[str, ...] = ()
    strokes: int = 0
    _seconds: float = 0.0
    _last_edit: float = field(default_factory=time.monotonic)
    _accepted: set[int] = field(default_factory=set)
    _past: Review | None = None

    @classmethod
    def of(cls, loaded: Loaded, past: Review | None) -> OpenImage:
        document = Document(loaded.annotation, loaded.drafts.shapes)
        idmap = IdMap(document)
        document.listeners.append(idmap.update)
        image = cls(
            loaded.key,
            loaded.picture,
            Desk(document, idmap),
            loaded.drafts,
            loaded.annotation.is_confirmed,
            loaded.repairs,
            _seconds=loaded.annotation.seconds,
            _past=past if past is not None and past.shown == loaded.drafts.model else None,
        )
        document.listeners.append(image._count)
        return image

    @property
    def document(self) -> Document:
        return self.desk.document

    def annotation(self) -> Annotation:
        """What is to be saved now."""
        return replace(
            self.document.annotation,
            shapes=tuple(self.document.shapes),
            confirmed=self.confirmed,
            foreign=False,
            seconds=round(self._seconds, 1),
        )

    def _count(self, change: Change) -> None:
        now = time.monotonic()
        self._seconds += min(now - self._last_edit, _PAUSE)
        self._last_edit = now
        if self.document.is_live:
            return
        self.strokes += 1
        came = any(s.layer == "shapes" and s.inserted for s in change.splices)
        for splice in change.splices:
            if splice.layer == "drafts" and came:
                self._accepted.update(id(shape) for shape in splice.removed)

    def show_drafts(self, drafts: Drafts) -> None:
        """Another prediction in place of the one shown."""
        self.drafts = drafts
        self._accepted.clear()
        self._past = None
        self.document.set_drafts(drafts.shapes)

    def accept_edit(self, chosen: Sequence[Shape], name: str) -> Edit:
        """Drafts become shapes under all human work, without the pixels taken since."""
        wanted = {id(shape) for shape in chosen}
        width = self.document.size[1]
        splices: list[Splice] = []
        taken: list[Shape] = []
        for index in range(len(self.document.drafts) - 1, -1, -1):
            draft = self.document.drafts[index]
            if id(draft) in wanted:
                splices.append(Splice("drafts", index, (draft,), ()))
                taken.append(clip_to_free(draft, self.document.shapes, width))
        shapes = tuple(s for s in reversed(taken) if s.bitmap)
        return Edit(name, (*_joined(splices), Splice("shapes", 0, (), shapes)))

    def reject_edit(self, chosen: Sequence[Shape], name: str) -> Edit:
        wanted = {id(shape) for shape in chosen}
        drafts = self.document.drafts
        gone = [i for i in range(len(drafts) - 1, -1, -1) if id(drafts[i]) in wanted]
        return Edit(name, _joined([Splice("drafts", i, (drafts[i],), ()) for i in gone]))

    def review(self, run: str = "") -> Review:
        """What has become of the drafts shown, this time and the times before."""
        pending = {id(shape) for shape in self.document.drafts}
        past = self._past or Review()
        gone = [
            (name, id(shape) in self._accepted)
            for name, shape in zip(self.drafts.names, self.drafts.shapes, strict=True)
            if id(shape) not in pending
        ]
        untouched = (
            all(shape.source == "model" for shape in self.document.shapes) and not past.rejected
        )
        return Review(
            model=self.drafts.model,
            run=run,
            accepted=(*past.accepted, *(name for name, accepted in gone if accepted)),
            rejected=(*past.rejected, *(name for name, accepted in gone if not accepted)),
            accepted_unchanged=bool(
                self.confirmed and untouched and gone and all(accepted for _, accepted in gone)
            ),
            seconds=round(self._seconds, 1),
            strokes=past.strokes + self.strokes,
            shown=self.drafts.model,
        )


def _joined(splices: Sequence[Splice]) -> tuple[Splice, ...]:
    """Neighbouring removals (from the end on) as one, so that thousands of drafts are one step."""
    joined: list[Splice] = []
    run: list[Splice] = []
    for splice in [*splices, None]:
        if splice is not None and (not run or splice.index == run[-1].index - 1):
            run.append(splice)
            continue
        if run:
            shapes = tuple(s.removed[0] for s in reversed(run))
            joined.append(Splice(run[-1].layer, run[-1].index, shapes, ()))
        run = [splice] if splice is not None else []
    return tuple(joined)
