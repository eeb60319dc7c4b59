"""The user's own settings: device, autosave, theme, …, in the configuration folder."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Final

import platformdirs

from segstudio.project import atomic

DEFAULTS: Final[dict[str, Any]] = {
    "device": "auto",
    "autosave": True,
    "theme": "system",
    "language": "",
    "train_by_itself": False,
    "guess_along": True,
    "drafts_ahead": True,
    "follow_frames": True,
    "smart_order": False,
    "remember_view": False,
    "models_kept": 5,
}


def config_folder() -> Path:
    """Where the user's settings live; SEGSTUDIO_CONFIG overrides it."""
    override = os.environ.get("SEGSTUDIO_CONFIG")
    return Path(override) if override else Path(platformdirs.user_config_dir("segstudio", False))


def load() -> dict[str, Any]:
    """All settings, defaults where the file says nothing; a damaged file counts as empty."""
    try:
        stored = tomllib.loads(_file().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        stored = {}
    return {**DEFAULTS, **stored}


def save(changes: dict[str, Any]) -> dict[str, Any]:
    """Change some settings; returns all of them."""
    import tomlkit  # for writing only: the window's start does not wait for it

    settings = {**load(), **changes}
    atomic.write_text(_file(), tomlkit.dumps(settings))
    return settings


def _file() -> Path:
    return config_folder() / "settings.toml"
