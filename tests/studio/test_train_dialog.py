"""What the dialog says of the network that is chosen."""

from __future__ import annotations

from pytestqt.qtbot import QtBot

from segstudio.networks.choosing import Situation
from segstudio.studio.dialogs import TrainDialog


def test_where_the_paper_has_a_crf_its_place_here_is_named(qtbot: QtBot) -> None:
    dialog = TrainDialog([], None, Situation(3))
    qtbot.addWidget(dialog)
    for name, has in (("deeplab_v1", True), ("crfrnn", False), ("deeplabv3plus", False)):
        dialog.network.choose(name)
        assert ("CRF" in dialog.good_for.text()) == has
    dialog.network.choose("deeplab_v2")
    assert "Refine outlines" in dialog.good_for.text()
