"""Whether CUDA can run here; if not, why, and what to do about it.

Nothing of CUDA is imported: the driver is asked through its C interface, and packages are looked up by name. Only the
compiler is looked for as numba-cuda looks for it, and not before there is a driver.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Any, NamedTuple

from ...errors import BackendError

__all__ = [
    "Driver",
    "Obstacle",
    "compiler_is_there",
    "compiler_version",
    "driver",
    "obstacle",
    "require_same_process",
    "simulated",
]

# What the driver's functions return, of the codes in cuda.h, and what they are asked of a device.
SUCCESS, NO_DEVICE, TOO_OLD = 0, 100, (35, 803)
CAPABILITY = (75, 76)

# The distributions that bring NVIDIA's compiler, by the major version of CUDA that it makes code for.
COMPILERS = {13: ("nvidia-cuda-nvrtc",), 12: ("nvidia-cuda-nvrtc-cu12",)}

# The oldest generation of GPUs that it makes code for.
OLDEST = {13: (7, 5), 12: (5, 0)}


class _Process:
    """What is known of the process that runs.

    Attributes:
        started: whether it started the driver, or the process that it was forked from did.
        forked: whether that was the other one.
    """

    started = forked = False

    def note_fork(self) -> None:
        """Note that this is a child."""
        self.forked = self.started


_process = _Process()
if hasattr(os, "register_at_fork"):  # which Windows has not
    os.register_at_fork(after_in_child=lambda: _process.note_fork())


class Obstacle(NamedTuple):
    """Why CUDA cannot run here.

    Attributes:
        reason: what is missing.
        fix: what to do.
    """

    reason: str
    fix: str


FORKED = Obstacle(
    "this process was forked from one that had started CUDA, which runs only there",
    'start it with multiprocessing.get_context("spawn"), or compute on minitorch.FastBackend in it',
)


class Driver(NamedTuple):
    """What the NVIDIA driver says of itself.

    Attributes:
        version: the newest CUDA that it runs, as (major, minor); None where no driver is installed.
        devices: how many GPUs it sees.
        error: the code that starting it failed with; 0 if it did not.
        capability: the generation of device 0, as (major, minor); None without one.
    """

    version: tuple[int, int] | None
    devices: int = 0
    error: int = SUCCESS
    capability: tuple[int, int] | None = None

    def __str__(self) -> str:
        if self.version is None:
            return "none"
        known = f"CUDA {_dotted(self.version)}, {self.devices} device{'s' * (self.devices != 1)}"
        return known if self.error == SUCCESS else f"{known}, but cuInit fails with error {self.error}"


def simulated() -> bool:
    """Tell whether Numba runs kernels in Python, thread by thread, instead of on a GPU."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") != "0"


def driver() -> Driver:
    """Ask the driver for its version and its devices.

    >>> isinstance(driver().devices, int)
    True
    """
    try:
        library = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return Driver(None)
    number, devices = ctypes.c_int(), ctypes.c_int()
    library.cuDriverGetVersion(ctypes.byref(number))
    version = number.value // 1000, number.value % 1000 // 10
    error = library.cuInit(0)
    if error == SUCCESS:
        _process.started = True
        library.cuDeviceGetCount(ctypes.byref(devices))
    capability = _capability(library) if devices.value else None
    return Driver(version, devices.value, error, capability)


def _capability(library: Any) -> tuple[int, int] | None:
    """Ask for the generation of the first device."""
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    errors = [library.cuDeviceGet(ctypes.byref(device), 0)]
    for number, attribute in zip((major, minor), CAPABILITY, strict=True):
        errors.append(library.cuDeviceGetAttribute(ctypes.byref(number), attribute, device))
    return None if any(errors) else (major.value, minor.value)


def require_same_process() -> None:
    """Refuse to compute in a forked child of the process that started CUDA.

    Raises:
        BackendError: this is such a child.
    """
    if _is_forked():
        raise BackendError(f"CudaOps cannot run here: {FORKED.reason}. What helps: {FORKED.fix}.")


def _is_forked() -> bool:
    return _process.forked and not simulated()


def compiler_version() -> tuple[int, int] | None:
    """Find the CUDA version of the compiler that is installed as a package; None if there is none.

    Where other packages brought a second one, it is the one that Python's bindings of CUDA take.
    """
    bindings = _first_version(["cuda-bindings"])
    majors = COMPILERS if bindings is None else [bindings[0]]
    for major in majors:
        found = _first_version(COMPILERS.get(major, ()))
        if found is not None and found[0] == major:
            return found
    return None


def compiler_is_there() -> bool:
    """Tell whether numba-cuda finds NVIDIA's compiler: as a package, or in a toolkit that was installed otherwise."""
    try:
        importlib.import_module("cuda.pathfinder").load_nvidia_dynamic_lib("nvvm")
    except (ImportError, OSError, RuntimeError):
        return False
    return True


def _first_version(distributions: Sequence[str]) -> tuple[int, int] | None:
    for distribution in distributions:
        try:
            major, minor, *_ = metadata.version(distribution).split(".")
        except metadata.PackageNotFoundError:
            continue
        return int(major), int(minor)
    return None


def obstacle() -> Obstacle | None:
    """Find what keeps CUDA from running here; None if nothing does.

    >>> why = obstacle()
    >>> why is None or bool(why.reason and why.fix)
    True
    """
    if importlib.util.find_spec("numba_cuda") is None:
        return Obstacle(
            "the package numba-cuda is not installed",
            'pip install "numba-cuda[cu12]", or [cu13] for a driver of CUDA 13',
        )
    if not _redirected():
        return Obstacle(
            "numba-cuda was installed while this Python ran, which has Numba's own numba.cuda in its place",
            "restart Python",
        )
    if simulated():
        return None
    if _is_forked():
        return FORKED
    found = driver()
    against = _obstacle_of(found, compiler_version())
    if against is None and found.version is not None and not compiler_is_there():
        return Obstacle(
            "numba-cuda is installed, but no compiler for it",
            f'pip install "numba-cuda[cu{min(found.version[0], max(COMPILERS))}]"',
        )
    return against


def _redirected() -> bool:
    """Tell whether ``import numba.cuda`` gives numba-cuda, and not the older one that Numba has itself.

    A file of numba-cuda sees to that, which Python reads when it starts.
    """
    loaded = sys.modules.get("numba.cuda")
    if loaded is not None:
        return getattr(loaded, "implementation", "") == "NVIDIA"
    return "_numba_cuda_redirector" in sys.modules


def _obstacle_of(found: Driver, compiler: tuple[int, int] | None) -> Obstacle | None:
    """Judge a driver and a compiler; a compiler that came otherwise than as a package is taken to fit."""
    if found.version is None:
        return Obstacle(
            "there is no NVIDIA driver",
            "install the driver of your GPU from nvidia.com/drivers, or compute on minitorch.FastBackend; to try "
            "kernels without a GPU, set NUMBA_ENABLE_CUDASIM=1 before Python starts",
        )
    if found.error in TOO_OLD or found.version[0] < (min(COMPILERS) if compiler is None else compiler[0]):
        needed = "the toolkit" if compiler is None else f"the toolkit, CUDA {_dotted(compiler)}"
        older = compiler is not None and found.version[0] < compiler[0] and found.version[0] in COMPILERS
        return Obstacle(
            f"the NVIDIA driver, which runs CUDA {_dotted(found.version)}, is older than {needed}",
            "update the driver" + f', or pip install "numba-cuda[cu{found.version[0]}]" for it' * older,
        )
    if found.error == NO_DEVICE or (found.error == SUCCESS and found.devices == 0):
        return Obstacle(
            "the NVIDIA driver finds no device",
            "look at nvidia-smi and at CUDA_VISIBLE_DEVICES, and in a container start it with its GPUs (--gpus all)",
        )
    if found.error != SUCCESS:
        return Obstacle(
            f"the NVIDIA driver does not start: cuInit fails with error {found.error}",
            "look at nvidia-smi, and restart the machine after an update of the driver",
        )
    if compiler is None or found.capability is None:
        return None
    oldest = OLDEST.get(compiler[0], (0, 0))
    if found.capability < oldest:
        fits = [major for major, needs in OLDEST.items() if found.capability >= needs]
        return Obstacle(
            f"the GPU, of compute capability {_dotted(found.capability)}, is older than the toolkit makes code for: "
            f"CUDA {_dotted(compiler)} needs {_dotted(oldest)}",
            f'pip install "numba-cuda[cu{max(fits)}]"' if fits else "take a newer GPU, or minitorch.FastBackend",
        )
    return None


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
