"""What this machine has for learning, as the recommendation of a network wants to know it."""

from __future__ import annotations

import psutil

from segstudio.learning.device import DeviceReport
from segstudio.networks import weights
from segstudio.networks.choosing import Machine


def machine(report: DeviceReport) -> Machine:
    """Now: free memory of the GPU, else of the computer, and the weights in the cache."""
    free = psutil.virtual_memory().available if report.kind == "cpu" else report.memory
    here = frozenset(weights.at_hand())
    return Machine(report.kind, None if free is None else free / 1e6, here)
