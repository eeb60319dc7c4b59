"""Which network: a list in groups, the recommended one first."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QComboBox

from segstudio.networks.registry import ARCHITECTURES, Card
from segstudio.studio.i18n import tr

_QUICK: Final = ("unet", "unet_mobilenet")
_MOST_SHOWN: Final = 24
"""Rows of the open list: with fewer, half of the networks would be below its end."""


def group_of(card: Card) -> str:
    """The heading that a network stands under."""
    if card.name in _QUICK or card.family == "Real time":
        return tr("Quick to start")
    return {
        "U-Net": tr("U-Nets"),
        "DeepLab": tr("DeepLab and dilated"),
        "Dilated convolutions": tr("DeepLab and dilated"),
        "Pyramid": tr("Many scales"),
        "RefineNet": tr("Many scales"),
        "FCN": tr("Classics"),
        "SegNet": tr("Classics"),
        "Transformer": tr("Transformers"),
        "Mask R-CNN": tr("Things, one by one"),
    }.get(card.family, tr("Others"))


class NetworkBox(QComboBox):
    """Networks by name (its data) under headings that cannot be chosen; typing finds a title."""

    def __init__(self) -> None:
        super().__init__()
        self.setMaxVisibleItems(_MOST_SHOWN)
        self.advise("")

    def advise(self, name: str) -> None:
        """Put a network first, as the recommended one; what was chosen stays chosen."""
        chosen = self.currentData()
        groups: dict[str, list[Card]] = {}
        if name:
            groups[tr("Recommended")] = [ARCHITECTURES[name]]
        groups[tr("Quick to start")] = []
        for card in ARCHITECTURES.values():
            if card.name != name:
                groups.setdefault(group_of(card), []).append(card)
        self.blockSignals(True)
        model = QStandardItemModel(self)
        for heading, cards in groups.items():
            if cards:
                model.appendRow(_heading(heading))
            for card in cards:
                model.appendRow(_row(card, card.name == name))
        self.setModel(model)
        self.setCurrentIndex(-1)
        self.blockSignals(False)
        self.choose(str(chosen or name or next(iter(ARCHITECTURES))))

    def choose(self, name: str) -> None:
        """Choose a network by its name."""
        self.setCurrentIndex(self.findData(name))


def _heading(words: str) -> QStandardItem:
    item = QStandardItem(words)
    item.setFlags(Qt.ItemFlag.NoItemFlags)
    font = item.font()
    font.setBold(True)
    item.setFont(font)
    return item


def _row(card: Card, is_advised: bool) -> QStandardItem:
    words = tr("{network} – recommended", network=card.title) if is_advised else card.title
    item = QStandardItem(words)
    item.setData(card.name, Qt.ItemDataRole.UserRole)
    item.setToolTip(card.good_for)
    return item
