from __future__ import annotations

from pathlib import Path

import pytest
import torch

from segstudio.learning import measure
from segstudio.learning.device import DeviceReport
from segstudio.learning.machine import machine
from segstudio.networks import registry, weights


@pytest.mark.parametrize("name", ["unet", "icnet", "maskrcnn_light"])
def test_a_network_is_measured(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "PICTURE", (64, 96))
    torch.manual_seed(0)
    found = measure.measure(name, DeviceReport("cpu", "here"))
    assert (found.name, found.device) == (name, "cpu")
    assert found.parameters > 1_000_000
    assert found.memory >= 0
    assert found.predict_ms > 0
    assert found.train_ms > 0


def test_the_machine_has_the_memory_of_the_device_and_the_weights_of_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGSTUDIO_CACHE", str(tmp_path))
    gpu = machine(DeviceReport("cuda", "a GPU", memory=8_000_000_000))
    assert (gpu.device, gpu.free, gpu.weights) == ("cuda", 8000.0, frozenset())
    assert machine(DeviceReport("mps", "a Mac")).free is None
    weights.cache_folder().mkdir()
    (source,) = registry.card_of("segnet").weights
    (weights.cache_folder() / weights.address(source).file_name).write_bytes(b"")
    here = machine(DeviceReport("cpu", "here"))
    assert here.free is not None
    assert here.weights == {"segnet"}
