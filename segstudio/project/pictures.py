"""The pictures of a project: where they are, how large, and how they look when small."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from segstudio.errors import UserError
from segstudio.project import atomic, grouping, images
from segstudio.project.images import RGB
from segstudio.project.index import ImageFacts, Index, stamp
from segstudio.project.scan import ImageKey, Listing, Root, orphans, scan

LINKS: Final = Path(".segstudio", "links.json")


class Pictures:
    """The listing of a project's pictures, and cached facts about each."""

    def __init__(self, root: Path, image_roots: tuple[str, ...], index: Index) -> None:
        self._root = root
        self.index = index
        self.roots = roots_of(root, image_roots)
        self.listing = Listing()
        self._links = {r.prefix: r.folder for r in self.roots if not r.folder.is_relative_to(root)}

    def rescan(self, embedded: Callable[[ImageKey], bool]) -> tuple[list[ImageKey], list[ImageKey]]:
        """List again; returns keys that came and keys that went.

        `embedded` says whether a label file without a picture holds one itself.
        """
        before = self.listing
        found = scan(self.roots, self._root)
        for leftover in found.leftovers:
            atomic.discard(leftover)
        held = tuple(sorted(key for key in orphans(found) if embedded(key)))
        self.listing = replace(found, images=(*found.images, *held))
        self.index.flush()
        added = [key for key in self.listing.images if key not in before.known]
        gone = [key for key in before.images if key not in self.listing.known]
        return added, gone

    def file(self, key: ImageKey) -> Path:
        """The path of a key; also of a label file's."""
        return Path(self.locate(key))

    def locate(self, key: ImageKey) -> str:
        """`file` as text, for those who ask for thousands."""
        head, slash, rest = key.partition("/")
        linked = self._links.get(head + slash) if slash and self._links else None
        return f"{linked}{os.sep}{rest}" if linked else f"{self._root}{os.sep}{key}"

    def facts(self, key: ImageKey) -> ImageFacts:
        """Size or problem of a picture: from its header, and from every attempt to read it."""
        file = self.file(key)
        now = stamp(file)
        known = self.index.image(key)
        if now is None:
            return ImageFacts((0, 0), problem="The picture is gone")
        if known is not None and known.stamp == now:
            return known
        try:
            facts = ImageFacts(now, *images.image_size(file))
        except UserError as error:
            facts = ImageFacts(now, problem=error.message)
        self.index.set_image(key, facts)
        return facts

    def size(self, key: ImageKey) -> tuple[int, int]:
        """(width, height) as shown; UserError when the picture cannot be read."""
        facts = self.facts(key)
        if facts.problem:
            raise UserError(facts.problem, path=self.file(key), remedy="Replace or exclude it.")
        return facts.width, facts.height

    def read(self, key: ImageKey) -> RGB:
        """The picture as uint8 (h, w, 3) RGB; UserError when it cannot be read."""
        with self._noting_damage(key):
            return images.read_image(self.file(key))

    def fingerprint(self, key: ImageKey) -> str:
        """The picture's 64-bit hash, see `grouping`; "" when it cannot be read."""
        facts = self.facts(key)
        if facts.problem or facts.fingerprint:
            return facts.fingerprint
        try:
            with self._noting_damage(key):
                hashed = grouping.fingerprint(images.thumbnail(self.file(key), 64))
        except UserError:
            return ""
        self.index.set_image(key, replace(facts, fingerprint=hashed))
        return hashed

    def thumbnail(self, key: ImageKey, px: int) -> RGB:
        """The picture, at most `px` on its longer side, from the cache when it is there."""
        file = self.file(key)
        name = hashlib.sha1(f"{key}|{stamp(file)}|{px}".encode(), usedforsecurity=False).hexdigest()
        cached = self._root / ".segstudio" / "cache" / "thumbnails" / name[:2] / f"{name}.jpg"
        kept = _kept(cached)
        if kept is not None:
            return kept
        with self._noting_damage(key):
            small = images.thumbnail(file, px)
        if (self._root / ".segstudio").is_dir():
            _keep(cached, small)
        return small

    @contextmanager
    def _noting_damage(self, key: ImageKey) -> Iterator[None]:
        """Remember a picture whose header is whole and whose pixels are not."""
        try:
            yield
        except images.DamagedPicture as error:
            facts = self.facts(key)
            self.index.set_image(key, replace(facts, problem=facts.problem or error.message))
            raise


def _kept(path: Path) -> RGB | None:
    """A picture of the cache; a damaged one is dropped."""
    if not path.exists():
        return None
    try:
        return images.read_image(path)
    except UserError:
        with suppress(OSError):
            path.unlink()
        return None


def _keep(path: Path, image: RGB) -> None:
    done, data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]))
    if not done:
        return
    try:
        atomic.write_bytes(path, data.tobytes(), durable=False)
    except OSError:
        return  # a cache that cannot be written is only slower


def roots_of(root: Path, entries: tuple[str, ...]) -> tuple[Root, ...]:
    """The folders that `image_roots` of the manifest name; see `Manifest`."""
    return tuple(_root_of(root, entry) for entry in entries)


def _root_of(root: Path, entry: str) -> Root:
    name, colon, place = entry.partition(":")
    if colon:
        folder = root / place if place else Path(links(root).get(name, ""))
        return Root(f"{name}/", Path(os.path.normpath(folder)))
    inside = Path(entry).as_posix()
    return Root("", root) if inside == "." else Root(f"{inside}/", root / inside)


def entry_for(root: Path, folder: Path) -> str:
    """How the manifest names the picture folder `folder`, linking it when it is outside."""
    root, folder = root.resolve(), folder.resolve()
    if folder.is_relative_to(root):
        return folder.relative_to(root).as_posix()
    name = folder.name or "pictures"
    while (root / name).exists():
        name += "-linked"
    try:
        return f"{name}:{Path(os.path.relpath(folder, root)).as_posix()}"
    except ValueError:  # another drive of Windows
        link(root, name, folder)
        return f"{name}:"


def links(root: Path) -> dict[str, str]:
    """Absolute picture folders of this machine, by name."""
    try:
        stored = json.loads((root / LINKS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in stored.items()} if isinstance(stored, dict) else {}


def link(root: Path, name: str, folder: Path) -> None:
    """Say where on this machine the picture folder `name` is."""
    atomic.write_text(root / LINKS, json.dumps({**links(root), name: str(folder)}, indent=1))
