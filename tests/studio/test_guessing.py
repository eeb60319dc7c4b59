"""Round 0 in the real window, with the real predictor."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from segstudio.annotation import components
from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Annotation
from segstudio.annotation.rasterise import label_map
from segstudio.annotation.shape import Shape, mask_shape
from segstudio.engine import protocol
from segstudio.engine.guess import Guesser
from segstudio.project import project as project_module
from segstudio.project.project import Project
from segstudio.project.shape_index import Query, ShapeIndex
from segstudio.studio.canvas.guess import Guess
from segstudio.studio.guesses import Guesses
from segstudio.studio.main_window import MainWindow
from tests.studio.conftest import at, click, hover, make_project, press, sweep

PATIENCE = 120_000


def opened(window: MainWindow, root: Path, qtbot: QtBot) -> list[Guess | None]:
    """Open the project with guessing on; what was guessed comes into the list."""
    made: list[Guess | None] = []
    window.guessing.made.connect(made.append)
    window.guessing.enabled = True
    window.open_folder(root)
    qtbot.waitUntil(lambda: window.session.image is not None, timeout=20_000)
    return made


def wait_for_a_guess(made: list[Guess | None], qtbot: QtBot) -> Guess:
    qtbot.waitUntil(lambda: bool(made) and made[-1] is not None, timeout=PATIENCE)
    guess = made[-1]
    assert guess is not None
    return guess


def paint(window: MainWindow, digit: Qt.Key, *places: tuple[float, float]) -> None:
    press(window, Qt.Key.Key_Escape)
    press(window, digit)
    sweep(window, *places)


def paint_two(window: MainWindow) -> None:
    """A stroke of each class."""
    window.use_tool("brush")
    window.session.choices.set_brush_radius(3)
    paint(window, Qt.Key.Key_1, (36, 36), (44, 44))
    paint(window, Qt.Key.Key_2, (80, 70), (100, 80))


def test_two_strokes_show_the_rest_of_the_picture(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    made = opened(window, root, qtbot)
    window.use_tool("brush")
    window.session.choices.set_brush_radius(3)
    paint(window, Qt.Key.Key_1, (36, 36), (44, 44))
    assert not made  # one class tells nothing apart
    paint(window, Qt.Key.Key_2, (80, 70), (100, 80))
    guess = wait_for_a_guess(made, qtbot)
    alpha = guess.pixels >> 24
    down, across = np.mgrid[:90, :120]
    disc = (across - 40) ** 2 + (down - 40) ** 2 < 13**2
    colour = guess.pixels[32, 40]
    assert alpha[disc].mean() > 60
    assert alpha[40, 40] == 0  # a person's own pixels are not guessed over
    assert (guess.pixels[disc & (alpha > 0)] == colour).mean() > 0.5
    assert window.session.image is not None
    assert not window.session.image.document.drafts
    for _ in range(2):
        window._undo()
    assert made[-1] is None  # there is nothing it could be learned from any more
    for _ in range(2):
        window._redo()
    wait_for_a_guess(made, qtbot)
    window.actions_["guess"].trigger()
    assert made[-1] is None


def test_the_next_image_opens_with_guesses_as_drafts(
    window: MainWindow, root: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    label_first(root)
    threads = seen_threads(monkeypatch)
    opened(window, root, qtbot)
    image = window.session.image
    assert image is not None
    assert image.key == "images/1.png"
    qtbot.waitUntil(lambda: bool(image.document.drafts), timeout=PATIENCE)
    drafts = image.document.drafts
    assert {shape.class_name for shape in drafts} == {"cell"}
    assert {shape.model for shape in drafts} == {"round-0"}
    assert threads
    assert threading.main_thread() not in threads  # making shapes of a large guess takes long
    assert window.session.state(image.key) == "none"
    qtbot.waitUntil(window.actions_["accept"].isEnabled, timeout=20_000)
    click(window, 50, 40)
    press(window, Qt.Key.Key_Y)
    assert window.session.writing.now()
    with Project.open(root, read_only=True) as project:
        (kept,) = project.load(image.key).shapes
    assert (kept.source, kept.model) == ("model", "round-0")


def test_what_is_guessed_is_accepted_by_region_and_by_confirming(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    made = opened(window, root, qtbot)
    session = window.session
    paint_two(window)
    wait_for_a_guess(made, qtbot)
    image = session.image
    assert image is not None
    qtbot.waitUntil(window.actions_["accept"].isEnabled, timeout=20_000)
    assert not window.actions_["reject_all"].isEnabled()
    shown = np.zeros(image.document.size, int)
    for value, name in enumerate(("cell", "dirt"), start=1):
        for guess in image.guesses:
            if guess.class_name == name and guess.bitmap is not None:
                shown[guess.bitmap.to_array((0, 0, 120, 90))] = value
    drawn = list(image.document.shapes)

    told: list[str] = []
    session.message.connect(lambda words, kind: told.append(words))
    rows, columns = np.nonzero(shown)
    middle = len(rows) // 2
    hover(window, columns[middle] + 0.5, rows[middle] + 0.5)
    press(window, Qt.Key.Key_Escape)
    press(window, Qt.Key.Key_Delete)
    assert any("follows your strokes" in words for words in told)
    assert image.document.shapes == drawn

    made.clear()
    press(window, Qt.Key.Key_Escape)
    QTest.mouseMove(window.canvas, at(window, 40, 32))
    press(window, Qt.Key.Key_Y)
    (taken,) = [s for s in image.document.shapes if s.model == "round-0"]
    assert taken.class_name == "cell"
    assert taken.bitmap is not None
    assert taken.bitmap.to_array((40, 32, 41, 33)).all()
    assert not image.desk.selection  # the next stroke is not for that shape alone
    window._undo()
    assert list(image.document.shapes) == drawn
    wait_for_a_guess(made, qtbot)

    press(window, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert image.document.confirmed
    kept = [s for s in image.document.shapes if s.model == "round-0"]
    assert kept
    values = {"cell": 1, "dirt": 2}
    labels = label_map(image.document.shapes, values, image.document.size)
    assert (labels == shown)[shown > 0].mean() > 0.95
    image.document.undo()  # one step takes all of it back
    assert list(image.document.shapes) == drawn
    assert not image.document.confirmed
    image.document.redo()
    assert session.writing.now()
    index = ShapeIndex(None)
    with Project.open(root, read_only=True) as project:
        index.refresh(project)
    count, hits = index.find(Query(sources=("guess",)), 100)
    index.close()
    assert count == len(kept)
    assert {hit.source for hit in hits} == {"guess"}


def test_a_guess_that_undo_gave_back_is_accepted_by_confirming(
    window: MainWindow, root: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = opened(window, root, qtbot)
    session = window.session
    paint_two(window)
    wait_for_a_guess(made, qtbot)
    monkeypatch.setattr(window.guessing, "_ask", lambda: None)  # the next guess is slow to come
    image = session.image
    assert image is not None
    drawn, offered = list(image.document.shapes), image.guesses
    assert offered
    session.reviewing.accept_all()
    assert not image.has_offers
    assert not image.guesses
    window._undo()
    assert list(image.document.shapes) == drawn
    assert image.has_offers
    assert image.guesses == offered
    window._redo()
    assert not image.has_offers
    window._undo()
    session.reviewing.confirm_and_next()
    assert len(image.document.shapes) > len(drawn)


def test_an_image_that_was_left_keeps_no_guess(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    opened(window, root, qtbot)
    image = window.session.image
    assert image is not None
    one_class = np.ones(image.document.size, np.uint8)
    image.guessed = Guesses(one_class, one_class, {1: "cell"})
    window.session.step(1)
    qtbot.waitUntil(lambda: window.session.image not in (None, image), timeout=20_000)
    assert image.guessed is None


def test_nothing_is_guessed_beside_the_picture() -> None:
    labels = np.zeros((20, 30), np.uint8)
    labels[10:, 20:] = 1
    found = Guesses(labels, np.full(labels.shape, 200, np.uint8), {1: "cell"})
    (shape,) = found.shapes
    assert (found.class_at(29, 19), found.at(29, 19, found.shapes)) == ("cell", shape)
    for x, y in ((30, 19), (29, 20), (-1, 19), (29, -1), (3000, 3000)):
        assert found.class_at(x, y) is None
        assert found.at(x, y, found.shapes) is None


def test_a_guess_that_is_hardly_seen_is_none() -> None:
    """It would be confirmed unseen."""
    labels = np.zeros((40, 60), np.uint8)
    labels[:, 20:30], labels[:, 40:] = 1, 2
    margin = np.where(labels == 1, 5, 120).astype(np.uint8)
    found = Guesses(labels, margin, {1: "cell", 2: "dirt"})
    assert [shape.class_name for shape in found.shapes] == ["dirt"]
    assert found.class_at(25, 5) is None
    everything = np.ones((40, 60), np.uint8)
    assert not Guesses(everything, np.full((40, 60), 5, np.uint8), {1: "cell"}).shapes


def seen_threads(monkeypatch: pytest.MonkeyPatch) -> set[threading.Thread]:
    """The threads that make shapes of a guess from now on."""
    threads: set[threading.Thread] = set()
    really = components.drafts

    def drafts(*args: Any, **more: Any) -> Iterable[Shape]:
        threads.add(threading.current_thread())
        return really(*args, **more)

    monkeypatch.setattr(components, "drafts", drafts)
    return threads


def test_guesses_an_image_opened_with_follow_the_strokes(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    label_first(root)
    made = opened(window, root, qtbot)
    image = window.session.image
    assert image is not None
    qtbot.waitUntil(lambda: bool(image.document.drafts), timeout=PATIENCE)
    window.use_tool("brush")
    paint(window, Qt.Key.Key_2, (80, 70), (100, 80))
    wait_for_a_guess(made, qtbot)
    assert not image.document.drafts  # one layer of guesses, not two
    assert {s.class_name for s in image.guesses} >= {"cell"}


def test_a_guess_that_was_rejected_does_not_come_again(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    label_first(root)
    made = opened(window, root, qtbot)
    image = window.session.image
    assert image is not None
    qtbot.waitUntil(lambda: bool(image.document.drafts), timeout=PATIENCE)
    click(window, 50, 40)
    press(window, Qt.Key.Key_Delete)
    gone = image.rejected()
    assert gone
    window.use_tool("brush")
    paint(window, Qt.Key.Key_2, (80, 70), (100, 80))
    guess = wait_for_a_guess(made, qtbot)
    bitmap = gone[0].bitmap
    assert bitmap is not None
    assert not (guess.pixels >> 24)[bitmap.to_array((0, 0, 120, 90))].any()


def opened_with_drafts(window: MainWindow, root: Path, qtbot: QtBot) -> list[Guess | None]:
    """The second picture, with two discs that are guessed by the first one."""
    label_first(root)
    yy, xx = np.mgrid[:90, :120]
    discs = (xx - 40) ** 2 + (yy - 40) ** 2 < 15**2
    discs |= (xx - 90) ** 2 + (yy - 25) ** 2 < 12**2
    Image.fromarray(np.where(discs, 200, 60).astype(np.uint8)).save(root / "images" / "1.png")
    made = opened(window, root, qtbot)
    image = window.session.image
    assert image is not None
    qtbot.waitUntil(lambda: len(image.document.drafts) == 2, timeout=PATIENCE)
    return made


@pytest.mark.parametrize("decide", [Qt.Key.Key_Y, Qt.Key.Key_Delete])
def test_the_other_guesses_follow_the_strokes_when_one_was_decided(
    window: MainWindow, root: Path, qtbot: QtBot, decide: Qt.Key
) -> None:
    made = opened_with_drafts(window, root, qtbot)
    image = window.session.image
    assert image is not None
    drafts = list(image.document.drafts)
    qtbot.waitUntil(window.actions_["accept"].isEnabled, timeout=20_000)
    click(window, 40, 40)
    press(window, decide)
    assert len(image.document.drafts) == 1
    window.use_tool("brush")
    paint(window, Qt.Key.Key_2, (10, 80), (60, 80))
    wait_for_a_guess(made, qtbot)
    assert not image.document.drafts  # one layer of guesses, not two
    assert image.guesses
    assert bool(image.rejected()) == (decide == Qt.Key.Key_Delete)
    while image.document.undo_name:
        window._undo()
    assert list(image.document.drafts) == drafts  # as it was opened
    assert made[-1] is None
    assert not image.rejected()
    for _ in range(2):
        window._redo()
    assert not image.document.redo_name
    wait_for_a_guess(made, qtbot)
    assert not image.document.drafts
    assert bool(image.rejected()) == (decide == Qt.Key.Key_Delete)


def test_when_all_strokes_are_taken_back_there_is_one_layer_of_guesses(
    window: MainWindow, root: Path, qtbot: QtBot
) -> None:
    made = opened_with_drafts(window, root, qtbot)
    image = window.session.image
    assert image is not None
    window.use_tool("brush")
    paint(window, Qt.Key.Key_2, (10, 80), (60, 80))
    wait_for_a_guess(made, qtbot)
    assert not image.document.drafts
    window._undo()
    qtbot.waitUntil(lambda: bool(image.document.drafts), timeout=PATIENCE)
    assert image.guessed is None
    assert made[-1] is None


def label_first(root: Path) -> None:
    down, across = np.mgrid[:90, :120]
    disc = (across - 40) ** 2 + (down - 40) ** 2 < 15**2
    with Project.open(root) as project:
        shape = mask_shape("cell", Bitmap.from_array(disc))
        project.save("images/0.png", Annotation(120, 90, (shape,), confirmed=True))


def test_nothing_is_guessed_once_there_is_a_model(
    window: MainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    from segstudio.project import sample

    root = make_project(tmp_path / "with-model", classes=("nucleus", "dirt"))
    with Project.open(root) as project:
        sample.add_starter(project)
    made = opened(window, root, qtbot)
    window.use_tool("brush")
    paint(window, Qt.Key.Key_1, (36, 36), (44, 44))
    paint(window, Qt.Key.Key_2, (80, 70), (100, 80))
    assert window.session.writing.now()
    assert not made
    assert not [job for job in window.jobs.jobs.values() if job.title == "Guessing"]


def told_by(window: MainWindow) -> list[str]:
    told: list[str] = []
    window.session.message.connect(lambda words, kind: told.append(words))
    return told


def test_with_one_class_it_is_said_what_a_guess_takes(
    window: MainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    made = opened(window, make_project(tmp_path / "one", classes=("cell",)), qtbot)
    told = told_by(window)
    window.use_tool("brush")
    paint(window, Qt.Key.Key_1, (36, 36), (44, 44))
    assert [words for words in told if "paint some background" in words]
    paint(window, Qt.Key.Key_1, (38, 36), (46, 44))
    assert sum("paint some background" in words for words in told) == 1
    assert made == []


def test_confirmed_images_that_say_nothing_of_the_rest_are_not_enough(
    window: MainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    root = make_project(tmp_path / "one", classes=("cell",))
    with Project.open(root) as project:
        project.set_manifest(replace(project.manifest, unlabelled="ignore"))
        square = mask_shape("cell", Bitmap.from_array(np.ones((9, 9), bool)))
        project.save("images/0.png", Annotation(120, 90, (square,), confirmed=True))
    opened(window, root, qtbot)
    told = told_by(window)
    window.use_tool("brush")
    paint(window, Qt.Key.Key_1, (46, 36), (54, 44))
    qtbot.waitUntil(
        lambda: any("paint some background" in words for words in told), timeout=PATIENCE
    )


def test_pictures_that_are_never_decoded_as_a_whole_are_not_guessed_and_not_learned_from(
    window: MainWindow, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_project(tmp_path / "large")
    Image.fromarray(np.zeros((300, 400, 3), np.uint8)).save(root / "images" / "0.png")
    monkeypatch.setattr(project_module, "_LARGE", 50_000)
    made = opened(window, root, qtbot)
    told = told_by(window)
    paint_two(window)
    assert any("too large for guesses" in words for words in told)
    assert window.session.writing.now()
    window.session.go("images/1.png")
    qtbot.waitUntil(
        lambda: window.session.image is not None and window.session.image.key == "images/1.png",
        timeout=20_000,
    )
    assert window.session.state("images/0.png") == "edited"
    assert window.guessing._examples("images/1.png") == []
    assert not window.jobs.jobs
    assert made == []


def test_the_predictor_decodes_no_large_picture_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_project(tmp_path / "large")
    with Project.open(root) as project:
        halves = [np.zeros((90, 120), bool) for _ in range(2)]
        halves[0][:, :60], halves[1][:, 60:] = True, True
        shapes = (
            mask_shape("cell", Bitmap.from_array(halves[0])),
            mask_shape("dirt", Bitmap.from_array(halves[1])),
        )
        project.save("images/0.png", Annotation(120, 90, shapes))
    guesser = Guesser()
    request = protocol.Guess("j", str(root), "images/1.png", ("images/0.png",))
    found = guesser.guess(request)["file"]
    assert Path(found).is_file()
    guesser.close()
    monkeypatch.setattr(project_module, "_LARGE", 5_000)
    monkeypatch.setattr(Project, "read_image", None)
    assert Guesser().guess(request)["file"] == ""
