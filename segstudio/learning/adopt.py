"""Taking in a model made elsewhere: a model folder of ours, or a file of weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from segstudio.errors import UserError
from segstudio.learning import store
from segstudio.learning.normalise import Normalisation
from segstudio.networks import heads, registry, weights
from segstudio.project.models import CARD, ModelInfo, read_model
from segstudio.project.project import Project

LEFT_OUT = ""
"""What a class is mapped to when the project shall not have it."""
_UNETS: Final = ("unet", "unet_2015")
"""Networks that begin from scratch here, and whose size their tensors tell."""


def adopt_model(
    project: Project,
    file: Path,
    mapping: Mapping[str, str] | None = None,
    architecture: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> ModelInfo:
    """Add a model of the user's own to the project; it is not put in force.

    `file` is a model folder (or a file in one), or a .safetensors, .pt or .pth state dict whose
    `architecture` must then be named. `mapping` goes from the model's classes to the project's;
    classes of a state dict are called by row: "1", "2", …. Mapped to "" a class is left out.
    Without a mapping the names must agree (for a state dict: the number of classes).
    """
    mapping = dict(mapping or {})
    folder = file if file.is_dir() else file.parent
    if (folder / CARD).is_file():
        return _adopt_folder(project, read_model(folder), mapping)
    if file.is_dir():
        raise UserError("This folder holds no model", path=file, remedy=f"It needs a {CARD}")
    if architecture is None:
        raise UserError(
            "A file of weights does not say what network it is for",
            path=file,
            remedy=f"Name the architecture: {', '.join(registry.ARCHITECTURES)}",
        )
    return _adopt_file(project, file, mapping, architecture, dict(options or {}))


def _adopt_folder(project: Project, info: ModelInfo, mapping: Mapping[str, str]) -> ModelInfo:
    unknown = sorted(set(mapping) - set(info.classes))
    if unknown:
        raise UserError(
            f"The model has no class {', '.join(unknown)}",
            path=info.path,
            remedy=f"Its classes: {', '.join(info.classes)}",
        )
    names = [mapping.get(name, name) for name in info.classes]
    _check_names(project, info.classes, names, info.path)
    loaded = store.load_model(info)
    facts = {
        "adopted_from": str(info.path.name),
        "scores": dict(info.scores),
        "recipe": info.card.get("recipe"),
        "temperature": info.card.get("temperature"),
        "finish": loaded.finishes.to_card(),
        "licence": info.card.get("licence"),
        "mapping": dict(mapping) or None,
    }
    return _add(
        project,
        store.body_state(loaded.network),
        names,
        info.architecture,
        loaded.options,
        loaded.normalisation,
        facts,
    )


def _adopt_file(
    project: Project,
    file: Path,
    mapping: Mapping[str, str],
    architecture: str,
    options: dict[str, Any],
) -> ModelInfo:
    state = weights.read_state(file)
    state = {key.removeprefix("body."): value for key, value in state.items()}
    options = {**_guess_options(architecture, state), **options}
    rows = _rows(architecture, options, state, file)
    if not mapping and rows - 1 == len(project.classes):
        names: list[str] = list(project.classes.names)
    else:
        names = [mapping.get(str(row), "") for row in range(1, rows)]
        if not any(names):
            raise UserError(
                f"These weights are for {rows - 1} classes, the project has {len(project.classes)}",
                path=file,
                remedy='Map rows to classes, as in {"1": "road", "2": "car"}',
            )
    _check_names(project, [str(row) for row in range(1, rows)], names, file)
    own = architecture in _UNETS
    normalisation = Normalisation.root() if own else Normalisation.imagenet()
    facts = {"adopted_from": file.name, "mapping": dict(mapping) or None}
    return _add(project, state, names, architecture, options, normalisation, facts)


def _check_names(project: Project, old: Sequence[str], names: Sequence[str], path: Path) -> None:
    kept = [name for name in names if name != LEFT_OUT]
    pairs = zip(old, names, strict=True)
    foreign = [was for was, name in pairs if name and name not in project.classes]
    if foreign:
        raise UserError(
            f"Classes that this project does not have: {', '.join(foreign)}",
            path=path,
            remedy="Map each to one of the project's classes, or to nothing",
        )
    if len(set(kept)) != len(kept):
        raise UserError("Two of the model's classes are mapped to the same class", path=path)
    if not kept:
        raise UserError("No class of the model is left", path=path)


def _guess_options(architecture: str, state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The U-Net's width, depth, normalisation and blocks can be read from its tensors."""
    first = state.get("down.0.0.weight")
    if architecture not in _UNETS or first is None:
        return {}
    depth = len({key.split(".")[1] for key in state if key.startswith("down.")}) - 1
    size = {"width": int(first.shape[0]), "depth": depth}
    if architecture == "unet_2015":
        return size
    return {
        **size,
        "norm": "down.0.1.running_mean" in state,
        "shrink": max(1, math.isqrt(first.shape[1] // 3)),  # of pictures in colour
    }


def _rows(
    architecture: str, options: Mapping[str, Any], state: Mapping[str, Tensor], file: Path
) -> int:
    """How many classes, with the background, the weights are for."""
    counts = heads.rows_of(state, store.bare(heads.head_keys(architecture, **options)))
    if len(counts) != 1:
        raise UserError(f"These weights are not of the network {architecture}", path=file)
    rows = int(counts.pop())
    if rows < 2:
        raise UserError(
            "These weights have one output; a background and at least one class are needed",
            path=file,
        )
    return rows


def _add(
    project: Project,
    state: Mapping[str, Tensor],
    names: Sequence[str],
    architecture: str,
    options: Mapping[str, Any],
    normalisation: Normalisation,
    facts: Mapping[str, Any],
) -> ModelInfo:
    kept = [name for name in names if name != LEFT_OUT]
    network = _network(state, names, kept, architecture, options)
    project.ensure_written()
    return project.models.add(
        architecture,
        lambda folder: store.write_model(
            folder,
            network,
            architecture=architecture,
            classes=kept,
            options={**registry.card_of(architecture).options, **options},
            normalisation=normalisation,
            facts=facts,
        ),
    )


def _network(
    state: Mapping[str, Tensor],
    names: Sequence[str],
    kept: Sequence[str],
    architecture: str,
    options: Mapping[str, Any],
) -> nn.Module:
    network = registry.build(architecture, len(kept), **options)
    keys = store.bare(heads.head_keys(architecture, **options))
    with torch.no_grad():
        heads.carry_over(store.body_of(network), state, names, kept, keys)
    return network
