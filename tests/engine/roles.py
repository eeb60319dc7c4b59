"""A child whose jobs wait for the test instead of working, run as a program by the tests."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping
from typing import Any

from segstudio.engine import protocol
from segstudio.engine.main import serve
from segstudio.engine.worker import Control, Worker
from segstudio.errors import Cancelled, UserError


def work(worker: Worker, request: protocol.Segment, control: Control) -> Mapping[str, Any]:
    """The project's name says what happens."""
    if request.project == "lets pass":
        control.running.clear()  # until the test resumes it
    worker.send(protocol.Progress(request.job, 0, 1, text="begun"))
    match request.project:
        case "waits":  # a good job: looks at its switch
            control.stopped.wait()
            raise Cancelled
        case "saves":  # until the test stops it a second time
            control.stopped.wait()
            control.stopped.clear()
            worker.send(protocol.Saving(request.job))
            control.stopped.wait()
        case "hangs":  # a bad one
            threading.Event().wait()
        case "dies":
            print("last words", file=sys.stderr, flush=True)
            os._exit(7)
        case "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "is wrong":
            raise UserError("That cannot be", remedy="Do something else")
        case "breaks":
            raise ZeroDivisionError("by zero")
        case "lets pass":
            control.wait_while_paused()
            worker.take_urgent()
        case "talks nonsense":
            worker._connection.send_bytes(b"{")
            threading.Event().wait()
        case "prints":
            print("a stray print")
    return {"images": list(request.images)}


def is_urgent(request: protocol.Message) -> bool:
    return isinstance(request, protocol.Segment) and request.model == "urgent"


if __name__ == "__main__":
    serve({protocol.Segment: work}, is_urgent)
