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

from .conv import LANES, PLACES, _add_1x4, _add_4x4, _clear, _compiled, _parts

__all__ = ["Plan", "conv_forward", "conv_pool_forward", "plan_conv"]

Array = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]

# The order of the numbers in a plan; the distances of the taps follow them.
(
    GROUP,
    PHASES,
    IMAGES,
    BANDS,
    ALL_BANDS,
    STRIDE,
    PLANE,
    TOP,
    LEFT,
    PLACES_ROUNDED,
    RESULTS,
    ROWS,
    WIDTH,
    POOL_WIDTH,
    RELU,
) = range(15)
TAPS = 15


class Plan(NamedTuple):
    """How a kernel divides its work. Depends on shapes alone."""

    numbers: Integers  # what the kernel reads
    scratch: int  # elements of the scratch array that it needs


# --- a tile's input ------------------------------------------------------------------------------------------


@_compiled
def _lay_out(rows, x, plan, b0, b1, band):
    """Write the input rows that a tile sees, ``channel x phase x image x band x column``, and zeros around them."""
    phases, images, bands, stride, plane = plan[PHASES], plan[IMAGES], plan[BANDS], plan[STRIDE], plan[PLANE]
    group, left = plan[GROUP], plan[LEFT]
    _, channels, height, width = x.shape
    flat = x.reshape(-1)
    start = max(left, 0)
    n = min(width, left + stride) - start
    _clear(rows, 0, rows.size)
    for c in range(channels):
        for b in range(b0, b1):
            image = (b * channels + c) * height
            for i in range(bands):
                first = (band + i) * group + plan[TOP]
                to = c * plane + ((b - b0) * bands + i) * stride + start - left
                for u in range(max(0, -first), min(phases, height - first)):
                    at = to + u * images * bands * stride
                    source = (image + first + u) * width + start
                    target, origin = rows[at : at + n], flat[source : source + n]
                    for p in range(n):
                        target[p] = origin[p]


@_compiled
def _pack(packed, w):
    """Write the weight as rows of taps, filled up with zeros to whole blocks of four by four."""
    rows, taps = w.shape[0], w[0].size
    flat = w.reshape(-1)
    for o in range(packed.shape[0]):
        for k in range(packed.shape[1]):
            packed[o, k] = flat[o * taps + k] if o < rows and k < taps else 0


# --- a tile's products ---------------------------------------------------------------------------------------


@_compiled
def _multiply(y, rows, taps, packed, bias, o, n):
    """Compute output channels ``o`` to ``o + 4``, or as many as there are, for all places of a tile."""
    count = min(4, bias.size - o)
    for row in range(count):
        y0, start = y[row, :n], bias[o + row]
        for p in range(n):
            y0[p] = start
    for k in range(0, taps.size, 4):
        if count == 1:
            _add_1x4(y, 0, rows, taps, packed, o, k, n)
        else:
            # The rows of two or three channels are filled up to four.
            _add_4x4(y, rows, taps, packed, o, k, n)


# --- what becomes of the results -----------------------------------------------------------------------------


@_compiled
def _write_rows(out, y, plan, b0, b1, band, o):
    """Copy a tile's results to the output, through ReLU where it follows."""
    group, images, bands, stride = plan[GROUP], plan[IMAGES], plan[BANDS], plan[STRIDE]
    _, channels, height, width = out.shape
    lowest = y.dtype.type(0) if plan[RELU] else y.dtype.type(-np.inf)
    flat = out.reshape(-1)
    for row in range(min(4, channels - o)):
        source = y[row]
        for b in range(b0, b1):
            for i in range(bands):
                first = (band + i) * group
                for a in range(min(group, height - first)):
                    to = ((b * channels + o + row) * height + first + a) * width
                    at = ((a * images + b - b0) * bands + i) * stride
                    target, origin = flat[to : to + width], source[at : at + width]
                    for p in range(width):
                        target[p] = lowest if origin[p] < lowest else origin[p]


@_compiled
def _compare_phases(best, place, y, line, group, width):
    """Find the maximum of each column of a band, and its place: ``phase * width`` and the column's index in ``y``."""
    for p in range(best.size):
        best[p] = y[p]
        place[p] = p
    for a in range(1, group):
        later, first = y[a * line : a * line + best.size], np.int32(a * width)
        for p in range(best.size):
            value, old = later[p], best[p]
            larger = (not value <= old) & (old == old)  # true where only ``value`` is NaN
            best[p] = value if larger else old
            place[p] = first + np.int32(p) if larger else place[p]


@_compiled
def _compare_columns(best, place, old_best, old_place, step):
    """Put together what begins at each column and what begins ``step`` columns further on."""
    n = best.size
    a, b = old_best[:n], old_best[step : step + n]
    place_a, place_b = old_place[:n], old_place[step : step + n]
    for p in range(n):
        larger = (not b[p] <= a[p]) & (a[p] == a[p])
        equal = (b[p] == a[p]) | ((b[p] != b[p]) & (a[p] != a[p]))
        later = larger | (equal & (place_b[p] < place_a[p]))
        best[p] = b[p] if later else a[p]
        place[p] = place_b[p] if later else place_a[p]


@_compiled
def _pool(values, places, y, best, place, plan, b0, b1, band, o):
    """Find the maxima of a tile's windows and their places in the image, through ReLU where it follows."""
    group, images, bands, stride = plan[GROUP], plan[IMAGES], plan[BANDS], plan[STRIDE]
    pool_width, relu, width = plan[POOL_WIDTH], plan[RELU], plan[WIDTH]
    line = images * bands * stride
    _, channels, windows_high, windows_wide = values.shape
    n = (line + LANES - 1) // LANES * LANES
    for row in range(min(4, channels - o)):
        now = 0
        _compare_phases(best[now, :n], place[now, :n], y[row], line, group, width)
        # Maxima of 1, 2, 4, ... columns, in as many steps as the width has bits.
        covered = 1
        while covered < pool_width:
            step = min(covered, pool_width - covered)
            _compare_columns(best[1 - now, :n], place[1 - now, :n], best[now], place[now], step)
            now = 1 - now
            covered += step
        for b in range(b0, b1):
            for i in range(min(bands, windows_high - band)):
                start = ((b - b0) * bands + i) * stride
                corner = (band + i) * group * width
                for j in range(windows_wide):
                    left = j * pool_width
                    value, where = best[now, start + left], place[now, start + left] - start
                    # Behind ReLU all numbers of such a window are zero, and the first of them counts.
                    empty = (relu != 0) & (value <= 0)
                    values[b, o + row, band + i, j] = 0 if empty else value
                    places[b, o + row, band + i, j] = corner + (left if empty else where)


# --- forward -------------------------------------------------------------------------------------------------


@_compiled
def _parts_of_scratch(scratch, plan, out_channels):
    """Divide the scratch array: a tile's input rows, results of four channels, and the weight as rows of taps."""
    taps = plan.size - TAPS
    channels = (out_channels + 3) // 4 * 4
    results = 4 * plan[RESULTS]
    end = plan[ROWS] + results
    y = scratch[plan[ROWS] : end].reshape(4, plan[RESULTS])
    packed = scratch[end : end + channels * taps].reshape(channels, taps)
    return scratch[: plan[ROWS]], y, packed


@_compiled
def conv_forward(out, x, w, bias, plan, scratch, b0, b1):
    """Convolve images ``b0`` to ``b1``, add the bias, and apply ReLU where the plan says so.

    Args:
        out: ``batch x out_channels x out_height x out_width``.
        x: ``batch x in_channels x height x width``.
        w: ``out_channels x in_channels x kernel_height x kernel_width``.
        bias: one number for each output channel; zeros where there is none.
        plan: the numbers of :func:`plan_conv` for the same shapes.
        scratch: flat, as many elements as the plan says.
        b0: the first image.
        b1: the image behind the last.
    """
    rows, y, packed = _parts_of_scratch(scratch, plan, bias.size)
    _pack(packed, w)
    for b in range(b0, b1, plan[IMAGES]):
        end = min(b + plan[IMAGES], b1)
        for band in range(0, plan[ALL_BANDS], plan[BANDS]):
            _lay_out(rows, x, plan, b, end, band)
            for o in range(0, bias.size, 4):
                _multiply(y, rows, plan[TAPS:], packed, bias, o, plan[PLACES_ROUNDED])
                _write_rows(out, y, plan, b, end, band, o)


@_compiled
def conv_pool_forward(values, places, x, w, bias, plan, scratch, b0, b1):
    """Do as :func:`conv_forward` does, and keep only the maximum of each window and the first place that has it.

    NaN is larger than every number. Behind ReLU, the first place of a window without positive numbers is its corner.

    Args:
        values: ``batch x out_channels x windows_high x windows_wide``.
        places: of the same shape, the position of each maximum in row-major order of its image's output.
        x: ``batch x in_channels x height x width``.
        w: ``out_channels x in_channels x kernel_height x kernel_width``.
        bias: one number for each output channel; zeros where there is none.
        plan: the numbers of :func:`plan_conv` for the same shapes and window.
        scratch: flat, as many elements as the plan says.
        b0: the first image.
        b1: the image behind the last.
    """
    rows, y, packed = _parts_of_scratch(scratch, plan, bias.size)
    line = plan[IMAGES] * plan[BANDS] * plan[STRIDE] + plan[POOL_WIDTH] + LANES
    best, place = np.empty((2, line), scratch.dtype), np.empty((2, line), np.int32)
    _pack(packed, w)
    for b in range(b0, b1, plan[IMAGES]):
        end = min(b + plan[IMAGES], b1)
        for band in range(0, plan[ALL_BANDS], plan[BANDS]):
            _lay_out(rows, x, plan, b, end, band)
            for o in range(0, bias.size, 4):
                _multiply(y, rows, plan[TAPS:], packed, bias, o, plan[PLACES_ROUNDED])
                _pool(values, places, y, best, place, plan, b, end, band, o)


# --- in Python -----------------------------------------------------------------------------------------------


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

    >>> plan = plan_conv(1, 1, 1, (2, 2), (1, 2), relu=True)
    >>> out, x = np.empty((1, 1, 2, 2)), np.array([[[[1.0, 2.0], [3.0, -4.0]]]])
    >>> conv_forward(out, x, np.ones((1, 1, 1, 2)), np.zeros(1), plan.numbers, np.empty(plan.scratch), 0, 1)
    >>> out.tolist()
    [[[[3.0, 2.0], [0.0, 0.0]]]]
    """
    (height, width), (kh, kw) = out_size, kernel
    top, left = (s + min(0, d * (k - 1)) for s, d, k in zip(start, dilation, kernel, strict=True))
    below, right = (abs(d) * (k - 1) for d, k in zip(dilation, kernel, strict=True))
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
    places = _parts(group * line, LANES) * LANES
    plane = (_parts((group + below) * line, LANES) | 1) * LANES
    results = (places // LANES + 1 | 1) * LANES
    rows = channels * plane + places + LANES + right
    count = channels * kh * kw
    taps = np.full(_parts(count, 4) * 4, channels * plane)
    c, k, m = np.ogrid[:channels, :kh, :kw]
    down = dilation[0] * k - min(0, dilation[0] * (kh - 1))
    across = dilation[1] * m - min(0, dilation[1] * (kw - 1))
    taps[:count] = (c * plane + down * line + across).reshape(-1)
    header = np.zeros(TAPS, np.int64)
    header[[GROUP, PHASES, IMAGES, BANDS, ALL_BANDS, STRIDE]] = group, group + below, together, bands, all_bands, stride
    header[[PLANE, TOP, LEFT, PLACES_ROUNDED, RESULTS, ROWS]] = plane, top, left, places, results, rows
    header[[WIDTH, POOL_WIDTH, RELU]] = width, pool_width, relu
    numbers = np.concatenate([header, taps])
    return Plan(numbers, int(rows + 4 * results + _parts(out_channels, 4) * 4 * taps.size))
