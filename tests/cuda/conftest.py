"""What the tests of CUDA share: memory that holds no zeros by chance, every kernel compiled beside the tests that
simulate them, and two checks behind every test, of what it launched.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import pytest

from minitorch.kernels.cuda import memory, sort
from minitorch.kernels.cuda.driver import simulated
from minitorch.kernels.cuda.launch import THREADS, Kernel

from .table import described, is_compiled

ROOT = Path(__file__).parents[2]
CAPABILITIES = {"sm_75": "7.5", "sm_90": "9.0"}
ELEMENTS = ("float32", "float64")

# The simulator takes about a second for a block of 1,024 threads: so many tests may start such blocks.
LARGE_BLOCKS = 20


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse to run when more tests than that say that they do."""
    large = [item for item in items if item.get_closest_marker("large_block")]
    if len(large) > LARGE_BLOCKS:
        raise pytest.UsageError(f"{len(large)} tests start large blocks; {LARGE_BLOCKS} may. Take smaller ones.")


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


@pytest.fixture(autouse=True)
def large_blocks_are_marked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that starts larger blocks than the library does and does not say so, or says so and does not."""
    if not simulated():
        yield
        return
    threads = [0]
    simulator = type(sort.number.dispatcher)
    call = simulator.__call__

    def noted(dispatcher: Any, *args: Any) -> None:
        threads.append(prod(dispatcher.block_dim))
        call(dispatcher, *args)

    monkeypatch.setattr(simulator, "__call__", noted)
    yield
    assert (max(threads) > THREADS) == bool(request.node.get_closest_marker("large_block"))


@pytest.fixture(autouse=True)
def what_is_launched_is_compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that launches a kernel, or one with types, that is not among those compiled to machine code."""
    if not simulated():
        yield
        return
    missing = set()
    start = Kernel.start

    def noted(kernel: Kernel, blocks: int, threads: Any, args: Any, stream: Any = 0) -> None:
        if blocks and not is_compiled(kernel, args):
            missing.add((kernel.__name__, described(tuple(args))))
        start(kernel, blocks, threads, args, stream)

    monkeypatch.setattr(Kernel, "start", noted)
    yield
    assert not missing, "these are not in tests/cuda/table.py"


Compilations = dict[str, subprocess.Popen[str]]


@pytest.fixture(scope="session")
def compilations() -> Iterator[Compilations]:
    """Compile for both element types at once, in processes of their own, for this one may simulate."""
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_ENABLE_CUDASIM"}
    command = [sys.executable, "-m", "tests.cuda.compile_kernels"]
    started = {
        dtype: subprocess.Popen(
            [*command, dtype, *CAPABILITIES.values()],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for dtype in ELEMENTS
    }
    yield started
    for process in started.values():
        process.kill()
        process.communicate()
