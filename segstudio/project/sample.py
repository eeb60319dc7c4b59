"""The sample project: a copy of one's own, with the starter model in force."""

from __future__ import annotations

import shutil
from pathlib import Path

import platformdirs

from segstudio.data import data_folder, sample_folder
from segstudio.errors import UserError
from segstudio.project import atomic
from segstudio.project.models import CARD, ModelInfo, read_model
from segstudio.project.project import Project

STARTER = "nuclei-unet"


def starter_folder() -> Path:
    """The starter model that ships with the program."""
    return data_folder() / "models" / STARTER


def shipped_starter() -> ModelInfo:
    """The starter model; UserError when the program was installed without it."""
    if not (starter_folder() / CARD).is_file():
        remedy = "Install segstudio again."
        raise UserError("The starter model is missing", path=starter_folder(), remedy=remedy)
    return read_model(starter_folder())


def is_copy(model: ModelInfo, original: ModelInfo) -> bool:
    """Whether a project's model is this one, copied."""
    return model.card == original.card


def sample_place() -> Path:
    """Where the window keeps the user's copy of the sample."""
    return Path(platformdirs.user_data_dir("segstudio", False)) / "sample"


def open_copy(target: Path) -> Path:
    """Copy the sample to `target`, unless it is there already, with the starter model in force.

    UserError when `target` holds something else or the program was installed without its data.
    """
    if Project.is_project(target):
        return target
    if not sample_folder().is_dir():
        raise UserError(
            "The sample is missing", path=sample_folder(), remedy="Install segstudio again."
        )
    if target.exists() and any(target.iterdir()):
        raise UserError("This folder is not empty", path=target, remedy="Choose another one.")
    with atomic.folder(target) as staging:
        shutil.copytree(sample_folder(), staging, dirs_exist_ok=True)
    with Project.open(target) as project:
        add_starter(project)
    return target


def add_starter(project: Project, in_force: bool = True) -> ModelInfo | None:
    """Copy the starter model into a project that has its class, and put it in force; None when
    the program has none."""
    if not (starter_folder() / CARD).is_file():
        return None
    starter = read_model(starter_folder())
    added = project.models.add(
        starter.architecture,
        lambda folder: _copy_files(starter_folder(), folder),
    )
    return project.models.promote(added.id) if in_force else added


def _copy_files(source: Path, target: Path) -> None:
    for file in source.iterdir():
        if file.is_file():
            shutil.copyfile(file, target / file.name)
