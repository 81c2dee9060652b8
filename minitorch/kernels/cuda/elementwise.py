"""Map and zip: a thread for each element, whatever the strides (course task 3.3).

The templates name a function ``fn`` that :func:`map_kernel` and :func:`zip_kernel` bind. Neighbouring threads take
neighbouring elements of the result, so that a warp reads and writes whole lines of memory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from ..compile import bind
from .launch import Kernel, cuda, device, kernel
from .walk import place

__all__ = ["fill", "map_kernel", "zip_kernel"]

fn: Any = None  # bound in every copy
place_of = device(place)


def _map(out, a, size, sizes, out_strides, a_strides):
    for i in range(cuda.grid(1), size, cuda.gridsize(1)):
        out[place_of(i, sizes, out_strides)] = fn(a[place_of(i, sizes, a_strides)])


def _zip(out, a, b, size, sizes, a_strides, b_strides):
    for i in range(cuda.grid(1), size, cuda.gridsize(1)):
        out[i] = fn(a[place_of(i, sizes, a_strides)], b[place_of(i, sizes, b_strides)])


@cache
def map_kernel(function: Callable[[Any], Any]) -> Kernel:
    """Make ``kernel(out, a, size, sizes, strides of out, strides of a)``: ``out[i] = function(a[i])``."""
    return Kernel(bind(_map, f"map_{function.__name__}", fn=device(function)))


@cache
def zip_kernel(function: Callable[[Any, Any], Any]) -> Kernel:
    """Make ``kernel(out, a, b, size, sizes, strides of a, strides of b)`` with contiguous ``out``."""
    return Kernel(bind(_zip, f"zip_{function.__name__}", fn=device(function)))


@kernel
def fill(out, value):
    """Set every element to a number."""
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        out[i] = value
