r"""Softmax and its logarithm along the middle of a contiguous ``outer x n x inner`` array (course task 4.4).

The maximum $m$ of a line is subtracted before anything is exponentiated, so that numbers of any size give finite
results: $\ln \sum_j e^{x_j} = m + \ln \sum_j e^{x_j - m}$. The sum is in float64 for both dtypes: it costs nothing
beside the exponentials, and a long line of float32 loses no digits. A NaN spreads over its line
by way of that sum. The gradients are compositions of simpler functions, in :mod:`minitorch.nn`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy.typing as npt
from numba import prange

from ..compile import jit_element, kernel

__all__ = ["logsoftmax", "softmax"]

Array = npt.NDArray[Any]

# An exponential takes as long as this many simple element operations.
EXPONENTIAL = 16


@jit_element
def _maximum(a, start, stop, step):
    largest = a[start]
    for p in range(start, stop, step):
        if a[p] > largest:
            largest = a[p]
    return largest


@kernel("contract")
def _softmax(out, a, n, inner):
    for line in prange(a.size // n):
        first = line // inner * n * inner + line % inner
        last = first + n * inner
        largest = _maximum(a, first, last, inner)
        total = 0.0
        for p in range(first, last, inner):
            power = math.exp(a[p] - largest)
            out[p] = power
            total += power
        for p in range(first, last, inner):
            out[p] = out[p] / total


@kernel("contract")
def _logsoftmax(out, a, n, inner):
    for line in prange(a.size // n):
        first = line // inner * n * inner + line % inner
        last = first + n * inner
        largest = _maximum(a, first, last, inner)
        total = 0.0
        for p in range(first, last, inner):
            total += math.exp(a[p] - largest)
        log_total = math.log(total)
        for p in range(first, last, inner):
            out[p] = (a[p] - largest) - log_total


def softmax(out: Array, a: Array, n: int, inner: int) -> None:
    r"""Compute $y_i = e^{x_i} / \sum_j e^{x_j}$ along the middle dimension.

    Args:
        out: flat, ``outer * n * inner`` results.
        a: flat, as many elements, of the same dtype.
        n: the number of elements of a line.
        inner: the distance between two of them.

    >>> import numpy as np
    >>> out = np.empty(2)
    >>> softmax(out, np.array([1e4, 1e4]), 2, 1)
    >>> out.tolist()
    [0.5, 0.5]
    """
    if a.size:
        _softmax.run(a.size * EXPONENTIAL, out, a, n, inner)


def logsoftmax(out: Array, a: Array, n: int, inner: int) -> None:
    r"""Compute $y_i = x_i - \ln \sum_j e^{x_j}$ along the middle dimension; arguments as of :func:`softmax`.

    >>> import numpy as np
    >>> out = np.empty(2)
    >>> logsoftmax(out, np.array([0.0, -1e4]), 2, 1)
    >>> out.tolist()
    [0.0, -10000.0]
    """
    if a.size:
        _logsoftmax.run(a.size * EXPONENTIAL, out, a, n, inner)
