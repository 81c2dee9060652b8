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

from typing import Any

import numpy as np
import numpy.typing as npt

from .fused_conv import Plan, _clear, _compiled, _parts, _reach
from .vectors import (
    LANES,
    add,
    as_written,
    broadcast,
    element,
    fill,
    load,
    load_columns,
    multiply_add,
    store,
    store_columns,
    store_element,
)

__all__ = ["conv_pool_backward", "plan_sparse"]

Array = npt.NDArray[Any]

# The order of the numbers in a plan. Behind them: where in the images the pieces of a patch begin, whole vectors, and
# where in such a row of pieces each weight of an output channel is.
IMAGES, IMAGE, ROWS, COLUMNS, TOP, LEFT, OUT_WIDTH, RELU, TO_INPUT, TAPS, PIECES, ROW = range(12)
# Where in the scratch array the images, their gradients, the sums for the weight, and the weight begin.
NOTHING, GRADIENTS, SUMS, WEIGHTS, END, STARTS = range(12, 18)

# The pieces of a patch are added up so many at a time.
BLOCK = 4

# At least so many gradients are added up together, if the batch has them.
TOGETHER = 32


# --- layout --------------------------------------------------------------------------------------------------


@_compiled
def _lay_out(scratch, x, plan, b0, b1):
    """Copy images, ``row x column x channel``, with zeros around them."""
    channels, height, width = x.shape[1], x.shape[2], x.shape[3]
    columns, area = plan[COLUMNS], height * width
    first, last = max(plan[LEFT], 0), min(width, plan[LEFT] + columns)
    # Four channels and 16 columns at a time, of which the last overlap; what is left, one by one.
    fours = channels // 4 * 4 if last - first >= LANES else 0
    _clear(scratch, plan[NOTHING], plan[GRADIENTS])
    for b in range(b0, b1):
        for row in range(max(plan[TOP], 0), min(height, plan[TOP] + plan[ROWS])):
            to = (b - b0) * plan[IMAGE] + ((row - plan[TOP]) * columns - plan[LEFT]) * channels
            at = b * channels * area + row * width
            for c in range(0, fours, 4):
                for column in range(first, last, LANES):
                    as_written()
                    p = min(column, last - LANES)
                    q = at + c * area + p
                    r, s = load(x, q), load(x, q + area)
                    t, u = load(x, q + 2 * area), load(x, q + 3 * area)
                    store_columns(scratch, to + p * channels + c, channels, r, s, t, u)
            for c in range(fours, channels):
                for p in range(first, last):
                    as_written()
                    store_element(scratch, to + p * channels + c, element(x, at + c * area + p))


@_compiled
def _lay_back(dx, scratch, plan, b0, b1):
    """Copy such images to ``batch x channel x row x column``; what the kernel never saw has a gradient of zero."""
    channels, height, width = dx.shape[1], dx.shape[2], dx.shape[3]
    columns, area = plan[COLUMNS], height * width
    first, last = max(plan[LEFT], 0), min(width, plan[LEFT] + columns)
    top, bottom = max(plan[TOP], 0), min(height, plan[TOP] + plan[ROWS])
    if first > 0 or last < width or top > 0 or bottom < height:
        for p in range(b0 * channels * area, b1 * channels * area):
            as_written()
            store_element(dx, p, 0)
    fours = channels // 4 * 4 if last - first >= LANES else 0
    for b in range(b0, b1):
        for row in range(top, bottom):
            to = b * channels * area + row * width
            at = plan[GRADIENTS] + (b - b0) * plan[IMAGE] + ((row - plan[TOP]) * columns - plan[LEFT]) * channels
            for c in range(0, fours, 4):
                for column in range(first, last, LANES):
                    as_written()
                    p = min(column, last - LANES)
                    q = to + c * area + p
                    r, s, t, u = load_columns(scratch, at + p * channels + c, channels)
                    store(dx, q, r)
                    store(dx, q + area, s)
                    store(dx, q + 2 * area, t)
                    store(dx, q + 3 * area, u)
            for c in range(fours, channels):
                for p in range(first, last):
                    as_written()
                    store_element(dx, to + c * area + p, element(scratch, at + p * channels + c))


@_compiled
def _collect(starts, gradients, dbias, dvalues, places, values, plan, channels_in, b0, b1, o):
    """List what is not zero of one channel's gradient and where the patches begin; count them, add up the bias."""
    channels, windows = dvalues.shape[1], dvalues.shape[2] * dvalues.shape[3]
    relu, columns, width = plan[RELU], plan[COLUMNS], plan[OUT_WIDTH]
    # Faster than a division of integers, and exact: half a place is far from the next whole number.
    rows = 1 / np.float64(width)
    count, total = 0, gradients.dtype.type(0)
    for b in range(b0, b1):
        for at in range((b * channels + o) * windows, (b * channels + o + 1) * windows):
            as_written()
            place = element(places, at)
            row = np.int64((place + 0.5) * rows)
            gradient = element(dvalues, at)
            store_element(starts, count, (b - b0) * plan[IMAGE] + (row * columns + place - row * width) * channels_in)
            store_element(gradients, count, gradient)
            passes = (gradient != 0) & ((relu == 0) | (not element(values, at) <= 0))
            count += passes
            total += gradient if passes else 0
    dbias[o] += total
    return count


# --- gradients -----------------------------------------------------------------------------------------------


@_compiled
def _add_patches(scratch, starts, gradients, count, plan, at, piece):
    """Add four pieces of the patches, times the gradients, to a row of the weight's gradient."""
    s0, s1 = element(plan, STARTS + piece), element(plan, STARTS + piece + 1)
    s2, s3 = element(plan, STARTS + piece + 2), element(plan, STARTS + piece + 3)
    a = b = c = d = fill(scratch.dtype.type(0))
    for i in range(count):
        start, gradient = element(starts, i), broadcast(gradients, i)
        a = multiply_add(load(scratch, start + s0), gradient, a)
        b = multiply_add(load(scratch, start + s1), gradient, b)
        c = multiply_add(load(scratch, start + s2), gradient, c)
        d = multiply_add(load(scratch, start + s3), gradient, d)
    to = at + piece * LANES
    store(scratch, to, add(load(scratch, to), a))
    store(scratch, to + LANES, add(load(scratch, to + LANES), b))
    store(scratch, to + 2 * LANES, add(load(scratch, to + 2 * LANES), c))
    store(scratch, to + 3 * LANES, add(load(scratch, to + 3 * LANES), d))


@_compiled
def _add_weights(scratch, starts, gradients, count, plan, at):
    """Add the weight of one output channel, times the gradients, to the patches of the input's gradient."""
    for i in range(count):
        start, gradient = plan[GRADIENTS] + element(starts, i), broadcast(gradients, i)
        for piece in range(plan[PIECES]):
            to = start + element(plan, STARTS + piece)
            sums = multiply_add(load(scratch, at + piece * LANES), gradient, load(scratch, to))
            store(scratch, to, sums)


@_compiled
def conv_pool_backward(dw, dbias, dx, x, w, dvalues, places, values, plan, scratch, b0, b1) -> None:
    """Compute what images ``b0`` to ``b1`` give to the gradients of weight, bias and, if planned, the input.

    Args:
        dw: ``out_channels x in_channels x kernel_height x kernel_width``; every element is written.
        dbias: one number for each output channel; every element is written.
        dx: the gradient of the input, of which images ``b0`` to ``b1`` are written; unused where it is not planned.
        x: the input, ``batch x in_channels x height x width``.
        w: the weight, of the shape of ``dw``.
        dvalues: the gradient of the maxima, ``batch x out_channels x windows_high x windows_wide``.
        places: flat, the position of each maximum in row-major order of its image's output.
        values: the maxima, of the shape of ``dvalues``; unused without ReLU.
        plan: the numbers of :func:`plan_sparse`.
        scratch: flat, as many elements as the plan says.
        b0: the first image.
        b1: the image behind the last.
    """
    channels, most = x.shape[1], plan[IMAGES] * dvalues.shape[2] * dvalues.shape[3] + 1
    starts, gradients = np.empty(most, np.int64), np.empty(most, scratch.dtype)
    row, taps, to_input = plan[ROW], plan[TAPS], plan[TO_INPUT]
    _clear(scratch, plan[SUMS], plan[END])
    for o in range(dbias.size):
        dbias[o] = 0
        for k in range(taps):
            as_written()
            at = plan[WEIGHTS] + o * row + element(plan, STARTS + row // LANES + k)
            store_element(scratch, at, element(w, o * taps + k))
    for b in range(b0, b1, plan[IMAGES]):
        end = min(b + plan[IMAGES], b1)
        _lay_out(scratch, x, plan, b, end)
        if to_input:
            _clear(scratch, plan[GRADIENTS], plan[SUMS])
        for o in range(dbias.size):
            count = _collect(starts, gradients, dbias, dvalues, places, values, plan, channels, b, end, o)
            for piece in range(0, row // LANES, BLOCK):
                _add_patches(scratch, starts, gradients, count, plan, plan[SUMS] + o * row, piece)
            if to_input:
                _add_weights(scratch, starts, gradients, count, plan, plan[WEIGHTS] + o * row)
        if to_input:
            _lay_back(dx, scratch, plan, b, end)
    for o in range(dbias.size):
        for k in range(taps):
            as_written()
            at = plan[SUMS] + o * row + element(plan, STARTS + row // LANES + k)
            store_element(dw, o * taps + k, element(scratch, at))


# --- in Python -----------------------------------------------------------------------------------------------


def plan_sparse(
    images: int,
    channels: int,
    out_channels: int,
    out_size: tuple[int, int],
    kernel: tuple[int, int],
    start: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    window: tuple[int, int] = (1, 1),
    relu: bool = False,
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
        relu: whether ReLU stands between convolution and maximum.
        to_input: whether the gradient of the input is wanted.

    >>> plan_sparse(16, 4, 8, (28, 28), (3, 3), window=(4, 4), to_input=False).scratch
    4640
    """
    (height, width), (kh, kw) = out_size, kernel
    (top, left), (below, right) = _reach(kernel, start, dilation)
    rows, columns = height + below, width + right
    windows = max(1, height // window[0] * (width // window[1]))
    together = max(1, min(images, _parts(TOGETHER, windows)))

    # A row of the kernel in whole vectors, from its leftmost tap to its rightmost.
    vectors = _parts((right + 1) * channels, LANES)
    down = dilation[0] * np.arange(kh) - min(0, dilation[0] * (kh - 1))
    across = dilation[1] * np.arange(kw) - min(0, dilation[1] * (kw - 1))
    starts = (down[:, None] * columns * channels + np.arange(vectors) * LANES).reshape(-1)
    row = _parts(starts.size, BLOCK) * BLOCK * LANES
    c, k, m = np.ogrid[:channels, :kh, :kw]
    weights = (k * vectors * LANES + across[m] * channels + c).reshape(-1)

    # The last vector of the last patch reaches beyond the image.
    image = rows * columns * channels
    gradients = _parts(together * image + vectors * LANES, LANES) * LANES
    sums = gradients * (2 if to_input else 1)
    end_of_sums = sums + out_channels * row
    end = end_of_sums + out_channels * row
    header = np.zeros(STARTS, np.int64)
    header[[IMAGES, IMAGE, ROWS, COLUMNS, TOP, LEFT]] = together, image, rows, columns, top, left
    header[[OUT_WIDTH, RELU, TO_INPUT, TAPS, PIECES, ROW]] = width, relu, to_input, weights.size, starts.size, row
    header[[GRADIENTS, SUMS, WEIGHTS, END]] = gradients, sums, end_of_sums, end
    blocks = np.pad(starts, (0, row // LANES - starts.size))
    return Plan(np.concatenate([header, blocks, weights]), end)
