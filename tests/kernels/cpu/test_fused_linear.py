"""The matrix products of compiled programs, against NumPy's."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch.kernels.cpu.fused_linear import linear_forward, transpose

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


@numba.njit
def _forward(y, x, w, bias, relu, chunk):
    for b in range(0, x.shape[0], chunk):
        linear_forward(y, x, w, bias, relu, b, min(b + chunk, x.shape[0]))


@numba.njit
def _transpose(to, a):
    transpose(to, a)


def check(rows, inputs, outputs, relu, chunk, dtype):
    rng = np.random.default_rng(rows)
    x, w, bias = (rng.standard_normal(s).astype(dtype) for s in ((rows, inputs), (inputs, outputs), (outputs,)))
    # One element more at the end: nothing behind the results may change.
    memory = np.full(rows * outputs + 1, 7.0, dtype)
    y = memory[:-1].reshape(rows, outputs)
    _forward(y, x, w, bias, relu, chunk)
    wanted = x @ w + bias
    wanted = np.where(wanted < 0, 0, wanted) if relu else wanted
    scale = max(1.0, np.abs(wanted).max(initial=0))
    np.testing.assert_allclose(y, wanted, atol=TOLERANCE[dtype] * scale, rtol=0)
    assert memory[-1] == 7


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("relu", [0, 1])
@pytest.mark.parametrize(
    ("inputs", "outputs"), [(392, 64), (64, 10), (300, 1), (784, 256), (0, 3), (1, 16), (3, 17), (5, 32), (2, 33)]
)
def test_layers(inputs, outputs, relu, dtype):
    for rows, chunk in ((8, 8), (7, 3), (1, 1)):
        check(rows, inputs, outputs, relu, chunk, dtype)


@settings(deadline=None)
@given(
    st.integers(1, 9),
    st.integers(0, 40),
    st.integers(1, 70),
    st.integers(0, 1),
    st.integers(1, 9),
    st.sampled_from(["float32", "float64"]),
)
def test_any_small_layer(rows, inputs, outputs, relu, chunk, dtype):
    check(rows, inputs, outputs, relu, chunk, dtype)


def test_nan_stays():
    x, w = np.array([[1.0, np.nan], [1.0, 2.0]]), np.array([[-1.0, 1.0], [1.0, -1.0]])
    y = np.empty((2, 2))
    _forward(y, x, w, np.zeros(2), 1, 2)
    np.testing.assert_array_equal(y, [[np.nan, np.nan], [1.0, 0.0]])


@given(st.integers(0, 40), st.integers(0, 40), st.sampled_from(["float32", "float64"]))
@settings(deadline=None)
def test_transpose(rows, columns, dtype):
    a = np.arange(rows * columns, dtype=dtype).reshape(rows, columns)
    to = np.full((columns, rows), np.nan, dtype)
    _transpose(to, a)
    np.testing.assert_array_equal(to, a.T)
