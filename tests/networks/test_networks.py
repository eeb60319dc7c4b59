from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from segstudio.errors import UserError
from segstudio.networks import heads, registry
from segstudio.networks.fuse import fused
from segstudio.networks.unet import UNet

torch.set_num_threads(1)
NAMES = list(registry.ARCHITECTURES)


@pytest.mark.parametrize("name", NAMES)
def test_every_network_takes_any_size_and_number_of_classes(name: str) -> None:
    for classes, size in ((1, (33, 47)), (20, (64, 50))):
        network = registry.build(name, classes).eval()
        with torch.inference_mode():
            logits = network(torch.randn(1, 3, *size))
        assert logits.shape == (1, classes + 1, *size)


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_reaches_every_parameter(name: str) -> None:
    network = registry.build(name, 2).train()
    network(torch.randn(2, 3, 64, 64)).square().mean().backward()
    without = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    # a ReLU that no pixel passes leaves no gradient: very few are allowed, none without any tensor
    assert all(p.grad is not None for p in network.parameters())
    assert len(without) <= 0.03 * len(list(network.parameters())), without


@pytest.mark.parametrize("name", NAMES)
def test_weights_come_back_as_they_were_saved(name: str, tmp_path: Any) -> None:
    from safetensors.torch import load_file, save_file

    network = registry.build(name, 2).eval()
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, tmp_path / "w")
    other = registry.build(name, 2).eval()
    other.load_state_dict(load_file(tmp_path / "w"))
    picture = torch.randn(1, 3, 40, 40)
    with torch.inference_mode():
        torch.testing.assert_close(network(picture), other(picture))


# channels of figure 1 of the paper: (inputs, outputs, kernel) of each convolution
PAPER_LAYERS = [
    *[(1, 64, 3), (64, 64, 3), (64, 128, 3), (128, 128, 3), (128, 256, 3), (256, 256, 3)],
    *[(256, 512, 3), (512, 512, 3), (512, 1024, 3), (1024, 1024, 3)],
    *[(1024, 512, 2), (1024, 512, 3), (512, 512, 3)],
    *[(512, 256, 2), (512, 256, 3), (256, 256, 3)],
    *[(256, 128, 2), (256, 128, 3), (128, 128, 3)],
    *[(128, 64, 2), (128, 64, 3), (64, 64, 3)],
    (64, 2, 1),
]


def paper_parameters() -> int:
    return sum(i * o * k * k + o for i, o, k in PAPER_LAYERS)


def test_the_unet_is_the_paper_s() -> None:
    network = UNet(1, 2, width=64, padding="valid", norm=False)
    assert sum(p.numel() for p in network.parameters()) == paper_parameters() == 31_030_658
    found = [
        (m.in_channels, m.out_channels, m.kernel_size[0])
        for m in network.modules()
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)
    ]
    assert sorted(found) == sorted(PAPER_LAYERS)


def test_the_paper_s_sizes() -> None:
    network = UNet(1, 2, width=2, padding="valid", norm=False)
    assert network(torch.zeros(1, 1, 572, 572)).shape == (1, 2, 388, 388)
    assert network.margin == (572 - 388) // 2


def test_a_width_of_16_has_two_million_parameters() -> None:
    assert sum(p.numel() for p in UNet().parameters()) == 1_942_594


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_valid_convolutions_still_cover_the_whole_picture(depth: int) -> None:
    network = registry.build("unet", 1, width=2, depth=depth, padding="valid").eval()
    for size in ((30, 41), (64, 64), (51, 36)):
        with torch.inference_mode():
            assert network(torch.randn(1, 3, *size)).shape[-2:] == size


def test_folding_normalisations_changes_nothing() -> None:
    network = registry.build("unet", 3, width=4)
    network(torch.randn(4, 3, 32, 32))  # statistics that are not the initial ones
    picture = torch.randn(1, 3, 37, 50)
    with torch.inference_mode():
        quick = fused(network)
        torch.testing.assert_close(quick(picture), network.eval()(picture), rtol=1e-4, atol=1e-5)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in quick.modules())


@pytest.mark.parametrize("name", ["unet", "deeplabv3_resnet50"])
def test_classes_are_carried_over_by_name(name: str) -> None:
    old = registry.build(name, 2).eval()
    new = registry.build(name, 3).eval()
    keys = heads.head_keys(name)
    fresh = heads.carry_over(new, old.state_dict(), ["car", "road"], ["road", "tree", "car"], keys)
    assert fresh == ["tree"]
    picture = torch.randn(1, 3, 48, 48)
    with torch.inference_mode():
        torch.testing.assert_close(new(picture)[:, [0, 3, 1]], old(picture))


def test_weights_of_another_network_are_refused() -> None:
    network = registry.build("unet", 1, width=4)
    other = registry.build("unet", 1, width=8).state_dict()
    with pytest.raises(UserError, match="do not fit this network"):
        heads.carry_over(network, other, ["a"], ["a"], heads.head_keys("unet", width=4))


def test_unknown_names_are_explained() -> None:
    with pytest.raises(UserError, match="unet"):
        registry.build("unit", 1)
    with pytest.raises(UserError, match="Options: width"):
        registry.build("unet", 1, wide=3)
