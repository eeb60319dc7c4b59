"""What the dialog says of the network that is chosen."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from segstudio.engine import protocol as p
from segstudio.networks import choosing
from segstudio.networks.choosing import Machine, Measured, Situation
from segstudio.networks.registry import ARCHITECTURES
from segstudio.project.project import Project
from segstudio.studio.dialogs import TrainDialog
from segstudio.studio.dialogs.comparing import Comparing
from segstudio.studio.dialogs.measuring import Measuring
from segstudio.studio.main_window import MainWindow


def test_where_the_paper_has_a_crf_its_place_here_is_named(qtbot: QtBot) -> None:
    dialog = TrainDialog([], None, Situation(3))
    qtbot.addWidget(dialog)
    for name, has in (("deeplab_v1", True), ("crfrnn", False), ("deeplabv3plus", False)):
        dialog.network.choose(name)
        assert ("CRF" in dialog.good_for.text()) == has
    dialog.network.choose("deeplab_v2")
    assert "Refine outlines" in dialog.good_for.text()


FOUND = Measured("unet", "cpu", 1_000_000, 321, 12, 345)


def shown(qtbot: QtBot) -> TrainDialog:
    dialog = TrainDialog([], None, Situation(3))
    qtbot.addWidget(dialog)
    dialog.know_machine(Machine())
    dialog.show()
    qtbot.waitExposed(dialog)
    return dialog


def instead(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Another program measures."""
    monkeypatch.setattr(choosing, "measuring", lambda *_: [sys.executable, "-c", code])


def test_the_reason_of_the_recommendation_is_said(qtbot: QtBot) -> None:
    dialog = shown(qtbot)
    words = "Recommended for 3 confirmed images, 1 class, without a GPU."
    assert words in dialog.good_for.text()
    dialog.network.choose("lraspp")
    assert "Recommended" not in dialog.good_for.text()
    dialog.know_machine(Machine("cpu", 4000.0, frozenset({"lraspp"})))
    assert "its published weights are here" in dialog.good_for.text()
    choosing.remember(Measured("unet_resnet34", "cuda", 1, 900, 1, 1))
    dialog.know_machine(Machine("cuda", 8000.0, frozenset({"unet_resnet34"})))
    assert dialog.network.currentData() == "unet_resnet34"
    assert "on a GPU" in dialog.good_for.text()
    dialog.know_machine(Machine("cuda", 1000.0, frozenset({"unet_resnet34"})))
    assert dialog.network.currentData() == "unet_mobilenet"  # the other takes more than 80 %


def test_a_network_is_measured_where_it_is_chosen(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog = shown(qtbot)
    line = json.dumps(asdict(FOUND))
    instead(monkeypatch, f"print('torch says hello'); print({line!r})")
    measuring = dialog.measuring
    assert measuring.isVisible()
    QTest.mouseClick(measuring.button, Qt.MouseButton.LeftButton)
    assert measuring.bar.isVisible()
    assert measuring.button.text() == "Stop"
    assert not dialog.compare.isEnabled()
    assert "Measuring U-Net" in measuring.words.text()
    qtbot.waitUntil(lambda: "12 ms to predict" in dialog.good_for.text(), timeout=60000)
    assert measuring.button.text() == "Measure again"  # it may have run beside other work
    assert dialog.compare.isEnabled()
    assert choosing.remembered("cpu") == [FOUND]
    dialog.network.choose("segnet")
    assert measuring.isVisible()
    assert measuring.button.text() == "Measure"


def test_all_that_is_said_of_a_network_can_be_read(qtbot: QtBot) -> None:
    dialog = shown(qtbot)
    for name in ("maskrcnn_light", "unet", "deeplab_v2"):
        dialog.network.choose(name)
        QApplication.processEvents()
        label = dialog.good_for
        assert label.height() >= label.heightForWidth(label.width())


def test_the_network_that_is_gone_on_with_is_named(qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "model.toml").write_text('architecture = "lraspp"\nclasses = ["cell"]\n')
    with Project.create(tmp_path / "project", classes=["cell"]) as project:
        model = project.models.add(
            "lraspp", lambda f: shutil.copy(tmp_path / "model.toml", f) and None
        )
    dialog = TrainDialog([model], None, Situation(3))
    qtbot.addWidget(dialog)
    assert dialog.start.currentData() == ""  # nothing is in force
    assert dialog.network.isEnabled()
    assert dialog.network.currentData() == "unet"
    dialog.start.setCurrentIndex(0)
    assert dialog.network.currentData() == "lraspp"
    assert not dialog.network.isEnabled()
    dialog.start.setCurrentIndex(1)
    assert dialog.network.currentData() == "unet"
    assert TrainDialog([model], model, Situation(3)).network.currentData() == "lraspp"


def test_what_could_not_be_measured_says_why(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    dialog = shown(qtbot)
    instead(monkeypatch, 'print(\'{"error": "no memory"}\'); raise SystemExit(1)')
    QTest.mouseClick(dialog.measuring.button, Qt.MouseButton.LeftButton)
    words = dialog.measuring.words
    qtbot.waitUntil(lambda: "no memory" in words.text(), timeout=60000)
    assert "U-Net could not be measured" in words.text()
    assert dialog.measuring.button.isVisible()


@pytest.mark.parametrize("busy", [False, True])
def test_a_round_that_will_end_is_named(
    studio: MainWindow, monkeypatch: pytest.MonkeyPatch, busy: bool
) -> None:
    monkeypatch.setattr(studio.live, "_job", "7" if busy else "")
    studio.wishes.train()
    (dialog,) = studio.findChildren(TrainDialog)
    words = [label.text() for label in dialog.findChildren(QLabel)]
    assert any("ends when you press Train" in text for text in words) == busy
    dialog.reject()
    monkeypatch.undo()


def test_that_it_begins_light_is_said(qtbot: QtBot) -> None:
    dialog = shown(qtbot)
    assert "light form" in dialog.good_for.text()
    dialog.network.choose("segnet")
    assert "light form" not in dialog.good_for.text()
    dialog.know_machine(Machine("cuda"))
    dialog.network.choose("unet")
    assert "light form" not in dialog.good_for.text()


def compared(dialog: TrainDialog, qtbot: QtBot) -> Comparing:
    QTest.mouseClick(dialog.compare, Qt.MouseButton.LeftButton)
    (found,) = dialog.findChildren(Comparing)
    qtbot.waitExposed(found)
    return found


def names(table: Comparing) -> list[str]:
    """From the top to the bottom."""
    rows = range(table.table.rowCount())
    return [str(table.table.model().index(row, 0).data()) for row in rows]


def test_networks_are_compared_and_one_is_chosen(qtbot: QtBot) -> None:
    for name, times in {"segnet": (9, 800, 80), "lraspp": (10, 41, 9), "unet": (11, 5, 7)}.items():
        choosing.remember(Measured(name, "cpu", 1, *times))
    choosing.remember(Measured("icnet", "cuda", 1, 1, 1, 1))
    dialog = shown(qtbot)
    table = compared(dialog, qtbot)
    assert table.name() == "unet"
    assert len(names(table)) == len(ARCHITECTURES)
    assert "U-Net – recommended" in names(table)
    for column, first in ((3, "U-Net – recommended"), (5, "SegNet")):
        table.table.sortByColumn(column, Qt.SortOrder.AscendingOrder)
        assert names(table)[0] == first
        assert set(names(table)[:3]) == {
            "U-Net – recommended",
            "LR-ASPP with MobileNetV3",
            "SegNet",
        }
    assert table.name() == "unet"  # the choice goes along with its row
    place = table.table.visualItemRect(table.table.item(0, 0)).center()
    QTest.mouseClick(table.table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert table.name() == "segnet"
    assert "1511.00561" in table.about.text()
    QTest.mouseClick(table.ok, Qt.MouseButton.LeftButton)
    assert dialog.network.currentData() == "segnet"
    dialog.know_machine(Machine())  # a person has chosen
    assert dialog.network.currentData() == "segnet"


def test_all_networks_are_measured_one_after_the_other(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ARCHITECTURES:
        if name not in {"unet", "segnet", "icnet"}:
            choosing.remember(Measured(name, "cpu", 1, 50, 50, 50))
    answers = {name: json.dumps(asdict(replace(FOUND, name=name))) for name in ("unet", "icnet")}
    answers["segnet"] = '{"error": "no memory"}'

    def measuring(name: str, _: str) -> list[str]:
        return [sys.executable, "-c", f"print({answers[name]!r})"]

    monkeypatch.setattr(choosing, "measuring", measuring)
    dialog = shown(qtbot)
    table = compared(dialog, qtbot)
    assert table.measuring.words.text().startswith("3 networks have not been measured here")
    QTest.mouseClick(table.measuring.button, Qt.MouseButton.LeftButton)
    assert table.measuring.at_work == "unet"
    qtbot.waitUntil(lambda: not table.measuring.at_work, timeout=60000)
    known = {one.name for one in choosing.remembered("cpu")}
    assert known == set(ARCHITECTURES) - {"segnet"}
    table.table.sortByColumn(3, Qt.SortOrder.AscendingOrder)
    assert set(names(table)[:2]) == {"U-Net – recommended", "ICNet"}
    assert names(table)[-1] == "SegNet"
    assert "12 ms to predict" in dialog.good_for.text()
    assert table.measuring.button.text() == "Measure"
    table.reject()


def test_a_measurement_that_crashes_leaves_the_others_alone(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measuring(name: str, _: str) -> list[str]:
        answer = json.dumps(asdict(replace(FOUND, name=name)))
        crash = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
        return [sys.executable, "-c", crash if name == "refinenet" else f"print({answer!r})"]

    monkeypatch.setattr(choosing, "measuring", measuring)
    one = Measuring("cpu")
    qtbot.addWidget(one)
    one.show()
    one.offer("refinenet", "unet", "icnet")
    QTest.mouseClick(one.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not one.at_work, timeout=60000)
    assert {found.name for found in choosing.remembered("cpu")} == {"unet", "icnet"}
    assert "RefineNet with ResNet-101 could not be measured" in one.words.text()


def test_a_program_that_cannot_be_started_says_so(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "measuring", lambda *_: ["/there/is/none"])
    dialog = shown(qtbot)
    QTest.mouseClick(dialog.measuring.button, Qt.MouseButton.LeftButton)
    words = dialog.measuring.words
    qtbot.waitUntil(lambda: "could not be measured" in words.text(), timeout=60000)
    assert not dialog.measuring.at_work


def test_measuring_is_stopped(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    dialog = shown(qtbot)
    instead(monkeypatch, "input()  # never comes")
    table = compared(dialog, qtbot)
    button = table.measuring.button
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert button.text() == "Stop"
    assert table.measuring.bar.isVisible()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert not table.measuring.at_work
    assert button.text() == "Measure"
    assert not table.measuring.bar.isVisible()
    assert choosing.remembered() == []
    table.reject()


def test_the_process_ends_with_the_dialog(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dialog = shown(qtbot)
    file = tmp_path / "pid"
    code = f"import os, pathlib; pathlib.Path({str(file)!r}).write_text(str(os.getpid()));"
    instead(monkeypatch, f"{code} input()  # never comes")
    QTest.mouseClick(dialog.measuring.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: file.is_file() and bool(file.read_text()), timeout=60000)
    pid = int(file.read_text())
    assert psutil.pid_exists(pid)
    dialog.reject()
    assert not psutil.pid_exists(pid)


def test_the_window_knows_the_machine_as_the_command_line_does(
    studio: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    jobs = studio.jobs
    monkeypatch.setattr(jobs, "probe", lambda: asked.append(True))
    studio.wishes.train()
    found = (w for w in QApplication.topLevelWidgets() if isinstance(w, TrainDialog))
    dialog = next(w for w in found if w.isVisible())
    assert asked
    told = p.Ready("predictor", "cuda", free=1000.0, weights=("unet_mobilenet",))
    jobs._take("predictor", p.decode(p.encode(told)))
    assert dialog._situation.free == 1000.0
    assert dialog.network.currentData() == "unet_mobilenet"
    dialog.reject()
    jobs._take("predictor", told)  # nobody listens any more


def test_a_recipe_is_chosen_by_name(
    studio: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[dict[str, object]] = []
    monkeypatch.setattr(studio.work, "train", lambda *_, **more: trained.append(more))
    for place in range(3):
        studio.wishes.train()
        found = (w for w in QApplication.topLevelWidgets() if isinstance(w, TrainDialog))
        dialog = next(w for w in found if w.isVisible())
        for _ in range(place):
            QTest.keyClick(dialog.recipe, Qt.Key.Key_Down)
        dialog.accept()
    assert trained == [{}, {"name": "polish"}, {"name": "classic"}]
