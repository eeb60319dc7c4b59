"""A model folder: weights.safetensors, model.toml (its card) and metrics.jsonl (its curves)."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import safetensors
import safetensors.torch
import tomlkit
import torch
from torch import Tensor, nn

from segstudio.errors import UserError
from segstudio.learning.finish import UNTOUCHED, Finishes
from segstudio.learning.normalise import Normalisation
from segstudio.networks import heads, registry
from segstudio.project.models import CARD, WEIGHTS, ModelInfo, now

METRICS: Final = "metrics.jsonl"
FORMAT: Final = 1


@dataclass(frozen=True)
class Loaded:
    """A network with what its card says about using it."""

    network: nn.Module
    architecture: str
    classes: tuple[str, ...]
    options: Mapping[str, Any]
    normalisation: Normalisation
    temperature: float = 1.0
    finishes: Finishes = UNTOUCHED


def write_model(
    folder: Path,
    network: nn.Module,
    *,
    architecture: str,
    classes: Sequence[str],
    options: Mapping[str, Any],
    normalisation: Normalisation,
    facts: Mapping[str, Any],
    curves: Iterable[Mapping[str, object]] = (),
    half: bool = False,
) -> None:
    """Fill `folder`; `facts` are further keys of the card, None left out; `half` stores
    weights as float16."""
    state = {key: value.contiguous().cpu() for key, value in body_state(network).items()}
    if half:
        state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    # save_file would make a file that only its owner may read
    (folder / WEIGHTS).write_bytes(safetensors.torch.save(state))
    card: dict[str, Any] = {
        "format": FORMAT,
        "architecture": architecture,
        "classes": list(classes),
        "parameters": sum(p.numel() for p in network.parameters()),
        "created": now(),
        **facts,
        "options": dict(options),
        "normalisation": normalisation.to_card(),
        "versions": versions(),
    }
    (folder / CARD).write_text(tomlkit.dumps(_without_none(card)), encoding="utf-8")
    lines = [json.dumps(line) + "\n" for line in curves]
    (folder / METRICS).write_text("".join(lines), encoding="utf-8")


def load_model(info: ModelInfo) -> Loaded:
    """The network of a model folder, on the CPU, in evaluation mode."""
    card = info.card
    options = dict(card.get("options", {}))
    if info.architecture not in registry.ARCHITECTURES:
        raise UserError(
            f"The model is of the network {info.architecture!r}, which is not installed",
            path=info.path,
            remedy="Install the package that brings it, or take another model.",
        )
    network = registry.build(info.architecture, len(info.classes), **options)
    keys = heads.head_keys(info.architecture, **options)
    state = read_weights(info.weights)
    try:
        heads.carry_over(body_of(network), state, info.classes, info.classes, bare(keys))
    except UserError as error:
        raise UserError(error.message, path=info.weights) from error
    normalisation = Normalisation.from_card(card.get("normalisation", {}))
    heat = card.get("temperature", 1.0)
    temperature = float(heat) if isinstance(heat, int | float) and 0 < heat < 100 else 1.0
    return Loaded(
        network.eval(),
        info.architecture,
        info.classes,
        options,
        normalisation,
        temperature,
        Finishes.from_card(card.get("finish", {})),
    )


def network_from(
    loaded_from: ModelInfo, known: Sequence[str], classes: Sequence[str], options: Mapping[str, Any]
) -> tuple[nn.Module, list[str]]:
    """A network for `classes` that starts from a model, and which classes are new to it.

    `known` are the model's classes as the project calls them now.
    """
    network = registry.build(loaded_from.architecture, len(classes), **options)
    keys = heads.head_keys(loaded_from.architecture, **options)
    state = read_weights(loaded_from.weights)
    new = heads.carry_over(body_of(network), state, known, classes, bare(keys))
    return network, new


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file."""
    try:
        return safetensors.torch.load_file(path)
    except FileNotFoundError as error:
        raise UserError("The model's weights are missing", path=path) from error
    except (OSError, safetensors.SafetensorError) as error:
        raise UserError(f"The model's weights cannot be read: {error}", path=path) from error


def body_of(network: nn.Module) -> nn.Module:
    """The network inside the wrapper that pads pictures; its keys are what is stored."""
    body = getattr(network, "body", network)
    assert isinstance(body, nn.Module)
    return body


def body_state(network: nn.Module) -> dict[str, Tensor]:
    return dict(body_of(network).state_dict())


def read_curves(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl: {step, seconds, loss} or {step, seconds, miou, per_class}."""
    file = folder / METRICS
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text("utf-8").splitlines() if line]


def versions() -> dict[str, str]:
    """What a result depends on."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "segstudio": _version("segstudio"),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # run from a source tree that is not installed
        return "source"


def bare(keys: heads.Heads) -> heads.Heads:
    """Heads of a network as those of its body."""
    return {key.removeprefix("body."): places for key, places in keys.items()}


def _without_none(value: Any) -> Any:
    """TOML knows no None: such keys are left out, such list entries become empty text."""
    if isinstance(value, Mapping):
        return {str(k): _without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return ["" if v is None else _without_none(v) for v in value]
    return value
