"""The running average of a network's weights, which is what is validated and kept."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


class Average:
    """Exponential moving average of weights and statistics.

    Better early and robust against label noise at a constant learning rate (Morales-Brotons
    et al. 2024, arXiv 2411.18704). The decay rises as (1 + t) / (10 + t) so that the first steps
    are forgotten quickly; a decay of 0 makes the average follow the network.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay
        self._steps = 0
        own, theirs = self.network.state_dict(), network.state_dict()
        floats = [key for key, value in own.items() if value.is_floating_point()]
        # the tensors themselves: state_dict shares memory with the network
        self._own = [own[key] for key in floats]
        self._theirs = [theirs[key] for key in floats]

    @torch.no_grad()
    def give_statistics(self, network: nn.Module) -> None:
        """Copy the averaged statistics of normalisations into the network."""
        own = dict(self.network.named_buffers())
        for name, buffer in network.named_buffers():
            buffer.copy_(own[name])

    @torch.no_grad()
    def update(self) -> None:
        """Take in the network's weights of now."""
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        self._steps += 1
        torch._foreach_lerp_(self._own, self._theirs, 1 - decay)

    def state(self) -> dict[str, Any]:
        """What `restore` needs."""
        return {"network": self.network.state_dict(), "steps": self._steps}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on averaging where another was."""
        self.network.load_state_dict(state["network"])
        self._steps = int(state["steps"])
