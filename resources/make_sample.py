"""Makes the sample project: 23 CC0 pictures of cell nuclei, 6 of them labelled.

    python resources/make_sample.py PATH_TO_NUCLEI [OUT]

PATH_TO_NUCLEI holds `images/*.png` and `instances/*.png` (uint16, 0 background, 1..n a nucleus)
of the Data Science Bowl 2018, stage 1 (BBBC038, CC0). Of all file names in order, every index i
with i % 9 == 4 whose picture is at most 700x700 is taken, at most 24; nothing that is trained or
measured for the starter model may use these.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segstudio.annotation import geometry, rasterise
from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import Shape, as_points, mask_shape
from segstudio.project.images import read_image
from segstudio.project.project import Project

COUNT, LABELLED, LIMIT = 24, 6, 700
CLASS = "nucleus"


def sample_names(folder: Path) -> list[str]:
    """The fixed list: file names of the pictures that belong to the sample."""
    names = sorted(path.name for path in (folder / "images").glob("*.png"))
    chosen = [name for i, name in enumerate(names) if i % 9 == 4]
    small = [name for name in chosen if max(_size(folder / "images" / name)) <= LIMIT]
    return small[:COUNT]


def make(folder: Path, out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    names = sample_names(folder)
    for number, name in enumerate(names, 1):
        target = out / "images" / f"nuclei_{number:02d}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        _save_small(read_image(folder / "images" / name), target)
    with Project.create(out, name="Nuclei sample", classes=[CLASS]) as project:
        for key, name in labelled(project, names):
            instances = np.asarray(Image.open(folder / "instances" / name))
            height, width = instances.shape
            project.save(key, Annotation(width, height, shapes_of(instances), confirmed=True))
    shutil.rmtree(out / ".segstudio")
    (out / "SOURCES.md").write_text(_sources(names), encoding="utf-8")


def labelled(project: Project, names: list[str]) -> list[tuple[str, str]]:
    """Evenly spread over the sample, so that several kinds of picture are among them."""
    pairs = list(zip(project.images(), names, strict=True))
    return pairs[1 :: len(pairs) // LABELLED][:LABELLED]


def shapes_of(instances: NDArray[np.generic]) -> tuple[Shape, ...]:
    """One shape per nucleus: a polygon where it fills the very pixels, else a mask."""
    numbers = [int(n) for n in np.unique(instances) if n]
    return tuple(_shape(instances == n) for n in numbers)


def _shape(mask: NDArray[np.bool_]) -> Shape:
    rings = geometry.trace(mask)
    bitmap = Bitmap.from_array(mask)
    if len(rings) == 1:
        polygon = Shape(CLASS, "polygon", points=as_points(rings[0]))
        if rasterise.coverage(polygon, mask.shape) == bitmap:
            return polygon
    return mask_shape(CLASS, bitmap)


def _save_small(picture: NDArray[np.uint8], target: Path) -> None:
    grey = bool((picture == picture[..., :1]).all())
    image = Image.fromarray(picture[..., 0] if grey else picture)
    image.save(target, optimize=True)


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def _sources(names: list[str]) -> str:
    rows = [f"| images/nuclei_{i:02d}.png | {name} |" for i, name in enumerate(names, 1)]
    return "\n".join(
        [
            "# Where the sample pictures come from",
            "",
            "Data Science Bowl 2018, stage 1 (Broad Bioimage Benchmark Collection, BBBC038v1),",
            "<https://bbbc.broadinstitute.org/BBBC038>, released under CC0 1.0 (public domain).",
            "Caicedo et al., Nature Methods 16 (2019) 1247-1253. Masks with the corrections of",
            "the community's fixes. Re-encoded without loss as grey or RGB PNG by",
            "`resources/make_sample.py`, which picks the files by a fixed rule.",
            "",
            "| here | there |",
            "|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    make(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else here / "sample")
