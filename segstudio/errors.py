"""The one exception a person is meant to read."""

from __future__ import annotations

from pathlib import Path


class UserError(Exception):
    """Something the user can put right: what is wrong, in which file, and what to do about it."""

    def __init__(self, message: str, *, path: Path | None = None, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.remedy = remedy

    def __str__(self) -> str:
        where = f" ({self.path})" if self.path is not None else ""
        what_to_do = f". {self.remedy}" if self.remedy else ""
        return f"{self.message}{where}{what_to_do}"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.message, self.path, self.remedy)


def _rebuild(message: str, path: Path | None, remedy: str) -> UserError:
    return UserError(message, path=path, remedy=remedy)


class Cancelled(Exception):
    """Raised inside a job that was asked to stop; what it was making is gone."""
