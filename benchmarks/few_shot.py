"""mIoU on CamVid after 5 … 80 labelled images, beside the recipes people copy, in the same time.

Each point trains one network from scratch three times, each for the same wall clock: by
`segstudio train`, which holds back a sixth of the images as its validation set; by the recipe of
segmentation_models_pytorch's CamVid example (Adam 2e-4 along a cosine to 1e-5, Dice loss, flips,
scale and shift, 320 px crops, noise, perspective, blur or sharpen, brightness, contrast, gamma and
hue; ImageNet normalisation); and by torchvision's segmentation reference (SGD, learning rate 0.02
for a batch of 32 and in proportion for a smaller one, momentum 0.9, weight decay 1e-4, polynomial
decay 0.9, cross-entropy; shorter side resized to 0.5-2 times, flip, crop). The batches of both are
of 8 crops of 320 px: their own, of up to 32, would leave a dozen steps on a CPU. Both train on all
images and keep their last weights. All are scored by the same code on the 101 validation frames.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks import camvid
from benchmarks.camvid import CLASSES, NAMES
from benchmarks.common import DATA, Measure, parser, report
from segstudio import formats
from segstudio.learning import device
from segstudio.learning.inference import Inference
from segstudio.learning.loop import seed_everything
from segstudio.learning.metrics import VOID, Confusion
from segstudio.learning.normalise import Normalisation
from segstudio.learning.predictor import open_predictor
from segstudio.learning.samples import Item, Labelled, Prefetch
from segstudio.learning.trainer import FROM_SCRATCH, TrainRequest, train
from segstudio.networks import registry
from segstudio.project.project import Project

POINTS: Final = (5, 10, 20, 40, 80)
CROP: Final = 320
BASE: Final = 360
"""The pictures' shorter side, in place of the 520 px that torchvision resizes VOC and COCO to."""
TARGET: Final = ">= 1"
Picture = NDArray[np.uint8]
Rows = NDArray[np.int16]
Augment = Callable[[Labelled, np.random.Generator], tuple[Picture, Rows]]
IMAGENET: Final = Normalisation.imagenet()


@dataclass(frozen=True)
class Peer:
    """A published recipe: how crops are made, the loss, the optimiser and its rate by progress."""

    name: str
    augment: Augment
    loss: Callable[[Tensor, Tensor], Tensor]
    optimiser: Callable[[nn.Module, int], torch.optim.Optimizer]
    factor: Callable[[float], float]


# -- crops


def placed(labelled: Labelled, matrix: NDArray[np.float64]) -> tuple[Picture, Rows]:
    """The crop that a 3 x 3 matrix brings to CROP x CROP; outside the picture it is black, void."""
    size = CROP, CROP
    picture = cv2.warpPerspective(labelled.picture, matrix, size, flags=cv2.INTER_LINEAR)
    rows = cv2.warpPerspective(
        labelled.labels, matrix, size, flags=cv2.INTER_NEAREST, borderValue=(VOID,)
    )
    return np.asarray(picture, np.uint8), np.asarray(rows, np.int16)


def moved(
    labelled: Labelled, scale: float, flip: bool, draw: np.random.Generator, shift: float = 0.0
) -> NDArray[np.float64]:
    """Scale, flip and shift a picture, then cut a crop out of it at random."""
    height, width = labelled.labels.shape
    sign = -scale if flip else scale
    wide, high = scale * width, scale * height
    dx, dy = draw.uniform(-shift, shift, 2) * (width, height)
    left, top = (draw.uniform(min(0, side - CROP), max(0, side - CROP)) for side in (wide, high))
    return np.array([[sign, 0, (wide if flip else 0) - left + dx], [0, scale, dy - top], [0, 0, 1]])


def tilted(draw: np.random.Generator) -> NDArray[np.float64]:
    """Corners moved by up to a tenth of the crop, in perspective."""
    corners = np.array([[0, 0], [CROP, 0], [CROP, CROP], [0, CROP]], np.float32)
    to = corners + draw.uniform(-0.1, 0.1, (4, 2)).astype(np.float32) * CROP
    return np.asarray(cv2.getPerspectiveTransform(corners, to), np.float64)


def smp_crop(labelled: Labelled, draw: np.random.Generator) -> tuple[Picture, Rows]:
    """As segmentation_models_pytorch's CamVid example lists it."""
    matrix = moved(labelled, draw.uniform(0.5, 1.5), draw.random() < 0.5, draw, shift=0.1)
    if draw.random() < 0.5:
        matrix = tilted(draw) @ matrix
    picture, rows = placed(labelled, matrix)
    values = picture.astype(np.float32)
    if draw.random() < 0.2:
        values += draw.normal(0, draw.uniform(3, 7), values.shape).astype(np.float32)
    if draw.random() < 0.9:
        values = brighter(values, draw)
    if draw.random() < 0.9:
        values = sharper(values, draw)
    if draw.random() < 0.9:
        values = brighter(values, draw) if draw.random() < 0.5 else shifted_hue(values, draw)
    return values.clip(0, 255).astype(np.uint8), rows


def brighter(values: NDArray[np.float32], draw: np.random.Generator) -> NDArray[np.float32]:
    """Brightness and contrast, gamma, or the histogram made even in parts: one of them."""
    kind = int(draw.integers(3))
    if kind == 0:
        return values * np.float32(draw.uniform(0.8, 1.2)) + np.float32(draw.uniform(-51, 51))
    unit = values.clip(0, 255)
    if kind == 1:
        return np.asarray(255 * (unit / 255) ** draw.uniform(0.8, 1.2), np.float32)
    lab = cv2.cvtColor(unit.astype(np.uint8), cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(draw.uniform(1, 4), (8, 8)).apply(lab[..., 0])
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB).astype(np.float32)


def sharper(values: NDArray[np.float32], draw: np.random.Generator) -> NDArray[np.float32]:
    """Sharpened, blurred, or blurred along a line: one of them."""
    kind = int(draw.integers(3))
    if kind == 2:
        line = np.zeros((3, 3), np.float32)
        line[(0, 1, 2), (1, 1, 1) if draw.random() < 0.5 else (0, 1, 2)] = 1 / 3
        return np.asarray(cv2.filter2D(values, -1, line), np.float32)
    soft = np.asarray(cv2.blur(values, (3, 3)), np.float32)
    return soft if kind == 1 else values + np.float32(draw.uniform(0.2, 0.5)) * (values - soft)


def shifted_hue(values: NDArray[np.float32], draw: np.random.Generator) -> NDArray[np.float32]:
    """Hue by up to 20 degrees, saturation by up to 30, value by up to 20 of 255."""
    hsv = cv2.cvtColor(values.clip(0, 255).astype(np.uint8), cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv += np.array([draw.uniform(-10, 10), draw.uniform(-30, 30), draw.uniform(-20, 20)])
    hsv[..., 0] %= 180
    back = cv2.cvtColor(hsv.clip(0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB)
    return back.astype(np.float32)


def torchvision_crop(labelled: Labelled, draw: np.random.Generator) -> tuple[Picture, Rows]:
    """As torchvision's reference does: resize at random, flip, crop."""
    scale = draw.uniform(0.5, 2.0) * BASE / min(labelled.labels.shape)
    return placed(labelled, moved(labelled, scale, draw.random() < 0.5, draw))


# -- losses and optimisers


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """1 - Dice over the batch, the mean over classes that are there; void does not count."""
    known = (target != VOID).unsqueeze(1)
    truth = F.one_hot(target.clamp(min=0), logits.shape[1]).movedim(-1, 1) * known
    shares = logits.softmax(1) * known
    hits, total = (shares * truth).sum((0, 2, 3)), (shares + truth).sum((0, 2, 3))
    there = truth.sum((0, 2, 3)) > 0
    return ((1 - 2 * hits / total.clamp(min=1e-7)) * there).mean()


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(logits, target, ignore_index=VOID)


def adam(network: nn.Module, batch: int) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), lr=2e-4)


def sgd(network: nn.Module, batch: int) -> torch.optim.Optimizer:
    rate = 0.02 * batch / 32
    return torch.optim.SGD(network.parameters(), rate, momentum=0.9, weight_decay=1e-4)


def along_cosine(progress: float) -> float:
    return 0.05 + 0.95 * (0.5 + 0.5 * float(np.cos(np.pi * progress)))


def polynomial(progress: float) -> float:
    return float((1 - progress) ** 0.9)


PEERS: Final = (
    Peer("smp", smp_crop, dice_loss, adam, along_cosine),
    Peer("torchvision", torchvision_crop, cross_entropy, sgd, polynomial),
)


# -- training


def batches(
    items: Sequence[Item], peer: Peer, batch: int, draw: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Every image once in an order drawn anew, again and again."""
    held = [item.read() for item in items]
    deck: list[int] = []
    while True:
        made: list[tuple[Picture, Rows]] = []
        while len(made) < batch:
            deck = deck or draw.permutation(len(held)).tolist()
            made.append(peer.augment(held[deck.pop()], draw))
        inputs = np.stack([IMAGENET.apply(picture) for picture, _ in made])
        rows = np.stack([rows for _, rows in made]).astype(np.int64)
        yield torch.from_numpy(inputs), torch.from_numpy(rows)


def train_peer(items: Sequence[Item], peer: Peer, arch: str, given: Given) -> nn.Module:
    """Train for the wall clock given, reading and building included."""
    began = time.monotonic()
    seed_everything(given.seed)
    network = registry.build(arch, CLASSES).to(memory_format=torch.channels_last).train()
    optimiser = peer.optimiser(network, given.batch)
    first = optimiser.param_groups[0]["lr"]
    ready = batches(items, peer, given.batch, np.random.default_rng(given.seed))
    steps = 0
    with Prefetch(lambda: next(ready)) as ahead:  # type: ignore[arg-type,return-value]
        while (progress := (time.monotonic() - began) / (60 * given.minutes)) < 1:
            inputs, target = ahead.get()[:2]
            for group in optimiser.param_groups:
                group["lr"] = first * peer.factor(progress)
            optimiser.zero_grad(set_to_none=True)
            outputs = network(inputs.to(memory_format=torch.channels_last))  # type: ignore[attr-defined]
            logits = outputs if isinstance(outputs, Tensor) else outputs["out"]
            torch.autograd.backward(peer.loss(logits, target))  # type: ignore[arg-type]
            optimiser.step()
            steps += 1
    print(f"  {peer.name}: {steps} steps", flush=True)
    return network.eval()


@dataclass(frozen=True)
class Given:
    """What the command line says."""

    minutes: float
    batch: int
    seed: int


def score_peer(network: nn.Module, held: Sequence[Item]) -> float:
    inference = Inference(network, IMAGENET, torch.device("cpu"))
    return miou(held, lambda picture: inference.label_map(picture)[0])


def miou(held: Sequence[Item], predict: Callable[[Picture], NDArray[np.integer]]) -> float:
    """Mean IoU of the 11 classes over all pixels of the validation frames."""
    total = Confusion(CLASSES + 1)
    for item in held:
        labelled = item.read()
        total.add(predict(labelled.picture), labelled.labels)
    return float(np.nan_to_num(total.iou()[1:]).mean())


def ours(keys: Sequence[str], held: Sequence[Item], arch: str, given: Given) -> float:
    """The same by `segstudio train`, as a person with these labels would have it, but for the
    form of the network: the ordinary one, which the peers train too."""
    with tempfile.TemporaryDirectory() as folder, make_project(keys, Path(folder)) as project:
        ordinary = {"weights": "none", "options": dict(registry.card_of(arch).options)}
        request = TrainRequest(arch, given.minutes, FROM_SCRATCH, ordinary, "cpu")
        result = train(project, request)
        model = project.models.get(result.model)
        images = model.card["images"]
        print(f"  segstudio: {result.steps} steps, {images}, {result.reason}", flush=True)
        predictor = open_predictor(project, model, "cpu")
        rows = np.zeros(256, np.int16)
        for number, name in enumerate(NAMES, start=1):
            rows[project.classes.values[name]] = number
        return miou(held, lambda picture: rows[predictor.predict(picture)[0]])


def make_project(stems: Sequence[str], root: Path) -> Project:
    """A project of those training frames, imported from CamVid's label maps."""
    source = root / "source"
    for kind, ending in (("images", "webp"), ("masks", "png")):
        (source / kind).mkdir(parents=True)
        files = {f.stem: f for f in (DATA / "camvid" / kind / "train").rglob(f"*.{ending}")}
        for stem in stems:
            shutil.copy(files[stem], source / kind)
    project = Project.create(root / "camvid", classes=list(NAMES))
    numbering = formats.Numbering(NAMES, 0, CLASSES)
    formats.import_into(project, formats.find_set(source, "index_png", numbering=numbering))
    return project


def point(count: int, arch: str, given: Given) -> Measure:
    """One number of images, evenly spaced over the drives."""
    whole = camvid.items("train")
    chosen = [whole[round(i * (len(whole) - 1) / (count - 1))] for i in range(count)]
    held = camvid.items("val")
    print(f"{count} images", flush=True)
    found = ours([item.key for item in chosen], held, arch, given)
    print(f"  segstudio: mIoU {found:.4f}", flush=True)
    best, name = 0.0, ""
    for peer in PEERS:
        theirs = score_peer(train_peer(chosen, peer, arch, given), held)
        print(f"  {peer.name}: mIoU {theirs:.4f}", flush=True)
        best, name = max((best, name), (theirs, peer.name))
    what = f"mIoU on {len(held)} CamVid frames, {arch}, {given.minutes:g} min; best peer: {name}"
    return Measure(f"few_shot_{count}", found, best, "mIoU", what, TARGET)


def main() -> int:
    arguments = parser(__doc__ or "")
    arguments.add_argument("--minutes", type=float, default=2.2, help="of each training")
    arguments.add_argument("--only", type=int, nargs="+", choices=POINTS, default=POINTS)
    arguments.add_argument("--arch", default="unet")
    arguments.add_argument("--peer-batch", type=int, default=8)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    if not (DATA / "camvid").is_dir():
        print("skipped: CamVid is not here; SEGSTUDIO_SHARED names the data folder")
        return 0
    device.keep_memory()
    cv2.setNumThreads(1)
    given = Given(options.minutes, options.peer_batch, options.seed)
    report([point(count, options.arch, given) for count in options.only], options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
