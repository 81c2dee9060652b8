r"""Products of matrices of medium size: $c_{ij} = \sum_k a_{ik}\, b_{kj}$.

BLAS copies both factors into an order of its own, in pieces for caches of any size; where a factor has only some
dozens of rows or terms, that takes as long as a third of the product. Here the registers read the factors where they
lie. Only a right factor that lies by columns is copied, once. It has to fit into the second-level cache, from which it
comes for every few rows.

Each sum is taken term by term, whatever part of the result a call is asked for: its bits do not depend on the parts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .fused_conv import Plan, _compiled
from .register_block import ROWS, VECTORS, multiply_rows, turn_columns
from .vectors import LANES, skip

__all__ = ["block_product", "is_for_blocks", "plan_product"]

# The most elements of the right factor, and terms of a sum: a few rows of the left factor stay in the nearest cache.
MOST_ELEMENTS, MOST_TERMS = 1 << 19, 1 << 12

# The order of the numbers of a plan: sizes of the product, whether the right factor is turned before, how far apart the
# neighbours of what is multiplied lie, and whether a range is one of columns.
M, K, N, TURNED, A_ROW, A_TERM, B_TERM, B_VECTOR, BY_COLUMNS = range(9)


@_compiled
def block_product(c, a, b, plan, turned, begin, end) -> None:
    """Multiply matrices, for some rows or some columns of the result.

    Args:
        c: the result, ``m x n``, row by row.
        a: ``m x k``.
        b: ``k x n``.
        plan: the numbers of :func:`plan_product`.
        turned: memory for as many elements as the plan says.
        begin: the first row or column.
        end: the one behind the last: they are 16 or more.
    """
    terms = plan[K]
    first_row, last_row = 0 if plan[BY_COLUMNS] else begin, plan[M] if plan[BY_COLUMNS] else end
    first, last = begin if plan[BY_COLUMNS] else 0, end if plan[BY_COLUMNS] else plan[N]
    if plan[TURNED]:  # vector x term x 16
        for j in range(first, last, LANES):
            # What is less than a vector at the end comes together with columns before it.
            turn_columns(skip(turned, (j - first) * terms), skip(b, min(j, last - LANES) * terms), terms)
    # The last rows and columns may be computed together with some before them, once more.
    for i in range(first_row, last_row, ROWS):
        row = min(i, last_row - ROWS)
        left = skip(a, row * plan[A_ROW])
        j = first
        while j < last:
            vectors = VECTORS if j + VECTORS * LANES <= last else 1
            column = min(j, last - LANES)
            right = skip(turned, (j - first) * terms) if plan[TURNED] else skip(b, column)
            to = skip(c, row * plan[N] + column)
            multiply_rows(
                vectors, to, plan[N], LANES, left, plan[A_ROW], plan[A_TERM], right, plan[B_TERM], plan[B_VECTOR], terms
            )
            j += vectors * LANES


def is_for_blocks(m: int, k: int, n: int, dtype: npt.DTypeLike) -> bool:
    """Tell whether this takes less time than BLAS: the sizes are medium, and registers hold enough sums."""
    enough = min(m, n, k) >= LANES and k * n <= MOST_ELEMENTS and k <= MOST_TERMS
    return enough and np.dtype(dtype) == np.float32


def plan_product(m: int, k: int, n: int, a_turned: bool, b_turned: bool, by_columns: bool) -> Plan:
    """Describe a product.

    Args:
        m: rows of the result.
        k: terms of a sum.
        n: columns of the result.
        a_turned: whether the left factor lies column by column.
        b_turned: whether the right factor does.
        by_columns: whether the product is divided into columns; otherwise into rows.
    """
    left = (1, m) if a_turned else (k, 1)
    right = (LANES, k * LANES) if b_turned else (n, LANES)
    numbers = np.array([m, k, n, b_turned, *left, *right, by_columns], np.int64)
    return Plan(numbers, -(-n // LANES) * LANES * k if b_turned else 0)
