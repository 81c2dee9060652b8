r"""One tiled product for matrices, convolutions and the gradients of weights: $c_{ij} = \sum_k a_{ik}\, b_{kj}$.

A block computes a square piece of the result. It walks along $k$ in steps of :data:`DEPTH`: its threads copy a slab of
the left and one of the right into shared memory, wait for each other, and multiply from there, so each number is
fetched once for a whole row of the piece instead of once for every result. The three kernels differ only in where
an element of the left, of the right and of the result lies, which the names ``left``, ``right`` and ``target`` say. A
thread copies from one column of the right alone, so what follows from the column, ``column`` finds out once.

Where the results are few and the sum is long, it is cut into parts of :data:`SPAN` terms, whose sums are added up
afterwards. The cuts depend on the sizes alone, and no two threads add to one number: equal inputs give equal bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..compile import bind
from .launch import Kernel, blocks_for, cuda, device

__all__ = ["DEPTH", "FEW", "SPAN", "Tiling", "choose", "parts_of", "tiled"]

left: Any = None  # bound in every copy: left(a, batch, i, k, walk)
right: Any = None  # right(b, batch, k, column(j, walk), walk)
column: Any = None
target: Any = None  # target(batch, i, j, walk)
SIDE: Any = None  # the threads along a side of the block
EACH: Any = None  # the results along a side that one thread computes
TILE: Any = None  # SIDE * EACH
BANKS: Any = None  # TILE + 1: threads that write a column of the left slab meet different banks of the memory

# None of these numbers was measured on a device yet.

DEPTH = 8

# The terms of one part of a long sum, and the number of results that are expected to keep a device busy by themselves.
SPAN = 512
FEW = 16_384


def _product(out, a, b, rows, columns, inner, parts, size, walk):
    left_slab = cuda.shared.array((DEPTH, BANKS), a.dtype)
    right_slab = cuda.shared.array((DEPTH, TILE), a.dtype)
    totals = cuda.local.array((EACH, EACH), a.dtype)
    x = cuda.threadIdx.x
    y = cuda.threadIdx.y
    block = cuda.blockIdx.x
    tiles = (columns + TILE - 1) // TILE
    first_column = block % tiles * TILE
    block //= tiles
    tiles = (rows + TILE - 1) // TILE
    first_row = block % tiles * TILE
    block //= tiles
    part = block % parts
    batch = block // parts
    begin = part * SPAN if parts > 1 else 0
    end = min(begin + SPAN, inner) if parts > 1 else inner
    zero = a.dtype.type(0)
    for r in range(EACH):
        for c in range(EACH):
            totals[r, c] = zero
    # Thread n of the block copies element n of each slab, n + SIDE * SIDE, and so on. That is a multiple of TILE.
    thread = y * SIDE + x
    j = thread % TILE
    at = column(first_column + j, walk)
    for step in range(begin, end, DEPTH):
        for n in range(thread, DEPTH * TILE, SIDE * SIDE):
            i = n // DEPTH
            k = n - i * DEPTH
            inside = first_row + i < rows and step + k < end
            left_slab[k, i] = left(a, batch, first_row + i, step + k, walk) if inside else zero
            k = n // TILE
            inside = first_column + j < columns and step + k < end
            right_slab[k, j] = right(b, batch, step + k, at, walk) if inside else zero
        cuda.syncthreads()
        for k in range(DEPTH):
            for r in range(EACH):
                value = left_slab[k, y + r * SIDE]
                for c in range(EACH):
                    totals[r, c] += value * right_slab[k, x + c * SIDE]
        cuda.syncthreads()
    for r in range(EACH):
        i = first_row + y + r * SIDE
        for c in range(EACH):
            j = first_column + x + c * SIDE
            if i < rows and j < columns:
                out[part * size + target(batch, i, j, walk)] = totals[r, c]


class Tiling(NamedTuple):
    """How a result is shared out.

    Attributes:
        side: the threads along a side of a block.
        each: the results along a side that one thread computes.
    """

    side: int
    each: int

    def blocks(self, rows: int, columns: int) -> int:
        """Count the pieces of a result."""
        return blocks_for(rows, self.side * self.each) * blocks_for(columns, self.side * self.each)


# Pieces of 8 x 8 for results that have only a few, of 16 x 16, and of 64 x 64, which fetch a number once for 64 uses.
TILINGS = (Tiling(8, 1), Tiling(16, 1), Tiling(16, 4))


def choose(rows: int, columns: int, count: int) -> Tiling:
    """Choose the largest pieces of which there are enough, as far as can be told without a device, to keep it busy.

    Args:
        rows: of one result.
        columns: of one result.
        count: how many results there are: the batch times the parts.

    >>> choose(16, 64, 1), choose(4096, 4096, 1)
    (Tiling(side=8, each=1), Tiling(side=16, each=4))
    """
    small, medium, large = TILINGS
    if min(rows, columns) >= 64 and large.blocks(rows, columns) * count >= 128:
        return large
    return medium if min(rows, columns) >= 16 and medium.blocks(rows, columns) * count >= 128 else small


def parts_of(results: int, inner: int) -> int:
    """Count the parts that a sum of ``inner`` terms is cut into when there are that many results.

    >>> parts_of(100, 1025), parts_of(100_000, 1025)
    (3, 1)
    """
    return blocks_for(inner, SPAN) if results < FEW and inner > SPAN else 1


def tiled(
    name: str,
    left: Callable[..., Any],
    right: Callable[..., Any],
    target: Callable[..., Any],
    column: Callable[..., Any],
) -> dict[Tiling, Kernel]:
    """Make ``kernel(out, a, b, rows, columns, inner, parts, size, walk)`` for every tiling.

    ``walk`` is handed to the functions as it is. A result has ``size`` elements, and each part of a long sum is
    written behind the one before it.

    Args:
        name: what the product is for.
        left: ``left(a, batch, i, k, walk)``, the element of the left.
        right: ``right(b, batch, k, column(j, walk), walk)``, the element of the right.
        target: ``target(batch, i, j, walk)``, the place of a result.
        column: what the right has to know of a column.
    """
    functions = {"left": left, "right": right, "target": target, "column": column}
    return {
        t: Kernel(
            bind(
                _product,
                f"{name}_{t.side}x{t.each}",
                **{each: device(function) for each, function in functions.items()},
                SIDE=t.side,
                EACH=t.each,
                TILE=t.side * t.each,
                BANKS=t.side * t.each + 1,
            )
        )
        for t in TILINGS
    }
