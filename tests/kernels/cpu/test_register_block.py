"""Products whose sums stay in registers, against NumPy with float64."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from minitorch.kernels.cpu.register_block import ROWS, VECTORS, register_block
from minitorch.kernels.cpu.vectors import LANES, skip

from .pointers import pointer_to


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("rows", "vectors", "spread"), [(1, 1, 1), (ROWS, VECTORS, 1), (8, 1, 1), (3, 2, 2), (5, 1, 4), (2, 3, 4)]
)
@pytest.mark.parametrize("terms", [0, 1, 4, 13, 50])
@pytest.mark.parametrize("by_term", [False, True])
def test_sums_of_products(by_term, terms, rows, vectors, spread, dtype):
    multiply = register_block(rows, vectors, spread)

    @numba.njit
    def run(y, a, w, y_row, y_vector, a_row, a_term, w_term, w_vector, count):
        y, a, w = skip(pointer_to(y), 3), skip(pointer_to(a), 1), skip(pointer_to(w), 2)
        multiply(y, y_row, y_vector, a, a_row, a_term, w, w_term, w_vector, count)

    rng = np.random.default_rng([rows, vectors, spread, terms])
    steps, columns = -(-terms // spread), LANES // spread
    a = rng.standard_normal((rows, steps, spread)).astype(dtype)
    w = rng.standard_normal((vectors, steps, spread, columns)).astype(dtype)
    # Lane ``spread * j + i`` of step c has term ``spread * c + i`` of column j.
    lanes = w.transpose(0, 1, 3, 2).reshape(vectors, steps, LANES)
    # Where the terms or the rows of a factor follow each other, and gaps between them.
    if by_term:
        a_term, w_term = rows * spread + 3, vectors * LANES + 2
        a_row, w_vector = spread, LANES + 1
    else:
        a_row, w_vector = steps * (spread + 1) + 2, steps * LANES + 3
        a_term, w_term = spread + 1, LANES
    y_row, y_vector = vectors * LANES + 5, LANES + 1
    y = np.full(3 + rows * y_row, np.nan, dtype)
    flat_a = np.full(1 + rows * a_row + steps * a_term + spread, np.nan, dtype)
    flat_w = np.full(2 + vectors * w_vector + steps * w_term + LANES, np.nan, dtype)
    for r, c in np.ndindex(rows, steps):
        flat_a[1 + r * a_row + c * a_term :][:spread] = a[r, c]
    for v, c in np.ndindex(vectors, steps):
        flat_w[2 + v * w_vector + c * w_term :][:LANES] = lanes[v, c]
    run(y, flat_a, flat_w, y_row, y_vector, a_row, a_term, w_term, w_vector, steps)
    wanted = np.einsum("rci,vcij->rvj", a.astype(float), w.astype(float))
    for r, v in np.ndindex(rows, vectors):
        start = 3 + r * y_row + v * y_vector
        got = y[start : start + LANES].reshape(columns, spread)
        np.testing.assert_array_equal(got, np.repeat(got[:, :1], spread, 1))
        np.testing.assert_allclose(got[:, 0], wanted[r, v], rtol=0, atol=100 * np.finfo(dtype).eps)
        y[start : start + LANES] = np.nan
    assert np.isnan(y).all()
