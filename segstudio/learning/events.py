"""What training and prediction tell whoever started them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from segstudio.errors import Cancelled as Cancelled


@dataclass(frozen=True)
class Progress:
    """`done` of `total` units; `rate` is units a second, `seconds_left` None when unknown."""

    done: float
    total: float
    rate: float = 0.0
    seconds_left: float | None = None
    text: str = ""


@dataclass(frozen=True)
class Loss:
    """The mean training loss since the last one, at this step and second of the run."""

    step: int
    seconds: float
    value: float


@dataclass(frozen=True)
class Validation:
    """Scores on the validation images; `per_class` is IoU by class name, None for no score,
    `precision` holds "ap" and "ap50" of a network that finds things."""

    step: int
    seconds: float
    miou: float
    per_class: Mapping[str, float | None]
    images: int
    precision: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class ImageDone:
    """A prediction was written for this image."""

    image: str
    model: str
    seconds: float


@dataclass(frozen=True)
class ImageFailed:
    """No prediction for this image, and why; the rest goes on."""

    image: str
    reason: str


@dataclass(frozen=True)
class Saving:
    """A job has come to its end, or has been stopped, and writes what it has."""


@dataclass(frozen=True)
class ModelSaved:
    """A numbered model was written; `worse` are sentences on what lost IoU, `guesses` is the mIoU
    of the guesses that a first model was compared with."""

    model: str
    promoted: bool
    reason: str
    scores: Mapping[str, Any] = field(default_factory=dict)
    worse: tuple[str, ...] = ()
    guesses: float | None = None


@dataclass(frozen=True)
class Log:
    """A line for the person: what was changed and why."""

    text: str


Event = Progress | Loss | Validation | ImageDone | ImageFailed | Saving | ModelSaved | Log
OnEvent = Callable[[Event], None]


def ignore(_: Event) -> None:
    """For callers that want no events."""


def never() -> bool:
    """For callers that never stop a job."""
    return False


def at_once() -> None:
    """For callers that never pause a job."""
