"""Size, memory and speed of a network on this machine, with a picture of 480x360 and 20 classes."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Final

import numpy as np
import psutil
import torch
from torch import Tensor, nn

from segstudio.learning.device import DeviceReport, autocast, keep_memory, layout
from segstudio.learning.recipe import Recipe
from segstudio.learning.samples import Batch
from segstudio.learning.task import Loss, task_of
from segstudio.networks import registry
from segstudio.networks.card import Options
from segstudio.networks.choosing import PICTURE, Measured
from segstudio.networks.fuse import fused

CLASSES: Final = 20
BATCH: Final = 2
_FIELD: Final = 40
"""Pixels a side of a thing."""
_ROUNDS: Final = 3
_ENOUGH: Final = 4.0
"""Seconds after which a pass is not repeated."""


def measure(name: str, report: DeviceReport, options: Options | None = None) -> Measured:
    """Build a network with `options`, where they are None in the form that it would begin with
    here, and let it predict and learn.

    Best in a process of its own: the memory of what ran before in this one would hide that of the
    network.
    """
    keep_memory()
    before = _memory(report.device)
    if options is None:
        options = registry.card_of(name).light if report.kind == "cpu" else {}
    network = registry.build(name, CLASSES, **options)
    parameters = sum(p.numel() for p in network.parameters())
    predict = _prediction(network, report.device)
    loss = task_of(name).loss(Recipe(), CLASSES, report.device)
    train = _training(network, loss, report.device) / BATCH
    return Measured(
        name,
        report.kind,
        parameters,
        memory=round(max(0.0, _memory(report.device, most=True) - before) / 1e6, 1),
        predict_ms=round(1000 * predict, 1),
        train_ms=round(1000 * train, 1),
    )


def _prediction(network: nn.Module, device: torch.device) -> float:
    quick = fused(network).to(device).to(memory_format=layout(device))
    inputs = _pictures(1, device)

    def act() -> None:
        with torch.inference_mode(), autocast(device):
            quick(inputs)

    return _seconds(act, device)


def _training(network: nn.Module, loss: Loss, device: torch.device) -> float:
    network.train().to(device).to(memory_format=layout(device))
    optimiser = torch.optim.AdamW(network.parameters(), fused=True)
    inputs = _pictures(BATCH, device)
    batch = _labelled(inputs)

    def act() -> None:
        found = loss(network, inputs, batch)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(found)
        optimiser.step()

    return _seconds(act, device)


def _pictures(count: int, device: torch.device) -> Tensor:
    return torch.randn(count, 3, *PICTURE).to(device, memory_format=layout(device))


def _labelled(inputs: Tensor) -> Batch:
    """A chessboard of things of all classes."""
    down, across = (np.arange(side) // _FIELD for side in PICTURE)
    numbers = (1 + down[:, None] * (across[-1] + 1) + across).astype(np.int32)
    numbers *= (down[:, None] + across) % 2
    labels = np.where(numbers > 0, 1 + numbers % CLASSES, 0)
    return Batch(
        inputs.cpu().numpy(),
        np.stack([labels.astype(np.int64)] * BATCH),
        None,
        np.stack([numbers] * BATCH),
    )


def _seconds(act: Callable[[], None], device: torch.device) -> float:
    """The median of a few rounds after a first one, which is all there is of what is slow."""

    def timed() -> float:
        began = time.perf_counter()
        act()
        if device.type != "cpu":  # others answer before they are done
            torch.accelerator.synchronize()
        return time.perf_counter() - began

    first = timed()
    return first if first > _ENOUGH else statistics.median(timed() for _ in range(_ROUNDS))


def _memory(device: torch.device, most: bool = False) -> float:
    """Bytes in use, or the most so far: of the GPU, else of this process."""
    if device.type == "cuda":
        used = torch.cuda.max_memory_allocated() if most else torch.cuda.memory_allocated()
        return float(used)
    if device.type == "mps":
        return float(torch.mps.driver_allocated_memory())
    now = psutil.Process().memory_info()
    if not most:
        return float(now.rss)
    if sys.platform == "win32":
        return float(now.peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else 1024 * peak)
