"""Entry of a child process: `python -m segstudio.engine.main predictor|trainer|files`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Client, Connection

import psutil

from segstudio.engine.child import ADDRESS, KEY
from segstudio.engine.protocol import Message
from segstudio.engine.worker import Handler, Worker


def connect() -> Connection:
    """Call the window that started this process; its address and key are in the environment."""
    address, key = os.environ.pop(ADDRESS), bytes.fromhex(os.environ.pop(KEY))
    return Client(address, authkey=key)


def serve(
    handlers: Mapping[type[Message], Handler],
    is_urgent: Callable[[Message], bool] = lambda request: False,
) -> None:
    """Answer the window's requests until it goes."""
    # Ctrl+C in a terminal goes to the whole group; only the window decides when to end
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with connect() as connection:
        Worker(connection, handlers, is_urgent).run()


def work_politely() -> None:
    """Below-normal priority, so that drawing stays smooth while a network learns."""
    with contextlib.suppress(psutil.Error, OSError):
        windows = getattr(psutil, "BELOW_NORMAL_PRIORITY_CLASS", None)
        psutil.Process().nice(windows if windows is not None else 5)


def main(arguments: Sequence[str] | None = None) -> int:
    from segstudio.engine import jobs

    names = sys.argv[1:] if arguments is None else list(arguments)
    if len(names) != 1 or names[0] not in jobs.ROLES or ADDRESS not in os.environ:
        print(f"started by the window, with one of: {', '.join(jobs.ROLES)}", file=sys.stderr)
        return 2
    if names[0] != "predictor":
        work_politely()
    serve(jobs.ROLES[names[0]](), jobs.is_urgent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
