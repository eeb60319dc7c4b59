from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
import zoo
from torch import Tensor, nn

from segstudio.errors import UserError
from segstudio.learning.losses import with_auxiliary
from segstudio.networks import dilation, fcn, heads, registry
from segstudio.networks.fuse import fused
from segstudio.networks.norms import patient
from segstudio.networks.unet import PAPER, UNet

torch.set_num_threads(1)


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
    network = registry.build("unet_2015", 1, 1).get_submodule("body")
    assert sum(p.numel() for p in network.parameters()) == paper_parameters() == 31_030_658
    found = [
        (m.in_channels, m.out_channels, m.kernel_size[0])
        for m in network.modules()
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)
    ]
    assert sorted(found) == sorted(PAPER_LAYERS)
    assert len(found) == 23
    assert not any(isinstance(m, nn.BatchNorm2d) for m in network.modules())


def test_the_unet_s_weights_begin_as_the_paper_says() -> None:
    """Section 3: sqrt(2 / N), N the incoming nodes of one neuron."""
    for layer in registry.build("unet_2015", 1, 1).modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.weight.numel() > 5000:
            taps = 1 if isinstance(layer, nn.ConvTranspose2d) else layer.kernel_size[0] ** 2
            wanted = math.sqrt(2 / (taps * layer.in_channels))
            assert float(layer.weight.detach().std()) == pytest.approx(wanted, rel=0.05)
            assert layer.bias is not None
            assert not layer.bias.any()


def test_the_unet_of_2015_drops_out_at_the_end_of_the_contracting_path() -> None:
    """Section 3.1; in the authors' model on the last two levels, what is skipped too."""
    network = registry.build("unet_2015", 1, 1, width=2, dropout=1.0).train()
    body = network.get_submodule("body")
    assert isinstance(body, UNet)
    assert registry.build("unet_2015", 1).get_submodule("body.dropout").p == 0.5
    seen: dict[str, Tensor] = {}
    for name, module in body.named_modules():
        module.register_forward_hook(
            lambda _module, inputs, _output, name=name: seen.update({name: inputs})
        )
    network(torch.randn(1, 1, 64, 64))
    assert seen["down.3"][0].any()
    assert not seen["up.0"][0].any()
    assert not seen["up.0"][1].any()
    assert seen["up.1"][1].any()
    first = network.eval()(torch.ones(1, 1, 64, 64))
    assert torch.equal(first, network(torch.ones(1, 1, 64, 64)))


@pytest.mark.parametrize("size", [(100, 130), (40, 1), (5, 3)])
def test_the_unet_of_2015_sees_pictures_mirrored_at_their_borders(size: tuple[int, int]) -> None:
    """Section 2, figure 2: the overlap-tile strategy."""
    network = registry.build("unet_2015", 1, 1, width=2)
    seen: list[Tensor] = []
    body = network.get_submodule("body")
    body.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    picture = torch.randn(1, 1, *size)
    with torch.inference_mode():
        assert network.eval()(picture).shape[-2:] == size
    added = [(92, whole - side - 92) for side, whole in zip(size, seen[0].shape[-2:], strict=True)]
    expected = np.pad(picture[0, 0].numpy(), added, mode="reflect")
    assert np.array_equal(seen[0][0, 0].numpy(), expected)


def test_the_paper_s_sizes() -> None:
    network = UNet(1, 2, **{**PAPER, "width": 2})
    seen: list[Tensor] = []
    network.down[4].register_forward_hook(lambda *facts: seen.append(facts[2]))
    assert network(torch.zeros(1, 1, 572, 572)).shape == (1, 2, 388, 388)
    assert seen[0].shape[-2:] == (28, 28)
    assert network.margin == (572 - 388) // 2


def test_a_width_of_16_has_two_million_parameters() -> None:
    assert sum(p.numel() for p in UNet().parameters()) == 1_942_594


@pytest.mark.parametrize("shrink", [2, 4])
def test_a_unet_of_blocks_answers_for_every_pixel(shrink: int) -> None:
    """Blocks come in whole and go out whole, and their pixels begin alike."""
    network = registry.build("unet", 2, width=4, depth=2, shrink=shrink).eval()
    body = network.get_submodule("body")
    assert isinstance(body, UNet)
    assert body.divisor == 4 * shrink
    pictures = torch.randn(2, 3, 37, 50, requires_grad=True)
    logits = network(pictures)
    assert logits.shape == (2, 3, 37, 50)
    blocks = logits[..., : 36 // shrink * shrink, : 48 // shrink * shrink]
    corners = blocks[..., ::shrink, ::shrink]
    torch.testing.assert_close(blocks[..., 1::shrink, ::shrink], corners)
    logits.sum().backward()
    assert pictures.grad is not None
    assert bool((pictures.grad != 0).any(1).all())  # no pixel is left out


def test_a_unet_of_blocks_learns_what_is_finer_than_they_are() -> None:
    torch.manual_seed(0)
    network = registry.build("unet", 1, width=8, depth=2, shrink=4)
    picture = torch.zeros(1, 3, 32, 32)
    picture[..., 5:30:7] = 1  # lines of one pixel, at every place in a block
    target = (picture[:, 0] > 0).long()
    optimiser = torch.optim.AdamW(network.parameters(), 1e-2)
    for _ in range(120):
        loss = nn.functional.cross_entropy(network(picture), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert torch.equal(network(picture).argmax(1), target)


def test_a_unet_of_blocks_has_no_valid_padding() -> None:
    with pytest.raises(UserError, match="shrink"):
        registry.build("unet", 1, padding="valid", shrink=2)


@pytest.mark.parametrize("depth", [2, 3, 4])
@pytest.mark.parametrize("name", ["unet", "unet_2015"])
def test_valid_convolutions_still_cover_the_whole_picture(name: str, depth: int) -> None:
    network = registry.build(name, 1, width=2, depth=depth, padding="valid").eval()
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


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("unet", {}),
        ("unet", {"depth": 2, "shrink": 4}),
        ("deeplabv3_resnet50", {}),
        ("fcn8s", {}),
        ("dilation8", {"context": "large"}),
        ("segformer", {}),
    ],
)
def test_classes_are_carried_over_by_name(name: str, more: Mapping[str, Any]) -> None:
    """Also where scores are upsampled from every class to every class, or have several maps."""
    options = {**zoo.SMALL[name], **more}
    old = _alone(registry.build(name, 2, **options).eval())
    new = _alone(registry.build(name, 3, **options).eval())
    keys = heads.head_keys(name, **options)
    fresh = heads.carry_over(new, old.state_dict(), ["car", "road"], ["road", "tree", "car"], keys)
    assert fresh == ["tree"]
    picture = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(new(picture)[:, [0, 3, 1]], old(picture), rtol=1e-4, atol=1e-5)


def _alone(network: nn.Module) -> nn.Module:
    """Without what a new class would add to old ones in layers from all classes to all."""
    for module in network.get_submodule("body").modules():
        if isinstance(module, dilation.Dilation):
            for layer in module.context[::2]:
                nn.init.constant_(layer.weight, 0)
                dilation.bind(layer, module.score.out_channels, 0.0)
        elif isinstance(module, fcn.FCN):
            for layer in (module.score, *module.skips):
                nn.init.normal_(layer.weight)
    return network


@pytest.mark.parametrize("name", ["pspnet", "icnet"])
def test_auxiliary_heads_follow_the_classes_too(name: str) -> None:
    options = zoo.SMALL[name]
    network = registry.build(name, 2, **options)
    keys = heads.head_keys(name, **options)
    rows = {key for key, value in network.state_dict().items() if value.shape[:1] == (3,)}
    assert set(keys) == rows
    assert len(keys) == 2 * (2 if name == "pspnet" else 3)
    assert heads.rows_of(network.state_dict(), keys) == {3}


def test_auxiliary_outputs_exist_in_training_only() -> None:
    network = zoo.small("icnet")
    outputs = network.train()(torch.randn(2, 3, 70, 64))
    sizes = {key: tuple(value.shape[2:]) for key, value in outputs.items()}
    assert sizes == {"out": (70, 64), "aux_16": (5, 4), "aux_8": (9, 8)}
    assert isinstance(network.eval()(torch.randn(1, 3, 70, 64)), torch.Tensor)


@pytest.mark.parametrize(
    ("name", "options", "names"),
    [
        ("deeplab_v2", {"multi_scale": True}, {"scale_100", "scale_75", "scale_50"}),
        ("deeplab_v2_vgg16", {"multi_scale": True}, {"scale_100", "scale_75", "scale_50"}),
        ("deeplabv3_resnet50", {"auxiliary": True}, {"aux"}),
        ("fcn_resnet50", {"auxiliary": True}, {"aux"}),
    ],
)
def test_options_that_add_losses(name: str, options: dict[str, bool], names: set[str]) -> None:
    network = registry.build(name, 2, width=8, **options)
    outputs = network.train()(torch.randn(2, 3, 70, 96))
    assert outputs.keys() == names | {"out"}
    assert outputs["out"].shape == (2, 3, 70, 96)
    assert names == set(network.auxiliary)  # type: ignore[arg-type]
    with torch.inference_mode():
        assert network.eval()(torch.randn(1, 3, 70, 96)).shape == (1, 3, 70, 96)


@pytest.mark.parametrize("size", [(64, 96), (50, 70)])
def test_scores_of_every_scale_are_compared_with_the_labels_they_lie_on(
    size: tuple[int, int],
) -> None:
    """DeepLab's scores are those of every eighth pixel, from the first one on."""
    network = registry.build("deeplab_v2", 2, width=4, multi_scale=True).train()
    raw: list[Tensor] = []
    network.get_submodule("body.scores").register_forward_hook(lambda *facts: raw.append(facts[2]))
    outputs = network(torch.randn(2, 3, *size))
    for name in ("scale_100", "scale_75", "scale_50"):
        assert outputs[name].shape == (2, 3, *size)
    seen = outputs["scale_100"][..., ::8, ::8]
    torch.testing.assert_close(seen, raw[0][..., : seen.shape[2], : seen.shape[3]])
    less = outputs["scale_75"][..., ::32, ::32]  # every third point
    own = raw[1][..., ::3, ::3]
    torch.testing.assert_close(less, own[..., : less.shape[2], : less.shape[3]])
    half = outputs["scale_50"][..., ::16, ::16]
    torch.testing.assert_close(half, raw[2][..., : half.shape[2], : half.shape[3]])


@pytest.mark.parametrize("name", ["pspnet", "icnet", "deeplab_v2"])
def test_the_trainer_s_parts_take_auxiliary_outputs(name: str) -> None:
    """The gradient of an auxiliary head comes from its own loss."""
    options = {"multi_scale": True} if name == "deeplab_v2" else {}
    network = registry.build(name, 2, **{**zoo.SMALL[name], **options}).train()
    target = torch.randint(0, 3, (2, 64, 64))
    shares = network.auxiliary
    loss = with_auxiliary(network(torch.randn(2, 3, 64, 64)), target, shares)  # type: ignore[arg-type]
    torch.autograd.backward(loss)
    assert all(p.grad is not None for p in network.parameters())


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


def test_a_single_value_per_channel_is_normalised_by_running_statistics() -> None:
    torch.manual_seed(0)
    norm = patient(nn.Sequential(nn.BatchNorm2d(3))).train()
    plain = nn.Sequential(nn.BatchNorm2d(3)).train()
    several = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(norm(several), plain(several))
    one = torch.randn(1, 3, 1, 1)
    before = {key: value.clone() for key, value in norm.state_dict().items()}
    torch.testing.assert_close(norm(one), plain.eval()(one))
    for key, value in before.items():
        assert torch.equal(value, norm.state_dict()[key])
    with pytest.raises(ValueError, match="more than 1 value"):
        plain.train()(one)
