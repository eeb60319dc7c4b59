"""Networks that find things: targets, painting, tiles, precision, and the way through a project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models.detection.roi_heads import paste_masks_in_image

from segstudio.annotation import components
from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import IGNORE_CLASS, Shape, mask_shape
from segstudio.errors import UserError
from segstudio.learning import promotion, recipe
from segstudio.learning.augment import Augmentation, Cropper
from segstudio.learning.evaluate import evaluate
from segstudio.learning.events import Event, Log, Validation
from segstudio.learning.finding import Finder
from segstudio.learning.instances import targets_of
from segstudio.learning.metrics import VOID
from segstudio.learning.normalise import Normalisation
from segstudio.learning.painting import Instance, joined, painted, pasted
from segstudio.learning.precision import average_precision, compared
from segstudio.learning.predictor import segment
from segstudio.learning.samples import Labelled
from segstudio.learning.trainer import TrainRequest, train
from segstudio.learning.trainingset import TrainingSet
from segstudio.networks import weights
from segstudio.project.predictions import Predictions
from segstudio.project.project import Project

torch.set_num_threads(1)
TINY = {"backbone": "resnet18", "width": 16, "anchor": 8, "samples": 16}
QUICK = {"crop": 64, "batch": 2, "max_steps": 3, "warm_up": 1, "options": TINY}


def block(x0: int, y0: int, x1: int, y1: int, score: float = 0.9, row: int = 1) -> Instance:
    return Instance(row, score, np.ones((y1 - y0, x1 - x0), np.bool_), (x0, y0))


def numbers_of(*blocks: Instance, size: tuple[int, int] = (60, 80)) -> NDArray[np.int32]:
    numbers = np.zeros(size, np.int32)
    for number, (x0, y0, x1, y1) in enumerate((one.box for one in blocks), start=1):
        numbers[y0:y1, x0:x1] = number
    return numbers


# targets ---------------------------------------------------------------------------------------


def test_targets_are_the_visible_things() -> None:
    numbers = numbers_of(block(5, 6, 20, 30), block(20, 6, 40, 30), block(50, 50, 51, 58))
    labels = (numbers > 0).astype(np.int64)
    labels[numbers == 2] = 2
    labels[6:10, 5:20] = VOID
    numbers[:, 70:] = VOID
    found = targets_of(torch.from_numpy(labels), torch.from_numpy(numbers), torch.device("cpu"))
    assert found["boxes"].tolist() == [[5, 10, 20, 30], [20, 6, 40, 30]]
    assert found["labels"].tolist() == [1, 2]
    assert found["masks"].sum((1, 2)).tolist() == [15 * 20, 20 * 24]
    assert found["void"][:, 70:].all()
    assert found["void"][7, 6]
    assert found["void"][55, 50]  # a sliver is neither a thing nor background


def test_nothing_outside_the_picture_is_a_thing() -> None:
    """What is mirrored there would be one with the thing itself."""
    picture = np.zeros((20, 20, 3), np.uint8)
    numbers = numbers_of(block(0, 0, 10, 10), size=(20, 20))
    cropper = Cropper(40, Augmentation.none(), Normalisation(), np.random.default_rng(0))
    labels = (numbers > 0).astype(np.int16)
    crop = cropper.crop(picture, labels, (10, 10), (0, 255), instances=numbers)
    assert crop.instances is not None
    assert (crop.instances == 1).sum() == 100
    assert (crop.instances == VOID).sum() == 40 * 40 - 400
    assert (crop.labels == 1).sum() > 100


def test_the_recipe_follows_the_things() -> None:
    numbers = numbers_of(block(0, 0, 13, 13), block(20, 20, 60, 50), size=(200, 300))
    sample = Labelled(
        np.zeros((200, 300, 3), np.uint8), (numbers > 0).astype(np.int16), instances=numbers
    )
    facts = recipe.study([sample], 1)
    assert 13 <= facts.small_thing <= 17
    assert recipe.for_instances(facts, "cpu", None)["options"] == {"anchor": 8}
    assert recipe.for_instances(replace(facts, small_thing=90), "cpu", None)["options"] == {
        "anchor": 32
    }
    assert recipe.for_instances(facts, "cpu", None)["crop"] == 224
    assert recipe.for_instances(facts, "cuda", 10**12)["batch"] == 8


# pixels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("box", [[3.2, 4.7, 30.9, 25.1], [-4.0, -3.0, 12.5, 9.0], [60, 40, 99, 70]])
def test_masks_are_pasted_as_in_torchvision(box: list[float]) -> None:
    mask = torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    expected = paste_masks_in_image(mask, torch.tensor([box]), (60, 80))[0, 0] > 0.5
    found = pasted(1, 0.9, mask[0, 0].numpy(), box, (60, 80))
    assert found is not None
    assert (found.within((0, 0, 80, 60)) == expected.numpy()).mean() > 0.999


def test_the_surer_thing_keeps_its_pixels() -> None:
    things = [
        block(10, 10, 30, 30, 0.95),
        block(20, 10, 50, 30, 0.8, 2),
        block(12, 12, 28, 28, 0.7),
        block(60, 40, 70, 50, 0.2),
    ]
    found = painted(things, (60, 80))
    assert found.numbers is not None
    assert [(found.numbers == n).sum() for n in (1, 2, 3, 4)] == [400, 400, 0, 0]
    assert found.labels[15, 35] == 2
    assert found.margin[15, 15] == pytest.approx(255 * 0.9, abs=1)
    assert found.margin[45, 65] == pytest.approx(255 * 0.6, abs=1)  # something might be there
    assert found.margin[0, 0] == 255


def test_tiles_are_joined() -> None:
    """A thing over two tiles is one, neighbours that touch stay two."""
    left, right = (0, 0, 50, 60), (30, 0, 80, 60)
    parts = [
        (left, [block(20, 10, 50, 20, 0.8), block(20, 20, 40, 30, 0.7)]),
        (right, [block(30, 10, 70, 20, 0.9), block(30, 20, 40, 30, 0.6)]),
    ]
    found = joined(parts)
    assert [(one.box, one.score) for one in found] == [
        ((20, 10, 70, 20), 0.9),
        ((20, 20, 40, 30), 0.7),
    ]


class Marks(nn.Module):
    """Finds one thing of 20 x 20 pixels around every mark (a 1 in the first channel)."""

    def forward(self, x: Tensor) -> list[dict[str, Tensor]]:
        down, across = (x[0, 0] == 1).nonzero().T
        boxes = torch.stack([across - 10, down - 10, across + 10, down + 10], 1).float()
        count = len(boxes)
        labels, scores = torch.ones(count, dtype=torch.int64), torch.full((count,), 0.9)
        masks = torch.ones(count, 1, 28, 28)
        return [{"boxes": boxes, "labels": labels, "scores": scores, "masks": masks}]


def test_a_large_picture_is_read_in_tiles() -> None:
    finder = Finder(Marks().eval(), Normalisation(), torch.device("cpu"))
    picture = np.zeros((3, 300, 300), np.float32)
    picture[0, [20, 100, 150, 280], [30, 120, 150, 290]] = 1
    whole = finder.predict(picture)
    finder._whole, finder._tile = 0, 128
    tiled = finder.predict(picture)
    assert whole.instances is not None
    assert tiled.instances is not None
    assert len(whole.instances) == len(tiled.instances) == 4
    np.testing.assert_array_equal(whole.numbers != 0, tiled.numbers != 0)


def test_touching_things_are_drafts_of_their_own() -> None:
    found = painted([block(5, 5, 15, 15, 0.9), block(15, 5, 25, 15, 0.6)], (30, 40))
    assert found.numbers is not None
    labels = found.labels.astype(np.uint8)
    human = (Shape("cell", "polygon", group_id=7),)
    args = (labels, found.margin, found.numbers, {1: "cell"}, "m")
    drafts = components.of_prediction(*args, human)
    assert [d.score for d in drafts] == pytest.approx([0.9, 0.6], abs=0.003)
    assert [d.group_id for d in drafts] == [8, 9]
    assert [d.bounds() for d in drafts] == [(5, 5, 15, 15), (15, 5, 25, 15)]
    assert len(components.of_prediction(labels, found.margin, None, {1: "cell"}, "m")) == 1
    assert components.of_prediction(labels, found.margin, found.numbers, {2: "other"}, "m") == []


def test_things_are_kept_beside_the_label_map_and_pruned_with_it(tmp_path: Path) -> None:
    kept = Predictions(tmp_path)
    labels = np.zeros((4, 5), np.uint8)
    numbers = np.arange(20, dtype=np.uint16).reshape(4, 5) * 300
    kept.write("m", "a.jpg", labels, labels, numbers)
    kept.write("m", "b.jpg", labels, labels)
    found = kept.read_instances("m", "a.jpg")
    assert found is not None
    np.testing.assert_array_equal(found, numbers)
    assert kept.read_instances("m", "b.jpg") is None
    kept.mark_shown("m", "a.jpg")
    kept.prune_unseen([])
    assert sorted(file.name for file in (tmp_path / "m").iterdir()) == [
        *("a.conf.png", "a.inst.png", "a.png", "a.shown.png"),
    ]


# precision -------------------------------------------------------------------------------------


def test_average_precision_by_hand() -> None:
    real = [block(5, 5, 15, 15), block(15, 5, 25, 15)]
    numbers = numbers_of(*real)
    labels = (numbers > 0).astype(np.int16)
    labels[40:] = VOID
    in_void = block(5, 45, 15, 55, 0.99)
    both = compared([in_void, *real], labels, numbers)
    assert average_precision([both], ["a"])["ap"] == 1.0
    half = average_precision([compared(real[:1], labels, numbers)], ["a"])
    assert half["ap50"] == pytest.approx(51 / 101)  # recall 0.5: 51 of COCO's 101 points
    merged = average_precision([compared([block(5, 5, 25, 15)], labels, numbers)], ["a"])
    assert merged["ap75"] == 0.0
    wrong = compared([block(5, 5, 15, 15, row=2)], labels, numbers)
    assert average_precision([wrong], ["a", "b"])["ap_by_class"] == {"a": 0.0, "b": None}
    assert average_precision([compared(real, labels * 0, numbers * 0)], ["a"])["ap"] is None


def test_void_is_no_part_of_a_thing() -> None:
    real = block(5, 5, 25, 25)
    numbers = numbers_of(real, block(40, 5, 50, 15))
    labels = (numbers > 0).astype(np.int16)
    labels[5:9, 5:25], labels[numbers == 2] = VOID, VOID
    found = compared([block(5, 9, 25, 25)], labels, numbers)
    assert [one.row for one in found.real] == [1]
    assert average_precision([found], ["a"])["ap"] == 1.0


def test_more_than_a_hundred_things_count() -> None:
    real = [block(x, y, x + 6, y + 6) for y in range(0, 90, 6) for x in range(0, 90, 6)]
    numbers = numbers_of(*real, size=(90, 90))
    found = compared(real, (numbers > 0).astype(np.int16), numbers)
    assert len(real) == 225
    assert average_precision([found], ["a"])["ap"] == 1.0


def test_lost_precision_is_told_and_decides_nothing() -> None:
    decision = promotion.Decision(True, False, 0.1, 1.0, 4, "better")
    told = promotion.with_precision(decision, {"ap50": 0.6}, {"ap50": 0.8})
    assert told.promote
    assert told.worse == ("things found: AP50 0.800 → 0.600",)
    assert promotion.with_precision(decision, {"ap50": 0.6}, {}) is decision


# a project -------------------------------------------------------------------------------------


def heap(seed: int) -> tuple[NDArray[np.uint8], tuple[Shape, ...]]:
    """A picture (64, 64, 3) of two blocks that touch, and their shapes."""
    x, y = np.random.default_rng(seed).integers(4, 16, 2).tolist()
    picture = np.full((64, 64, 3), 40, np.uint8)
    shapes = []
    for left, colour in ((x, (220, 60, 60)), (x + 20, (60, 60, 220))):
        picture[y : y + 24, left : left + 20] = colour
        shapes.append(mask_shape("cell", Bitmap.from_array(np.ones((24, 20), np.bool_), left, y)))
    return picture, tuple(shapes)


@pytest.fixture
def heaps(tmp_path: Path) -> Project:
    root = tmp_path / "heaps"
    (root / "images").mkdir(parents=True)
    for seed in range(6):
        cv2.imwrite(str(root / "images" / f"{seed}.png"), heap(seed)[0])
    project = Project.create(root, classes=["cell"])
    for seed, key in enumerate(project.images()[:5]):
        project.save(key, Annotation(64, 64, heap(seed)[1], confirmed=seed != 4))
    return project


def test_only_whole_images_teach_things(heaps: Project) -> None:
    data = TrainingSet.of(heaps, instances=True)
    assert len(data.train) + len(data.validation) == 4
    labelled = data.train[0].read()
    assert labelled.instances is not None
    assert set(np.unique(labelled.instances)) == {0, 1, 2}
    assert len(TrainingSet.of(heaps).train) == len(data.train) + 1


def test_shapes_of_a_group_are_one_thing_and_ignored_ones_none(heaps: Project) -> None:
    key = heaps.images()[0]
    one, two = (replace(shape, group_id=3) for shape in heap(0)[1])
    ignored = replace(heap(1)[1][0], class_name=IGNORE_CLASS)
    heaps.save(key, Annotation(64, 64, (one, two, ignored), confirmed=True))
    labels, instances = heaps.training_maps(key, True)
    assert instances is not None
    assert set(np.unique(instances)) == {0, 1}
    assert not instances[labels == 255].any()
    np.testing.assert_array_equal(labels, heaps.training_map(key))


def test_nothing_confirmed_is_explained(disc_project: Callable[..., Project]) -> None:
    project = disc_project(confirmed=0)
    with pytest.raises(UserError, match="labels to learn from") as caught:
        TrainingSet.of(project, instances=True)
    assert "Confirm" in caught.value.remedy


def test_why_weights_were_not_fetched_is_told(
    heaps: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: object) -> Path:
        raise UserError("The file is damaged", remedy="Try again")

    monkeypatch.setattr(weights, "fetch", damaged)
    options = {**TINY, "backbone": "resnet50"}
    told: list[Event] = []
    overrides = {**QUICK, "options": options, "max_steps": 1}
    train(heaps, TrainRequest("maskrcnn", overrides=overrides, device="cpu"), told.append)
    notes = [event.text for event in told if isinstance(event, Log)]
    assert "Starting without its published weights: The file is damaged. Try again" in notes


def test_from_labels_to_drafts(heaps: Project) -> None:
    """Train beside a U-Net in force, segment, and score."""
    unet = {"crop": 64, "batch": 2, "max_steps": 2, "options": {"width": 4, "depth": 2}}
    first = train(heaps, TrainRequest("unet", overrides=unet, device="cpu"))
    assert first.promoted
    told: list[Event] = []
    request = TrainRequest("maskrcnn_light", overrides=QUICK, device="cpu")
    result = train(heaps, request, told.append)
    assert "mIoU" in result.reason  # compared with the U-Net on what both say of pixels
    scores = next(event for event in told if isinstance(event, Validation)).precision
    assert scores.keys() == {"ap", "ap50"}
    assert result.scores["ap50"] == scores["ap50"]
    model = heaps.models.get(result.model)
    again = train(heaps, TrainRequest(start_from=model.id, overrides=QUICK, device="cpu"))
    assert heaps.models.get(again.model).architecture == "maskrcnn_light"
    assert segment(heaps, model, heaps.images(), "cpu").failed == {}
    numbers = heaps.predictions.read_instances(model.id, heaps.images()[0])
    assert numbers is not None
    assert numbers.shape == (64, 64)
    found = evaluate(heaps, model, device="cpu")
    assert {"ap", "ap50", "ap75", "miou"} <= found.keys()
    assert {"ap", "ap50"} <= found["validation"].keys()
    assert "ap" not in evaluate(heaps, heaps.models.get(first.model), device="cpu")
