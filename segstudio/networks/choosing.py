"""Which network for these data and this machine: facts measured here, and the rules.

Importing this loads no torch.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
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
class Machine:
    """What there is to learn with: the kind of device, its free memory in megabytes, None where
    nobody knows, and the networks whose published weights lie in the cache."""

    device: str = "cpu"
    free: float | None = None
    weights: frozenset[str] = frozenset()


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

    def on(self, machine: Machine) -> Situation:
        """The same data on that machine."""
        gpu = machine.device != "cpu"
        return replace(self, gpu=gpu, free=machine.free, weights=machine.weights)


@dataclass(frozen=True)
class Advice:
    """A network, and what it was chosen for; `fits` is false where none is light enough."""

    name: str
    situation: Situation
    fits: bool = True

    @property
    def pretrained(self) -> bool:
        """Whether it would begin with published weights that are here already."""
        return self.name in self.situation.weights

    @property
    def why(self) -> str:
        """The reason in English words."""
        if not self.fits:
            return "nothing faster or larger fits this machine"
        counts = ((self.situation.labelled, "labelled image"), (self.situation.classes, "class"))
        labels = ", ".join(_counted(number, noun) for number, noun in counts)
        if self.situation.touching >= MANY_TOUCH:
            labels += f", {self.situation.touching:.0%} of the things touch another"
        place = "on a GPU" if self.situation.gpu else "without a GPU"
        return (
            f"{labels}, {place}, {'with pretrained weights' if self.pretrained else 'from scratch'}"
        )


def _counted(number: int, noun: str) -> str:
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}{'es' if noun.endswith('s') else 's'}"


def recommend(situation: Situation, measured: Iterable[Measured] = ()) -> Advice:
    """The network to take; the rules are in docs/networks.md."""
    known = {one.name: one for one in measured}
    order = _preferred(situation)
    fitting = [name for name in order if _fits(known.get(name), situation)]
    if fitting:
        return Advice(fitting[0], situation)
    lightest = min(order, key=lambda name: known[name].memory)  # what is not known fits
    return Advice(lightest, situation, fits=False)


def anew(trained: str, situation: Situation, measured: Sequence[Measured] = ()) -> str:
    """The network to begin anew with where `trained` is what was trained so far: who has what was
    recommended, with fewer labels maybe, gets what is recommended now; another choice stays."""
    now = recommend(situation, measured).name
    first = recommend(replace(situation, labelled=1), measured).name
    return now if trained in (now, first) else trained


def _preferred(situation: Situation) -> Sequence[str]:
    order = _by_start(situation, True)
    weights = situation.weights & set(order)
    if not weights:
        order = _by_start(situation, False)
    few_kinds = situation.classes < _SCENES  # the parts of a scene touch, and are no things
    if few_kinds and situation.touching >= MANY_TOUCH and situation.labelled >= FEW_LABELS:
        return (*_FOR_TOUCHING[situation.gpu], *order)
    # what must begin from nothing comes after what need not
    return sorted(order, key=lambda name: name not in weights)


def _by_start(situation: Situation, pretrained: bool) -> Sequence[str]:
    order = _ORDER[situation.gpu, pretrained]
    if situation.labelled < FEW_LABELS and not pretrained:
        return ("unet", *order)
    if situation.gpu and situation.classes >= _SCENES:
        return (*_FOR_SCENES, *order)
    return order


def _fits(one: Measured | None, situation: Situation) -> bool:
    if one is None:  # not measured: taken at its card's word
        return True
    small = situation.free is None or one.memory <= _SPARE * situation.free
    return small and one.train_ms <= SLOWEST_STEP


def size_in_megabytes(parameters: int) -> float:
    """On the disk, in 32 bits."""
    return 4 * parameters / 1e6


def measuring(name: str, device: str = "auto") -> list[str]:
    """The command that measures a network in a process of its own; its last line of output is for
    `read_measured`."""
    module = [] if getattr(sys, "frozen", False) else ["-m", "segstudio"]
    return [sys.executable, *module, "measure", name, "--device", device, "--json"]


def read_measured(output: str) -> Measured | str:
    """What such a process found, or in words why it did not."""
    lines = output.splitlines()
    try:
        answer = json.loads(lines[-1]) if lines else {}
        return str(answer["error"]) if "error" in answer else Measured(**answer)
    except (ValueError, TypeError):
        return "failed"


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
