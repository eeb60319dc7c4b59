"""Blind images in the real window."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from segstudio.project import settings
from segstudio.project.project import Project
from segstudio.studio.dialogs.settings import SettingsDialog
from segstudio.studio.main_window import MainWindow
from segstudio.studio.open_image import keep_shown, load_drafts
from segstudio.studio.panels.blind import BlindStrip
from tests.studio.conftest import press, sweep
from tests.studio.test_window import add_prediction, open_image, saved, shown, two_drafts

CTRL = Qt.KeyboardModifier.ControlModifier


def make_blind(root: Path) -> str:
    """Every image is blind, and one model has predicted all; its id."""
    for n in (0, 1):
        add_prediction(root, f"images/{n}.png", two_drafts())
    with Project.open(root) as project:
        project.set_manifest(replace(project.manifest, blind=1.0))
        model = project.models.current()
        assert model is not None
        return model.id


def test_drafts_of_a_blind_image_stay_hidden_until_it_is_confirmed(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    model = make_blind(root)
    open_image(window, root, qtbot)
    image, strip = window.session.image, window.findChild(BlindStrip)
    assert image is not None
    assert image.is_blind
    assert not image.document.drafts
    assert strip.isVisible()
    assert "Blind image" in strip.text()
    said: list[str] = []
    window.session.message.connect(lambda words, _: said.append(words))
    window.actions_["newest"].trigger()
    assert said == ["This image is blind: confirm it first."]
    heats: list[object] = []
    window.doubts.heat_made.connect(heats.append)
    window.doubts.show_heat(True)
    assert heats == [None]
    press(window, Qt.Key.Key_R)
    sweep(window, (10, 10), (40, 40), (70, 50))
    press(window, Qt.Key.Key_Return, CTRL)
    assert not strip.isVisible()
    shown(window, "images/1.png", qtbot)
    assert strip.isVisible()
    saved(window, qtbot)
    with Project.open(root, read_only=True) as project:
        review = project.reviews.load("images/0.png")
        assert review is not None
        assert (review.shown, review.blind) == (model, True)
        assert review.confirmed_at > 0
        assert not review.accepted_unchanged
        assert not review.accepted
        assert not review.rejected
        seen = project.predictions.read_shown(model, "images/0.png")
        assert seen is not None


def test_drafts_that_were_looked_at_are_never_blind_later(root: Path) -> None:
    key, labels = "images/0.png", two_drafts()
    add_prediction(root, key, labels)
    with Project.open(root) as project:
        model = project.models.current()
        assert model is not None
        drafts = load_drafts(project, key, project.load(key), model.id)
        keep_shown(project, key, drafts)
        assert not project.reviews.has(key)
        project.set_manifest(replace(project.manifest, blind=1.0))
        assert not project.is_blind(key)
        assert project.is_blind("images/1.png")
        assert len(load_drafts(project, key, project.load(key), model.id).shapes) == 2


def test_a_prediction_that_comes_after_a_blind_image_was_left_is_compared_all_the_same(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    with Project.open(root) as project:
        project.set_manifest(replace(project.manifest, blind=1.0))
    open_image(window, root, qtbot)
    window.session.go("images/1.png")
    shown(window, "images/1.png", qtbot)
    add_prediction(root, "images/0.png", two_drafts())
    project = window.session.project
    assert project is not None
    model = project.models.current()
    assert model is not None
    window.session.go("images/0.png")
    shown(window, "images/0.png", qtbot)
    press(window, Qt.Key.Key_R)
    sweep(window, (10, 10), (40, 40), (70, 50))
    press(window, Qt.Key.Key_Return, CTRL)
    saved(window, qtbot)
    review = project.reviews.load("images/0.png")
    assert review is not None
    assert (review.shown, review.blind, review.strokes) == (model.id, True, 2)
    assert review.confirmed_at > 0


def test_the_share_is_set_in_the_settings_of_the_project(studio: MainWindow, qtbot: QtBot) -> None:
    project = studio.session.project
    assert project is not None
    dialog = SettingsDialog(settings.load(), None, project.manifest, {}, studio)
    assert dialog.blind.text() == "off"
    dialog.blind.setValue(5)
    dialog.chosen.connect(studio.wishes._apply)
    dialog.accept()
    assert project.manifest.blind == 0.05
    with Project.open(project.root, read_only=True) as again:
        assert again.manifest.blind == 0.05
