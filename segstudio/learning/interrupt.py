"""Stopping a network between two of its layers, so that cancelling never waits for a whole pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class Interruptible:
    """Calls `check` after every layer of `network`, forward and backward; it may raise.

    A pass of a large network takes seconds on a CPU, a layer hundredths of one. What `check`
    raises ends the pass and reaches the caller; the weights are untouched.
    """

    def __init__(self, network: nn.Module, check: Callable[[], None] = lambda: None) -> None:
        self.check = check
        for module in network.modules():
            if not any(module.children()):
                module.register_forward_hook(self._after_layer)

    def _after_layer(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self.check()
        if isinstance(output, Tensor) and output.requires_grad:
            output.register_hook(self._after_gradient)  # type: ignore[no-untyped-call]

    def _after_gradient(self, gradient: Tensor) -> None:
        self.check()
