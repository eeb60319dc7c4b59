"""Items and projects of small pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from discs import disc_picture, label

from segstudio.learning import judge
from segstudio.learning.samples import Item, Labelled
from segstudio.project.project import Project


@pytest.fixture
def items() -> list[Item]:
    def read(seed: int) -> Labelled:
        picture, mask = disc_picture(seed)
        return Labelled(picture, mask.astype(np.int16))

    return [Item(f"{i}.png", lambda i=i: read(i)) for i in range(6)]  # type: ignore[misc]


@pytest.fixture(autouse=True)
def _no_guesses(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Discs are easily guessed; a first model competes with that only where a test is about it."""
    if request.node.get_closest_marker("guesses") is None:
        monkeypatch.setattr(judge, "guesses", lambda *_: {})


@pytest.fixture
def disc_project(tmp_path: Path) -> Callable[..., Project]:
    """Makes a project of `images` disc pictures of which `confirmed` are labelled."""

    def make(images: int = 8, confirmed: int = 6) -> Project:
        root = tmp_path / "discs"
        (root / "images").mkdir(parents=True)
        for i in range(images):
            cv2.imwrite(str(root / "images" / f"{i}.png"), disc_picture(i)[0])
        project = Project.create(root, classes=["disc"])
        for key in project.images()[:confirmed]:
            label(project, key)
        return project

    return make
