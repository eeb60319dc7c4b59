"""What is known of an architecture before it is built: its card. Importing this loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from torch import nn

Options = Mapping[str, Any]
Builder = Callable[[int, int, Options], "nn.Module"]
"""(input channels, outputs, options) to a module from (n, c, h, w) to (n, outputs, h, w).

In training mode the module may answer with a dict: "out" as above, and auxiliary logits by name,
(n, outputs, h', w') of any size, for the losses that `Card.auxiliary` weighs.

A module that answers with instances takes pictures of any size. It gives, as torchvision's do, in
training mode with a list of targets a dict of losses, else for each picture a dict of boxes,
labels, scores and masks; see `maskrcnn.Target` and `maskrcnn.Found`.
"""
Answer = Literal["pixels", "instances"]
"""The class of every pixel, or a list of things."""
UNNORMALISED: Final = 1e-4
"""AdamW's rate from scratch for networks with large layers that nothing normalises: at 1e-3 the
loss of FCN-32s rose from 1.6 to 64 in its first steps, at this it fell."""


@dataclass(frozen=True)
class WeightsSource:
    """Published weights: an entry of a torchvision weights enum, which knows address and hash.

    `part` says what they fill: the whole network but for what follows the classes, or its encoder.
    `when` has the options that a network must have for that, by name.
    """

    name: str
    title: str
    enum: str
    part: str = "encoder"
    licence: str = "BSD-3-Clause"
    when: Options = field(default_factory=dict)

    def fits(self, options: Options) -> bool:
        """Whether they are for a network with these options."""
        return all(options.get(key) == value for key, value in self.when.items())


@dataclass(frozen=True)
class Card:
    """What is known of an architecture before it is built.

    Inputs are padded to multiples of `divisor`, or of the module's own `divisor` where it has one.
    `default_weights` names the source that is used when nobody says otherwise (the first that fits
    the options where that one does not), nothing for training from scratch; without a connection
    that is an error, unless the network `may_begin_fresh`. `auxiliary` has the weights of the
    auxiliary losses
    by output. `snaps` is true where the paper ends with a dense CRF, which is
    not part of the network here but offered by itself (`learning.refine`). `onnx`
    says why the network cannot be exported, nothing when it can. `parameters` is their number for
    20 classes, 0 where nobody has counted them. `answers` is what the network gives. `light`
    are options for a machine without a GPU, where nobody chose any (`recipe.may_be_light`).
    `linear` is true where inputs must stay in proportion to grey values, from scratch too.
    `learning_rate` is AdamW's from scratch, where the recipe's is too fast. `choices` are the
    values that an option can have, where not every value of its kind will do.
    """

    name: str
    title: str
    family: str
    good_for: str
    builder: Builder
    options: Options = field(default_factory=dict)
    divisor: int = 16
    weights: tuple[WeightsSource, ...] = ()
    default_weights: str = ""
    may_begin_fresh: bool = False
    source: str = ""
    auxiliary: Mapping[str, float] = field(default_factory=dict)
    snaps: bool = False
    onnx: str = ""
    parameters: int = 0
    answers: Answer = "pixels"
    light: Options = field(default_factory=dict)
    linear: bool = False
    learning_rate: float | None = None
    choices: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def weights_for(self, options: Options) -> list[WeightsSource]:
        """The sources for this network with `options`, the others as the card has them."""
        full = {**self.options, **options}
        return [source for source in self.weights if source.fits(full)]
