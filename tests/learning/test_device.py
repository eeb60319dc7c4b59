from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from segstudio.errors import UserError
from segstudio.learning import device


def test_the_cpu_can_be_chosen() -> None:
    report = device.probe("cpu")
    assert report.kind == "cpu"
    assert report.name
    assert report.device == torch.device("cpu")
    with pytest.raises(UserError, match="no device called 'tpu'"):
        device.probe("tpu")


def test_a_kernel_really_runs() -> None:
    assert device.run_kernel(torch.device("cpu")) == ""
    assert "failed" in device.run_kernel(torch.device("meta"))


def pretend(monkeypatch: pytest.MonkeyPatch, **facts: Any) -> None:
    """A machine with another GPU, driver and build of PyTorch."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: facts.get("available", False))
    monkeypatch.setattr(torch.version, "cuda", facts.get("cuda", "13.0"))
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(device, "nvidia_gpu", lambda: facts.get("gpu", ""))
    monkeypatch.setattr(device, "run_kernel", lambda place: facts.get("fault", ""))
    monkeypatch.setattr(device, "_why_not_mps", lambda: "Not a Mac.")


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"gpu": "NVIDIA T4", "cuda": None}, "NVIDIA T4 is here, but PyTorch"),
        ({"gpu": "NVIDIA T4"}, "Update the driver"),
        ({"cuda": None}, "built for CPUs only"),
        ({}, "No NVIDIA GPU was found"),
        ({"gpu": "NVIDIA T4", "available": True, "fault": "no kernel image"}, "no kernel image"),
    ],
)
def test_why_a_gpu_is_not_used(
    facts: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, **facts)
    report = device.probe()
    assert report.kind == "cpu"
    assert words in report.reason_not_gpu


def test_a_gpu_that_passes_its_test_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, available=True, gpu="NVIDIA T4")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA T4")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (15 * 2**30, 16 * 2**30))
    report = device.probe()
    assert (report.kind, report.name, report.reason_not_gpu) == ("cuda", "NVIDIA T4", "")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: tried 9 bytes"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried"), True),
        (MemoryError(), True),
        (RuntimeError("shapes do not match"), False),
    ],
)
def test_memory_running_out_is_recognised(error: BaseException, expected: bool) -> None:
    assert device.is_out_of_memory(error) is expected


@pytest.mark.gpu
def test_a_gpu_learns_and_predicts_as_the_cpu(tmp_path: Path) -> None:
    if device.probe().kind == "cpu":
        pytest.skip("no GPU that torch can use")
    from segstudio.learning.inference import Inference
    from segstudio.learning.normalise import Normalisation
    from segstudio.networks import registry

    network = registry.build("unet", 2, width=4).eval()
    picture = torch.rand(3, 100, 130)
    place = device.probe().device
    expected = Inference(network, Normalisation(), torch.device("cpu")).decide(picture.numpy())
    found = Inference(network.to(place), Normalisation(), place).decide(picture.numpy())
    assert (expected[0] == found[0]).mean() > 0.99


def test_names_load_torch_only_when_used() -> None:
    script = (
        "import sys, segstudio.learning, segstudio.learning.events, segstudio.networks.registry\n"
        "print([m for m in ('torch', 'PySide6', 'torchvision') if m in sys.modules])\n"
        "from segstudio.learning import ProjectDataset, train\n"
        "print([m for m in ('torch', 'PySide6') if m in sys.modules])\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert answer.stdout.split("\n")[:2] == ["[]", "['torch']"]
