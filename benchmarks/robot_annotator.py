"""What the loop saves: a simulated person labels 60 pictures with the program's own tools.

The robot knows the truth and works on a picture until every class is good enough (IoU 0.95, or no
error further than 2 px from its border). It is charged for each action: a click 1, a drag 1 and 1
more for every 10 px of its way, accepting or rejecting 1, another class 1, another brush size 1.
From scratch it begins with an empty picture and takes, for each part, the cheapest of polygon,
lasso and brush; in the loop it begins with what the program offers, and corrects or rejects it,
whichever is cheaper: guesses of round 0, then drafts of networks that the program trains on the
confirmed pictures and promotes by its own test. `--ablate` does the same without guesses, in the
order of the files, and with whatever each round ends with in force.
"""

from __future__ import annotations

import heapq
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final
from unittest import mock

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import DATA, Measure, need, parser, report
from segstudio.annotation import components
from segstudio.annotation.bitmap import intersect_boxes
from segstudio.annotation.document import Annotation, Document
from segstudio.annotation.doubt import class_doubts
from segstudio.annotation.geometry import stroke
from segstudio.annotation.idmap import IdMap
from segstudio.annotation.rasterise import draw_ids, label_map
from segstudio.annotation.shape import BACKGROUND_CLASS, Shape
from segstudio.learning.inference import CAREFUL
from segstudio.learning.loop import Run
from segstudio.learning.mending import NEAR, near_borders
from segstudio.learning.metrics import VOID, Confusion
from segstudio.learning.normalise import Picture
from segstudio.learning.predictor import Predictor, open_predictor
from segstudio.learning.round0 import Round0
from segstudio.learning.trainer import TrainRequest, train
from segstudio.networks.choosing import Situation, anew
from segstudio.project.images import read_image
from segstudio.project.models import best
from segstudio.project.order import choose, embed
from segstudio.project.predictions import read_png
from segstudio.project.project import Project
from segstudio.project.rounds import from_base_tried, next_round, note_from_base
from segstudio.tools import TOOLS, Desk, Pointer

Rows = NDArray[np.int16]
"""Classes (h, w): 0 the background, 1..k, VOID where the truth is silent."""
Mask = NDArray[np.bool_]
Way = Sequence[tuple[float, float]]
Stroke = tuple[Way, float]
"""Where the brush goes, and its radius in px."""

PICTURES = 60
GOOD = 0.95
THIN = 6.0
"""Parts at most twice so wide may be followed by the brush, px."""
COUNTS = 100
TRAINED_AFTER = (5, 10, 15, 20, 30, 40, 50)
CAMVID = "Sky Building Pole Road Pavement Tree SignSymbol Fence Car Pedestrian Bicyclist".split()
_CLOSE = 8.0
"""The robot looks at the picture this much enlarged."""
_PATIENCE = 4000
_DISC: Final = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * NEAR + 1, 2 * NEAR + 1))
_STEPS: Final = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]


# -- the robot


@dataclass
class Robot:
    """A person at a picture whose truth they know."""

    truth: Rows
    names: Sequence[str]
    shapes: Sequence[Shape] = ()
    actions: float = 0.0
    class_name: str = ""
    _radius: float = 0.0
    document: Document = field(init=False)

    def __post_init__(self) -> None:
        height, width = self.truth.shape
        self.document = Document(Annotation(width, height, tuple(self.shapes)))
        self._desk = Desk(self.document, IdMap(self.document), self.class_name)
        self.map: Rows = self._drawn(self.shapes)
        self._near = near_borders(self.truth)

    def _drawn(self, shapes: Sequence[Shape]) -> Rows:
        values = {name: row for row, name in enumerate(self.names, start=1)}
        return np.asarray(label_map(shapes, values, self.truth.shape), np.int16)

    def work(self) -> None:
        """Correct until it is good enough."""
        for _ in range(_PATIENCE):
            wrong = self._wrong()
            if wrong is None:
                return
            self._paint(*wrong)
        raise RuntimeError("the robot does not come to an end")

    def _wrong(self) -> tuple[int, Mask] | None:
        """The largest part that is wrong, of a class that is not good enough yet."""
        bad = {row for row in range(1, len(self.names) + 1) if not is_good(self, row)}
        if not bad:
            return None
        wrong = (self.map != self.truth) & (self.truth != VOID)
        far = wrong & ~self._near
        # either side of a class's error makes it better: what it lacks, and what it has too much
        far &= np.isin(self.truth, list(bad)) | np.isin(self.map, list(bad))
        if not far.any():
            return None
        best: tuple[int, int, Mask] | None = None
        for row in np.unique(self.truth[far]).tolist():
            # errors that nobody minds are mended where they touch one that counts, not followed
            beside = cv2.dilate((far & (self.truth == row)).astype(np.uint8), _DISC)
            part = (wrong & (self.truth == row) & (beside > 0)).astype(np.uint8)
            _, numbers, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=4)
            counts = np.bincount(numbers[far & (self.truth == row)], minlength=len(stats))
            number = int(np.argmax(counts))
            if best is None or counts[number] > best[0]:
                best = int(counts[number]), row, numbers == number
        assert best is not None
        return best[1], self._without_holes(best[2])

    def _without_holes(self, part: Mask) -> Mask:
        """A piece of it that can be drawn around without what is right inside it."""
        while True:
            filled = np.zeros(part.shape, np.uint8)
            cv2.drawContours(filled, [_outline(part)], -1, 1, cv2.FILLED)
            right = (filled > 0) & ~part & (self.map == self.truth) & ~self._near
            if right.sum() <= max(20, 0.05 * part.sum()):
                return part
            half = part.copy()
            ys, xs = np.nonzero(part)
            if np.ptp(xs) >= np.ptp(ys):
                half[:, int(np.median(xs)) + 1 :] = False
            else:
                half[int(np.median(ys)) + 1 :] = False
            _, numbers, stats, _ = cv2.connectedComponentsWithStats(
                half.astype(np.uint8), connectivity=4
            )
            part = numbers == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))

    # -- tools, and what they cost

    def _paint(self, row: int, part: Mask) -> None:
        name = self.names[row - 1] if row else BACKGROUND_CLASS
        if name != self._desk.class_name:
            self.actions += 1
            self.class_name = self._desk.class_name = name
        self._desk.select([])
        outline = _outline(part)
        ring = cv2.approxPolyDP(outline, 1.2, True)[:, 0].astype(float) + 0.5
        ways: list[tuple[float, Callable[[], None]]] = []
        if len(ring) >= 3:
            ways.append((len(ring) + 1.0, lambda: self._polygon(ring)))
            drawn = outline[:, 0].astype(float) + 0.5
            ways.append((1 + cv2.arcLength(outline, True) / 10, lambda: self._lasso(drawn)))
        strokes = [found for found in (self._line(part), self._curve(part)) if found]
        if not strokes and not ways:
            strokes = [_dab(part)]
        for way, radius in strokes:
            length = float(np.hypot(*np.diff(way, axis=0).T).sum())
            cost = 1 + length / 10 + (radius != self._radius)
            ways.append((cost, partial(self._brush, way, radius)))
        cost, act = min(ways, key=lambda way: way[0])
        before = len(self.document.shapes)
        act()
        self.actions += cost
        if len(self.document.shapes) == before:  # too small for a ring: a dab
            self.actions += 1
            self._brush(*_dab(part))
        self._redraw()

    def _polygon(self, ring: NDArray[np.float64]) -> None:
        tool = TOOLS["polygon"](self._desk)
        for x, y in ring.tolist():
            tool.press(Pointer(x, y, scale=_CLOSE))
            tool.release(Pointer(x, y, scale=_CLOSE))
        tool.key("Enter")

    def _lasso(self, ring: NDArray[np.float64]) -> None:
        self._drag("lasso", [(x, y) for x, y in ring.tolist()])

    def _brush(self, way: Way, radius: float) -> None:
        self._radius = self._desk.brush_radius = radius
        self._drag("brush", way)

    def _drag(self, name: str, way: Sequence[tuple[float, float]]) -> None:
        tool = TOOLS[name](self._desk)
        tool.press(Pointer(*way[0], scale=_CLOSE))
        for place in way[1:]:
            tool.drag(Pointer(*place, scale=_CLOSE))
        tool.release(Pointer(*way[-1], scale=_CLOSE))

    def _line(self, part: Mask) -> Stroke | None:
        """A straight stroke that covers the part and does no harm, if there is one."""
        (x, y), (w, h), angle = cv2.minAreaRect(_outline(part))
        turned = np.deg2rad(angle if w >= h else angle + 90)
        length, radius = abs(w - h), max(0.5, round((min(w, h) + 1) / 2, 1))
        way = np.array([np.cos(turned), np.sin(turned)]) * length / 2
        ends = [np.array([x + 0.5, y + 0.5]) + sign * way for sign in (-1, 1)]
        return self._harmless(part, [(float(x), float(y)) for x, y in ends], radius)

    def _curve(self, part: Mask) -> Stroke | None:
        """A stroke along the middle of a thin part, if there is one that does no harm."""
        padded = cv2.distanceTransform(np.pad(part, 1).astype(np.uint8), cv2.DIST_L2, 3)
        depth = padded[1:-1, 1:-1].astype(np.float32)
        if depth.max() > THIN:
            return None
        way = cv2.approxPolyDP(_spine(part, depth), 1.0, False)[:, 0].astype(float) + 0.5
        return self._harmless(part, [(x, y) for x, y in way.tolist()], float(depth.max()))

    def _harmless(self, part: Mask, way: Way, radius: float) -> Stroke | None:
        """The stroke, when it covers the part and paints over nothing that is right."""
        height, width = part.shape
        painted = np.zeros(part.shape, bool)
        for start, end in zip(way, way[1:] or way, strict=False):
            left, top, mask = stroke(start, end, radius)
            box = (left, top, left + mask.shape[1], top + mask.shape[0])
            x0, y0, x1, y1 = intersect_boxes(box, (0, 0, width, height))
            if x1 > x0 and y1 > y0:
                painted[y0:y1, x0:x1] |= mask[y0 - top : y1 - top, x0 - left : x1 - left]
        row = self.truth[part][0]
        harm = painted & (self.truth != row) & (self.truth != VOID) & ~self._near
        if harm.sum() > 0.02 * part.sum() or (part & ~painted).sum() > 0.15 * part.sum():
            return None
        return way, radius

    def _redraw(self) -> None:
        """The new shape lies on top of everything."""
        shape = self.document.shapes[-1]
        height, width = self.truth.shape
        box = intersect_boxes(shape.bounds() or (0, 0, 0, 0), (0, 0, width, height))
        names = [*self.names]
        row = names.index(shape.class_name) + 1 if shape.class_name in names else 0
        if box[2] > box[0] and box[3] > box[1]:
            covered = draw_ids([shape], [1], box, "L") > 0
            self.map[box[1] : box[3], box[0] : box[2]][covered] = row


def _outline(part: Mask) -> NDArray[np.int32]:
    found, _ = cv2.findContours(part.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(max(found, key=cv2.contourArea), np.int32)


def _spine(part: Mask, depth: NDArray[np.float32]) -> NDArray[np.int32]:
    """The way from one end of a connected part to the other that keeps to its middle: points
    (n, 1, 2) of x and y."""
    ys, xs = np.nonzero(part)
    first = (int(ys[0]), int(xs[0]))
    one, _ = _farthest(depth, first)
    other, before = _farthest(depth, one)
    way = [other]
    while way[-1] != one:
        way.append(before[way[-1]])
    return np.array([[(x, y)] for y, x in way], np.int32)


def _farthest(
    depth: NDArray[np.float32], start: tuple[int, int]
) -> tuple[tuple[int, int], dict[tuple[int, int], tuple[int, int]]]:
    """The pixel that is the farthest to walk to where the deep is easy to walk on, and the pixel
    before each one."""
    best = {start: 0.0}
    before: dict[tuple[int, int], tuple[int, int]] = {}
    heap = [(0.0, start)]
    last = start
    height, width = depth.shape
    while heap:
        far, here = heapq.heappop(heap)
        if far > best[here]:
            continue
        last = here
        for dy, dx in _STEPS:
            y, x = here[0] + dy, here[1] + dx
            if not (0 <= y < height and 0 <= x < width and depth[y, x] > 0):
                continue
            there = far + float(np.hypot(dy, dx)) / float(depth[y, x])
            if there < best.get((y, x), np.inf):
                best[y, x], before[y, x] = there, here
                heapq.heappush(heap, (there, (y, x)))
    return last, before


def _dab(part: Mask) -> Stroke:
    """One touch of the brush in the thickest place."""
    depth = cv2.distanceTransform(np.pad(part, 1).astype(np.uint8), cv2.DIST_L2, 3)
    y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return [(float(x) - 0.5, float(y) - 0.5)], max(0.5, float(depth[y, x]))


def is_good(robot: Robot, row: int) -> bool:
    known = robot.truth != VOID
    truth, found = robot.truth == row, (robot.map == row) & known
    if truth.sum() <= COUNTS and found.sum() <= COUNTS:
        return True
    wrong = truth ^ found
    if truth.any() and (truth & found).sum() >= GOOD * (truth | found).sum():
        return True
    return not (wrong & ~robot._near).any()


# -- data


@dataclass(frozen=True)
class Work:
    """Pictures with their truth, in the order of their names."""

    name: str
    classes: Sequence[str]
    files: Sequence[Path]
    truth: Callable[[Path], Rows]
    unlabelled: str


def nuclei() -> Work:
    files = sorted((need(DATA / "nuclei") / "images").glob("*.png"))[::3][:PICTURES]

    def truth(file: Path) -> Rows:
        found = read_png(file.parents[1] / "instances" / file.name)
        assert found is not None
        return (found > 0).astype(np.int16)

    return Work("nuclei", ["nucleus"], files, truth, "background")


def camvid() -> Work:
    """Thirty frames of each of two drives, spread over them."""
    folder = need(DATA / "camvid")
    everything = sorted((folder / "images" / "train").iterdir())
    drives = [[f for f in everything if f.name.startswith(d)] for d in ("0001TP", "0016E5")]
    files = []
    for frames in drives:
        places = np.linspace(0, len(frames) - 1, PICTURES // 2).round().astype(int)
        files += [frames[i] for i in places]

    def truth(file: Path) -> Rows:
        found = read_png(folder / "masks" / "train" / f"{file.stem}.png")
        assert found is not None
        return np.where(found == 11, VOID, found.astype(np.int16) + 1).astype(np.int16)

    return Work("camvid", CAMVID, sorted(files), truth, "ignore")


# -- the loop


@dataclass
class Options:
    minutes: float
    round0: bool = True
    ordered: bool = True
    promotion: bool = True
    anew: bool = False


class Loop:
    """The program, as far as it works without a person."""

    def __init__(self, project: Project, options: Options) -> None:
        self.project, self.options = project, options
        self._round0 = Round0(len(project.classes))
        self._predictor: Predictor | None = None
        self._labelled: list[str] = []
        self._recent: list[tuple[str, Picture, Rows]] = []
        self._vectors = {key: embed(project.thumbnail(key)) for key in project.included()}
        self.trained = 0.0

    def next(self) -> str | None:
        """The picture to label now."""
        left = [key for key in self.project.included() if key not in self._labelled]
        if not self.options.ordered or not left:
            return left[0] if left else None
        doubts = {key: self._doubts(key) for key in left[:: max(1, len(left) // 20)]}
        known = {key: doubt for key, doubt in doubts.items() if doubt}
        choice = choose(left, self._labelled, self._vectors, known)
        assert choice is not None
        return choice.key

    def _doubts(self, key: str) -> dict[str, float]:
        if self._predictor is None:
            return {}
        labels, margin = self._predictor.predict(self.project.read_image(key))
        names = {c.id: c.name for c in self.project.classes} | {0: "background"}
        return {names[v]: d for v, d in class_doubts(margin, labels).items() if v in names}

    def offer(self, key: str) -> list[Shape]:
        """Drafts for a picture."""
        picture = self.project.read_image(key)
        names = {c.id: c.name for c in self.project.classes}
        if self._predictor is not None:
            labels, margin = self._predictor.predict(picture, CAREFUL)  # as the window prepares it
        elif self.options.round0 and self._round0.ready:
            labels, margin = self._round0.predict(key, picture, careful=True)
            names = dict(enumerate(self.project.classes.names, start=1))
        else:
            return []
        return components.drafts(labels, margin, names, model="offered")

    def confirm(self, key: str, robot: Robot) -> None:
        annotation = robot.document.annotation
        shapes = tuple(robot.document.shapes)
        self.project.save(key, replace(annotation, shapes=shapes, confirmed=True))
        self._labelled.append(key)
        if self._predictor is None and self.options.round0:
            silent = self.project.manifest.unlabelled == "ignore"
            rows = np.where((robot.map == 0) & silent, VOID, robot.map).astype(np.int16)
            picture = self.project.read_image(key)
            self._round0.take(key, picture, rows)
            self._round0.fit()
            self._recent = [*self._recent[-1:], (key, picture, rows)]
            if (len(self._labelled) & (len(self._labelled) - 1)) == 0:  # as the program does
                self._round0.settle(self._recent)
        if len(self._labelled) in TRAINED_AFTER and len(self._labelled) < len(self._vectors):
            self._learn()

    def _learn(self) -> None:
        """The round that the program would begin with; with `anew` at a doubling of the pictures
        one from the base weights first, of twice the time."""
        began = time.monotonic()
        while self._round():
            pass
        self.trained += time.monotonic() - began
        model = self.project.models.current()
        if model is not None:
            self._predictor = open_predictor(self.project, model)

    def _round(self) -> bool:
        """Train; whether another round follows."""
        models, current = self.project.models.all(), self.project.models.current()
        count, tried = len(self._labelled), from_base_tried(self.project)
        tried = tried if self.options.anew else count
        planned = next_round(count, models, tried=tried, in_force=current is not None)
        assert planned is not None
        known = current or best(models)
        architecture = None
        if planned.is_from_base:
            note_from_base(self.project, count)
            situation = Situation(count, len(self.project.classes))
            architecture = anew(known.architecture, situation) if known is not None else None
        request = TrainRequest(
            architecture,
            self.options.minutes * (2 if planned.is_from_base else 1),
            planned.start_from,
            {"name": "live"},
            device="auto",
            resume=True,
        )
        if self.options.promotion:
            result = train(self.project, request)
        else:  # whatever a round ends with is put in force
            with mock.patch.object(Run, "is_best", return_value=True):
                result = train(self.project, request)
            self.project.models.promote(result.model)
        print(f"  after {count}: {result.model}: {result.reason}", flush=True)
        return planned.is_from_base


def start_from(drafts: Sequence[Shape], truth: Rows, names: Sequence[str]) -> tuple[Robot, float]:
    """A look at the drafts: all are accepted but for those where there is nothing; when most is
    wrong, all are rejected. Returns the robot and what that cost."""
    if not drafts:
        return Robot(truth, names), 0.0
    kept = [draft for draft in drafts if not _is_nothing(draft, truth)]
    robot = Robot(truth, names, [replace(shape, source="corrected") for shape in kept])
    known = truth != VOID
    right = (robot.map == truth)[known & ((truth > 0) | (robot.map > 0))]
    if len(right) and right.mean() < 0.5:
        return Robot(truth, names), 1.0
    return robot, 1.0 + 2.0 * (len(drafts) - len(kept))


def _is_nothing(draft: Shape, truth: Rows) -> bool:
    assert draft.bitmap is not None
    height, width = truth.shape
    there = truth[draft.bitmap.to_array((0, 0, width, height))]
    return bool((there == 0).mean() > 0.5)


@dataclass
class Result:
    """Actions for each picture in the order they were labelled, and how good the labels are."""

    loop: list[float] = field(default_factory=list)
    scratch: list[float] = field(default_factory=list)
    confusion: Confusion = field(default_factory=lambda: Confusion(1))
    seconds: float = 0.0
    trained: float = 0.0

    @property
    def ratio(self) -> float:
        return sum(self.loop) / sum(self.scratch)


def simulate(work: Work, options: Options, root: Path) -> Result:
    began = time.monotonic()
    (root / "images").mkdir(parents=True)
    truths = {}
    for file in work.files:
        cv2.imwrite(str(root / "images" / f"{file.stem}.png"), read_image(file)[..., ::-1])
        truths[f"images/{file.stem}.png"] = work.truth(file)
    result = Result(confusion=Confusion(len(work.classes) + 1))
    with Project.create(root, classes=list(work.classes)) as project:
        project.set_manifest(replace(project.manifest, unlabelled=work.unlabelled))  # type: ignore[arg-type]
        loop = Loop(project, options)
        while (key := loop.next()) is not None:
            truth = truths[key]
            bare = Robot(truth, work.classes)
            bare.work()
            robot, cost = start_from(loop.offer(key), truth, work.classes)
            robot.actions += cost
            robot.work()
            confirm, reject = 1, 1
            result.scratch.append(bare.actions + confirm)
            if robot.actions > bare.actions + reject:  # a person sees that this is not worth it
                robot = bare
                robot.actions += reject
            result.loop.append(robot.actions + confirm)
            result.confusion.add(robot.map, truth)
            loop.confirm(key, robot)
        result.trained = loop.trained
    result.seconds = time.monotonic() - began
    return result


def show(name: str, result: Result) -> None:
    print(f"{name}: {result.seconds:.0f} s, of which training {result.trained:.0f} s")
    print(f"  {'pictures':<12}{'from scratch':>14}{'in the loop':>14}{'ratio':>8}")
    for start in range(0, len(result.loop), 10):
        scratch, loop = (
            np.mean(side[start : start + 10]) for side in (result.scratch, result.loop)
        )
        span = f"{start + 1}-{start + len(result.loop[start : start + 10])}"
        print(f"  {span:<12}{scratch:>14.1f}{loop:>14.1f}{loop / scratch:>8.2f}")
    iou = result.confusion.iou()
    print(f"  labels in the loop: mIoU {np.nanmean(iou[1:]):.3f}", flush=True)


def main() -> int:
    arguments = parser(__doc__ or "")
    arguments.add_argument("--only", choices=["nuclei", "camvid"])
    arguments.add_argument("--minutes", type=float, default=1.5, help="of each training")
    arguments.add_argument(
        "--core-minutes", type=float, help="the same, in time of one CPU core: for a busy machine"
    )
    arguments.add_argument("--ablate", action="store_true", help="also without each part")
    arguments.add_argument(
        "--anew", action="store_true", help="begin anew at each doubling, too, for twice the time"
    )
    arguments.add_argument("--pictures", type=int, default=PICTURES)
    given = arguments.parse_args()
    sets = [make() for make in (nuclei, camvid) if given.only in (None, make.__name__)]
    minutes = given.core_minutes or given.minutes
    if given.core_minutes:
        assert Run.__init__.__kwdefaults__ is not None
        Run.__init__.__kwdefaults__["clock"] = time.process_time
    plans = {"": Options(minutes, anew=given.anew)}
    if given.ablate:
        plans |= {
            "_no_round0": Options(minutes, round0=False),
            "_file_order": Options(minutes, ordered=False),
            "_no_promotion": Options(minutes, promotion=False),
        }
    measures = []
    for work in sets:
        files = work.files[:: max(1, len(work.files) // given.pictures)][: given.pictures]
        for name, options in plans.items():
            with tempfile.TemporaryDirectory() as folder:
                result = simulate(replace(work, files=files), options, Path(folder) / "project")
            show(work.name + name, result)
            words = f"actions for {len(result.loop)} pictures; reference: from scratch"
            ours, reference = sum(result.loop), sum(result.scratch)
            measures.append(Measure(work.name + name, ours, reference, "acts", words, "<= 0.5"))
    report(measures, given.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
