"""What each kernel of a program costs, and how near it comes to what a core can do."""

from __future__ import annotations

import builtins
import ctypes
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import FunctionType
from typing import Any

import numpy as np
import numpy.typing as npt

from ..kernels import blas
from ..kernels.compile import jit
from .emit import Kernel
from .machine import DTYPES, Machine, Memory, library

__all__ = ["Profile", "Row", "measure"]


@dataclass(frozen=True)
class Row:
    """One kernel.

    Attributes:
        name: its function in the program.
        title: what it computes, with the shape of its result.
        seconds: of one step, all chunks of the batch on one core.
        flops: additions and multiplications of one step.
        bytes: read and written, if each result is read once.
    """

    name: str
    title: str
    seconds: float
    flops: int
    bytes: int


@dataclass(frozen=True)
class Profile:
    """The kernels of a program, slowest first.

    Attributes:
        rows: the kernels.
        peak_flops: additions and multiplications a second of a large float32 matrix product on one core.
    """

    rows: tuple[Row, ...]
    peak_flops: float

    @property
    def seconds(self) -> float:
        """The sum over all kernels."""
        return sum(row.seconds for row in self.rows)

    def __str__(self) -> str:
        lines = [f"{'kernel':<32} {'us':>8} {'share':>6} {'GFLOP/s':>8} {'of peak':>8} {'GB/s':>6}  what"]
        for row in self.rows:
            flops, rate = row.flops / row.seconds, row.bytes / row.seconds
            lines.append(
                f"{row.name:<32} {row.seconds * 1e6:8.1f} {row.seconds / self.seconds:6.1%} {flops / 1e9:8.2f} "
                f"{flops / self.peak_flops:8.1%} {rate / 1e9:6.1f}  {row.title}"
            )
        lines.append(f"{'all kernels, one core':<32} {self.seconds * 1e6:8.1f}")
        return "\n".join(lines)


def measure(machine: Machine, memory: Memory, rounds: int) -> Profile:
    """Run a program's kernels one by one, from Python, and time them."""
    program = machine.program
    kernels = {kernel.name: kernel for kernel in program.kernels}
    times: dict[str, list[float]] = {name: [] for name in kernels}
    names = library(program)
    # The stages run as plain Python, with the kernels compiled.
    names["prange"], names["thread"] = range, lambda: 0
    for dtype in DTYPES:
        names[f"{dtype.name}_at"] = partial(_array_at, dtype)
    filename = f"<minitorch profile {machine.digest}>"
    exec(builtins.compile(program.source, filename, "exec"), names)
    totals: dict[str, float] = {}
    for name in kernels:
        fn = names[name]
        assert isinstance(fn, FunctionType)
        names[name] = _timed(jit(fn, keep=False), totals, name)
    blas.one_thread.load_scipy()
    with blas.one_thread:
        for i in range(rounds + 1):
            totals.clear()
            names["program"](memory.table, memory.numbers, memory.streams)
            if i:  # the first round compiles
                for name, seconds in totals.items():
                    times[name].append(seconds)
        peak = _peak()
    rows = [_row(kernels[name], statistics.median(seconds)) for name, seconds in times.items() if seconds]
    return Profile(tuple(sorted(rows, key=lambda row: -row.seconds)), peak)


def _array_at(dtype: np.dtype[Any], address: int, n: int) -> npt.NDArray[Any]:
    """Make an array of the memory at an address, as the program does."""
    size = int(n) * dtype.itemsize
    memory: Any = (ctypes.c_char * size).from_address(int(address))
    return np.frombuffer(memory, dtype)


def _timed(kernel: Callable[..., Any], totals: dict[str, float], name: str) -> Callable[..., None]:
    def run(*args: Any) -> None:
        start = time.perf_counter()
        kernel(*args)
        totals[name] = totals.get(name, 0.0) + time.perf_counter() - start

    return run


def _row(kernel: Kernel, seconds: float) -> Row:
    return Row(kernel.name, kernel.title, max(seconds, 1e-9), kernel.flops, kernel.bytes)


def _peak(n: int = 1024) -> float:
    """Measure a matrix product that keeps a core's arithmetic units busy."""
    a = np.ones((n, n), np.float32)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        np.matmul(a, a)
        seconds.append(time.perf_counter() - start)
    return 2.0 * n**3 / min(seconds)
