r"""Convolution of contiguous arrays, near the speed of a large matrix product (course tasks 4.1 and 4.2).

A convolution is a matrix product. Number the taps (input channel, kernel row, kernel column) by $k$ and the output's
places (row, column) by $p$; then

$$y_{o,p} = \sum_k w_{o,k}\, x_{k,p},$$

where row $k$ of $x$ is the input as tap $k$ sees it. The usual way is to write this matrix out, each input element
once for every tap. Here most of it exists already: two taps in different rows of one kernel column see the same
image, a row of pixels apart. So each channel is copied once for each *column* of the kernel, shifted by that column
and with zeros where the kernel leaves the image, and every row of the matrix is a piece of one of these copies,
found in ``taps``. All loops over places are then as long as an image and know no edges.

Small images are laid one behind the other in a copy, large ones are cut into strips of rows, so that the rows at work
stay in the first-level cache. Such a piece of work is a *tile*.

The arithmetic is in four loops. ``_add_4x4`` adds four taps to four output channels, 16 multiplications for eight
elements read; ``_dot_4x4``, for the gradient of the weight, takes 16 scalar products of four rows with four rows.
Both run at the speed of the arithmetic units (100 of 105 GFLOP/s a core, float32, where loops that take the nine taps
of one channel for one output reach 34). ``_add_1x4`` and ``_dot_1x4`` serve output channels that are left over.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import prange

from .. import strided
from ..compile import Kernel, jit, kernel

__all__ = [
    "conv1d_forward",
    "conv1d_grad_input",
    "conv1d_grad_weight",
    "conv2d_forward",
    "conv2d_grad_input",
    "conv2d_grad_weight",
]

Array = npt.NDArray[Any]

# Sums may be regrouped and fused; NaN and infinity keep their meaning.
FASTMATH = {"contract", "reassoc", "nsz", "arcp"}

# Output places of one tile. Four rows of results and four of inputs fill the first-level cache; 600 is 10 % slower
# for LeNet (more starts of loops), 2400 no faster.
PLACES = 1200

# Elements of the widest vector. Rows are as long as whole vectors, and an odd number of them apart: rows that lie a
# multiple of 4096 bytes apart share one set of the cache (32 x 32 images ran at half the speed).
LANES = 16

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
def _shifted_copies(x, plane, input, b0, b1, first, rows, kw, left):
    """Write a tile's images, from row ``first`` on, into ``x``: a plane for each channel and kernel column.

    Element ``p`` of the plane of channel ``c`` and kernel column ``d`` is what that column sees from place ``p``:
    the image, shifted by ``d - left``, with zeros beyond its edges.
    """
    _, channels, height, width = input.shape
    flat = input.reshape(-1)
    top = min(max(first, 0), height)
    bottom = min(max(first + rows, 0), height)
    above, inside = (top - first) * width, (bottom - top) * width
    for c in range(channels):
        # The column that is not shifted: the images themselves, with rows of zeros above or below.
        centre = (c * kw + left) * plane
        at = centre
        for b in range(b0, b1):
            _clear(x, at, at + above)
            _copy(x, at + above, flat, ((b * channels + c) * height + top) * width, inside)
            _clear(x, at + above + inside, at + rows * width)
            at += rows * width
        _clear(x, at, centre + plane)
        for d in range(kw):
            start = (c * kw + d) * plane
            end = start + plane
            shift = d - left
            if abs(shift) >= width:
                _clear(x, start, end)
            elif shift > 0:
                # Everything moves to the left at once; what came in from the next row is wiped out.
                _copy(x, start, x, centre + shift, plane - shift)
                _clear(x, end - shift, end)
                for row in range(start + width, end + 1, width):
                    for p in range(row - shift, row):
                        x[p] = 0
            elif shift < 0:
                _copy(x, start - shift, x, centre, plane + shift)
                for row in range(start, end + shift, width):
                    for p in range(row, row - shift):
                        x[p] = 0
    # Taps that only fill up the last four see a plane of zeros.
    _clear(x, channels * kw * plane, x.size)


# --- one tile ------------------------------------------------------------------------------------------------


@_compiled
def _convolve_tile(out, input, w, taps, plane, kh, kw, top, left, b0, b1, r0, r1, o0, o1):
    """Compute rows ``r0`` to ``r1`` of images ``b0`` to ``b1`` in output channels ``o0`` to ``o1``."""
    _, out_channels, height, width = out.shape
    x = np.empty((input.shape[1] * kw + 1) * plane, input.dtype)
    rows = r1 - r0 + kh - 1
    _shifted_copies(x, plane, input, b0, b1, r0 - top, rows, kw, left)
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
def _gradient_tile(total, grad, input, taps, plane, kh, kw, top, left, b0, b1, r0, r1, o0, o1):
    """Add what the same places give to the weights of output channels ``o0`` to ``o1``."""
    _, out_channels, height, width = grad.shape
    x = np.empty((input.shape[1] * kw + 1) * plane, input.dtype)
    rows = r1 - r0 + kh - 1
    _shifted_copies(x, plane, input, b0, b1, r0 - top, rows, kw, left)
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
def _convolve(out, input, w, taps, plane, kh, kw, top, left, images, rows, channels):
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
        _convolve_tile(out, input, w, taps, plane, kh, kw, top, left, b, b1, r, r1, o, o1)


@kernel(*FASTMATH)
def _gradient(partial, grad, input, taps, plane, kh, kw, top, left, images, rows, channels):
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
            _gradient_tile(partial[which], grad, input, taps, plane, kh, kw, top, left, b, b1, r, r1, o, o1)


# --- in Python -----------------------------------------------------------------------------------------------


class _Plan(NamedTuple):
    """How shapes are divided; every field depends on the shapes alone."""

    taps: npt.NDArray[np.int64]  # where each tap's row begins in the copies
    plane: int  # elements of one copy
    images: int  # of one tile
    rows: int
    tiles: int
    channels: int  # output channels of one task


@lru_cache(maxsize=256)
def _plan(batch: int, channels: int, height: int, width: int, out_channels: int, kh: int, kw: int) -> _Plan:
    strips = _parts(height, max(1, PLACES // width))
    rows = _parts(height, strips)
    chunks = batch if strips > 1 else _parts(batch, max(1, PLACES // ((height + kh - 1) * width)))
    images = _parts(batch, chunks)
    tiles = _parts(batch, images) * strips
    blocks = _parts(out_channels, 4)
    groups = min(blocks, _parts(TASKS, tiles))
    # One vector more than the images need: the last vector of places may reach beyond them.
    plane = (_parts(images * (rows + kh - 1) * width + LANES, LANES) | 1) * LANES

    count = channels * kh * kw
    taps = np.full(_parts(count, 4) * 4, channels * kw * plane)
    c, row, column = np.ogrid[:channels, :kh, :kw]
    taps[:count] = ((c * kw + column) * plane + row * width).reshape(-1)
    return _Plan(taps, plane, images, rows, tiles, 4 * _parts(blocks, groups))


def _parts(n: int, size: int) -> int:
    """Count the parts of ``n`` that are no larger than ``size``."""
    return -(-n // size)


def _rows_of_taps(weight: Array, reverse: bool) -> Array:
    """Write the weight as ``out_channels x taps``, filled up with zeros to a multiple of four taps."""
    if reverse:
        weight = weight[:, :, ::-1, ::-1]
    count = weight[0].size
    rows = np.zeros((weight.shape[0], _parts(count, 4) * 4), weight.dtype)
    rows[:, :count] = weight.reshape(-1, count)
    return rows


def conv2d_forward(out: Array, input: Array, weight: Array, reverse: bool = False) -> None:
    r"""Convolve: $y_{b,o,i,j} = \sum_{c,k,l} x_{b,c,i+k,j+l}\, w_{o,c,k,l}$, with $i-k, j-l$ in reverse.

    Args:
        out: ``batch x out_channels x height x width``, contiguous; every element is written.
        input: ``batch x in_channels x height x width``, contiguous, of the same dtype.
        weight: ``out_channels x in_channels x kernel_height x kernel_width``, in any layout, of the same dtype.
        reverse: anchor the kernel at its bottom right instead of its top left.

    >>> out = np.empty((1, 1, 2, 2))
    >>> conv2d_forward(out, np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), np.ones((1, 1, 1, 2)))
    >>> out.tolist()
    [[[[3.0, 2.0], [7.0, 4.0]]]]
    """
    assert out.flags.c_contiguous
    assert input.flags.c_contiguous
    if out.size == 0 or weight.size == 0:
        out[...] = 0
        return
    w = _rows_of_taps(weight, reverse)
    if not np.isfinite(w).all():
        # Zeros beyond the edge times infinity would make NaN; the readable loops leave them out.
        _exact.run(out.size, *_strided(out), out.size, *_strided(input), *_strided(weight), reverse)
        return
    kh, kw = weight.shape[2:]
    plan = _plan(*input.shape, out.shape[1], kh, kw)
    top, left = (kh - 1, kw - 1) if reverse else (0, 0)
    work = out.size * plan.taps.size // PER_ELEMENT
    _convolve.run(work, out, input, w, plan.taps, plan.plane, kh, kw, top, left, plan.images, plan.rows, plan.channels)


def conv2d_grad_input(out: Array, grad: Array, weight: Array, reverse: bool = False) -> None:
    """Compute the gradient of :func:`conv2d_forward` with respect to its input.

    It is a convolution itself, of the gradient, with the channels exchanged and the kernel anchored at the other end.

    Args:
        out: ``batch x in_channels x height x width``, contiguous; every element is written.
        grad: the gradient of the output, ``batch x out_channels x height x width``, contiguous.
        weight: the weight of the forward call, in any layout.
        reverse: as in the forward call.
    """
    conv2d_forward(out, grad, weight.transpose(1, 0, 2, 3), not reverse)


def conv2d_grad_weight(out: Array, input: Array, grad: Array, reverse: bool = False) -> None:
    r"""Compute the gradient with respect to the weight, $\sum_{b,i,j} g_{b,o,i,j}\, x_{b,c,i+k,j+l}$.

    Args:
        out: ``out_channels x in_channels x kernel_height x kernel_width``, in any layout; every element is written.
        input: the input of the forward call, contiguous.
        grad: the gradient of the output, ``batch x out_channels x height x width``, contiguous.
        reverse: as in the forward call.
    """
    assert grad.flags.c_contiguous
    assert input.flags.c_contiguous
    if out.size == 0 or input.size == 0:
        out[...] = 0
        return
    out_channels, channels, kh, kw = out.shape
    plan = _plan(*input.shape, out_channels, kh, kw)
    top, left = (kh - 1, kw - 1) if reverse else (0, 0)
    partial = np.zeros((min(PARTIAL_SUMS, plan.tiles), out_channels, plan.taps.size), input.dtype)
    work = grad.size * plan.taps.size // PER_ELEMENT
    _gradient.run(
        work, partial, grad, input, plan.taps, plan.plane, kh, kw, top, left, plan.images, plan.rows, plan.channels
    )
    with np.errstate(over="ignore", invalid="ignore"):
        total = partial.sum(axis=0)
    if np.isfinite(total).all():
        gradient = total[:, : channels * kh * kw].reshape(out.shape)
        out[...] = gradient[:, :, ::-1, ::-1] if reverse else gradient
    else:
        _exact_grad_weight(out, input, grad, reverse)


def _exact_grad_weight(out: Array, input: Array, grad: Array, reverse: bool) -> None:
    """Let the readable loops decide which weights an infinity or a NaN reaches: those whose tap saw it."""
    result = np.empty(out.shape, out.dtype)
    swapped_input, swapped_grad = _strided(input.swapaxes(0, 1)), _strided(grad.swapaxes(0, 1))
    if reverse:
        _exact.run(grad.size, *_strided(result), result.size, *swapped_grad, *swapped_input, False)
    else:
        swapped_result = _strided(result.swapaxes(0, 1))
        _exact.run(grad.size, *swapped_result, result.size, *swapped_input, *swapped_grad, False)
    out[...] = result


_exact = Kernel(strided._tensor_conv2d, FASTMATH)


def _strided(a: Array) -> tuple[Array, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Give the storage, shape and strides of an array whose elements fill one piece of memory."""
    order = sorted(range(a.ndim), key=lambda axis: -a.strides[axis])
    base = np.ascontiguousarray(a.transpose(order))
    strides = base.transpose(np.argsort(order)).strides
    return base.reshape(-1), np.array(a.shape), np.array(strides) // a.itemsize


def conv1d_forward(out: Array, input: Array, weight: Array, reverse: bool = False) -> None:
    r"""Convolve: $y_{b,o,i} = \sum_{c,k} x_{b,c,i+k}\, w_{o,c,k}$, with $i-k$ in reverse. An image of one row.

    Args:
        out: ``batch x out_channels x width``, contiguous; every element is written.
        input: ``batch x in_channels x width``, contiguous, of the same dtype.
        weight: ``out_channels x in_channels x kernel_width``, in any layout, of the same dtype.
        reverse: anchor the kernel at its right end instead of its left.
    """
    conv2d_forward(out[:, :, None], input[:, :, None], weight[:, :, None], reverse)


def conv1d_grad_input(out: Array, grad: Array, weight: Array, reverse: bool = False) -> None:
    """Compute the gradient of :func:`conv1d_forward` with respect to its input; see :func:`conv2d_grad_input`."""
    conv2d_grad_input(out[:, :, None], grad[:, :, None], weight[:, :, None], reverse)


def conv1d_grad_weight(out: Array, input: Array, grad: Array, reverse: bool = False) -> None:
    """Compute the gradient of :func:`conv1d_forward` with respect to its weight; see :func:`conv2d_grad_weight`."""
    conv2d_grad_weight(out[:, :, None], input[:, :, None], grad[:, :, None], reverse)
