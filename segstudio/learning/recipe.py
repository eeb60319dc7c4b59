"""The recipe of a training run, configured from the data (nnU-Net's lesson, Isensee et al. 2021).

Every number can be overridden, and the whole recipe is written into model.toml.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from segstudio.errors import UserError
from segstudio.learning.augment import Augmentation, Things
from segstudio.learning.metrics import VOID
from segstudio.learning.normalise import Normalisation
from segstudio.learning.samples import Labelled
from segstudio.networks.card import Card

Schedule = Literal["constant", "cosine"]
DeviceKind = Literal["cuda", "mps", "cpu"]

CPU_CROP: Final = 256
GPU_CROP: Final = 512
LARGEST_CROP: Final = 768
"""For things, on a GPU."""
_CPU_PIXELS: Final = 6 * 128**2
_CPU_PIXELS_FOR_THINGS: Final = 2 * 256**2
_SPARE_MEMORY: Final = 4 * 2**30
_ANCHORS: Final = (8, 32)
"""The smallest anchor, at least and at most; 32 is the paper's."""
_SMALL: Final = 0.1
_DIVISOR: Final = 32
_FEWEST_STEPS: Final = 1000
"""Of a run of a number of epochs: where there are few images an epoch is a step or two."""
_LIGHT_FROM: Final = 128
"""The shorter side of pictures, in pixels, below which every form of a network is light enough."""
_UPRIGHT: Final = 0.25
"""Total variation between the classes above and below the middle that tells up from down."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a network is trained.

    `options` go to the architecture; `weights` names published weights to start from, a file of
    them, "none", or nothing for the architecture's own default. From the share
    `freeze_statistics` of the run on, batch normalisation uses its running statistics: a small
    batch of unlike pictures has others than the whole set, and prediction uses the latter.
    `adversarial` weighs the judgement of a second network, 0 for none (Luc et al. 2016). `weak`
    "boxes" takes rectangles for boxes around things, not for the things (see `weak`).

    A run ends after `max_steps`; without them and a number of `epochs`, when `patience` validations
    in a row bring nothing better. An epoch is as many crops as there are images; `epochs` and
    `warm_up_epochs` set the steps that nobody gave. With `epochs`, patience counts as well.
    """

    name: str = "default"
    crop: int = 256
    batch: int = 4
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 1e-3
    encoder_factor: float = 1.0
    weight_decay: float = 1e-2
    schedule: Schedule = "constant"
    warm_up: int = 50
    warm_up_epochs: int = 0
    dice_share: float = 0.5
    adversarial: float = 0.0
    class_weights: tuple[float, ...] = ()
    ema: float = 0.995
    freeze_statistics: float = 0.5
    clip_norm: float = 5.0
    focused: float = 0.4
    corrected: float = 0.1
    newest: float = 0.5
    max_steps: int | None = None
    epochs: int | None = None
    patience: int | None = 10
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    weights: str = ""
    weak: str = ""
    normalisation: Normalisation = field(default_factory=Normalisation)
    augmentation: Augmentation = field(default_factory=Augmentation)

    def to_dict(self) -> dict[str, Any]:
        """As plain values for TOML; what is None is left out."""
        facts = {key: value for key, value in asdict(self).items() if value is not None}
        facts["class_weights"] = list(self.class_weights)
        facts["options"] = dict(self.options)
        facts["normalisation"] = self.normalisation.to_card()
        facts["augmentation"] = self.augmentation.to_dict()
        return facts

    def overridden(self, overrides: Mapping[str, Any]) -> Self:
        """With some numbers replaced; UserError names what is unknown or of the wrong kind."""
        known = {f.name: f for f in fields(self)}
        values: dict[str, Any] = {}
        for key, value in overrides.items():
            if key not in known:
                raise UserError(
                    f"A recipe has no setting called {key!r}",
                    remedy=f"Settings: {', '.join(known)}",
                )
            values[key] = _converted(key, value, getattr(self, key))
        return replace(self, **values)


def _converted(key: str, value: Any, now: Any) -> Any:
    try:
        if key == "normalisation":
            return Normalisation.from_card({**now.to_card(), **value})
        if key == "augmentation":
            return Augmentation.from_dict({**now.to_dict(), **value})
        if key == "options":
            return {**now, **value}
        if key == "class_weights":
            return tuple(float(weight) for weight in value)
        if key == "weak" and value not in ("", "boxes"):
            raise ValueError(value)
        if key in ("max_steps", "epochs", "patience"):
            return None if value is None else int(value)
        if isinstance(now, int | float) and not float(value) >= 0:
            raise ValueError(value)
        return type(now)(value)
    except (TypeError, ValueError) as error:
        remedy = _REMEDIES.get(key, "It is a number from 0 on.")
        raise UserError(f"The recipe's {key} cannot be {value!r}", remedy=remedy) from error


_REMEDIES: Final = {
    "options": 'Write them as in options={"width": 32}.',
    "normalisation": 'Write it as in normalisation={"kind": "imagenet"}.',
    "augmentation": "Write it as in a model's card, model.toml.",
    "class_weights": "Write a number for each class, the background first, as in [0.5, 1, 2].",
    "weak": "It is boxes, or nothing.",
}


CLASSIC: Final[Mapping[str, Any]] = {
    "name": "classic",
    "optimiser": "sgd",
    "learning_rate": 0.01,
    "weight_decay": 5e-4,
    "batch": 16,
    "schedule": "cosine",
    "warm_up_epochs": 10,
    "epochs": 100,
    "patience": 10,
    "ema": 0.0,
    "dice_share": 0.0,
}
"""The textbook recipe, as overrides."""

POLISH: Final[Mapping[str, Any]] = {
    "name": "polish",
    "schedule": "cosine",
    "epochs": 300,
    "patience": None,
}
"""For a long last run: the learning rate goes to zero along a cosine, and nothing ends it early."""

LIVE: Final[Mapping[str, Any]] = {"name": "live", "schedule": "constant", "patience": None}
"""While a person labels: the learning rate stays, the average is what counts."""

NAMED: Final[Mapping[str, Mapping[str, Any]]] = {
    "default": {},
    "live": LIVE,
    "classic": CLASSIC,
    "polish": POLISH,
}


@dataclass(frozen=True)
class Facts:
    """What the training pictures say about the recipe."""

    images: int
    side: int  # median of the shorter sides, pixels
    pixels: tuple[int, ...]  # labelled pixels of each class, background first
    upright: bool  # classes above and below the middle differ, as in street scenes
    small_thing: int = 0  # a tenth of the instances are smaller (root of their box); 0: no instance


def study(samples: Iterable[Labelled], classes: int, images: int | None = None) -> Facts:
    """Look at some of the training pictures, of which there are `images` (all are looked at when
    nothing is said); `classes` does not count the background."""
    sides: list[int] = []
    things: list[float] = []
    halves = np.zeros((2, classes + 1))
    for sample in samples:
        labels = sample.labels
        sides.append(min(labels.shape))
        things += [] if sample.instances is None else _sides_of(sample.instances)
        middle = labels.shape[0] // 2
        halves += [_count(labels[:middle], classes), _count(labels[middle:], classes)]
    return Facts(
        len(sides) if images is None else images,
        int(np.median(sides)) if sides else 256,
        tuple(int(n) for n in halves.sum(0)),
        _differ(halves) > _UPRIGHT,
        int(np.quantile(things, _SMALL)) if things else 0,
    )


def _sides_of(instances: Things) -> list[float]:
    """The root of the area of each instance's box, pixels."""
    down, across = np.nonzero(instances > 0)
    numbers, index = np.unique(instances[down, across], return_inverse=True)
    area = np.ones(len(numbers))
    for places in (down, across):
        low = np.full(len(numbers), np.inf)
        high = np.zeros(len(numbers))
        np.minimum.at(low, index, places)
        np.maximum.at(high, index, places)
        area *= high - low + 1
    return [float(side) for side in np.sqrt(area)]


def _count(labels: NDArray[np.int16], classes: int) -> NDArray[np.int64]:
    known = labels[labels != VOID]
    return np.bincount(known, minlength=classes + 1)[: classes + 1]


def _differ(halves: NDArray[np.float64]) -> float:
    """Total variation distance between the two rows as distributions."""
    totals = halves.sum(1, keepdims=True)
    if not totals.all():
        return 1.0
    return float(np.abs(np.diff(halves / totals, axis=0)).sum() / 2)


def configure(
    facts: Facts,
    device: DeviceKind = "cpu",
    *,
    pretrained: bool = False,
    memory: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    adapted: Mapping[str, Any] | None = None,
) -> Recipe:
    """The recipe for these data on this device; `memory` is in bytes, `pretrained` an encoder,
    `adapted` what a kind of network needs otherwise, which can be overridden like all else."""
    crop = _cpu_crop(facts.side) if device == "cpu" else _gpu_crop(facts.side)
    recipe = Recipe(
        crop=crop,
        batch=_cpu_batch(crop) if device == "cpu" else _gpu_batch(memory, crop),
        learning_rate=3e-4 if pretrained else 1e-3,
        encoder_factor=0.1 if pretrained else 1.0,
        class_weights=_class_weights(facts.pixels),
        normalisation=Normalisation.imagenet() if pretrained else Normalisation.root(),
        augmentation=Augmentation(upright=facts.upright),
    )
    overrides = dict(overrides or {})
    named = NAMED.get(str(overrides.get("name", "default")), {})
    chosen = {**named, **overrides}
    return _in_epochs(recipe.overridden(adapted or {}).overridden(chosen), chosen, facts.images)


def _in_epochs(recipe: Recipe, chosen: Mapping[str, Any], images: int) -> Recipe:
    """The recipe with epochs as steps, where steps are not `chosen`."""
    each = math.ceil(images / recipe.batch)
    if recipe.epochs is not None and "max_steps" not in chosen:
        recipe = replace(recipe, max_steps=max(_FEWEST_STEPS, recipe.epochs * each))
    if recipe.warm_up_epochs and "warm_up" not in chosen:
        warm_up = recipe.warm_up_epochs * each
        if recipe.epochs and recipe.max_steps:  # the same share of a run that was made longer
            share = recipe.warm_up_epochs / recipe.epochs
            warm_up = max(warm_up, round(share * recipe.max_steps))
        recipe = replace(recipe, warm_up=warm_up)
    return recipe


def may_be_light(facts: Facts, device: DeviceKind, options: Mapping[str, Any]) -> bool:
    """Whether a network begins with its card's light options, if it has some: without a GPU,
    unless pictures are small or somebody chose `options`. In the same minutes a U-Net comes
    further with them (benchmarks.latency)."""
    return device == "cpu" and facts.side >= _LIGHT_FROM and not options


def with_wishes_of(
    card: Card, overrides: Mapping[str, Any], *, pretrained: bool = False
) -> dict[str, Any]:
    """`overrides` with what the card asks for; what a person or a named recipe says wins.

    A network that compares colours (`Card.linear`) has ImageNet's normalisation, also where it
    begins from scratch: a step of three grey values is then the same in the dark and in the light.
    """
    asked: dict[str, Any] = {}
    if card.learning_rate is not None and not pretrained:
        named = NAMED.get(str(overrides.get("name", "default")), {})
        asked["learning_rate"] = named.get("learning_rate", card.learning_rate)
    asked |= overrides
    if card.linear:
        chosen = overrides.get("normalisation", {})
        asked["normalisation"] = {**Normalisation.imagenet().to_card(), **chosen}
    return asked


def for_instances(facts: Facts, device: DeviceKind, memory: int | None) -> dict[str, Any]:
    """What networks that find things need otherwise: crops with whole things in them, and anchors
    as small as the small things."""
    crop = _in_steps(facts.side, CPU_CROP if device == "cpu" else LARGEST_CROP)
    free = _SPARE_MEMORY if memory is None else memory
    fitting = _CPU_PIXELS_FOR_THINGS // crop**2 if device == "cpu" else free // (20_000 * crop**2)
    anchor = 2 ** int(np.log2(max(facts.small_thing, 1)))
    return {
        "crop": crop,
        "batch": int(np.clip(fitting, 2, 8)),
        "class_weights": (),
        "options": {"anchor": int(np.clip(anchor, *_ANCHORS))} if facts.small_thing else {},
    }


def _cpu_crop(side: int) -> int:
    """Half of the shorter side: where time is short, many small steps teach more than few
    large ones (benchmarks.nuclei_scratch)."""
    return _in_steps(side / 2, CPU_CROP)


def _gpu_crop(side: int) -> int:
    """Three quarters of the shorter side, so that one batch can show more pictures."""
    return _in_steps(0.75 * side, GPU_CROP)


def _in_steps(crop: float, most: int) -> int:
    return max(64, min(most, math.ceil(crop / _DIVISOR) * _DIVISOR))


def _cpu_batch(crop: int) -> int:
    """As many crops as have the pixels of a small batch, and enough for batch statistics."""
    return int(np.clip(round(_CPU_PIXELS / crop**2), 4, 16))


def _gpu_batch(memory: int | None, crop: int) -> int:
    """About 600 bytes of activations a pixel of U-Net width 16, ten times that for encoders."""
    free = _SPARE_MEMORY if memory is None else memory
    return int(np.clip(free // (6000 * crop * crop), 2, 16))


def _class_weights(pixels: Sequence[int]) -> tuple[float, ...]:
    """Square root of median frequency over frequency, within 0.5..3; none for one class.

    Eigen & Fergus 2015, softened: Dice already counts small classes as much as large ones.
    """
    counts = np.asarray(pixels, np.float64)
    seen = counts[counts > 0]
    if len(seen) <= 2:
        return ()
    weights = np.sqrt(np.median(seen) / np.where(counts > 0, counts, np.inf))
    weights = np.where(counts > 0, weights.clip(0.5, 3.0), 1.0)
    return tuple(round(float(weight), 3) for weight in weights)
