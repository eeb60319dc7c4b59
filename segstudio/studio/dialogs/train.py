"""Ask how to train: what to start from, which network, how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QPushButton, QWidget

from segstudio.networks import choosing
from segstudio.networks.choosing import MANY_TOUCH, Advice, Machine, Measured, Situation
from segstudio.networks.registry import ARCHITECTURES, Card
from segstudio.project.models import ModelInfo
from segstudio.studio.dialogs.base import FolderField, Form, beside
from segstudio.studio.dialogs.comparing import Comparing
from segstudio.studio.dialogs.measuring import Measuring
from segstudio.studio.dialogs.networks import NetworkBox
from segstudio.studio.i18n import tr
from segstudio.studio.panels.model import model_line
from segstudio.studio.widgets import faint


class TrainDialog(Form):
    """Emits `chosen`: architecture ("" as the start), model to start from ("" none), minutes,
    the weights: "" as the network's card says, "none", or a file, the name of a recipe ("" the
    usual one), and what rectangles are: "boxes", "" the things themselves, None when that was no
    question."""

    chosen = Signal(str, str, float, str, str, object)

    def __init__(
        self,
        models: Sequence[ModelInfo],
        current: ModelInfo | None,
        situation: Situation,
        parent: QWidget | None = None,
        device: str = "auto",
        round_goes_on: bool = False,
    ) -> None:
        super().__init__(parent, tr("Train"), tr("Train"))
        self._measured: dict[str, Measured] = {}
        self.start = QComboBox()
        for model in reversed(models):
            words = tr("go on from {model}", model=model_line(model))
            self.start.addItem(words, model.id)
            if current is not None and model.id == current.id:
                self.start.setCurrentIndex(self.start.count() - 1)
        self.start.addItem(tr("from scratch"), "")
        if current is None:
            self.start.setCurrentIndex(self.start.count() - 1)
        self._networks = {model.id: model.architecture for model in models}
        self.network = NetworkBox()
        self._situation, self._chosen_by_hand = situation, False
        self.network.activated.connect(self._keep_choice)
        self._advise()
        self.good_for = faint(wrap=True)
        self._device = device
        self.measuring = Measuring(device)
        self.measuring.measured.connect(self._know_measured)
        self.compare = QPushButton(tr("Compare …"))
        self.compare.setAutoDefault(False)
        self.compare.clicked.connect(self._compare)
        self.measuring.busy.connect(self.compare.setDisabled)  # two at once would slow each other
        self.finished.connect(lambda _: self.measuring.stop())
        files = tr("models") + " (*.pth *.pt *.safetensors)"
        self.weights = FolderField(
            hint=tr("empty: what is published, if it can be had; none; or a file"), wanted=files
        )
        self.recipe = QComboBox()
        self.recipe.addItem(tr("as usual"), "")
        self.recipe.addItem(tr("polish: a long last run, ever more gently"), "polish")
        self.recipe.addItem(tr("the textbook's: SGD, cosine, stops early"), "classic")
        self.minutes = QDoubleSpinBox(minimum=0.2, maximum=24 * 60, value=10, decimals=1)
        self.minutes.setSuffix(tr(" minutes"))
        self.rows.addRow(tr("Start"), self.start)
        self.rows.addRow(tr("Network"), beside(self.network, self.compare))
        self.rows.addRow("", self.good_for)
        self.rows.addRow("", self.measuring)
        self.rows.addRow(tr("Pretrained"), self.weights)
        self.rectangles = QComboBox()
        self.rectangles.addItem(tr("boxes around things: learn what is in them"), "boxes")
        self.rectangles.addItem(tr("the things themselves"), "")
        self.rows.addRow(tr("Rectangles are"), self.rectangles)
        self.rows.setRowVisible(self.rectangles, False)
        self.rows.addRow(tr("Recipe"), self.recipe)
        self.rows.addRow(tr("For at most"), self.minutes)
        words = tr(
            "Learns from {n} confirmed images and from strokes on others. You can go on drawing; "
            "the new model is put in force only if it is better on the validation images.",
            n=situation.labelled,
        )
        if round_goes_on:
            words += "\n" + tr("The round that it learns by itself now ends when you press Train.")
        about = faint(words)
        about.setWordWrap(True)
        self.rows.addRow(about)
        self.start.currentIndexChanged.connect(self._check)
        self.network.currentIndexChanged.connect(self._check)
        self.accepted.connect(self._tell)
        self._check()

    def know_touching(self, share: float) -> None:
        """That this share of the things touch others, which was not known at first."""
        self._situation = replace(self._situation, touching=share)
        self._advise()

        self._check()

    def know_machine(self, machine: Machine) -> None:
        """What there is to learn with, which was not known at first."""
        self._situation = self._situation.on(machine)
        self._measured = {one.name: one for one in choosing.remembered(machine.device)}
        self._advise()
        self._check()

    def _know_measured(self, one: Measured) -> None:
        self._measured[one.name] = one
        self._advise()
        self._check()

    def _advise(self) -> None:
        """Say which network is recommended, and choose it unless a person has chosen."""
        self._advice = choosing.recommend(self._situation, self._measured.values())
        self.network.advise(self._advice.name)
        if not self._chosen_by_hand:
            self.network.choose(self._advice.name)

    def _keep_choice(self) -> None:
        self._chosen_by_hand = True

    def _compare(self) -> None:
        now, advised = str(self.network.currentData()), self._advice.name
        dialog = Comparing(self._measured, now, advised, self._device, self)
        dialog.measured.connect(self._know_measured)
        dialog.chosen.connect(self._choose)
        dialog.open()

    def _choose(self, name: str) -> None:
        self._keep_choice()
        self.network.choose(name)

    def ask_rectangles(self, now: str) -> None:
        """Ask what rectangles are: "boxes", or "" the things themselves; for any other word the
        first answer is offered."""
        self.rectangles.setCurrentIndex(max(0, self.rectangles.findData(now)))
        self.rows.setRowVisible(self.rectangles, True)
        self.grow()

    def _check(self) -> None:
        """A model goes on as the network it is."""
        scratch = not self.start.currentData()
        if not scratch:
            self.network.choose(self._networks[self.start.currentData()])
        elif not self.network.isEnabled() and not self._chosen_by_hand:
            self.network.choose(self._advice.name)
        self.network.setEnabled(scratch)
        self.compare.setVisible(scratch)
        card = ARCHITECTURES[self.network.currentData()]
        self.good_for.setText(self._facts(card) if scratch else "")
        self.rows.setRowVisible(self.good_for, scratch)
        self.rows.setRowVisible(self.measuring, scratch)
        self.measuring.offer(card.name, again=card.name in self._measured)
        self.rows.setRowVisible(self.weights, scratch and bool(card.weights))
        self.grow()

    def _facts(self, card: Card) -> str:
        """What it is good for, how large it is, and how it did when it was measured here."""
        lines = [card.good_for]
        if card.name == self._advice.name:
            lines.append(reason(self._advice))
        if card.light and not self._situation.gpu:
            words = tr(
                "Without a GPU it begins in a light form: several times as many steps a minute, "
                "outlines a little less sharp."
            )
            lines.append(words)
        if card.answers == "instances":
            lines.append(tr("Learns from confirmed images alone, where each shape is a thing."))
        if card.snaps:
            words = tr(
                "Its paper draws outlines to the edges with a dense CRF afterwards: "
                "here Edit › Refine outlines does that."
            )
            lines.append(words)
        if card.parameters:
            size = f"{choosing.size_in_megabytes(card.parameters):,.0f}"
            millions = f"{card.parameters / 1e6:.1f}"
            words = tr("{n} million parameters, {size} MB on the disk", n=millions, size=size)
            lines.append(words)
        one = self._measured.get(card.name)
        if one is not None:
            words = tr(
                "Measured here, 480x360: {predict} ms to predict, {train} ms to learn, "
                "{memory} MB of memory",
                predict=f"{one.predict_ms:,.0f}",
                train=f"{one.train_ms:,.0f}",
                memory=f"{one.memory:,.0f}",
            )
            lines.append(words)
        return "\n".join(lines)

    def _tell(self) -> None:
        start = str(self.start.currentData())
        network = "" if start else str(self.network.currentData())
        pretrained = self.weights.text() if self.rows.isRowVisible(self.weights) else ""
        asked = self.rows.isRowVisible(self.rectangles)
        rectangles = str(self.rectangles.currentData()) if asked else None
        recipe = str(self.recipe.currentData())
        self.chosen.emit(network, start, self.minutes.value(), pretrained, recipe, rectangles)


def reason(advice: Advice) -> str:
    """Why that network is recommended."""
    if not advice.fits:
        return tr("Recommended: nothing faster or larger fits this machine.")
    about = advice.situation
    parts = [
        tr("{n} confirmed image|{n} confirmed images", n=about.labelled),
        tr("{n} class|{n} classes", n=about.classes),
        tr("on a GPU") if about.gpu else tr("without a GPU"),
    ]
    if about.touching >= MANY_TOUCH:
        parts.insert(2, tr("{share} of the things touch others", share=f"{about.touching:.0%}"))
    if advice.pretrained:
        parts.append(tr("its published weights are here"))
    return tr("Recommended for {facts}.", facts=tr(", ").join(parts))
