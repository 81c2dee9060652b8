r"""Convolution with what stands behind it in a training step, for a part of the batch.

These functions are called from compiled programs: each works on images ``b0`` to ``b1`` of a batch on one core and
writes nothing else. They compute the convolution of any :class:`~minitorch.kernels.geometry.Geometry`; with stride
$s$, dilation $d$ and offset $f$,

$$y_{b,o,i,j} = \mathrm{bias}_o + \sum_{c,k,l} x_{b,c,\,s_1 i + d_1 k + f_1,\,s_2 j + d_2 l + f_2}\, w_{o,c,k,l},$$

with zeros outside the image, then ReLU and a maximum over windows where they follow. The arithmetic is that of
``conv.py``: rows of places times taps.

**The layout of a tile.** The places of a tile are ordered so that pooling compares whole rows. The output's rows are
numbered ``band * group + phase``: a band is one row of windows, and ``group`` the window's height. Rows of one phase
lie together,

    y[phase][image][band][column],

so the first step of a maximum over windows compares ``group`` long pieces of memory with each other. The input rows
are laid out alike, with more phases than the output has, so that a tap in another kernel row sees a later phase: a
constant distance away. Columns have zeros to their left and right, and a tap in another kernel column sees the next
element. Without pooling, a tile is one band of many phases.

**Strides.** Windows that move by $s$ see an image as $s^2$ smaller images, of every $s$-th row and column, and move by
one over each. These *views* are laid out instead of the image, those that some tap sees. Where a geometry has zeros
between its inputs, as the gradient of a strided convolution does, the outputs are divided into *parts* that each see
inputs alone, through some of the taps (:meth:`~minitorch.kernels.geometry.Geometry.parts`); every part has a plan.

**What it costs to compile.** All arrays are contiguous and come as pointers to their first elements. Nearly all numbers
that describe shapes come in one array of integers, a *plan*, made in Python once: as arguments they would be literals
to Numba, which compiles a function again for every literal.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..compile import jit
from ..geometry import Geometry, Part, Space
from ..inlined import InlineCompiler
from .conv import FASTMATH, PLACES, _pieces
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


def _compiled(fn: Any) -> Any:
    return jit(
        fn,
        keep=False,
        fastmath=FASTMATH,
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        pipeline_class=InlineCompiler,
    )


# A plan begins with the number of its parts, of output channels, and of the weights of one of these; behind them it
# says where the numbers of each part begin.
PARTS, ALL_CHANNELS, ALL_TAPS, BEGINS = range(4)
# The order of the numbers of a part. How the work is divided:
GROUP, PHASES, IMAGES, BANDS, ALL_BANDS, STRIDE, LINE, PLANE, RESULT, PLACES_ROUNDED = range(10)
# The input, and how many rows and columns two places of the output see apart:
CHANNELS, IN_HEIGHT, IN_WIDTH, DOWN, RIGHT, VIEWS = range(10, 16)
# The output before pooling, and windows (0 where there are none):
OUT_CHANNELS, HEIGHT, WIDTH, POOL_WIDTH, HIGH, WIDE = range(16, 22)
# Where the part's places are in an image of the output: its elements, the first place, and how far apart rows and
# columns lie. How far apart two output channels of the weight are.
OUT_IMAGE, OUT_FIRST, OUT_DOWN, OUT_RIGHT, STEP_OUT = range(22, 27)
RELU, GRADIENT = 27, 28
# Where things begin in the scratch array: the input, four channels of results, the weight, maxima and their places;
# and in these, the maxima of all columns once, and once more.
INPUT, RESULTS, PACKED, MAXIMA, MAXIMA_PLACES, HALF, OTHER_HALF = range(29, 36)
# How many taps there are, and where, from a place on, each of them sees the scratch array; behind them, where each tap
# has its weight, and the views.
COUNT, TAPS = 36, 37
# The numbers of a view: the row and column of the image that its first element shows, its first row inside the image
# and the one behind the last, and its first column inside the image and how many there are.
TOP, LEFT, FIRST_ROW, LAST_ROW, FIRST_COLUMN, COLUMNS, VIEW = range(7)


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
def _collect(to, at, source, start, step, n):
    """Put ``n`` elements that lie ``step`` apart side by side."""
    if step == 1:
        _copy(to, at, source, start, n)
        n = 0
    for p in range(n):
        as_written()
        to[at + p] = source[start + p * step]


@_compiled
def _spread(to, at, step, source, start, n):
    """Put ``n`` neighbours ``step`` apart."""
    if step == 1:
        _copy(to, at, source, start, n)
        n = 0
    for p in range(n):
        as_written()
        to[at + p * step] = source[start + p]


@_compiled
def _lay_out(scratch, x, plan, b0, b1, band):
    """Write the rows of a tile's views, ``channel x view x phase x image x band x column``, and zeros around them."""
    channels, bands, stride, views = plan[CHANNELS], plan[BANDS], plan[STRIDE], plan[VIEWS]
    height, width, down, right = plan[IN_HEIGHT], plan[IN_WIDTH], plan[DOWN], plan[RIGHT]
    _clear(scratch, plan[INPUT], plan[RESULTS])
    for v in range(views):
        view = skip(plan, TAPS + 2 * plan[COUNT] + v * VIEW)
        start = view[FIRST_COLUMN]
        for c in range(channels):
            for b in range(b0, b1):
                for i in range(bands):
                    row = (band + i) * plan[GROUP]
                    to = plan[INPUT] + (c * views + v) * plan[PLANE] + ((b - b0) * bands + i) * stride + start
                    at = ((b * channels + c) * height + row * down + view[TOP]) * width + view[LEFT] + start * right
                    for u in range(max(0, view[FIRST_ROW] - row), min(plan[PHASES], view[LAST_ROW] - row)):
                        as_written()
                        _collect(scratch, to + u * plan[LINE], x, at + u * down * width, right, view[COLUMNS])


# --- a tile's products ---------------------------------------------------------------------------------------


@_compiled
def _pack(scratch, w, plan):
    """Write the weight tap by tap, four output channels side by side; behind the last, copies of it."""
    last, step, count = plan[OUT_CHANNELS] - 1, plan[STEP_OUT], plan[COUNT]
    for o in range(0, last + 1, 4):
        four = skip(scratch, plan[PACKED] + o * count)
        w0, w1 = skip(w, o * step), skip(w, min(o + 1, last) * step)
        w2, w3 = skip(w, min(o + 2, last) * step), skip(w, min(o + 3, last) * step)
        for k in range(count):
            at = plan[TAPS + count + k]
            four[4 * k] = w0[at]
            four[4 * k + 1] = w1[at]
            four[4 * k + 2] = w2[at]
            four[4 * k + 3] = w3[at]


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
    bands, width, step = plan[BANDS], plan[WIDTH], plan[OUT_RIGHT]
    for row in range(min(4, plan[OUT_CHANNELS] - o)):
        for b in range(b0, b1):
            channel = (b * plan[OUT_CHANNELS] + o + row) * plan[OUT_IMAGE] + plan[OUT_FIRST]
            for i in range(bands):
                first = (band + i) * plan[GROUP]
                there = channel + first * plan[OUT_DOWN]
                here = plan[RESULTS] + row * plan[RESULT] + ((b - b0) * bands + i) * plan[STRIDE]
                for _ in range(min(plan[GROUP], plan[HEIGHT] - first)):
                    as_written()
                    if back:
                        _collect(scratch, here, y, there, step, width)
                    else:
                        _spread(y, there, step, scratch, here, width)
                    here += plan[LINE]
                    there += plan[OUT_DOWN]


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
def convolve(out, places, x, w, bias, plans, scratch, b0, b1) -> None:
    """Convolve images ``b0`` to ``b1``, with all that the plan says.

    Args:
        out: ``batch x out_channels x out_height x out_width``; of windows, where the plan has them.
        places: 64-bit integers, the position of each maximum in row-major order of its image's output; unused without
            windows.
        x: ``batch x in_channels x height x width``.
        w: ``out_channels x in_channels x kernel_height x kernel_width``, the first two exchanged where the plan is
            ``transposed``.
        bias: one number for each output channel; zeros where there is none.
        plans: the numbers of :func:`plan_conv` for the same shapes.
        scratch: as many elements as the plan says.
        b0: the first image.
        b1: the image behind the last.
    """
    for part in range(plans[PARTS]):
        plan = skip(plans, plans[BEGINS + part])
        _pack(scratch, w, plan)
        for b in range(b0, b1, plan[IMAGES]):
            end = min(b + plan[IMAGES], b1)
            for band in range(0, plan[ALL_BANDS], plan[BANDS]):
                _lay_out(scratch, x, plan, b, end, band)
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
def conv_grad_weight(dw, dbias, x, dy, plans, scratch, b0, b1) -> None:
    """Compute what images ``b0`` to ``b1`` give to the gradients of the weight and of the bias.

    Args:
        dw: ``out_channels x in_channels x kernel_height x kernel_width``; every element is written.
        dbias: one number for each output channel; every element is written.
        x: the input, ``batch x in_channels x height x width``.
        dy: the gradient of the output, ``batch x out_channels x out_height x out_width``.
        plans: the numbers of :func:`plan_conv` for the shapes of the forward call, with ``gradient``.
        scratch: as many elements as the plan says.
        b0: the first image.
        b1: the image behind the last.
    """
    for o in range(plans[ALL_CHANNELS]):
        dbias[o] = 0
        for k in range(plans[ALL_TAPS]):
            as_written()
            dw[o * plans[ALL_TAPS] + k] = 0
    for part in range(plans[PARTS]):
        plan = skip(plans, plans[BEGINS + part])
        taps = plan[COUNT]
        padded = (taps + 3) // 4 * 4
        _clear(scratch, plan[PACKED], plan[MAXIMA])
        for b in range(b0, b1, plan[IMAGES]):
            end = min(b + plan[IMAGES], b1)
            for band in range(0, plan[ALL_BANDS], plan[BANDS]):
                _lay_out(scratch, x, plan, b, end, band)
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
                dw[o * plan[STEP_OUT] + plan[TAPS + taps + k]] += scratch[plan[PACKED] + o * padded + k]


# --- in Python -----------------------------------------------------------------------------------------------


class _Views(NamedTuple):
    """What a row or column of taps sees, in views of every ``stride``-th element."""

    first: Integers  # for each view, the element of the input that it begins with
    which: Integers  # for each tap, its view
    further: Integers  # and how many of the view's elements it is ahead

    @property
    def beyond(self) -> int:
        """How many more elements are seen than there are places."""
        return int(self.further.max(initial=0))

    def inside(self, size: int, stride: int) -> tuple[Integers, Integers]:
        """Find, for each view, the first element inside an input of this size, and the one behind the last."""
        return np.maximum(0, -(self.first // stride)), -((self.first - size) // stride)


def _views(geometry: Geometry, taps: int) -> _Views:
    further, phase = np.divmod(geometry.dilation * np.arange(taps) + geometry.offset, geometry.stride)
    phases, which = np.unique(phase, return_inverse=True)
    least = further.min() if taps else 0
    return _Views(phases + geometry.stride * least, which, further - least)


def _all_parts(geometry: Geometry, taps: int) -> list[Part]:
    """Divide the outputs into parts that see inputs alone, and parts that see nothing."""
    parts = geometry.parts(taps)
    seeing = {part.outputs.start for part in parts}
    for first in range(min(geometry.spread, geometry.size)):
        if first not in seeing:
            outputs = slice(first, geometry.size, geometry.spread)
            parts.append(Part(outputs, slice(0), Geometry(len(range(geometry.size)[outputs]))))
    return parts


def plan_conv(
    images: int,
    image: tuple[int, int, int],
    out_channels: int,
    kernel: tuple[int, int],
    space: Space,
    window: tuple[int, int] | None = None,
    relu: bool = False,
    transposed: bool = False,
    gradient: bool = False,
) -> Plan:
    """Divide a convolution into tiles.

    Args:
        images: the most images that one call is given.
        image: channels, height and width of the input.
        out_channels: of the output.
        kernel: the height and width of the kernel.
        space: the geometry of rows and columns.
        window: the height and width of the windows whose maximum is taken, or None; with them, no spread.
        relu: whether ReLU follows.
        transposed: whether the weight has input and output channels exchanged.
        gradient: whether the plan is for :func:`conv_grad_weight` and not for :func:`convolve`.

    The gradient with respect to the input is a convolution of the output's gradient, with both geometries transposed,
    channels exchanged, and ``transposed``.

    >>> plan = plan_conv(16, (4, 28, 28), 8, (3, 3), (Geometry(28), Geometry(28)), window=(4, 4))
    >>> part = plan.numbers[plan.numbers[BEGINS] :]
    >>> part[[GROUP, HIGH, WIDE]].tolist()  # four rows of the output make one of windows
    [4, 7, 7]
    """
    assert window is None or all(g.spread == 1 for g in space)
    down, right = space
    parts = [
        _plan_part(images, image, out_channels, kernel, rows, columns, (down.size, right.size), window, transposed)
        for rows in _all_parts(down, kernel[0])
        for columns in _all_parts(right, kernel[1])
    ]
    for part in parts:
        part.numbers[[RELU, GRADIENT]] = relu, gradient
    lengths = [BEGINS + len(parts), *(part.numbers.size for part in parts)]
    header = [len(parts), out_channels, image[0] * kernel[0] * kernel[1], *np.cumsum(lengths[:-1])]
    numbers = np.concatenate([np.array(header, np.int64), *(part.numbers for part in parts)])
    return Plan(numbers, max((part.scratch for part in parts), default=0))


def _plan_part(
    images: int,
    image: tuple[int, int, int],
    out_channels: int,
    kernel: tuple[int, int],
    rows: Part,
    columns: Part,
    out_size: tuple[int, int],
    window: tuple[int, int] | None,
    transposed: bool,
) -> Plan:
    """Plan the part of an output that sees inputs alone."""
    height, width = rows.geometry.size, columns.geometry.size
    row_taps, column_taps = (np.arange(n)[part.taps] for n, part in zip(kernel, (rows, columns), strict=True))
    # Where the taps of one dimension see nothing, those of the other do not either.
    channels = image[0] if row_taps.size and column_taps.size else 0
    down, right = _views(rows.geometry, row_taps.size), _views(columns.geometry, column_taps.size)
    stride = width + right.beyond
    if window is None:
        # Equal strips of rows, each a band.
        group = _pieces(height, _pieces(height, max(1, PLACES // stride)))
        all_bands, pool_width = _pieces(height, group), 0
    else:
        group, pool_width = window
        all_bands = height // group
    bands = max(1, min(all_bands if window else 1, PLACES // (group * stride)))
    bands = _pieces(all_bands, _pieces(all_bands, bands)) if all_bands else 1
    together = max(1, PLACES // (group * bands * stride)) if bands == all_bands else 1
    together = _pieces(images, _pieces(images, together)) if images else 1

    line = together * bands * stride
    places = _pieces(group * line, 2 * LANES) * 2 * LANES
    plane = (_pieces((group + down.beyond) * line, LANES) | 1) * LANES
    result = (places // LANES + 1 | 1) * LANES
    c, k, m = np.ogrid[:channels, : row_taps.size, : column_taps.size]
    views = down.first.size * right.first.size
    view = down.which[k] * right.first.size + right.which[m]
    taps = ((c * views + view) * plane + down.further[k] * line + right.further[m]).reshape(-1)
    area = kernel[0] * kernel[1]
    step_out, step_in = (area, area * out_channels) if transposed else (area * image[0], area)
    weights = (c * step_in + row_taps[k] * kernel[1] + column_taps[m]).reshape(-1)

    # Loads of the last places reach beyond the last plane.
    results = channels * views * plane + (2 + _pieces(right.beyond, LANES)) * LANES
    packed = results + 4 * result
    maxima = packed + _pieces(out_channels, 4) * 4 * _pieces(taps.size, 4) * 4
    half = _pieces(line + pool_width, LANES) * LANES + 2 * LANES if window else 0
    maxima_places = maxima + 2 * half

    header = np.zeros(TAPS, np.int64)
    header[[GROUP, PHASES, IMAGES, BANDS, ALL_BANDS]] = group, group + down.beyond, together, bands, all_bands
    header[[STRIDE, LINE, PLANE, RESULT, PLACES_ROUNDED]] = stride, line, plane, result, places
    header[[CHANNELS, IN_HEIGHT, IN_WIDTH]] = channels, *image[1:]
    header[[DOWN, RIGHT, VIEWS]] = rows.geometry.stride, columns.geometry.stride, views
    header[[OUT_CHANNELS, HEIGHT, WIDTH, STEP_OUT]] = out_channels, height, width, step_out
    if window:
        header[[POOL_WIDTH, HIGH, WIDE]] = pool_width, all_bands, width // pool_width
    out_height, out_width = out_size
    header[[OUT_IMAGE, OUT_FIRST]] = out_height * out_width, rows.outputs.start * out_width + columns.outputs.start
    header[[OUT_DOWN, OUT_RIGHT]] = rows.outputs.step * out_width, columns.outputs.step
    header[[RESULTS, PACKED, MAXIMA, MAXIMA_PLACES, OTHER_HALF]] = results, packed, maxima, maxima_places, half
    header[COUNT] = taps.size

    table = np.empty((down.first.size, right.first.size, VIEW), np.int64)
    top, bottom = down.inside(image[1], rows.geometry.stride)
    left, end = right.inside(image[2], columns.geometry.stride)
    table[..., TOP], table[..., LEFT] = down.first[:, None], right.first
    table[..., FIRST_ROW], table[..., LAST_ROW] = top[:, None], bottom[:, None]
    table[..., FIRST_COLUMN], table[..., COLUMNS] = left, np.minimum(end, stride) - left
    return Plan(np.concatenate([header, taps, weights, table.reshape(-1)]), maxima_places + 2 * half)
