"""The next frame's label map from those before: what is offered as a draft, beside the baselines
of Luc et al. 2017 and their network.

On CamVid, mIoU over all pixels of 11 classes at 480x360. `val` is one drive labelled at 15 frames
a second, so that longer steps can be made by leaving frames out; `train` has three drives at one
frame a second. The forecast sees the next picture, which the paper's methods do not: `blind` is
their baseline, the flow between the last two pictures carried on. With `--minutes` the network is
trained for so long on the first 60 frames of `val`, and it and the others are scored on the rest.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from benchmarks import camvid
from benchmarks.common import Measure, parser, report
from segstudio.learning.metrics import Confusion
from segstudio.learning.motion import Motion, motion, path
from segstudio.learning.round0 import Round0
from segstudio.learning.samples import Labelled
from segstudio.networks.s2s import FRAMES, S2S, loss

_STEPS = (2, 6, 18, 30)
"""Frames of the film, at 30 a second, from one to the next: 0.07, 0.2, 0.6 and 1 second."""
_FIRST = 60
"""Frames of `val` that the network learns from."""
_SHRINK = 4
_CROP = 64
Rows = NDArray[np.int16]
Film = dict[int, Labelled]


@dataclass(frozen=True)
class Case:
    """Frames of a film, the last of which is to be predicted from those before; `between` are
    all there are from the last but one on."""

    frames: tuple[Labelled, ...]
    between: tuple[Labelled, ...]


def films(part: str) -> dict[str, Film]:
    """The drives of a part, frames by number."""
    found: dict[str, Film] = {}
    for item in camvid.items(part):
        drive, _, number = Path(item.key).stem.rpartition("_")
        found.setdefault(drive, {})[int(number.removeprefix("f"))] = item.read()
    return found


def cases(film: Film, step: int, count: int, most: int) -> list[Case]:
    """Runs of `count` frames that are `step` apart, evenly chosen."""
    runs = [[n + step * i for i in range(count)] for n in sorted(film)]
    runs = [run for run in runs if all(n in film for n in run)]
    chosen = runs[:: max(1, len(runs) // most)][:most]
    return [
        Case(
            tuple(film[n] for n in run),
            tuple(film[n] for n in range(run[-2], run[-1] + 1) if n in film),
        )
        for run in chosen
    ]


def seen(case: Case) -> list[Motion]:
    """The motions from the frame to be predicted back to the last labelled one."""
    pairs = zip(case.between, case.between[1:], strict=False)
    found = [motion(earlier.picture, later.picture) for earlier, later in pairs]
    return [one for one in reversed(found) if one is not None]


def copied(case: Case) -> Rows:
    return case.frames[-2].labels


def carried(case: Case) -> Rows:
    """What segstudio offers."""
    return _carry(seen(case), case.frames[-2].labels)


def direct(case: Case) -> Rows:
    """The same in one leap, without the pictures between."""
    one = motion(case.frames[-2].picture, case.frames[-1].picture)
    return _carry([one] if one is not None else [], case.frames[-2].labels)


def blind(case: Case) -> Rows:
    """The motion between the last two known pictures, once more: without the next picture."""
    one = motion(case.frames[-3].picture, case.frames[-2].picture)
    return _carry([one] if one is not None else [], case.frames[-2].labels)


def guessed(case: Case) -> Rows:
    """Round 0, taught by the frame before."""
    round0 = Round0(camvid.CLASSES)
    last = case.frames[-2]
    round0.take("last", last.picture, last.labels)
    round0.fit()
    return np.asarray(round0.predict("next", case.frames[-1].picture)[0], np.int16)


def _carry(motions: Sequence[Motion], labels: Rows) -> Rows:
    values = np.maximum(labels, 0).astype(np.uint8)  # void is nobody's prediction
    return np.asarray(path(motions).carry(values), np.int16)


def score(found: Sequence[Case], predict: Callable[[Case], Rows]) -> float:
    """mIoU over the classes; void pixels do not count, void predictions are wrong."""
    confusion = Confusion(camvid.CLASSES + 1)
    for case in found:
        confusion.add(np.maximum(predict(case), 0), case.frames[-1].labels)
    return float(np.nanmean(confusion.iou()[1:]))


# the network of the paper


def trained(film: Film, minutes: float, width: int, step: int) -> S2S:
    """S2S on the first part of a film, on a quarter of the size, crops of 64 pixels."""
    torch.manual_seed(0)
    few = dict(sorted(film.items())[:_FIRST])
    runs = [small(case.frames) for case in cases(few, step, FRAMES + 1, _FIRST)]
    network = S2S(camvid.CLASSES, width=width)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    began, steps = time.monotonic(), 0
    while time.monotonic() - began < 60 * minutes:
        batch = torch.stack(list(_crops(runs)))
        wrong = loss(network(batch[:, :-1]), batch[:, -1])
        optimiser.zero_grad()
        torch.autograd.backward(wrong)
        optimiser.step()
        steps += 1
    print(f"S2S, width {width}: {steps} steps, loss {float(wrong.detach()):.3f}", file=sys.stderr)
    return network.eval()


def _crops(runs: Sequence[Tensor]) -> Iterator[Tensor]:
    for place in torch.randint(len(runs), (4,)).tolist():
        run = runs[place]
        top, left = (int(torch.randint(side - _CROP + 1, (1,))) for side in run.shape[-2:])
        yield run[..., top : top + _CROP, left : left + _CROP]


def small(frames: Sequence[Labelled]) -> Tensor:
    """Scores (n, classes, h / 4, w / 4): 1 for the class, 0 for void."""
    rows = torch.from_numpy(np.stack([frame.labels for frame in frames])).long()
    scores = F.one_hot(rows.clamp(min=0), camvid.CLASSES + 1)[..., 1:].movedim(-1, 1).float()
    return F.avg_pool2d(scores, _SHRINK)


def foretold(network: S2S) -> Callable[[Case], Rows]:
    def predict(case: Case) -> Rows:
        with torch.inference_mode():
            scores = network(small(case.frames[-1 - FRAMES : -1])[None]).whole
            large = F.interpolate(scores, scale_factor=_SHRINK, mode="bilinear")
        return np.asarray(large[0].argmax(0).numpy() + 1, np.int16)

    return predict


# the table


def main() -> int:
    command = parser((__doc__ or "").splitlines()[0])
    command.add_argument("--cases", type=int, default=15, help="frames predicted of each kind")
    command.add_argument("--minutes", type=float, default=0.0, help="train S2S for so long too")
    command.add_argument("--width", type=int, default=32, help="of S2S; the paper's is 128")
    command.add_argument("--step", type=int, default=2, help="between the frames of S2S")
    options = command.parse_args()
    cv2.setNumThreads(1)
    (video,) = films("val").values()
    if options.minutes:
        report(with_network(video, options), options.json)
        return 0
    measures: list[Measure] = []
    for step in _STEPS:
        measures += compared(f"{step / 30:.2f} s", cases(video, step, 3, options.cases))
    for drive, film in films("train").items():
        measures += compared(f"1 s {drive}", cases(film, 30, 3, options.cases))
    report(measures, options.json)
    return 0


def with_network(film: Film, options: argparse.Namespace) -> list[Measure]:
    network = trained(film, options.minutes, options.width, options.step)
    rest = dict(sorted(film.items())[_FIRST:])
    later = cases(rest, options.step, FRAMES + 1, options.cases)
    return compared(f"{options.step / 30:.2f} s", later, foretold(network))


def compared(
    name: str, found: list[Case], network: Callable[[Case], Rows] | None = None
) -> list[Measure]:
    """Ours against copying, then the others against copying."""
    copy = score(found, copied)
    others = {"carried": carried, "direct": direct, "blind": blind, "round 0": guessed}
    ways = {"S2S": network, **others} if network is not None else others
    words = f"mIoU, {len(found)} frames; reference: the last labels, copied"
    return [
        Measure(f"{name} {way}", score(found, how), copy, "mIoU", words, "> 1")
        for way, how in ways.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
