"""Matrix products of any layout, in tiles of shared memory (course task 3.4); see :mod:`.product`."""

from __future__ import annotations

from .launch import device
from .product import tiled
from .walk import place

__all__ = ["matmul"]

place_of = device(place)

# A walk holds the sizes of the batch and the strides of the left and the right in it, then two strides of each matrix,
# and the rows and columns of a result.


def _left(a, batch, i, k, walk):
    sizes, a_batch, _, a_row, a_column, _, _, _, _ = walk
    return a[place_of(batch, sizes, a_batch) + i * a_row + k * a_column]


def _right(b, batch, k, j, walk):
    sizes, _, b_batch, _, _, b_row, b_column, _, _ = walk
    return b[place_of(batch, sizes, b_batch) + k * b_row + j * b_column]


def _column(j, walk):
    return j


def _target(batch, i, j, walk):
    _, _, _, _, _, _, _, rows, columns = walk
    return (batch * rows + i) * columns + j


matmul = tiled("matmul", _left, _right, _target, _column)
