"""The selection's actions in the window: each is one step of segstudio.tools.arrange."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from segstudio.annotation.shape import Shape
from segstudio.studio.i18n import tr
from segstudio.studio.session import Session
from segstudio.tools import Desk, arrange

_SIMPLER: Final = 1.0
"""Image pixels by which an outline may change when polygons are to be simple."""


class Arranging:
    """What actions do with the selected shapes; copied shapes live as long as the window."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._copied: tuple[Shape, ...] = ()

    def acts(self) -> dict[str, Callable[[], None]]:
        """What to do, by action name."""
        steps: dict[str, Callable[[Desk], bool]] = {
            "duplicate": arrange.duplicate,
            "unite": lambda desk: arrange.combine(desk, "union"),
            "subtract": lambda desk: arrange.combine(desk, "subtract"),
            "intersect": lambda desk: arrange.combine(desk, "intersect"),
            "to_masks": arrange.to_masks,
            "to_polygons": arrange.to_polygons,
            "simplify": lambda desk: arrange.to_polygons(desk, _SIMPLER),
            "to_front": lambda desk: arrange.reorder(desk, to_top=True),
            "to_back": lambda desk: arrange.reorder(desk, to_top=False),
            "group": lambda desk: arrange.group(desk, together=True),
            "ungroup": lambda desk: arrange.group(desk, together=False),
            "lock_shapes": arrange.lock,
            "paste": lambda desk: arrange.paste(desk, self._copied),
        }
        acts = {name: partial(self._do, step) for name, step in steps.items()}
        return {**acts, "copy": self._copy}

    def _do(self, step: Callable[[Desk], bool]) -> None:
        image = self._session.image
        if image is None or self._session.is_read_only():
            return
        if not step(image.desk):
            self._session.message.emit(tr("Nothing here to do that with."), "info")

    def _copy(self) -> None:
        image = self._session.image
        if image is not None:
            self._copied = tuple(shape for _, shape in image.desk.selected())
            words = tr("{n} shapes copied", n=len(self._copied))
            self._session.message.emit(words, "info")
