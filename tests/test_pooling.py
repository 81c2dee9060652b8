"""Pooling with PyTorch's meanings, against NumPy; tests/parity compares it with PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from minitorch.fast_ops import FastBackend, FastOps
from minitorch.kernels.geometry import Geometry
from minitorch.pooling import AvgPool2d, MaxPool1d, MaxPool2d, avg_pool2d, max_pool1d, max_pool2d

from .cases import BACKENDS, DTYPES, LAYOUTS, assert_close, make, windows_at

both_backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))


@both_backends
def test_without_a_batch(backend):
    x = make(np.arange(24.0).reshape(2, 3, 4), backend, layout=LAYOUTS["permuted"])
    whole = make(x.to_numpy()[None], backend)
    for function in (
        lambda t: max_pool2d(t, 2, 1),
        lambda t: avg_pool2d(t, 2, 1),
        lambda t: avg_pool2d(t, (3, 2)),
    ):
        assert_close(function(x).to_numpy(), function(whole).to_numpy()[0])
    row = make(x.to_numpy()[:, 0], backend)
    assert max_pool1d(row, 2).tolist() == max_pool1d(make(row.to_numpy()[None], backend), 2).tolist()[0]


@both_backends
def test_the_gradient_of_overlapping_maxima_adds_up_at_the_first(backend):
    x = make([[[1.0, 5.0, 5.0, 2.0]]], backend, requires_grad=True)
    out = max_pool1d(x, 3, stride=1, padding=1)
    assert out.tolist() == [[[5.0, 5.0, 5.0, 5.0]]]
    out.sum().backward()
    assert x.grad.tolist() == [[[0.0, 3.0, 1.0, 0.0]]]


@both_backends
def test_nothing_but_minus_infinity_is_a_maximum_inside_the_image(backend):
    x = make(np.full((1, 1, 2, 2), -np.inf), backend, requires_grad=True)
    out = max_pool2d(x, 2, stride=1, padding=1)
    assert out.tolist() == [[[[-np.inf] * 3] * 3]]
    out.sum().backward()
    assert x.grad.tolist() == [[[[4.0, 2.0], [2.0, 1.0]]]]


@both_backends
@pytest.mark.parametrize("dtype", DTYPES)
def test_max_pool_sees_nan_and_the_gaps_of_a_dilation(backend, dtype):
    array = np.random.default_rng(3).normal(size=(2, 2, 9, 8))
    array[0, 0, 3, 2] = np.nan
    out = max_pool2d(make(array, backend, dtype), (3, 2), stride=(1, 3), padding=(2, 1), dilation=(2, 3))
    geometry = (Geometry(9, 1, 1, 2, -2), Geometry(3, 3, 1, 3, -1))
    expected = windows_at(array.astype(dtype), (3, 2), geometry, beyond=-np.inf).max((-2, -1))
    np.testing.assert_array_equal(out.to_numpy(), expected)
    assert np.isnan(out.to_numpy()).any()


@both_backends
def test_what_an_average_divides_by(backend):
    x = make(np.ones((1, 1, 3, 3)), backend)
    corner = {"kernel_size": 2, "stride": 2, "padding": 1}
    assert avg_pool2d(x, **corner).tolist() == [[[[0.25, 0.5], [0.5, 1.0]]]]
    assert avg_pool2d(x, **corner, count_include_pad=False).tolist() == [[[[1.0, 1.0], [1.0, 1.0]]]]
    assert avg_pool2d(x, **corner, divisor_override=2).tolist() == [[[[0.5, 1.0], [1.0, 2.0]]]]
    # The window that is cut off counts what is there.
    assert avg_pool2d(x, 2, ceil_mode=True).tolist() == [[[[1.0, 1.0], [1.0, 1.0]]]]


def test_windows_side_by_side_take_the_quick_way(monkeypatch):
    """An average over such windows is a sum where they lie, not a convolution."""
    monkeypatch.setattr(FastOps, "conv", None)
    x = make(np.arange(32.0).reshape(1, 2, 4, 4), FastBackend)
    assert avg_pool2d(x, 2).tolist()[0][0] == [[2.5, 4.5], [10.5, 12.5]]


@both_backends
def test_layers_are_the_functions_with_their_arguments(backend):
    x = make(np.random.default_rng(1).normal(size=(2, 4, 7, 6)), backend)
    for pool, function in [
        (MaxPool2d(3, 2, 1, 2, ceil_mode=True), max_pool2d(x, 3, 2, 1, 2, True)),
        (MaxPool2d(2), max_pool2d(x, 2, 2)),
        (AvgPool2d(3, 2, 1, True, False), avg_pool2d(x, 3, 2, 1, True, False)),
        (AvgPool2d(3, divisor_override=5), avg_pool2d(x, 3, 3, divisor_override=5)),
    ]:
        np.testing.assert_array_equal(pool(x).to_numpy(), function.to_numpy())
    row = make(x.to_numpy()[:, :, 0], backend)
    np.testing.assert_array_equal(MaxPool1d(3, 1)(row).to_numpy(), max_pool1d(row, 3, 1).to_numpy())
