"""The gradient of a weight from one value for each line and output channel, against loops over NumPy."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch.kernels.cpu.line_grad import line_grad_weight, scratch_of

from .pointers import pointer_to


@numba.njit
def _gradient(out, x, values, places, sizes, scratch, o0, o1):
    line_grad_weight(
        pointer_to(out),
        pointer_to(x),
        pointer_to(values),
        pointer_to(places),
        pointer_to(sizes),
        pointer_to(scratch),
        o0,
        o1,
    )


def operands(batch, width, channels, out, size, dtype):
    rng = np.random.default_rng([batch, width, channels, out])
    x, values = rng.standard_normal((batch, width, channels)), rng.standard_normal((batch, out))
    return x.astype(dtype), values.astype(dtype), rng.integers(0, size, (batch, out))


def found(x, values, places, taps, offset, dilation, begin, end):
    """The gradient of output channels ``begin`` to ``end``, and NaN for the others."""
    (batch, width, channels), out = x.shape, values.shape[1]
    gradient = np.full((out, channels, taps), np.nan, x.dtype)
    sizes = np.array([batch, out, width, channels, taps, offset, dilation])
    scratch = np.full(scratch_of(channels, taps) + 64, np.nan, x.dtype)
    # Memory before and behind the lines is not part of them.
    padded = np.concatenate([np.full(4096, np.nan, x.dtype), x.ravel(), np.full(4096, np.nan, x.dtype)])
    _gradient(gradient, padded[4096:], values, places, sizes, scratch, begin, end)
    assert np.isnan(scratch[-64:]).all()
    return gradient


def defined(x, values, places, taps, offset, dilation):
    gradient = np.zeros((values.shape[1], x.shape[2], taps))
    for b, o in np.ndindex(values.shape):
        for k in range(taps):
            place = places[b, o] + offset + k * dilation
            if 0 <= place < x.shape[1]:
                gradient[o, :, k] += values[b, o] * x[b, place].astype(float)
    return gradient


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("offset", "dilation"), [(0, 1), (-3, 1), (2, 2), (4, -1), (0, 3)])
@pytest.mark.parametrize("taps", [1, 2, 3, 4, 5, 7, 9])
@pytest.mark.parametrize("channels", [1, 15, 16, 17, 32, 50])
def test_the_gradient_from_one_value_a_line(channels, taps, offset, dilation, dtype):
    x, values, places = operands(3, 12, channels, 5, 12, dtype)
    got = found(x, values, places, taps, offset, dilation, 0, 5)
    wanted = defined(x, values, places, taps, offset, dilation)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=50 * np.finfo(dtype).eps)


@given(
    st.tuples(st.integers(1, 6), st.integers(1, 20), st.integers(1, 70), st.integers(1, 6)),
    st.integers(1, 8),
    st.integers(-6, 6),
    st.integers(1, 3),
    st.sampled_from([np.float32, np.float64]),
)
def test_any_lines(sizes, taps, offset, dilation, dtype):
    x, values, places = operands(*sizes, sizes[1] + 5, dtype)
    got = found(x, values, places, taps, offset, dilation, 0, sizes[3])
    wanted = defined(x, values, places, taps, offset, dilation)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=50 * np.finfo(dtype).eps)


@pytest.mark.parametrize("taps", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("channels", [16, 17, 48])
def test_output_channels_are_written_by_themselves(channels, taps):
    """Two cores write neighbours: neither touches what is the other's, not even for a moment (it would stay NaN)."""
    x, values, places = operands(2, 9, channels, 6, 9, np.float32)
    whole = found(x, values, places, taps, 0, 1, 0, 6)
    part = found(x, values, places, taps, 0, 1, 2, 4)
    np.testing.assert_array_equal(part[2:4], whole[2:4])
    assert np.isnan(part[:2]).all()
    assert np.isnan(part[4:]).all()


def test_no_line_gives_zeros():
    x, values, places = operands(0, 9, 5, 3, 9, np.float32)
    np.testing.assert_array_equal(found(x, values, places, 3, 0, 1, 0, 3), np.zeros((3, 5, 3)))
