"""Where the files that ship with the program are."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent


def data_folder() -> Path:
    """The folder that holds `resources/` and `models/`.

    A wheel and a PyInstaller bundle carry them as `segstudio/_data`; in a source tree they lie
    beside the package.
    """
    packed = _PACKAGE / "_data"
    return packed if packed.is_dir() else _PACKAGE.parent


def sample_folder() -> Path:
    """The sample project; copy it before use, it belongs to the program."""
    return data_folder() / "resources" / "sample"
