"""Networks from other packages, installed as a folder with a dist-info on the path."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from discs import disc_picture, label

from segstudio.errors import UserError
from segstudio.learning.store import load_model
from segstudio.networks import registry
from segstudio.networks.plugins import GROUP
from segstudio.project.project import Project

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "networks.md"


def of_the_guide(language: str) -> str:
    """The example in that language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    return str(found)


def install(where: Path, package: str, code: str, entry: str, name: str = "mine") -> None:
    """What pip leaves behind, as far as importlib.metadata looks."""
    (where / f"{package}.py").write_text(textwrap.dedent(code), "utf-8")
    info = where / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[segstudio.networks]\n{name} = {entry}\n", "utf-8")


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> registry.Architectures:
    """A table of networks that has not yet looked for packages; their place is on the path."""
    table = registry.Architectures()
    monkeypatch.delitem(sys.modules, "other_nets", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "ARCHITECTURES", table)
    return table


def install_the_example(where: Path) -> None:
    """The two files of the documentation, as their pyproject.toml says."""
    project = tomllib.loads(of_the_guide("toml"))["project"]
    ((name, entry),) = project["entry-points"][GROUP].items()
    assert project["name"] == "tiny-networks"
    assert EntryPoint(name, entry, GROUP).module == "tiny_networks"
    assert "`tiny_networks.py`" in GUIDE.read_text("utf-8")
    install(where, "tiny_networks", of_the_guide("python"), entry, name)


def test_the_example_of_the_documentation_works(
    tmp_path: Path, fresh: registry.Architectures
) -> None:
    install_the_example(tmp_path)
    assert fresh.faults == ()
    assert list(fresh)[-1] == "tiny"
    network = registry.build("tiny", 4, width=8).eval()
    with torch.inference_mode():
        assert network(torch.randn(1, 3, 33, 50)).shape == (1, 5, 33, 50)


def test_the_example_trains_and_predicts_from_the_command_line(tmp_path: Path) -> None:
    """In programs of their own, which know the package by the path alone."""
    where = tmp_path / "site"
    where.mkdir()
    install_the_example(where)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i in range(5):
        cv2.imwrite(str(pictures / f"{i}.png"), disc_picture(i)[0])
    root = tmp_path / "discs"
    with Project.create(root, images=pictures, classes=["disc"]) as project:
        for key in project.images()[:4]:
            label(project, key)

    def segstudio(*arguments: str) -> Any:
        path = os.pathsep.join([str(where), *sys.path])
        done = subprocess.run(
            [sys.executable, "-m", "segstudio", *arguments, "--json"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    few = ("--set", "max_steps=4", "--set", "batch=2", "--set", "crop=64")
    trained = segstudio("train", str(root), "--arch", "tiny", *few)
    assert (trained["model"], trained["steps"]) == ("000001-tiny", 4)
    segstudio("segment", str(root), "--model", trained["model"])
    with Project.open(root, read_only=True) as project:
        for key in project.images():
            found = project.predictions.read(trained["model"], key)
            assert found is not None
            assert found[0].shape == (64, 64)


@pytest.mark.parametrize(
    ("code", "entry", "words"),
    [
        ("raise RuntimeError('no licence')", "other_nets:CARD", "no licence"),
        ("CARD = 3", "other_nets:CARD", "3 is not a Card"),
        ("", "other_nets:CARD", "CARD"),
        ("", "nowhere_at_all:CARD", "nowhere_at_all"),
        (
            "from segstudio.networks.registry import ARCHITECTURES, Card\n"
            "CARDS = [Card('unet', 'Mine', 'Mine', '', lambda c, k, o: None)]",
            "other_nets:CARDS",
            "there is a network 'unet' already",
        ),
        (
            "from segstudio.networks.registry import Card\n"
            "CARD = Card('mine', 'Mine', 'Mine', '', lambda c, k, o: None, light={'wide': 2})",
            "other_nets:CARD",
            "light has 'wide'",
        ),
    ],
)
def test_what_is_wrong_with_a_package_is_told_and_the_rest_works(
    tmp_path: Path, fresh: registry.Architectures, code: str, entry: str, words: str
) -> None:
    install(tmp_path, "other_nets", code, entry)
    assert "unet" in fresh
    (fault,) = fresh.faults
    assert fault.startswith("other_nets: ")
    assert words in fault
    with pytest.raises(UserError, match="other_nets"):
        registry.build("theirs", 1)


def test_a_model_of_a_network_that_is_not_installed_says_what_it_needs(tmp_path: Path) -> None:
    with Project.create(tmp_path / "p", classes=["cell"]) as project:
        card = 'architecture = "tiny"\nclasses = ["cell"]\n'
        model = project.models.add(
            "tiny", lambda folder: (folder / "model.toml").write_text(card) and None
        )
    with pytest.raises(UserError, match="'tiny', which is not installed") as caught:
        load_model(model)
    assert caught.value.path == model.path
    assert "package" in caught.value.remedy
