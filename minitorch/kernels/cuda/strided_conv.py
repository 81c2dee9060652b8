r"""The course's convolutions, over storages, shapes and strides, with tiles in shared memory (task 4.4b).

A block computes neighbouring outputs of one image and one output channel. For a channel of the input after the other
its threads copy what all of their windows see together, and the taps, into shared memory, wait for each other, and
multiply from there. A kernel of many taps is taken in pieces. Where a device has not as many blocks as there are
channels or images, each takes several.

They are Numba's CUDA dispatchers, started as ``tensor_conv1d[blocks_1d(out_shape), THREADS_1D](...)``.
"""

from __future__ import annotations

from typing import Any

from ...tensor_data import UserShape
from .launch import BLOCKS, Kernel, blocks_for, cuda

__all__ = [
    "SIDE",
    "TAPS",
    "THREADS_1D",
    "THREADS_2D",
    "_tensor_conv1d",
    "_tensor_conv2d",
    "blocks_1d",
    "blocks_2d",
    "conv1d",
    "conv2d",
    "tensor_conv1d",
    "tensor_conv2d",
]

# The outputs that a block computes, and the taps that it holds at once, in one dimension and along each of two.
THREADS_1D = 32
SIDE = 16
THREADS_2D = (SIDE, SIDE)
TAPS = 8

SEEN_1D = THREADS_1D + TAPS - 1
SEEN_2D = SIDE + TAPS - 1


def blocks_1d(out_shape: UserShape) -> tuple[int, int, int]:
    """Count the blocks for an output: along its width, its channels and its batch.

    >>> blocks_1d((4, 8, 33))
    (2, 8, 4)
    """
    batch, channels, width = out_shape
    return blocks_for(width, THREADS_1D), min(channels, BLOCKS), min(batch, BLOCKS)


def blocks_2d(out_shape: UserShape) -> tuple[int, int, int]:
    """Count the blocks for an output: over its height and width, its channels and its batch.

    >>> blocks_2d((4, 8, 17, 16))
    (2, 8, 4)
    """
    batch, channels, height, width = out_shape
    return blocks_for(height, SIDE) * blocks_for(width, SIDE), min(channels, BLOCKS), min(batch, BLOCKS)


def _tensor_conv1d(
    out,
    out_shape,
    out_strides,
    out_size,
    input,
    input_shape,
    input_strides,
    weight,
    weight_shape,
    weight_strides,
    reverse,
):
    r"""Compute $y_{b,o,i} = \sum_{c,k} x_{b,c,i+k}\, w_{o,c,k}$, or $x_{b,c,i-k}$ in reverse."""
    seen = cuda.shared.array(SEEN_1D, input.dtype)
    taps = cuda.shared.array(TAPS, weight.dtype)
    t = cuda.threadIdx.x
    first = cuda.blockIdx.x * THREADS_1D
    width = input_shape[2]
    zero = out.dtype.type(0)
    for b in range(cuda.blockIdx.z, out_shape[0], cuda.gridDim.z):
        for o in range(cuda.blockIdx.y, out_shape[1], cuda.gridDim.y):
            total = zero
            for c in range(input_shape[1]):
                x = b * input_strides[0] + c * input_strides[1]
                w = o * weight_strides[0] + c * weight_strides[1]
                for tap in range(0, weight_shape[2], TAPS):
                    count = min(TAPS, weight_shape[2] - tap)
                    # In reverse the last tap of the piece sees the leftmost input.
                    left = first - tap - TAPS + 1 if reverse else first + tap
                    for s in range(t, SEEN_1D, THREADS_1D):
                        inside = 0 <= left + s < width
                        seen[s] = input[x + (left + s) * input_strides[2]] if inside else zero
                    if t < count:
                        taps[t] = weight[w + (tap + t) * weight_strides[2]]
                    cuda.syncthreads()
                    for k in range(count):
                        total += seen[t + TAPS - 1 - k if reverse else t + k] * taps[k]
                    cuda.syncthreads()
            if first + t < out_shape[2]:
                out[b * out_strides[0] + o * out_strides[1] + (first + t) * out_strides[2]] = total


def _tensor_conv2d(
    out,
    out_shape,
    out_strides,
    out_size,
    input,
    input_shape,
    input_strides,
    weight,
    weight_shape,
    weight_strides,
    reverse,
):
    r"""Compute $y_{b,o,i,j} = \sum_{c,k,l} x_{b,c,i+k,j+l}\, w_{o,c,k,l}$, or $x_{b,c,i-k,j-l}$ in reverse."""
    seen = cuda.shared.array((SEEN_2D, SEEN_2D), input.dtype)
    taps = cuda.shared.array((TAPS, TAPS), weight.dtype)
    x = cuda.threadIdx.x
    y = cuda.threadIdx.y
    across = (out_shape[3] + SIDE - 1) // SIDE
    first_row = cuda.blockIdx.x // across * SIDE
    first_column = cuda.blockIdx.x % across * SIDE
    height, width = input_shape[2], input_shape[3]
    zero = out.dtype.type(0)
    for b in range(cuda.blockIdx.z, out_shape[0], cuda.gridDim.z):
        for o in range(cuda.blockIdx.y, out_shape[1], cuda.gridDim.y):
            total = zero
            for c in range(input_shape[1]):
                image = b * input_strides[0] + c * input_strides[1]
                w = o * weight_strides[0] + c * weight_strides[1]
                for tap_row in range(0, weight_shape[2], TAPS):
                    rows = min(TAPS, weight_shape[2] - tap_row)
                    top = first_row - tap_row - TAPS + 1 if reverse else first_row + tap_row
                    for tap_column in range(0, weight_shape[3], TAPS):
                        columns = min(TAPS, weight_shape[3] - tap_column)
                        left = first_column - tap_column - TAPS + 1 if reverse else first_column + tap_column
                        for i in range(y, SEEN_2D, SIDE):
                            for j in range(x, SEEN_2D, SIDE):
                                inside = 0 <= top + i < height and 0 <= left + j < width
                                at = image + (top + i) * input_strides[2] + (left + j) * input_strides[3]
                                seen[i, j] = input[at] if inside else zero
                        if y < rows and x < columns:
                            at = w + (tap_row + y) * weight_strides[2] + (tap_column + x) * weight_strides[3]
                            taps[y, x] = weight[at]
                        cuda.syncthreads()
                        for k in range(rows):
                            i = y + TAPS - 1 - k if reverse else y + k
                            for l in range(columns):
                                j = x + TAPS - 1 - l if reverse else x + l
                                total += seen[i, j] * taps[k, l]
                        cuda.syncthreads()
            i = first_row + y
            j = first_column + x
            if i < out_shape[2] and j < out_shape[3]:
                out[b * out_strides[0] + o * out_strides[1] + i * out_strides[2] + j * out_strides[3]] = total


conv1d = Kernel(_tensor_conv1d)
conv2d = Kernel(_tensor_conv2d)
tensor_conv1d: Any = conv1d.dispatcher
tensor_conv2d: Any = conv2d.dispatcher
