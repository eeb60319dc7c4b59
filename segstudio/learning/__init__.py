"""Training, prediction and scores. Nothing loads torch before one of these names is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from segstudio.learning.adopt import adopt_model
    from segstudio.learning.dataset import ProjectDataset
    from segstudio.learning.evaluate import evaluate
    from segstudio.learning.predictor import Predictor, segment
    from segstudio.learning.trainer import TrainRequest, TrainResult, train

_HOMES: Final = {
    "ProjectDataset": "dataset",
    "Predictor": "predictor",
    "TrainRequest": "trainer",
    "TrainResult": "trainer",
    "adopt_model": "adopt",
    "evaluate": "evaluate",
    "segment": "predictor",
    "train": "trainer",
}
__all__ = [
    "Predictor",
    "ProjectDataset",
    "TrainRequest",
    "TrainResult",
    "adopt_model",
    "evaluate",
    "segment",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
