r"""The loops of convolution and matrix product over storages, shapes and strides (course tasks 3.2, 4.1 and 4.2).

A storage is a flat array; element $(i, j, \ldots)$ of a tensor lies at $i\,s_0 + j\,s_1 + \cdots$ of it, so these loops
take every memory layout: permuted, expanded, a view of another tensor. They are plain Python. Run as such they are
the definition that the faster kernels are compared with; compiled by Numba with ``parallel=True`` each turn of a
``prange`` loop is a task of its own. No task writes where another one reads or writes, each result is added up in one
number and written once, and nothing is allocated.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import prange

__all__ = ["_tensor_conv1d", "_tensor_conv2d", "_tensor_convolve", "_tensor_matrix_multiply"]

Storage: TypeAlias = npt.NDArray[Any]
Integers: TypeAlias = npt.NDArray[np.integer[Any]]


def _tensor_conv1d(
    out: Storage,
    out_shape: Integers,
    out_strides: Integers,
    out_size: int,
    input: Storage,
    input_shape: Integers,
    input_strides: Integers,
    weight: Storage,
    weight_shape: Integers,
    weight_strides: Integers,
    reverse: bool,
) -> None:
    r"""Convolve in one dimension, the input continued by zeros.

    $$y_{b,o,i} = \sum_{c,k} x_{b,c,i+k}\, w_{o,c,k} \qquad\text{(reverse: } x_{b,c,i-k}\text{)}$$

    Args:
        out: storage of ``batch x out_channels x out_width``. Every element is written. ``out_width`` need not be the
            input's: the gradient of a weight is a convolution whose output is as wide as the kernel.
        out_shape: its shape.
        out_strides: its strides.
        out_size: its number of elements.
        input: storage of ``batch x in_channels x width``.
        input_shape: its shape.
        input_strides: its strides.
        weight: storage of ``out_channels x in_channels x kernel_width``.
        weight_shape: its shape.
        weight_strides: its strides.
        reverse: anchor the kernel at its right end instead of its left.

    >>> a, w, out = np.array([1.0, 2.0, 3.0]), np.array([1.0, 10.0]), np.empty(3)
    >>> wide, steps = np.array([1, 1, 3]), np.array([3, 3, 1])
    >>> _tensor_conv1d(out, wide, steps, 3, a, wide, steps, w, np.array([1, 1, 2]), np.array([2, 2, 1]), False)
    >>> out.tolist()
    [21.0, 32.0, 3.0]
    """
    out_channels, out_width = out_shape[1], out_shape[2]
    channels, width = input_shape[1], input_shape[2]
    taps = weight_shape[2]
    x_batch, x_channel, x_column = input_strides[0], input_strides[1], input_strides[2]
    w_out, w_channel, w_column = weight_strides[0], weight_strides[1], weight_strides[2]
    x_tap = -x_column if reverse else x_column

    for task in prange(out_shape[0] * out_channels):
        b = task // out_channels
        o = task - b * out_channels
        for i in range(out_width):
            # The taps whose input lies inside.
            first = max(0, i - width + 1) if reverse else 0
            last = min(taps, i + 1) if reverse else min(taps, width - i)
            total = out.dtype.type(0)
            for c in range(channels):
                x = b * x_batch + c * x_channel + i * x_column
                w = o * w_out + c * w_channel
                for k in range(first, last):
                    total += input[x + k * x_tap] * weight[w + k * w_column]
            out[b * out_strides[0] + o * out_strides[1] + i * out_strides[2]] = total


def _tensor_conv2d(
    out: Storage,
    out_shape: Integers,
    out_strides: Integers,
    out_size: int,
    input: Storage,
    input_shape: Integers,
    input_strides: Integers,
    weight: Storage,
    weight_shape: Integers,
    weight_strides: Integers,
    reverse: bool,
) -> None:
    r"""Convolve in two dimensions, the input continued by zeros.

    $$y_{b,o,i,j} = \sum_{c,k,l} x_{b,c,i+k,j+l}\, w_{o,c,k,l} \qquad\text{(reverse: } x_{b,c,i-k,j-l}\text{)}$$

    Args:
        out: storage of ``batch x out_channels x out_height x out_width``. Every element is written. The height and
            width need not be the input's: the gradient of a weight is a convolution as large as the kernel.
        out_shape: its shape.
        out_strides: its strides.
        out_size: its number of elements.
        input: storage of ``batch x in_channels x height x width``.
        input_shape: its shape.
        input_strides: its strides.
        weight: storage of ``out_channels x in_channels x kernel_height x kernel_width``.
        weight_shape: its shape.
        weight_strides: its strides.
        reverse: anchor the kernel at its bottom right instead of its top left.

    >>> a, w, out = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 10.0]), np.empty(4)
    >>> square, steps = np.array([1, 1, 2, 2]), np.array([4, 4, 2, 1])
    >>> kernel = np.array([1, 1, 1, 2]), np.array([2, 2, 2, 1])
    >>> _tensor_conv2d(out, square, steps, 4, a, square, steps, w, *kernel, False)
    >>> out.tolist()
    [21.0, 2.0, 43.0, 4.0]
    """
    out_channels, out_height, out_width = out_shape[1], out_shape[2], out_shape[3]
    channels, height, width = input_shape[1], input_shape[2], input_shape[3]
    tap_rows, tap_columns = weight_shape[2], weight_shape[3]
    x_batch, x_channel, x_row, x_column = input_strides[0], input_strides[1], input_strides[2], input_strides[3]
    w_out, w_channel, w_row, w_column = weight_strides[0], weight_strides[1], weight_strides[2], weight_strides[3]
    x_tap_row, x_tap_column = (-x_row, -x_column) if reverse else (x_row, x_column)

    for task in prange(out_shape[0] * out_channels):
        b = task // out_channels
        o = task - b * out_channels
        for i in range(out_height):
            # The rows and columns of taps whose input lies inside.
            first_row = max(0, i - height + 1) if reverse else 0
            last_row = min(tap_rows, i + 1) if reverse else min(tap_rows, height - i)
            for j in range(out_width):
                first = max(0, j - width + 1) if reverse else 0
                last = min(tap_columns, j + 1) if reverse else min(tap_columns, width - j)
                total = out.dtype.type(0)
                for c in range(channels):
                    for k in range(first_row, last_row):
                        x = b * x_batch + c * x_channel + i * x_row + j * x_column + k * x_tap_row
                        w = o * w_out + c * w_channel + k * w_row
                        for l in range(first, last):
                            total += input[x + l * x_tap_column] * weight[w + l * w_column]
                out[b * out_strides[0] + o * out_strides[1] + i * out_strides[2] + j * out_strides[3]] = total


def _tensor_convolve(
    out: Storage,
    out_shape: Integers,
    out_strides: Integers,
    input: Storage,
    input_shape: Integers,
    input_strides: Integers,
    weight: Storage,
    weight_shape: Integers,
    weight_strides: Integers,
    geometry: Integers,
) -> None:
    r"""Convolve in two dimensions with any stride, spread, dilation and offset: the definition of them all.

    Output row $i$ sees row $(s i + d k + \mathit{offset}) / u$ of the input through tap row $k$, and nothing where that
    is no whole number or no row of it; the columns alike. See :mod:`minitorch.kernels.geometry`.

    Args:
        out: storage of ``batch x out_channels x out_height x out_width``. Every element is written.
        out_shape: its shape.
        out_strides: its strides.
        input: storage of ``batch x in_channels x height x width``.
        input_shape: its shape.
        input_strides: its strides.
        weight: storage of ``out_channels x in_channels x kernel_height x kernel_width``.
        weight_shape: its shape.
        weight_strides: its strides.
        geometry: ``2 x 4``: stride, spread, dilation and offset, for the rows and for the columns. Stride and dilation
            may be negative, and zero has no meaning for the spread.

    >>> a, w, out = np.array([1.0, 2.0, 3.0]), np.array([1.0, 10.0]), np.empty(2)
    >>> line, steps = np.array([1, 1, 1, 3]), np.array([3, 3, 3, 1])
    >>> to, tap = np.array([1, 1, 1, 2]), np.array([2, 2, 2, 1])
    >>> every_second = np.array([[1, 1, 1, 0], [2, 1, 1, -1]])
    >>> _tensor_convolve(out, to, tap, a, line, steps, w, to, tap, every_second)
    >>> out.tolist()
    [10.0, 32.0]
    """
    out_channels, out_height, out_width = out_shape[1], out_shape[2], out_shape[3]
    channels, height, width = input_shape[1], input_shape[2], input_shape[3]
    tap_rows, tap_columns = weight_shape[2], weight_shape[3]
    row_stride, row_spread, row_dilation, row_offset = geometry[0]
    column_stride, column_spread, column_dilation, column_offset = geometry[1]

    for task in prange(out_shape[0] * out_channels):
        b = task // out_channels
        o = task - b * out_channels
        for i in range(out_height):
            for j in range(out_width):
                total = out.dtype.type(0)
                for k in range(tap_rows):
                    row = row_stride * i + row_dilation * k + row_offset
                    if row < 0 or row >= height * row_spread or row % row_spread != 0:
                        continue
                    for l in range(tap_columns):
                        column = column_stride * j + column_dilation * l + column_offset
                        if column < 0 or column >= width * column_spread or column % column_spread != 0:
                            continue
                        x = b * input_strides[0] + row // row_spread * input_strides[2]
                        x += column // column_spread * input_strides[3]
                        w = o * weight_strides[0] + k * weight_strides[2] + l * weight_strides[3]
                        for c in range(channels):
                            total += input[x + c * input_strides[1]] * weight[w + c * weight_strides[1]]
                out[b * out_strides[0] + o * out_strides[1] + i * out_strides[2] + j * out_strides[3]] = total


def _tensor_matrix_multiply(
    out: Storage,
    out_shape: Integers,
    out_strides: Integers,
    a_storage: Storage,
    a_shape: Integers,
    a_strides: Integers,
    b_storage: Storage,
    b_shape: Integers,
    b_strides: Integers,
) -> None:
    r"""Multiply batches of matrices, $y_{nij} = \sum_k a_{nik}\, b_{nkj}$; a batch of one serves every $n$.

    Args:
        out: storage of ``batch x rows x columns``. Every element is written.
        out_shape: its shape.
        out_strides: its strides.
        a_storage: storage of ``batch x rows x inner``, or of ``1 x rows x inner``.
        a_shape: its shape.
        a_strides: its strides.
        b_storage: storage of ``batch x inner x columns``, or of ``1 x inner x columns``.
        b_shape: its shape.
        b_strides: its strides.

    >>> a, out, square, steps = np.array([1.0, 2.0, 3.0, 4.0]), np.empty(4), np.array([1, 2, 2]), np.array([4, 2, 1])
    >>> _tensor_matrix_multiply(out, square, steps, a, square, steps, a, square, steps)
    >>> out.tolist()
    [7.0, 10.0, 15.0, 22.0]
    """
    rows, columns, inner = out_shape[1], out_shape[2], a_shape[2]
    a_batch = a_strides[0] if a_shape[0] > 1 else 0
    b_batch = b_strides[0] if b_shape[0] > 1 else 0
    a_row, a_column = a_strides[1], a_strides[2]
    b_row, b_column = b_strides[1], b_strides[2]
    out_column = out_strides[2]

    # An addition waits for the one before it in the same sum, not for those of its neighbours: four columns at once.
    in_fours = columns - columns % 4
    for task in prange(out_shape[0] * rows):
        n = task // rows
        i = task - n * rows
        a = n * a_batch + i * a_row
        b = n * b_batch
        o = n * out_strides[0] + i * out_strides[1]
        for j in range(0, in_fours, 4):
            first = second = third = fourth = out.dtype.type(0)
            for k in range(inner):
                x = a_storage[a + k * a_column]
                y = b + k * b_row + j * b_column
                first += x * b_storage[y]
                second += x * b_storage[y + b_column]
                third += x * b_storage[y + 2 * b_column]
                fourth += x * b_storage[y + 3 * b_column]
            out[o + j * out_column] = first
            out[o + (j + 1) * out_column] = second
            out[o + (j + 2) * out_column] = third
            out[o + (j + 3) * out_column] = fourth
        for j in range(in_fours, columns):
            total = out.dtype.type(0)
            for k in range(inner):
                total += a_storage[a + k * a_column] * b_storage[b + k * b_row + j * b_column]
            out[o + j * out_column] = total
