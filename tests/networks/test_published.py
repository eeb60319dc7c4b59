"""What no count of parameters sees: poolings, rates, weights of losses, how layers are joined."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
import zoo
from torch import Tensor, nn

from segstudio.networks import registry, s2s
from segstudio.networks.crf import Kernels
from segstudio.networks.crfrnn import CRFRNN, MeanField
from segstudio.networks.deeplab import DeepLab
from segstudio.networks.fcn import FCN
from segstudio.networks.icnet import ICNet
from segstudio.networks.pspnet import BINS
from segstudio.networks.refinenet import Chain, RefineNet, Unit
from segstudio.networks.segnet import SegNet
from segstudio.networks.unet import UNet


def poolings(network: nn.Module) -> list[tuple[str, int, int]]:
    """Kind, kernel and stride of each, in the order in which they were made."""
    kinds = nn.MaxPool2d | nn.AvgPool2d
    found = [m for m in network.modules() if isinstance(m, kinds)]
    return [(type(m).__name__, int(m.kernel_size), int(m.stride)) for m in found]  # type: ignore[arg-type]


def body(name: str, **options: Any) -> nn.Module:
    return registry.outline(name, 2, **options).get_submodule("body")


def test_poolings_are_the_published_ones() -> None:
    atrous = [("MaxPool2d", 3, 2)] * 3 + [("MaxPool2d", 3, 1)] * 2
    assert poolings(body("deeplab_v1")) == [*atrous, ("AvgPool2d", 3, 1)]  # pool5a
    assert poolings(body("deeplab_v2_vgg16")) == atrous  # fc6_1 to fc6_4 are on pool5
    assert poolings(body("fcn8s")) == [("MaxPool2d", 2, 2)] * 5
    assert poolings(body("dilation8")) == [("MaxPool2d", 2, 2)] * 3
    network = body("refinenet")
    assert isinstance(network, RefineNet)
    assert poolings(network.joints) == [("MaxPool2d", 5, 1)] * 4
    assert BINS == (1, 2, 3, 6)


def test_losses_weigh_what_their_papers_say() -> None:
    """PSPNet section 3.2 ("we set the weight to 0.4"); ICNet's published training; DeepLab v2,
    section 4.1.2: all scales alike; torchvision's reference training."""
    published = {
        "pspnet": {"aux": 0.4},
        "icnet": {"aux_16": 0.16, "aux_8": 0.4},
        "deeplab_v2": {"scale_100": 1.0, "scale_75": 1.0, "scale_50": 1.0},
        "deeplabv3_resnet50": {"aux": 0.5},
        "fcn_resnet50": {"aux": 0.5},
    }
    for name, weights in published.items():
        assert dict(registry.card_of(name).auxiliary or {}) == weights


def test_icnet_fuses_at_rate_two() -> None:
    network = body("icnet")
    assert isinstance(network, ICNet)
    for fusion in (network.first, network.second):
        layers = [m for m in fusion.modules() if isinstance(m, nn.Conv2d)]
        assert [(m.kernel_size, m.dilation) for m in layers[:2]] == [
            ((3, 3), (2, 2)),
            ((1, 1),) * 2,
        ]


def test_the_crf_begins_as_its_authors_programs_do() -> None:
    """Krähenbühl & Koltun's dense_inference: 10, 80 px, 13 grey values, 3, 3 px. CRF-RNN's
    published model: 160 px, 3 grey values, weights 5 and 3; 5 rounds in training and 10 after."""
    kernels = Kernels()
    assert (kernels.appearance, kernels.reach, kernels.colour) == (10, 80, 13)
    assert (kernels.smoothness, kernels.smooth_reach) == (3, 3)
    field = MeanField(3)
    assert (field.reach, field.colour, field.smooth_reach) == (160, 3, 3)
    torch.testing.assert_close(field.smoothness, 3 * torch.eye(3))
    torch.testing.assert_close(field.appearance, 5 * torch.eye(3))
    torch.testing.assert_close(field.compatibility, 1 - torch.eye(3))


def test_the_crf_goes_five_rounds_in_training_and_ten_after() -> None:
    network = zoo.small("crfrnn").get_submodule("body")
    assert isinstance(network, CRFRNN)
    rounds: list[int] = []
    network.field.register_forward_pre_hook(lambda _module, inputs: rounds.append(inputs[2]))
    with torch.no_grad():
        for training in (True, False):
            network.train(training)(torch.randn(1, 3, 32, 32))
    assert rounds == [5, 10]


def test_fcn_joins_pools_that_are_scaled_down() -> None:
    """The published FCN-8s "at once": pool3 by 0.0001, pool4 by 0.01."""
    network = FCN(3, 3, 8, width=2).eval()
    for layer in (network.score, *network.skips):
        nn.init.normal_(layer.weight, std=30.0)
    picture = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        stages = network.encoder.stages(picture)
        sixteenth = network.ups[0](network.score(stages[-1])) + network.skips[0](stages[3] * 1e-2)
        eighth = network.ups[1](sixteenth) + network.skips[1](stages[2] * 1e-4)
        expected = F.interpolate(eighth, (64, 64), mode="bilinear", align_corners=False)
        torch.testing.assert_close(network(picture), expected)
        assert (expected - network.ups[1](sixteenth).mean()).abs().max() > 1e-3


def test_a_built_fcn_s_upsampling_starts_as_bilinear() -> None:
    scores = torch.randn(1, 3, 6, 7)
    expected = F.interpolate(scores, scale_factor=2, mode="bilinear", align_corners=False)
    network = registry.build("fcn8s", 2, width=4).get_submodule("body")
    assert isinstance(network, FCN)
    assert len(network.ups) == 2
    for up in network.ups:
        with torch.no_grad():
            found = up(scores)
        torch.testing.assert_close(found[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1])


def test_a_residual_unit_and_a_chain_of_poolings() -> None:
    """RefineNet, figures 3 (b) and (d)."""
    maps = torch.randn(1, 4, 12, 9)
    unit, chain = Unit(4), Chain(4)
    with torch.no_grad():
        change = unit.second(F.relu(unit.first(F.relu(maps))))
        torch.testing.assert_close(unit(maps), maps + change)
        total = path = F.relu(maps)
        for convolution in chain.convolutions:
            path = convolution(F.max_pool2d(path, 5, 1, 2))
            total = total + path
        torch.testing.assert_close(chain(maps), total)
    assert len(chain.convolutions) == 2


def test_segnet_s_decoder_is_convolution_normalisation_relu() -> None:
    network = body("segnet")
    assert isinstance(network, SegNet)
    unit = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU)
    for block, count in zip(network.decoder, (3, 3, 3, 2, 1), strict=True):
        layers = list(block.children())
        assert len(layers) == 3 * count
        assert all(map(isinstance, layers, unit * count))


def test_unet_crops_the_middle_of_a_skip_and_rectifies_what_it_joins() -> None:
    network = registry.build("unet_2015", 1, width=4).get_submodule("body").eval()
    assert isinstance(network, UNet)
    block = network.up[-1]
    joined: list[Tensor] = []
    block.convolutions.register_forward_pre_hook(lambda _module, inputs: joined.append(inputs[0]))
    skip = torch.arange(4 * 14 * 14.0).view(1, 4, 14, 14)
    with torch.no_grad():
        block(torch.randn(1, 8, 5, 5), skip)
    torch.testing.assert_close(joined[0][:, :4], skip[..., 2:12, 2:12])
    assert joined[0][:, 4:].min() == 0
    assert joined[0][:, 4:].max() > 0
    modern = registry.build("unet", 1, width=4).get_submodule("body")
    assert isinstance(modern, UNet)
    assert not any(block.rectified for block in modern.up)


def test_deeplab_v2_takes_the_maximum_over_its_scales() -> None:
    network = registry.build("deeplab_v2", 2, width=4, multi_scale=True).eval()
    inner = network.get_submodule("body")
    assert isinstance(inner, DeepLab)
    raw: list[Tensor] = []
    inner.scores.register_forward_hook(lambda *facts: raw.append(facts[2]))
    with torch.no_grad():
        out = network(torch.randn(1, 3, 64, 96))
    assert len(raw) == 3
    for scores, step, pixels in ((raw[0], 1, 8), (raw[1], 3, 32), (raw[2], 1, 16)):
        seen = out[..., ::pixels, ::pixels]  # where this scale has a point
        own = scores[..., ::step, ::step][..., : seen.shape[2], : seen.shape[3]]
        assert (seen >= own - 1e-5).all()
    top = out[..., ::32, ::32]  # where all three have one
    points = [raw[0][..., ::4, ::4], raw[1][..., ::3, ::3], raw[2][..., ::2, ::2]]
    points = [scores[..., : top.shape[2], : top.shape[3]] for scores in points]
    torch.testing.assert_close(top, torch.stack(points).amax(0))


def test_the_gradient_difference_is_of_absolute_gradients() -> None:
    """Mathieu et al. 2016, equation 6: a step down for a step up costs nothing beyond L1."""
    true = torch.zeros(1, 1, 4, 4)
    true[..., 2:] = 1
    half = F.avg_pool2d(true, 2)
    assert float(s2s.loss(s2s.Scores(half, 1 - true), true)) == pytest.approx(1)
    flat = torch.full_like(true, 0.5)  # no gradient where one of four columns has one
    assert float(s2s.loss(s2s.Scores(half, flat), true)) == pytest.approx(0.5 + 1 / 3)
