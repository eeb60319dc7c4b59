"""A project as a torch data set, for people's own training scripts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from segstudio.learning.metrics import VOID
from segstudio.learning.trainingset import to_rows
from segstudio.project.project import Project

Transform = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class ProjectDataset(Dataset[tuple[Tensor, Tensor]]):
    """Labelled images of a project as (image, label map) pairs.

    image: (3, h, w) float32 RGB in 0..1. label map: (h, w) int64, 0 background, then the
    project's classes in their order (`classes` names them, background first), `ignore_index`
    where nothing is known: 255, or 65535 from 255 classes on. Pictures differ in size, so
    batches need a `transform` that crops or resizes both alike.

        >>> data = ProjectDataset("my-project", side="train")     # doctest: +SKIP
        >>> loss = torch.nn.CrossEntropyLoss(ignore_index=data.ignore_index)
    """

    def __init__(
        self,
        project: Project | Path | str,
        side: Literal["train", "val", "test", "all"] = "all",
        *,
        keys: Sequence[str] | None = None,
        transform: Transform | None = None,
    ) -> None:
        """`side` picks one side of the project's split; `keys` picks images by name instead."""
        if not isinstance(project, Project):
            project = Project.open(Path(project), read_only=True)
        self.project = project
        self.classes = ("background", *self.project.classes.names)
        self.ignore_index = 255 if len(self.classes) <= 255 else 65535
        splits = self.project.splits
        self.keys = tuple(
            key
            for key in (self.project.labelled_keys() if keys is None else keys)
            if keys is not None or side in ("all", splits.side(key) or "train")
        )
        self._transform = transform

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        key = self.keys[index]
        picture = np.ascontiguousarray(self.project.read_image(key).transpose(2, 0, 1))
        rows = to_rows(self.project.training_map(key), self.project, self.classes[1:])
        labels = torch.from_numpy(rows.astype(np.int64))
        labels[labels == VOID] = self.ignore_index
        image = torch.from_numpy(picture).float().div_(255)
        return (image, labels) if self._transform is None else self._transform(image, labels)
