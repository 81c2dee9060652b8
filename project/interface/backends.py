"""One operation on every backend: the same numbers, at different speeds (module 3)."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import minitorch
from minitorch import Tensor

__all__ = ["LARGEST", "OPERATIONS", "Timing", "compare", "cuda_note"]

# A product of so many rows and columns takes plain Python a few seconds.
LARGEST = 128

BUDGET = 0.4  # seconds that an operation is repeated for
MOST_ROUNDS = 30

OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "a + b": lambda a, b: a + b,
    "(a * b).relu()": lambda a, b: (a * b).relu(),
    "a.sum(1)": lambda a, b: a.sum(1),
    "a @ b": lambda a, b: a @ b,
    "softmax(a, 1)": lambda a, b: minitorch.softmax(a, 1),
    "sigmoid(a @ b + b).mean()": lambda a, b: (a @ b + b).sigmoid().mean(),
}


@dataclass(frozen=True)
class Timing:
    """An operation on a backend.

    Attributes:
        backend: what computes.
        seconds: the median of several rounds, the first left out.
        difference: the largest difference from the numbers of ``SimpleOps``.
    """

    backend: str
    seconds: float
    difference: float


def compare(name: str, size: int, seed: int = 1) -> list[Timing]:
    """Run an operation on two ``size x size`` matrices on every backend that is there.

    Args:
        name: which of :data:`OPERATIONS`.
        size: rows and columns.
        seed: of the matrices.

    Raises:
        ArgumentError: there are no such operation or matrices.

    >>> [row.backend for row in compare("a + b", 2)][:2]
    ['SimpleOps: plain Python', 'FastOps: compiled kernels']
    """
    if name not in OPERATIONS:
        raise minitorch.ArgumentError(f"expected one of {', '.join(OPERATIONS)}, got {name!r}.")
    if not 1 <= size <= LARGEST:
        raise minitorch.ArgumentError(f"expected a size from 1 to {LARGEST}, got {size}. Plain Python takes too long.")
    operation = OPERATIONS[name]
    generator = minitorch.Generator(seed)
    a, b = (generator.uniform((size, size)) - 0.5 for _ in range(2))
    runs: list[tuple[str, Callable[..., Tensor], Any]] = [
        ("SimpleOps: plain Python", operation, minitorch.SimpleBackend),
        ("FastOps: compiled kernels", operation, minitorch.FastBackend),
        ("minitorch.compile: one program", minitorch.compile(operation), minitorch.FastBackend),
    ]
    ops = getattr(minitorch, "CudaOps", None)
    if cuda_note() is None and ops is not None:
        runs.append(("CudaOps: the graphics card", operation, minitorch.TensorBackend(ops)))
    rows: list[Timing] = []
    expected: np.ndarray | None = None
    with minitorch.no_grad():
        for backend_name, run, backend in runs:
            x, y = minitorch.tensor(a, backend=backend), minitorch.tensor(b, backend=backend)
            result = run(x, y).to_numpy()  # compiles what is new
            expected = result if expected is None else expected
            difference = float(np.abs(result - expected).max())
            rows.append(Timing(backend_name, _seconds(lambda run=run, x=x, y=y: run(x, y)), difference))
    return rows


def cuda_note() -> str | None:
    """Tell why there is nothing to measure on CUDA; None where there is."""
    if not hasattr(minitorch, "CudaOps"):
        return "This version of MiniTorch has no kernels for CUDA."
    from numba import cuda

    if not cuda.is_available():
        return "CUDA is not there: no NVIDIA card with a driver was found. `python -m minitorch doctor` says more."
    return None


def _seconds(run: Callable[[], object]) -> float:
    times: list[float] = []
    while len(times) < 3 or (sum(times) < BUDGET and len(times) < MOST_ROUNDS):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
        if sum(times) > 3 * BUDGET:
            break
    return statistics.median(times)
