"""What commands say: progress on stderr, results on stdout, one JSON object at the end."""

from __future__ import annotations

import json
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, TextIO

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130
_EVERY: Final = 0.2  # seconds between two progress lines on a terminal
_EVERY_IN_LOG: Final = 10.0


def say(text: str = "") -> None:
    """A line of the result, on stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """A line about the work, on stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def say_json(value: object) -> None:
    """One line of JSON; numbers that are none (NaN, infinity) become null."""
    say(json.dumps(_plain(value), ensure_ascii=False, default=str))


def say_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns: text to the left, numbers to the right."""
    cells = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    right = [all(_is_number(row[i]) for row in rows) and bool(rows) for i in range(len(header))]
    for row in cells:
        parts = (
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(row, widths, right, strict=True)
        )
        say("  ".join(parts).rstrip())


class Progress:
    """A line "segmenting 214/400 · 3.1/s · 1 min left" that renews itself.

    Rate and time left come from the caller when it knows them, else from the clock.
    """

    def __init__(self, verb: str, stream: TextIO | None = None) -> None:
        self._verb = verb
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._began = time.monotonic()
        self._shown = -math.inf
        self._dirty = False

    def step(
        self,
        done: float,
        total: float,
        text: str = "",
        rate: float = 0.0,
        left: float | None = None,
    ) -> None:
        now = time.monotonic()
        if now - self._shown < (_EVERY if self._live else _EVERY_IN_LOG) and done < total:
            return
        self._shown = now
        if not rate and done and now > self._began:
            rate = done / (now - self._began)
        if left is None and rate:
            left = (total - done) / rate
        self._write(progress_line(self._verb, done, total, text, rate, left))

    def close(self) -> None:
        """Leave the last line standing."""
        if self._dirty and self._live:
            self._stream.write("\n")
        self._dirty = False

    def _write(self, line: str) -> None:
        self._stream.write(f"\r\x1b[2K{line}" if self._live else f"{line}\n")
        self._stream.flush()
        self._dirty = True


def progress_line(
    verb: str, done: float, total: float, text: str, rate: float, left: float | None
) -> str:
    parts = [f"{verb} {round(done)}/{round(total)}" if total else verb]
    if rate:
        parts.append(f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each")
    if left is not None and done < total:
        parts.append(f"{duration(left)} left")
    if text:
        parts.append(text)
    return " · ".join(parts)


def duration(seconds: float) -> str:
    """`8 s`, `3 min`, `2 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


class Stopper:
    """Whether the user asked to stop."""

    def __init__(self) -> None:
        self.stopped = False

    def __call__(self) -> bool:
        return self.stopped


@contextmanager
def stoppable() -> Iterator[Stopper]:
    """Ctrl+C asks the job to stop and tidy up; a second one ends it at once."""
    stopper = Stopper()

    def ask(number: int, frame: FrameType | None) -> None:
        if stopper.stopped:
            raise KeyboardInterrupt
        stopper.stopped = True
        note("\nStopping; press Ctrl+C again to end at once.")

    old = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopper
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


Result = tuple[int, Any]
"""(exit code, what --json prints)"""
Command = Callable[..., Result]


def _plain(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _is_number(value: object) -> bool:
    return value is None or isinstance(value, int | float)
