"""The training loop, on a network and pictures in memory; knows nothing of project folders."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from segstudio.errors import Cancelled, UserError
from segstudio.learning import events
from segstudio.learning.average import Average
from segstudio.learning.device import is_out_of_memory, layout, needs_scaler
from segstudio.learning.events import Log, Loss, OnEvent, Progress, Validation
from segstudio.learning.interrupt import Interruptible
from segstudio.learning.metrics import by_name, or_zero
from segstudio.learning.recipe import Recipe
from segstudio.learning.samples import Batch, Item, Library, Prefetch, Sampler, Sampling
from segstudio.learning.scoring import Scores, pooled, precision, score
from segstudio.learning.task import PIXELS, Task
from segstudio.networks.fuse import fused

SMALLEST_BATCH: Final = 2  # of a single crop, batch normalisation learns next to nothing
SMALLEST_CROP: Final = 64
_REPORT_EVERY: Final = 0.5
_FIRST_VALIDATION: Final = 15.0
_VALIDATION_SHARE: Final = 0.1
_TOO_MANY_BAD: Final = 20
_WARM_UP_SHARE: Final = 0.1
_FEWEST_FOR_STATISTICS: Final = 100
"""Steps before running statistics say enough to be kept."""
_SETTLED: Final = 1000
"""Steps that stand for the whole of a run without an end, where shares of it are meant."""

Refresh = Callable[[], tuple[Sequence[Item], Sequence[Item]] | None]
"""New (training, validation) items when labels have changed since the last call, else None."""


@dataclass(frozen=True)
class Control:
    """The caller's hand on a running job; all are called between steps."""

    on_event: OnEvent = events.ignore
    should_stop: Callable[[], bool] = events.never
    wait_while_paused: Callable[[], None] = events.at_once
    keep: Callable[[Run], None] = lambda run: None
    """Called after each validation: the run can be written down now."""

    def check(self) -> None:
        """Make way where more important work waits; Cancelled when the job is to stop."""
        self.wait_while_paused()
        if self.should_stop():
            raise Cancelled


@dataclass
class Fit:
    """What a run found: the network to keep, its scores by image, and the curves."""

    network: nn.Module
    scores: Scores
    curves: list[dict[str, object]] = field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0
    recipe: Recipe = field(default_factory=Recipe)
    stopped: bool = False


@dataclass(frozen=True)
class _Best:
    """The best network so far: its weights and their scores. It is `past` when validation images
    or their labels have changed since: then the scores of others cannot be compared with these."""

    miou: float
    weights: Mapping[str, Tensor]
    scores: Scores
    past: bool = False


class Run:
    """One training run; `fit` is the whole story."""

    def __init__(
        self,
        network: nn.Module,
        library: Library,
        validation: Sequence[Item],
        classes: Sequence[str],
        recipe: Recipe,
        device: torch.device,
        *,
        task: Task = PIXELS,
        seconds: float | None = None,
        since: float = math.inf,
        learned: bool = False,
        control: Control | None = None,
        refresh: Refresh | None = None,
        report_every: float = _REPORT_EVERY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`seconds` of the clock for all of it, `since` makes later labels count as new, and
        what a `learned` network can already is scored first: nothing worse is kept. Losses are
        told as means over `report_every` seconds, at 0 of every step."""
        self.network = network.to(device).to(memory_format=layout(device))
        self.library, self.validation, self.classes = library, validation, classes
        self.recipe, self.device, self.task = recipe, device, task
        self.average = Average(self.network, recipe.ema)
        self._seconds, self._since, self._learned = seconds, since, learned
        self._control = control or Control()
        self._scoring = replace(self._control, wait_while_paused=self.pause_point)
        Interruptible(self.network, self._check_stop)
        self._refresh, self._report_every = refresh, report_every
        self._optimiser = make_optimiser(self.network, recipe)
        self._scaler = torch.amp.GradScaler(device.type, enabled=needs_scaler(device))
        self._loss = task.loss(recipe, len(classes), device)
        self._clock = clock
        self._started = self._last_report = self._last_validation = clock()
        self._validation_seconds = 0.0
        self._losses: list[Tensor] = []
        self._bad = self._step = self._stale = 0
        self._validated_step = -1
        self._from = (0, 0.0)  # the steps and seconds of the run that this one goes on with
        self._best: _Best | None = None
        self._later: dict[str, Tensor] | None = None
        self._stretches = 0
        self._frozen = self._diverged = False
        self.result = Fit(self.network, {}, recipe=recipe)

    def fit(self) -> Fit:
        """Train until the time, the steps or the patience are used up, or the caller stops."""
        try:
            if self._learned:
                self._validate()
            if self._later is not None:
                self.average.network.load_state_dict(self._later)
                self._later = None
            while not self._finished():
                self._stretch()
            if self._validated_step != self._step or self._best is None or self._best.past:
                self._validate()
        except Cancelled:
            self.result.stopped = True
        return self._conclude()

    def _stretch(self) -> None:
        """Steps with one sampler, until the end, new labels, or memory running out."""
        self._stretches += 1
        sampler = Sampler(
            self.library,
            sampling_of(self.recipe),
            self.recipe.augmentation,
            self.recipe.seed + self._stretches,
            self._since,
        )
        with Prefetch(sampler.batch) as batches:
            while not self._finished():
                self.pause_point()
                try:
                    self._train_step(batches.get())
                except (RuntimeError, MemoryError) as error:
                    if not is_out_of_memory(error):
                        raise
                    return self._shrink()
                self._report()
                if self._validation_due():
                    self._validate()
                    if self._take_new_labels():
                        return None
        return None

    def _train_step(self, batch: Batch) -> None:
        self._set_learning_rate()
        self._set_mode()
        inputs = torch.from_numpy(batch.inputs).to(
            self.device, non_blocking=True, memory_format=layout(self.device)
        )
        loss = self._loss(self.network, inputs, batch)
        self._optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(self._scaler.scale(loss))
        self._scaler.unscale_(self._optimiser)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip_norm)
        if self._usable(loss, norm):
            self._scaler.step(self._optimiser)
            self.average.update()
        self._scaler.update()
        self._step += 1

    def _usable(self, loss: Tensor, norm: Tensor) -> bool:
        """Whether the step can be taken; gives up when the loss stays infinite or NaN."""
        if bool(torch.isfinite(loss)) and bool(torch.isfinite(norm)):
            self._losses.append(loss.detach())
            self._bad = 0
            return True
        self._bad += 1
        self.average.give_statistics(self.network)  # those of this batch are spoilt, too
        if self._bad > _TOO_MANY_BAD:
            self._give_up()
        return False

    def _give_up(self) -> None:
        """End with the best network; UserError when there is none."""
        if self._best is None:
            raise UserError(
                "Training diverged: the loss is not a number any more",
                remedy="Train with a lower learning rate",
            )
        text = "Training diverged, and ends with the best so far. Train with a lower learning rate"
        self._control.on_event(Log(text))
        self._diverged = True

    def _shrink(self) -> None:
        """Halve the batch, then the crop, after memory ran out; and say so."""
        self._optimiser.zero_grad(set_to_none=True)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        recipe = self.recipe
        if recipe.batch // 2 >= SMALLEST_BATCH:
            self.recipe = replace(recipe, batch=recipe.batch // 2)
            text = f"Out of memory: the batch is now {self.recipe.batch} crops"
        elif recipe.crop // 2 >= SMALLEST_CROP:
            self.recipe = replace(recipe, crop=recipe.crop // 2 // 32 * 32)
            text = f"Out of memory: crops are now {self.recipe.crop} pixels"
        else:
            raise UserError(
                "There is not enough memory to train this network",
                remedy="Close other programs, or choose a smaller network or width",
            )
        self._control.on_event(Log(text))

    def _set_mode(self) -> None:
        """Training mode; late in the run, normalisations keep the average's statistics."""
        self.network.train()
        if not self._frozen and not self._time_to_freeze():
            return
        if not self._frozen:
            self._frozen = True
            self.average.give_statistics(self.network)
        for module in self.network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()

    def _time_to_freeze(self) -> bool:
        share = self.recipe.freeze_statistics
        if share == 0:  # the network has learned before
            return True
        if self._is_endless:
            return self._step >= _SETTLED * share
        return self._progress() >= share and self._step >= _FEWEST_FOR_STATISTICS

    def _set_learning_rate(self) -> None:
        factor = rate_factor(self.recipe, self._step, self._progress())
        for group in self._optimiser.param_groups:
            group["lr"] = group["initial_lr"] * factor

    # time ------------------------------------------------------------------------------------

    @property
    def _elapsed(self) -> float:
        return self._clock() - self._started

    def _progress(self) -> float:
        """How much of the run is over, 0..1; 0 when it has no end set."""
        done = [0.0]
        if self._seconds:
            done.append(self._elapsed / max(1e-9, self._seconds - self._reserve()))
        if self.recipe.max_steps:
            done.append(self._step / self.recipe.max_steps)
        return min(1.0, max(done))

    @property
    def _is_endless(self) -> bool:
        return self._seconds is None and self.recipe.max_steps is None

    @property
    def _may_end_early(self) -> bool:
        return self._is_endless or self.recipe.epochs is not None

    def _reserve(self) -> float:
        return 1.3 * self._validation_seconds

    def _check_stop(self) -> None:
        if self._control.should_stop():
            raise Cancelled

    def _finished(self) -> bool:
        self._check_stop()
        patience = self.recipe.patience if self._may_end_early else None
        stale = patience is not None and self._stale >= patience
        return self._diverged or stale or self._progress() >= 1

    def pause_point(self) -> None:
        """Wait while paused; that time does not count."""
        before = self._clock()
        self._control.wait_while_paused()
        paused = self._clock() - before
        self._started += paused
        self._last_validation += paused

    # telling -----------------------------------------------------------------------------------

    def _report(self) -> None:
        now = self._clock()
        if now - self._last_report < self._report_every or not self._losses:
            return
        self._last_report = now
        value = float(torch.stack(self._losses).mean())
        self._losses.clear()
        seconds = round(self._elapsed, 2)
        self.result.curves.append({"step": self._step, "seconds": seconds, "loss": value})
        self._control.on_event(Loss(self._step, seconds, value))
        self._control.on_event(self._how_far())

    def _how_far(self) -> Progress:
        steps, seconds = self._from
        rate = (self._step - steps) / max(self._elapsed - seconds, 1e-9)
        left = None
        if self._seconds is not None:
            left = max(0.0, self._seconds - self._elapsed)
        total = self.recipe.max_steps or (0 if left is None else self._step + rate * left)
        text = f"{len(self.library.items)} images"
        if self._best is not None:
            text += f", best mIoU {self._best.miou:.3f}"
        return Progress(self._step, total, rate, left, text)

    # validation --------------------------------------------------------------------------------

    def _validation_due(self) -> bool:
        wait = max(_FIRST_VALIDATION, self._validation_seconds / _VALIDATION_SHARE)
        return self._clock() - self._last_validation >= wait

    def _validate(self) -> None:
        """Score the average on the validation images; keep it when it is the best so far."""
        began = self._elapsed
        self._validated_step = self._step
        reader = self.task.reader(
            fused(self.average.network), self.recipe.normalisation, self.device
        )
        check, classes = self._scoring.check, len(self.classes)
        scores = score(reader, self.validation, self.library, check, classes)
        miou = self._tell(scores)
        self._last_validation = self._clock()
        self._validation_seconds = self._elapsed - began
        if not scores or self.is_best(miou):
            self._best = _Best(miou, copy.deepcopy(self.average.network.state_dict()), scores)
            self._stale = 0
        else:
            self._stale += 1
        self._control.keep(self)

    def is_best(self, miou: float) -> bool:
        """Whether the state of now is to be kept instead of the best so far."""
        return self._best is None or self._best.past or miou > self._best.miou

    def _tell(self, scores: Scores) -> float:
        confusion = pooled(scores, len(self.classes))
        miou = or_zero(confusion.miou())
        per_class = by_name(["background", *self.classes], confusion.iou())
        found = precision(scores, self.classes)
        told = Validation(
            self._step,
            round(self._elapsed, 2),
            miou,
            per_class,
            len(scores),
            {name: found[name] for name in ("ap", "ap50") if name in found},
        )
        self._control.on_event(told)
        self.result.curves.append({k: v for k, v in asdict(told).items() if v != {}})
        return miou

    # going on after a restart --------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """What `restore` needs, the tensors those of the run itself: weights, their average, the
        optimiser, what the loss has learned, and how far the run is."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state(),
            "optimiser": self._optimiser.state_dict(),
            "scaler": self._scaler.state_dict(),
            "loss": self._loss.state(),
            "step": self._step,
            "frozen": self._frozen,
            "curves": self.result.curves,
            "best": dict(self._best.weights) if self._best is not None else None,
        }

    @property
    def seconds(self) -> float:
        """How long it has trained, pauses not counted."""
        return self._elapsed

    def restore(self, state: Mapping[str, Any], seconds: float) -> None:
        """Go on where another run of the same network and recipe was after `seconds`."""
        self.network.load_state_dict(state["network"])
        self.average.restore(state["average"])
        if state.get("best"):  # is scored first, and kept unless something is better
            now = self.average.network.state_dict()
            self._later = {key: value.clone() for key, value in now.items()}
            self.average.network.load_state_dict(state["best"])
        self._optimiser.load_state_dict(dict(state["optimiser"]))
        self._scaler.load_state_dict(dict(state["scaler"]))
        self._loss.restore(state.get("loss", {}))  # older records have none
        self._step, self._frozen = int(state["step"]), bool(state["frozen"])
        self.result.curves = list(state["curves"])
        self._started -= seconds
        self._from = self._step, seconds

    def _take_new_labels(self) -> bool:
        changed = self._refresh() if self._refresh is not None else None
        if changed is None:
            return False
        items, validation = changed
        if self._best is not None and _versions(validation) != _versions(self.validation):
            self._best = replace(self._best, past=True)
        self.library.items, self.validation = items, validation
        self._control.on_event(Log("New labels: training goes on with them"))
        return True

    def _conclude(self) -> Fit:
        result = self.result
        result.network = self.average.network
        if self._best is not None:  # a copy: the run itself stays where it has come to
            result.network = copy.deepcopy(self.average.network)
            result.network.load_state_dict(self._best.weights)
            result.scores = self._best.scores
        result.steps, result.seconds = self._step, round(self._elapsed, 2)
        result.recipe = self.recipe
        return result


def _versions(items: Sequence[Item]) -> list[tuple[str, float]]:
    return [(item.key, item.version) for item in items]


def sampling_of(recipe: Recipe) -> Sampling:
    return Sampling(recipe.batch, recipe.crop, recipe.focused, recipe.corrected, recipe.newest)


def rate_factor(recipe: Recipe, step: int, progress: float) -> float:
    """The share of the full learning rate: a linear warm-up, then constant or half a cosine.

    The warm-up takes a tenth of the run at most.
    """
    warm = min(1.0, max((step + 1) / max(1, recipe.warm_up), progress / _WARM_UP_SHARE))
    if recipe.schedule == "constant":
        return warm
    return warm * (0.5 + 0.5 * math.cos(math.pi * min(1.0, progress)))


def make_optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW or SGD; weights of an encoder learn slower, biases and norms do not decay."""
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in network.named_parameters():
        encoder = ".encoder." in f".{name}" or ".backbone." in f".{name}"
        groups.setdefault((encoder, parameter.ndim > 1), []).append(parameter)
    options = [
        {
            "params": parameters,
            "lr": recipe.learning_rate * (recipe.encoder_factor if encoder else 1.0),
            "weight_decay": recipe.weight_decay if decays else 0.0,
        }
        for (encoder, decays), parameters in groups.items()
    ]
    for option in options:
        option["initial_lr"] = option["lr"]
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(options, momentum=0.9)
    return torch.optim.AdamW(options, fused=True)


def seed_everything(seed: int) -> None:
    """Torch's and numpy's global state; the samples have generators of their own."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
