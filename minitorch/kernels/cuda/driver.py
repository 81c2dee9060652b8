"""Whether CUDA can run here; if not, why, and what to do about it.

Nothing of CUDA is imported: the driver is asked through its C interface, and packages are looked up by name.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import NamedTuple

__all__ = ["Driver", "Obstacle", "compiler_version", "driver", "obstacle", "simulated"]

# What the driver's functions return, of the codes in cuda.h.
SUCCESS, NO_DEVICE, TOO_OLD = 0, 100, (35, 803)

# The distributions that bring NVIDIA's compiler, by the major version of CUDA that it makes code for.
COMPILERS = {13: ("nvidia-cuda-nvrtc",), 12: ("nvidia-cuda-nvrtc-cu12",)}


class Obstacle(NamedTuple):
    """Why CUDA cannot run here.

    Attributes:
        reason: what is missing.
        fix: what to do.
    """

    reason: str
    fix: str


class Driver(NamedTuple):
    """What the NVIDIA driver says of itself.

    Attributes:
        version: the newest CUDA that it runs, as (major, minor); None where no driver is installed.
        devices: how many GPUs it sees.
        error: the code that starting it failed with; 0 if it did not.
    """

    version: tuple[int, int] | None
    devices: int = 0
    error: int = SUCCESS

    def __str__(self) -> str:
        if self.version is None:
            return "none"
        known = f"CUDA {self.version[0]}.{self.version[1]}, {self.devices} devices"
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
        library.cuDeviceGetCount(ctypes.byref(devices))
    return Driver(version, devices.value, error)


def compiler_version() -> tuple[int, int] | None:
    """Find the CUDA version of the compiler that is installed as a package; None if there is none."""
    for major, distributions in COMPILERS.items():
        found = _first_version(distributions)
        if found is not None and found[0] == major:
            return found
    return None


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
    return None if simulated() else _obstacle_of(driver(), compiler_version())


def _obstacle_of(found: Driver, compiler: tuple[int, int] | None) -> Obstacle | None:
    """Judge a driver and a compiler; a compiler that came otherwise than as a package is taken to fit."""
    if found.version is None:
        return Obstacle(
            "there is no NVIDIA driver",
            "install the driver of your GPU from nvidia.com/drivers, or compute on minitorch.FastBackend; to try "
            "kernels without a GPU, set NUMBA_ENABLE_CUDASIM=1 before Python starts",
        )
    if found.error in TOO_OLD or (compiler is not None and found.version[0] < compiler[0]):
        newest = f"CUDA {found.version[0]}.{found.version[1]}"
        needed = "the toolkit" if compiler is None else f"the toolkit, CUDA {compiler[0]}.{compiler[1]}"
        return Obstacle(
            f"the NVIDIA driver, which runs {newest}, is older than {needed}",
            f'update the driver, or pip install "numba-cuda[cu{found.version[0]}]" for it',
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
    return None
