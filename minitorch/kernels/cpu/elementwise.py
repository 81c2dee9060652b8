"""Map and zip: one function applied to every element, whatever the strides.

The templates below name a function ``fn`` that does not exist here. :func:`map_kernel` and :func:`zip_kernel` bind it,
so that each operation gets machine code of its own, in which LLVM has folded the function into the loop.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from numba import prange

from ..compile import Kernel, bind, is_ours, jit_element

__all__ = ["map_kernel", "zip_kernel"]

fn: Any = None  # bound in every copy

# One task of the parallel loop: long enough to be worth handing out, short enough to share a single row.
BLOCK = 4096


def _map(out, a, size):
    for i in prange(size):
        out[i] = fn(a[i])


def _zip(out, a, b, rows, mids, cols, a_row, a_mid, a_col, b_row, b_mid, b_col):
    """Combine two operands of shape ``rows x mids x cols``, each walked with its own three strides.

    A stride of zero repeats an element, which is all that broadcasting is. ``out`` is contiguous. The innermost
    loop has a version for each of the common strides because only those become vector instructions.
    """
    blocks = (cols + BLOCK - 1) // BLOCK
    for task in prange(rows * mids * blocks):
        line = task // blocks
        start = (task - line * blocks) * BLOCK
        stop = min(start + BLOCK, cols)
        row = line // mids
        mid = line - row * mids
        o = line * cols
        p = row * a_row + mid * a_mid
        q = row * b_row + mid * b_mid
        # Slices, because LLVM must see that an index starts at zero before it makes vector instructions.
        to = out[o + start : o + stop]
        if a_col == 1 and b_col == 1:
            left, right = a[p + start : p + stop], b[q + start : q + stop]
            for j in range(to.size):
                to[j] = fn(left[j], right[j])
        elif a_col == 1 and b_col == 0:
            left, y = a[p + start : p + stop], b[q]
            for j in range(to.size):
                to[j] = fn(left[j], y)
        elif a_col == 0 and b_col == 1:
            x, right = a[p], b[q + start : q + stop]
            for j in range(to.size):
                to[j] = fn(x, right[j])
        else:
            left, right = a[p + start * a_col :], b[q + start * b_col :]
            for j in range(to.size):
                to[j] = fn(left[j * a_col], right[j * b_col])


def _bound(template: Callable[..., Any], kind: str, function: Callable[..., Any]) -> Kernel:
    name = f"{kind}_{function.__module__.rpartition('.')[2]}_{function.__name__}"
    return Kernel(bind(template, name, fn=jit_element(function)), fastmath=("contract",), keep=is_ours(function))


@cache
def map_kernel(function: Callable[[Any], Any]) -> Kernel:
    """Make ``kernel(out, a, size)``: ``out[i] = function(a[i])`` over contiguous arrays."""
    return _bound(_map, "map", function)


@cache
def zip_kernel(function: Callable[[Any, Any], Any]) -> Kernel:
    """Make ``kernel(out, a, b, rows, mids, cols, *strides of a, *strides of b)``, strides counted in elements."""
    return _bound(_zip, "zip", function)
