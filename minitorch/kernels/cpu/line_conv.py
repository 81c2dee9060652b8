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

**The division.** A piece of the work has some output channels and, where there are many lines, some of these. It finds
the points of its weights for itself: that costs as much as the products of a line or two, and less than to read them
from another core's cache. The bits of a result do not depend on the piece that it is in.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from .conv import _pieces
from .fused_conv import Plan, _clear, _compiled
from .register_block import ROWS, VECTORS, multiply_rows, register_block, turn_columns
from .vectors import (
    LANES,
    add,
    as_written,
    choose,
    fill,
    greater,
    load,
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
    "multiplications",
    "pieces_of",
    "plan_lines",
    "points_of_taps",
]

# The points at which polynomials are evaluated; the last is infinity, where only the leading coefficient counts.
FINITE_POINTS = tuple(Fraction(p) for p in ("0", "1", "-1", "2", "-2", "1/2", "-1/2"))
POINTS = len(FINITE_POINTS) + 1

# Taps of which a tile has more than one result, and fewer products than by definition.
TAPS = range(2, POINTS)

# Elements of the points of tiles that are multiplied at once: as many as stay in the second-level cache beside those of
# the weight.
MOST_ELEMENTS = 32 * 1024

# Output channels that are left over behind whole vectors have four lanes each if they are so few.
SPREAD = 4
FEW_LEFT = LANES // SPREAD

# The work is divided into pieces, which share nothing: vectors of output channels of a piece; and lines of it, where
# channels are divided too, and where they are not. Each piece finds the points of its tiles and weights for itself.
PIECE_VECTORS, PIECE_LINES, FEW_LINES = 3, 12, 4

# The order of the numbers of a plan. How the work is divided: lines at once, tiles of a line, results of a tile, rows
# of the tiles of all lines; pieces of the lines, and of the output channels.
LINES, TILES, RESULTS, TILE_ROWS, LINE_PIECES, CHANNEL_PIECES = range(6)
# The lines: how many, their places and channels, and the channels rounded up; results of a line, and what the first
# one sees.
BATCH, PLACES, CHANNELS, PADDED, SIZE, START = range(6, 12)
# The weight: its output channels, in whole vectors and behind them; whether ReLU follows.
OUT_CHANNELS, BLOCKS, REST, TAP_COUNT, RELU = range(12, 17)
# Where things begin in the scratch array, behind the points of tiles, of which all rows at one point have so many
# elements: a place beyond a line's ends; the weight's points, and its bias; the taps of a block; products; its maxima,
# their places, and what is not 0 where some result was not finite.
POINT_ROWS, ZEROS, WEIGHT, BIAS, TURNED, PRODUCTS, MAXIMA, MAXIMA_PLACES, UNSURE = range(17, 26)
NUMBERS = 26

_multiply_points = register_block(POINTS, 1)
_multiply_few = register_block(ROWS, 1, SPREAD)


# --- output channels -------------------------------------------------------------------------------------------------
#
# They come in blocks, a vector each. Those left over are the last block. If they are few, each has four lanes, and they
# take a quarter of the products; otherwise the block begins before them, and overlaps with the one before.


@_compiled
def _lanes_of(block, plan):
    """Give the lanes that each output channel of a block has."""
    return SPREAD if plan[REST] > 0 and block == plan[BLOCKS] - 1 else 1


@_compiled
def _first_of(block, plan):
    """Give the first output channel of a block."""
    return min(block * LANES, plan[OUT_CHANNELS] - (plan[REST] if plan[REST] > 0 else LANES))


@_compiled
def _steps(lanes, plan):
    """Give the number of vectors that hold the input channels of a block at one point."""
    return (plan[CHANNELS] + lanes - 1) // lanes


# --- the points of the weight ----------------------------------------------------------------------------------------


@_compiled
def _turn_taps(scratch, w, block, plan):
    """Write the taps of a block as vectors: ``in_channel x tap x 16``, or with four input channels a vector."""
    taps, first, to = plan[TAP_COUNT], _first_of(block, plan), plan[TURNED]
    row = plan[CHANNELS] * taps
    if _lanes_of(block, plan) == 1:
        turn_columns(skip(scratch, to), skip(w, first * row), row)
        return
    _clear(scratch, to, to + _steps(SPREAD, plan) * taps * LANES)
    for o in range(plan[REST]):
        for c in range(plan[CHANNELS]):
            lane = o * SPREAD + c % SPREAD
            for k in range(taps):
                as_written()
                scratch[to + (c // SPREAD * taps + k) * LANES + lane] = w[(first + o) * row + c * taps + k]


@_compiled
def _evaluate_taps(scratch, w, bias, table, block, k, plan):
    """Write $G g$ of a block, the ``k``-th one of a piece, and the bias of its lanes."""
    _turn_taps(scratch, w, block, plan)
    lanes, taps, row = _lanes_of(block, plan), plan[TAP_COUNT], plan[CHANNELS] * LANES
    points, turned = skip(scratch, plan[WEIGHT] + k * POINTS * row), skip(scratch, plan[TURNED])
    for step in range(_steps(lanes, plan)):
        of_step = skip(turned, step * taps * LANES)
        _multiply_points(skip(points, step * LANES), row, 0, table, taps, 1, of_step, LANES, 0, taps)
    for lane in range(LANES):
        as_written()
        channel = min(_first_of(block, plan) + lane // lanes, plan[OUT_CHANNELS] - 1)
        scratch[plan[BIAS] + k * LANES + lane] = bias[channel]


# --- the points of a tile --------------------------------------------------------------------------------------------


@_compiled
def _word(x, line, place, scratch, plan):
    """Find what stands at a place of a line; zeros beyond its ends."""
    if 0 <= place < plan[PLACES]:
        return skip(x, (line * plan[PLACES] + place) * plan[CHANNELS])
    return skip(scratch, plan[ZEROS])


@_compiled
def _evaluate_tiles(scratch, x, plan, b0, b1):
    """Write $B^T d$ for the tiles of some lines: ``point x tile x channel``."""
    channels, padded, step = plan[CHANNELS], plan[PADDED], plan[POINT_ROWS]
    row = 0
    for b in range(b0, b1):
        for t in range(plan[TILES]):
            place = t * plan[RESULTS] + plan[START]
            x0, x1 = _word(x, b, place, scratch, plan), _word(x, b, place + 1, scratch, plan)
            x2, x3 = _word(x, b, place + 2, scratch, plan), _word(x, b, place + 3, scratch, plan)
            x4, x5 = _word(x, b, place + 4, scratch, plan), _word(x, b, place + 5, scratch, plan)
            x6, x7 = _word(x, b, place + 6, scratch, plan), _word(x, b, place + 7, scratch, plan)
            for c in range(0, channels, LANES):
                count = channels - c
                d0, d1 = load_part(x0, c, count), load_part(x1, c, count)
                d2, d3 = load_part(x2, c, count), load_part(x3, c, count)
                d4, d5 = load_part(x4, c, count), load_part(x5, c, count)
                d6, d7 = load_part(x6, c, count), load_part(x7, c, count)
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
def _multiply(scratch, k, vectors, lanes, written, plan):
    """Multiply tiles by the weights of blocks ``k`` to ``k + vectors`` of a piece, at all points."""
    padded, steps = plan[PADDED], _steps(lanes, plan)
    row, products = plan[CHANNELS] * LANES, POINTS * plan[TILE_ROWS] * LANES
    for p in range(POINTS):
        weight = skip(scratch, plan[WEIGHT] + (k * POINTS + p) * row)
        for t in range(0, written, ROWS):
            to = skip(scratch, plan[PRODUCTS] + (p * plan[TILE_ROWS] + t) * LANES)
            tiles = skip(scratch, p * plan[POINT_ROWS] + t * padded)
            if lanes == SPREAD:
                _multiply_few(to, LANES, 0, tiles, padded, SPREAD, weight, LANES, 0, steps)
            else:
                multiply_rows(vectors, to, LANES, products, tiles, padded, 1, weight, LANES, POINTS * row, steps)


# --- what becomes of the products ------------------------------------------------------------------------------------


@_compiled
def _find_maxima(scratch, products, k, plan):
    """Put together the results of a line's tiles, $A^T$ of the products, and find the first maximum of each lane."""
    place_type = numbers_at(skip(scratch, plan[MAXIMA_PLACES]), np.int32)
    step, results = plan[TILE_ROWS] * LANES, plan[RESULTS]
    offset = load(scratch, plan[BIAS] + k * LANES)
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
        # The first maximum of the tile by itself: its comparisons do not wait for those of other tiles.
        most, at_most = fill(scratch, -np.inf), fill(place_type, np.int32(place))
        for j in range(min(results, plan[SIZE] - place)):
            y = multiply_add(two, large, multiply_add(half, small, one))
            if j == 0:
                y = add(y, m0)
            if j == results - 1:
                y = add(y, m7)
            unsure = multiply_add(y, nothing, unsure)  # NaN from the first infinity or NaN on
            found = greater(y, most)
            most, at_most = choose(found, y, most), choose(found, fill(place_type, np.int32(place + j)), at_most)
            one, other_one, two, other_two, half, other_half = other_one, one, other_two, two, other_half, half
            large, small = add(large, large), multiply_add(small, fill(scratch, 0.5), nothing)
        found = greater(most, best)
        best, where = choose(found, most, best), choose(found, at_most, where)
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
def _write(out, places, x, w, bias, scratch, b, block, plan):
    """Write the maxima of a block; where some result was not finite, what they are by definition."""
    where = numbers_at(skip(scratch, plan[MAXIMA_PLACES]), np.int32)
    first, lanes = _first_of(block, plan), _lanes_of(block, plan)
    to = b * plan[OUT_CHANNELS] + first
    unsure = total(load(scratch, plan[UNSURE])) != 0
    for i in range(plan[REST] if lanes > 1 else LANES):
        as_written()
        out[to + i], places[to + i] = scratch[plan[MAXIMA] + i * lanes], where[i * lanes]
        if unsure and scratch[plan[UNSURE] + i * lanes] != 0:
            out[to + i], places[to + i] = _define(x, w, bias, b, first + i, plan)


# --- all of it -------------------------------------------------------------------------------------------------------


@_compiled
def _convolve(out, places, x, w, bias, plan, scratch, b0, b1, begin, end):
    """Find the maxima of some lines for the blocks of a piece, which are from ``begin`` to before ``end``."""
    _evaluate_tiles(scratch, x, plan, b0, b1)
    whole = min(end, plan[BLOCKS] - 1) if plan[REST] > 0 else end
    block = begin
    while block < end:
        vectors = VECTORS if block + VECTORS <= whole else 1
        _multiply(scratch, block - begin, vectors, _lanes_of(block, plan), (b1 - b0) * plan[TILES], plan)
        for k in range(vectors):
            for b in range(b0, b1):
                row = k * POINTS * plan[TILE_ROWS] + (b - b0) * plan[TILES]
                _find_maxima(scratch, plan[PRODUCTS] + row * LANES, block + k - begin, plan)
                _write(out, places, x, w, bias, scratch, b, block + k, plan)
        block += vectors


@_compiled
def convolve_lines(out, places, x, w, bias, table, plan, scratch, first, last) -> None:
    """Convolve lines, and keep the maximum of each.

    Args:
        out: ``batch x out_channels``, the maximum over a line's results, with bias; at least 0 where ReLU follows.
        places: 64-bit integers, which of the results it is: the first of equal ones.
        x: ``batch x width x in_channels``.
        w: ``out_channels x in_channels x taps``.
        bias: one number for each output channel.
        table: :func:`points_of_taps` for as many taps.
        plan: the numbers of :func:`plan_lines` for the same shapes.
        scratch: as many elements as the plan says.
        first: the first piece of the work.
        last: the piece behind the last.
    """
    _clear(scratch, plan[ZEROS], plan[ZEROS] + plan[PADDED])
    for piece in range(first, last):
        part, channels = piece % plan[LINE_PIECES], piece // plan[LINE_PIECES]
        b0 = part * plan[BATCH] // plan[LINE_PIECES]
        b1 = (part + 1) * plan[BATCH] // plan[LINE_PIECES]
        begin = channels * plan[BLOCKS] // plan[CHANNEL_PIECES]
        end = (channels + 1) * plan[BLOCKS] // plan[CHANNEL_PIECES]
        if piece == first or part == 0:
            for block in range(begin, end):
                _evaluate_taps(scratch, w, bias, table, block, block - begin, plan)
        # Rows behind the last tile are multiplied too; nobody reads the results, but numbers close to 0 would be slow.
        written = min(plan[LINES], b1 - b0) * plan[TILES]
        for p in range(POINTS):
            rows = p * plan[POINT_ROWS]
            _clear(scratch, rows + written * plan[PADDED], rows + plan[TILE_ROWS] * plan[PADDED])
        for b in range(b0, b1, plan[LINES]):
            _convolve(out, places, x, w, bias, plan, scratch, b, min(b + plan[LINES], b1), begin, end)


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
    blocks, rest = divmod(out_channels, LANES)
    vectors = blocks * channels
    if rest:
        vectors += _pieces(channels, SPREAD) if rest <= FEW_LEFT else channels
    return POINTS * _pieces(size, POINTS - taps + 1) * vectors * LANES


def plan_lines(
    batch: int, width: int, channels: int, out_channels: int, taps: int, size: int, start: int, relu: bool
) -> Plan:
    """Divide a convolution over lines.

    Args:
        batch: lines.
        width: places of a line.
        channels: of the input; a kernel has four taps or more for all of them together.
        out_channels: of the output, 16 or more.
        taps: of the kernel, one of :data:`TAPS`.
        size: results of a line, 1 or more.
        start: the place that the first tap sees in the first result.
        relu: whether ReLU follows.

    >>> plan = plan_lines(50, 52, 50, 100, taps=3, size=52, start=0, relu=True)
    >>> plan.numbers[[TILES, RESULTS, BLOCKS, LINE_PIECES, CHANNEL_PIECES]].tolist(), pieces_of(plan)
    ([9, 6, 7, 4, 2], 8)
    """
    results = POINTS - taps + 1
    tiles, padded = _pieces(size, results), _pieces(channels, LANES) * LANES
    rest, blocks = out_channels % LANES, _pieces(out_channels, LANES)
    channel_pieces = max(1, out_channels // (PIECE_VECTORS * LANES))
    line_pieces = max(1, batch // (PIECE_LINES if channel_pieces > 1 else FEW_LINES))
    lines = _pieces(batch, line_pieces)

    def computed(together: int) -> int:
        """Count the groups of rows that are multiplied if so many lines are handled at once."""
        whole, last = divmod(lines, together)
        return whole * _pieces(together * tiles, ROWS) + _pieces(last * tiles, ROWS)

    most = max(1, min(lines, MOST_ELEMENTS // (POINTS * padded * tiles)))
    together = min(range(1, most + 1), key=computed)
    rows = _pieces(together * tiles, ROWS) * ROWS
    own = _pieces(blocks, channel_pieces)
    numbers = np.zeros(NUMBERS, np.int64)
    numbers[[LINES, TILES, RESULTS, TILE_ROWS]] = together, tiles, results, rows
    numbers[[LINE_PIECES, CHANNEL_PIECES]] = line_pieces, channel_pieces
    numbers[[BATCH, PLACES, CHANNELS, PADDED, SIZE, START]] = batch, width, channels, padded, size, start
    numbers[[OUT_CHANNELS, BLOCKS, TAP_COUNT, RELU]] = out_channels, blocks, taps, relu
    numbers[REST] = rest if rest <= FEW_LEFT else 0
    # No multiple of 4096 bytes: what is written at eight points does not compete for the same places in the cache.
    numbers[POINT_ROWS] = rows * padded + 3 * LANES
    end = int(POINTS * numbers[POINT_ROWS])
    for at, elements in (
        (ZEROS, padded),
        (WEIGHT, own * POINTS * channels * LANES),
        (BIAS, own * LANES),
        (TURNED, taps * channels * LANES),
        (PRODUCTS, VECTORS * POINTS * rows * LANES),
        (MAXIMA, LANES),
        (MAXIMA_PLACES, LANES),
        (UNSURE, LANES),
    ):
        numbers[at] = end
        end += elements
    return Plan(numbers, end)


def pieces_of(plan: Plan) -> int:
    """Count the pieces that a plan divides the work into."""
    return int(plan.numbers[LINE_PIECES] * plan.numbers[CHANNEL_PIECES])
