"""Which network for these data and this machine: facts measured here, and the rules.

Importing this loads no torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from segstudio.networks.registry import ARCHITECTURES
from segstudio.project import atomic, settings

PICTURE: Final = (360, 480)
"""Height and width of the picture that is measured with."""
SLOWEST_STEP: Final = 1500.0
"""Milliseconds a picture in training: at that, ten minutes show 400 pictures."""
_FILE: Final = "networks.json"
_SPARE: Final = 0.8
_SCENES: Final = 5
"""Classes from which on a picture is taken for a scene."""
_ORDER: Final[Mapping[tuple[bool, bool], tuple[str, ...]]] = {
    (False, False): ("unet", "lraspp", "unet_mobilenet"),
    (False, True): ("unet_mobilenet", "lraspp", "unet"),
    (True, False): ("unet_resnet34", "unet"),
    (True, True): ("unet_resnet34", "unet_mobilenet", "unet"),
}
"""By whether there is a GPU, and whether published weights are at hand."""
_FOR_SCENES: Final = ("deeplabv3plus",)
_FOR_TOUCHING: Final[Mapping[bool, tuple[str, ...]]] = {
    False: ("maskrcnn_light",),
    True: ("maskrcnn", "maskrcnn_light"),
}
"""By whether there is a GPU, where things of a class touch."""
FEW_LABELS: Final = 20
MANY_TOUCH: Final = 0.2
"""The share of things that touch another of their class from which on they must be told apart."""


@dataclass(frozen=True)
class Measured:
    """One network on one machine: megabytes of memory at most, milliseconds per 480x360 picture."""

    name: str
    device: str
    parameters: int
    memory: float
    predict_ms: float
    train_ms: float


@dataclass(frozen=True)
class Situation:
    """The data and the machine. `free` is memory in megabytes, None where nobody knows;
    `weights` are networks whose published weights lie in the cache; `touching` is the share of
    labelled things that touch another of their class, 0..1."""

    labelled: int = 0
    classes: int = 1
    gpu: bool = False
    free: float | None = None
    weights: frozenset[str] = frozenset()
    touching: float = 0.0


def recommend(situation: Situation, measured: Iterable[Measured] = ()) -> tuple[str, str]:
    """The name of a network and why, in words; the rules are in docs/networks.md."""
    known = {one.name: one for one in measured}
    order = _preferred(situation)
    fitting = [name for name in order if _fits(known.get(name), situation)]
    if fitting:
        return fitting[0], _because(situation)
    if not known:
        return order[0], _because(situation)
    lightest = min(known.values(), key=lambda one: one.memory)
    return lightest.name, "nothing faster or larger fits this machine"


def _preferred(situation: Situation) -> Sequence[str]:
    order = _ORDER[situation.gpu, bool(situation.weights)]
    if situation.labelled < FEW_LABELS and not situation.weights:
        order = ("unet", *order)
    elif situation.gpu and situation.classes >= _SCENES:
        order = (*_FOR_SCENES, *order)
    if situation.touching >= MANY_TOUCH and situation.labelled >= FEW_LABELS:
        return (*_FOR_TOUCHING[situation.gpu], *order)
    if situation.weights:  # what must begin from nothing comes after what need not
        order = tuple(sorted(order, key=lambda name: name not in situation.weights))
    return order


def _fits(one: Measured | None, situation: Situation) -> bool:
    if one is None:  # not measured: taken at its card's word
        return True
    small = situation.free is None or one.memory <= _SPARE * situation.free
    return small and one.train_ms <= SLOWEST_STEP


def _because(situation: Situation) -> str:
    labels = f"{situation.labelled} labelled images, {situation.classes} classes"
    place = "on a GPU" if situation.gpu else "without a GPU"
    if situation.touching >= MANY_TOUCH:
        labels += f", {situation.touching:.0%} of the things touch another"
    start = "with pretrained weights" if situation.weights else "from scratch"
    return f"{labels}, {place}, {start}"


def size_in_megabytes(parameters: int) -> float:
    """On the disk, in 32 bits."""
    return 4 * parameters / 1e6


def remember(measured: Measured) -> None:
    """Keep a measurement beside the user's settings."""
    found = {(one.device, one.name): one for one in remembered()}
    found[measured.device, measured.name] = measured
    lines = [asdict(found[key]) for key in sorted(found)]
    atomic.write_text(settings.config_folder() / _FILE, json.dumps(lines, indent=1))


def remembered(device: str | None = None) -> list[Measured]:
    """What was measured on this machine, on that device; a damaged file counts as empty."""
    try:
        lines = json.loads((settings.config_folder() / _FILE).read_text("utf-8"))
        found = [Measured(**line) for line in lines]
    except (OSError, ValueError, TypeError):
        return []
    return [one for one in found if one.name in ARCHITECTURES and device in (None, one.device)]
