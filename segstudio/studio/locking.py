"""A project that is open in one window is locked for the others."""

from __future__ import annotations

from pathlib import Path

from segstudio.errors import UserError
from segstudio.project.lock import ProjectLock
from segstudio.studio.i18n import tr


class LockedError(UserError):
    """Another window has the project, or its folder cannot be written."""


def lock_project(folder: Path) -> ProjectLock:
    """The lock of a project, held from now on; LockedError says who has it."""
    lock = ProjectLock(folder)
    try:
        if lock.acquire():
            return lock
    except OSError as error:
        raise LockedError(
            tr("The project's folder cannot be written"), path=folder, remedy=str(error)
        ) from error
    raise LockedError(
        tr("Another window has this project open"),
        path=folder,
        remedy=tr("Held by {who}.", who=lock.holder() or "?"),
    )
