"""A tablet's pen and a touchpad's pinch, as Qt sends them."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPointF, Qt
from PySide6.QtGui import (
    QInputDevice,
    QNativeGestureEvent,
    QPointingDevice,
    QPointingDeviceUniqueId,
    QTabletEvent,
)

from segstudio.studio.main_window import MainWindow
from tests.studio.conftest import press

NONE = Qt.KeyboardModifier.NoModifier
LEFT, UP = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton


def device(kind: QInputDevice.DeviceType) -> QPointingDevice:
    pointer = QPointingDevice.PointerType.Pen
    able = QInputDevice.Capability.Position | QInputDevice.Capability.Pressure
    return QPointingDevice("test", 7, kind, pointer, able, 1, 3, "", QPointingDeviceUniqueId())


def pen(window: MainWindow, what: QEvent.Type, x: float, y: float, pressure: float) -> None:
    place = QPointF(*window.canvas.view.to_screen(x, y))
    button = UP if what == QEvent.Type.TabletMove else LEFT
    held = UP if what == QEvent.Type.TabletRelease else LEFT
    stylus = device(QInputDevice.DeviceType.Stylus)
    event = QTabletEvent(
        what, stylus, place, window.canvas.mapToGlobal(place), pressure, 0, 0, 0.0, 0.0, 0.0,
        NONE, button, held,
    )  # fmt: skip
    QCoreApplication.sendEvent(window.canvas, event)


def stroke(window: MainWindow, *pressures: float) -> None:
    """From (20, 45) to the right, a step of 10 pixels for each pressure."""
    pen(window, QEvent.Type.TabletPress, 20, 45, pressures[0])
    for step, pressure in enumerate(pressures[1:], start=1):
        pen(window, QEvent.Type.TabletMove, 20 + 10 * step, 45, pressure)
    pen(window, QEvent.Type.TabletRelease, 20 + 10 * (len(pressures) - 1), 45, 0.0)


def heights(window: MainWindow, *columns: int) -> list[int]:
    """How many pixels of a column are painted."""
    image = window.session.image
    assert image is not None
    bitmap = image.document.shapes[-1].bitmap
    assert bitmap is not None
    return [sum(bitmap.contains(x, y) for y in range(90)) for x in columns]


def test_the_harder_the_pen_presses_the_wider_it_paints(studio: MainWindow) -> None:
    press(studio, Qt.Key.Key_B)
    studio.session.choices.set_brush_radius(10)
    stroke(studio, 0.2, 0.2, 0.2, 1.0, 1.0, 1.0)
    light, full = heights(studio, 25, 68)
    assert light == pytest.approx(4, abs=1)
    assert full == pytest.approx(20, abs=1)
    image = studio.session.image
    assert image is not None
    assert len(image.document.history[0]) == 1


def test_without_the_option_pressure_counts_for_nothing(studio: MainWindow) -> None:
    press(studio, Qt.Key.Key_B)
    studio.session.choices.set_brush_radius(10)
    assert studio.actions_["pressure"].isChecked()
    studio.actions_["pressure"].trigger()
    stroke(studio, 0.1, 0.1, 0.1)
    assert heights(studio, 30) == [pytest.approx(20, abs=1)]


def test_a_pen_draws_with_other_tools_and_a_mouse_stays_a_mouse(studio: MainWindow) -> None:
    press(studio, Qt.Key.Key_R)
    stroke(studio, 0.3, 0.3, 0.3)
    pen(studio, QEvent.Type.TabletPress, 40, 60, 0.5)
    pen(studio, QEvent.Type.TabletMove, 60, 80, 0.5)
    pen(studio, QEvent.Type.TabletRelease, 60, 80, 0.0)
    image = studio.session.image
    assert image is not None
    assert image.document.shapes[-1].kind == "rectangle"
    assert studio.canvas._pressure == 1.0


def test_a_pinch_zooms_about_the_fingers(studio: MainWindow) -> None:
    canvas = studio.canvas
    place = QPointF(*canvas.view.to_screen(30, 40))
    before = canvas.view.scale
    event = QNativeGestureEvent(
        Qt.NativeGestureType.ZoomNativeGesture,
        device(QInputDevice.DeviceType.TouchPad),
        2,
        place,
        place,
        canvas.mapToGlobal(place),
        0.25,
        QPointF(),
    )
    QCoreApplication.sendEvent(canvas, event)
    assert canvas.view.scale == pytest.approx(before * 1.25)
    x, y = canvas.view.to_screen(30, 40)
    assert (x, y) == (pytest.approx(place.x(), abs=1), pytest.approx(place.y(), abs=1))
