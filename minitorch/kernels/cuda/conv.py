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


def _seen(a, b, place, tap, walk):
    """Read what an output sees through a tap of a channel, numbered together; zero beyond the edges."""
    channels, height, tap_rows, _, down, row_spread, row_step, top = walk[:8]
    width, tap_columns, columns, right, spread, step, left = walk[8:15]
    taps = tap_rows * tap_columns
    c = tap // taps
    tap -= c * taps
    tap_row = tap // tap_columns
    i = place // columns
    row = down * i + row_step * tap_row + top
    column = right * (place - i * columns) + step * (tap - tap_row * tap_columns) + left
    if row < 0 or column < 0 or row % row_spread != 0 or column % spread != 0:
        return a.dtype.type(0)
    row //= row_spread
    column //= spread
    if row >= height or column >= width:
        return a.dtype.type(0)
    return a[((b * channels + c) * height + row) * width + column]


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


def _window(a, batch, tap, j, walk):
    places = walk[3] * walk[10]
    b = j // places
    return seen(a, b, j - b * places, tap, walk)


window = device(_window)


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
    return window(a, batch, tap, j, walk)


def _tap(batch, o, tap, walk):
    return o * walk[0] * walk[2] * walk[9] + tap


convolve = tiled("convolve", _weight, _window, _output)
convolve_weight = tiled("convolve_weight", _gradient, _window_transposed, _tap)
