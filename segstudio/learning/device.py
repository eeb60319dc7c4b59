"""Which processor to learn on: proven by running a kernel, with the reason when it is no GPU."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import torch

from segstudio.errors import UserError

Kind = Literal["cuda", "mps", "cpu"]
KINDS: Final[tuple[Kind, ...]] = ("cuda", "mps", "cpu")


@dataclass(frozen=True)
class DeviceReport:
    """The device in use; `reason_not_gpu` says why no GPU is, empty when one is.

    `gpu_unused` is true when this machine has a GPU that was wanted but cannot be used.
    """

    kind: Kind
    name: str
    reason_not_gpu: str = ""
    memory: int | None = None  # free bytes on the GPU
    gpu_unused: bool = False

    @property
    def device(self) -> torch.device:
        return torch.device(self.kind)


def probe(wanted: str = "auto") -> DeviceReport:
    """Find the device: cuda, then mps, then cpu, or only the wanted one.

    A kind counts only when a small convolution ran on it and gave the CPU's result.
    """
    if wanted not in ("auto", *KINDS):
        raise UserError(
            f"There is no device called {wanted!r}", remedy="Use auto, cuda, mps or cpu"
        )
    if wanted == "cpu":
        return DeviceReport("cpu", cpu_name(), "The CPU was chosen in the settings.")
    reasons = []
    for kind in ("cuda", "mps") if wanted == "auto" else (wanted,):
        reason = _why_not_cuda() if kind == "cuda" else _why_not_mps()
        reason = reason or run_kernel(torch.device(kind))
        if not reason:
            return _gpu_report("cuda" if kind == "cuda" else "mps")
        if not (kind == "mps" and sys.platform != "darwin" and wanted == "auto"):
            reasons.append(reason)
    unused = bool(nvidia_gpu()) or sys.platform == "darwin"
    return DeviceReport("cpu", cpu_name(), " ".join(reasons), gpu_unused=unused)


def _gpu_report(kind: Literal["cuda", "mps"]) -> DeviceReport:
    if kind == "mps":
        return DeviceReport("mps", f"Apple GPU ({platform.machine()})")
    return DeviceReport(
        "cuda", torch.cuda.get_device_name(), memory=int(torch.cuda.mem_get_info()[0])
    )


def run_kernel(device: torch.device) -> str:
    """Run a convolution and its gradient; what went wrong, or nothing."""
    try:
        image = torch.linspace(-1, 1, 3 * 16 * 16).reshape(1, 3, 16, 16)
        weight = torch.linspace(-1, 1, 4 * 3 * 9).reshape(4, 3, 3, 3)
        results = []
        for place in (torch.device("cpu"), device):
            kernel = weight.to(place).requires_grad_()
            energy = torch.nn.functional.conv2d(image.to(place), kernel, padding=1).square().sum()
            results.append(torch.autograd.grad(energy, kernel)[0].cpu())
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        return f"A test on the GPU failed: {str(error).splitlines()[0]}."
    if not torch.allclose(results[0], results[1], rtol=1e-2, atol=1.0):
        return "A test on the GPU gave wrong numbers."
    return ""


def _why_not_cuda() -> str:
    present = nvidia_gpu()
    if torch.version.cuda is None and torch.version.hip is None:
        if present:
            return (
                f"{present} is here, but PyTorch {torch.__version__} was built for CPUs only. "
                "Install torch and torchvision together from an index with CUDA builds."
            )
        return "No NVIDIA GPU was found, and this PyTorch was built for CPUs only."
    if torch.cuda.is_available():
        return ""
    if present:
        return (
            f"{present} is here, but its driver does not work with CUDA {torch.version.cuda}, "
            "which this PyTorch needs. Update the driver, or install an older PyTorch."
        )
    return "No NVIDIA GPU was found."


def _why_not_mps() -> str:
    if sys.platform != "darwin":
        return "Apple's GPU exists on macOS only."
    if not torch.backends.mps.is_built():
        return "This PyTorch was built without Apple's Metal."
    return "" if torch.backends.mps.is_available() else "Metal needs macOS 12.3 and an Apple GPU."


def nvidia_gpu() -> str:
    """The name of an NVIDIA GPU of this machine, asked without CUDA; empty when there is none."""
    tool = shutil.which("nvidia-smi")
    if tool is not None:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            answer = subprocess.run(
                [tool, "--query-gpu=name", "--format=csv,noheader"],
                capture_output=True,
                text=True,
                timeout=10,
                check=False,
            )
            if answer.returncode == 0 and answer.stdout.strip():
                return answer.stdout.splitlines()[0].strip()
    devices = Path("/dev")
    if devices.is_dir() and any(devices.glob("nvidia[0-9]*")):
        return "An NVIDIA GPU"
    return ""


def cpu_name() -> str:
    """The processor's name and the number of cores this process may use."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name}, {cores()} cores"


def cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_ENOUGH_CORES: Final = 4
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_MAX: Final = -4


def keep_memory() -> bool:
    """Let the C library keep freed memory for the next step; False where it cannot be told so.

    Training frees and asks for the same hundred megabytes at every step. glibc gives large blocks
    back to the system each time, and a fifth of the time went into fetching them again.
    """
    if not sys.platform.startswith("linux"):
        return False
    with contextlib.suppress(OSError, AttributeError):
        tell = ctypes.CDLL(None).mallopt
        return bool(tell(_M_MMAP_MAX, 0)) and bool(tell(_M_TRIM_THRESHOLD, 2**31 - 1))
    return False


@contextlib.contextmanager
def autocast(device: torch.device) -> Iterator[None]:
    """Half precision on CUDA (bfloat16 where the chip has it), plain float32 elsewhere."""
    if device.type != "cuda":
        yield
        return
    with torch.autocast("cuda", dtype=torch.bfloat16 if _has_bfloat16() else torch.float16):
        yield


def _has_bfloat16() -> bool:
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def layout(device: torch.device) -> torch.memory_format:
    """How pictures lie in memory: channels last is faster on CPUs and on CUDA."""
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def share_cores() -> None:
    """Leave one core to the person who draws, where there are enough."""
    if "OMP_NUM_THREADS" not in os.environ and cores() >= _ENOUGH_CORES:
        torch.set_num_threads(cores() - 1)


def needs_scaler(device: torch.device) -> bool:
    """Whether gradients must be scaled against float16's small range."""
    return device.type == "cuda" and not _has_bfloat16()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or here."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
