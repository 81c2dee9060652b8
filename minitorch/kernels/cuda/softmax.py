r"""Softmax and its logarithm along the middle of a contiguous ``outer x n x inner`` array (course task 4.4).

A block has a line, of whatever length; whether a warp for each short one is faster was not measured yet. Its threads
find the maximum $m$ and add up $e^{x_j - m}$ in shared memory, in an order that depends on the line's length alone, and
write the results. The sum is in float64 for both dtypes, as on the CPU; a NaN spreads over its line by way of that sum.
"""

from __future__ import annotations

import math

import numpy as np

from .launch import THREADS, cuda, device, kernel

__all__ = ["logsoftmax", "softmax"]


# Every thread of a block calls these two, for they wait for each other inside.


def _largest(a, first, n, inner):
    """Find the maximum of the block's line."""
    found = cuda.shared.array(THREADS, a.dtype)
    t = cuda.threadIdx.x
    width = min(n, cuda.blockDim.x)
    if t < width:
        largest = a[first + t * inner]
        for i in range(t + cuda.blockDim.x, n, cuda.blockDim.x):
            if a[first + i * inner] > largest:
                largest = a[first + i * inner]
        found[t] = largest
    while width > 1:
        half = (width + 1) // 2
        cuda.syncthreads()
        if t + half < width and found[t + half] > found[t]:
            found[t] = found[t + half]
        width = half
    cuda.syncthreads()
    return found[0]


def _total(a, first, n, inner, largest):
    r"""Add up $e^{x_j - m}$ over the block's line."""
    sums = cuda.shared.array(THREADS, np.float64)
    t = cuda.threadIdx.x
    width = min(n, cuda.blockDim.x)
    total = 0.0
    for i in range(t, n, cuda.blockDim.x):
        total += math.exp(a[first + i * inner] - largest)
    sums[t] = total
    while width > 1:
        half = (width + 1) // 2
        cuda.syncthreads()
        if t + half < width:
            sums[t] += sums[t + half]
        width = half
    cuda.syncthreads()
    return sums[0]


largest_of = device(_largest)
total_of = device(_total)


@kernel
def softmax(out, a, n, inner):
    r"""Compute $e^{x_i - m} / \sum_j e^{x_j - m}$ for the lines of ``n`` elements, a block each."""
    first = cuda.blockIdx.x // inner * n * inner + cuda.blockIdx.x % inner
    largest = largest_of(a, first, n, inner)
    total = total_of(a, first, n, inner, largest)
    for i in range(cuda.threadIdx.x, n, cuda.blockDim.x):
        out[first + i * inner] = math.exp(a[first + i * inner] - largest) / total


@kernel
def logsoftmax(out, a, n, inner):
    r"""Compute $(x_i - m) - \ln \sum_j e^{x_j - m}$ in the same way."""
    first = cuda.blockIdx.x // inner * n * inner + cuda.blockIdx.x % inner
    largest = largest_of(a, first, n, inner)
    log_total = math.log(total_of(a, first, n, inner, largest))
    for i in range(cuda.threadIdx.x, n, cuda.blockDim.x):
        out[first + i * inner] = (a[first + i * inner] - largest) - log_total
