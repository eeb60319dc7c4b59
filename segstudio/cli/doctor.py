"""`doctor`: does this machine have what the program needs, and what to do when not."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module, metadata, util
from pathlib import Path
from typing import Final

from segstudio import __version__
from segstudio.cli.console import FAILED, OK, Result, say
from segstudio.data import data_folder
from segstudio.project import sample, settings

_PACKAGES: Final = (
    "numpy", "Pillow", "opencv-python-headless", "tifffile", "torch", "torchvision",
    "segmentation-models-pytorch", "safetensors", "PySide6-Essentials", "pyqtgraph",
)  # fmt: skip
_NEEDED_GB: Final = 5
_TIMEOUT: Final = 120

# Debian's and Ubuntu's package for each library that Qt's platform plugins link to.
_APT: Final = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libGLX.so.0": "libglx0",
    "libOpenGL.so.0": "libopengl0",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libX11.so.6": "libx11-6",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libxcb.so.1": "libxcb1",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render.so.0": "libxcb-render0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-util.so.1": "libxcb-util1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One finding; `needed` checks decide the exit code."""

    name: str
    ok: bool
    text: str
    remedy: str = ""
    needed: bool = True


def doctor(json: bool) -> Result:
    checks: list[Check] = []
    for function in _CHECKS:
        check = function()
        checks.append(check)
        mark = "ok  " if check.ok else "FAIL" if check.needed else "note"
        say(f"{mark} {check.name}: {check.text}")
        if check.remedy:
            say(f"     -> {check.remedy}")
    good = all(check.ok for check in checks if check.needed)
    say("All is well." if good else "Something needed is missing; see above.")
    return (OK if good else FAILED), {"ok": good, "checks": [asdict(check) for check in checks]}


def _program() -> Check:
    text = f"segstudio {__version__}, Python {platform.python_version()}, {platform.platform()}"
    return Check("program", sys.version_info >= (3, 11), text)


def _packages() -> Check:
    versions = {name: _version(name) for name in _PACKAGES}
    missing = [name for name, version in versions.items() if not version]
    if getattr(sys, "frozen", False):
        return Check("packages", True, "inside the bundle")
    text = ", ".join(f"{name} {version or 'MISSING'}" for name, version in versions.items())
    remedy = f"pip install {' '.join(missing)}" if missing else ""
    return Check("packages", not missing, text, remedy)


def _torch() -> Check:
    """Torch and torchvision from different indexes do not fit, and say so only when imported."""
    problem = library_fails("torch")
    if not problem:
        return Check("torch", True, "torch and torchvision fit together")
    remedy = "Install torch and torchvision together, both from the same index."
    return Check("torch", False, problem, remedy)


def _gpu() -> Check:
    try:
        from segstudio.learning.device import probe

        report = probe("auto")
    except Exception as error:  # whatever breaks in there, the other checks go on
        return Check("processor", False, f"{type(error).__name__}: {error}")
    if report.kind == "cpu":
        return Check("processor", True, f"{report.name}. {report.reason_not_gpu}", needed=False)
    return Check("processor", True, f"{report.name} ({report.kind}); a test kernel ran on it")


def _opencv() -> Check:
    problem = library_fails("opencv")
    both = _version("opencv-python") or _version("opencv-contrib-python")
    if problem:
        remedy = "pip install --force-reinstall opencv-python-headless"
        return Check("OpenCV", False, problem, remedy)
    if both and sys.platform == "linux":
        remedy = (
            "pip uninstall opencv-python opencv-contrib-python; then reinstall the headless one"
        )
        text = "opencv-python is installed too; its Qt can break this program's window"
        return Check("OpenCV", False, text, remedy, needed=False)
    return Check("OpenCV", True, "works")


def _qt() -> Check:
    platform_name = os.environ.get("QT_QPA_PLATFORM") or ("" if _display() else "offscreen")
    problem = library_fails("qt", {"QT_QPA_PLATFORM": platform_name} if platform_name else {})
    if not problem:
        shown = platform_name or "this display"
        return Check("Qt", True, f"opens a window on {shown}")
    missing = missing_libraries()
    if not missing:
        return Check("Qt", False, problem, "QT_DEBUG_PLUGINS=1 segstudio open says more.")
    return Check("Qt", False, f"libraries are missing: {', '.join(missing)}", apt_command(missing))


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    ok = free >= _NEEDED_GB
    remedy = "" if ok else "Free some space: models and predictions need a few GB."
    return Check("disk", ok, f"{free:.0f} GB free here", remedy, needed=False)


def _settings() -> Check:
    folder = settings.config_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    remedy = "" if writable else "Make it writable, or set SEGSTUDIO_CONFIG to another folder."
    return Check("settings", writable, str(folder), remedy)


def _data() -> Check:
    wanted = (data_folder() / "resources" / "sample", sample.starter_folder())
    missing = [str(path) for path in wanted if not path.is_dir()]
    if missing:
        return Check("data", False, f"missing: {', '.join(missing)}", "Install segstudio again.")
    return Check("data", True, "the sample and the starter model are there")


_CHECKS: Final[tuple[Callable[[], Check], ...]] = (
    _program,
    _packages,
    _torch,
    _gpu,
    _opencv,
    _qt,
    _disk,
    _settings,
    _data,
)


def missing_libraries() -> list[str]:
    """Shared libraries that Qt's platform plugins link to and that this system lacks."""
    spec = util.find_spec("PySide6")
    if sys.platform != "linux" or spec is None or spec.origin is None:
        return []
    qt = Path(spec.origin).parent / "Qt"
    files = [*(qt / "plugins" / "platforms").glob("*.so"), qt / "lib" / "libQt6Gui.so.6"]
    wanted = ("xcb", "offscreen", "Gui") if _display() else ("offscreen", "Gui")
    missing: set[str] = set()
    for file in files:
        if any(word in file.name for word in wanted):
            missing.update(parse_ldd(_output(["ldd", str(file)])))
    return sorted(missing)


def parse_ldd(text: str) -> list[str]:
    """The libraries `ldd` did not find."""
    return re.findall(r"^\s*(\S+) => not found", text, flags=re.MULTILINE)


def apt_command(libraries: list[str]) -> str:
    """The command that installs them on Debian and Ubuntu."""
    packages = sorted({_APT[name] for name in libraries if name in _APT})
    unknown = [name for name in libraries if name not in _APT]
    command = f"sudo apt-get install {' '.join(packages)}" if packages else ""
    rest = f"and the packages that hold {', '.join(unknown)}" if unknown else ""
    return " ".join(part for part in (command, rest) if part)


def check(name: str, json: bool) -> Result:
    """Load one of the big libraries and use it; a crash ends this process alone."""
    if name == "torch":
        torchvision = import_module("torchvision")
        return OK, {"works": bool(torchvision.ops.nms)}
    if name == "opencv":
        cv2 = import_module("cv2")
        return OK, {"works": bool(cv2.connectedComponents)}
    widgets = import_module("PySide6.QtWidgets")
    return OK, {"works": bool(widgets.QApplication(["doctor"]).platformName())}


def library_fails(name: str, environment: dict[str, str] | None = None) -> str:
    """Run `check` in a process of its own; the last line of what went wrong, or nothing."""
    program = (
        [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "segstudio"]
    )
    try:
        answer = subprocess.run(
            [*program, "check", name],
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if answer.returncode == 0:
        return ""
    lines = [line for line in answer.stderr.strip().splitlines() if line.strip()]
    return lines[-1] if lines else f"ended with code {answer.returncode}"


def _output(command: list[str]) -> str:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _display() -> bool:
    if sys.platform != "linux":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
