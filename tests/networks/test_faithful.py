"""Each network against its paper's layers, as data, or against its library's own network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchvision.models
import torchvision.models.segmentation
import zoo
from torch import Tensor, nn

from segstudio.errors import UserError
from segstudio.networks import registry, vgg
from segstudio.networks.atrous import Atrous
from segstudio.networks.dilation import context_module
from segstudio.networks.fcn import FCN, doubling
from segstudio.networks.pspnet import averages
from segstudio.networks.resnet import ResNet
from segstudio.networks.s2s import S2S
from segstudio.networks.segnet import SegNet

K = 21
"""Classes with the background, as in PASCAL VOC."""
Layer = tuple[int, int, int]
"""Inputs, outputs, kernel of a convolution."""

# Simonyan & Zisserman 2015, table 1, D
VGG: list[Layer] = [
    *[(3, 64, 3), (64, 64, 3), (64, 128, 3), (128, 128, 3)],
    *[(128, 256, 3), (256, 256, 3), (256, 256, 3)],
    *[(256, 512, 3), (512, 512, 3), (512, 512, 3)],
    *[(512, 512, 3), (512, 512, 3), (512, 512, 3)],
]
FC: list[Layer] = [(512, 4096, 7), (4096, 4096, 1), (4096, K, 1)]
# Badrinarayanan et al. 2017, figure 2: the encoder mirrored; the last convolution gives the scores
SEGNET_DECODER: list[Layer] = [
    *[(512, 512, 3), (512, 512, 3), (512, 512, 3)],
    *[(512, 512, 3), (512, 512, 3), (512, 256, 3)],
    *[(256, 256, 3), (256, 256, 3), (256, 128, 3)],
    *[(128, 128, 3), (128, 64, 3), (64, 64, 3)],
]
LARGE_FOV: list[Layer] = [(512, 1024, 3), (1024, 1024, 1), (1024, K, 1)]
# Yu & Koltun 2016, table 1
LARGE_CONTEXT: list[Layer] = [
    *[(K, 2 * K, 3), (2 * K, 2 * K, 3), (2 * K, 4 * K, 3), (4 * K, 8 * K, 3)],
    *[(8 * K, 16 * K, 3), (16 * K, 32 * K, 3), (32 * K, 32 * K, 3), (32 * K, K, 1)],
]
BASIC_CONTEXT_10: list[Layer] = [*[(K, K, 3)] * 9, (K, K, 1)]


def resnet(blocks: Iterable[int], width: int = 64, stem: Iterable[Layer] = ()) -> list[Layer]:
    """He et al. 2016, table 1: 1x1, 3x3, 1x1 in each block, a 1x1 beside the first."""
    layers = list(stem) or [(3, width, 7)]
    inputs = layers[-1][1]
    for stage, count in enumerate(blocks):
        planes = width * 2**stage
        layers.append((inputs, 4 * planes, 1))
        for _ in range(count):
            layers += [(inputs, planes, 1), (planes, planes, 3), (planes, 4 * planes, 1)]
            inputs = 4 * planes
    return layers


# Lin et al. 2017, section 3, and guosheng/refinenet: adaptations of stages and fusions without a
# bias; units of two convolutions, three after each pooling, two on a stage; two poolings
REFINENET_BARE: list[Layer] = [
    *[(2048, 512, 3), (1024, 256, 3), (512, 256, 3)],
    *[(512, 256, 3), (256, 256, 3)],
    *[(256, 256, 3), (256, 256, 3)] * 2,
]
REFINENET: list[Layer] = [
    *[(512, 512, 3)] * (2 * 2 + 2 + 2 * 3),
    *[(256, 256, 3)] * (2 * 2 + 2 + 2 * 3) * 3,
    (256, K, 3),
]
# Zhao et al. 2017, figure 3: four levels of a quarter, 3x3 to 512; auxiliary loss on stage 4
PSP: list[Layer] = [*[(2048, 512, 1)] * 4, (4096, 512, 3), (1024, 256, 3)]
PSP_SCORES: list[Layer] = [(512, K, 1), (256, K, 1)]
# Zhao et al. 2018, figures 2 and 3, and their published model: PSPNet-50 with half its kernels but
# in the stem, the whole picture's branch, two fusions of 128 channels
ICNET: list[Layer] = [
    *resnet((3, 4, 6, 3), 32, [(3, 32, 3), (32, 32, 3), (32, 64, 3)]),
    (1024, 256, 1),
    *[(3, 32, 3), (32, 32, 3), (32, 64, 3)],
    *[(256, 128, 3), (256, 128, 1), (128, 128, 3), (64, 128, 1)],
]
ICNET_SCORES: list[Layer] = [(256, K, 1), (128, K, 1), (128, K, 1)]


def biased(layers: Iterable[Layer]) -> int:
    return sum(i * o * k * k + o for i, o, k in layers)


def normalised(layers: Iterable[Layer]) -> int:
    """Without a bias, with batch normalisation."""
    return sum(i * o * k * k + 2 * o for i, o, k in layers)


def bare(layers: Iterable[Layer]) -> int:
    return sum(i * o * k * k for i, o, k in layers)


DOUBLING = K * K * 4 * 4
R50, R101 = resnet((3, 4, 6, 3)), resnet((3, 4, 23, 3))
TABLES = {
    "fcn32s": biased(VGG + FC),
    "fcn16s": biased([*VGG, *FC, (512, K, 1)]) + DOUBLING,
    "fcn8s": biased([*VGG, *FC, (512, K, 1), (256, K, 1)]) + 2 * DOUBLING,
    "crfrnn": biased([*VGG, *FC, (512, K, 1), (256, K, 1)]) + 2 * DOUBLING + 3 * K * K,
    "segnet": biased(VGG + SEGNET_DECODER)
    + 2 * sum(o for _, o, _ in VGG + SEGNET_DECODER)
    + biased([(64, K, 3)]),
    "deeplab_v1": biased(VGG + LARGE_FOV),
    "deeplab_v2_vgg16": biased(VGG + 4 * LARGE_FOV),
    "deeplab_v2": normalised(R101) + 4 * biased([(2048, K, 3)]),
    "dilation8": biased(VGG + FC + LARGE_CONTEXT),
    "dilation10": biased(VGG + FC + BASIC_CONTEXT_10),
    "pspnet": normalised(R50 + PSP) + biased(PSP_SCORES),
    "refinenet": normalised(R101) + bare(REFINENET_BARE) + biased(REFINENET),
    "icnet": normalised(ICNET) + biased(ICNET_SCORES),
}


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("name", TABLES)
def test_as_many_parameters_as_the_paper_s_layers(name: str) -> None:
    """To the last one: a skip's scores are a five-thousandth of an FCN."""
    assert parameters(registry.outline(name, K - 1)) == TABLES[name]


def test_published_totals() -> None:
    """Figures in millions from the papers' own tables."""
    assert TABLES["deeplab_v1"] / 1e6 == pytest.approx(20.5, abs=0.1)  # v1, table 2
    assert biased(VGG) / 1e6 == pytest.approx(14.7, abs=0.05)  # SegNet, section 3
    assert normalised(ICNET) + biased([(128, 19, 1)]) == 6_699_987  # icnet_cityscapes.prototxt
    assert TABLES["fcn32s"] / 1e6 == pytest.approx(134, abs=0.5)  # FCN, table 1


@pytest.mark.parametrize(
    ("name", "maker"),
    [
        ("fcn_resnet50", "fcn_resnet50"),
        ("fcn_resnet101", "fcn_resnet101"),
        ("deeplabv3_resnet50", "deeplabv3_resnet50"),
        ("deeplabv3_resnet101", "deeplabv3_resnet101"),
        ("lraspp", "lraspp_mobilenet_v3_large"),
    ],
)
@pytest.mark.parametrize("auxiliary", [False, True])
def test_torchvision_s_networks_are_theirs(name: str, maker: str, auxiliary: bool) -> None:
    """The same names and shapes, so that its weights fit."""
    ours = {} if name == "lraspp" else {"auxiliary": auxiliary}
    theirs: dict[str, Any] = {} if name == "lraspp" else {"aux_loss": auxiliary}
    with torch.device("meta"):
        network = getattr(torchvision.models.segmentation, maker)(
            weights=None, weights_backbone=None, num_classes=K, **theirs
        )
        expected = {key: value.shape for key, value in network.state_dict().items()}
    body = registry.outline(name, K - 1, **ours).get_submodule("body")
    assert {key: value.shape for key, value in body.state_dict().items()} == expected


@pytest.mark.parametrize("name", ["deeplabv3_resnet50", "fcn_resnet50", "lraspp"])
def test_torchvision_s_weights_give_torchvision_s_scores(name: str) -> None:
    maker = "lraspp_mobilenet_v3_large" if name == "lraspp" else name
    theirs = getattr(torchvision.models.segmentation, maker)(
        weights=None, weights_backbone=None, num_classes=3
    ).eval()
    network = registry.build(name, 2).eval()
    network.get_submodule("body").load_state_dict(theirs.state_dict())
    picture = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(network(picture), theirs(picture)["out"])


@pytest.mark.parametrize("norm", [False, True])
def test_vgg_s_stages_are_torchvision_s(norm: bool) -> None:
    maker = torchvision.models.vgg16_bn if norm else torchvision.models.vgg16
    theirs = maker(weights=None).features.eval()
    ours = vgg.VGG16(vgg.features(3, norm=norm)).eval()
    ours.features.load_state_dict(theirs.state_dict())
    picture = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(ours(picture), theirs(picture))


def test_a_resnet_s_stages_are_torchvision_s() -> None:
    theirs = torchvision.models.resnet50(weights=None).eval()
    ours = ResNet(3, 50).eval()
    state = {key: value for key, value in theirs.state_dict().items() if not key.startswith("fc.")}
    ours.load_state_dict(state)
    picture = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        maps = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(picture))))
        for number, found in enumerate(ours(picture), start=1):
            maps = theirs.get_submodule(f"layer{number}")(maps)
            torch.testing.assert_close(found, maps)


@pytest.mark.parametrize(
    ("name", "model", "encoder"),
    [
        ("unet_resnet34", "Unet", "resnet34"),
        ("unet_mobilenet", "Unet", "mobilenet_v2"),
        ("unetplusplus", "UnetPlusPlus", "resnet34"),
        ("deeplabv3plus", "DeepLabV3Plus", "resnet34"),
        ("upernet", "UPerNet", "resnet34"),
        ("segformer", "Segformer", "mit_b0"),
    ],
)
def test_smp_s_networks_are_theirs(name: str, model: str, encoder: str) -> None:
    import segmentation_models_pytorch as smp

    # its default decoder is twice as wide, for heavier encoders
    more = {"decoder_channels": (128, 64, 32, 16, 16)} if name == "unet_mobilenet" else {}
    theirs = getattr(smp, model)(encoder, encoder_weights=None, classes=K, **more)
    own = registry.build(name, K - 1).get_submodule("body")
    assert type(own) is type(theirs)
    wanted = {key: value.shape for key, value in theirs.state_dict().items()}
    assert {key: value.shape for key, value in own.state_dict().items()} == wanted


def rates(network: nn.Module) -> list[int]:
    return [m.dilation[0] for m in network.modules() if isinstance(m, nn.Conv2d)]


def test_atrous_rates_are_the_published_ones() -> None:
    assert rates(registry.outline("deeplab_v1", 2)) == [*[1] * 10, 2, 2, 2, 12, 1, 1]
    branches = registry.outline("deeplab_v2", 2).get_submodule("body.scores")
    assert rates(branches) == [6, 12, 18, 24]
    assert rates(registry.outline("dilation8", 2))[10:] == [
        *[2, 2, 2, 4, 1, 1],  # the fifth stage, fc6, fc7, scores
        *[1, 1, 2, 4, 8, 16, 1, 1],
    ]
    assert rates(registry.outline("dilation10", 2))[-10:] == [1, 1, 2, 4, 8, 16, 32, 64, 1, 1]
    for name in ("pspnet", "deeplab_v2", "icnet"):
        encoder = registry.outline(name, 2).get_submodule("body.encoder")
        assert set(rates(encoder.get_submodule("layer3"))) == {1, 2}
        assert set(rates(encoder.get_submodule("layer4"))) == {1, 4}


def test_deeplabv3_has_torchvision_s_rates_or_the_paper_s_multi_grid() -> None:
    """Chen et al. 2017: rates 12, 24, 36 at 1/8; multi-grid (1, 2, 4) times 4 in the last stage."""
    for name in ("deeplabv3_resnet50", "deeplabv3_resnet101"):
        plain, grid = (
            registry.outline(name, 2, width=8, **more).get_submodule("body")
            for more in ({}, {"multi_grid": (1, 2, 4)})
        )
        for network, last in ((plain, [2, 4, 4]), (grid, [4, 8, 16])):
            assert spatial_rates(network.get_submodule("backbone.layer4")) == last
            aspp = network.get_submodule("classifier.0.convs")
            assert spatial_rates(aspp) == [12, 24, 36]
        third = spatial_rates(grid.get_submodule("backbone.layer3"))
        assert set(third) == {2}
        shapes = [{key: v.shape for key, v in n.state_dict().items()} for n in (plain, grid)]
        assert shapes[0] == shapes[1]
    with pytest.raises(UserError, match="multi_grid"):
        registry.outline("deeplabv3_resnet50", 2, multi_grid=(1, 2))


def test_deeplabv3plus_has_the_paper_s_rates_at_a_sixteenth() -> None:
    """Chen et al. 2018, figure 2: output stride 16 and rates 6, 12, 18."""
    body = registry.build("deeplabv3plus", 2).get_submodule("body").eval()
    assert sorted(set(spatial_rates(body.get_submodule("decoder.aspp")))) == [1, 6, 12, 18]
    assert set(spatial_rates(body.get_submodule("encoder.layer4"))) == {2}
    with torch.inference_mode():
        features = body.get_submodule("encoder")(torch.randn(1, 3, 64, 64))
    assert features[-1].shape[-1] == 64 // 16


def spatial_rates(network: nn.Module) -> list[int]:
    """Atrous rates of convolutions that see more than a point."""
    found = (m for m in network.modules() if isinstance(m, nn.Conv2d))
    return [m.dilation[0] for m in found if m.kernel_size != (1, 1)]


# of the coarsest map that a convolution makes, and of the last scores before they are upsampled
STRIDES = {
    "unet": (16, 1),
    "unet_resnet34": (32, 1),
    "unet_mobilenet": (32, 1),
    "unetplusplus": (32, 1),
    "fcn32s": (32, 32),
    "fcn16s": (32, 16),
    "fcn8s": (32, 8),
    "crfrnn": (32, 8),
    "fcn_resnet50": (8, 8),
    "fcn_resnet101": (8, 8),
    "segnet": (16, 1),  # and the fifth pooling, whose result goes straight back
    "deeplab_v1": (8, 8),
    "deeplab_v2": (8, 8),
    "deeplab_v2_vgg16": (8, 8),
    "deeplabv3_resnet50": (8, 8),
    "deeplabv3_resnet101": (8, 8),
    "deeplabv3plus": (16, 4),
    "dilation8": (8, 8),
    "dilation10": (8, 8),
    "pspnet": (8, 8),
    "refinenet": (32, 4),
    "icnet": (32, 4),
    "upernet": (32, 4),
    "segformer": (32, 4),
    "lraspp": (16, 8),
}
AT_CORNERS = {"deeplab_v1", "deeplab_v2", "deeplab_v2_vgg16", "pspnet"}
"""Networks whose maps have a point in the first and in the last pixel."""


def test_every_network_s_strides_are_known() -> None:
    """U-Net's of 2015 are in `test_the_paper_s_sizes`; light forms are no paper's."""
    assert {*STRIDES, "unet_2015", *zoo.LIGHT} == set(zoo.NAMES)


@pytest.mark.parametrize("name", STRIDES)
def test_output_strides_are_the_published_ones(name: str) -> None:
    network = zoo.small(name, classes=6).eval()
    sides: list[int] = []
    scored: list[int] = []

    def look(module: nn.Module, _inputs: object, maps: Tensor) -> None:
        sides.append(int(maps.shape[-1]))
        if module.out_channels == 7:
            scored.append(sides[-1])

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(look)
    with torch.inference_mode():
        network(torch.randn(1, 3, 256, 256))
    coarsest, last = (256 // stride + (name in AT_CORNERS) for stride in STRIDES[name])
    assert min(side for side in sides if side > 6) == coarsest  # 1, 2, 3 and 6 are global averages
    assert scored[-1] == last


def test_fcn_s_upsampling_starts_as_bilinear() -> None:
    scores = torch.randn(1, 4, 6, 7)
    with torch.no_grad():
        found = doubling(4)(scores)
    expected = F.interpolate(scores, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(found[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1])


def test_fcn_s_skips_start_without_a_say() -> None:
    network = FCN(3, 3, 8, width=2).eval()
    nn.init.normal_(network.score.weight)
    picture = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        coarse = network.score(network.encoder.stages(picture)[-1])
        for up in network.ups:
            coarse = up(coarse)
        expected = F.interpolate(coarse, (64, 64), mode="bilinear", align_corners=False)
        torch.testing.assert_close(network(picture), expected)


def test_segnet_puts_values_back_where_the_maxima_were() -> None:
    """What its decoder is given is zero but for the places of its encoder's maxima (figure 3)."""
    body = zoo.small("segnet").eval().get_submodule("body")
    assert isinstance(body, SegNet)
    before: list[Tensor] = []  # what the encoder pools
    after: list[Tensor] = []  # what the decoder unpools
    ends = vgg.stage_ends(norm=True)
    for end in ends:
        body.encoder.features[end - 1].register_forward_hook(
            lambda _module, _inputs, out: before.append(out.clone())
        )
    for block in body.decoder:
        block.register_forward_pre_hook(lambda _module, inputs: after.append(inputs[0].clone()))
    with torch.inference_mode():
        body(torch.randn(1, 3, 64, 96))
    assert len(before) == len(after) == 5
    for pooled, unpooled in zip(before, reversed(after), strict=True):
        windows, found = (F.unfold(x[0][:, None], 2, stride=2) for x in (pooled, unpooled))
        where = F.one_hot(windows.argmax(1), 4).movedim(2, 1).bool()
        assert not found[~where].any()
    windows, found = (F.unfold(x[0][:, None], 2, stride=2) for x in (before[4], after[0]))
    torch.testing.assert_close(found.amax(1), windows.amax(1))  # the coarsest goes straight back


@pytest.mark.parametrize("kind", ["basic", "large"])
def test_the_context_module_starts_as_the_identity(kind: Any) -> None:
    scores = torch.rand(1, 4, 40, 40)
    with torch.no_grad():
        found = context_module(4, 8, kind)(scores)
    assert (found - scores).abs().max() < 0.1
    assert (found - scores).abs().mean() < 0.02


def test_averages_are_adaptive_pooling() -> None:
    maps = torch.randn(2, 3, 13, 10)
    for parts in (1, 2, 3, 6):
        torch.testing.assert_close(averages(maps, parts), F.adaptive_avg_pool2d(maps, parts))


def test_s2s_has_the_published_layers() -> None:
    """Luc et al. 2017, and their model definition, for the 19 classes of Cityscapes."""
    coarse: list[Layer] = [(76, 128, 3), (128, 256, 3), (256, 128, 3), (128, 19, 3)]
    fine: list[Layer] = [(95, 128, 5), (128, 256, 3), (256, 128, 3), (128, 19, 5)]
    network = S2S(19)
    assert parameters(network) == biased(coarse + fine)
    kernels = [m.kernel_size for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert kernels == [(3, 3)] * 4 + [(5, 5), (3, 3), (3, 3), (5, 5)]
    assert not isinstance(network.fine[-1], nn.ReLU)


@pytest.mark.parametrize(("kernel", "rate"), [(7, 4), (3, 2), (3, 1)])
def test_phase_by_phase_is_the_atrous_convolution(kernel: int, rate: int) -> None:
    layer = Atrous(3, 5, kernel, rate).train()
    maps = torch.randn(2, 3, 13, 18, requires_grad=True)
    found = layer(maps)
    expected = layer.eval()(maps)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(found)
    grads = [
        torch.autograd.grad((out * weights).sum(), [maps, layer.weight])
        for out in (found, expected)
    ]
    for ours, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
