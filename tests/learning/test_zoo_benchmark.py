"""The benchmark of all networks measures what it trains, and tells of every step."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from discs import disc_picture

from segstudio.learning import measure
from segstudio.learning.normalise import Normalisation
from segstudio.learning.samples import Item, Labelled, Library


@pytest.fixture
def zoo(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark, on discs and small pictures."""
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[2])
    from benchmarks import zoo

    def material(*_: Any) -> tuple[Library, tuple[str, ...]]:
        pairs = [disc_picture(i) for i in range(4)]
        items = [
            Item(str(i), lambda p=p, m=m: Labelled(p, m.astype("int16")))  # type: ignore[misc]
            for i, (p, m) in enumerate(pairs)
        ]
        return Library(items, Normalisation()), ("disc",)

    monkeypatch.setattr(zoo, "_material", material)
    monkeypatch.setattr(measure, "PICTURE", (64, 96))
    monkeypatch.setattr(zoo.devices, "probe", lambda: zoo.devices.DeviceReport("cpu", "here"))
    return zoo


def row(zoo: ModuleType, *arguments: str) -> Any:
    few = ("--steps", "5", "--batch", "2", "--crop", "64")
    return zoo.run("unet", zoo.zoo_parser().parse_args(["unet", *few, *arguments]))


def test_the_network_that_is_trained_is_measured(zoo: ModuleType) -> None:
    ordinary = row(zoo)
    assert 1.9e6 < ordinary.measured.parameters < 2e6  # not the light form
    small = row(zoo, "--options", '{"width": 4, "depth": 2}')
    assert small.measured.parameters < 50_000
    assert zoo.line(small).startswith("unet width=4 depth=2 ")
    assert zoo.line(ordinary).startswith("unet  ")
    assert zoo.row_of(json.loads(json.dumps(zoo.asdict(small)))) == small
    for found in (ordinary, small):
        assert found.steps == 5
        assert found.first_loss != found.last_loss


def test_a_core_minute_is_one_of_this_process(
    zoo: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks: list[object] = []
    monkeypatch.setattr(zoo, "score", lambda *_: {})

    class Run(zoo.Run):  # type: ignore[misc, name-defined]
        def __init__(self, *given: Any, clock: object, **more: Any) -> None:
            clocks.append(clock)
            super().__init__(*given, clock=clock, **more)

    monkeypatch.setattr(zoo, "Run", Run)
    monkeypatch.setattr(zoo.camvid, "items", lambda part: [])
    for name in ("--core-minutes", "--minutes"):
        found = row(zoo, name, "0.002", "--options", '{"width": 4, "depth": 2}')
        assert found.steps > 0
        assert found.miou == 0.0  # of no pictures
    assert clocks == [time.process_time, time.monotonic]


def test_options_are_records_of_their_own(
    zoo: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[str] = []
    small = row(zoo, "--options", '{"width": 4}')

    def apart(name: str, arguments: list[str]) -> Any:
        options = json.loads(arguments[arguments.index("--options") + 1])
        asked.append(zoo.titled(name, options))
        return zoo.replace(small, options=options)

    monkeypatch.setattr(zoo, "apart", apart)
    for options in ("{}", '{"width": 4}', '{"width": 16}', '{"width": 4}'):
        command = ["zoo", "unet", "--record", str(tmp_path / "r"), "--options", options]
        monkeypatch.setattr(sys, "argv", command)
        assert zoo.main() == 0
    assert asked == ["unet", "unet width=4"]  # width 16 is the card's own
    assert len((tmp_path / "r").read_text().splitlines()) == 2
    assert "unet width=4" in capsys.readouterr().out
