r"""The gradient of a convolution's weight where one result of each line and output channel counts.

Behind the maximum over a line, the gradient is one value $v_{b,o}$ for each line $b$ and output channel $o$, and the
place $j_{b,o}$ of the result that it belongs to. With dilation $d$ and offset $f$,

$$\frac{\partial L}{\partial w_{o,c,k}} = \sum_b v_{b,o}\, x_{b,\,j_{b,o} + d k + f,\,c},$$

with zeros beyond the ends of the lines. These lie place by place, so that the taps of a window without gaps read one
run of numbers: so do the sums, which stay in registers until all lines are added, and are put in order at the end.
"""

from __future__ import annotations

from .fused_conv import _compiled
from .vectors import LANES, as_written, broadcast, fill, load, load_between, multiply_add, store, store_columns

__all__ = ["line_grad_weight", "scratch_of"]

# Sums that are held in registers, and taps that are put in order at once.
SUMS, COLUMNS = 4 * LANES, 4

# The order of the sizes.
BATCH, OUT_CHANNELS, PLACES, CHANNELS, TAPS, OFFSET, DILATION = range(7)


@_compiled
def _add_lines(scratch, to, x, values, places, sizes, o, tap, length):
    """Add up a run of ``length`` numbers from a tap on: what the windows of output channel ``o`` see, weighted."""
    batch, out_channels, width, channels = sizes[BATCH], sizes[OUT_CHANNELS], sizes[PLACES], sizes[CHANNELS]
    start = sizes[OFFSET] + tap * sizes[DILATION]
    for group in range(0, length, SUMS):
        # The last sums overlap with those before them.
        i = max(min(group, length - SUMS), 0)
        y0 = y1 = y2 = y3 = fill(scratch, 0)
        for b in range(batch):
            value, place = broadcast(values, b * out_channels + o), places[b * out_channels + o] + start
            at = (b * width + place) * channels + i
            # What of it is in the line, and in the run.
            first, last = -place * channels - i, min((width - place) * channels, length) - i
            if first <= 0 and last >= SUMS:
                y0, y1 = multiply_add(value, load(x, at), y0), multiply_add(value, load(x, at + LANES), y1)
                y2 = multiply_add(value, load(x, at + 2 * LANES), y2)
                y3 = multiply_add(value, load(x, at + 3 * LANES), y3)
            else:
                y0 = multiply_add(value, load_between(x, at, first, last), y0)
                y1 = multiply_add(value, load_between(x, at + LANES, first - LANES, last - LANES), y1)
                y2 = multiply_add(value, load_between(x, at + 2 * LANES, first - 2 * LANES, last - 2 * LANES), y2)
                y3 = multiply_add(value, load_between(x, at + 3 * LANES, first - 3 * LANES, last - 3 * LANES), y3)
        store(scratch, to + i, y0)
        store(scratch, to + i + LANES, y1)
        store(scratch, to + i + 2 * LANES, y2)
        store(scratch, to + i + 3 * LANES, y3)


@_compiled
def _put_in_order(out, first, scratch, channels, taps):
    """Write ``tap x channel`` as ``channel x tap``."""
    end, c = first + channels * taps, 0
    # Four taps of a channel are written at once. Where it has fewer, the next channel's are written over what is too
    # much, and no such channel is the last one.
    while c + LANES <= channels and first + (c + LANES - 1) * taps + max(taps, COLUMNS) <= end:
        for k in range(0, taps, COLUMNS):
            tap = max(min(k, taps - COLUMNS), 0)
            r0, r1 = load(scratch, tap * channels + c), load(scratch, min(tap + 1, taps - 1) * channels + c)
            r2 = load(scratch, min(tap + 2, taps - 1) * channels + c)
            r3 = load(scratch, min(tap + 3, taps - 1) * channels + c)
            store_columns(out, first + c * taps + tap, taps, r0, r1, r2, r3)
        c += LANES
    for rest in range(c, channels):
        as_written()
        for k in range(taps):
            as_written()
            out[first + rest * taps + k] = scratch[k * channels + rest]


@_compiled
def line_grad_weight(out, x, values, places, sizes, scratch, o0, o1) -> None:
    """Add up the gradient of some output channels.

    Args:
        out: the gradient, ``out_channels x in_channels x taps``.
        x: ``batch x width x in_channels``.
        values: ``batch x out_channels``.
        places: 64-bit integers, ``batch x out_channels``: of which result each value is the gradient.
        sizes: batch, output channels, width, input channels, taps, offset and dilation.
        scratch: memory for the sums of a channel, of :func:`scratch_of` elements.
        o0: the first output channel.
        o1: the one behind the last.
    """
    channels, taps = sizes[CHANNELS], sizes[TAPS]
    together = taps if sizes[DILATION] == 1 else 1
    for o in range(o0, o1):
        for tap in range(0, taps, together):
            _add_lines(scratch, tap * channels, x, values, places, sizes, o, tap, together * channels)
        _put_in_order(out, o * channels * taps, scratch, channels, taps)


def scratch_of(channels: int, taps: int) -> int:
    """Count the elements that sums need: those of a short run are written as whole vectors."""
    return channels * taps + SUMS
