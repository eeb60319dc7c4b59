"""The main job without a window, as a person types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segstudio.data import sample_folder
from segstudio.project.project import Project

pytestmark = pytest.mark.slow
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def segstudio(*arguments: object) -> Any:
    answer = subprocess.run(
        [sys.executable, "-m", "segstudio", *map(str, arguments), "--json"],
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
        timeout=600,
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout.splitlines()[-1])


def test_from_a_labelme_folder_to_a_trained_model_and_masks(tmp_path: Path) -> None:
    root = tmp_path / "p"
    brought = segstudio("import", sample_folder() / "images", root)
    assert (brought["format"], brought["images"]) == ("labelme", 6)
    for picture in (sample_folder() / "images").glob("nuclei_0*.png"):
        if not (root / "images" / picture.name).exists():
            Image.open(picture).save(root / "images" / picture.name)
    labels = {p.name: p.read_bytes() for p in root.rglob("*.json") if p.parent.name == "images"}

    trained = segstudio(
        "train", root, "--minutes", "0.3", "--set", "batch=1", "--set", 'options={"width":8}'
    )
    assert "the guesses" in trained["reason"]
    (model,) = segstudio("models", root)
    assert model["id"] == trained["model"] == "000001-unet"
    assert model["classes"] == ["nucleus"]
    assert model["in_force"] == trained["promoted"]

    done = segstudio("segment", root, "--only", "unlabelled")
    assert done["done"] == 6
    assert segstudio("segment", root, "--only", "unlabelled")["skipped"] == 6
    with Project.open(root) as project:
        for key in project.predictions.done(model["id"]):
            read = project.predictions.read(model["id"], key)
            assert read is not None
            width, height = project.image_size(key)
            assert read[0].shape == read[1].shape == (height, width)
            assert set(np.unique(read[0])) <= {0, 1}
    assert labels == {p.name: p.read_bytes() for p in root.rglob("*.json") if p.name in labels}

    scores = segstudio("evaluate", root)
    assert scores["images"] == 6
    assert 0 < scores["miou"] <= 1
    assert set(scores["iou"]) == {"background", "nucleus"}

    written = segstudio("export", root, tmp_path / "out", "--format", "index_png")
    assert (written["images"], written["lost"]) == (6, 0)
    again = segstudio("evaluate", root, "--against", tmp_path / "out" / "labels")
    assert again["iou"] == pytest.approx(scores["iou"])
    labels_only = ("--against", tmp_path / "out" / "labels", "--classes", "nucleus")
    assert segstudio("evaluate", root, *labels_only)["iou"] == pytest.approx(scores["iou"])


def test_training_interrupted_by_ctrl_c_keeps_the_project_whole(tmp_path: Path) -> None:
    root = tmp_path / "p"
    segstudio("import", sample_folder() / "images", root)
    command = [sys.executable, "-m", "segstudio", "train", str(root), "--minutes", "9", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as child:
        assert child.stderr is not None
        assert any(line.startswith("training") for line in child.stderr)
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=120)
    assert child.returncode == 130
    assert isinstance(json.loads(out.splitlines()[-1]), dict)
    with Project.open(root) as project:
        assert not list(root.rglob("*.segstudio-tmp"))
        assert len(project.models.all()) <= 1
        assert len(project.confirmed_keys()) == 6


def test_the_headless_demo(tmp_path: Path) -> None:
    result = segstudio("demo", tmp_path / "demo", "--headless", "--minutes", "0.2")
    assert result["train"]["model"]
    assert result["evaluate"]["images"] == 6
    assert result["export"]["lost"] == 0
    assert result["export"]["images"] == 6
