"""Convolution with PyTorch's meanings, against NumPy; tests/parity compares them with PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch.convolution import Conv1d, Conv2d, conv1d, conv2d
from minitorch.fast_conv import Conv1dFun, Conv2dFun
from minitorch.fast_conv import conv2d as course_conv2d
from minitorch.kernels.geometry import Geometry
from minitorch.random import manual_seed

from .cases import BACKENDS, DTYPES, LAYOUTS, assert_close, convolve, convolve_weight, make

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
    assert_close(conv2d(x, w, padding=1).to_numpy(), conv2d(whole, w, padding=1).to_numpy()[0])
    row = make(x.to_numpy()[:, 0], backend)
    assert conv1d(row, make(np.ones((3, 2, 1)), backend)).shape == (3, 4)


@both_backends
def test_groups_see_their_own_channels_only(backend):
    x = make(np.array([[[1.0], [2.0], [3.0], [4.0]]]), backend)
    w = make(np.array([[[1.0], [10.0]], [[100.0], [1000.0]]]), backend)
    assert conv1d(x, w, make([0.5, 0.25], backend), groups=2).tolist() == [[[21.5], [4300.25]]]


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
