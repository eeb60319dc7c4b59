"""500 polygons of 50 vertices on 2000x1500: our label map against Labelme's shapes_to_label.

Both run in one go on the same file; the pixels must be equal.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.common import Measure, parser, peer, report, seconds
from segstudio.annotation.rasterise import label_map
from segstudio.annotation.shape import Shape, as_points

WIDTH, HEIGHT, POLYGONS, VERTICES = 2000, 1500, 500, 50

_LABELME = """
import json, sys, time
import numpy as np
from labelme.utils import shapes_to_label
facts = json.load(open(sys.argv[1]))
names = {f"c{i}": i for i in range(1, 6)}
size = facts["imageHeight"], facts["imageWidth"], 3
took = []
for _ in range(int(sys.argv[3])):
    start = time.perf_counter()
    labels, _ = shapes_to_label(size, facts["shapes"], names)
    took.append(time.perf_counter() - start)
np.save(sys.argv[2], labels)
print(json.dumps(took))
"""


def make_shapes(seed: int = 0) -> list[Shape]:
    """Random star-shaped polygons of five classes."""
    rng = np.random.default_rng(seed)
    shapes = []
    for number in range(POLYGONS):
        centre = rng.uniform((0, 0), (WIDTH, HEIGHT))
        angles = np.sort(rng.uniform(0, 2 * np.pi, VERTICES))
        radii = rng.uniform(20, 90, VERTICES)
        points = centre + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        shapes.append(Shape(f"c{number % 5 + 1}", "polygon", as_points(points)))
    return shapes


def write_labelme(shapes: list[Shape], path: Path) -> None:
    rows = [
        {
            "label": s.class_name,
            "points": s.points.tolist(),
            "shape_type": "polygon",
            "group_id": None,
            "flags": {},
            "description": "",
            "mask": None,
        }
        for s in shapes
    ]
    facts = {"shapes": rows, "imageHeight": HEIGHT, "imageWidth": WIDTH}
    path.write_text(json.dumps(facts), encoding="utf-8")


def main() -> None:
    arguments = parser(__doc__ or "").parse_args()
    shapes = make_shapes()
    values = {f"c{i}": i for i in range(1, 6)}
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder, "a.json"), Path(folder, "labels.npy")
        write_labelme(shapes, file)
        command = [peer("labelme==6.3.1"), "-c", _LABELME, file, out, "3"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        theirs = statistics.median(json.loads(done.stdout.splitlines()[-1]))
        ours = statistics.median(
            seconds(lambda: label_map(shapes, values, (HEIGHT, WIDTH))) for _ in range(9)
        )
        equal = np.array_equal(np.load(out), label_map(shapes, values, (HEIGHT, WIDTH)))
    if not equal:
        raise SystemExit("The label maps differ.")
    report(
        [
            Measure(
                "rasterise", ours, theirs, "s", "equal pixels; reference: Labelme 6.3.1", "<= 0.05"
            )
        ],
        arguments.json,
    )


if __name__ == "__main__":
    main()
