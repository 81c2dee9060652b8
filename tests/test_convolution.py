"""Convolution and pooling with PyTorch's meanings, against NumPy; tests/parity compares them with PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch.convolution import (
    AvgPool2d,
    Conv1d,
    Conv2d,
    MaxPool1d,
    MaxPool2d,
    avg_pool2d,
    conv1d,
    conv2d,
    max_pool1d,
    max_pool2d,
)
from minitorch.fast_conv import Conv1dFun, Conv2dFun
from minitorch.fast_conv import conv2d as course_conv2d
from minitorch.fast_ops import FastBackend, FastOps
from minitorch.kernels.geometry import Geometry
from minitorch.random import manual_seed

from .cases import BACKENDS, DTYPES, LAYOUTS, assert_close, convolve, convolve_weight, make, windows_at

both_backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))

geometries = st.builds(
    Geometry,
    size=st.integers(1, 5),
    stride=st.integers(1, 3),
    spread=st.integers(1, 3),
    dilation=st.integers(-3, 3).filter(bool),
    offset=st.integers(-4, 4),
)
dimensions = st.lists(st.tuples(geometries, st.integers(1, 5), st.integers(1, 3)), min_size=1, max_size=2)


@both_backends
@pytest.mark.parametrize("dtype", DTYPES)
@given(dimensions, st.tuples(*[st.integers(1, 3)] * 3), st.sampled_from(list(LAYOUTS)), st.integers(0, 2**32 - 1))
def test_every_geometry_and_both_gradients(backend, dtype, dims, sizes, layout, seed):
    geometry, space, kernel = zip(*dims, strict=True)
    batch, channels, outs = sizes
    rng = np.random.default_rng(seed)
    x, w = (
        make(rng.normal(size=shape), backend, dtype, LAYOUTS[layout], requires_grad=True)
        for shape in ((batch, channels, *space), (outs, channels, *kernel))
    )
    out = (Conv1dFun if len(dims) == 1 else Conv2dFun).apply(x, w, geometry)
    arrays = [t.to_numpy().astype(np.float64) for t in (x, w)]
    assert_close(out.to_numpy(), convolve(*arrays, geometry), dtype)
    d = make(rng.normal(size=out.shape), backend, dtype)
    out.backward(d)
    upstream = d.to_numpy().astype(np.float64)
    assert_close(w.grad.to_numpy(), convolve_weight(arrays[0], upstream, kernel, geometry), dtype)
    back = tuple(g.transposed(n) for g, n in zip(geometry, space, strict=True))
    assert_close(x.grad.to_numpy(), convolve(upstream, arrays[1].swapaxes(0, 1), back), dtype)


@both_backends
def test_the_courses_convolution_is_one_of_them(backend):
    """Padded at the right and bottom alone, it is PyTorch's without padding."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 3, 6, 5)), rng.normal(size=(4, 3, 2, 3))
    padded = np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 2)))
    theirs = conv2d(make(padded, backend), make(w, backend))
    assert_close(course_conv2d(make(x, backend), make(w, backend)).to_numpy(), theirs.to_numpy())


@both_backends
def test_same_padding_puts_the_odd_zero_at_the_end(backend):
    x, w = make([[[1.0, 2.0, 3.0]]], backend), make([[[1.0, 10.0]]], backend)
    assert conv1d(x, w, padding="same").tolist() == [[[21.0, 32.0, 3.0]]]
    assert conv1d(x, make([[[1.0, 10.0, 100.0, 1000.0]]], backend), padding="same").shape == (1, 1, 3)
    assert conv1d(x, w, padding="valid").tolist() == [[[21.0, 32.0]]]


@both_backends
def test_without_a_batch(backend):
    x = make(np.arange(24.0).reshape(2, 3, 4), backend, layout=LAYOUTS["permuted"])
    whole = make(x.to_numpy()[None], backend)
    w = make(np.arange(8.0).reshape(1, 2, 2, 2), backend)
    for function in (
        lambda t: conv2d(t, w, padding=1),
        lambda t: max_pool2d(t, 2, 1),
        lambda t: avg_pool2d(t, 2, 1),
        lambda t: avg_pool2d(t, (3, 2)),
    ):
        assert_close(function(x).to_numpy(), function(whole).to_numpy()[0])
    row = make(x.to_numpy()[:, 0], backend)
    assert max_pool1d(row, 2).tolist() == max_pool1d(make(row.to_numpy()[None], backend), 2).tolist()[0]
    assert conv1d(row, make(np.ones((3, 2, 1)), backend)).shape == (3, 4)


@both_backends
def test_groups_see_their_own_channels_only(backend):
    x = make(np.array([[[1.0], [2.0], [3.0], [4.0]]]), backend)
    w = make(np.array([[[1.0], [10.0]], [[100.0], [1000.0]]]), backend)
    assert conv1d(x, w, make([0.5, 0.25], backend), groups=2).tolist() == [[[21.5], [4300.25]]]


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
    layer = Conv2d(4, 6, (3, 2), stride=2, padding=(1, 0), dilation=(1, 2), groups=2, backend=backend)
    w, b = layer.weight.value, layer.bias.value
    expected = conv2d(x, w, b, 2, (1, 0), (1, 2), 2)
    np.testing.assert_array_equal(layer(x).to_numpy(), expected.to_numpy())
    row = make(x.to_numpy()[:, :, 0], backend)
    layer = Conv1d(4, 3, 3, padding="same", bias=False, backend=backend)
    assert layer.bias is None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    np.testing.assert_array_equal(layer(row).to_numpy(), conv1d(row, layer.weight.value, padding="same").to_numpy())
    for pool, function in [
        (MaxPool2d(3, 2, 1, 2, ceil_mode=True), max_pool2d(x, 3, 2, 1, 2, True)),
        (MaxPool2d(2), max_pool2d(x, 2, 2)),
        (AvgPool2d(3, 2, 1, True, False), avg_pool2d(x, 3, 2, 1, True, False)),
        (AvgPool2d(3, divisor_override=5), avg_pool2d(x, 3, 3, divisor_override=5)),
    ]:
        np.testing.assert_array_equal(pool(x).to_numpy(), function.to_numpy())
    np.testing.assert_array_equal(MaxPool1d(3, 1)(row).to_numpy(), max_pool1d(row, 3, 1).to_numpy())


@pytest.mark.parametrize("dtype", DTYPES)
def test_layers_begin_as_in_pytorch(dtype):
    manual_seed(3)
    layer = Conv2d(8, 64, 3, groups=2, dtype=dtype)
    bound = 1 / np.sqrt(4 * 9)
    for values in (layer.weight.value.to_numpy(), layer.bias.value.to_numpy()):
        assert values.dtype == dtype
        assert -bound <= values.min() < -0.9 * bound
        assert 0.9 * bound < values.max() <= bound
        assert abs(values.mean()) < 0.2 * bound
    manual_seed(3)
    again = Conv2d(8, 64, 3, groups=2, dtype=dtype)
    np.testing.assert_array_equal(again.weight.value.to_numpy(), layer.weight.value.to_numpy())
    assert layer.weight.value.shape == (64, 4, 3, 3)
