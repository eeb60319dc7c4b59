"""Networks that find things: the questions of test_zoo.py, as far as they can be asked of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import zoo
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.models.detection import maskrcnn_resnet50_fpn_v2
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import clip_boxes_to_image

from segstudio.errors import UserError
from segstudio.learning.finding import Finder
from segstudio.learning.instances import InstanceLoss, targets_of
from segstudio.learning.metrics import VOID
from segstudio.learning.normalise import Normalisation
from segstudio.learning.precision import average_precision, compared
from segstudio.learning.samples import Batch
from segstudio.networks import heads, registry, weights
from segstudio.networks.fuse import fused
from segstudio.networks.maskrcnn import MaskRCNN, Target, is_unknown
from segstudio.networks.weights import Chosen

torch.set_num_threads(1)
CPU = torch.device("cpu")
NAME = "maskrcnn_light"


def heaps() -> tuple[Tensor, list[Target]]:
    inputs, numbers = zoo.two_heaps()
    return inputs, [targets_of((n > 0).long(), n, CPU) for n in numbers]


def test_any_size_number_of_classes_and_channels() -> None:
    for classes, channels, size in ((1, 1, (33, 47)), (151, 3, (64, 50)), (2, 4, (96, 81))):
        network: Any = zoo.small(NAME, classes, channels).eval()
        network.roi_heads.score_thresh = 0.0
        with torch.inference_mode():
            (found,) = network(torch.randn(1, channels, *size))
        count = len(found["boxes"])
        assert count > 0
        assert found["masks"].shape == (count, 1, 28, 28)
        assert found["labels"].shape == found["scores"].shape == (count,)
        assert 1 <= int(found["labels"].min()) <= int(found["labels"].max()) <= classes


def test_a_batch_of_one_can_train_and_the_gradient_reaches_every_parameter() -> None:
    network = zoo.small(NAME, 1).train()
    inputs, targets = heaps()
    losses = network(inputs[:1], targets[:1])
    assert set(losses) == {
        *("loss_objectness", "loss_rpn_box_reg"),
        *("loss_classifier", "loss_box_reg", "loss_mask"),
    }
    torch.autograd.backward(sum(losses.values()))
    without = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not without


def test_weights_come_back_as_they_were_saved(tmp_path: Path) -> None:
    network, other = zoo.small(NAME).eval(), zoo.small(NAME, seed=1).eval()
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, tmp_path / "w")
    other.load_state_dict(load_file(tmp_path / "w"))
    picture = torch.randn(1, 3, 60, 70)
    with torch.inference_mode():
        first, again, loaded = (n(picture)[0] for n in (network, network, other))
        folded = fused(network)(picture)[0]
    for key, value in first.items():
        assert torch.equal(value, again[key])  # deterministic
        assert torch.equal(value, loaded[key])
    torch.testing.assert_close(folded["scores"], first["scores"], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", zoo.FINDERS)
def test_in_half_precision_boxes_are_where_they_were(name: str) -> None:
    """Far from the corner, where bfloat16 knows every fourth or eighth pixel only."""
    network: Any = zoo.small(name, 1).eval()
    network.roi_heads.score_thresh = 0.0
    with torch.no_grad():  # boxes stay where their anchors are
        for layer in (network.rpn.head.bbox_pred, network.roi_heads.box_predictor.bbox_pred):
            for parameter in layer.parameters():
                parameter.zero_()
    seen: list[Tensor] = []
    network.rpn.anchor_generator.register_forward_hook(lambda *facts: seen.append(facts[2][0]))
    picture = torch.randn(1, 3, 64, 1100)
    with torch.inference_mode():
        network(picture)
        with torch.autocast("cpu", torch.bfloat16):
            (found,) = network(picture)
    far = found["boxes"][found["boxes"][:, 0] > 512]
    assert len(far) > 10
    assert found["boxes"].dtype == found["scores"].dtype == torch.float32
    anchors = clip_boxes_to_image(seen[0], (64, 1100))
    assert torch.cdist(far, anchors, p=1).amin(1).max() < 0.01


@pytest.mark.parametrize("name", zoo.FINDERS)
def test_in_half_precision_it_learns_the_labelled_boxes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proposals in training are the labelled boxes too, to the pixel."""
    network = zoo.small(name, 1).train()
    heads = network.get_submodule("roi_heads")
    seen: list[Tensor] = []
    original = RoIHeads.select_training_samples

    def keep(self: RoIHeads, proposals: list[Tensor], targets: list[Target]) -> object:
        chosen = original(self, proposals, targets)
        seen.extend(chosen[0])
        return chosen

    monkeypatch.setattr(type(heads), "select_training_samples", keep)
    labels = torch.zeros(64, 1100, dtype=torch.int32)
    labels[10:43, 903:1017] = 1
    target = targets_of((labels > 0).long(), labels, CPU)
    with torch.autocast("cpu", torch.bfloat16):
        losses = network(torch.randn(1, 3, 64, 1100), [target])
    torch.autograd.backward(sum(losses.values()))
    assert all(loss.isfinite() for loss in losses.values())
    assert [903, 10, 1017, 43] in seen[0].round(decimals=3).tolist()


def test_at_full_width_it_is_torchvision_s() -> None:
    with torch.device("meta"):
        own = registry.build("maskrcnn", 90)
        theirs = maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None)
    wanted = {key: value.shape for key, value in theirs.state_dict().items()}
    assert {key: value.shape for key, value in own.state_dict().items()} == wanted
    assert sum(p.numel() for p in own.parameters()) == 46_359_409  # as torchvision publishes


def test_published_weights_fit_but_for_the_classes(tmp_path: Path) -> None:
    import torchvision.models

    full = MaskRCNN(3, 91)
    torch.save(full.state_dict(), tmp_path / "coco.pth")
    network = registry.build("maskrcnn", 2)
    missing = weights.load_into(network, Chosen(tmp_path / "coco.pth", "", "whole"))
    assert set(missing) == set(heads.head_keys("maskrcnn"))
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), tmp_path / "r.pth")
    light = registry.build(NAME, 2)
    assert weights.load_into(light, Chosen(tmp_path / "r.pth", "", "encoder")) == []


def test_without_a_connection_it_begins_fresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGSTUDIO_CACHE", str(tmp_path))
    nowhere = weights.Download("http://127.0.0.1:1/net-00000000.pth", "00000000")
    monkeypatch.setattr(weights, "address", lambda source: nowhere)
    heard: list[UserError] = []
    assert weights.choose("maskrcnn", on_failure=heard.append) is None
    assert "cannot be fetched" in str(heard[0])
    with pytest.raises(weights.UserError, match="cannot be fetched"):
        weights.choose("maskrcnn", "coco")
    with pytest.raises(weights.UserError, match="cannot be fetched"):
        weights.choose("deeplabv3_resnet50")


def test_classes_are_carried_over_by_name() -> None:
    options = zoo.SMALL[NAME]
    keys = heads.head_keys(NAME, **options)
    old, new = zoo.small(NAME, 2), zoo.small(NAME, 3, seed=1)
    assert heads.rows_of(old.state_dict(), keys) == {3}
    fresh = heads.carry_over(new, old.state_dict(), ["car", "road"], ["road", "tree", "car"], keys)
    assert fresh == ["tree"]
    boxes = [n.get_submodule("roi_heads.box_predictor.bbox_pred") for n in (old, new)]
    before, after = (b.weight.reshape(-1, 4, 64) for b in boxes)
    assert torch.equal(after[[0, 3, 1]], before)


def test_void_teaches_nothing() -> None:
    """Where all is void there is no loss; boxes mostly in void are no background."""
    network = zoo.small(NAME, 1).train()
    inputs, _ = heaps()
    nothing = targets_of(torch.full((96, 96), VOID), torch.zeros(96, 96, dtype=torch.int32), CPU)
    loss = torch.stack(list(network(inputs, [nothing, nothing]).values())).sum()
    torch.autograd.backward(loss)
    assert loss.item() == 0
    assert not any(p.grad is not None and p.grad.any() for p in network.parameters())
    void = torch.zeros(96, 96, dtype=torch.bool)
    void[:, 48:] = True
    boxes = torch.tensor([[0, 0, 40, 40], [40, 0, 60, 20], [44, 0, 50, 9], [60, 5, 90, 9]])
    assert is_unknown(boxes.float(), void).tolist() == [False, True, False, True]
    outside = torch.tensor([[-40, 0, -4, 20], [100, 0, 120, 20], [90, 0, 140, 20]])
    assert is_unknown(outside.float(), void).tolist() == [False, False, True]


def test_void_pixels_count_in_no_mask() -> None:
    """The same draws of proposals, once with a thing where else there is void."""
    losses = []
    for inside in (0, 1):
        inputs, targets = heaps()
        for target in targets:
            target["void"][14:20, 14:30] = True
            target["masks"][:, 14:20, 14:30] = inside
        network: Any = zoo.small(NAME, 1).train()
        with torch.no_grad():  # so that each pixel has much to say
            network.roi_heads.mask_predictor.mask_fcn_logits.bias.fill_(4.0)
        torch.manual_seed(5)
        losses.append(network(inputs, targets)["loss_mask"].item())
    # pixels on the border are half of the thing; with a loss on void it is a fifth
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_it_learns_two_pictures_by_heart() -> None:
    torch.manual_seed(0)
    network = registry.build(NAME, 1, **{**zoo.SMALL[NAME], "anchor": 16})
    inputs, numbers = zoo.two_heaps()
    batch = Batch(inputs.numpy(), (numbers > 0).long().numpy(), None, numbers.numpy())
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    found: list[float] = []
    for step in range(100):
        loss = InstanceLoss()(network.train(), inputs, batch)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        if step % 20 == 19:
            found.append(ap50(network, inputs, numbers))
            if found[-1] > 0.95:
                return
    raise AssertionError(found)


def ap50(network: nn.Module, inputs: Tensor, numbers: Tensor) -> float:
    finder = Finder(network.eval(), Normalisation(), CPU)
    images = [
        compared(finder.predict(x.numpy()).instances or (), (n > 0).short().numpy(), n.numpy())
        for x, n in zip(inputs, numbers, strict=True)
    ]
    return float(average_precision(images, ["block"])["ap50"])


@pytest.mark.full
@pytest.mark.parametrize("name", zoo.FINDERS)
def test_at_full_size(name: str) -> None:
    network = registry.build(name, 20).train()
    inputs, targets = heaps()
    torch.autograd.backward(sum(network(inputs, targets).values()))
    with torch.inference_mode():
        (found,) = network.eval()(torch.randn(1, 3, 120, 90))
    assert found["scores"].isfinite().all()
