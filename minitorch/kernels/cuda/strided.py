r"""The course's kernels, to read and to learn by: over storages, shapes and strides, for every layout (tasks 3.3, 3.4).

They are Numba's CUDA dispatchers, started as ``kernel[blocks, threads](...)``. :class:`~minitorch.cuda_ops.CudaOps`
runs others, which know less of layouts and are faster.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ...tensor_data import MAX_DIMS, broadcast_index, index_to_position, to_index
from ..compile import bind
from .launch import Kernel, cuda, device

__all__ = [
    "MOST_THREADS",
    "THREADS_PER_BLOCK",
    "_mm_practice",
    "_sum_practice",
    "_tensor_matrix_multiply",
    "kernel_of",
    "matrix_multiply",
    "mm_practice",
    "sum_practice",
    "tensor_map",
    "tensor_matrix_multiply",
    "tensor_reduce",
    "tensor_zip",
]

# The side of the tiles of the matrix products, the threads of a practice sum, and the most threads of a block.
THREADS_PER_BLOCK = 32
MOST_THREADS = 1024

fn: Any = None  # bound in every copy of the templates
index_of = device(to_index)
position_of = device(index_to_position)
broadcast = device(broadcast_index)


def _tensor_map(out, out_shape, out_strides, out_size, in_storage, in_shape, in_strides):
    out_index = cuda.local.array(MAX_DIMS, np.int64)
    in_index = cuda.local.array(MAX_DIMS, np.int64)
    i = cuda.grid(1)
    if i < out_size:
        index_of(i, out_shape, out_index)
        broadcast(out_index, out_shape, in_shape, in_index)
        out[position_of(out_index, out_strides)] = fn(in_storage[position_of(in_index, in_strides)])


def _tensor_zip(out, out_shape, out_strides, out_size, a_storage, a_shape, a_strides, b_storage, b_shape, b_strides):
    out_index = cuda.local.array(MAX_DIMS, np.int64)
    a_index = cuda.local.array(MAX_DIMS, np.int64)
    b_index = cuda.local.array(MAX_DIMS, np.int64)
    i = cuda.grid(1)
    if i < out_size:
        index_of(i, out_shape, out_index)
        broadcast(out_index, out_shape, a_shape, a_index)
        broadcast(out_index, out_shape, b_shape, b_index)
        left = a_storage[position_of(a_index, a_strides)]
        right = b_storage[position_of(b_index, b_strides)]
        out[position_of(out_index, out_strides)] = fn(left, right)


def _tensor_reduce(out, out_shape, out_strides, out_size, a_storage, a_shape, a_strides, reduce_dim, reduce_value):
    results = cuda.shared.array(MOST_THREADS, out.dtype)
    index = cuda.local.array(MAX_DIMS, np.int64)
    t = cuda.threadIdx.x
    threads = cuda.blockDim.x
    n = a_shape[reduce_dim]
    # The whole block shares one result, so its threads take this branch together.
    if cuda.blockIdx.x < out_size:
        index_of(cuda.blockIdx.x, out_shape, index)
        index[reduce_dim] = 0
        first = position_of(index, a_strides)
        step = a_strides[reduce_dim]
        width = min(n, threads)
        if t < width:
            total = a_storage[first + t * step]
            for k in range(t + threads, n, threads):
                total = fn(total, a_storage[first + k * step])
            results[t] = total
        while width > 1:
            half = (width + 1) // 2
            cuda.syncthreads()
            if t + half < width:
                results[t] = fn(results[t], results[t + half])
            width = half
        if t == 0:
            out[position_of(index, out_strides)] = fn(reduce_value, results[0]) if n > 0 else reduce_value


@cache
def kernel_of(template: Callable[..., None], function: Callable[..., Any]) -> Kernel:
    """Bind one of the three templates above to a function."""
    return Kernel(bind(template, f"{template.__name__}_{function.__name__}", fn=device(function)), MOST_THREADS)


def tensor_map(fn: Callable[[float], float]) -> Any:
    """Compile ``out[i] = fn(in[i])``, a thread for each element (course task 3.3).

    Args:
        fn: a function of one number; the result is memoised by it, and compiled once for each element type.

    Returns:
        A dispatcher of ``(out, out_shape, out_strides, out_size, in, in_shape, in_strides)``, for ``out_size``
        threads or more in all.
    """
    return kernel_of(_tensor_map, fn).dispatcher


def tensor_zip(fn: Callable[[float, float], float]) -> Any:
    """Compile ``out[i] = fn(a[i], b[i])``, a thread for each element, the inputs broadcast (course task 3.3).

    Args:
        fn: a function of two numbers; the result is memoised by it, and compiled once for each element type.

    Returns:
        A dispatcher of ``(out, out_shape, out_strides, out_size)`` and of storage, shape and strides of ``a`` and
        ``b``, for ``out_size`` threads or more in all.
    """
    return kernel_of(_tensor_zip, fn).dispatcher


def tensor_reduce(fn: Callable[[float, float], float]) -> Any:
    """Compile the fold of one dimension, of any length, a block for each result (course task 3.3).

    Args:
        fn: an associative and commutative function of two numbers; the result is memoised by it.

    Returns:
        A dispatcher of ``(out, out_shape, out_strides, out_size, a, a_shape, a_strides, reduce_dim, reduce_value)``,
        for ``out_size`` blocks of at most 1,024 threads. ``reduce_value`` is what each fold begins with.
    """
    return kernel_of(_tensor_reduce, fn).dispatcher


def _sum_practice(out, a, size):
    r"""Add up each block's elements in shared memory: $y_b = \sum_{t < 32} x_{32 b + t}$ (course task 3.3)."""
    numbers = cuda.shared.array(THREADS_PER_BLOCK, out.dtype)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    numbers[t] = a[i] if i < size else out.dtype.type(0)
    half = THREADS_PER_BLOCK // 2
    while half > 0:
        cuda.syncthreads()
        if t < half:
            numbers[t] += numbers[t + half]
        half //= 2
    if t == 0:
        out[cuda.blockIdx.x] = numbers[0]


def _mm_practice(out, a, b, size):
    """Multiply two matrices of at most 32 x 32 from shared memory, in one block (course task 3.4)."""
    left = cuda.shared.array((THREADS_PER_BLOCK, THREADS_PER_BLOCK), out.dtype)
    right = cuda.shared.array((THREADS_PER_BLOCK, THREADS_PER_BLOCK), out.dtype)
    j = cuda.threadIdx.x
    i = cuda.threadIdx.y
    inside = i < size and j < size
    if inside:
        left[i, j] = a[i * size + j]
        right[i, j] = b[i * size + j]
    cuda.syncthreads()
    if inside:
        total = out.dtype.type(0)
        for k in range(size):
            total += left[i, k] * right[k, j]
        out[i * size + j] = total


def _tensor_matrix_multiply(
    out, out_shape, out_strides, out_size, a_storage, a_shape, a_strides, b_storage, b_shape, b_strides
):
    """Multiply batches of matrices in tiles of shared memory (course task 3.4).

    A batch of one serves every batch of the other. Start it with blocks of 32 x 32 threads, enough of them along y for
    the rows (a device has 65,535 there at most) and along x for the columns, and along z one for each batch, or fewer.
    """
    left = cuda.shared.array((THREADS_PER_BLOCK, THREADS_PER_BLOCK), out.dtype)
    right = cuda.shared.array((THREADS_PER_BLOCK, THREADS_PER_BLOCK), out.dtype)
    x = cuda.threadIdx.x
    y = cuda.threadIdx.y
    i = cuda.blockIdx.y * THREADS_PER_BLOCK + y
    j = cuda.blockIdx.x * THREADS_PER_BLOCK + x
    rows, columns, inner = out_shape[1], out_shape[2], a_shape[2]
    for batch in range(cuda.blockIdx.z, out_shape[0], cuda.gridDim.z):
        a_first = batch * a_strides[0] if a_shape[0] > 1 else 0
        b_first = batch * b_strides[0] if b_shape[0] > 1 else 0
        total = out.dtype.type(0)
        for step in range(0, inner, THREADS_PER_BLOCK):
            # Every element of a tile is fetched once, by the thread that stands where it lies.
            if i < rows and step + x < inner:
                left[y, x] = a_storage[a_first + i * a_strides[1] + (step + x) * a_strides[2]]
            if j < columns and step + y < inner:
                right[y, x] = b_storage[b_first + (step + y) * b_strides[1] + j * b_strides[2]]
            cuda.syncthreads()
            if i < rows and j < columns:
                for k in range(min(THREADS_PER_BLOCK, inner - step)):
                    total += left[y, k] * right[k, x]
            cuda.syncthreads()
        if i < rows and j < columns:
            out[batch * out_strides[0] + i * out_strides[1] + j * out_strides[2]] = total


sum_practice = Kernel(_sum_practice)
mm_practice = Kernel(_mm_practice, MOST_THREADS)
matrix_multiply = Kernel(_tensor_matrix_multiply, MOST_THREADS)
tensor_matrix_multiply: Any = matrix_multiply.dispatcher
