"""`models --architectures` and `--measure`: the networks there are, and how they do here."""

from __future__ import annotations

import subprocess
from dataclasses import asdict
from pathlib import Path

from segstudio.cli import console
from segstudio.cli.console import FAILED, OK, Result, note, say
from segstudio.networks import choosing
from segstudio.networks.choosing import Measured, Situation
from segstudio.networks.registry import ARCHITECTURES, card_of
from segstudio.project.project import Project
from segstudio.project.touching import share_touching


def architectures() -> Result:
    """The table of cards; `parameters` is for 20 classes."""
    for fault in ARCHITECTURES.faults:
        note(f"segstudio: {fault}")
    cards = list(ARCHITECTURES.values())
    console.say_table(
        ("name", "network", "family", "parameters", "MB", "good for"),
        [
            (
                card.name,
                card.title,
                card.family,
                card.parameters or None,
                round(choosing.size_in_megabytes(card.parameters)) if card.parameters else None,
                card.good_for,
            )
            for card in cards
        ],
    )
    return OK, [
        {
            "name": c.name,
            "title": c.title,
            "family": c.family,
            "parameters": c.parameters,
            "good_for": c.good_for,
            "source": c.source,
        }
        for c in cards
    ]


def measure(folder: Path | None, arch: str | None) -> Result:
    """Measure all networks, or one, each in a process of its own; say which one to take."""
    names = [card_of(arch).name] if arch else list(ARCHITECTURES)
    found: list[Measured] = []
    for name in names:
        note(f"measuring {name} …")
        one = _apart(name)
        if isinstance(one, str):
            note(f"{name}: {one}")
            continue
        choosing.remember(one)
        found.append(one)
    console.say_table(
        ("name", "parameters", "MB", "memory MB", "ms predict", "ms train"),
        [
            (m.name, m.parameters, round(choosing.size_in_megabytes(m.parameters)),
             round(m.memory), round(m.predict_ms), round(m.train_ms))
            for m in found
        ],
    )  # fmt: skip
    facts = [asdict(one) for one in found]
    if not found:
        return FAILED, facts
    situation = _situation(folder)
    advice = choosing.recommend(situation, choosing.remembered(found[0].device))
    say(f"recommended: {advice.name} ({advice.why})")
    return OK, {"measured": facts, "recommended": advice.name, "because": advice.why}


def measure_here(name: str, device: str, json: bool) -> Result:
    """What the processes of `measure` do."""
    from segstudio.learning import device as devices
    from segstudio.learning.measure import measure

    return OK, asdict(measure(name, devices.probe(device)))


def _apart(name: str) -> Measured | str:
    """A measurement from a process of its own, or what went wrong."""
    command = choosing.measuring(name)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode < 0:
        return "ended by the system, most likely for its memory"
    return choosing.read_measured(done.stdout)


def _situation(folder: Path | None) -> Situation:
    """The project's labels, where there is one, and this machine."""
    from segstudio.learning import device
    from segstudio.learning.machine import machine

    root = folder or Path.cwd()
    labelled, classes, touching = 0, 1, 0.0
    if Project.is_project(root):
        with Project.open(root, read_only=True) as project:
            labelled, classes = len(project.confirmed_keys()), len(project.classes.names)
            touching = share_touching(project)
    return Situation(labelled, classes, touching=touching).on(machine(device.probe()))
