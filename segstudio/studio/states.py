"""What the window knows of the images' states: the disk's, and what a person did since."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from segstudio.project.project import State


class States:
    """The state of each image by its key.

    A look at all images takes a while, and what is drawn reaches the disk later than the window;
    so a look never puts back what is newer than itself.
    """

    def __init__(self, known: Mapping[str, State] | None = None) -> None:
        self._known: dict[str, State] = dict(known or {})
        self._newest: dict[str, int] = {}
        self._looks = 0

    def __getitem__(self, key: str) -> State:
        return self._known.get(key, "none")

    def has(self, *wanted: State) -> bool:
        """Whether any image is in one of these states."""
        return any(state in wanted for state in self._known.values())

    def note(self, key: str, state: State) -> bool:
        """A person did this; whether the state is another now."""
        changed = self[key] != state
        self._known[key] = state
        self._newest[key] = self.look()
        return changed

    def look(self) -> int:
        """A look at the disk begins: its number, for `take`."""
        self._looks += 1
        return self._looks

    def take(self, seen: Mapping[str, State], look: int, unsaved: Collection[str]) -> list[str]:
        """What a look has seen, but for `unsaved` images; the keys of which nothing newer was
        known."""
        fresh = [key for key in seen if self._is_older(key, look, unsaved)]
        self._known.update((key, seen[key]) for key in fresh)
        self._newest.update((key, look) for key in fresh)
        return fresh

    def take_all(self, seen: Mapping[str, State], look: int, unsaved: Collection[str]) -> list[str]:
        """The same of a look at all images: those it has not seen are gone."""
        for key in self._known.keys() - seen.keys():
            if self._is_older(key, look, unsaved):
                del self._known[key]
        return self.take(seen, look, unsaved)

    def _is_older(self, key: str, look: int, unsaved: Collection[str]) -> bool:
        return key not in unsaved and self._newest.get(key, 0) <= look
