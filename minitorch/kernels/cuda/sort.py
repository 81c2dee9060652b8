"""Sorting by a bitonic network (Batcher, "Sorting networks and their applications", AFIPS 1968).

The network compares and exchanges pairs in an order that is known beforehand, so that all pairs of a stage are
independent of each other. It sorts positions, by what stands there; equal elements are told apart by their
positions, which makes the order stable and the same in every run. A line is thought to be filled up to a power of two
with positions that come behind everything.

A line of up to :data:`SHORT` elements is sorted by one block in shared memory; a longer one by a launch for each stage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .launch import cuda, device, kernel, threads_for

__all__ = ["LONGEST", "SHORT", "argsort_axis", "collect", "compare_stage", "number", "sort_short"]

# What a block has room for, which Numba makes a part of the kernel, and the longest line that is given to one block.
LONGEST = 1024
SHORT = LONGEST


def _before(i, j, a, first, inner, n, descending):
    """Tell whether position ``i`` of a line comes before ``j``. NaN counts as larger than every number."""
    if i >= n or j >= n:
        return i < j
    x = a[first + i * inner]
    y = a[first + j * inner]
    if x == y or (x != x and y != y):
        return i < j
    return (x < y or y != y) != descending


before = device(_before)


def _pair(t, step):
    """Give the first element of pair ``t`` among those that stand ``step`` apart."""
    return 2 * t - (t & (step - 1))


pair = device(_pair)


@kernel
def sort_short(out, a, n, inner, padded, descending):
    """Sort the lines of ``outer x n x inner``, a block each."""
    order = cuda.shared.array(LONGEST, np.int64)
    t = cuda.threadIdx.x
    threads = cuda.blockDim.x
    first = cuda.blockIdx.x // inner * n * inner + cuda.blockIdx.x % inner
    for k in range(t, padded, threads):
        order[k] = k
    size = 2
    while size <= padded:
        step = size // 2
        while step > 0:
            cuda.syncthreads()
            for p in range(t, padded // 2, threads):
                k = pair(p, step)
                i = order[k]
                j = order[k + step]
                if before(j, i, a, first, inner, n, descending) == ((k & size) == 0):
                    order[k] = j
                    order[k + step] = i
            step //= 2
        size *= 2
    cuda.syncthreads()
    for k in range(t, n, threads):
        out[first + k * inner] = order[k]


@kernel
def number(order, padded):
    """Write the positions of every line: 0, 1, ..."""
    for i in range(cuda.grid(1), order.size, cuda.gridsize(1)):
        order[i] = i % padded


@kernel
def compare_stage(order, a, n, inner, padded, size, step, descending):
    """Compare the pairs of one stage, a thread each."""
    for p in range(cuda.grid(1), order.size // 2, cuda.gridsize(1)):
        line = p // (padded // 2)
        k = pair(p - line * (padded // 2), step)
        first = line // inner * n * inner + line % inner
        i = order[line * padded + k]
        j = order[line * padded + k + step]
        if before(j, i, a, first, inner, n, descending) == ((k & size) == 0):
            order[line * padded + k] = j
            order[line * padded + k + step] = i


@kernel
def collect(out, order, n, inner, padded):
    """Write the first ``n`` positions of every line where the line lies."""
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        column = i % inner
        k = i // inner % n
        line = i // (inner * n) * inner + column
        out[i] = order[line * padded + k]


def argsort_axis(out: Any, a: Any, n: int, inner: int, descending: bool, places: Callable[[int], Any]) -> None:
    """Write the sorted positions along the middle of ``outer x n x inner``.

    Args:
        out: flat device array of int64.
        a: flat device array of as many elements.
        n: the length of a line, 1 or more.
        inner: the distance between two elements of a line.
        descending: begin with the largest.
        places: makes a flat device array for that many int64.
    """
    lines, padded = out.size // n, 1 << (n - 1).bit_length()
    if padded <= SHORT:
        sort_short(lines, threads_for(padded // 2), out, a, n, inner, padded, descending)
        return
    order = places(lines * padded)
    _sort_long(order, a, n, inner, padded, descending)
    collect.for_each(out.size, out, order, n, inner, padded)


def _sort_long(order: Any, a: Any, n: int, inner: int, padded: int, descending: bool) -> None:
    number.for_each(order.size, order, padded)
    size = 2
    while size <= padded:
        step = size // 2
        while step > 0:
            compare_stage.for_each(order.size // 2, order, a, n, inner, padded, size, step, descending)
            step //= 2
        size *= 2
