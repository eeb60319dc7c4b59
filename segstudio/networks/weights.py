"""Published weights: fetched once into the user's cache with progress, resumed, and checked."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import platformdirs

from segstudio.errors import UserError
from segstudio.networks import registry
from segstudio.networks.card import Card, Options, WeightsSource

if TYPE_CHECKING:
    from torch import Tensor, nn

OnProgress = Callable[[int, int | None], None]
"""(bytes so far, bytes in all or None)."""

NONE: Final = "none"
ENCODERS: Final = ("encoder.", "backbone.body.", "backbone.")
"""What networks call the part that may be pretrained."""
_SCORES: Final = ("fc.", "classifier.", "head.")
"""What classifiers call the layers that end with the scores of their own classes."""
_COUNTER: Final = "num_batches_tracked"
"""Of a normalisation; older files have none, and nothing depends on it."""
_CONVOLUTION: Final = 4
"""Axes of its weights."""
_CHUNK: Final = 1 << 18
_TIMEOUT: Final = 30.0
_HASH_IN_NAME: Final = re.compile(r"-([0-9a-f]{8,64})\.")


class MisfitError(UserError):
    """The file is of another network."""


@dataclass(frozen=True)
class Download:
    """An address and the first hex digits (or all 64) of the file's SHA-256."""

    url: str
    sha256: str

    @property
    def file_name(self) -> str:
        return Path(urlsplit(self.url).path).name


@dataclass(frozen=True)
class Chosen:
    """A weights file at hand; `part` is "whole" or "encoder"."""

    file: Path
    title: str
    part: str


def cache_folder() -> Path:
    """Where fetched weights are kept: SEGSTUDIO_CACHE, else the user's cache folder."""
    named = os.environ.get("SEGSTUDIO_CACHE")
    return (Path(named) if named else platformdirs.user_cache_path("segstudio", False)) / "weights"


def choose(
    architecture: str,
    wanted: str = "",
    on_progress: OnProgress | None = None,
    on_failure: Callable[[UserError], None] = lambda error: None,
    options: Options | None = None,
) -> Chosen | None:
    """The weights to start from for a network with `options`; None for a fresh one.

    `wanted` is a name on the architecture's card (fetched when it is not in the cache), a file,
    "none", or empty: the card's default, else any on the card that is in the cache already. A
    network that may begin fresh does so when its default cannot be fetched, and any does when
    nobody wanted weights and its options are not those that they are for; `on_failure` hears why.
    """
    card = registry.card_of(architecture)
    if wanted == NONE:
        return None
    if wanted and all(source.name != wanted for source in card.weights):
        return _own(card, wanted)
    fitting = card.weights_for(options or {})
    source = _named(card, wanted, fitting)
    if source is not None:
        try:
            return _chosen(card, source, fetch(source, on_progress))
        except UserError as error:
            if wanted or not card.may_begin_fresh:
                raise
            on_failure(error)
            return None
    if wanted:
        raise _misfit(card, wanted)
    found = _cached(card, fitting)
    if found is None and (card.default_weights or _cached(card, card.weights)):
        on_failure(_misfit(card))
    return found


def _named(card: Card, wanted: str, fitting: Sequence[WeightsSource]) -> WeightsSource | None:
    """What is fetched: the one that is wanted, or the default, for which another may stand in."""
    name = wanted or card.default_weights
    instead = next(iter(fitting), None) if card.default_weights and not wanted else None
    return next((source for source in fitting if source.name == name), instead)


def _own(card: Card, wanted: str) -> Chosen:
    if not Path(wanted).is_file():
        names = ", ".join(dict.fromkeys(s.name for s in card.weights)) or "none published"
        raise UserError(
            f"There are no weights {wanted!r} for {card.title}",
            remedy=f"Name a file, {NONE}, or one of: {names}",
        )
    return Chosen(Path(wanted), wanted, card.weights[0].part if card.weights else "whole")


def _misfit(card: Card, wanted: str = "") -> UserError:
    forms = [
        " and ".join(f"{key} = {value!r}" for key, value in source.when.items())
        for source in card.weights
        if wanted in ("", source.name)
    ]
    return UserError(
        f"The published weights of {card.title} are for {', or '.join(dict.fromkeys(forms))}",
        remedy=f"Train with such options, or without published weights (weights = {NONE!r})",
    )


def _chosen(card: Card, source: WeightsSource, file: Path) -> Chosen:
    return Chosen(file, f"{card.title}: {source.title}, {file.name}", source.part)


def _cached(card: Card, sources: Iterable[WeightsSource]) -> Chosen | None:
    if not cache_folder().is_dir():
        return None
    for source in sources:
        file = cache_folder() / address(source).file_name
        if file.is_file():
            return _chosen(card, source, file)
    return None


def at_hand() -> list[str]:
    """Architectures that, as their cards have them, have published weights in the cache."""
    found = []
    for name, card in registry.ARCHITECTURES.items():
        with contextlib.suppress(UserError):  # a card from elsewhere that names nothing
            found += [name] if _cached(card, card.weights_for({})) else []
    return found


def address(source: WeightsSource) -> Download:
    """Address and hash of a source, from torchvision's own table."""
    import torchvision.models

    family, _, entry = source.enum.partition(".")
    models = torchvision.models
    rooms = (models, models.segmentation, models.detection)
    enum = next((getattr(room, family) for room in rooms if hasattr(room, family)), None)
    if enum is None or entry not in enum.__members__:
        raise UserError(f"torchvision has no weights called {source.enum}")
    url: str = enum[entry].url
    found = _HASH_IN_NAME.search(url)
    if found is None:
        raise UserError(f"The address of {source.title} carries no hash to check it by: {url}")
    return Download(url, found[1])


def fetch(source: WeightsSource | Download, on_progress: OnProgress | None = None) -> Path:
    """The file in the cache, downloaded first when it is not there.

    A download that broke off goes on where it stopped. UserError when there is no connection,
    with the two ways out, or when the hash is wrong (the file is then removed).
    """
    download = address(source) if isinstance(source, WeightsSource) else source
    target = cache_folder() / download.file_name
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    try:
        _receive(download.url, part, on_progress or (lambda done, total: None))
    except (urllib.error.URLError, OSError) as error:
        raise UserError(
            f"{download.url} cannot be fetched: {error}",
            path=part if part.exists() else None,
            remedy=f"Either fetch it elsewhere and put it at {target} (or name the file as "
            f"weights), or train without published weights (weights = {NONE!r})",
        ) from error
    check(part, download.sha256)
    os.replace(part, target)
    return target


def _receive(url: str, part: Path, on_progress: OnProgress) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "segstudio"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is missing any more: the check will tell
            return
        raise
    with answer:
        resumed = answer.status == 206
        length = answer.headers.get("Content-Length")
        done = have if resumed else 0
        total = done + int(length) if length else None
        with part.open("ab" if resumed else "wb") as file:
            while block := answer.read(_CHUNK):
                file.write(block)
                done += len(block)
                on_progress(done, total)
    if total is not None and done < total:
        raise ConnectionError(f"the connection ended after {done} of {total} bytes")


def check(file: Path, sha256: str) -> None:
    """UserError, and the file removed, when its SHA-256 does not start with `sha256`."""
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if not found.startswith(sha256.lower()):
        file.unlink()
        raise UserError(
            f"The file is damaged: its SHA-256 starts {found[: len(sha256)]}, not {sha256}",
            path=file,
            remedy="Try again",
        )


def read_state(file: Path) -> dict[str, Tensor]:
    """Tensors of a .safetensors or a .pt/.pth file; nothing in it is ever executed."""
    import pickle

    import safetensors
    import safetensors.torch
    import torch

    try:
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file)
        found = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError("There is no such file", path=file) from error
    except pickle.UnpicklingError as error:
        raise UserError(
            "This file holds more than weights, and loading it could run foreign code",
            path=file,
            remedy="Save only the state_dict of the network, best as .safetensors",
        ) from error
    except (OSError, RuntimeError, EOFError, safetensors.SafetensorError) as error:
        raise UserError(f"The weights cannot be read: {error}", path=file) from error
    return _tensors(found, file)


def _tensors(found: object, file: Path) -> dict[str, Tensor]:
    """The state dict in what people save: itself, or under state_dict or model."""
    import torch

    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not found:
        raise UserError("This file holds no weights by name", path=file)
    if not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise UserError("This file holds other things than tensors", path=file)
    return {str(key).removeprefix("module."): value for key, value in found.items()}


def load_into(network: nn.Module, chosen: Chosen) -> list[str]:
    """Copy a file's tensors into a network, or into its encoder; returns the names that got none.

    Those follow the classes, or are the first convolution of a network for other than 3 bands.
    MisfitError when anything else is missing, or something of the file's encoder has no place.

    An encoder's names are those below `encoder.` or `backbone.`; the weights may be without that
    word, and fully connected where the network is convolutional. A file without any such name
    fills an encoder only.
    """
    state, own = read_state(chosen.file), network.state_dict()
    prefix = next((p for p in ENCODERS if any(key.startswith(p) for key in own)), "")
    names = _names(own, state, prefix, chosen.part == "whole")
    missing = [
        key for key, name in names.items() if name not in state or not _fits(state[name], own[key])
    ]
    first = next((key for key in names if own[key].ndim == _CONVOLUTION), "")
    for key in missing:
        inside = bool(prefix) and key.startswith(prefix) and key != first
        source = state.get(names[key])
        if source is None or inside or not _may_begin_anew(source, own[key], key == first):
            raise _foreign(
                chosen, f"{len(missing)} of {len(names)} tensors, as {key}, are not in it"
            )
    if left := _left_over(state, set(names.values())):
        raise _foreign(chosen, f"{len(left)} of its tensors, as {left[0]}, have no place")
    for key in names.keys() - set(missing):
        own[key].copy_(state[names[key]].reshape(own[key].shape))
    return missing


def _names(
    own: Mapping[str, Tensor], state: Mapping[str, Tensor], prefix: str, whole: bool
) -> dict[str, str]:
    """Of the network, or of its encoder: its names and those in the file."""
    whole = whole and any(key.startswith(prefix) for key in state)
    names = {
        key: key if key in state else key.removeprefix(prefix)
        for key in own
        if whole or key.startswith(prefix)
    }
    return {k: name for k, name in names.items() if name in state or not k.endswith(_COUNTER)}


def _may_begin_anew(source: Tensor, target: Tensor, is_first: bool) -> bool:
    """Whether they differ by the number of classes alone, or, in the first layer, of bands."""
    if is_first:
        return source.shape[:1] + source.shape[2:] == target.shape[:1] + target.shape[2:]
    return source.shape[1:] == target.shape[1:]


def _left_over(state: Iterable[str], used: Collection[str]) -> list[str]:
    """Names of a file that have no counterpart though their neighbours have one."""
    rooms = {name.partition(".")[0] for name in used}
    left = [name for name in state if name not in used and not name.startswith(_SCORES)]
    return [name for name in left if name.partition(".")[0] in rooms]


def _foreign(chosen: Chosen, why: str) -> MisfitError:
    return MisfitError(
        f"These weights are of another network: {why}",
        path=chosen.file,
        remedy="Name weights of this network or of its encoder, set the options that they are "
        f"for, or train without published weights (weights = {NONE!r})",
    )


def _fits(source: Tensor, target: Tensor) -> bool:
    """Of equal shape, or a fully connected layer for a convolution over its whole input."""
    if source.ndim == 2 and target.ndim == 4:
        return len(source) == len(target) and source.numel() == target.numel()
    return source.shape == target.shape
