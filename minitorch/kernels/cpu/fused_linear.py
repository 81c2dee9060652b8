"""Fully connected layers for a few rows of a batch: a matrix product with bias and ReLU in registers.

A BLAS library copies both operands into a layout of its own before it multiplies. For 8 rows and a weight of 784 x 256
that takes longer than the product; these loops read the weight where it lies. The product with a transposed weight,
which the gradient of the input needs, is the same one after :func:`transpose`, once a step for all rows.
"""

from __future__ import annotations

import numpy as np

from .fused_conv import _compiled
from .vectors import (
    LANES,
    as_written,
    at_least,
    broadcast,
    element,
    fill,
    load_part,
    multiply_add,
    store_element,
    store_part,
)

__all__ = ["linear_forward", "transpose"]


@_compiled
def linear_forward(y, x, w, bias, relu, b0, b1) -> None:
    """Multiply rows ``b0`` to ``b1`` by a matrix, add the bias, and apply ReLU.

    Args:
        y: ``batch x outputs``.
        x: ``batch x inputs``.
        w: ``inputs x outputs``.
        bias: one number for each output; zeros where there is none.
        relu: 1 or 0.
        b0: the first row.
        b1: the row behind the last.
    """
    inputs, outputs = w.shape
    last = b1 - 1
    low = fill(y, 0 if relu else -np.inf)
    for b in range(b0, b1, 4):
        # Where fewer than four rows are left, the last one is computed several times.
        row1, row2, row3 = min(b + 1, last), min(b + 2, last), min(b + 3, last)
        at0, at1, at2, at3 = b * inputs, row1 * inputs, row2 * inputs, row3 * inputs
        for p in range(0, outputs, 2 * LANES):
            n, m = outputs - p, outputs - p - LANES
            a0 = r0 = c0 = d0 = load_part(bias, p, n)
            a1 = r1 = c1 = d1 = load_part(bias, p + LANES, m)
            for k in range(inputs):
                at = k * outputs + p
                left, right = load_part(w, at, n), load_part(w, at + LANES, m)
                s = broadcast(x, at0 + k)
                a0, a1 = multiply_add(left, s, a0), multiply_add(right, s, a1)
                s = broadcast(x, at1 + k)
                r0, r1 = multiply_add(left, s, r0), multiply_add(right, s, r1)
                s = broadcast(x, at2 + k)
                c0, c1 = multiply_add(left, s, c0), multiply_add(right, s, c1)
                s = broadcast(x, at3 + k)
                d0, d1 = multiply_add(left, s, d0), multiply_add(right, s, d1)
            _store_two(y, b * outputs + p, a0, a1, low, n)
            _store_two(y, row1 * outputs + p, r0, r1, low, n)
            _store_two(y, row2 * outputs + p, c0, c1, low, n)
            _store_two(y, row3 * outputs + p, d0, d1, low, n)


@_compiled
def _store_two(y, at, left, right, low, n):
    store_part(y, at, at_least(left, low), n)
    store_part(y, at + LANES, at_least(right, low), n - LANES)


@_compiled
def transpose(to, a) -> None:
    """Write the transpose of a matrix, in blocks whose lines all stay in the first-level cache.

    Args:
        to: ``columns x rows``.
        a: ``rows x columns``.
    """
    rows, columns = a.shape
    for first in range(0, rows, LANES):
        for j in range(columns):
            for i in range(first, min(first + LANES, rows)):
                as_written()
                store_element(to, j * rows + i, element(a, i * columns + j))
