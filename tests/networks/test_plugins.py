"""Networks from other packages, installed as a folder with a dist-info on the path."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest
import torch

from segstudio.errors import UserError
from segstudio.networks import registry

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "networks.md"


def install(where: Path, package: str, code: str, entry: str) -> None:
    """What pip leaves behind, as far as importlib.metadata looks."""
    (where / f"{package}.py").write_text(textwrap.dedent(code), "utf-8")
    info = where / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[segstudio.networks]\nmine = {entry}\n", "utf-8")


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> registry.Architectures:
    """A table of networks that has not yet looked for packages; their place is on the path."""
    table = registry.Architectures()
    monkeypatch.delitem(sys.modules, "other_nets", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "ARCHITECTURES", table)
    return table


def test_the_example_of_the_documentation_works(
    tmp_path: Path, fresh: registry.Architectures
) -> None:
    code = GUIDE.read_text("utf-8").split("```python\n")[1].split("```")[0]
    install(tmp_path, "tiny_networks", code, "tiny_networks:CARD")
    assert fresh.faults == ()
    assert list(fresh)[-1] == "tiny"
    network = registry.build("tiny", 4, width=8).eval()
    with torch.inference_mode():
        assert network(torch.randn(1, 3, 33, 50)).shape == (1, 5, 33, 50)


@pytest.mark.parametrize(
    ("code", "entry", "words"),
    [
        ("raise RuntimeError('no licence')", "other_nets:CARD", "no licence"),
        ("CARD = 3", "other_nets:CARD", "3 is not a Card"),
        ("", "other_nets:CARD", "CARD"),
        ("", "nowhere_at_all:CARD", "nowhere_at_all"),
        (
            "from segstudio.networks.registry import ARCHITECTURES, Card\n"
            "CARDS = [Card('unet', 'Mine', 'Mine', '', lambda c, k, o: None)]",
            "other_nets:CARDS",
            "there is a network 'unet' already",
        ),
        (
            "from segstudio.networks.registry import Card\n"
            "CARD = Card('mine', 'Mine', 'Mine', '', lambda c, k, o: None, light={'wide': 2})",
            "other_nets:CARD",
            "light has 'wide'",
        ),
    ],
)
def test_what_is_wrong_with_a_package_is_told_and_the_rest_works(
    tmp_path: Path, fresh: registry.Architectures, code: str, entry: str, words: str
) -> None:
    install(tmp_path, "other_nets", code, entry)
    assert "unet" in fresh
    (fault,) = fresh.faults
    assert fault.startswith("other_nets: ")
    assert words in fault
    with pytest.raises(UserError, match="other_nets"):
        registry.build("theirs", 1)
