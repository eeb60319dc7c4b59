"""Average precision after ten minutes of Mask R-CNN from scratch, with the default recipe, on 60
pictures of nuclei.

The reference is a run tuned by hand: crops of 160 pixels, 30 pictures, 11 minutes on one thread
(docs/adr/0030). `--set crop=160` tries another recipe.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import DATA, Measure, need, parser, report
from benchmarks.nuclei_scratch import make_project, split, tell
from segstudio.learning.evaluate import evaluate
from segstudio.learning.trainer import TrainRequest, train
from segstudio.project.models import ModelInfo

_UNSEEN = 18
_REFERENCE = {"ap": 0.28, "ap50": 0.61}


def main() -> int:
    command = parser((__doc__ or "").splitlines()[0])
    command.add_argument("--minutes", type=float, default=10.0)
    command.add_argument("--arch", default="maskrcnn_light")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = command.parse_args()
    chosen, rest = split(need(DATA / "nuclei"))
    overrides = {k: json.loads(v) for k, _, v in (text.partition("=") for text in options.set)}
    with tempfile.TemporaryDirectory() as folder, make_project(chosen, Path(folder)) as project:
        wanted = TrainRequest(
            options.arch, minutes=options.minutes, device="cpu", overrides=overrides
        )
        result = train(project, wanted, tell)
        model = project.models.get(result.model)
        print(f"{result.steps} steps; recipe: {model.card['recipe']}", flush=True)
        scores = scored(model, rest[:: len(rest) // _UNSEEN][:_UNSEEN])
    what = f"on {_UNSEEN} unseen pictures after {options.minutes:g} minutes, CPU"
    report(
        [
            Measure(name, scores[name] or 0.0, best, "", what, ">= 0.9")
            for name, best in _REFERENCE.items()
        ],
        options.json,
    )
    return 0


def scored(model: ModelInfo, pictures: list[Path]) -> dict[str, Any]:
    """Scores on pictures that are in no project of the model's."""
    with tempfile.TemporaryDirectory() as folder, make_project(pictures, Path(folder)) as unseen:
        return evaluate(unseen, model, device="cpu")


if __name__ == "__main__":
    sys.exit(main())
