r"""Convolution with what stands before and behind it in a training step, for a part of the batch.

These functions are called from compiled programs: each works on images ``b0`` to ``b1`` of a batch on one core and
writes nothing else. They compute the general convolution of stride 1,

$$y_{b,o,i,j} = \mathrm{bias}_o + \sum_{c,k,l} x_{b,c,\,i + d_1 k + s_1,\,j + d_2 l + s_2}\, w_{o,c,k,l},$$

with dilation $d$ (negative: the kernel reversed), start $s$ and zeros outside the image, then ReLU and a maximum over
windows where they follow. The arithmetic is that of ``conv.py``: rows of places times taps.

**The layout of a tile.** The places of a tile are ordered so that pooling compares whole rows. The output's rows are
numbered ``band * group + phase``: a band is one row of windows, and ``group`` the window's height. Rows of one phase
lie together,

    y[phase][image][band][column],

so the first step of a maximum over windows compares ``group`` long pieces of memory with each other. The input rows
are laid out alike, with more phases than the output has, so that a tap in another kernel row sees a later phase: a
constant distance away. Columns have zeros to their left and right, and a tap in another kernel column sees the next
element. Without pooling, a tile is one band of many phases.

All numbers that describe shapes come in one array of integers, a *plan*, made in Python once. As arguments they would
be literals to Numba, which compiles a function again for every literal.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..compile import jit
from .conv import PLACES
from .vectors import (
    LANES,
    add,
    as_written,
    at_least,
    broadcast,
    choose,
    counting,
    element,
    fill,
    first_maximum,
    goes_before,
    larger,
    load,
    load_part,
    multiply_add,
    store,
    store_element,
    store_part,
    total,
    where_positive,
)

__all__ = ["Plan", "conv_grad_weight", "convolve", "plan_conv"]

Array = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]

# Sums over places may be regrouped; NaN and infinity keep their meaning.
FASTMATH = {"contract", "reassoc", "nsz", "arcp"}


def _compiled(fn: Any) -> Any:
    # Called from compiled code alone, so without the ways in for Python, which take a quarter of the compile time.
    return jit(fn, keep=False, fastmath=FASTMATH, no_cpython_wrapper=True, no_cfunc_wrapper=True)


# The order of the numbers in a plan; the distances of the taps follow them.
GROUP, PHASES, IMAGES, BANDS, ALL_BANDS, STRIDE, PLANE, TOP, LEFT, PLACES_ROUNDED, RESULTS = range(11)
ROWS, PACKED, END, CHANNELS, WIDTH, POOL_WIDTH, WINDOWS, RELU, GRADIENT, MASK_INPUT, MASK_GRADIENT, TRANSPOSED, TAPS = (
    range(11, 24)
)


class Plan(NamedTuple):
    """How a kernel divides its work. Depends on shapes alone."""

    numbers: Integers  # what the kernel reads
    scratch: int  # elements of the scratch array that it needs


# --- a tile's input ------------------------------------------------------------------------------------------


@_compiled
def _clear(a, start, end):
    """Set elements ``start`` to ``end``, a multiple of ``LANES``, to zero."""
    zero = fill(a.dtype.type(0))
    for p in range(start, end, LANES):
        as_written()
        store(a, p, zero)


@_compiled
def _copy(to, at, source, start, n, y, masked):
    """Copy ``n`` elements, if ``masked`` with zeros in the place of those where ``y`` is not positive."""
    for p in range(0, n, LANES):
        as_written()
        part = where_positive(load_part(y, start + p, n - p), load_part(source, start + p, n - p), masked)
        store_part(to, at + p, part, n - p)


@_compiled
def _lay_out(scratch, x, y, plan, b0, b1, band):
    """Write the input rows that a tile sees, ``channel x phase x image x band x column``, and zeros around them."""
    bands, stride, left = plan[BANDS], plan[STRIDE], plan[LEFT]
    channels, height, width = x.shape[1], x.shape[2], x.shape[3]
    line = plan[IMAGES] * bands * stride
    start, masked = max(left, 0), plan[MASK_INPUT]
    n = min(width, left + stride) - start
    _clear(scratch, 0, plan[ROWS])
    for c in range(channels):
        for b in range(b0, b1):
            for i in range(bands):
                first = (band + i) * plan[GROUP] + plan[TOP]
                to = c * plan[PLANE] + ((b - b0) * bands + i) * stride + start - left
                at = ((b * channels + c) * height + first) * width + start
                for u in range(max(0, -first), min(plan[PHASES], height - first)):
                    as_written()
                    _copy(scratch, to + u * line, x, at + u * width, n, y, masked)


# --- a tile's products ---------------------------------------------------------------------------------------


@_compiled
def _pack(scratch, w, plan, out_channels):
    """Write the weight tap by tap, four output channels side by side, with zeros in the place of missing ones."""
    taps = plan.size - TAPS
    area = w.shape[2] * w.shape[3]
    # How far apart two output and two input channels of the weight are.
    step_out, step_in = (area, area * out_channels) if plan[TRANSPOSED] else (taps, area)
    for o in range((out_channels + 3) // 4 * 4):
        to = plan[PACKED] + (o - o % 4) * taps + o % 4
        for c in range(plan[CHANNELS]):
            for k in range(area):
                as_written()
                value = element(w, o * step_out + c * step_in + k) if o < out_channels else 0
                store_element(scratch, to, value)
                to += 4


@_compiled
def _multiply(scratch, bias, o, lowest, plan):
    """Compute four output channels, from ``o`` on, for all places: sums over the taps, held in registers."""
    last = bias.size - 1
    taps = plan.size - TAPS
    distance = plan[RESULTS]
    low = fill(lowest)
    for p in range(0, plan[PLACES_ROUNDED], 2 * LANES):
        a0 = a1 = broadcast(bias, o)
        b0 = b1 = broadcast(bias, min(o + 1, last))
        c0 = c1 = broadcast(bias, min(o + 2, last))
        d0 = d1 = broadcast(bias, min(o + 3, last))
        at = plan[PACKED] + o * taps
        for k in range(TAPS, plan.size):
            tap = element(plan, k) + p
            left, right = load(scratch, tap), load(scratch, tap + LANES)
            w = broadcast(scratch, at)
            a0, a1 = multiply_add(left, w, a0), multiply_add(right, w, a1)
            w = broadcast(scratch, at + 1)
            b0, b1 = multiply_add(left, w, b0), multiply_add(right, w, b1)
            w = broadcast(scratch, at + 2)
            c0, c1 = multiply_add(left, w, c0), multiply_add(right, w, c1)
            w = broadcast(scratch, at + 3)
            d0, d1 = multiply_add(left, w, d0), multiply_add(right, w, d1)
            at += 4
        to = plan[ROWS] + p
        store(scratch, to, at_least(a0, low))
        store(scratch, to + LANES, at_least(a1, low))
        to += distance
        store(scratch, to, at_least(b0, low))
        store(scratch, to + LANES, at_least(b1, low))
        to += distance
        store(scratch, to, at_least(c0, low))
        store(scratch, to + LANES, at_least(c1, low))
        to += distance
        store(scratch, to, at_least(d0, low))
        store(scratch, to + LANES, at_least(d1, low))


@_compiled
def _lowest(scratch, relu):
    """What results are raised to: zero for ReLU."""
    return scratch.dtype.type(0) if relu else scratch.dtype.type(-np.inf)


# --- what becomes of the results -----------------------------------------------------------------------------


@_compiled
def _write_rows(out, scratch, plan, b0, b1, band, o):
    """Copy four channels of a tile to the output."""
    bands, stride = plan[BANDS], plan[STRIDE]
    channels, height, width = out.shape[1], out.shape[2], out.shape[3]
    nothing = plan[MASK_GRADIENT]
    line = plan[IMAGES] * bands * stride
    for row in range(min(4, channels - o)):
        for b in range(b0, b1):
            for i in range(bands):
                first = (band + i) * plan[GROUP]
                there = ((b * channels + o + row) * height + first) * width
                here = plan[ROWS] + row * plan[RESULTS] + ((b - b0) * bands + i) * stride
                for _ in range(min(plan[GROUP], height - first)):
                    as_written()
                    _copy(out, there, scratch, here, width, scratch, nothing)
                    here += line
                    there += width


@_compiled
def _read_rows(scratch, dy, y, plan, b0, b1, band, o):
    """Copy four channels of the output's gradient to a tile."""
    bands, stride = plan[BANDS], plan[STRIDE]
    channels, height, width = dy.shape[1], dy.shape[2], dy.shape[3]
    masked = plan[MASK_GRADIENT]
    line = plan[IMAGES] * bands * stride
    for row in range(min(4, channels - o)):
        for b in range(b0, b1):
            for i in range(bands):
                first = (band + i) * plan[GROUP]
                there = ((b * channels + o + row) * height + first) * width
                here = plan[ROWS] + row * plan[RESULTS] + ((b - b0) * bands + i) * stride
                for _ in range(min(plan[GROUP], height - first)):
                    as_written()
                    _copy(scratch, here, dy, there, width, y, masked)
                    here += line
                    there += width


@_compiled
def _compare_phases(best, place, scratch, at, line, group, width):
    """Find the maximum of each column of a band, and its place: ``phase * width`` and the column's index."""
    for p in range(0, line, LANES):
        most, where = load(scratch, at + p), counting(p)
        for a in range(1, group):
            value = load(scratch, at + a * line + p)
            found = larger(value, most)
            most, where = choose(found, value, most), choose(found, counting(a * width + p), where)
        store(best, p, most)
        store(place, p, where)


@_compiled
def _compare_columns(best, place, to, start, step, n):
    """Put together what begins at each column and what begins ``step`` columns further on."""
    for p in range(start, start + n, LANES):
        here, place_here = load(best, p), load(place, p)
        there, place_there = load(best, p + step), load(place, p + step)
        found = goes_before(there, place_there, here, place_here)
        store(best, to + p - start, choose(found, there, here))
        store(place, to + p - start, choose(found, place_there, place_here))


@_compiled
def _find(best, place, start, n):
    """Find the first maximum of ``n`` neighbouring columns, one vector or more."""
    most, where = load(best, start), load(place, start)
    for p in range(LANES, n, LANES):
        # The last vector overlaps the one before.
        at = start + min(p, n - LANES)
        value, there = load(best, at), load(place, at)
        found = goes_before(value, there, most, where)
        most, where = choose(found, value, most), choose(found, there, where)
    return first_maximum(most, where)


@_compiled
def _pool(values, places, scratch, best, place, plan, b0, b1, band, o):
    """Find the maxima of a tile's windows and their places in the image."""
    bands, stride, pool_width, width = plan[BANDS], plan[STRIDE], plan[POOL_WIDTH], plan[WIDTH]
    line = plan[IMAGES] * bands * stride
    channels, windows_high, windows_wide = values.shape[1], values.shape[2], values.shape[3]
    wide = pool_width >= LANES
    for row in range(min(4, channels - o)):
        _compare_phases(best, place, scratch, plan[ROWS] + row * plan[RESULTS], line, plan[GROUP], width)
        # Maxima of 1, 2, 4, ... columns, in as many steps as the width has bits, in one half and the other.
        now, other = 0, best.size // 2
        covered = pool_width if wide else 1
        while covered < pool_width:
            step = min(covered, pool_width - covered)
            _compare_columns(best, place, other, now, step, line)
            now, other = other, now
            covered += step
        for b in range(b0, b1):
            for i in range(min(bands, windows_high - band)):
                start = ((b - b0) * bands + i) * stride
                to_place = (band + i) * plan[GROUP] * width - start
                to = ((b * channels + o + row) * windows_high + band + i) * windows_wide
                for j in range(windows_wide):
                    as_written()
                    at = now + start + j * pool_width
                    if wide:
                        value, where = _find(best, place, at, pool_width)
                    else:
                        value, where = element(best, at), element(place, at)
                    store_element(values, to + j, value)
                    store_element(places, to + j, where + to_place)


# --- forward and back to the input ---------------------------------------------------------------------------


@_compiled
def convolve(out, places, x, y, w, bias, plan, scratch, b0, b1) -> None:
    """Convolve images ``b0`` to ``b1``, with all that the plan says.

    Args:
        out: ``batch x out_channels x out_height x out_width``; of windows, where the plan has them.
        places: flat, the position of each maximum in row-major order of its image's output; unused without windows.
        x: ``batch x in_channels x height x width``.
        y: of the shape of ``x``. Where the plan is ``masked``, elements of ``x`` count as zero if ``y`` is zero or
            less; read but without effect otherwise.
        w: ``out_channels x in_channels x kernel_height x kernel_width``, the first two exchanged where the plan is
            ``transposed``.
        bias: one number for each output channel; zeros where there is none.
        plan: the numbers of :func:`plan_conv` for the same shapes.
        scratch: flat, as many elements as the plan says.
        b0: the first image.
        b1: the image behind the last.
    """
    lowest = scratch.dtype.type(0) if plan[RELU] else scratch.dtype.type(-np.inf)
    half = plan[IMAGES] * plan[BANDS] * plan[STRIDE] + plan[POOL_WIDTH] + 2 * LANES
    best, place = np.empty(2 * half, scratch.dtype), np.empty(2 * half, np.int32)
    _pack(scratch, w, plan, bias.size)
    for b in range(b0, b1, plan[IMAGES]):
        end = min(b + plan[IMAGES], b1)
        for band in range(0, plan[ALL_BANDS], plan[BANDS]):
            _lay_out(scratch, x, y, plan, b, end, band)
            for o in range(0, bias.size, 4):
                _multiply(scratch, bias, o, lowest, plan)
                if plan[WINDOWS]:
                    _pool(out, places, scratch, best, place, plan, b, end, band, o)
                else:
                    _write_rows(out, scratch, plan, b, end, band, o)


# --- back to the weight --------------------------------------------------------------------------------------


@_compiled
def _dot(scratch, plan, o, k):
    """Add the scalar products of four channels' gradients with what four taps see, held in registers."""
    last = plan.size - 1
    y0 = plan[ROWS]
    y1, y2, y3 = y0 + plan[RESULTS], y0 + 2 * plan[RESULTS], y0 + 3 * plan[RESULTS]
    x0, x1 = element(plan, TAPS + k), element(plan, min(TAPS + k + 1, last))
    x2, x3 = element(plan, min(TAPS + k + 2, last)), element(plan, min(TAPS + k + 3, last))
    a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = fill(scratch.dtype.type(0))
    c0 = c1 = c2 = c3 = d0 = d1 = d2 = d3 = a0
    for p in range(0, plan[PLACES_ROUNDED], LANES):
        x = load(scratch, x0 + p)
        r, s, t, u = load(scratch, y0 + p), load(scratch, y1 + p), load(scratch, y2 + p), load(scratch, y3 + p)
        a0, b0, c0, d0 = multiply_add(x, r, a0), multiply_add(x, s, b0), multiply_add(x, t, c0), multiply_add(x, u, d0)
        x = load(scratch, x1 + p)
        a1, b1, c1, d1 = multiply_add(x, r, a1), multiply_add(x, s, b1), multiply_add(x, t, c1), multiply_add(x, u, d1)
        x = load(scratch, x2 + p)
        a2, b2, c2, d2 = multiply_add(x, r, a2), multiply_add(x, s, b2), multiply_add(x, t, c2), multiply_add(x, u, d2)
        x = load(scratch, x3 + p)
        a3, b3, c3, d3 = multiply_add(x, r, a3), multiply_add(x, s, b3), multiply_add(x, t, c3), multiply_add(x, u, d3)
    taps = (plan.size - TAPS + 3) // 4 * 4
    at = plan[PACKED] + o * taps + k
    _add_totals(scratch, at, a0, a1, a2, a3)
    _add_totals(scratch, at + taps, b0, b1, b2, b3)
    _add_totals(scratch, at + 2 * taps, c0, c1, c2, c3)
    _add_totals(scratch, at + 3 * taps, d0, d1, d2, d3)


@_compiled
def _add_totals(scratch, at, v0, v1, v2, v3):
    store_element(scratch, at, element(scratch, at) + total(v0))
    store_element(scratch, at + 1, element(scratch, at + 1) + total(v1))
    store_element(scratch, at + 2, element(scratch, at + 2) + total(v2))
    store_element(scratch, at + 3, element(scratch, at + 3) + total(v3))


@_compiled
def _sum_of(scratch, at, n):
    sums = fill(scratch.dtype.type(0))
    for p in range(at, at + n, LANES):
        sums = add(sums, load(scratch, p))
    return total(sums)


@_compiled
def conv_grad_weight(dw, dbias, x, dy, y, plan, scratch, b0, b1) -> None:
    """Compute what images ``b0`` to ``b1`` give to the gradients of the weight and of the bias.

    Args:
        dw: ``out_channels x in_channels x kernel_height x kernel_width``; every element is written.
        dbias: one number for each output channel; every element is written.
        x: the input, ``batch x in_channels x height x width``.
        dy: the gradient of the output, ``batch x out_channels x out_height x out_width``.
        y: of the shape of ``dy``. Where the plan is ``masked``, elements of ``dy`` count as zero if ``y`` is zero
            or less; read but without effect otherwise.
        plan: the numbers of :func:`plan_conv` for the shapes of the forward call, with ``gradient``.
        scratch: flat, as many elements as the plan says.
        b0: the first image.
        b1: the image behind the last.
    """
    taps = plan.size - TAPS
    padded = (taps + 3) // 4 * 4
    for o in range(dbias.size):
        dbias[o] = 0
    for k in range(plan[PACKED], plan[END]):
        as_written()
        store_element(scratch, k, 0)
    for b in range(b0, b1, plan[IMAGES]):
        end = min(b + plan[IMAGES], b1)
        for band in range(0, plan[ALL_BANDS], plan[BANDS]):
            _lay_out(scratch, x, x, plan, b, end, band)
            for o in range(0, dbias.size, 4):
                _clear(scratch, plan[ROWS], plan[PACKED])
                _read_rows(scratch, dy, y, plan, b, end, band, o)
                for row in range(min(4, dbias.size - o)):
                    dbias[o + row] += _sum_of(scratch, plan[ROWS] + row * plan[RESULTS], plan[PLACES_ROUNDED])
                for k in range(0, taps, 4):
                    _dot(scratch, plan, o, k)
    for o in range(dbias.size):
        for k in range(taps):
            as_written()
            store_element(dw, o * taps + k, element(scratch, plan[PACKED] + o * padded + k))


# --- in Python -----------------------------------------------------------------------------------------------


def _parts(n: int, size: int) -> int:
    """Count the parts of ``n`` that are no larger than ``size``."""
    return -(-n // size)


def _reach(
    kernel: tuple[int, int], start: tuple[int, int], dilation: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Find the first row and column that a window sees, and how many more it sees than its output has."""
    rows, columns = (
        (s + min(0, d * (k - 1)), abs(d) * (k - 1)) for s, d, k in zip(start, dilation, kernel, strict=True)
    )
    return (rows[0], columns[0]), (rows[1], columns[1])


def plan_conv(
    images: int,
    channels: int,
    out_channels: int,
    out_size: tuple[int, int],
    kernel: tuple[int, int],
    start: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    window: tuple[int, int] | None = None,
    relu: bool = False,
    masked: bool = False,
    transposed: bool = False,
    gradient: bool = False,
) -> Plan:
    """Divide a convolution into tiles.

    Args:
        images: the most images that one call is given.
        channels: of the input.
        out_channels: of the output.
        out_size: the height and width of the output, before pooling.
        kernel: the height and width of the kernel.
        start: what the first tap of the first output sees, ``(row, column)`` of the input; may be outside.
        dilation: the distance between two taps; negative where the kernel is reversed.
        window: the height and width of the windows whose maximum is taken, or None.
        relu: whether ReLU follows.
        masked: whether what goes in (:func:`convolve`) or comes back (:func:`conv_grad_weight`) first goes back
            through a ReLU, whose output is given.
        transposed: whether the weight has input and output channels exchanged.
        gradient: whether the plan is for :func:`conv_grad_weight` and not for :func:`convolve`.

    The gradient with respect to the input is a convolution of the output's gradient, with ``out_size`` the input's
    size, ``start`` and ``dilation`` of opposite sign, channels exchanged, and ``transposed``.

    >>> plan = plan_conv(16, 4, 8, (28, 28), (3, 3), window=(4, 4))
    >>> plan.numbers[GROUP], plan.scratch == plan.numbers[END]  # four rows of the output make one of windows
    (np.int64(4), np.True_)
    """
    (height, width), (kh, kw) = out_size, kernel
    (top, left), (below, right) = _reach(kernel, start, dilation)
    stride = width + right
    if window is None:
        # Equal strips of rows, each a band.
        group = _parts(height, _parts(height, max(1, PLACES // stride)))
        all_bands, pool_width = _parts(height, group), width
    else:
        group, pool_width = window
        all_bands = height // group
    bands = max(1, min(all_bands if window else 1, PLACES // (group * stride)))
    bands = _parts(all_bands, _parts(all_bands, bands)) if all_bands else 1
    together = max(1, PLACES // (group * bands * stride)) if bands == all_bands else 1
    together = _parts(images, _parts(images, together)) if images else 1

    line = together * bands * stride
    places = _parts(group * line, 2 * LANES) * 2 * LANES
    plane = (_parts((group + below) * line, LANES) | 1) * LANES
    results = (places // LANES + 1 | 1) * LANES
    # Loads of the last places reach beyond the last plane.
    rows = channels * plane + (2 + _parts(right, LANES)) * LANES
    c, k, m = np.ogrid[:channels, :kh, :kw]
    down = dilation[0] * k - min(0, dilation[0] * (kh - 1))
    across = dilation[1] * m - min(0, dilation[1] * (kw - 1))
    taps = (c * plane + down * line + across).reshape(-1)
    packed = rows + 4 * results
    end = packed + _parts(out_channels, 4) * 4 * _parts(taps.size, 4) * 4
    header = np.zeros(TAPS, np.int64)
    header[[GROUP, PHASES, IMAGES, BANDS, ALL_BANDS, STRIDE]] = group, group + below, together, bands, all_bands, stride
    header[[PLANE, TOP, LEFT, PLACES_ROUNDED, RESULTS]] = plane, top, left, places, results
    header[[ROWS, PACKED, END, CHANNELS, WIDTH, POOL_WIDTH]] = rows, packed, end, channels, width, pool_width
    header[[WINDOWS, RELU, TRANSPOSED, GRADIENT]] = window is not None, relu, transposed, gradient
    header[[MASK_INPUT, MASK_GRADIENT]] = masked and not gradient, masked and gradient
    return Plan(np.concatenate([header, taps]), end)
