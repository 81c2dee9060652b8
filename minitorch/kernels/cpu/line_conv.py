r"""Convolution along lines of which only the largest result is kept, with fewer products than its definition has.

A network over sentences convolves a line of words and keeps the maximum over all of it. Nothing of the convolution is
written, and its products are all that takes time, so they are saved where they can be.

**Fewer products.** The $m$ results that a kernel of $r$ taps gives side by side need $m r$ products by definition, and
$n = m + r - 1$ by the theorem of Toom and Cook: the taps are the coefficients of a polynomial, what they slide over
those of another, and a polynomial of degree $n - 1$ is known by its values at $n$ points (S. Winograd, "Arithmetic
complexity of computations", 1980; A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks", CVPR
2016). For a tile of inputs $d$ and taps $g$,

$$y = A^T \left[ (G g) \odot (B^T d) \right].$$

Here $n$ is 8: the points are 0, $\pm 1$, $\pm 2$, $\pm \frac 1 2$ and infinity. $B^T$ depends on the points alone, so
one text serves every number of taps; 3, 4 and 5 taps take 8 products for 6, 5 and 4 results in the place of 18, 20 and
20. The sum over channels is taken between the brackets, where it is a product of matrices for each point.

**Rounding.** A result is put together from numbers somewhat larger than itself, and from all inputs of its tile. In
float32, with normal inputs and results of about one, the root of the mean square error is $5 \cdot 10^{-7}$, three to
five times that of the definition; beside an input that is a million times larger, a result loses its digits, though it
may not see that input. So float64, which is chosen for its digits, is not computed like this. An infinity or a NaN
would spread over its tile: where a result is not finite, the line is convolved by the definition (:func:`_define`).

**The layout.** Lines lie word by word, ``line x place x channel``, so a vector holds 16 channels of one place, then 16
output channels of one tile; nothing is ever shuffled.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from .conv import _pieces
from .fused_conv import Plan, _clear, _compiled
from .vectors import (
    LANES,
    add,
    as_written,
    broadcast,
    choose,
    fill,
    larger,
    load,
    load_columns,
    load_part,
    multiply_add,
    numbers_at,
    skip,
    store,
    subtract,
    total,
)

__all__ = [
    "POINTS",
    "TAPS",
    "convolve_lines",
    "evaluate_taps",
    "multiplications",
    "plan_lines",
    "points_of_taps",
]

# The points at which polynomials are evaluated; the last is infinity, where only the leading coefficient counts.
FINITE_POINTS = tuple(Fraction(p) for p in ("0", "1", "-1", "2", "-2", "1/2", "-1/2"))
POINTS = len(FINITE_POINTS) + 1

# Taps of which a tile has more than one result, and fewer products than by definition.
TAPS = range(2, POINTS)

# Rows of a tile's matrix that are multiplied at once, and elements of the largest such matrix: as many as stay in the
# second-level cache beside the weight.
ROWS_AT_ONCE = 8
MOST_ELEMENTS = 32 * 1024

Integers = npt.NDArray[np.int64]

# The order of the numbers of a plan. How the work is divided: lines at once, tiles of a line, results of a tile, rows.
LINES, TILES, RESULTS, ROWS = range(4)
# The lines: their places and channels, and the channels rounded up; results of a line, and what the first one sees.
PLACES, CHANNELS, PADDED, SIZE, START = range(4, 9)
# The weight, and whether ReLU follows.
OUT_CHANNELS, TAP_COUNT, RELU = range(9, 12)
# Where things begin in the scratch array, behind the tiles' points: products of 32 channels; of 16 the maxima, their
# places, and what is not 0 where some result was not finite.
PRODUCTS, MAXIMA, MAXIMA_PLACES, UNSURE = range(12, 16)
NUMBERS = 16


# --- the points of the weight ----------------------------------------------------------------------------------------


@_compiled
def evaluate_taps(points, w, table, numbers, scratch, o0, o1) -> None:
    """Write $G g$ for 16 output channels at a time, from the sixteen number ``o0`` to ``o1``.

    Args:
        points: ``sixteen x point x in_channels x 16``; the last sixteen are the last ones of all, and overlap.
        w: ``out_channels x in_channels x taps``, of 16 output channels or more, each with four taps or more in all.
        table: :func:`points_of_taps` for as many taps.
        numbers: how many output channels, input channels and taps there are.
        scratch: memory for the taps of sixteen channels, ``16 * in_channels * taps``.
        o0: the first sixteen.
        o1: the sixteen behind the last.
    """
    channels, taps = numbers[1], numbers[2]
    row = channels * taps
    for o in range(o0, o1):
        first = min(o * LANES, numbers[0] - LANES) * row
        for i in range(0, row, 4):
            at = min(i, row - 4)
            w0, w1, w2, w3 = load_columns(w, first + at, row)
            store(scratch, at * LANES, w0)
            store(scratch, (at + 1) * LANES, w1)
            store(scratch, (at + 2) * LANES, w2)
            store(scratch, (at + 3) * LANES, w3)
        for c in range(channels):
            for p in range(POINTS):
                value = fill(scratch, 0)
                for k in range(taps):
                    tap = load(scratch, (c * taps + k) * LANES)
                    value = multiply_add(tap, broadcast(table, p * taps + k), value)
                store(points, ((o * POINTS + p) * channels + c) * LANES, value)


# --- the points of a tile --------------------------------------------------------------------------------------------


@_compiled
def _words(x, line, place, c, plan):
    """Read channels from ``c`` on at a place of a line; zeros beyond its ends."""
    inside = 0 <= place < plan[PLACES]
    at = (line * plan[PLACES] + (place if inside else 0)) * plan[CHANNELS] + c
    return load_part(x, at, plan[CHANNELS] - c if inside else 0)


@_compiled
def _evaluate_tiles(scratch, x, plan, b0, b1):
    """Write $B^T d$ for the tiles of some lines: ``point x tile x channel``."""
    padded, step = plan[PADDED], plan[ROWS] * plan[PADDED]
    row = 0
    for b in range(b0, b1):
        for t in range(plan[TILES]):
            place = t * plan[RESULTS] + plan[START]
            for c in range(0, plan[CHANNELS], LANES):
                d0, d1 = _words(x, b, place, c, plan), _words(x, b, place + 1, c, plan)
                d2, d3 = _words(x, b, place + 2, c, plan), _words(x, b, place + 3, c, plan)
                d4, d5 = _words(x, b, place + 4, c, plan), _words(x, b, place + 5, c, plan)
                d6, d7 = _words(x, b, place + 6, c, plan), _words(x, b, place + 7, c, plan)
                to = row * padded + c
                value = multiply_add(subtract(d2, d4), fill(scratch, 5.25), subtract(d6, d0))
                store(scratch, to, value)
                # At p and -p, the even powers are the same and the odd ones opposite.
                even = multiply_add(d4, fill(scratch, -4.25), add(d2, d6))
                odd = multiply_add(d3, fill(scratch, -4.25), add(d1, d5))
                store(scratch, to + step, add(even, odd))
                store(scratch, to + 2 * step, subtract(even, odd))
                even = multiply_add(d2, fill(scratch, 0.25), multiply_add(d4, fill(scratch, -1.25), d6))
                odd = multiply_add(d1, fill(scratch, 0.5), multiply_add(d3, fill(scratch, -2.5), add(d5, d5)))
                store(scratch, to + 3 * step, add(even, odd))
                store(scratch, to + 4 * step, subtract(even, odd))
                even = multiply_add(d2, fill(scratch, 4), multiply_add(d4, fill(scratch, -5), d6))
                odd = multiply_add(d5, fill(scratch, 0.5), multiply_add(d3, fill(scratch, -2.5), add(d1, d1)))
                store(scratch, to + 5 * step, add(even, odd))
                store(scratch, to + 6 * step, subtract(even, odd))
                value = multiply_add(subtract(d3, d5), fill(scratch, 5.25), subtract(d7, d1))
                store(scratch, to + 7 * step, value)
            row += 1


# --- products --------------------------------------------------------------------------------------------------------


@_compiled
def _multiply(scratch, to, tiles, points, weight, plan):
    """Multiply eight tiles at one point by 16 output channels: sums over the channels, held in registers."""
    padded = plan[PADDED]
    t0, t1, t2, t3 = tiles, tiles + padded, tiles + 2 * padded, tiles + 3 * padded
    t4, t5, t6, t7 = tiles + 4 * padded, tiles + 5 * padded, tiles + 6 * padded, tiles + 7 * padded
    y0 = y1 = y2 = y3 = y4 = y5 = y6 = y7 = fill(scratch, 0)
    for c in range(plan[CHANNELS]):
        w = load(points, weight + c * LANES)
        y0, y1 = multiply_add(broadcast(scratch, t0 + c), w, y0), multiply_add(broadcast(scratch, t1 + c), w, y1)
        y2, y3 = multiply_add(broadcast(scratch, t2 + c), w, y2), multiply_add(broadcast(scratch, t3 + c), w, y3)
        y4, y5 = multiply_add(broadcast(scratch, t4 + c), w, y4), multiply_add(broadcast(scratch, t5 + c), w, y5)
        y6, y7 = multiply_add(broadcast(scratch, t6 + c), w, y6), multiply_add(broadcast(scratch, t7 + c), w, y7)
    _store_eight(scratch, to, y0, y1, y2, y3, y4, y5, y6, y7)


@_compiled
def _multiply_by_two(scratch, to, other_to, tiles, points, weight, other_weight, plan):
    """Multiply eight tiles at one point by 32 output channels: what is read of the tiles serves twice."""
    padded = plan[PADDED]
    t0, t1, t2, t3 = tiles, tiles + padded, tiles + 2 * padded, tiles + 3 * padded
    t4, t5, t6, t7 = tiles + 4 * padded, tiles + 5 * padded, tiles + 6 * padded, tiles + 7 * padded
    y0 = y1 = y2 = y3 = y4 = y5 = y6 = y7 = fill(scratch, 0)
    z0 = z1 = z2 = z3 = z4 = z5 = z6 = z7 = fill(scratch, 0)
    for c in range(plan[CHANNELS]):
        w, v = load(points, weight + c * LANES), load(points, other_weight + c * LANES)
        d0, d1 = broadcast(scratch, t0 + c), broadcast(scratch, t1 + c)
        y0, z0 = multiply_add(d0, w, y0), multiply_add(d0, v, z0)
        y1, z1 = multiply_add(d1, w, y1), multiply_add(d1, v, z1)
        d2, d3 = broadcast(scratch, t2 + c), broadcast(scratch, t3 + c)
        y2, z2 = multiply_add(d2, w, y2), multiply_add(d2, v, z2)
        y3, z3 = multiply_add(d3, w, y3), multiply_add(d3, v, z3)
        d4, d5 = broadcast(scratch, t4 + c), broadcast(scratch, t5 + c)
        y4, z4 = multiply_add(d4, w, y4), multiply_add(d4, v, z4)
        y5, z5 = multiply_add(d5, w, y5), multiply_add(d5, v, z5)
        d6, d7 = broadcast(scratch, t6 + c), broadcast(scratch, t7 + c)
        y6, z6 = multiply_add(d6, w, y6), multiply_add(d6, v, z6)
        y7, z7 = multiply_add(d7, w, y7), multiply_add(d7, v, z7)
    _store_eight(scratch, to, y0, y1, y2, y3, y4, y5, y6, y7)
    _store_eight(scratch, other_to, z0, z1, z2, z3, z4, z5, z6, z7)


@_compiled
def _store_eight(scratch, to, y0, y1, y2, y3, y4, y5, y6, y7):
    store(scratch, to, y0)
    store(scratch, to + LANES, y1)
    store(scratch, to + 2 * LANES, y2)
    store(scratch, to + 3 * LANES, y3)
    store(scratch, to + 4 * LANES, y4)
    store(scratch, to + 5 * LANES, y5)
    store(scratch, to + 6 * LANES, y6)
    store(scratch, to + 7 * LANES, y7)


# --- what becomes of the products ------------------------------------------------------------------------------------


@_compiled
def _find_maxima(scratch, bias, products, o, plan):
    """Put together the results of a line's tiles, $A^T$ of the products, and find the first maximum of each channel."""
    place_type = numbers_at(skip(scratch, plan[MAXIMA_PLACES]), np.int32)
    step, results = plan[ROWS] * LANES, plan[RESULTS]
    offset = load(bias, o)
    best = fill(scratch, 0 if plan[RELU] else -np.inf)
    where = fill(place_type, np.int32(0))
    nothing = unsure = fill(scratch, 0)
    for t in range(plan[TILES]):
        at = products + t * LANES
        m0, m7 = load(scratch, at), load(scratch, at + 7 * step)
        m1, m2 = load(scratch, at + step), load(scratch, at + 2 * step)
        m3, m4 = load(scratch, at + 3 * step), load(scratch, at + 4 * step)
        m5, m6 = load(scratch, at + 5 * step), load(scratch, at + 6 * step)
        # Result j has the products of point p times p^j: for p and -p, their sum or their difference.
        one, other_one = add(add(m1, m2), offset), add(subtract(m1, m2), offset)
        two, other_two = add(m3, m4), subtract(m3, m4)
        half, other_half = add(m5, m6), subtract(m5, m6)
        large = small = fill(scratch, 1)
        place = t * results
        for j in range(min(results, plan[SIZE] - place)):
            y = multiply_add(two, large, multiply_add(half, small, one))
            if j == 0:
                y = add(y, m0)
            if j == results - 1:
                y = add(y, m7)
            unsure = multiply_add(y, nothing, unsure)  # NaN from the first infinity or NaN on
            found = larger(y, best)
            best, where = choose(found, y, best), choose(found, fill(place_type, np.int32(place + j)), where)
            one, other_one, two, other_two, half, other_half = other_one, one, other_two, two, other_half, half
            large, small = add(large, large), multiply_add(small, fill(scratch, 0.5), nothing)
    store(scratch, plan[MAXIMA], best)
    store(scratch, plan[UNSURE], unsure)
    store(place_type, 0, where)


@_compiled
def _define(x, w, bias, b, o, plan):
    """Find the maximum of a line and its place by the definition of a convolution."""
    channels, taps = plan[CHANNELS], plan[TAP_COUNT]
    best, where = 0.0 if plan[RELU] else -np.inf, 0
    for j in range(plan[SIZE]):
        y = bias[o]
        for k in range(taps):
            place = j + k + plan[START]
            if 0 <= place < plan[PLACES]:
                for c in range(channels):
                    y += x[(b * plan[PLACES] + place) * channels + c] * w[(o * channels + c) * taps + k]
        if y > best or (y != y and best == best):
            best, where = y, j
    return best, where


@_compiled
def _write(out, places, x, w, bias, scratch, b, o, plan):
    """Write the maxima of 16 channels; where some result was not finite, what they are by definition."""
    to = b * plan[OUT_CHANNELS] + o
    best, where = load(scratch, plan[MAXIMA]), numbers_at(skip(scratch, plan[MAXIMA_PLACES]), np.int32)
    store(out, to, best)
    for i in range(LANES):
        as_written()
        places[to + i] = where[i]
    if total(load(scratch, plan[UNSURE])) != 0:
        for i in range(LANES):
            as_written()
            if scratch[plan[UNSURE] + i] != 0:
                out[to + i], places[to + i] = _define(x, w, bias, b, o + i, plan)


# --- all of it -------------------------------------------------------------------------------------------------------


@_compiled
def convolve_lines(out, places, x, points, w, bias, plan, scratch, b0, b1) -> None:
    """Convolve lines ``b0`` to ``b1``, and keep the maximum of each.

    Args:
        out: ``batch x out_channels``, the maximum over a line's results, with bias; at least 0 where ReLU follows.
        places: 64-bit integers, which of the results it is: the first of equal ones.
        x: ``batch x width x in_channels``.
        points: what :func:`evaluate_taps` writes for the weight.
        w: ``out_channels x in_channels x taps``.
        bias: one number for each output channel.
        plan: the numbers of :func:`plan_lines` for the same shapes.
        scratch: as many elements as the plan says.
        b0: the first line.
        b1: the line behind the last.
    """
    # Rows behind the last tile are multiplied too; nobody reads their results, but numbers close to 0 would be slow.
    written = min(plan[LINES], b1 - b0) * plan[TILES]
    sixteen, other = POINTS * plan[CHANNELS] * LANES, POINTS * plan[ROWS] * LANES
    for p in range(POINTS):
        _clear(scratch, (p * plan[ROWS] + written) * plan[PADDED], (p + 1) * plan[ROWS] * plan[PADDED])
    for b in range(b0, b1, plan[LINES]):
        end = min(b + plan[LINES], b1)
        _evaluate_tiles(scratch, x, plan, b, end)
        # 32 output channels at a time; where their sixteens are odd in number, the last 16 are alone.
        for o in range(0, plan[OUT_CHANNELS], 2 * LANES):
            two = o + LANES < plan[OUT_CHANNELS]
            for p in range(POINTS):
                as_written()
                weight, first = sixteen * (o // LANES) + p * plan[CHANNELS] * LANES, p * plan[ROWS]
                for row in range(first, first + (end - b) * plan[TILES], ROWS_AT_ONCE):
                    tiles, to = row * plan[PADDED], plan[PRODUCTS] + row * LANES
                    if two:
                        _multiply_by_two(scratch, to, to + other, tiles, points, weight, weight + sixteen, plan)
                    else:
                        _multiply(scratch, to, tiles, points, weight, plan)
            for k in range(2 if two else 1):
                as_written()
                channel = min(o + k * LANES, plan[OUT_CHANNELS] - LANES)
                for line in range(b, end):
                    products = plan[PRODUCTS] + k * other + (line - b) * plan[TILES] * LANES
                    _find_maxima(scratch, bias, products, channel, plan)
                    _write(out, places, x, w, bias, scratch, line, channel, plan)


# --- in Python -------------------------------------------------------------------------------------------------------


def points_of_taps(taps: int) -> npt.NDArray[np.float64]:
    r"""Give $G$, which evaluates a kernel at the points: ``point x tap``.

    Its row of a point $p$ is $(1, p, p^2, \dots)$ divided by the product of the distances from all other points.

    >>> points_of_taps(3)[4] * 90
    array([ 1., -2.,  4.])
    """
    rows = []
    for p in FINITE_POINTS:
        distances = math.prod(p - q for q in FINITE_POINTS if q != p)
        rows.append([float(p**k / distances) for k in range(taps)])
    return np.array([*rows, [0.0] * (taps - 1) + [1.0]])


def multiplications(channels: int, out_channels: int, taps: int, size: int) -> int:
    """Count the products of a line, in whole tiles and vectors; not counted is what goes in and out of the points."""
    return POINTS * _pieces(size, POINTS - taps + 1) * channels * _pieces(out_channels, LANES) * LANES


def plan_lines(
    lines: int, width: int, channels: int, out_channels: int, taps: int, size: int, start: int, relu: bool
) -> Plan:
    """Divide a convolution over lines.

    Args:
        lines: the most lines that one call is given.
        width: places of a line.
        channels: of the input.
        out_channels: of the output, 16 or more.
        taps: of the kernel, one of :data:`TAPS`.
        size: results of a line, 1 or more.
        start: the place that the first tap sees in the first result.
        relu: whether ReLU follows.

    >>> plan_lines(5, 52, 50, 100, taps=3, size=52, start=0, relu=True).numbers[[LINES, TILES, RESULTS, ROWS]].tolist()
    [5, 9, 6, 48]
    """
    results = POINTS - taps + 1
    tiles, padded = _pieces(size, results), _pieces(channels, LANES) * LANES

    def computed(together: int) -> int:
        """Count the groups of rows that are multiplied if so many lines are handled at once."""
        whole, rest = divmod(lines, together)
        return whole * _pieces(together * tiles, ROWS_AT_ONCE) + _pieces(rest * tiles, ROWS_AT_ONCE)

    most = max(1, min(lines, MOST_ELEMENTS // (POINTS * padded * tiles)))
    together = min(range(1, most + 1), key=computed)
    rows = _pieces(together * tiles, ROWS_AT_ONCE) * ROWS_AT_ONCE
    products = POINTS * rows * padded
    maxima = products + 2 * POINTS * rows * LANES
    numbers = np.zeros(NUMBERS, np.int64)
    numbers[[LINES, TILES, RESULTS, ROWS]] = together, tiles, results, rows
    numbers[[PLACES, CHANNELS, PADDED, SIZE, START]] = width, channels, padded, size, start
    numbers[[OUT_CHANNELS, TAP_COUNT, RELU]] = out_channels, taps, relu
    numbers[[PRODUCTS, MAXIMA, MAXIMA_PLACES, UNSURE]] = products, maxima, maxima + LANES, maxima + 2 * LANES
    return Plan(numbers, maxima + 3 * LANES)
