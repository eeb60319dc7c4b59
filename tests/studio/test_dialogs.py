"""Dialogs are loaded when they are asked for."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from segstudio.studio import dialogs


@pytest.mark.parametrize("name", sorted(dialogs.MODULES))
def test_each_can_be_had_by_its_name(qtbot: QtBot, name: str) -> None:
    found = getattr(dialogs, name)
    assert found.__name__ == name
    assert callable(found) if name.startswith("ask_") else issubclass(found, QWidget)


def test_what_is_none_is_said() -> None:
    with pytest.raises(AttributeError, match="Nothing"):
        _ = dialogs.Nothing
