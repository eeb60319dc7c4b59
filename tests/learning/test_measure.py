from __future__ import annotations

import pytest
import torch

from segstudio.learning import measure
from segstudio.learning.device import DeviceReport


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
