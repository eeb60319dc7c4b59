"""From process start to the first painted window: ours and Labelme 6.3.1, in turns.

Both start with the same picture folder on the same screen (an X server, else Qt's offscreen
platform). The first paint of the main window ends the clock.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common import Measure, interleaved, parser, peer, report

# The first paint event of a main window, reported the same way for both programs.
_WATCH = """
import sys, runpy
from {binding} import QtCore, QtWidgets
class Watch(QtCore.QObject):
    def eventFilter(self, target, event):
        if event.type() == QtCore.QEvent.Type.Paint and isinstance(target, QtWidgets.QMainWindow):
            QtCore.QTimer.singleShot(0, self.tell)
        return False
    def tell(self):
        sys.stdout.write("painted\\n")
        sys.stdout.flush()
        QtCore.QCoreApplication.instance().removeEventFilter(self)
watch = Watch()
first = QtWidgets.QApplication.__init__
def start(self, *args):
    first(self, *args)
    self.installEventFilter(watch)
QtWidgets.QApplication.__init__ = start
"""
_OURS = """
import sys
sys.argv = ["segstudio", "open", {folder!r}]
from segstudio.cli.main import main
sys.exit(main())
"""
_THEIRS = """
import sys
sys.argv = ["labelme", {folder!r}]
from labelme.__main__ import main
sys.exit(main())
"""


def start_once(python: Path | str, program: str) -> float:
    """Seconds until the program says that it is painted; then it is ended."""
    config = tempfile.mkdtemp()
    environment = {**os.environ, "SEGSTUDIO_CONFIG": config, "HOME": config}
    if not os.environ.get("DISPLAY"):
        environment["QT_QPA_PLATFORM"] = "offscreen"
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # both run from byte code, as installed
    start = time.perf_counter()
    child = subprocess.Popen(
        [python, "-c", program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        for line in child.stdout:
            if line.strip() == b"painted":
                return time.perf_counter() - start
        assert child.stderr is not None
        raise SystemExit(f"It ended before it painted: {child.stderr.read().decode()[-2000:]}")
    finally:
        child.kill()
        child.communicate()


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--rounds", type=int, default=7)
    arguments = options.parse_args()
    labelme = peer("labelme==6.3.1")
    with tempfile.TemporaryDirectory() as folder:
        for number in range(3):
            noise = np.random.default_rng(number).integers(0, 255, (300, 400, 3), dtype=np.uint8)
            Image.fromarray(noise).save(Path(folder, f"{number}.png"))
        watch = _WATCH.format(binding="PySide6")
        other = _WATCH.format(binding="PyQt5").replace("QEvent.Type.", "QEvent.")
        ours, theirs = (
            watch + _OURS.format(folder=folder),
            other + _THEIRS.format(folder=folder),
        )
        start_once(sys.executable, ours), start_once(labelme, theirs)  # warm the disk cache
        mine, peers = interleaved(
            lambda: start_once(sys.executable, ours),
            lambda: start_once(labelme, theirs),
            arguments.rounds,
        )
    what = "median from process start to first paint; reference: Labelme 6.3.1"
    report([Measure("startup", mine, peers, "s", what, "<= 0.6")], arguments.json)


if __name__ == "__main__":
    main()
