"""What becomes of the drafts of the open image, and whether it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from segstudio.annotation.document import Edit
from segstudio.annotation.shape import Shape
from segstudio.studio.i18n import tr
from segstudio.studio.open_image import OpenImage, keep_shown, load_drafts

if TYPE_CHECKING:
    from segstudio.studio.session import Session


class Reviewing:
    """Accepts and rejects drafts, and confirms the image; each is one step that undo takes back."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.choose_next: Callable[[], None] | None = None
        """Opens the image after a confirmed one; None for the next of the list."""
        self.waits: Callable[[str], bool] = lambda key: False
        """Whether an image gets no drafts yet, because better ones may come."""

    def accept(self, drafts: Sequence[Shape], name: str) -> None:
        """Make drafts and guesses shapes, as one step.

        They are not selected: the next stroke is not meant for them alone.
        """
        image = self._session.image
        if image is None or not drafts or self._session.is_read_only():
            return
        image.document.apply(image.accept_edit(drafts, name))
        there = [n for n in image.desk.selection if image.document.shape(n) is not None]
        image.desk.select(there)

    def reject(self, drafts: Sequence[Shape], name: str) -> None:
        """Drop drafts, as one step."""
        if self._session.image is not None and drafts and not self._session.is_read_only():
            self._session.image.document.apply(self._session.image.reject_edit(drafts, name))
            self._session.image.desk.select([])

    def confirm_and_next(self) -> None:
        """The image is done: what is shown is accepted, drafts and guesses, and the next undone
        one opens."""
        image, project = self._session.image, self._session.project
        if image is None or project is None or self._session.is_read_only():
            return
        image.document.apply(image.accept_edit(image.offered, tr("Confirm"), confirm=True))
        image.guessed = None
        self._session.writing.keep_review(image)
        if not image.document.shapes and project.manifest.unlabelled == "background":
            words = tr("{key} is confirmed without labels: all of it is background.", key=image.key)
            self._session.message.emit(words, "warn")
        if self.choose_next is not None:
            self.choose_next()
            return
        keys = project.included()
        if image.key not in keys:
            return
        place = keys.index(image.key)
        for key in (*keys[place + 1 :], *keys[:place]):
            if self._session.state(key) != "confirmed" and key not in self._session.problems:
                self._session.go(key)
                return
        self._session.message.emit(tr("Every image is confirmed."), "info")

    def set_confirmed(self, confirmed: bool) -> None:
        """Mark the open image as done, or as not done; a step that undo takes back."""
        image = self._session.image
        if image is None or self._session.is_read_only() or image.document.confirmed == confirmed:
            return
        name = tr("Confirm") if confirmed else tr("Mark as not finished")
        image.document.apply(Edit(name, (), (image.document.confirmed, confirmed)))

    def show_newest_drafts(self, only_if_untouched: bool = False) -> None:
        """Show what the model in force predicts for the open image."""
        image, project = self._session.image, self._session.project
        if image is None or project is None or image.document.confirmed:
            return
        if only_if_untouched and (image.drafts.model or self.waits(image.key)):
            return
        if image.is_blind and not only_if_untouched:
            self._session.message.emit(tr("This image is blind: confirm it first."), "warn")
            return
        current = project.models.current()
        if current is not None:
            self.show_drafts_of(current.id)

    def show_drafts_of(self, model: str) -> None:
        """Show what a model predicts for the open image, or what was carried along to it."""
        image, project = self._session.image, self._session.project
        if image is None or project is None:
            return
        self._session.writing.keep_review(image)
        drafts = load_drafts(project, image.key, image.annotation(), model)
        if not project.read_only:
            self._session.try_(lambda p: keep_shown(p, image.key, drafts))
        image.show_drafts(drafts)

    def drafts_of(self, numbers: Iterable[int]) -> list[Shape]:
        """The drafts among shapes given by number."""
        if self._session.image is None:
            return []
        document = self._session.image.document
        pairs = zip(document.ids("drafts"), document.drafts, strict=True)
        wanted = set(numbers)
        return [shape for number, shape in pairs if number in wanted]

    def accept_here(self, place: tuple[int, int] | None) -> None:
        """The selected drafts, or the draft or guess at an image pixel."""
        image = self._session.image
        if image is None:
            return
        drafts = self.drafts_of(image.desk.selection)
        if not drafts and place is not None:
            drafts = self.drafts_of([image.desk.idmap.at(*place)])
        guess = None
        if not drafts and place is not None and image.guessed is not None:
            guess = image.guessed.at(*place, image.guesses)
        if drafts:
            self.accept(drafts, tr("Accept draft"))
        elif guess is not None:
            self.accept([guess], tr("Accept guess"))
        else:
            words = tr("Point at a draft or select one, then press Y.")
            self._session.message.emit(words, "info")

    def accept_class(self) -> None:
        """All drafts of the selected draft's class, else of the current one."""
        image = self._session.image
        if image is not None:
            selected = self.drafts_of(image.desk.selection)
            name = selected[0].class_name if selected else self._session.choices.class_name
            chosen = [draft for draft in image.offered if draft.class_name == name]
            self.accept(chosen, tr("Accept all of a class"))

    def accept_all(self) -> None:
        if self._session.image is not None:
            self.accept(self._session.image.offered, tr("Accept all drafts"))

    def reject_all(self) -> None:
        if self._session.image is not None:
            self.reject(list(self._session.image.document.drafts), tr("Reject all drafts"))

    def reject_here(self, place: tuple[int, int] | None) -> bool:
        """The selected drafts; with nothing selected, the draft at an image pixel. Whether there
        were any."""
        image = self._session.image
        if image is None:
            return False
        chosen = list(image.desk.selection)
        if not chosen and place is not None:
            chosen = [image.desk.idmap.at(*place)]
        drafts = self.drafts_of(chosen)
        self.reject(drafts, tr("Reject draft|Reject drafts", n=len(drafts)))
        if not drafts and place is not None and not image.desk.selection:
            self._say_of_guess(image, place)
        return bool(drafts)

    def _say_of_guess(self, image: OpenImage, place: tuple[int, int]) -> None:
        """A guess cannot be rejected: the next stroke would bring it back."""
        if image.guessed is not None and image.guessed.at(*place, image.guesses) is not None:
            words = tr("A guess follows your strokes: paint there what it is, or background (,).")
            self._session.message.emit(words, "info")
