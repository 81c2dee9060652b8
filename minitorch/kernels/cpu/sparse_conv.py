r"""Gradients of a convolution behind a maximum over windows, for a part of the batch.

Of all places in a window, only the one with the maximum has a gradient. One number $g$ of the upstream gradient, whose
maximum stood in channel $o$ at place $p$, then gives

$$\partial w_o \mathrel{+}= g\, x_{\mathrm{patch}(p)}, \qquad \partial x_{\mathrm{patch}(p)} \mathrel{+}= g\, w_o,$$

a row of numbers as long as the kernel, added to another. Behind windows of four by four, that is a sixteenth of the
work of the whole convolution.

Images are laid out here ``row x column x channel`` with zeros around them, so that what one row of the kernel sees of
a patch lies together, all channels of it. It is read in whole vectors; what they hold beyond the patch is multiplied
by zeros, or left out at the end.
"""

from __future__ import annotations

import numpy as np

from .conv import _pieces
from .fused_conv import Plan, _clear, _compiled
from .vectors import (
    LANES,
    add,
    as_written,
    broadcast,
    fill,
    load,
    load_columns,
    multiply_add,
    numbers_at,
    skip,
    store,
    store_columns,
)

__all__ = ["conv_pool_backward", "plan_sparse"]

# The order of the numbers in a plan. Shapes, the last of them of the images as they are laid out here:
CHANNELS, FOURS, OUT_CHANNELS, OUT_WIDTH, WINDOWS, TAPS, IMAGES, IMAGE, ROWS, COLUMNS, TOP, LEFT = range(12)
# Whether the gradient of the input is wanted, and how many pieces a patch has and a row of the weight's gradient.
TO_INPUT, PIECES, ROW_PIECES = range(12, 15)
# Where things begin in the scratch array: the images, their gradients, the sums for the weight, the weight, and the
# gradients of one output channel with where their patches begin.
LAID_OUT, GRADIENTS, SUMS, WEIGHTS, PASSED, PATCHES = range(15, 21)
# Where in the images the pieces of a patch begin, whole vectors; behind them, where in such a row of pieces each
# weight of an output channel is.
STARTS = 21

# The pieces of a patch are added up so many at a time.
BLOCK = 4

# At least so many gradients are added up together, if the batch has them.
TOGETHER = 32


# --- layout --------------------------------------------------------------------------------------------------


@_compiled
def _move_images(images, height, width, laid_out, plan, b0, b1, back):
    """Copy what the kernel sees of images, ``row x column x channel``, or ``back``."""
    channels, fours, columns, area = plan[CHANNELS], plan[FOURS], plan[COLUMNS], height * width
    first, last = max(plan[LEFT], 0), min(width, plan[LEFT] + columns)
    # Four channels and 16 columns at a time, of which the last overlap; what is left, one by one.
    if last - first < LANES:
        fours = 0
    for b in range(b0, b1):
        for row in range(max(plan[TOP], 0), min(height, plan[TOP] + plan[ROWS])):
            here = (b - b0) * plan[IMAGE] + ((row - plan[TOP]) * columns - plan[LEFT]) * channels
            there = b * channels * area + row * width
            for c in range(0, fours, 4):
                for column in range(first, last, LANES):
                    as_written()
                    p = min(column, last - LANES)
                    to = here + p * channels + c
                    at0 = there + c * area + p
                    at1, at2, at3 = at0 + area, at0 + 2 * area, at0 + 3 * area
                    if back:
                        r, s, t, u = load_columns(laid_out, to, channels)
                        store(images, at0, r)
                        store(images, at1, s)
                        store(images, at2, t)
                        store(images, at3, u)
                    else:
                        r, s, t, u = load(images, at0), load(images, at1), load(images, at2), load(images, at3)
                        store_columns(laid_out, to, channels, r, s, t, u)
            for c in range(fours, channels):
                for p in range(first, last):
                    as_written()
                    if back:
                        images[there + c * area + p] = laid_out[here + p * channels + c]
                    else:
                        laid_out[here + p * channels + c] = images[there + c * area + p]


@_compiled
def _clear_unseen(dx, height, width, plan, b0, b1):
    """Set the gradient to zero if there are places that the kernel never saw."""
    rows, columns = plan[TOP] + plan[ROWS], plan[LEFT] + plan[COLUMNS]
    if plan[LEFT] > 0 or columns < width or plan[TOP] > 0 or rows < height:
        image = plan[CHANNELS] * height * width
        for p in range(b0 * image, b1 * image):
            as_written()
            dx[p] = 0


@_compiled
def _collect(gradients, patches, dvalues, places, plan, b0, b1, o):
    """List what is not zero of one channel's gradient and where the patches begin; count them."""
    channels, columns, width = plan[CHANNELS], plan[COLUMNS], plan[OUT_WIDTH]
    # Faster than a division of integers, and exact: half a place is far from the next whole number.
    rows = 1.0 / width
    count = 0
    for b in range(b0, b1):
        start = (b * plan[OUT_CHANNELS] + o) * plan[WINDOWS]
        for at in range(start, start + plan[WINDOWS]):
            as_written()
            place = places[at]
            row = np.int64((place + 0.5) * rows)
            patches[count] = (b - b0) * plan[IMAGE] + (row * columns + place - row * width) * channels
            gradient = dvalues[at]
            gradients[count] = gradient
            count += gradient != 0
    return count


# --- gradients -----------------------------------------------------------------------------------------------


@_compiled
def _add_patches(sums, laid_out, gradients, patches, count, plan, piece):
    """Add four pieces of the patches, times the gradients, to a row of the weight's gradient."""
    s0, s1, s2, s3 = plan[STARTS + piece], plan[STARTS + piece + 1], plan[STARTS + piece + 2], plan[STARTS + piece + 3]
    a = b = c = d = fill(laid_out, 0)
    for i in range(count):
        start, gradient = patches[i], broadcast(gradients, i)
        a = multiply_add(load(laid_out, start + s0), gradient, a)
        b = multiply_add(load(laid_out, start + s1), gradient, b)
        c = multiply_add(load(laid_out, start + s2), gradient, c)
        d = multiply_add(load(laid_out, start + s3), gradient, d)
    to = piece * LANES
    store(sums, to, add(load(sums, to), a))
    store(sums, to + LANES, add(load(sums, to + LANES), b))
    store(sums, to + 2 * LANES, add(load(sums, to + 2 * LANES), c))
    store(sums, to + 3 * LANES, add(load(sums, to + 3 * LANES), d))


@_compiled
def _add_weights(laid_out, weights, gradients, patches, count, plan):
    """Add the weight of one output channel, times the gradients, to the patches of the input's gradient."""
    for i in range(count):
        start, gradient = patches[i], broadcast(gradients, i)
        for piece in range(plan[PIECES]):
            to = start + plan[STARTS + piece]
            store(laid_out, to, multiply_add(load(weights, piece * LANES), gradient, load(laid_out, to)))


@_compiled
def conv_pool_backward(dw, dx, x, height, width, w, dvalues, places, plan, scratch, b0, b1) -> None:
    """Compute what images ``b0`` to ``b1`` give to the gradients of the weight and, if planned, the input.

    Args:
        dw: ``out_channels x in_channels x kernel_height x kernel_width``; every element is written.
        dx: the gradient of the input, of which images ``b0`` to ``b1`` are written; unused where it is not planned.
        x: the input, ``batch x in_channels x height x width``.
        height: of ``x``.
        width: of ``x``.
        w: the weight, of the shape of ``dw``.
        dvalues: the gradient of the maxima, ``batch x out_channels x windows_high x windows_wide``.
        places: 64-bit integers, the position of each maximum in row-major order of its image's output.
        plan: the numbers of :func:`plan_sparse`.
        scratch: as many elements as the plan says.
        b0: the first image.
        b1: the image behind the last.
    """
    row, taps, to_input = plan[ROW_PIECES] * LANES, plan[TAPS], plan[TO_INPUT]
    laid_out, laid_out_gradients = skip(scratch, plan[LAID_OUT]), skip(scratch, plan[GRADIENTS])
    gradients, patches = skip(scratch, plan[PASSED]), numbers_at(skip(scratch, plan[PATCHES]), np.int64)
    _clear(scratch, plan[SUMS], plan[PASSED])
    if to_input:
        _clear_unseen(dx, height, width, plan, b0, b1)
    for o in range(plan[OUT_CHANNELS]):
        for k in range(taps):
            as_written()
            scratch[plan[WEIGHTS] + o * row + plan[STARTS + plan[ROW_PIECES] + k]] = w[o * taps + k]
    for b in range(b0, b1, plan[IMAGES]):
        end = min(b + plan[IMAGES], b1)
        _clear(scratch, plan[LAID_OUT], plan[SUMS])
        # Not a plain 0, a literal, for which Numba would compile the function once more.
        _move_images(x, height, width, laid_out, plan, b, end, np.int64(0))
        for o in range(plan[OUT_CHANNELS]):
            count = _collect(gradients, patches, dvalues, places, plan, b, end, o)
            sums = skip(scratch, plan[SUMS] + o * row)
            for piece in range(0, plan[ROW_PIECES], BLOCK):
                _add_patches(sums, laid_out, gradients, patches, count, plan, piece)
            if to_input:
                weights = skip(scratch, plan[WEIGHTS] + o * row)
                _add_weights(laid_out_gradients, weights, gradients, patches, count, plan)
        if to_input:
            _move_images(dx, height, width, laid_out_gradients, plan, b, end, to_input)
    for o in range(plan[OUT_CHANNELS]):
        for k in range(taps):
            as_written()
            dw[o * taps + k] = scratch[plan[SUMS] + o * row + plan[STARTS + plan[ROW_PIECES] + k]]


# --- in Python -----------------------------------------------------------------------------------------------


def _reach(
    kernel: tuple[int, int], start: tuple[int, int], dilation: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Find the first row and column that a window sees, and how many more it sees than its output has."""
    rows, columns = (
        (s + min(0, d * (k - 1)), abs(d) * (k - 1)) for s, d, k in zip(start, dilation, kernel, strict=True)
    )
    return (rows[0], columns[0]), (rows[1], columns[1])


def plan_sparse(
    images: int,
    channels: int,
    out_channels: int,
    out_size: tuple[int, int],
    kernel: tuple[int, int],
    start: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    window: tuple[int, int] = (1, 1),
    to_input: bool = True,
) -> Plan:
    """Lay out a convolution whose output goes through a maximum over windows.

    Args:
        images: the most images that one call is given.
        channels: of the input.
        out_channels: of the output.
        out_size: the height and width of the output, before pooling.
        kernel: the height and width of the kernel.
        start: what the first tap of the first output sees, ``(row, column)`` of the input; may be outside.
        dilation: the distance between two taps; negative where the kernel is reversed.
        window: the height and width of the windows.
        to_input: whether the gradient of the input is wanted.

    >>> plan_sparse(16, 4, 8, (28, 28), (3, 3), window=(4, 4), to_input=False).scratch
    4832
    """
    (height, width), (kh, kw) = out_size, kernel
    (top, left), (below, right) = _reach(kernel, start, dilation)
    rows, columns = height + below, width + right
    windows = height // window[0] * (width // window[1])
    together = max(1, min(images, _pieces(TOGETHER, max(1, windows))))

    # A row of the kernel in whole vectors, from its leftmost tap to its rightmost.
    vectors = _pieces((right + 1) * channels, LANES)
    down = dilation[0] * np.arange(kh) - min(0, dilation[0] * (kh - 1))
    across = dilation[1] * np.arange(kw) - min(0, dilation[1] * (kw - 1))
    starts = (down[:, None] * columns * channels + np.arange(vectors) * LANES).reshape(-1)
    pieces = _pieces(starts.size, BLOCK) * BLOCK
    c, k, m = np.ogrid[:channels, :kh, :kw]
    weights = (k * vectors * LANES + across[m] * channels + c).reshape(-1)

    # The last vector of the last patch reaches beyond the image.
    image = rows * columns * channels
    gradients = _pieces(together * image + vectors * LANES, LANES) * LANES
    sums = gradients * (2 if to_input else 1)
    end_of_sums = sums + out_channels * pieces * LANES
    passed = end_of_sums + out_channels * pieces * LANES
    # One more than there are gradients is written, and a place takes two of the smallest elements.
    most = _pieces(together * windows + 1, LANES) * LANES
    patches = passed + most

    header = np.zeros(STARTS, np.int64)
    header[[CHANNELS, FOURS, OUT_CHANNELS, OUT_WIDTH]] = channels, channels // 4 * 4, out_channels, width
    header[[WINDOWS, TAPS, IMAGES, IMAGE]] = windows, weights.size, together, image
    header[[ROWS, COLUMNS, TOP, LEFT]] = rows, columns, top, left
    header[[TO_INPUT, PIECES, ROW_PIECES]] = to_input, starts.size, pieces
    header[[GRADIENTS, SUMS, WEIGHTS, PASSED, PATCHES]] = gradients, sums, end_of_sums, passed, patches
    padding = np.zeros(pieces - starts.size, np.int64)
    return Plan(np.concatenate([header, starts, padding, weights]), patches + 2 * most)
