"""Reduction along the middle of a contiguous ``outer x n x inner`` array."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from numba import prange

from ..compile import Kernel, bind, is_ours, jit, jit_element

__all__ = ["reduce_kernel"]

fn: Any = None  # bound in every copy

# Neighbouring columns that one task reduces together, so that a row of them is read from memory at once.
COLUMNS = 256


def _reduce(out, a, start, outer, n, inner):
    """Fold ``n`` elements, in order, into each of ``outer x inner`` results that begin as ``start``."""
    if inner == 1:
        for o in prange(outer):
            total = a.dtype.type(start)
            row = a[o * n : o * n + n]
            for i in range(n):
                total = fn(total, row[i])
            out[o] = total
    else:
        blocks = (inner + COLUMNS - 1) // COLUMNS
        for task in prange(outer * blocks):
            o = task // blocks
            first = (task - o * blocks) * COLUMNS
            last = min(first + COLUMNS, inner)
            to = out[o * inner + first : o * inner + last]
            to[:] = start
            for i in range(n):
                p = (o * n + i) * inner
                row = a[p + first : p + last]
                for j in range(to.size):
                    to[j] = fn(to[j], row[j])


@cache
def reduce_kernel(function: Callable[[Any, Any], Any]) -> Kernel:
    """Make ``kernel(out, a, start, outer, n, inner)`` for an associative ``function``.

    Sums along contiguous elements are regrouped so that they become vector instructions; the grouping is fixed
    when the kernel is compiled, so equal inputs give equal bits.
    """
    ours = is_ours(function)
    regroup = ("contract", "reassoc", "nsz") if ours else ("contract",)
    name = f"reduce_{function.__module__.rpartition('.')[2]}_{function.__name__}"
    # The additions are the function's, so it is the function that has to allow their regrouping.
    compiled = jit(function, keep=False, fastmath=set(regroup)) if ours else jit_element(function)
    return Kernel(bind(_reduce, name, fn=compiled), fastmath=regroup, keep=ours)
