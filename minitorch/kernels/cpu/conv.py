r"""Convolution of contiguous arrays, near the speed of a large matrix product (course tasks 4.1 and 4.2).

A convolution is a matrix product. Number the taps (input channel, kernel row, kernel column) by $k$ and the output's
places (row, column) by $p$; then

$$y_{o,p} = \sum_k w_{o,k}\, x_{k,p},$$

where row $k$ of $x$ is the input as tap $k$ sees it. The usual way is to write this matrix out, each input element
once for every tap. Here most of it exists already: two taps in different rows of one kernel column see the same
image, a row of pixels apart. So each channel is copied once for each *column* of the kernel, shifted by that column
and with zeros where the kernel leaves the image, and every row of the matrix is a piece of one of these copies,
found in ``taps``. All loops over places are then as long as an image and know no edges.

A stride of $s$ rows leaves $s$ classes of image rows that no common shift leads between: each channel is then copied
once for each column of the kernel and each class that a row of the kernel falls in. A dilation only moves the pieces
further apart. Where the gradient of a strided convolution needs zeros between its inputs (the spread of a
:class:`~minitorch.kernels.geometry.Geometry`), the outputs are divided into classes that each see inputs alone, by
:meth:`~minitorch.kernels.geometry.Geometry.parts`, so no zero is multiplied.

Small images are laid one behind the other in a copy, large ones are cut into strips of rows, so that the rows at work
stay in the first-level cache. Such a piece of work is a *tile*.

The arithmetic is in four loops. ``_add_4x4`` adds four taps to four output channels, 16 multiplications for eight
elements read; ``_dot_4x4``, for the gradient of the weight, takes 16 scalar products of four rows with four rows.
Both run at the speed of the arithmetic units (100 of 105 GFLOP/s a core, float32, where loops that take the nine taps
of one channel for one output reach 34). ``_add_1x4`` and ``_dot_1x4`` serve output channels that are left over.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import prange

from .. import strided
from ..compile import Kernel, jit, kernel
from ..geometry import Geometry, Part, Space
from .vectors import LANES

__all__ = ["convolve", "convolve_weight"]

Array = npt.NDArray[Any]

# Sums may be regrouped and fused; NaN and infinity keep their meaning.
FASTMATH = {"contract", "reassoc", "nsz", "arcp"}

# Output places of one tile. Four rows of results and four of inputs fill the first-level cache; 600 is 10 % slower
# for LeNet (more starts of loops), 2400 no faster.
PLACES = 1200

# Output channels are divided only where tiles alone make fewer tasks than this: each task makes its own copies.
TASKS = 4

# The gradient of the weight is summed in this many partial sums at most, whatever the number of threads.
PARTIAL_SUMS = 16

# Multiplications that take as long as one simple element operation, the unit of Kernel.run.
PER_ELEMENT = 8


def _compiled(fn: Any) -> Any:
    return jit(fn, keep=False, fastmath=FASTMATH)


# --- the arithmetic ------------------------------------------------------------------------------------------


@_compiled
def _add_4x4(y, x, taps, w, o, k, n):
    """Add four taps, from ``k``, to the results of four output channels, from ``o``."""
    y0, y1, y2, y3 = y[0, :n], y[1, :n], y[2, :n], y[3, :n]
    t0, t1, t2, t3 = taps[k], taps[k + 1], taps[k + 2], taps[k + 3]
    x0, x1, x2, x3 = x[t0 : t0 + n], x[t1 : t1 + n], x[t2 : t2 + n], x[t3 : t3 + n]
    w00, w01, w02, w03 = w[o, k], w[o, k + 1], w[o, k + 2], w[o, k + 3]
    w10, w11, w12, w13 = w[o + 1, k], w[o + 1, k + 1], w[o + 1, k + 2], w[o + 1, k + 3]
    w20, w21, w22, w23 = w[o + 2, k], w[o + 2, k + 1], w[o + 2, k + 2], w[o + 2, k + 3]
    w30, w31, w32, w33 = w[o + 3, k], w[o + 3, k + 1], w[o + 3, k + 2], w[o + 3, k + 3]
    for p in range(n):
        a, b, c, d = x0[p], x1[p], x2[p], x3[p]
        y0[p] += w00 * a + w01 * b + w02 * c + w03 * d
        y1[p] += w10 * a + w11 * b + w12 * c + w13 * d
        y2[p] += w20 * a + w21 * b + w22 * c + w23 * d
        y3[p] += w30 * a + w31 * b + w32 * c + w33 * d


@_compiled
def _add_1x4(y, row, x, taps, w, o, k, n):
    """Add four taps, from ``k``, to the results of output channel ``o``, which are in ``y[row]``."""
    y0 = y[row, :n]
    t0, t1, t2, t3 = taps[k], taps[k + 1], taps[k + 2], taps[k + 3]
    x0, x1, x2, x3 = x[t0 : t0 + n], x[t1 : t1 + n], x[t2 : t2 + n], x[t3 : t3 + n]
    w0, w1, w2, w3 = w[o, k], w[o, k + 1], w[o, k + 2], w[o, k + 3]
    for p in range(n):
        y0[p] += w0 * x0[p] + w1 * x1[p] + w2 * x2[p] + w3 * x3[p]


@_compiled
def _dot_4x4(total, o, y, x, taps, k, n):
    """Add the scalar products of four rows of ``y`` with four taps to ``total[o : o + 4, k : k + 4]``."""
    y0, y1, y2, y3 = y[0, :n], y[1, :n], y[2, :n], y[3, :n]
    t0, t1, t2, t3 = taps[k], taps[k + 1], taps[k + 2], taps[k + 3]
    x0, x1, x2, x3 = x[t0 : t0 + n], x[t1 : t1 + n], x[t2 : t2 + n], x[t3 : t3 + n]
    zero = x.dtype.type(0)
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = zero
    s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = zero
    for p in range(n):
        a, b, c, d = x0[p], x1[p], x2[p], x3[p]
        r0, r1, r2, r3 = y0[p], y1[p], y2[p], y3[p]
        s00, s01, s02, s03 = s00 + r0 * a, s01 + r0 * b, s02 + r0 * c, s03 + r0 * d
        s10, s11, s12, s13 = s10 + r1 * a, s11 + r1 * b, s12 + r1 * c, s13 + r1 * d
        s20, s21, s22, s23 = s20 + r2 * a, s21 + r2 * b, s22 + r2 * c, s23 + r2 * d
        s30, s31, s32, s33 = s30 + r3 * a, s31 + r3 * b, s32 + r3 * c, s33 + r3 * d
    _add_to_row(total, o, k, s00, s01, s02, s03)
    _add_to_row(total, o + 1, k, s10, s11, s12, s13)
    _add_to_row(total, o + 2, k, s20, s21, s22, s23)
    _add_to_row(total, o + 3, k, s30, s31, s32, s33)


@_compiled
def _dot_1x4(total, o, y, row, x, taps, k, n):
    """Add the scalar products of ``y[row]`` with four taps to ``total[o, k : k + 4]``."""
    y0 = y[row, :n]
    t0, t1, t2, t3 = taps[k], taps[k + 1], taps[k + 2], taps[k + 3]
    x0, x1, x2, x3 = x[t0 : t0 + n], x[t1 : t1 + n], x[t2 : t2 + n], x[t3 : t3 + n]
    s0 = s1 = s2 = s3 = x.dtype.type(0)
    for p in range(n):
        r = y0[p]
        s0, s1, s2, s3 = s0 + r * x0[p], s1 + r * x1[p], s2 + r * x2[p], s3 + r * x3[p]
    _add_to_row(total, o, k, s0, s1, s2, s3)


@_compiled
def _add_to_row(total, o, k, s0, s1, s2, s3):
    total[o, k] += s0
    total[o, k + 1] += s1
    total[o, k + 2] += s2
    total[o, k + 3] += s3


# --- the copies ----------------------------------------------------------------------------------------------


@_compiled
def _copy(to, at, source, start, n):
    """Copy ``source[start : start + n]`` to ``to[at : at + n]``."""
    target, origin = to[at : at + n], source[start : start + n]
    for p in range(n):
        target[p] = origin[p]


@_compiled
def _clear(a, start, end):
    part = a[start:end]
    for p in range(part.size):
        part[p] = 0


@_compiled
def _shifted_copies(x, plane, input, b0, b1, first, rows, views, centre):
    """Copy whole images, from row ``first`` on, where all views see all columns of the same rows, and shift them.

    The view ``centre`` is the one that is not shifted.
    """
    _, channels, height, width = input.shape
    flat = input.reshape(-1)
    columns = views.shape[0]
    top = min(max(first, 0), height)
    bottom = min(max(first + rows, 0), height)
    above, inside = (top - first) * width, (bottom - top) * width
    for c in range(channels):
        # The images themselves, with rows of zeros above or below.
        middle = (c * columns + centre) * plane
        at = middle
        for b in range(b0, b1):
            _clear(x, at, at + above)
            _copy(x, at + above, flat, ((b * channels + c) * height + top) * width, inside)
            _clear(x, at + above + inside, at + rows * width)
            at += rows * width
        _clear(x, at, middle + plane)
        for d in range(columns):
            start = (c * columns + d) * plane
            end = start + plane
            shift = views[d, 1]
            if abs(shift) >= width:
                _clear(x, start, end)
            elif shift > 0:
                # Everything moves to the left at once; what came in from the next row is wiped out.
                _copy(x, start, x, middle + shift, plane - shift)
                _clear(x, end - shift, end)
                for row in range(start + width, end + 1, width):
                    for p in range(row - shift, row):
                        x[p] = 0
            elif shift < 0:
                _copy(x, start - shift, x, middle, plane + shift)
                for row in range(start, end + shift, width):
                    for p in range(row, row - shift):
                        x[p] = 0


@_compiled
def _collect(to, at, down, source, start, source_down, right, rows, columns):
    """Copy ``rows x columns`` elements that lie ``source_down`` and ``right`` apart, and will lie ``down`` and 1 apart.

    Rows are short: to slice them, to call a function for each, or to ask of each index whether it is negative takes
    longer than to copy. A step that the compiler knows becomes vector instructions.
    """
    for _ in range(rows):
        if right == 1:
            for p in range(columns):
                to[np.uint64(at + p)] = source[np.uint64(start + p)]
        elif right == 2:
            for p in range(columns):
                to[np.uint64(at + p)] = source[np.uint64(start + 2 * p)]
        else:
            for p in range(columns):
                to[np.uint64(at + p)] = source[np.uint64(start + right * p)]
        at += down
        start += source_down


@_compiled
def _copies(x, plane, input, b0, b1, r0, rows, width, views, down, right, centre):
    """Write into ``x``, for each channel and each of ``views``, a plane of what it sees of a tile's images.

    A view is a pair of a row and a column of the image: row ``r`` and column ``j`` of it, from ``r0`` and 0 on, show
    the element that lies ``r * down`` below that row and ``j * right`` to the right of that column; zero where the
    image has none. Where the views are shifts of one of them, that is ``centre``.
    """
    _, channels, in_height, in_width = input.shape
    count = views.shape[0]
    # Taps that only fill up the last four see a plane of zeros.
    _clear(x, channels * count * plane, x.size)
    if centre >= 0:
        _shifted_copies(x, plane, input, b0, b1, r0 + views[centre, 0], rows, views, centre)
        return
    flat = input.reshape(-1)
    for c in range(channels):
        for v in range(count):
            top, left = views[v, 0], views[v, 1]
            # The rows and columns inside the image.
            row = max((-top + down - 1) // down, r0)
            column = max((-left + right - 1) // right, 0)
            height = min((in_height - top + down - 1) // down, r0 + rows) - row
            columns = min((in_width - left + right - 1) // right, width) - column
            start = (c * count + v) * plane
            _clear(x, start, start + plane)
            for b in range(b0, b1):
                at = start + ((b - b0) * rows + row - r0) * width + column
                source = ((b * channels + c) * in_height + row * down + top) * in_width + left + column * right
                _collect(x, at, width, flat, source, down * in_width, right, height, columns)


# --- one tile ------------------------------------------------------------------------------------------------


@_compiled
def _convolve_tile(out, input, w, taps, plane, views, down, right, centre, span, b0, b1, r0, r1, o0, o1):
    """Compute rows ``r0`` to ``r1`` of images ``b0`` to ``b1`` in output channels ``o0`` to ``o1``."""
    _, out_channels, height, width = out.shape
    x = np.empty((input.shape[1] * views.shape[0] + 1) * plane, input.dtype)
    rows = r1 - r0 + span
    _copies(x, plane, input, b0, b1, r0, rows, width, views, down, right, centre)
    n = (((b1 - b0 - 1) * rows + r1 - r0) * width + LANES - 1) // LANES * LANES
    results = np.empty(4 * plane, out.dtype)
    y = results.reshape(4, plane)
    flat = out.reshape(-1)
    for o in range(o0, o1, 4):
        count = min(4, o1 - o)
        for row in range(count):
            _clear(results, row * plane, row * plane + n)
        if count == 4:
            for k in range(0, taps.size, 4):
                _add_4x4(y, x, taps, w, o, k, n)
        else:
            for row in range(count):
                for k in range(0, taps.size, 4):
                    _add_1x4(y, row, x, taps, w, o + row, k, n)
        for row in range(count):
            for b in range(b0, b1):
                to = ((b * out_channels + o + row) * height + r0) * width
                _copy(flat, to, results, row * plane + (b - b0) * rows * width, (r1 - r0) * width)


@_compiled
def _gradient_tile(total, grad, input, taps, plane, views, down, right, centre, span, b0, b1, r0, r1, o0, o1):
    """Add what the same places give to the weights of output channels ``o0`` to ``o1``."""
    _, out_channels, height, width = grad.shape
    x = np.empty((input.shape[1] * views.shape[0] + 1) * plane, input.dtype)
    rows = r1 - r0 + span
    _copies(x, plane, input, b0, b1, r0, rows, width, views, down, right, centre)
    n = (((b1 - b0 - 1) * rows + r1 - r0) * width + LANES - 1) // LANES * LANES
    upstream = np.empty(4 * plane, grad.dtype)
    _clear(upstream, 0, upstream.size)  # stays so between two images
    y = upstream.reshape(4, plane)
    flat = grad.reshape(-1)
    for o in range(o0, o1, 4):
        count = min(4, o1 - o)
        for row in range(count):
            for b in range(b0, b1):
                start = ((b * out_channels + o + row) * height + r0) * width
                _copy(upstream, row * plane + (b - b0) * rows * width, flat, start, (r1 - r0) * width)
        if count == 4:
            for k in range(0, taps.size, 4):
                _dot_4x4(total, o, y, x, taps, k, n)
        else:
            for row in range(count):
                for k in range(0, taps.size, 4):
                    _dot_1x4(total, o + row, y, row, x, taps, k, n)


# --- all tiles -----------------------------------------------------------------------------------------------


@kernel(*FASTMATH)
def _convolve(out, input, w, taps, plane, views, down, right, centre, span, images, rows, channels):
    """Divide the output into tasks of ``images`` images, ``rows`` rows and ``channels`` channels."""
    batch, out_channels, height, _ = out.shape
    strips = (height + rows - 1) // rows
    groups = (out_channels + channels - 1) // channels
    tiles = (batch + images - 1) // images * strips
    for task in prange(tiles * groups):
        tile = task // groups
        o = (task - tile * groups) * channels
        b = tile // strips * images
        r = tile % strips * rows
        b1, r1, o1 = min(b + images, batch), min(r + rows, height), min(o + channels, out_channels)
        _convolve_tile(out, input, w, taps, plane, views, down, right, centre, span, b, b1, r, r1, o, o1)


@kernel(*FASTMATH)
def _gradient(partial, grad, input, taps, plane, views, down, right, centre, span, images, rows, channels):
    """Add tile ``i`` to partial sum ``i % partial.shape[0]``, the tiles of one sum in order."""
    batch, out_channels, height, _ = grad.shape
    sums = partial.shape[0]
    strips = (height + rows - 1) // rows
    groups = (out_channels + channels - 1) // channels
    tiles = (batch + images - 1) // images * strips
    for task in prange(sums * groups):
        which = task // groups
        o = (task - which * groups) * channels
        o1 = min(o + channels, out_channels)
        for tile in range(which, tiles, sums):
            b = tile // strips * images
            r = tile % strips * rows
            b1, r1 = min(b + images, batch), min(r + rows, height)
            _gradient_tile(
                partial[which], grad, input, taps, plane, views, down, right, centre, span, b, b1, r, r1, o, o1
            )


# --- in Python -----------------------------------------------------------------------------------------------


class _Plan(NamedTuple):
    """How shapes are divided; every field depends on the shapes and the geometry alone."""

    taps: npt.NDArray[np.int64]  # where each tap's row begins in the copies
    plane: int  # elements of one copy
    views: npt.NDArray[np.int64]  # row and column of the image where each copy of a channel begins
    down: int  # image rows from row to row of a copy
    right: int  # image columns from column to column of a copy
    centre: int  # the view that is not shifted, where the others are shifts of it; else -1
    span: int  # rows of a copy more than its tile has
    images: int  # of one tile
    rows: int
    channels: int  # output channels of one task


class _Part(NamedTuple):
    """A convolution without a spread that is part of another one, or all of it.

    Attributes:
        plan: how it is divided.
        outputs: the outputs that it computes.
        taps: the taps through which they see something, in the order of the plan.
        shape: the shape of these outputs.
        tiles: the number that the plan makes.
    """

    plan: _Plan
    outputs: tuple[slice, ...]
    taps: tuple[slice, ...]
    shape: tuple[int, ...]
    tiles: int


@lru_cache(maxsize=1024)
def _parts(input: tuple[int, ...], weight: tuple[int, ...], geometry: Space) -> tuple[list[_Part], bool]:
    """Plan a convolution in parts without a spread; also whether it has none itself, and is a single part."""
    parts = [
        _part(input, weight, rows, columns)
        for rows in geometry[0].parts(weight[2])
        for columns in geometry[1].parts(weight[3])
    ]
    return parts, all(g.spread == 1 for g in geometry)


def _part(input: tuple[int, ...], weight: tuple[int, ...], rows: Part, columns: Part) -> _Part:
    everything = (slice(None), slice(None))
    sizes = [len(range(k)[part.taps]) for k, part in zip(weight[2:], (rows, columns), strict=True)]
    plan, tiles = _plan(input, (*weight[:2], *sizes), rows.geometry, columns.geometry)
    return _Part(
        plan,
        (*everything, rows.outputs, columns.outputs),
        (*everything, rows.taps, columns.taps),
        (input[0], weight[0], rows.geometry.size, columns.geometry.size),
        tiles,
    )


def _plan(input: tuple[int, ...], weight: tuple[int, ...], down: Geometry, right: Geometry) -> tuple[_Plan, int]:
    """Divide a convolution with positive dilations and no spread; also the number of tiles."""
    batch, channels, _, in_width = input
    out_channels, _, kh, kw = weight
    height, width = down.size, right.size

    # A row of taps sees row ``down.stride * (r + further) + phase`` of the image from row r of the output.
    further, phase = np.divmod(down.dilation * np.arange(kh) + down.offset, down.stride)
    phases, which = np.unique(phase, return_inverse=True)
    earliest = int(further.min())
    further -= earliest
    span = int(further.max())
    tops = phases + down.stride * earliest
    lefts = right.dilation * np.arange(kw) + right.offset
    views = np.stack(np.meshgrid(tops, lefts, indexing="ij"), axis=-1).reshape(-1, 2)
    all_shifts = down.stride == right.stride == 1 and width == in_width and 0 in lefts
    centre = int(np.flatnonzero(lefts == 0)[0]) if all_shifts else -1

    strips = _pieces(height, max(1, PLACES // width))
    rows = _pieces(height, strips)
    chunks = batch if strips > 1 else _pieces(batch, max(1, PLACES // ((height + span) * width)))
    images = _pieces(batch, chunks)
    tiles = _pieces(batch, images) * strips
    blocks = _pieces(out_channels, 4)
    groups = min(blocks, _pieces(TASKS, tiles))
    # Rows are as long as whole vectors, one more than the images need: the last vector of places may reach beyond them.
    # They lie an odd number of vectors apart: rows that lie a multiple of 4096 bytes apart share one set of the cache
    # (32 x 32 images ran at half the speed).
    plane = (_pieces(images * (rows + span) * width + LANES, LANES) | 1) * LANES

    count = channels * kh * kw
    taps = np.full(_pieces(count, 4) * 4, channels * len(views) * plane)
    c, row, column = np.ogrid[:channels, :kh, :kw]
    copy = (c * len(phases) + which[row]) * kw + column
    taps[:count] = (copy * plane + further[row] * width).reshape(-1)
    channels_of_task = 4 * _pieces(blocks, groups)
    plan = _Plan(taps, plane, views, down.stride, right.stride, centre, span, images, rows, channels_of_task)
    return plan, tiles


def _pieces(n: int, size: int) -> int:
    """Count the pieces of ``n`` that are no larger than ``size``."""
    return -(-n // size)


def _rows_of_taps(weight: Array) -> Array:
    """Write the weight as ``out_channels x taps``, filled up with zeros to a multiple of four taps."""
    count = weight[0].size
    rows = np.zeros((weight.shape[0], _pieces(count, 4) * 4), weight.dtype)
    rows[:, :count] = weight.reshape(-1, count)
    return rows


def convolve(out: Array, input: Array, weight: Array, geometry: Space) -> None:
    r"""Convolve: $y_{b,o,i} = \sum_{c,k} x_{b,c,j(i,k)}\, w_{o,c,k}$ with the places $j$ of the geometry.

    Args:
        out: ``batch x out_channels x *space`` of one or two dimensions of space, contiguous; every element is written.
        input: ``batch x in_channels x *space``, contiguous, of the same dtype.
        weight: ``out_channels x in_channels x *kernel``, in any layout, of the same dtype.
        geometry: for each dimension of space.

    >>> out = np.empty((1, 1, 2, 2))
    >>> image, ones = np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), np.ones((1, 1, 1, 2))
    >>> convolve(out, image, ones, (Geometry(2), Geometry(2)))
    >>> out.tolist()
    [[[[3.0, 2.0], [7.0, 4.0]]]]
    """
    assert out.flags.c_contiguous
    assert input.flags.c_contiguous
    if out.ndim == 3:
        out, input, weight, geometry = out[:, :, None], input[:, :, None], weight[:, :, None], (ONE_ROW, *geometry)
    if out.size == 0 or input.size == 0 or weight.size == 0:
        out[...] = 0
        return
    if not np.isfinite(weight).all():
        # Zeros beyond the edge times infinity would make NaN; the readable loops leave them out.
        _exact(out, input, weight, [(g.stride, g.spread, g.dilation, g.offset) for g in geometry])
        return
    parts, whole = _parts(input.shape, weight.shape, geometry)
    if not whole:
        out[...] = 0  # where nothing is seen
    for part in parts:
        w = _rows_of_taps(weight[part.taps])
        result = out if whole else np.empty(part.shape, out.dtype)
        _convolve.run(result.size * w.shape[1] // PER_ELEMENT, result, input, w, *part.plan)
        if not whole:
            out[part.outputs] = result


def convolve_weight(out: Array, input: Array, grad: Array, geometry: Space) -> None:
    r"""Compute the gradient of :func:`convolve` for its weight, $\sum_{b,i} g_{b,o,i}\, x_{b,c,j(i,k)}$.

    Args:
        out: ``out_channels x in_channels x *kernel``, in any layout; every element is written.
        input: the input of the forward call, contiguous.
        grad: the gradient of the output, contiguous.
        geometry: as in the forward call.
    """
    assert grad.flags.c_contiguous
    assert input.flags.c_contiguous
    if out.ndim == 3:
        out, input, grad, geometry = out[:, :, None], input[:, :, None], grad[:, :, None], (ONE_ROW, *geometry)
    if out.size == 0 or input.size == 0 or grad.size == 0:
        out[...] = 0
        return
    parts, whole = _parts(input.shape, out.shape, geometry)
    if not whole:
        out[...] = 0
    for part in parts:
        upstream = grad if whole else np.ascontiguousarray(grad[part.outputs])
        partial = np.zeros((min(PARTIAL_SUMS, part.tiles), out.shape[0], part.plan.taps.size), input.dtype)
        _gradient.run(upstream.size * partial.shape[2] // PER_ELEMENT, partial, upstream, input, *part.plan)
        with np.errstate(over="ignore", invalid="ignore"):
            total = partial.sum(axis=0)
        if not np.isfinite(total).all():
            _exact_weight(out, input, grad, geometry)
            return
        target = out[part.taps]
        gradient = total[:, : target[0].size].reshape(target.shape)
        if whole:
            target[...] = gradient
        else:
            target += gradient


ONE_ROW = Geometry(1)


def _exact_weight(out: Array, input: Array, grad: Array, geometry: Space) -> None:
    """Let the readable loops decide which weights an infinity or a NaN reaches: those whose tap saw it.

    The gradient is a convolution of the input with the gradient, batch and channels exchanged. What was a step between
    windows is one between taps there.
    """
    result = np.empty(out.shape, out.dtype)
    places = [(g.dilation, g.spread, g.stride, g.offset) for g in geometry]
    _exact(result.swapaxes(0, 1), input.swapaxes(0, 1), grad.swapaxes(0, 1), places)
    out[...] = result


_readable = Kernel(strided._tensor_convolve, FASTMATH)


def _exact(out: Array, input: Array, weight: Array, places: Sequence[tuple[int, ...]]) -> None:
    """Run the readable loops; ``out`` fills one piece of memory."""
    work = out.size * weight[0].size
    _readable.run(work, *_strided(out), *_strided(input), *_strided(weight), np.array(places))


def _strided(a: Array) -> tuple[Array, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Give the storage, shape and strides of an array, or of a copy where its elements leave gaps."""
    order = sorted(range(a.ndim), key=lambda axis: -a.strides[axis])
    base = np.ascontiguousarray(a.transpose(order))
    strides = base.transpose(np.argsort(order)).strides
    return base.reshape(-1), np.array(a.shape), np.array(strides) // a.itemsize
