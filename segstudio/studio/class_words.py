"""What a person reads for a class, and for what a draft comes from."""

from __future__ import annotations

from segstudio.annotation.shape import BACKGROUND_CLASS, IGNORE_CLASS, ROUND_0
from segstudio.project.frames import FRAME_BEFORE
from segstudio.studio.i18n import tr


def class_words(name: str) -> str:
    """The name of a class; of Labelme's two reserved ones what they mean."""
    return {BACKGROUND_CLASS: tr("background"), IGNORE_CLASS: tr("ignore")}.get(name, name)


def source_words(model: str) -> str:
    """A model's id as "#3 unet"; of guesses, and of labels that were carried along, what they
    are."""
    words = {FRAME_BEFORE: tr("from the frame before"), ROUND_0: tr("guess")}
    number, _, architecture = model.partition("-")
    if number.isdecimal() and architecture:
        return f"#{int(number)} {architecture}"
    return words.get(model, model)
