"""Dropout with the draws of :mod:`minitorch.random`, made where they are used (course task 4.4)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ..compile import bind
from ..philox import uniform_32, uniform_64, words
from .launch import Kernel, cuda, device

__all__ = ["dropout_kernel", "uniform_for"]

uniform: Any = None  # bound in the copy for each dtype


def _dropout(out, a, rate, scale, seed, stream):
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        kept = uniform(np.uint64(i), stream, seed) >= rate
        out[i] = a[i] * scale if kept else 0


@cache
def uniform_for(dtype: np.dtype[Any]) -> Any:
    """Make the device function ``uniform(position, stream, seed)`` that draws a number of a type."""
    draw = uniform_32 if dtype == np.float32 else uniform_64
    return device(bind(draw, draw.__name__, words=device(words)))


@cache
def dropout_kernel(dtype: np.dtype[Any]) -> Kernel:
    """Make ``kernel(out, a, rate, scale, seed, stream)``; see :func:`minitorch.kernels.cpu.dropout.dropout`."""
    return Kernel(bind(_dropout, f"dropout_{dtype.name}", uniform=uniform_for(dtype)))
