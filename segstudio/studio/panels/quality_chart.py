"""The curve of the quality panel: image by image in the order of confirming, and its mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final

from segstudio.studio import theme

_ROLLING: Final = 10
"""Images over which the line is a mean."""
_HIGH: Final = 160
"""Pixels."""
_MARKS: Final = 8
"""Changes of model that are marked; of more, the last ones."""
Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Measure:
    """What is shown of each image: the key of it in the facts, and `top` where it has a limit.

    With `is_of_draft` images whose drafts nobody saw have no point.
    """

    key: str
    top: float | None = None
    is_of_draft: bool = False


MEASURES: Final = (
    Measure("miou", 1.0, True),
    Measure("boundary", 1.0, True),
    Measure("seconds"),
    Measure("strokes"),
)


@dataclass(frozen=True, slots=True)
class Point:
    """The place of an image in the order of confirming, its value, and its key."""

    place: int
    value: float
    image: str


def points_of(images: Sequence[Facts], measure: Measure) -> list[Point]:
    """Images without the value are left out; 0 seconds or strokes mean that nobody counted."""
    found = []
    for place, image in enumerate(images, start=1):
        value = image[measure.key]
        known = value is not None and not image["blind"] if measure.is_of_draft else bool(value)
        if known:
            found.append(Point(place, float(value), str(image["image"])))
    return found


def changes_of(images: Sequence[Facts]) -> list[tuple[int, str]]:
    """Where drafts of another model than before were shown: place, model."""
    found: list[tuple[int, str]] = []
    for place, image in enumerate(images, start=1):
        model = str(image["model"])
        if model and not image["blind"] and (not found or found[-1][1] != model):
            found.append((place, model))
    return found[-_MARKS:]


def short_name(model: str) -> str:
    """ "000007-unet" as "#7"; another name as it is."""
    number = model.partition("-")[0]
    return f"#{int(number)}" if number.isdigit() else model


class QualityChart:
    """Dots, their rolling mean, and a line where another model was shown.

    pyqtgraph is imported here, after the first paint. A click on a dot opens its image.
    """

    def __init__(self, on_click: Callable[[str], object]) -> None:
        import pyqtgraph as pg

        self._pg: Any = pg
        self.widget: Any = pg.PlotWidget()
        self.widget.setFixedHeight(_HIGH)
        self.widget.setMouseEnabled(x=False, y=False)
        self.widget.hideButtons()
        self.widget.setMenuEnabled(False)
        self._line: Any = self.widget.plot([], [])
        self._dots: Any = pg.ScatterPlotItem(size=7, hoverable=True, hoverSize=10, tip=_tip)
        self._dots.sigClicked.connect(lambda _, points, *__: on_click(points[0].data()))
        self.widget.addItem(self._dots)
        self._marks: list[Any] = []
        self.restyle()

    def restyle(self) -> None:
        look = theme.current()
        self.widget.setBackground(look.panel)
        item = self.widget.getPlotItem()
        for side in ("left", "bottom"):
            axis = item.getAxis(side)
            axis.setPen(self._pg.mkPen(look.line))
            axis.setTextPen(self._pg.mkPen(look.faint))
        self._line.setPen(self._pg.mkPen(look.accent, width=2))
        self._dots.setBrush(self._pg.mkBrush(look.faint))
        self._dots.setPen(self._pg.mkPen(look.panel))
        for mark in self._marks:
            self._dress(mark)

    def show_points(
        self, points: Sequence[Point], changes: Sequence[tuple[int, str]], top: float | None
    ) -> None:
        """Replace what is shown; `top` is the upper end of the scale, None to follow the values."""
        xs, ys = [p.place for p in points], [p.value for p in points]
        mean = [fmean(ys[max(0, end - _ROLLING) : end]) for end in range(1, len(ys) + 1)]
        self._line.setData(xs, mean)
        self._dots.setData(xs, ys, data=[p.image for p in points])
        self.widget.setYRange(0, top or max(ys, default=1) * 1.25, padding=0.05)
        self.widget.setXRange(1, max(xs, default=2), padding=0.05)
        self._show_marks(changes)

    def _show_marks(self, changes: Sequence[tuple[int, str]]) -> None:
        for mark in self._marks:
            self.widget.removeItem(mark)
        self._marks = []
        for place, model in changes:
            how = {"position": 0.94, "anchors": [(0, 0.5), (0, 0.5)]}
            mark = self._pg.InfiniteLine(
                place - 0.5, angle=90, label=short_name(model), labelOpts=how
            )
            mark.setToolTip(model)
            self._dress(mark)
            self.widget.addItem(mark)
            self._marks.append(mark)

    def _dress(self, mark: Any) -> None:
        look = theme.current()
        mark.setPen(self._pg.mkPen(look.line, width=1))
        mark.label.setColor(look.faint)

    @property
    def marked(self) -> list[str]:
        """The names of the models that are marked."""
        return [str(mark.label.format) for mark in self._marks]


def _tip(x: float, y: float, data: object) -> str:
    return f"{data}: {y:.3g}"
