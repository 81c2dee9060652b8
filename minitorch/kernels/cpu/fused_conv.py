r"""Convolution with what stands behind it in a training step, for a part of the batch.

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

**What it costs to compile.** All arrays are contiguous and come as pointers to their first elements. Nearly all numbers
that describe shapes come in one array of integers, a *plan*, made in Python once: as arguments they would be literals
to Numba, which compiles a function again for every literal.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..compile import jit
from ..part import PartCompiler
from .conv import PLACES
from .vectors import (
    LANES,
    add,
    as_written,
    at_least,
    broadcast,
    choose,
    counting,
    fill,
    first_maximum,
    goes_before,
    larger,
    load,
    load_part,
    multiply_add,
    numbers_at,
    skip,
    store,
    store_part,
    total,
)

__all__ = ["Plan", "conv_grad_weight", "convolve", "plan_conv"]

Integers = npt.NDArray[np.int64]

# Sums over places may be regrouped; NaN and infinity keep their meaning.
FASTMATH = {"contract", "reassoc", "nsz", "arcp"}


def _compiled(fn: Any) -> Any:
    return jit(
        fn,
        keep=False,
        fastmath=FASTMATH,
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        pipeline_class=PartCompiler,
    )


# The order of the numbers in a plan. How the work is divided:
GROUP, PHASES, IMAGES, BANDS, ALL_BANDS, STRIDE, LINE, PLANE, RESULT, PLACES_ROUNDED, TOP, LEFT = range(12)
# Shapes: channels, the output before pooling, windows (0 where there are none), and the weight, in which two output
# and two input channels are so far apart.
CHANNELS, OUT_CHANNELS, HEIGHT, WIDTH, POOL_WIDTH, HIGH, WIDE, AREA, STEP_OUT, STEP_IN = range(12, 22)
RELU, GRADIENT = 22, 23
# Where things begin in the scratch array: the input, four channels of results, the weight, maxima and their places;
# and in these, the maxima of all columns once, and once more.
INPUT, RESULTS, PACKED, MAXIMA, MAXIMA_PLACES, HALF, OTHER_HALF = range(24, 31)
# How many taps there are, and where, from a place on, each of them sees the scratch array.
COUNT, TAPS = 31, 32


class Plan(NamedTuple):
    """How a kernel divides its work. Depends on shapes alone."""

    numbers: Integers  # what the kernel reads
    scratch: int  # elements of the scratch array that it needs


# --- a tile's input ------------------------------------------------------------------------------------------


@_compiled
def _clear(a, start, end):
    """Set elements ``start`` to ``end``, a multiple of ``LANES``, to zero."""
    zero = fill(a, 0)
    for p in range(start, end, LANES):
        as_written()
        store(a, p, zero)


@_compiled
def _copy(to, at, source, start, n):
    for p in range(0, n, LANES):
        as_written()
        store_part(to, at + p, load_part(source, start + p, n - p), n - p)


@_compiled
def _lay_out(scratch, x, height, width, plan, b0, b1, band):
    """Write the input rows that a tile sees, ``channel x phase x image x band x column``, and zeros around them."""
    channels, bands, stride, left = plan[CHANNELS], plan[BANDS], plan[STRIDE], plan[LEFT]
    start = max(left, 0)
    n = min(width, left + stride) - start
    _clear(scratch, plan[INPUT], plan[RESULTS])
    for c in range(channels):
        for b in range(b0, b1):
            for i in range(bands):
                first = (band + i) * plan[GROUP] + plan[TOP]
                to = plan[INPUT] + c * plan[PLANE] + ((b - b0) * bands + i) * stride + start - left
                at = ((b * channels + c) * height + first) * width + start
                for u in range(max(0, -first), min(plan[PHASES], height - first)):
                    as_written()
                    _copy(scratch, to + u * plan[LINE], x, at + u * width, n)


# --- a tile's products ---------------------------------------------------------------------------------------


@_compiled
def _pack(scratch, w, plan):
    """Write the weight tap by tap, four output channels side by side; behind the last, copies of it."""
    last, step = plan[OUT_CHANNELS] - 1, plan[STEP_OUT]
    # Where input channels lie behind each other, they are one long row.
    rows, n = (1, plan[COUNT]) if plan[STEP_IN] == plan[AREA] else (plan[CHANNELS], plan[AREA])
    for o in range(0, last + 1, 4):
        to = plan[PACKED] + o * plan[COUNT]
        w0, w1 = skip(w, o * step), skip(w, min(o + 1, last) * step)
        w2, w3 = skip(w, min(o + 2, last) * step), skip(w, min(o + 3, last) * step)
        for row in range(rows):
            at = row * plan[STEP_IN]
            four = skip(scratch, to + 4 * row * n)
            for k in range(n):
                four[4 * k] = w0[at + k]
                four[4 * k + 1] = w1[at + k]
                four[4 * k + 2] = w2[at + k]
                four[4 * k + 3] = w3[at + k]


@_compiled
def _multiply(scratch, bias, o, plan):
    """Compute four output channels, from ``o`` on, for all places: sums over the taps, held in registers."""
    last, end = plan[OUT_CHANNELS] - 1, TAPS + plan[COUNT]
    packed = plan[PACKED] + o * plan[COUNT]
    lowest = fill(scratch, 0 if plan[RELU] else -np.inf)
    for p in range(0, plan[PLACES_ROUNDED], 2 * LANES):
        a0 = a1 = broadcast(bias, o)
        b0 = b1 = broadcast(bias, min(o + 1, last))
        c0 = c1 = broadcast(bias, min(o + 2, last))
        d0 = d1 = broadcast(bias, min(o + 3, last))
        at = packed
        for k in range(TAPS, end):
            tap = plan[k] + p
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
        to = plan[RESULTS] + p
        store(scratch, to, at_least(a0, lowest))
        store(scratch, to + LANES, at_least(a1, lowest))
        to += plan[RESULT]
        store(scratch, to, at_least(b0, lowest))
        store(scratch, to + LANES, at_least(b1, lowest))
        to += plan[RESULT]
        store(scratch, to, at_least(c0, lowest))
        store(scratch, to + LANES, at_least(c1, lowest))
        to += plan[RESULT]
        store(scratch, to, at_least(d0, lowest))
        store(scratch, to + LANES, at_least(d1, lowest))


# --- what becomes of the results -----------------------------------------------------------------------------


@_compiled
def _move_rows(y, scratch, plan, b0, b1, band, o, back):
    """Copy four channels of a tile to the output, or ``back`` from the output's gradient."""
    bands, width = plan[BANDS], plan[WIDTH]
    for row in range(min(4, plan[OUT_CHANNELS] - o)):
        for b in range(b0, b1):
            for i in range(bands):
                first = (band + i) * plan[GROUP]
                there = ((b * plan[OUT_CHANNELS] + o + row) * plan[HEIGHT] + first) * width
                here = plan[RESULTS] + row * plan[RESULT] + ((b - b0) * bands + i) * plan[STRIDE]
                for _ in range(min(plan[GROUP], plan[HEIGHT] - first)):
                    as_written()
                    if back:
                        _copy(scratch, here, y, there, width)
                    else:
                        _copy(y, there, scratch, here, width)
                    here += plan[LINE]
                    there += width


@_compiled
def _compare_phases(best, place, results, plan):
    """Find the maximum of each column of a band, and its place: ``phase * width`` and the column's index."""
    line = plan[LINE]
    for p in range(0, line, LANES):
        most, where = load(results, p), counting(p)
        for a in range(1, plan[GROUP]):
            value = load(results, a * line + p)
            found = larger(value, most)
            most, where = choose(found, value, most), choose(found, counting(a * plan[WIDTH] + p), where)
        store(best, p, most)
        store(place, p, where)


@_compiled
def _compare_columns(best, place, to, start, step, n):
    """Put together what begins at each column and what begins ``step`` columns further on."""
    for p in range(0, n, LANES):
        at = start + p
        here, place_here = load(best, at), load(place, at)
        there, place_there = load(best, at + step), load(place, at + step)
        found = goes_before(there, place_there, here, place_here)
        store(best, to + p, choose(found, there, here))
        store(place, to + p, choose(found, place_there, place_here))


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
def _pool(values, places, scratch, plan, b0, b1, band, o):
    """Find the maxima of a tile's windows and their places in the image."""
    bands, pool_width, high, wide = plan[BANDS], plan[POOL_WIDTH], plan[HIGH], plan[WIDE]
    best, place = skip(scratch, plan[MAXIMA]), numbers_at(skip(scratch, plan[MAXIMA_PLACES]), np.int32)
    for row in range(min(4, plan[OUT_CHANNELS] - o)):
        _compare_phases(best, place, skip(scratch, plan[RESULTS] + row * plan[RESULT]), plan)
        # Maxima of 1, 2, 4, ... columns, in as many steps as the width has bits, in one half and the other.
        now, other = plan[HALF], plan[OTHER_HALF]
        covered = pool_width if pool_width >= LANES else 1
        while covered < pool_width:
            step = min(covered, pool_width - covered)
            _compare_columns(best, place, other, now, step, plan[LINE])
            now, other = other, now
            covered += step
        for b in range(b0, b1):
            for i in range(min(bands, high - band)):
                start = ((b - b0) * bands + i) * plan[STRIDE]
                to_place = (band + i) * plan[GROUP] * plan[WIDTH] - start
                to = ((b * plan[OUT_CHANNELS] + o + row) * high + band + i) * wide
                for j in range(wide):
                    as_written()
                    at = now + start + j * pool_width
                    if pool_width >= LANES:
                        value, where = _find(best, place, at, pool_width)
                    else:
                        value, where = best[at], place[at]
                    values[to + j] = value
                    places[to + j] = where + to_place


# --- forward and back to the input ---------------------------------------------------------------------------


@_compiled
def convolve(out, places, x, height, width, w, bias, plan, scratch, b0, b1) -> None:
    """Convolve images ``b0`` to ``b1``, with all that the plan says.

    Args:
        out: ``batch x out_channels x out_height x out_width``; of windows, where the plan has them.
        places: 64-bit integers, the position of each maximum in row-major order of its image's output; unused without
            windows.
        x: ``batch x in_channels x height x width``.
        height: of ``x``.
        width: of ``x``.
        w: ``out_channels x in_channels x kernel_height x kernel_width``, the first two exchanged where the plan is
            ``transposed``.
        bias: one number for each output channel; zeros where there is none.
        plan: the numbers of :func:`plan_conv` for the same shapes.
        scratch: as many elements as the plan says.
        b0: the first image.
        b1: the image behind the last.
    """
    _pack(scratch, w, plan)
    for b in range(b0, b1, plan[IMAGES]):
        end = min(b + plan[IMAGES], b1)
        for band in range(0, plan[ALL_BANDS], plan[BANDS]):
            _lay_out(scratch, x, height, width, plan, b, end, band)
            for o in range(0, plan[OUT_CHANNELS], 4):
                _multiply(scratch, bias, o, plan)
                if plan[POOL_WIDTH]:
                    _pool(out, places, scratch, plan, b, end, band, o)
                else:
                    _move_rows(out, scratch, plan, b, end, band, o, plan[GRADIENT])


# --- back to the weight --------------------------------------------------------------------------------------


@_compiled
def _dot(scratch, plan, o, k):
    """Add the scalar products of four channels' gradients with what four taps see, held in registers."""
    last = plan[COUNT] - 1
    y0 = plan[RESULTS]
    y1, y2, y3 = y0 + plan[RESULT], y0 + 2 * plan[RESULT], y0 + 3 * plan[RESULT]
    x0, x1 = plan[TAPS + k], plan[TAPS + min(k + 1, last)]
    x2, x3 = plan[TAPS + min(k + 2, last)], plan[TAPS + min(k + 3, last)]
    a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = fill(scratch, 0)
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
    padded = (plan[COUNT] + 3) // 4 * 4
    at = plan[PACKED] + o * padded + k
    _add_totals(scratch, at, a0, a1, a2, a3)
    _add_totals(scratch, at + padded, b0, b1, b2, b3)
    _add_totals(scratch, at + 2 * padded, c0, c1, c2, c3)
    _add_totals(scratch, at + 3 * padded, d0, d1, d2, d3)


@_compiled
def _add_totals(scratch, at, v0, v1, v2, v3):
    scratch[at] += total(v0)
    scratch[at + 1] += total(v1)
    scratch[at + 2] += total(v2)
    scratch[at + 3] += total(v3)


@_compiled
def _sum_of(a, at, n):
    sums = fill(a, 0)
    for p in range(at, at + n, LANES):
        sums = add(sums, load(a, p))
    return total(sums)


@_compiled
def conv_grad_weight(dw, dbias, x, height, width, dy, plan, scratch, b0, b1) -> None:
    """Compute what images ``b0`` to ``b1`` give to the gradients of the weight and of the bias.

    Args:
        dw: ``out_channels x in_channels x kernel_height x kernel_width``; every element is written.
        dbias: one number for each output channel; every element is written.
        x: the input, ``batch x in_channels x height x width``.
        height: of ``x``.
        width: of ``x``.
        dy: the gradient of the output, ``batch x out_channels x out_height x out_width``.
        plan: the numbers of :func:`plan_conv` for the shapes of the forward call, with ``gradient``.
        scratch: as many elements as the plan says.
        b0: the first image.
        b1: the image behind the last.
    """
    taps = plan[COUNT]
    padded = (taps + 3) // 4 * 4
    for o in range(plan[OUT_CHANNELS]):
        dbias[o] = 0
    _clear(scratch, plan[PACKED], plan[MAXIMA])
    for b in range(b0, b1, plan[IMAGES]):
        end = min(b + plan[IMAGES], b1)
        for band in range(0, plan[ALL_BANDS], plan[BANDS]):
            _lay_out(scratch, x, height, width, plan, b, end, band)
            for o in range(0, plan[OUT_CHANNELS], 4):
                _clear(scratch, plan[RESULTS], plan[PACKED])
                _move_rows(dy, scratch, plan, b, end, band, o, plan[GRADIENT])
                for row in range(min(4, plan[OUT_CHANNELS] - o)):
                    dbias[o + row] += _sum_of(scratch, plan[RESULTS] + row * plan[RESULT], plan[PLACES_ROUNDED])
                for k in range(0, taps, 4):
                    _dot(scratch, plan, o, k)
    for o in range(plan[OUT_CHANNELS]):
        for k in range(taps):
            as_written()
            dw[o * taps + k] = scratch[plan[PACKED] + o * padded + k]


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
        transposed: whether the weight has input and output channels exchanged.
        gradient: whether the plan is for :func:`conv_grad_weight` and not for :func:`convolve`.

    The gradient with respect to the input is a convolution of the output's gradient, with ``out_size`` the input's
    size, ``start`` and ``dilation`` of opposite sign, channels exchanged, and ``transposed``.

    >>> plan = plan_conv(16, 4, 8, (28, 28), (3, 3), window=(4, 4))
    >>> plan.numbers[[GROUP, HIGH, WIDE]].tolist()  # four rows of the output make one of windows
    [4, 7, 7]
    """
    (height, width), (kh, kw) = out_size, kernel
    (top, left), (below, right) = _reach(kernel, start, dilation)
    stride = width + right
    if window is None:
        # Equal strips of rows, each a band.
        group = _parts(height, _parts(height, max(1, PLACES // stride)))
        all_bands, pool_width = _parts(height, group), 0
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
    result = (places // LANES + 1 | 1) * LANES
    c, k, m = np.ogrid[:channels, :kh, :kw]
    down = dilation[0] * k - min(0, dilation[0] * (kh - 1))
    across = dilation[1] * m - min(0, dilation[1] * (kw - 1))
    taps = (c * plane + down * line + across).reshape(-1)

    # Loads of the last places reach beyond the last plane.
    results = channels * plane + (2 + _parts(right, LANES)) * LANES
    packed = results + 4 * result
    maxima = packed + _parts(out_channels, 4) * 4 * _parts(taps.size, 4) * 4
    half = _parts(line + pool_width, LANES) * LANES + 2 * LANES if window else 0
    maxima_places = maxima + 2 * half

    area = kh * kw
    step_out, step_in = (area, area * out_channels) if transposed else (taps.size, area)
    header = np.zeros(TAPS, np.int64)
    header[[GROUP, PHASES, IMAGES, BANDS, ALL_BANDS]] = group, group + below, together, bands, all_bands
    header[[STRIDE, LINE, PLANE, RESULT, PLACES_ROUNDED, TOP, LEFT]] = stride, line, plane, result, places, top, left
    header[[CHANNELS, OUT_CHANNELS, HEIGHT, WIDTH]] = channels, out_channels, height, width
    if window:
        header[[POOL_WIDTH, HIGH, WIDE]] = pool_width, all_bands, width // pool_width
    header[[AREA, STEP_OUT, STEP_IN, RELU, GRADIENT]] = area, step_out, step_in, relu, gradient
    header[[RESULTS, PACKED, MAXIMA, MAXIMA_PLACES, OTHER_HALF]] = results, packed, maxima, maxima_places, half
    header[COUNT] = taps.size
    return Plan(np.concatenate([header, taps]), maxima_places + 2 * half)
