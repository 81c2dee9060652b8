"""Softmax and its logarithm, against SciPy."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from minitorch.kernels.cpu import softmax

RTOL = {"float32": 2e-6, "float64": 1e-14}
SHAPES = [(1, 1, 1), (16, 10, 1), (3, 7, 5), (2, 1, 9), (1, 3000, 2), (500, 33, 1), (0, 3, 1)]
FORWARD = [(softmax.softmax, special.softmax), (softmax.logsoftmax, special.log_softmax)]


def run(function, *arrays):
    out = np.empty_like(arrays[0])
    function(out.reshape(-1), *(a.reshape(-1) for a in arrays), out.shape[1], out.shape[2])
    return out


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("ours", "theirs"), FORWARD)
def test_values(ours, theirs, shape, dtype):
    x = (10 * np.random.default_rng(0).standard_normal(shape)).astype(dtype)
    expected = theirs(x.astype(np.float64), 1) if x.size else x
    np.testing.assert_allclose(run(ours, x), expected, rtol=RTOL[dtype], atol=10 * RTOL[dtype])


@given(st.lists(st.sampled_from([-1e4, -100.0, 0.0, 100.0, 1e4, 10001.0]), min_size=1, max_size=9))
@pytest.mark.parametrize(("ours", "theirs"), FORWARD)
def test_large_numbers(ours, theirs, line):
    x = np.array(line).reshape(1, -1, 1)
    found = run(ours, x)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, theirs(x, 1), rtol=1e-13)


@pytest.mark.parametrize("ours", [softmax.softmax, softmax.logsoftmax])
@pytest.mark.parametrize("where", [0, 2, 4])
def test_a_nan_spreads_over_its_line_only(ours, where):
    x = np.random.default_rng(1).standard_normal((3, 5, 2))
    x[1, where, 1] = np.nan
    expected = np.zeros(x.shape, bool)
    expected[1, :, 1] = True
    np.testing.assert_array_equal(np.isnan(run(ours, x)), expected)


def test_minus_infinity_has_probability_zero():
    x = np.array([0.0, -np.inf, 0.0]).reshape(1, 3, 1)
    assert run(softmax.softmax, x).reshape(-1).tolist() == [0.5, 0.0, 0.5]
    assert run(softmax.logsoftmax, x)[0, 1, 0] == -np.inf


def test_bits_do_not_depend_on_threads():
    x = np.random.default_rng(4).standard_normal((300, 50, 4)).astype(np.float32)
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = [run(softmax.softmax, x), run(softmax.logsoftmax, x)]
        numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
        two = [run(softmax.softmax, x), run(softmax.logsoftmax, x)]
    finally:
        numba.set_num_threads(threads)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
