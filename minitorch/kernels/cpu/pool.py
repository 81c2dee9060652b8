r"""Maxima of windows and lines of contiguous arrays, with the place of each maximum (course module 4).

A place is a position in row-major order of the whole array. The maximum that counts is the first one in that order,
and a NaN is larger than every number. The gradient of a maximum is then one :func:`put` of the upstream gradient at
the places.

Numbers compared one by one take the latency of a comparison for each, 1.5 ns. Here rows are compared with each other,
element by element in vector instructions (0.3 ns), and a single line is read three times in vector instructions
instead of once without (0.7 ns): for a NaN, for the maximum, and for its place.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import prange

from ...errors import IndexingError
from ..compile import jit, kernel
from ..geometry import Space, side_by_side

__all__ = ["max_axis", "max_pool", "outside_error", "put", "take"]

Array = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]

# Neighbouring lines that one task compares together.
COLUMNS = 256


# --- maxima --------------------------------------------------------------------------------------------------


_compiled: Any = partial(jit, keep=False)

# Where no NaN can come, LLVM may take maxima in another order, and several at once.
_compiled_without_nan: Any = partial(jit, keep=False, fastmath={"nnan", "nsz", "reassoc"})


@_compiled
def _start(best, place, a, at):
    """Let ``a[at], a[at + 1], ...`` be the first candidates, one for each element of ``best``."""
    row = a[at : at + best.size]
    for p in range(best.size):
        best[p] = row[p]
        place[p] = at + p


@_compiled
def _compare(best, place, a, at):
    """Put ``a[at], a[at + 1], ...``, which lie behind all candidates, in the place of the smaller of these."""
    row = a[at : at + best.size]
    for p in range(best.size):
        value, old = row[p], best[p]
        larger = (not value <= old) & (old == old)  # true where only ``value`` is NaN
        best[p] = value if larger else old
        place[p] = at + p if larger else place[p]


@_compiled
def _first(best, place, start, end):
    """Choose the largest of the candidates ``start`` to ``end``, and of equal ones the first placed: its index."""
    chosen = start
    for p in range(start + 1, end):
        chosen = _better(best, place, chosen, p)
    return chosen


@_compiled
def _better(best, place, chosen, p):
    """Choose between candidates ``chosen`` and ``p``."""
    value, old = best[p], best[chosen]
    equal = value == old or (value != value and old != old)
    return p if (place[p] < place[chosen] if equal else (not value <= old and old == old)) else chosen


@_compiled
def _has_nan(row):
    count = 0
    for p in range(row.size):
        count += row[p] != row[p]
    return count > 0


@_compiled_without_nan
def _largest(row):
    largest = row[0]
    for p in range(row.size):
        largest = row[p] if row[p] > largest else largest
    return largest


@_compiled
def _first_equal(row, value):
    first = row.size
    for p in range(row.size):
        first = min(first, p if row[p] == value else row.size)
    return first


@_compiled
def _first_nan(row):
    p = 0
    while row[p] == row[p]:
        p += 1
    return p


@kernel()
def _max_of_lines(out, place, a, n):
    """Find the maximum of each line of ``n`` neighbouring elements."""
    for line in prange(out.size):
        row = a[line * n : line * n + n]
        first = _first_nan(row) if _has_nan(row) else _first_equal(row, _largest(row))
        out[line] = row[first]
        place[line] = line * n + first


@kernel()
def _max_of_rows(out, place, a, n, inner):
    """Find the maxima of ``outer x n x inner`` along its middle."""
    blocks = (inner + COLUMNS - 1) // COLUMNS
    for task in prange(out.size // inner * blocks):
        o = task // blocks
        first = (task - o * blocks) * COLUMNS
        last = min(first + COLUMNS, inner)
        best, found = out[o * inner + first : o * inner + last], place[o * inner + first : o * inner + last]
        _start(best, found, a, o * n * inner + first)
        for i in range(1, n):
            _compare(best, found, a, (o * n + i) * inner + first)


def max_axis(out: Array, place: Integers, a: Array, n: int, inner: int) -> None:
    """Find the maxima of ``outer x n x inner`` along its middle dimension, and where they are.

    Args:
        out: flat, ``outer * inner`` maxima.
        place: flat, the position of each in ``a``.
        a: flat, ``outer * n * inner`` elements; ``n`` is 1 or more.
        n: the number of elements to choose from.
        inner: the distance between two of them.

    >>> out, place = np.empty(2), np.empty(2, np.int64)
    >>> max_axis(out, place, np.array([1.0, 3.0, 3.0, 6.0, 5.0, 4.0]), 3, 1)
    >>> out.tolist(), place.tolist()
    ([3.0, 6.0], [1, 3])
    """
    assert n > 0
    if inner == 1:
        _max_of_lines.run(a.size, out, place, a, n)
    elif out.size:
        _max_of_rows.run(a.size, out, place, a, n, inner)


@kernel()
def _max_pool(out, place, a, height, width, rows, columns, kh, kw):
    """Look at windows that lie beside each other."""
    for image in prange(out.size // (rows * columns)):
        best, found = np.empty(width, a.dtype), np.empty(width, np.int64)
        for i in range(rows):
            at = (image * height + i * kh) * width
            _start(best, found, a, at)
            for k in range(1, kh):
                _compare(best, found, a, at + k * width)
            for j in range(columns):
                chosen = _first(best, found, j * kw, (j + 1) * kw)
                o = (image * rows + i) * columns + j
                out[o] = best[chosen]
                place[o] = found[chosen]


@_compiled
def _inside(i, taps, size, stride, dilation, offset):
    """Find the first of a window's taps that lies inside, and the end of those that do."""
    first = stride * i + offset
    end = min(first + taps * dilation, size)
    while first < 0:
        first += dilation
    return first, end


@kernel()
def _max_pool_anywhere(out, place, a, height, width, kh, kw, rows, down, row_step, top, columns, right, step, left):
    """Look at windows that overlap, reach beyond the edges, or have gaps."""
    for image in prange(out.size // (rows * columns)):
        best, found = np.empty(width, a.dtype), np.empty(width, np.int64)
        for i in range(rows):
            row, end = _inside(i, kh, height, down, row_step, top)
            _start(best, found, a, (image * height + row) * width)
            for below in range(row + row_step, end, row_step):
                _compare(best, found, a, (image * height + below) * width)
            for j in range(columns):
                chosen, end = _inside(j, kw, width, right, step, left)
                for p in range(chosen + step, end, step):
                    chosen = _better(best, found, chosen, p)
                o = (image * rows + i) * columns + j
                out[o] = best[chosen]
                place[o] = found[chosen]


def max_pool(out: Array, place: Integers, a: Array, kernel: tuple[int, int], geometry: Space) -> None:
    """Find the maximum of each window, and where it is.

    Args:
        out: contiguous, ``... x out_height x out_width`` maxima.
        place: of the same shape, the position of each in row-major order of ``a``.
        a: contiguous, ``... x height x width``.
        kernel: the number of taps of a window, in its height and its width.
        geometry: how windows lie over the height and the width, without a spread. Every window sees an element.

    >>> out, place = np.empty((1, 2)), np.empty((1, 2), np.int64)
    >>> image = np.array([[1.0, 2.0, 7.0, 7.0], [5.0, 6.0, 7.0, 8.0]])
    >>> max_pool(out, place, image, (2, 2), side_by_side((2, 4), (2, 2)))
    >>> out.tolist(), place.tolist()
    ([[6.0, 8.0]], [[5, 7]])
    """
    if not out.size:
        return
    arrays = out.reshape(-1), place.reshape(-1), a.reshape(-1)
    if geometry == side_by_side(a.shape[-2:], kernel):
        _max_pool.run(a.size, *arrays, *a.shape[-2:], *out.shape[-2:], *kernel)
    else:
        rows, columns = ((g.size, g.stride, g.dilation, g.offset) for g in geometry)
        _max_pool_anywhere.run(out.size * kernel[1], *arrays, *a.shape[-2:], *kernel, *rows, *columns)


# --- places --------------------------------------------------------------------------------------------------


# A place comes from a kernel here, or from a user. One outside would let compiled code write anywhere, so each is
# looked at: a comparison in these loops costs nothing beside the memory that they wait for.


@kernel()
def _take(out, a, place):
    outside = 0
    for i in prange(out.size):
        p = place[i]
        if 0 <= p < a.size:
            out[i] = a[p]
        else:
            outside += 1
    return outside


@kernel()
def _put(out, a, place):
    # In order and on one core: two elements may have the same place.
    outside = 0
    for i in range(a.size):
        p = place[i]
        if 0 <= p < out.size:
            out[p] += a[i]
        else:
            outside += 1
    return outside


def take(out: Array, a: Array, place: Integers) -> None:
    """Read ``a`` at each place. All arrays are flat.

    Raises:
        IndexingError: a place is outside ``a``.

    >>> out = np.empty(2)
    >>> take(out, np.array([5.0, 6.0, 7.0]), np.array([2, 0]))
    >>> out.tolist()
    [7.0, 5.0]
    """
    if _take.run(out.size, out, a, place):
        raise outside_error(place, a.size)


def put(out: Array, a: Array, place: Integers) -> None:
    """Set ``out`` to zero and add each element of ``a`` at its place, in order. All arrays are flat.

    Raises:
        IndexingError: a place is outside ``out``, or there are not as many places as elements.

    >>> out = np.empty(3)
    >>> put(out, np.array([5.0, 6.0, 7.0]), np.array([2, 0, 2]))
    >>> out.tolist()
    [6.0, 0.0, 12.0]
    """
    if place.size != a.size:
        raise IndexingError(f"expected a place for each of {a.size} elements, got {place.size}. Give one for each.")
    out[...] = 0
    if _put(out, a, place):
        raise outside_error(place, out.size)


def outside_error(place: Integers, size: int) -> IndexingError:
    """Make the exception for places of which at least one is not among ``size`` elements."""
    return IndexingError(
        f"expected places from 0 to below {size}, got {place.min()} to {place.max()}. Count them in row-major order of "
        "the whole tensor."
    )
