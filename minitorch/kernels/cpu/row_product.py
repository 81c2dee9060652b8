r"""One row times a matrix: $y_j = \sum_k x_k w_{kj}$.

A product with a single row is as long as reading the matrix takes. BLAS needs as much again for its own arrangements,
and its threads have to be held back (see ``blas.py``): a quarter of the time that a small network takes for one image.
"""

from __future__ import annotations

from typing import Any

from ..compile import jit
from .vectors import LANES, add, broadcast, fill, load, load_part, multiply_add, skip, store_part, total

__all__ = ["row_product", "row_product_turned"]


def _compiled(fn: Any) -> Any:
    return jit(fn, keep=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)


@_compiled
def row_product(y, x, w, k, n, start, stop) -> None:
    """Compute elements ``start`` to ``stop`` of the result.

    Args:
        y: pointer to ``n`` results.
        x: pointer to ``k`` elements.
        w: pointer to ``k x n`` elements.
        k: the number of rows of the matrix.
        n: the number of its columns.
        start: the first result.
        stop: the one behind the last.
    """
    for j in range(start, stop, LANES):
        count = stop - j
        # Four sums, which do not wait for each other.
        a = b = c = d = fill(y, 0)
        whole = k // 4 * 4
        for i in range(0, whole, 4):
            at = i * n + j
            a = multiply_add(load_part(w, at, count), broadcast(x, i), a)
            b = multiply_add(load_part(w, at + n, count), broadcast(x, i + 1), b)
            c = multiply_add(load_part(w, at + 2 * n, count), broadcast(x, i + 2), c)
            d = multiply_add(load_part(w, at + 3 * n, count), broadcast(x, i + 3), d)
        for i in range(whole, k):
            a = multiply_add(load_part(w, i * n + j, count), broadcast(x, i), a)
        store_part(y, j, add(add(a, b), add(c, d)), count)


@_compiled
def row_product_turned(y, x, w, k, n, start, stop) -> None:
    """Compute the same where the matrix lies column by column, ``n x k``; arguments as of :func:`row_product`."""
    whole = k // (2 * LANES) * 2 * LANES
    for j in range(start, stop):
        column = skip(w, j * k)
        a = b = fill(y, 0)
        for i in range(0, whole, 2 * LANES):
            a = multiply_add(load(column, i), load(x, i), a)
            b = multiply_add(load(column, i + LANES), load(x, i + LANES), b)
        for i in range(whole, k, LANES):
            a = multiply_add(load_part(column, i, k - i), load_part(x, i, k - i), a)
        y[j] = total(add(a, b))
