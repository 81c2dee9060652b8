"""What each kernel of a program costs, and how near it comes to what a core can do."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...kernels import blas
from ..emit.program import Call
from ..passes.memory import ALIGNMENT
from .machine import Machine, Memory, run_call

__all__ = ["Profile", "Row", "measure"]


@dataclass(frozen=True)
class Row:
    """One call of a kernel.

    Attributes:
        name: of the call.
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
        rows: the calls of kernels.
        peak_flops: additions and multiplications a second of a large matrix product on one core, in the type of the
            program's numbers.
        peak_bytes: bytes a second that a core reads and writes while it copies an array in its second-level cache.
    """

    rows: tuple[Row, ...]
    peak_flops: float
    peak_bytes: float

    @property
    def seconds(self) -> float:
        """The sum over all kernels."""
        return sum(row.seconds for row in self.rows)

    def share(self, row: Row) -> float:
        """Give a kernel's speed as a share of what a core can do: of its arithmetic or of its memory."""
        return max(row.flops / self.peak_flops, row.bytes / self.peak_bytes) / row.seconds

    def __str__(self) -> str:
        lines = [f"{'kernel':<32} {'us':>8} {'share':>6} {'GFLOP/s':>8} {'GB/s':>6} {'of peak':>8}  what"]
        for row in self.rows:
            flops, rate = row.flops / row.seconds, row.bytes / row.seconds
            lines.append(
                f"{row.name:<32} {row.seconds * 1e6:8.1f} {row.seconds / self.seconds:6.1%} {flops / 1e9:8.2f} "
                f"{rate / 1e9:6.1f} {self.share(row):8.1%}  {row.title}"
            )
        lines.append(f"{'all kernels, one core':<32} {self.seconds * 1e6:8.1f}")
        return "\n".join(lines)


def measure(machine: Machine, memory: Memory, rounds: int) -> Profile:
    """Run a program's calls one by one, in order, and time them."""
    program = machine.program
    code, (table, scratch, _) = machine.code, memory.arguments
    tasks = [task for wave in program.waves for task in wave.tasks]
    times: list[list[float]] = [[] for _ in program.calls]
    blas.one_thread.load_scipy()
    with blas.one_thread:
        for i in range(rounds + 1):
            totals = [0.0] * len(program.calls)
            for task in tasks:
                for k in range(task.first, task.last):
                    place = machine.place(k)
                    start = time.perf_counter()
                    run_call(code, table, place, scratch + ALIGNMENT, task.chunk, task.begin, task.end)
                    totals[k] += time.perf_counter() - start
            if i:  # the first round compiles
                for seconds, total in zip(times, totals, strict=True):
                    seconds.append(total)
        dtypes = [node.dtype for node in program.outputs if node.dtype.kind == "f"]
        peaks = _peak_flops(max(dtypes, default=np.dtype(np.float32))), _peak_bytes()
    rows = [_row(call, statistics.median(seconds)) for call, seconds in zip(program.calls, times, strict=True)]
    return Profile(tuple(sorted(rows, key=lambda row: -row.seconds)), *peaks)


def _row(call: Call, seconds: float) -> Row:
    return Row(call.name, call.title, max(seconds, 1e-9), call.flops, call.bytes)


def _peak_flops(dtype: np.dtype[Any], n: int = 1024) -> float:
    """Measure a matrix product that keeps a core's arithmetic units busy."""
    a = np.ones((n, n), dtype)
    return 2.0 * n**3 / _best(lambda: np.matmul(a, a), 5)


def _peak_bytes(size: int = 1 << 18) -> float:
    """Measure a copy that stays in the second-level cache."""
    a, b = np.ones(size, np.uint8), np.ones(size, np.uint8)
    return 2.0 * size / _best(lambda: np.copyto(b, a), 100)


def _best(run: Callable[[], object], rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
