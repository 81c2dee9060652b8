"""Memory that holds no zeros by chance, and compiling every kernel beside the tests that simulate them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from minitorch.kernels.cuda import memory
from minitorch.kernels.cuda.driver import simulated

ROOT = Path(__file__).parents[2]
CAPABILITIES = {"sm_75": ("7", "5"), "sm_90": ("9", "0")}
ELEMENTS = ("float32", "float64")


@pytest.fixture(scope="session", autouse=True)
def new_memory_holds_garbage() -> Iterator[None]:
    """Fill every new block of the simulated GPU's memory: as floats it is NaN, as integers -1."""
    with pytest.MonkeyPatch.context() as patch:
        if simulated():
            patch.setattr(memory, "_allocate", lambda size: bytearray(b"\xff" * size))
        memory.empty_cache()
        memory.pool.cache_clear()
        yield
    memory.pool.cache_clear()


Compilations = dict[tuple[str, str], subprocess.Popen[str]]


@pytest.fixture(scope="session")
def compilations() -> Iterator[Compilations]:
    """Compile for every generation and element type at once, in processes of their own, for this one may simulate."""
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_ENABLE_CUDASIM"}
    command = [sys.executable, "-m", "tests.cuda.compile_kernels"]
    started = {
        (name, dtype): subprocess.Popen(
            [*command, dtype, *capability],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, capability in CAPABILITIES.items()
        for dtype in ELEMENTS
    }
    yield started
    for process in started.values():
        process.kill()
        process.communicate()
