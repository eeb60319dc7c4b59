"""What the benchmarks share: a table and one JSON object, medians of interleaved runs, peers."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
DATA = Path(os.environ.get("SEGSTUDIO_SHARED", _BESIDE))
"""Development data; the same variable as in the tests."""


@dataclass(frozen=True)
class Measure:
    """One claim: our figure beside the reference's. `target` is how the ratio should be."""

    name: str
    ours: float
    reference: float
    unit: str
    what: str
    target: str = ""

    @property
    def ratio(self) -> float:
        return self.ours / self.reference if self.reference else float("nan")


def parser(about: str) -> argparse.ArgumentParser:
    """A command line with `--json`."""
    result = argparse.ArgumentParser(description=about)
    result.add_argument("--json", action="store_true", help="end with one JSON object")
    return result


def report(measures: Sequence[Measure], as_json: bool) -> None:
    """Print the table and, when asked, the JSON object as the last line."""
    print(f"{'measure':<22} {'ours':>12} {'reference':>12} {'ratio':>8}  unit   target")
    for m in measures:
        line = f"{m.name:<22} {m.ours:>12.4g} {m.reference:>12.4g} {m.ratio:>8.3f}  {m.unit:<6} "
        print(f"{line}{m.target}")
        print(f"{'':<22} {m.what}")
    if as_json:
        facts = {
            m.name: {"ours": m.ours, "reference": m.reference, "ratio": m.ratio, "unit": m.unit}
            for m in measures
        }
        print(json.dumps(facts))


def seconds(act: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def interleaved(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> list[float]:
    """Medians of both, measured in turns so that a noisy machine is noisy for both."""
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*pairs, strict=True)]


def peer(package: str) -> Path:
    """The Python of an environment of its own that holds `package` (made at the first use)."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    home = cache / "segstudio-benchmarks" / package.replace("==", "-")
    python = home / "bin" / "python"
    done = home / "installed"
    if not done.exists():
        print(f"installing {package} into {home} …", file=sys.stderr)
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", package], check=True)
        done.touch()
    return python


def need(folder: Path) -> Path:
    """A folder of data, or a clear end."""
    if not folder.is_dir():
        sys.exit(f"This benchmark needs {folder}; SEGSTUDIO_SHARED names the data folder.")
    return folder
