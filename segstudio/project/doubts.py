"""How doubtful the predictions of a project's images are, worked out once for each prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from segstudio.annotation.doubt import class_doubts, doubtful_regions, image_doubt
from segstudio.project.index import Stamp
from segstudio.project.project import Project


@dataclass(frozen=True, slots=True)
class ImageDoubt:
    """The doubt of a whole image, and of each of its classes by name, 0..1; and how many of its
    regions are worth a look."""

    whole: float
    regions: int
    classes: Mapping[str, float]


class DoubtBook:
    """Doubts of a project's images, remembered until an image is predicted again."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._known: dict[tuple[str, str], tuple[Stamp, ImageDoubt]] = {}

    def of(
        self, keys: Iterable[str], is_wanted: Callable[[], bool] = lambda: True
    ) -> dict[str, ImageDoubt]:
        """Of images that the model in force has predicted; may take a while, and ends early when
        it is not wanted any more."""
        model = self._project.models.current()
        if model is None:
            return {}
        found = {}
        for key in keys:
            if not is_wanted():
                break
            doubt = self._one(model.id, key)
            if doubt is not None:
                found[key] = doubt
        return found

    def known(self, keys: Iterable[str]) -> dict[str, ImageDoubt]:
        """What was worked out before, of whatever model: at once, and perhaps a little old."""
        newest = {key: doubt for (_, key), (_, doubt) in self._known.items()}
        return {key: newest[key] for key in keys if key in newest}

    def _one(self, model: str, key: str) -> ImageDoubt | None:
        stamp = self._project.predictions.stamp(model, key)
        if stamp is None:
            return None
        known = self._known.get((model, key))
        if known is not None and known[0] == stamp:
            return known[1]
        read = self._project.predictions.read(model, key)
        if read is None:
            return None
        labels, margin = read
        names = {**self._project.classes.by_value, 0: "background"}
        by_class = {
            names[value]: doubt
            for value, doubt in class_doubts(margin, labels).items()
            if value in names
        }
        found = ImageDoubt(image_doubt(margin), len(doubtful_regions(margin)), by_class)
        self._known.pop((model, key), None)
        self._known[model, key] = stamp, found
        return found
