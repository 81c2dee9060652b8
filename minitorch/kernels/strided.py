"""Matrix product and convolution over storages of any layout: the loops that one reads to learn them.

Each function takes, for every tensor, a flat storage and the arrays of its sizes and strides. Run by Python they define
what :class:`~minitorch.tensor_ops.SimpleOps` computes; compiled by Numba, where ``prange`` spreads the outer loop
over the cores, they are the public dispatchers of :mod:`minitorch.fast_ops` and :mod:`minitorch.fast_conv`.
"""

from __future__ import annotations

from numba import prange

__all__ = ["_tensor_conv1d", "_tensor_conv2d", "_tensor_matrix_multiply"]


def _tensor_matrix_multiply(out, out_shape, out_strides, a_storage, a_shape, a_strides, b_storage, b_shape, b_strides):
    r"""Compute $c_{nij} = \sum_k a_{nik} b_{nkj}$ for three-dimensional operands (course task 3.2).

    An operand whose batch size is 1 serves every ``n``. No index arrays are made, and each output is written once.

    Args:
        out: storage of the result, ``batch x rows x columns``.
        out_shape: its sizes.
        out_strides: its strides.
        a_storage: storage of the left operand, ``batch x rows x inner``.
        a_shape: its sizes.
        a_strides: its strides.
        b_storage: storage of the right operand, ``batch x inner x columns``.
        b_shape: its sizes.
        b_strides: its strides.
    """
    rows, columns, inner = out_shape[1], out_shape[2], a_shape[2]
    a_batch = a_strides[0] if a_shape[0] > 1 else 0
    b_batch = b_strides[0] if b_shape[0] > 1 else 0
    for line in prange(out_shape[0] * rows):
        n = line // rows
        i = line - n * rows
        for j in range(columns):
            p = n * a_batch + i * a_strides[1]
            q = n * b_batch + j * b_strides[2]
            total = 0.0
            for _ in range(inner):
                total += a_storage[p] * b_storage[q]
                p += a_strides[2]
                q += b_strides[1]
            out[n * out_strides[0] + i * out_strides[1] + j * out_strides[2]] = total


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
    r"""Compute $y_{b,o,i} = \sum_{c,k} x_{b,c,i+k} w_{o,c,k}$, or $x_{b,c,i-k}$ in reverse (course task 4.1).

    What lies beyond the input counts as zero. The output's width decides how many places are computed.

    Args:
        out: storage of the result, ``batch x out_channels x width``.
        out_shape: its sizes.
        out_strides: its strides.
        out_size: its number of elements.
        input: storage of the input, ``batch x in_channels x width``.
        input_shape: its sizes.
        input_strides: its strides.
        weight: storage of the weight, ``out_channels x in_channels x kernel_width``.
        weight_shape: its sizes.
        weight_strides: its strides.
        reverse: anchor the kernel at the right instead of the left.
    """
    out_channels, out_width = out_shape[1], out_shape[2]
    in_channels, width = input_shape[1], input_shape[2]
    kernel_width = weight_shape[2]
    for line in prange(out_shape[0] * out_channels):
        b = line // out_channels
        o = line - b * out_channels
        for i in range(out_width):
            total = 0.0
            for c in range(in_channels):
                p = b * input_strides[0] + c * input_strides[1]
                q = o * weight_strides[0] + c * weight_strides[1]
                for k in range(kernel_width):
                    x = i - k if reverse else i + k
                    if 0 <= x < width:
                        total += input[p + x * input_strides[2]] * weight[q + k * weight_strides[2]]
            out[b * out_strides[0] + o * out_strides[1] + i * out_strides[2]] = total


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
    r"""Compute $y_{b,o,i,j} = \sum_{c,k,l} x_{b,c,i+k,j+l} w_{o,c,k,l}$, or $x_{b,c,i-k,j-l}$ in reverse (task 4.2).

    What lies beyond the image counts as zero. The output's height and width decide how many places are computed.

    Args:
        out: storage of the result, ``batch x out_channels x height x width``.
        out_shape: its sizes.
        out_strides: its strides.
        out_size: its number of elements.
        input: storage of the input, ``batch x in_channels x height x width``.
        input_shape: its sizes.
        input_strides: its strides.
        weight: storage of the weight, ``out_channels x in_channels x kernel_height x kernel_width``.
        weight_shape: its sizes.
        weight_strides: its strides.
        reverse: anchor the kernel at the bottom right instead of the top left.
    """
    out_channels, out_height, out_width = out_shape[1], out_shape[2], out_shape[3]
    in_channels, height, width = input_shape[1], input_shape[2], input_shape[3]
    kernel_height, kernel_width = weight_shape[2], weight_shape[3]
    for line in prange(out_shape[0] * out_channels):
        b = line // out_channels
        o = line - b * out_channels
        for i in range(out_height):
            for j in range(out_width):
                total = 0.0
                for c in range(in_channels):
                    for k in range(kernel_height):
                        y = i - k if reverse else i + k
                        if 0 <= y < height:
                            p = b * input_strides[0] + c * input_strides[1] + y * input_strides[2]
                            q = o * weight_strides[0] + c * weight_strides[1] + k * weight_strides[2]
                            for m in range(kernel_width):
                                x = j - m if reverse else j + m
                                if 0 <= x < width:
                                    total += input[p + x * input_strides[3]] * weight[q + m * weight_strides[3]]
                out[b * out_strides[0] + o * out_strides[1] + i * out_strides[2] + j * out_strides[3]] = total
