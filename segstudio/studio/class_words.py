"""What a person reads for a class."""

from __future__ import annotations

from segstudio.annotation.shape import BACKGROUND_CLASS, IGNORE_CLASS
from segstudio.studio.i18n import tr


def class_words(name: str) -> str:
    """The name of a class; of Labelme's two reserved ones what they mean."""
    return {BACKGROUND_CLASS: tr("background"), IGNORE_CLASS: tr("ignore")}.get(name, name)
