"""The whole story by the command line, each command a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segstudio.data import sample_folder


def run(*arguments: str | Path, code: int = 0) -> Any:
    """A segstudio command; returns the JSON object of its last line."""
    command = [sys.executable, "-m", "segstudio.cli.main", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_init_import_train_segment_evaluate_export(tmp_path: Path) -> None:
    pictures = tmp_path / "labelled"
    pictures.mkdir()
    for file in sample_folder().glob("images/nuclei_*"):
        shutil.copy(file, pictures)
    root = tmp_path / "project"

    run("init", root, "--classes", "nucleus")
    came = run("import", pictures, root)
    assert came["format"] == "labelme"
    trained = run("train", root, "--minutes", "0.7")
    assert trained["promoted"] is True
    models = run("models", root)
    assert [m["id"] for m in models] == [trained["model"]]
    assert models[0]["classes"] == ["nucleus"]
    segmented = run("segment", root)
    assert segmented["done"] >= 20
    again = run("segment", root)
    assert again["done"] == 0
    scores = run("evaluate", root)
    assert 0.0 <= scores["miou"] <= 1.0
    assert "nucleus" in scores["per_class"]
    exported = run("export", root, tmp_path / "voc", "--format", "voc")
    assert exported["lost"] == 0
    masks = sorted((tmp_path / "voc" / "SegmentationClass").glob("*.png"))
    assert len(masks) == exported["images"]
    truth = run("evaluate", root, "--against", tmp_path / "voc" / "SegmentationClass")
    assert truth["images"] == len(masks)
    with Image.open(masks[0]) as mask:
        assert mask.mode == "P"
        assert set(np.unique(np.array(mask)).tolist()) <= {0, 1, 255}


def test_mistakes_name_the_file_and_end_with_two(tmp_path: Path) -> None:
    missing = run("segment", tmp_path / "nowhere", code=2)
    assert "nowhere" in missing["error"]
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "segstudio.toml").write_text("name = [", encoding="utf-8")
    answer = run("models", broken, code=2)
    assert "segstudio.toml" in answer["error"]
