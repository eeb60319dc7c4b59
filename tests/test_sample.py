"""The sample project and the files that ship with the program."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from segstudio import data
from segstudio.annotation import rasterise
from segstudio.errors import UserError
from segstudio.project import sample
from segstudio.project.project import Project

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_sample", ROOT / "resources/make_sample.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_sample_is_small_and_partly_labelled() -> None:
    with Project.open(data.sample_folder(), read_only=True) as project:
        states = project.states()
        assert len(states) == 23
        assert sum(state == "confirmed" for state in states.values()) == 6
        assert project.classes.names == ("nucleus",)
        for key in project.confirmed_keys():
            assert project.load_label_file(key).repairs == ()
            assert set(np.unique(project.training_map(key))) == {0, 1}
    files = [p for p in data.sample_folder().rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) < 4e6
    assert "CC0" in (data.sample_folder() / "SOURCES.md").read_text(encoding="utf-8")


def test_the_sample_is_what_its_script_makes(
    shared_data: Path, tmp_path: Path, maker: ModuleType
) -> None:
    nuclei = shared_data / "nuclei"
    maker.make(nuclei, tmp_path / "sample")
    for file in sorted(data.sample_folder().rglob("*")):
        if file.is_file() and file.suffix != ".png":
            again = tmp_path / "sample" / file.relative_to(data.sample_folder())
            assert again.read_text(encoding="utf-8") == file.read_text(encoding="utf-8")
    names = maker.sample_names(nuclei)
    with Project.open(tmp_path / "sample") as project:
        for key, name in maker.labelled(project, names):
            instances = np.asarray(Image.open(nuclei / "instances" / name))
            found = project.load(key)
            labels, ids = rasterise.instance_map(found.shapes, {"nucleus": 1}, found.size)
            assert np.array_equal(labels > 0, instances > 0)
            assert len(np.unique(ids)) == len(np.unique(instances))


def test_a_copy_is_made_once_and_never_over_something(tmp_path: Path) -> None:
    root = sample.open_copy(tmp_path / "copy")
    (root / "mine.txt").touch()
    assert sample.open_copy(root) == root
    assert (root / "mine.txt").exists()
    with pytest.raises(UserError, match="not empty"):
        sample.open_copy(tmp_path)


def test_data_folder_of_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert data.data_folder() == ROOT
    (tmp_path / "_data").mkdir()
    monkeypatch.setattr(data, "_PACKAGE", tmp_path)
    assert data.data_folder() == tmp_path / "_data"


def test_user_errors_name_the_file_and_the_remedy() -> None:
    import pickle

    error = UserError("It broke", path=Path("a.png"), remedy="Mend it.")
    assert str(error) == "It broke (a.png). Mend it."
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
