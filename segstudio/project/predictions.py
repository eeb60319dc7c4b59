"""What models predicted: a label map and its confidence per image and model, and the things."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from segstudio.errors import UserError
from segstudio.project import atomic
from segstudio.project.index import Stamp
from segstudio.project.index import stamp as stamp_of

LabelMap = NDArray[np.uint8] | NDArray[np.uint16]
_CONF: Final = ".conf.png"
_THINGS: Final = ".inst.png"
_SHOWN: Final = ".shown.png"
_ENDS: Final = (".png", _CONF, _SHOWN, _THINGS)
# fast, and small enough: label maps and margins are flat
_PNG: Final = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, 3)


@dataclass(frozen=True, slots=True)
class Paths:
    """The files of one prediction."""

    label: Path
    conf: Path
    shown: Path
    things: Path


class Predictions:
    """`predictions/<model>/<image>.png`, `.conf.png`, `.inst.png` of a model that finds things,
    and `.shown.png` once a person saw it."""

    def __init__(
        self,
        folder: Path,
        stem_of: Callable[[str], str] = lambda key: key.rpartition(".")[0],
        keys: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self.folder: Final = folder
        self._stem_of = stem_of
        self._keys = keys

    def paths(self, model: str, key: str) -> Paths:
        stem = self.folder / model / self._stem_of(key)
        return Paths(*(stem.with_name(stem.name + end) for end in _ENDS))

    def read(self, model: str, key: str) -> tuple[LabelMap, NDArray[np.uint8]] | None:
        """(label map (h, w), margin (h, w) uint8), or None when there is no whole prediction."""
        paths = self.paths(model, key)
        labels, margin = read_png(paths.label), read_png(paths.conf)
        if labels is None or margin is None:
            return None
        return labels, margin.astype(np.uint8)

    def read_instances(self, model: str, key: str) -> NDArray[np.uint16] | None:
        """The number of the thing at every pixel (h, w), 0 for none; None where the model found
        no things but classed pixels."""
        numbers = read_png(self.paths(model, key).things)
        return None if numbers is None else numbers.astype(np.uint16)

    def read_margin(self, model: str, key: str) -> NDArray[np.uint8] | None:
        """How sure the model was (h, w) uint8, 255 for sure; None when it predicted nothing."""
        margin = read_png(self.paths(model, key).conf)
        return None if margin is None else margin.astype(np.uint8)

    def stamp(self, model: str, key: str) -> Stamp | None:
        """Time (ns) and size of a prediction's margin; None when there is none."""
        return stamp_of(self.paths(model, key).conf)

    def stamps(self, model: str, key: str) -> tuple[Stamp | None, Stamp | None]:
        """Times and sizes of its label map and its margin; others once it was replaced."""
        return stamp_of(self.paths(model, key).label), self.stamp(model, key)

    def read_shown(self, model: str, key: str) -> LabelMap | None:
        """The label map as a person first saw it, or None when nobody did."""
        return read_png(self.paths(model, key).shown)

    def write(
        self,
        model: str,
        key: str,
        labels: LabelMap,
        margin: NDArray[np.uint8],
        instances: NDArray[np.uint16] | None = None,
    ) -> None:
        """Write a prediction; UserError when a person has seen this one already.

        Of one that was taken back, what a person saw then counts, and comes back.
        """
        paths = self.paths(model, key)
        self._check_unseen(model, key)
        if paths.shown.exists():
            seen = self.read_shown(model, key)
            if seen is not None and seen.shape == labels.shape:
                labels, instances = seen, None  # the instances that were seen are there still
        # packing takes a while, in which somebody may have looked at the one that was here; the
        # label map comes last: where it is, the prediction is whole
        files = [(paths.conf, png_bytes(margin)), (paths.label, png_bytes(labels))]
        if instances is not None:
            files.insert(0, (paths.things, png_bytes(instances)))
        self._check_unseen(model, key)
        for path, data in files:
            atomic.write_bytes(path, data, durable=False)

    def _check_unseen(self, model: str, key: str) -> None:
        if self.is_seen(model, key):
            path = self.paths(model, key).label
            raise UserError("This prediction was shown already and stays as it is", path=path)

    def has(self, model: str, key: str) -> bool:
        """Whether there is a whole prediction, label map and margin."""
        paths = self.paths(model, key)
        return paths.label.exists() and paths.conf.exists()

    def is_seen(self, model: str, key: str) -> bool:
        """Whether a person has seen the prediction that is there."""
        paths = self.paths(model, key)
        return paths.shown.exists() and paths.label.exists()

    def mark_shown(self, model: str, key: str) -> None:
        """Freeze what a person sees now; nothing happens the second time."""
        paths = self.paths(model, key)
        if paths.label.exists() and not paths.shown.exists():
            atomic.write_bytes(paths.shown, paths.label.read_bytes())

    def remove(self, model: str, key: str, shown: bool) -> None:
        """Take a prediction away, with `shown` also what a person saw of it."""
        paths = self.paths(model, key)
        gone = [paths.label, paths.conf]
        if shown or not paths.shown.exists():  # instances belong to what was seen
            gone += [paths.shown, paths.things]
        for path in gone:
            path.unlink(missing_ok=True)

    def keep(self, model: str, key: str, folder: Path) -> None:
        """Give the files of a prediction that nobody has seen second names in `folder`."""
        folder.mkdir(exist_ok=True)
        for path, name in self._files_of(model, key):
            if path.exists():
                atomic.link(path, folder / name)

    def put_back(self, model: str, key: str, folder: Path) -> None:
        """Make what `keep` has put into `folder`, if it is there, the prediction again."""
        for path, name in self._files_of(model, key):
            if (folder / name).exists():
                atomic.write_bytes(path, (folder / name).read_bytes(), durable=False)

    def _files_of(self, model: str, key: str) -> list[tuple[Path, str]]:
        """The files of a prediction, the label map last, and names for them."""
        paths = self.paths(model, key)
        return [(paths.things, "things"), (paths.conf, "conf"), (paths.label, "label")]

    def models(self) -> list[str]:
        """Models that have predictions here."""
        if not self.folder.is_dir():
            return []
        return sorted(e.name for e in self.folder.iterdir() if e.is_dir())

    def done(self, model: str) -> set[str]:
        """The keys that have a whole prediction of `model`."""
        top = self.folder / model
        names = {file.relative_to(top).as_posix() for file in _files(top)}
        if not names:
            return set()
        stems = ((key, self._stem_of(key)) for key in self._keys())
        return {key for key, stem in stems if {f"{stem}.png", stem + _CONF} <= names}

    def was_shown(self, key: str) -> bool:
        """Whether the prediction of any model for an image was frozen, as `mark_shown` does."""
        return any(self.paths(model, key).shown.exists() for model in self.models())

    def has_shown(self, model: str) -> bool:
        """Whether a person has seen any prediction of `model`."""
        return any(file.name.endswith(_SHOWN) for file in _files(self.folder / model))

    def prune_unseen(self, keep_models: Iterable[str]) -> int:
        """Remove predictions nobody saw, of all models but `keep_models`; returns bytes freed.

        What another process is writing at this moment is left alone.
        """
        kept = set(keep_models)
        freed = 0
        for model in self.models():
            if model not in kept:
                freed += sum(_remove(file) for file in _unseen(self.folder / model))
                _remove_empty(self.folder / model)
        return freed


def png_bytes(array: NDArray[Any]) -> bytes:
    """A grey PNG of uint8 or uint16 (h, w), packed quickly."""
    done, data = cv2.imencode(".png", array, _PNG)
    if not done:
        raise ValueError(f"no PNG can hold {array.dtype} {array.shape}")
    return data.tobytes()


def read_png(path: Path) -> LabelMap | None:
    """A grey PNG as uint8 or uint16 (h, w); None when it is missing or damaged."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError:
        return None
    array = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if array is None or array.ndim != 2:
        return None
    return array.astype(np.uint16) if array.dtype == np.uint16 else array.astype(np.uint8)


def _unseen(folder: Path) -> Iterator[Path]:
    files = [file for file in _files(folder) if not file.name.endswith(atomic.SUFFIX)]
    seen = {str(f).removesuffix(_SHOWN) for f in files if f.name.endswith(_SHOWN)}
    yield from (file for file in files if _stem(str(file)) not in seen)


def _stem(file: str) -> str:
    for end in (_SHOWN, _CONF, _THINGS):
        file = file.removesuffix(end)
    return file.removesuffix(".png")


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)


def _remove(file: Path) -> int:
    size = file.stat().st_size
    file.unlink()
    return size


def _remove_empty(folder: Path) -> None:
    for parent, _, _ in os.walk(folder, topdown=False):
        if not os.listdir(parent):
            os.rmdir(parent)
