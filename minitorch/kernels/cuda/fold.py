r"""Reduction along the middle of a contiguous ``outer x n x inner`` array, of any length (course task 3.3).

A fold is cut into parts whose lengths depend on the shape alone, and the results of the parts are folded again until
one is left: the same input gives the same bits on every device. Where ``inner`` is large, a thread folds a part by
itself, and a warp reads neighbouring columns. Else a block folds a part in shared memory: each thread takes every so
many-th element, and then half of the threads fold the results of the other half, until one result is left.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from ..compile import bind
from .launch import THREADS, Kernel, cuda, device, threads_for

__all__ = ["COLUMN", "LINE", "fold_columns", "fold_lines", "part_length"]

fn: Any = None  # bound in every copy

# The length of a part that a thread folds, and of one that a block folds.
COLUMN = 64
LINE = 4096

# From this many columns on, a warp of threads has one each.
WIDE = 32


def _fold_columns(out, a, n, inner, length, parts, start, last):
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        column = i % inner
        part = i // inner % parts
        line = i // (inner * parts)
        first = part * length
        at = (line * n + first) * inner + column
        total = a[at]
        for k in range(1, min(length, n - first)):
            total = fn(total, a[at + k * inner])
        out[i] = fn(start, total) if last else total


def _fold_lines(out, a, n, inner, length, parts, start, last):
    results = cuda.shared.array(THREADS, a.dtype)
    t = cuda.threadIdx.x
    i = cuda.blockIdx.x
    column = i % inner
    part = i // inner % parts
    line = i // (inner * parts)
    first = part * length
    count = min(length, n - first)
    at = (line * n + first) * inner + column
    width = min(count, cuda.blockDim.x)
    if t < width:
        total = a[at + t * inner]
        for k in range(t + cuda.blockDim.x, count, cuda.blockDim.x):
            total = fn(total, a[at + k * inner])
        results[t] = total
    while width > 1:
        half = (width + 1) // 2
        cuda.syncthreads()
        if t + half < width:
            results[t] = fn(results[t], results[t + half])
        width = half
    if t == 0:
        out[i] = fn(start, results[0]) if last else results[0]


@cache
def _bound(template: Callable[..., None], function: Callable[[Any, Any], Any]) -> Kernel:
    return Kernel(bind(template, f"{template.__name__.strip('_')}_{function.__name__}", fn=device(function)))


def fold_columns(function: Callable[[Any, Any], Any]) -> Kernel:
    """Make ``kernel(out, a, n, inner, length, parts, start, last)``, a thread for each of ``outer x parts x inner``."""
    return _bound(_fold_columns, function)


def fold_lines(function: Callable[[Any, Any], Any]) -> Kernel:
    """Make the same, a block for each result."""
    return _bound(_fold_lines, function)


def part_length(inner: int) -> int:
    """Give the length of the parts that a fold is cut into.

    >>> part_length(1), part_length(100)
    (4096, 64)
    """
    return COLUMN if inner >= WIDE else LINE


def fold(
    function: Callable[[Any, Any], Any], start: Any, a: Any, outer: int, n: int, inner: int, empty: Callable[[int], Any]
) -> Any:
    """Fold the middle of ``outer x n x inner``, which is not empty.

    Args:
        function: associative and commutative, as sums, products and extremes are.
        start: what every fold begins with, as a number of the type of ``a``.
        a: flat device array.
        outer: the number of separate stretches of memory.
        n: the number of elements to fold, 1 or more.
        inner: the distance between two of them.
        empty: makes a flat device array of that many elements.

    Returns:
        A flat device array of ``outer * inner`` results.
    """
    length = part_length(inner)
    while True:
        parts = -(-n // length)
        out = empty(outer * parts * inner)
        arguments = out, a, n, inner, length, parts, start, parts == 1
        if length == COLUMN:
            fold_columns(function).for_each(out.size, *arguments)
        else:
            fold_lines(function)(out.size, threads_for(min(n, length)), *arguments)
        if parts == 1:
            return out
        a, n = out, parts
