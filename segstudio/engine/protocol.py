"""What the window and its child processes say to each other: small messages as JSON.

Requests go to a child, events come back. Arrays and weights never travel here; they are files in
the project folder. Paths are strings, images are the project's image keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from segstudio.errors import UserError

Role = Literal["predictor", "trainer", "files"]


@dataclass(frozen=True)
class Message:
    """A request or an event; its class name is its type on the wire."""


# -- requests: the window to a child


@dataclass(frozen=True)
class Probe(Message):
    """Find the device and prove it by running a kernel; answered by Ready."""

    device: str = "auto"


@dataclass(frozen=True)
class Segment(Message):
    """Predict images; what this model has predicted already is skipped.

    A request for one image overtakes a folder run between two images. `as_run`: it is a batch
    run, which can be taken back as one. `ahead`: nobody has asked for it yet. `spare`: nobody
    waits for it either, and one processor core is enough. With more care than `quick` also what was
    predicted with less and nobody has seen.
    """

    job: str
    project: str
    model: str
    images: tuple[str, ...]
    device: str = "auto"
    as_run: bool = False
    ahead: bool = False
    spare: bool = False
    care: Literal["quick", "careful", "thorough"] = "quick"


@dataclass(frozen=True)
class Guess(Message):
    """Round 0: learn from the label files of `learn`, guess the whole of `image`.

    Done's result has `image`, and `file`: an .npz with `labels` (h, w), the project's class
    numbers, and `margin` (h, w) uint8, to be removed by the window; "" when the labels do not
    tell two classes apart yet, or the picture is too large to be decoded as a whole.
    """

    job: str
    project: str
    image: str
    learn: tuple[str, ...]


@dataclass(frozen=True)
class Forecast(Message):
    """Carry the labels of a frame before `image` along to it, as its drafts, where that is the
    best there is.

    Done's result has `image`, and `source`, the frame whose labels they are, "" where the model in
    force does better or the scene changes.
    """

    job: str
    project: str
    image: str


@dataclass(frozen=True)
class Refine(Message):
    """Better outlines for part of an image: `file` is an .npz with `labels` (h, w) int32, `margin`
    (h, w) uint8 and `fixed` (h, w) bool of the part of the picture that begins at `corner`.

    Done's result has `file`, an .npz with `labels`; the window removes both.
    """

    job: str
    project: str
    image: str
    file: str
    corner: tuple[int, int]
    how: Mapping[str, Any]


@dataclass(frozen=True)
class Train(Message):
    """Train a candidate from the model in force (or `start_from`, or from scratch: "")."""

    job: str
    project: str
    architecture: str | None = None
    minutes: float | None = None
    start_from: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"
    resume: bool = False


@dataclass(frozen=True)
class Evaluate(Message):
    """Score a model's predictions against the labels; the table comes in Done."""

    job: str
    project: str
    model: str
    device: str = "auto"


@dataclass(frozen=True)
class Quality(Message):
    """Compare what was shown with what was confirmed; the tables come in Done. With `report`
    (a .csv or .html file) they are written there too."""

    job: str
    project: str
    report: str = ""


@dataclass(frozen=True)
class Adopt(Message):
    """Take a model file of the user's own; `mapping` is its classes to the project's."""

    job: str
    project: str
    file: str
    mapping: Mapping[str, str] = field(default_factory=dict)
    architecture: str | None = None


@dataclass(frozen=True)
class Export(Message):
    """Write images in a foreign format and read them back; the report comes in Done."""

    job: str
    project: str
    out: str
    format: str
    images: tuple[str, ...]


@dataclass(frozen=True)
class Import(Message):
    """Bring pictures and labels of a foreign format into the project."""

    job: str
    project: str
    source: str
    format: str = "auto"


@dataclass(frozen=True)
class Bulk(Message):
    """Change all images at once, `edit` being a BulkEdit as JSON; without one the last is undone.

    The BulkResult comes in Done; until then nothing has changed, and cancelled nothing will.
    """

    job: str
    project: str
    edit: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class UndoRun(Message):
    """Take a batch run back; what was done comes in Done."""

    job: str
    project: str
    run: int


@dataclass(frozen=True)
class IndexShapes(Message):
    """Learn what shapes there are, into the file `index`; other work goes first."""

    job: str
    project: str
    index: str


@dataclass(frozen=True)
class Cancel(Message):
    """Stop a job; answered by Cancelled within two seconds."""

    job: str


@dataclass(frozen=True)
class Pause(Message):
    """Let a training job wait."""

    job: str


@dataclass(frozen=True)
class Resume(Message):
    """Let a paused job go on."""

    job: str


@dataclass(frozen=True)
class Close(Message):
    """End the child."""


# -- events: a child to the window


@dataclass(frozen=True)
class Ready(Message):
    """The child can work. `reason` says why it uses no GPU; `gpu_unused` that there is one.
    `free` is memory in megabytes, `weights` are the networks with published weights here."""

    role: str
    device: str = ""
    device_name: str = ""
    reason: str = ""
    gpu_unused: bool = False
    free: float | None = None
    weights: tuple[str, ...] = ()


@dataclass(frozen=True)
class Progress(Message):
    """How far a job is; `rate` in units per second, `seconds_left` None when unknown."""

    job: str
    done: int
    total: int
    rate: float = 0.0
    seconds_left: float | None = None
    text: str = ""


@dataclass(frozen=True)
class ImageDone(Message):
    """A prediction is on the disk."""

    job: str
    image: str
    model: str
    seconds: float = 0.0


@dataclass(frozen=True)
class ImageFailed(Message):
    """One image could not be done; the job goes on."""

    job: str
    image: str
    reason: str


@dataclass(frozen=True)
class Loss(Message):
    """The training loss, a mean over the last steps."""

    job: str
    step: int
    seconds: float
    value: float


@dataclass(frozen=True)
class Validation(Message):
    """Scores of the candidate on the validation images; IoU per class, None when absent, and of
    a network that finds things the average precision, "ap" and "ap50"."""

    job: str
    step: int
    seconds: float
    miou: float
    per_class: Mapping[str, float | None] = field(default_factory=dict)
    images: int = 0
    precision: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Saving(Message):
    """A job has come to its end, or has been stopped, and writes what it has."""

    job: str


@dataclass(frozen=True)
class ModelSaved(Message):
    """A new numbered model, and whether it was put in force and why; `guesses` is the mIoU of the
    guesses that a first model was compared with."""

    job: str
    model: str
    promoted: bool
    reason: str
    scores: Mapping[str, Any] = field(default_factory=dict)
    worse: tuple[str, ...] = ()
    guesses: float | None = None


@dataclass(frozen=True)
class Done(Message):
    """A job has ended well."""

    job: str
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed(Message):
    """A job has ended badly: what happened and what to do."""

    job: str
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Cancelled(Message):
    """A job has stopped because it was asked to."""

    job: str


@dataclass(frozen=True)
class Log(Message):
    """A sentence worth showing, of no job or of one."""

    text: str
    job: str = ""


_TYPES: Mapping[str, type[Message]] = {kind.__name__: kind for kind in Message.__subclasses__()}


def encode(message: Message) -> bytes:
    """A message as UTF-8 JSON."""
    return json.dumps({"type": type(message).__name__, **asdict(message)}).encode()


def decode(data: bytes) -> Message:
    """A message from JSON; keys it does not know are left out. UserError when it is none."""
    try:
        raw = json.loads(data)
        kind = _TYPES[raw.pop("type")]
    except (ValueError, KeyError, AttributeError) as error:
        raise UserError(f"A message between processes cannot be read: {error}") from error
    known = {f.name for f in fields(kind)}
    facts = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items() if k in known}
    return kind(**facts)
