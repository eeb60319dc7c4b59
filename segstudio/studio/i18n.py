"""Words a person reads, in his language: a catalogue of English sentences and their translation."""

from __future__ import annotations

import tomllib
from typing import Any, Final

from PySide6.QtCore import QLocale

from segstudio.data import data_folder

LANGUAGES: Final = {"en": "English", "zh_CN": "简体中文"}
_catalogue: dict[str, str] = {}


def use_language(code: str) -> None:
    """Translate from now on into `code`; "system" asks the system, unknown ones are English."""
    chosen = QLocale.system().name() if code == "system" else code
    file = data_folder() / "resources" / "translations" / f"{chosen}.toml"
    _catalogue.clear()
    if file.exists():
        _catalogue.update(tomllib.loads(file.read_text(encoding="utf-8")))


def tr(text: str, **facts: Any) -> str:
    """`text` in the chosen language, with its {names} filled in.

    A text of two forms, "{n} image|{n} images", is the first for one and the second for more; a
    language that makes no difference has one.
    """
    one, _, more = _catalogue.get(text, text).partition("|")
    words = one if str(facts.get("n")) == "1" or not more else more
    return words.format(**facts) if facts else words
