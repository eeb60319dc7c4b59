"""Marks over the picture: what looks the same is not painted again, nor finer than is seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QRect
from PySide6.QtGui import QPainterPath

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.geometry import simplify
from segstudio.annotation.shape import Shape, as_points, mask_shape
from segstudio.studio.canvas.marking import Mark, changed
from segstudio.studio.canvas.marks import Outlines
from segstudio.studio.main_window import MainWindow
from tests.studio.conftest import at, sweep


def mark(x: int, look: tuple[object, ...] | None = ("same",)) -> Mark:
    return Mark(QRect(x, 0, 10, 10), look, lambda painter: None)


def test_only_marks_that_differ_are_painted_again() -> None:
    assert changed([mark(0)], [mark(0)]).isEmpty()
    assert changed([mark(0), mark(50, ("a",))], [mark(0), mark(50, ("b",))]).boundingRect() == (
        mark(50).room
    )
    assert changed([mark(0)], [mark(30)]).boundingRect() == QRect(0, 0, 40, 10)
    assert not changed([mark(0, None)], [mark(0, None)]).isEmpty(), "a preview is always new"


def test_the_pointer_does_not_paint_the_selection_again(
    studio: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.use_tool("rectangle")
    sweep(studio, (20, 20), (30, 25))
    canvas, image = studio.canvas, studio.session.image
    assert image is not None
    image.desk.select([image.document.ids()[-1]])
    canvas.repaint()
    drawn: list[QPainterPath] = []
    monkeypatch.setattr(
        "segstudio.studio.canvas.marking.draw_outline",
        lambda painter, view, path, colour: drawn.append(path),
    )
    far = at(studio, 100, 70)
    canvas.repaint(QRect(far.x() - 5, far.y() - 5, 10, 10))
    assert not drawn
    near = at(studio, 25, 22)
    canvas.repaint(QRect(near.x() - 5, near.y() - 5, 10, 10))
    assert len(drawn) == 1


@given(st.floats(0.01, 2.9), st.integers(0, 1000))
def test_an_outline_is_as_fine_as_can_be_seen(scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = np.zeros((120, 160), bool)
    mask[20:100, 20:140] = rng.random((80, 120)) < 0.95
    shape = mask_shape("a", Bitmap.from_array(mask))
    fine, coarse = Outlines().of(shape, 1000.0), Outlines().of(shape, scale)
    assert coarse.elementCount() <= fine.elementCount()
    off = coarse.boundingRect()
    assert abs(off.left() - fine.boundingRect().left()) * scale <= 0.41
    assert abs(off.bottom() - fine.boundingRect().bottom()) * scale <= 0.41


def test_a_long_border_from_afar_is_a_short_path() -> None:
    angles = np.linspace(0, 2 * np.pi, 3000, endpoint=False)
    ring = 500 + 400 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    outlines = Outlines()
    shape = Shape("a", "polygon", as_points(ring))
    assert outlines.of(shape, 0.1).elementCount() < 100
    assert outlines.of(shape, 0.1) is outlines.of(shape, 0.1), "made once"
    assert outlines.of(shape, 8.0).elementCount() > 200
    assert len(simplify(shape.points, 0.0)) == 3000
