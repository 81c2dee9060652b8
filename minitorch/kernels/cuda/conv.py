"""Convolution and the gradient of its weight as products in tiles of shared memory (course task 4.4b).

A convolution is the matrix product of the weight, ``out_channels x (in_channels * taps)``, with a matrix that holds
for each output what its window sees. That matrix would be as many times larger than the input as there are taps, so
it is never made: :mod:`.product` asks for its elements while it fills a slab of shared memory, and the
:class:`~minitorch.kernels.geometry.Geometry` says where they are. The gradient with respect to the input is a
convolution again, with its geometry transposed, and needs no kernel of its own.
"""

from __future__ import annotations

from ..geometry import Space
from .launch import device
from .product import tiled

__all__ = ["convolve", "convolve_weight", "walk_of"]


def walk_of(shape: tuple[int, ...], kernel: tuple[int, ...], geometry: Space) -> tuple[int, ...]:
    """List what the kernels have to know of an image: channels, sizes, taps, and how windows lie.

    What has one dimension of space is an image of one row.

    Args:
        shape: of the input.
        kernel: the taps of a window in each dimension of space.
        geometry: how it lies over them.
    """
    space = [(1, 1, 1, 1, 1, 1, 0)] if len(geometry) == 1 else []
    for size, taps, g in zip(shape[2:], kernel, geometry, strict=True):
        space.append((size, taps, g.size, g.stride, g.spread, g.dilation, g.offset))
    return (shape[1], *(number for dimension in space for number in dimension))


# What a window sees follows from its own place and from the tap. To divide takes long, so each is taken apart by
# itself, and the one that numbers the columns of the right only once in a thread.


def _place(j, walk):
    """Find the first plane of a place's image, and what its number adds to the row and the column of what is seen."""
    channels, _, _, rows, down, _, _, top = walk[:8]
    columns, right, left = walk[10], walk[11], walk[14]
    image = j // (rows * columns)
    j -= image * (rows * columns)
    i = j // columns
    return image * channels, down * i + top, right * (j - i * columns) + left


def _tap(tap, walk):
    """Find a tap's channel, and what it adds."""
    tap_rows, row_step, tap_columns, step = walk[2], walk[6], walk[9], walk[13]
    c = tap // (tap_rows * tap_columns)
    tap -= c * (tap_rows * tap_columns)
    i = tap // tap_columns
    return c, row_step * i, step * (tap - i * tap_columns)


def _seen(a, place, tap, walk):
    """Read what a place sees through a tap; zero beyond the edges."""
    height, row_spread, width, spread = walk[1], walk[5], walk[8], walk[12]
    row = place[1] + tap[1]
    column = place[2] + tap[2]
    if row < 0 or column < 0:
        return a.dtype.type(0)
    if row_spread > 1 or spread > 1:
        if row % row_spread != 0 or column % spread != 0:
            return a.dtype.type(0)
        row //= row_spread
        column //= spread
    if row >= height or column >= width:
        return a.dtype.type(0)
    return a[((place[0] + tap[0]) * height + row) * width + column]


place_of = device(_place)
tap_of = device(_tap)
seen = device(_seen)


# --- the convolution: rows are out_channels, columns are the places of all images, the sum goes over the taps ---

# The walk goes on with the four strides of the weight and the number of out_channels.


def _weight(w, batch, o, tap, walk):
    tap_rows, tap_columns = walk[2], walk[9]
    out_stride, channel_stride, row_stride, column_stride = walk[15:19]
    c = tap // (tap_rows * tap_columns)
    tap -= c * tap_rows * tap_columns
    row = tap // tap_columns
    return w[o * out_stride + c * channel_stride + row * row_stride + (tap - row * tap_columns) * column_stride]


def _window(a, batch, tap, place, walk):
    return seen(a, place, tap_of(tap, walk), walk)


def _output(batch, o, j, walk):
    places, out_channels = walk[3] * walk[10], walk[19]
    b = j // places
    return (b * out_channels + o) * places + j - b * places


# --- the weight's gradient: rows are out_channels, columns are the taps, the sum goes over the places of all images ---

# The walk goes on with the number of out_channels.


def _gradient(d, batch, o, j, walk):
    places, out_channels = walk[3] * walk[10], walk[15]
    b = j // places
    return d[(b * out_channels + o) * places + j - b * places]


def _window_transposed(a, batch, j, tap, walk):
    return seen(a, place_of(j, walk), tap, walk)


def _weight_of(batch, o, tap, walk):
    return o * walk[0] * walk[2] * walk[9] + tap


convolve = tiled("convolve", _weight, _window, _output, _place)
convolve_weight = tiled("convolve_weight", _gradient, _window_transposed, _weight_of, _tap)
