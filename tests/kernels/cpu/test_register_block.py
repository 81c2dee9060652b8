"""Products whose sums stay in registers, against NumPy with float64."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from minitorch.kernels.cpu.register_block import ROWS, VECTORS, register_block
from minitorch.kernels.cpu.vectors import LANES

from .pointers import pointer_to


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("rows", "vectors", "spread"), [(1, 1, 1), (ROWS, VECTORS, 1), (8, 1, 1), (3, 2, 2), (5, 1, 4), (2, 3, 4)]
)
@pytest.mark.parametrize("terms", [0, 1, 4, 13, 50])
def test_sums_of_products(rows, vectors, spread, terms, dtype):
    multiply = register_block(rows, vectors, spread)

    @numba.njit
    def run(y, a, w, y_row, y_step, a_step, w_step, count):
        multiply(pointer_to(y), 3, y_row, y_step, pointer_to(a), 1, a_step, pointer_to(w), 2, w_step, count)

    rng = np.random.default_rng([rows, vectors, spread, terms])
    steps, columns = -(-terms // spread), LANES // spread
    a = rng.standard_normal((rows, steps * spread)).astype(dtype)
    w = rng.standard_normal((vectors, steps * spread, columns)).astype(dtype)
    # Lane ``spread * j + i`` of step c has term ``spread * c + i`` of column j.
    lanes = w.reshape(vectors, steps, spread, columns).transpose(0, 1, 3, 2).reshape(vectors, steps * LANES)
    y_row, y_step, a_step, w_step = vectors * LANES + 5, LANES + 1, steps * spread + 2, steps * LANES + 3
    y = np.full(3 + rows * y_row, np.nan, dtype)
    flat_a, flat_w = np.full(1 + rows * a_step, np.nan, dtype), np.full(2 + vectors * w_step, np.nan, dtype)
    for r in range(rows):
        flat_a[1 + r * a_step :][: steps * spread] = a[r]
    for v in range(vectors):
        flat_w[2 + v * w_step :][: steps * LANES] = lanes[v]
    run(y, flat_a, flat_w, y_row, y_step, a_step, w_step, steps)
    wanted = np.einsum("rc,vcj->rvj", a.astype(float), w.astype(float))
    for r in range(rows):
        for v in range(vectors):
            start = 3 + r * y_row + v * y_step
            got = y[start : start + LANES].reshape(columns, spread)
            np.testing.assert_array_equal(got, np.repeat(got[:, :1], spread, 1))
            np.testing.assert_allclose(got[:, 0], wanted[r, v], rtol=0, atol=100 * np.finfo(dtype).eps)
            y[start : start + LANES] = np.nan
    assert np.isnan(y).all()
