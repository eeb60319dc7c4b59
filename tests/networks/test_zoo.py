"""One test for all networks, at the smallest size each can have; with `-m full` at full size."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import zoo
from safetensors.torch import load_file, save_file
from torch import nn

from segstudio.learning.inference import Inference
from segstudio.learning.normalise import Normalisation
from segstudio.networks.fuse import fused

torch.set_num_threads(1)
GLOBAL = {
    *("deeplabv3plus", "deeplabv3_resnet50", "deeplabv3_resnet101", "pspnet"),
    *("upernet", "segformer", "icnet", "lraspp", "crfrnn"),
}
"""Networks that look at the whole picture for each pixel, by pooling, attention or a CRF."""
EXPORTED = {"unet:light", "unet_2015", "fcn8s"}
COARSE = {
    **dict.fromkeys(("deeplab_v2", "fcn_resnet101"), (0.15, 0.5)),  # a hundred layers
    "lraspp": (0.05, 0.5),  # its scores hardly differ at first
    "segnet": (0.2, 0.75),  # another maximum, another place to put it back
}
"""How far half precision may be off, and where it must agree all the same."""
every = pytest.mark.parametrize("name", zoo.NAMES)


@every
def test_any_size_number_of_classes_and_channels(name: str) -> None:
    for classes, channels, size in ((1, 1, (33, 47)), (150, 3, (64, 50)), (2, 4, (96, 80))):
        network = zoo.small(name, classes, channels).eval()
        with torch.inference_mode():
            assert network(torch.randn(1, channels, *size)).shape == (1, classes + 1, *size)


@every
def test_a_batch_of_one_can_train(name: str) -> None:
    network = zoo.small(name).train()
    logits = zoo.logits_of(network(torch.randn(1, 3, 64, 64)))
    assert logits.shape == (1, 3, 64, 64)
    assert logits.isfinite().all()


@every
def test_the_gradient_reaches_every_parameter(name: str) -> None:
    """Of a few batches: at an eighth of the width a ReLU that no pixel passes can cut a layer off
    from one."""
    network = zoo.small(name).train()
    for _ in range(3):
        outputs = network(torch.randn(4, 3, 96, 96))
        for logits in outputs.values() if isinstance(outputs, dict) else [outputs]:
            torch.autograd.backward(logits.square().mean(), retain_graph=True)
        without = [k for k, p in network.named_parameters() if p.grad is None or not p.grad.any()]
        if not without:
            return
    raise AssertionError(without)


@every
def test_weights_come_back_as_they_were_saved(name: str, tmp_path: Path) -> None:
    network, other = zoo.small(name).eval(), zoo.small(name, seed=1).eval()
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, tmp_path / "w")
    other.load_state_dict(load_file(tmp_path / "w"))
    picture = torch.randn(1, 3, 40, 40)
    with torch.inference_mode():
        first = network(picture)
        assert torch.equal(first, network(picture))  # deterministic
        assert torch.equal(first, other(picture))


@every
def test_half_precision_agrees(name: str) -> None:
    """Scores are near, and the label is the same wherever the lead of the best is not small: at
    least a share of what it is on the whole."""
    network = settled(zoo.small(name))
    picture = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        exact = network(picture)
        with torch.autocast("cpu", torch.bfloat16):
            half = network(picture).float()
    most, lead = COARSE.get(name, (0.05, 0.25))
    assert (half - exact).square().mean().sqrt() < most * exact.square().mean().sqrt()
    best, second = exact.topk(2, 1).values.unbind(1)
    clear = best - second > lead * (best - second).square().mean().sqrt()
    assert clear.float().mean() > 0.4
    assert torch.equal(half.argmax(1)[clear], exact.argmax(1)[clear])


@every
def test_folding_normalisations_changes_nothing(name: str) -> None:
    network = settled(zoo.small(name))
    picture = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        expected, found = network(picture), fused(network)(picture)
    assert (found - expected).abs().max() < 1e-3 * max(1.0, float(expected.abs().max()))


@pytest.mark.parametrize("name", [n for n in zoo.NAMES if n not in GLOBAL])
def test_tiles_give_the_whole_picture_s_result_inside_the_receptive_field(name: str) -> None:
    """A strip as high as a tile, of odd width: its first pixels are in the first tile only, its
    last in the last, and both tiles reach beyond what those pixels see."""
    network = settled(zoo.small(name))
    step = 64
    tile = step * math.ceil((reach(name) + 2 * step) / step)
    strip = torch.randn(3, 64, tile + step + 19)
    whole, tiled = (Inference(network, Normalisation(), torch.device("cpu")) for _ in range(2))
    tiled._whole, tiled._tile = 0, tile
    with torch.inference_mode():
        expected, found = whole.logits(strip), tiled.logits(strip)
    for part in (slice(0, step), slice(tile, None)):
        off = (found[..., part] - expected[..., part]).abs().max()
        assert off < 1e-3 * max(1.0, float(expected.abs().max()))


def exported(always: set[str]) -> pytest.MarkDecorator:
    """Every network that can be exported; those that are not named only where all is tested."""
    names = [name for name in zoo.NAMES if not zoo.card_of(name).onnx]
    full = pytest.mark.full
    return pytest.mark.parametrize(
        "name", [name if name in always else pytest.param(name, marks=full) for name in names]
    )


@exported(EXPORTED)
@pytest.mark.filterwarnings("ignore::Warning")
def test_onnx_agrees(name: str, tmp_path: Path) -> None:
    same_under_onnx(zoo.small(name), tmp_path / "net.onnx")


@exported(set())
@pytest.mark.filterwarnings("ignore::Warning")
def test_onnx_agrees_at_full_size(name: str, tmp_path: Path) -> None:
    same_under_onnx(zoo.full(name, 20), tmp_path / "net.onnx")


def same_under_onnx(network: nn.Module, file: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    network, picture = settled(network), torch.randn(1, 3, 64, 96)
    torch.onnx.export(network, (picture,), file, dynamo=True, verbose=False)
    session = runtime.InferenceSession(file)
    (found,) = session.run(None, {session.get_inputs()[0].name: picture.numpy()})
    with torch.inference_mode():
        expected = network(picture)
    assert (torch.from_numpy(found) - expected).abs().max() < 1e-3 * max(1, expected.abs().max())


@pytest.mark.full
@every
def test_at_full_size(name: str) -> None:
    network = zoo.full(name, 20).train()
    outputs = zoo.logits_of(network(torch.randn(2, 3, 97, 131)))
    torch.autograd.backward(outputs.square().mean())
    assert outputs.shape == (2, 21, 97, 131)
    with torch.inference_mode():
        assert network.eval()(torch.randn(1, 3, 120, 90)).isfinite().all()


def settled(network: nn.Module) -> nn.Module:
    """In evaluation mode, with statistics of a few pictures, so that values stay moderate."""
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(2, 3, 64, 64))
    return network.eval()


def reach(name: str) -> int:
    """How many pixels away the network looks: where the gradient of one output is not zero when
    every layer takes means."""
    network: Any = zoo.small(name).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.abs_().div_(parameter.sum(tuple(range(1, parameter.ndim)), keepdim=True))
    strip = torch.rand(1, 3, 32, 2048, dtype=torch.float64, requires_grad=True)
    torch.autograd.backward(network(strip)[..., 16, 1024].sum())
    assert strip.grad is not None
    seen = strip.grad.abs().sum((0, 1, 2)).nonzero().flatten()
    # a maximum passes the gradient to one of its pixels only
    return int((seen - 1024).abs().max()) + 2 * zoo.card_of(name).divisor
