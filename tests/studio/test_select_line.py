"""Every verb of the select tool in the running window, by real events."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Document, add_shapes
from segstudio.annotation.rasterise import coverage
from segstudio.annotation.shape import Shape, as_points, mask_shape
from segstudio.studio.dialogs.simplify import SimplifyDialog
from segstudio.studio.main_window import MainWindow
from tests.studio.conftest import at, click, press, sweep

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
ALT, NONE = Qt.KeyboardModifier.AltModifier, Qt.KeyboardModifier.NoModifier
LEFT = Qt.MouseButton.LeftButton


def document(window: MainWindow) -> Document:
    assert window.session.image is not None
    return window.session.image.document


def square(x: float, y: float, side: float, name: str = "cell") -> Shape:
    corners = [[x, y], [x + side, y], [x + side, y + side], [x, y + side]]
    return Shape(name, "polygon", as_points(corners))


def put(window: MainWindow, *shapes: Shape) -> None:
    document(window).apply(add_shapes("Paste", document(window), shapes))


def chosen(window: MainWindow) -> list[int]:
    """Places of the selected shapes."""
    assert window.session.image is not None
    ids = list(document(window).ids())
    return sorted(ids.index(n) for n in window.session.image.desk.selection)


def held(window: MainWindow, keys: Qt.KeyboardModifier, *places: tuple[float, float]) -> None:
    QTest.mousePress(window.canvas, LEFT, keys, at(window, *places[0]))
    for place in places[1:]:
        QTest.mouseMove(window.canvas, at(window, *place))
    QTest.mouseRelease(window.canvas, LEFT, keys, at(window, *places[-1]))


@pytest.fixture
def three(studio: MainWindow) -> MainWindow:
    """Three squares of 20 pixels apart from each other, the select tool in hand."""
    put(studio, square(5, 5, 20), square(45, 5, 20), square(85, 5, 20, "dirt"))
    press(studio, Qt.Key.Key_V)
    press(studio, Qt.Key.Key_Escape)
    return studio


def test_click_ctrl_click_and_bands_that_add(three: MainWindow) -> None:
    click(three, 15, 15)
    assert chosen(three) == [0]
    QTest.mouseClick(three.canvas, LEFT, CTRL, at(three, 95, 15))
    assert chosen(three) == [0, 2]
    QTest.mouseClick(three.canvas, LEFT, CTRL, at(three, 15, 15))
    assert chosen(three) == [2]
    held(three, NONE, (40, 2), (60, 20), (70, 30))
    assert chosen(three) == [1]
    before = [s.points.tolist() for s in document(three).shapes]
    held(three, SHIFT, (80, 40), (90, 10), (112, 2))
    assert chosen(three) == [1, 2]
    assert [s.points.tolist() for s in document(three).shapes] == before


def test_what_is_hidden_is_not_selected_by_accident(three: MainWindow) -> None:
    three.session.choices.hide_class("dirt", True)
    three.actions_["select_all"].trigger()
    assert chosen(three) == [0, 1]
    held(three, NONE, (1, 60), (60, 20), (115, 1))
    assert chosen(three) == [0, 1]


def test_drag_moves_many_arrows_nudge_and_locked_ones_stay(three: MainWindow) -> None:
    click(three, 95, 15)
    three.actions_["lock_shapes"].trigger()
    three.actions_["select_all"].trigger()
    held(three, NONE, (15, 15), (15, 25), (15, 35))
    tops = [s.points[:, 1].min() for s in document(three).shapes]
    assert tops == [pytest.approx(25, abs=0.3), pytest.approx(25, abs=0.3), 5]
    press(three, Qt.Key.Key_Right)
    press(three, Qt.Key.Key_Right, SHIFT)
    lefts = [s.points[:, 0].min() for s in document(three).shapes]
    assert lefts == [pytest.approx(16, abs=0.3), pytest.approx(56, abs=0.3), 85]


def test_vertices_are_dragged_put_in_and_taken_out(three: MainWindow) -> None:
    click(three, 15, 15)
    held(three, NONE, (25, 25), (28, 28), (32, 32))
    assert document(three).shapes[0].points[2].tolist() == pytest.approx([32, 32], abs=0.3)
    QTest.mouseDClick(three.canvas, LEFT, NONE, at(three, 15, 5))
    assert len(document(three).shapes[0].points) == 5
    QTest.mouseClick(three.canvas, LEFT, ALT, at(three, 15, 5))
    assert len(document(three).shapes[0].points) == 4


def test_class_of_many_order_groups_and_copies(three: MainWindow) -> None:
    three.actions_["select_all"].trigger()
    three.session.choices.choose_class("dirt")
    three.actions_["reclass"].trigger()
    assert {s.class_name for s in document(three).shapes} == {"dirt"}
    press(three, Qt.Key.Key_J, CTRL)
    assert len({s.group_id for s in document(three).shapes} - {None}) == 1
    press(three, Qt.Key.Key_J, CTRL | SHIFT)
    assert {s.group_id for s in document(three).shapes} == {None}
    click(three, 15, 15)
    first = document(three).shapes[0]
    press(three, Qt.Key.Key_BracketRight, CTRL)
    assert document(three).shapes[-1] is first
    press(three, Qt.Key.Key_D, CTRL)
    press(three, Qt.Key.Key_C, CTRL)
    press(three, Qt.Key.Key_V, CTRL)
    assert len(document(three).shapes) == 5


def test_unite_subtract_intersect_split(studio: MainWindow) -> None:
    put(studio, square(10, 10, 40), square(30, 30, 40))
    size = document(studio).size
    first, second = (coverage(s, size) for s in document(studio).shapes)
    for key, keys, expected in (
        (Qt.Key.Key_U, NONE, first | second),
        (Qt.Key.Key_U, SHIFT, first - second),
        (Qt.Key.Key_U, CTRL, first & second),
    ):
        press(studio, Qt.Key.Key_V)
        press(studio, Qt.Key.Key_Escape)
        click(studio, 15, 15)
        QTest.mouseClick(studio.canvas, LEFT, CTRL, at(studio, 65, 65))
        press(studio, key, keys)
        assert document(studio).shapes[0].bitmap == expected
        studio.actions_["undo"].trigger()
    press(studio, Qt.Key.Key_X, SHIFT)
    sweep(studio, (2, 30), (30, 30), (75, 20))
    assert len(document(studio).shapes) == 3


def test_masks_and_polygons_both_ways_lose_no_pixel(studio: MainWindow) -> None:
    parts = np.zeros((20, 30), np.bool_)
    parts[3:9, 2:12] = parts[9:14, 7] = parts[17, 20] = parts[16, 22:24] = True
    blob = mask_shape("cell", Bitmap.from_array(parts, 30, 20))
    ring = np.ones((7, 7), np.bool_)
    ring[3, 3] = False
    put(studio, blob, mask_shape("cell", Bitmap.from_array(ring, 60, 60)))
    size = document(studio).size

    def pixels() -> Bitmap:
        whole = Bitmap()
        for shape in document(studio).shapes:
            whole = whole | coverage(shape, size)
        return whole

    before = pixels()
    studio.actions_["select_all"].trigger()
    press(studio, Qt.Key.Key_M, CTRL | SHIFT)
    kinds = [s.kind for s in document(studio).shapes]
    assert "polygon" in kinds
    assert kinds[-1] == "mask"  # the ring keeps its hole
    assert pixels() == before
    studio.actions_["select_all"].trigger()
    press(studio, Qt.Key.Key_M, CTRL)
    assert {s.kind for s in document(studio).shapes} == {"mask"}
    assert pixels() == before


# -- simplify


def wavy(count: int = 120) -> Shape:
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    radius = 25 + 0.6 * np.sin(turn * 30)
    return Shape(
        "cell",
        "polygon",
        as_points(np.stack([55 + radius * np.cos(turn), 45 + radius * np.sin(turn)], 1)),
    )


def simplifying() -> SimplifyDialog:
    widgets = QApplication.topLevelWidgets()
    found = [w for w in widgets if isinstance(w, SimplifyDialog) and w.isVisible()]
    return found[0]


def test_simplify_is_seen_while_the_slider_moves_and_is_one_step(
    studio: MainWindow, qtbot: QtBot
) -> None:
    put(studio, wavy(), square(5, 5, 10))
    studio.actions_["select_all"].trigger()
    studio.actions_["simplify"].trigger()
    dialog = simplifying()
    at_once = len(document(studio).shapes[0].points)
    assert at_once < 120
    dialog.number.setValue(4)
    qtbot.waitUntil(lambda: len(document(studio).shapes[0].points) < at_once, timeout=20_000)
    few = len(document(studio).shapes[0].points)
    assert f"become {few + 4}" in dialog.counts.text()
    dialog.number.setValue(0)
    qtbot.waitUntil(lambda: len(document(studio).shapes[0].points) == 120, timeout=20_000)
    dialog.number.setValue(4)
    dialog.accept()  # before the timer: what is chosen counts
    assert len(document(studio).shapes[0].points) == few
    assert "Simplify" in studio.actions_["undo"].text()
    assert chosen(studio) == [0, 1]
    studio.actions_["undo"].trigger()
    assert len(document(studio).shapes[0].points) == 120


def test_escape_gives_simplifying_up_and_masks_become_polygons(
    studio: MainWindow, qtbot: QtBot
) -> None:
    disc = np.hypot(*np.mgrid[-20:21, -20:21]) <= 20
    two = np.concatenate([disc, np.zeros((41, 5), np.bool_), disc], axis=1)
    put(studio, mask_shape("cell", Bitmap.from_array(two, 10, 20)))
    before = document(studio).shapes[0]
    studio.actions_["select_all"].trigger()
    studio.actions_["simplify"].trigger()
    assert [s.kind for s in document(studio).shapes] == ["polygon"] * 2
    QTest.keyClick(simplifying(), Qt.Key.Key_Escape)
    assert list(document(studio).shapes) == [before]
    assert chosen(studio) == [0]
    assert document(studio).undo_name == "Paste"
    studio.actions_["simplify"].trigger()
    simplifying().accept()
    assert [s.kind for s in document(studio).shapes] == ["polygon"] * 2
    assert chosen(studio) == [0, 1]
    studio.actions_["undo"].trigger()
    assert list(document(studio).shapes) == [before]


def test_shapes_are_hidden_and_shown_again(three: MainWindow) -> None:
    click(three, 15, 15)
    press(three, Qt.Key.Key_H)
    assert chosen(three) == []
    click(three, 15, 15)
    assert chosen(three) == []  # no tool meets what is hidden
    three.actions_["select_all"].trigger()
    assert chosen(three) == [1, 2]
    three.shapes.reload()
    assert "hidden" in three.shapes.model.index(2, 0).data()
    image = three.session.image
    assert image is not None
    assert image.desk.idmap.at(15, 15) == 0
    assert len(image.annotation().shapes) == 3  # for the eye only
    press(three, Qt.Key.Key_H, ALT)
    assert chosen(three) == [0]
    assert image.desk.idmap.at(15, 15) == document(three).ids()[0]
    assert "hidden" not in three.shapes.model.index(2, 0).data()
