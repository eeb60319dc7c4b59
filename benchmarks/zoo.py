"""Every network on CamVid, from scratch: size, speed, memory, and how it learns.

What is measured is what is trained: the network as its card has it, which is the paper's, or with
`--options`; never the light form that a network may begin with on a machine without a GPU (for
that, `segstudio models --measure`).

By default each takes a fixed number of steps and the fall of its loss is shown (`--quick`: on small
crops of two pictures, all networks in half an hour on two cores); with `--minutes` it trains for so
long and is scored on the validation part. `--core-minutes` are counted by what the processor spent
on it, over all cores, so that a busy machine gives it no less. Networks that find things learn
from nuclei, and are not scored. Each network has a process of its own; `--record FILE` keeps what
is done by network and options, so that a run that was cut off goes on. Losses are means over the
first and the last fifth of the steps.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks import camvid
from benchmarks.common import DATA, need, parser
from segstudio.learning import device as devices
from segstudio.learning.events import at_once
from segstudio.learning.loop import Fit, Run, seed_everything
from segstudio.learning.measure import measure
from segstudio.learning.metrics import or_zero
from segstudio.learning.recipe import Recipe, with_wishes_of
from segstudio.learning.samples import Item, Labelled, Library
from segstudio.learning.scoring import pooled, score
from segstudio.learning.task import PIXELS, Task, task_of
from segstudio.networks import registry
from segstudio.networks.choosing import Measured
from segstudio.networks.fuse import fused
from segstudio.project.images import read_image
from segstudio.project.predictions import read_png

PICTURES = 367


@dataclass(frozen=True)
class Row:
    """What became of one network; `miou` and `macc` are None where it was not scored. `options`
    are those that were asked for."""

    measured: Measured
    steps: int
    seconds: float
    first_loss: float
    last_loss: float
    miou: float | None = None
    macc: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def zoo_parser() -> argparse.ArgumentParser:
    result = parser((__doc__ or "").splitlines()[0])
    result.add_argument("names", nargs="*", help="networks; all by default")
    result.add_argument("--steps", type=int, default=20, help="training steps of a network")
    result.add_argument("--minutes", type=float, help="train for so long instead, and score")
    result.add_argument("--core-minutes", type=float, help="the same, in time of one CPU core")
    result.add_argument("--pictures", type=int, default=40, help="to take the steps on")
    result.add_argument("--batch", type=int, default=4)
    result.add_argument("--crop", type=int, default=256)
    result.add_argument("--quick", action="store_true", help="30 steps of two crops of 128 pixels")
    result.add_argument("--record", type=Path, help="a file of rows; what is in it is left out")
    result.add_argument("--options", type=json.loads, default={}, help='such as {"width": 32}')
    result.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    return result


def run(name: str, options: argparse.Namespace) -> Row:
    """Measure, train, and score one network in this process."""
    devices.share_cores()
    cv2.setNumThreads(1)
    report = devices.probe()
    measured = measure(name, report, options.options)
    seed_everything(0)
    fit, library = _train(name, options, report)
    row = Row(measured, fit.steps, fit.seconds, *fall(fit), options=options.options)
    if minutes_of(options) is None or task_of(name) is not PIXELS:
        return row
    reader = PIXELS.reader(fused(fit.network), library.normalisation, report.device)
    scores = score(reader, camvid.items("val"), library, at_once, camvid.CLASSES)
    confusion = pooled(scores, camvid.CLASSES)
    return replace(row, miou=or_zero(confusion.miou()), macc=or_zero(confusion.macc()))


def fall(fit: Fit) -> tuple[float, float]:
    """The mean loss of the first and the last fifth, NaN where none was a number."""
    losses = [float(str(line["loss"])) for line in fit.curves if "loss" in line] or [math.nan]
    few = max(1, len(losses) // 5)
    return sum(losses[:few]) / few, sum(losses[-few:]) / few


def _train(
    name: str, options: argparse.Namespace, report: devices.DeviceReport
) -> tuple[Fit, Library]:
    minutes = minutes_of(options)
    recipe = Recipe(
        batch=options.batch,
        crop=options.crop,
        schedule="cosine",
        max_steps=None if minutes else options.steps,
        warm_up=50 if minutes else options.steps // 3,
    ).overridden(with_wishes_of(registry.card_of(name), {}))
    task = task_of(name)
    library, classes = _material(task, PICTURES if minutes else options.pictures)
    network = registry.build(name, len(classes), **options.options)
    training = Run(
        network,
        library,
        [],
        classes,
        recipe,
        report.device,
        task=task,
        seconds=minutes * 60 if minutes else None,
        report_every=0,
        clock=time.process_time if options.core_minutes else time.monotonic,
    )
    return training.fit(), library


def minutes_of(options: argparse.Namespace) -> float | None:
    """How long to train, None where steps are counted."""
    minutes: float | None = options.core_minutes or options.minutes
    return minutes


def _material(task: Task, count: int) -> tuple[Library, tuple[str, ...]]:
    """What a network can learn from, and the classes."""
    if not task.instances:
        return camvid.library(camvid.items(count=count)), camvid.NAMES
    pictures = sorted((need(DATA / "nuclei") / "images").glob("*.png"))[:count]
    items = [Item(p.stem, partial(_things, p)) for p in pictures]
    library = Library(items, Recipe().normalisation)
    for item in items:
        library.known(item)
    return library, ("nucleus",)


def _things(picture: Path) -> Labelled:
    numbers = read_png(picture.parents[1] / "instances" / picture.name)
    assert numbers is not None
    things = numbers.astype(np.int32)
    return Labelled(read_image(picture), (things > 0).astype(np.int16), None, things)


def apart(name: str, arguments: list[str]) -> Row | str:
    """`run` in a process of its own, or why there is no result."""
    command = [sys.executable, "-m", "benchmarks.zoo", name, "--alone", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return "ended by the system" if done.returncode < 0 else done.stderr.strip()[-300:]
    return row_of(json.loads(done.stdout.splitlines()[-1]))


def titled(name: str, options: Mapping[str, Any]) -> str:
    """A network and those of its options that are not its card's."""
    ordinary = registry.card_of(name).options
    other = [f"{key}={value}" for key, value in options.items() if ordinary.get(key) != value]
    return " ".join([name, *other])


def line(row: Row) -> str:
    m = row.measured
    score = "" if row.miou is None else f"{100 * row.miou:6.1f} {100 * (row.macc or 0):6.1f}"
    return (
        f"{titled(m.name, row.options):<20} {m.parameters / 1e6:8.1f} {1000 / m.predict_ms:9.2f} "
        f"{1000 / m.train_ms:9.2f} {m.memory:9.0f} {row.steps:6} "
        f"{row.first_loss:6.3f} -> {row.last_loss:6.3f} {score}"
    )


def main() -> int:
    options = zoo_parser().parse_args()
    if options.alone:
        print(json.dumps(asdict(run(options.names[0], options))))
        return 0
    if options.quick:
        options.steps, options.batch, options.crop, options.pictures = 30, 2, 128, 2
    print(f"{'network':<20} {'million':>8} {'predict/s':>9} {'train/s':>9} {'MB':>9} {'steps':>6} "
          f"loss (mIoU, mAcc on val)   torch {torch.__version__}")  # fmt: skip
    rows = known(options.record)
    for done in rows:
        print(line(row_of(done)))
    recorded = {titled(row["measured"]["name"], row.get("options", {})) for row in rows}
    for name in options.names or list(registry.ARCHITECTURES):
        title = titled(name, options.options)
        if title in recorded:
            continue
        found = apart(name, _passed_on(options))
        print(f"{title:<20} {found}" if isinstance(found, str) else line(found), flush=True)
        rows.append({"name": title, "error": found} if isinstance(found, str) else asdict(found))
        if options.record and not isinstance(found, str):
            with options.record.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(asdict(found)) + "\n")
    if options.json:
        print(json.dumps(rows))
    return 0


def _passed_on(options: argparse.Namespace) -> list[str]:
    arguments = ["--batch", str(options.batch), "--crop", str(options.crop)]
    arguments += ["--pictures", str(options.pictures)]
    arguments += ["--steps", str(options.steps), "--options", json.dumps(options.options)]
    for name in ("minutes", "core_minutes"):
        if (value := getattr(options, name)) is not None:
            arguments += [f"--{name.replace('_', '-')}", str(value)]
    return arguments


def known(record: Path | None) -> list[dict[str, Any]]:
    """Rows of a run that was cut off."""
    if record is None or not record.exists():
        return []
    return [json.loads(text) for text in record.read_text(encoding="utf-8").splitlines()]


def row_of(facts: dict[str, Any]) -> Row:
    return Row(**{**facts, "measured": Measured(**facts["measured"])})


if __name__ == "__main__":
    sys.exit(main())
