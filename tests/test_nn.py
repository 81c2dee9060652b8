"""Pooling, maximum, softmax and dropout: properties that Hypothesis tries to break, and known values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

import minitorch
from minitorch import grad_check, nn
from minitorch.errors import ArgumentError, IndexingError, ShapeError
from minitorch.nn import argmax, avgpool2d, dropout, logsoftmax, max, maxpool2d, softmax, tile
from minitorch.random import default_generator, manual_seed
from minitorch.tensor import Tensor

from .cases import BACKENDS, DTYPES, LAYOUTS, TOLERANCE, assert_close, make, permuted, pool_windows
from .tensor_strategies import tensors

both_backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)

anything = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, math.nan, math.inf, -math.inf])


@st.composite
def images(draw, backend=BACKENDS["simple"], dtype="float64", **more):
    """Draw an image batch of any layout, and a window that divides it: (tensor, kernel)."""
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    counts = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 2)), kernel[0] * counts[0], kernel[1] * counts[1])
    return draw(tensors(shape, backend=backend, dtype=dtype, **more)), kernel


@st.composite
def lines(draw, backend=BACKENDS["simple"], dtype="float64", **more):
    """Draw a tensor of any layout, and a dimension of it."""
    x = draw(tensors(backend=backend, dtype=dtype, **more))
    return x, draw(st.integers(0, x.dims - 1))


def upstream(out: Tensor) -> Tensor:
    """Give a gradient whose elements all differ, in another layout than that of ``out``."""
    return make(np.arange(1.0, out.size + 1).reshape(out.shape), out.backend, out.dtype, permuted)


def gradient(function, x):
    x = x.detach().requires_grad_(True)
    out = function(x)
    d = upstream(out)
    out.backward(d)
    return x.grad.to_numpy(), d.to_numpy()


# --- tile ----------------------------------------------------------------------------------------------------


@pytest.mark.task4_3
@both_backends
@given(st.data())
def test_tile_brings_windows_together(backend, data):
    x, kernel = data.draw(images(backend))
    windows, height, width = tile(x, kernel)
    assert (height, width) == (x.shape[2] // kernel[0], x.shape[3] // kernel[1])
    np.testing.assert_array_equal(windows.to_numpy(), pool_windows(x.to_numpy(), kernel))


@pytest.mark.task4_3
@both_backends
@given(st.data())
def test_the_gradient_of_tile_returns_to_its_place(backend, data):
    """The course's View backward scrambles it."""
    x, kernel = data.draw(images(backend))
    found, d = gradient(lambda t: tile(t, kernel)[0], x)
    np.testing.assert_array_equal(pool_windows(found, kernel), d)


# --- average pooling -----------------------------------------------------------------------------------------


@pytest.mark.task4_3
@both_backends
@both_dtypes
@given(st.data())
def test_avgpool2d_is_the_mean_of_each_window(backend, dtype, data):
    x, kernel = data.draw(images(backend, dtype))
    assert_close(avgpool2d(x, kernel).to_numpy(), pool_windows(x.to_numpy(), kernel).mean(-1, dtype="float64"), dtype)


@pytest.mark.task4_3
@both_backends
@given(st.data())
def test_avgpool2d_shares_its_gradient_equally(backend, data):
    x, kernel = data.draw(images(backend))
    found, d = gradient(lambda t: avgpool2d(t, kernel), x)
    count = kernel[0] * kernel[1]
    assert_close(pool_windows(found, kernel), np.repeat(d[..., None] / count, count, -1))


@pytest.mark.task4_3
@given(images(elements=st.floats(-10, 10)), st.floats(-5, 5), st.floats(-5, 5))
def test_avgpool2d_is_linear(image, scale, shift):
    x, kernel = image
    assert_close(avgpool2d(x * scale + shift, kernel).to_numpy(), (avgpool2d(x, kernel) * scale + shift).to_numpy())


# --- max pooling ---------------------------------------------------------------------------------------------


@pytest.mark.task4_4
@pytest.mark.edition2020("task4_2")
@both_backends
@both_dtypes
@given(st.data())
def test_maxpool2d_is_the_maximum_of_each_window(backend, dtype, data):
    x, kernel = data.draw(images(backend, dtype, elements=anything))
    np.testing.assert_array_equal(maxpool2d(x, kernel).to_numpy(), pool_windows(x.to_numpy(), kernel).max(-1))


@pytest.mark.task4_4
@pytest.mark.edition2020("task4_2")
@both_backends
@given(st.data())
def test_maxpool2d_sends_its_gradient_to_the_first_maximum(backend, data):
    """Few different numbers, so that most windows have ties; NaN counts as the largest."""
    x, kernel = data.draw(images(backend, elements=anything))
    found, d = gradient(lambda t: maxpool2d(t, kernel), x)
    first = pool_windows(x.to_numpy(), kernel).argmax(-1)[..., None]
    expected = np.zeros((*d.shape, kernel[0] * kernel[1]))
    np.put_along_axis(expected, first, d[..., None], -1)
    np.testing.assert_array_equal(pool_windows(found, kernel), expected)


@pytest.mark.task4_4
@pytest.mark.edition2020("task4_2")
@given(images())
def test_maxpool2d_is_never_below_the_average(image):
    x, kernel = image
    slack = TOLERANCE[x.dtype] * 100
    assert (maxpool2d(x, kernel).to_numpy() >= avgpool2d(x, kernel).to_numpy() - slack).all()


# --- maximum -------------------------------------------------------------------------------------------------


@pytest.mark.task4_4
@pytest.mark.edition2020("task4_3")
@both_backends
@both_dtypes
@given(st.data())
def test_max_is_numpys(backend, dtype, data):
    x, dim = data.draw(lines(backend, dtype, elements=anything))
    np.testing.assert_array_equal(max(x, dim).to_numpy(), x.to_numpy().max(dim, keepdims=True))
    # The course's own test gives the dimension as a tensor, whatever the backend and dtype of x.
    for same in (minitorch.tensor([dim]), dim - x.dims):
        np.testing.assert_array_equal(max(x, same).to_numpy(), max(x, dim).to_numpy())


@pytest.mark.task4_4
@pytest.mark.edition2020("task4_3")
@both_backends
@given(st.data())
def test_max_sends_its_gradient_to_the_first_maximum(backend, data):
    x, dim = data.draw(lines(backend, elements=anything))
    found, d = gradient(lambda t: max(t, dim), x)
    expected = np.zeros(x.shape)
    np.put_along_axis(expected, x.to_numpy().argmax(dim, keepdims=True), d, dim)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.task4_4
@pytest.mark.edition2020("task4_3")
@given(lines(elements=st.floats(-100, 100)))
def test_max_passes_the_check(line):
    x, dim = line
    grad_check(lambda t: max(t, dim), x)


@pytest.mark.task4_4
@pytest.mark.edition2020("task4_3")
@both_backends
@both_dtypes
@given(st.data())
def test_argmax_is_one_hot_at_the_first_maximum(backend, dtype, data):
    x, dim = data.draw(lines(backend, dtype, elements=anything))
    marks = argmax(x, dim)
    assert (marks.shape, marks.dtype, marks.backend) == (x.shape, x.dtype, backend)
    np.testing.assert_array_equal(marks.to_numpy().argmax(dim), x.to_numpy().argmax(dim))
    np.testing.assert_array_equal(marks.to_numpy().sum(dim), 1.0)
    assert set(np.unique(marks.to_numpy())) <= {0.0, 1.0}


def test_argmax_records_nothing():
    assert argmax(make([1.0, 2.0], requires_grad=True), 0).is_constant()


@both_backends
@pytest.mark.parametrize(
    ("values", "first"),
    [
        ([1.0, 3.0, 3.0, 2.0], 1),
        ([5.0, 5.0, 5.0, 5.0], 0),
        ([math.nan, 1.0, math.nan, 2.0], 0),
        ([1.0, math.inf, math.nan, math.nan], 2),
        ([-math.inf, -math.inf], 0),
        ([-0.0, 0.0], 0),
    ],
)
def test_the_first_maximum(values, first, backend):
    expected = [float(i == first) for i in range(len(values))]
    assert argmax(make(values, backend), 0).tolist() == expected
    for function in (lambda t: max(t, 0), lambda t: maxpool2d(t.view(1, 1, 1, -1), (1, len(values)))):
        x = make(values, backend, requires_grad=True)
        out = function(x)
        np.testing.assert_equal(out.item(), values[first])
        out.sum().backward()
        assert x.grad.tolist() == expected


@both_backends
def test_the_first_maximum_of_a_window_is_the_first_in_row_major_order(backend):
    """Down the left column stands an equal number later than to the right."""
    x = make([[[[1.0, 9.0], [9.0, 9.0]]]], backend, requires_grad=True)
    maxpool2d(x, (2, 2)).sum().backward()
    assert x.grad.tolist() == [[[[0.0, 1.0], [0.0, 0.0]]]]


# --- softmax -------------------------------------------------------------------------------------------------


@pytest.mark.task4_4
@pytest.mark.edition2020("task4_3")
@both_backends
@both_dtypes
@given(st.data())
def test_softmax_is_scipys(backend, dtype, data):
    x, dim = data.draw(lines(backend, dtype))
    out = softmax(x, dim)
    assert_close(out.to_numpy(), special.softmax(np.float64(x.to_numpy()), axis=dim), dtype)
    assert_close(out.to_numpy().sum(dim), np.ones(out.to_numpy().sum(dim).shape), dtype)


@pytest.mark.task4_4
@pytest.mark.edition2020("task4_3")
@given(lines(elements=st.floats(-10, 10)), st.floats(-1e4, 1e4))
def test_softmax_does_not_see_a_shift(line, shift):
    x, dim = line
    rounding = 1e-15 * (1 + abs(shift))
    np.testing.assert_allclose(softmax(x + shift, dim).to_numpy(), softmax(x, dim).to_numpy(), rtol=50 * rounding)


@pytest.mark.task4_4
@pytest.mark.edition2020("task4_3")
@given(lines(elements=st.floats(-10, 10)))
def test_softmax_and_its_logarithm_pass_the_check(line):
    x, dim = line
    grad_check(lambda t: softmax(t, dim), x)
    grad_check(lambda t: logsoftmax(t, dim), x)


@pytest.mark.task4_4
@pytest.mark.edition2020("task4_3")
@both_backends
@both_dtypes
@given(st.data())
def test_logsoftmax_is_scipys(backend, dtype, data):
    x, dim = data.draw(lines(backend, dtype))
    assert_close(logsoftmax(x, dim).to_numpy(), special.log_softmax(np.float64(x.to_numpy()), axis=dim), dtype)


@pytest.mark.task4_4
@pytest.mark.edition2020("task4_3")
@given(lines(elements=st.floats(-20, 20)))
def test_logsoftmax_is_the_logarithm_of_softmax(line):
    x, dim = line
    assert_close(logsoftmax(x, dim).exp().to_numpy(), softmax(x, dim).to_numpy())
    assert (logsoftmax(x, dim).to_numpy() <= 0).all()


@both_backends
@both_dtypes
@pytest.mark.parametrize("large", [1e4, -1e4])
def test_large_numbers_do_not_overflow(large, dtype, backend):
    x = make([[large, large, 0.0], [large, 0.0, -large]], backend, dtype, requires_grad=True)
    exact = np.float64(x.to_numpy())
    assert_close(softmax(x, 1).to_numpy(), special.softmax(exact, axis=1), dtype)
    out = logsoftmax(x, 1)
    assert_close(out.to_numpy(), special.log_softmax(exact, axis=1), dtype)
    d = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    out.backward(make(d, backend, dtype))
    assert_close(x.grad.to_numpy(), d - special.softmax(exact, axis=1) * d.sum(1, keepdims=True), dtype)


@both_backends
@both_dtypes
def test_a_small_probability_keeps_its_logarithm(dtype, backend):
    x = make([0.0, -1e4], backend, dtype)
    assert logsoftmax(x, 0).tolist() == [0.0, -1e4]
    assert softmax(x, 0).tolist() == [1.0, 0.0]


@both_backends
def test_nan_reaches_its_whole_line_and_no_other(backend):
    x = make([[1.0, math.nan], [1.0, 2.0]], backend)
    for function in (softmax, logsoftmax):
        out = function(x, 1).to_numpy()
        assert np.isnan(out[0]).all()
        assert np.isfinite(out[1]).all()


# --- dropout -------------------------------------------------------------------------------------------------


@pytest.mark.task4_4
@both_backends
@both_dtypes
@given(st.data(), st.floats(0, 1))
def test_dropout_keeps_an_element_or_sets_it_to_zero(backend, dtype, data, rate):
    x = data.draw(tensors(backend=backend, dtype=dtype))
    out = dropout(x, rate).to_numpy()
    assert ((out == x.to_numpy()) | (out == 0)).all()
    assert out.dtype == np.dtype(dtype)


@pytest.mark.task4_4
@both_backends
@given(st.data())
def test_dropout_at_its_ends(backend, data):
    x = data.draw(tensors(backend=backend))
    np.testing.assert_array_equal(dropout(x, 0.0).to_numpy(), x.to_numpy())
    assert not dropout(x, 1.0).to_numpy().any()
    for rate in (0.0, 0.5, 1.0):
        assert dropout(x, rate, ignore=True) is x


@pytest.mark.task4_4
@both_backends
@given(st.data(), st.floats(0.1, 0.9), st.integers(0, 2**64 - 1))
def test_dropout_passes_the_gradient_of_what_it_kept(backend, data, rate, seed):
    x = make(np.ones(data.draw(tensors()).shape), backend, requires_grad=True)
    manual_seed(seed)
    out = dropout(x, rate)
    d = upstream(out)
    out.backward(d)
    np.testing.assert_array_equal(x.grad.to_numpy(), out.to_numpy() * d.to_numpy())
    manual_seed(seed)
    np.testing.assert_array_equal(dropout(x, rate).to_numpy(), out.to_numpy())


@pytest.mark.task4_4
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_drops_its_share_anew_at_each_call(rate):
    manual_seed(0)
    x = make(np.ones(20_000), BACKENDS["fast"])
    first, second = dropout(x, rate).to_numpy(), dropout(x, rate).to_numpy()
    spread = math.sqrt(rate * (1 - rate) / 20_000)
    assert abs(first.mean() - (1 - rate)) < 5 * spread
    both = (1 - rate) ** 2 + rate**2
    assert abs((first == second).mean() - both) < 5 * math.sqrt(both * (1 - both) / 20_000)


@both_dtypes
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
def test_every_backend_drops_the_same(layout, dtype):
    """The mask depends on seed, stream and place, so it is the same for every layout too."""
    array = np.repeat(np.arange(1.0, 31).reshape(5, 6, 1), 7, -1)
    dropped = []
    for backend in BACKENDS.values():
        manual_seed(4)
        dropped.append(dropout(make(array, backend, dtype, layout), 0.5).to_numpy())
    np.testing.assert_array_equal(dropped[0], dropped[1])
    manual_seed(4)
    np.testing.assert_array_equal(dropped[0], dropout(make(array, dtype=dtype), 0.5).to_numpy())


def test_dropout_takes_a_stream_only_when_it_draws():
    manual_seed(2)
    x = make([1.0])
    dropout(x, 0.0)
    dropout(x, 0.5, ignore=True)
    assert default_generator.state == (2, 0)
    dropout(x, 0.5)
    assert default_generator.state == (2, 1)


# --- known values and mistakes -------------------------------------------------------------------------------


@both_backends
def test_known_values(backend):
    x = make([[[[1, 2, 3, 4], [5, 6, 7, 8]]]], backend)
    assert tile(x, (2, 2))[0].tolist() == [[[[[1.0, 2.0, 5.0, 6.0], [3.0, 4.0, 7.0, 8.0]]]]]
    assert avgpool2d(x, (2, 1)).tolist() == [[[[3.0, 4.0, 5.0, 6.0]]]]
    assert maxpool2d(x, (1, 4)).tolist() == [[[[4.0], [8.0]]]]
    assert max(x, 3).tolist() == [[[[4.0], [8.0]]]]
    assert argmax(x, 2).tolist() == [[[[0.0] * 4, [1.0] * 4]]]


@both_backends
@pytest.mark.parametrize("function", [avgpool2d, maxpool2d, lambda x, kernel: tile(x, kernel)[0]])
def test_an_empty_batch(function, backend):
    x = make(np.zeros((0, 2, 4, 6)), backend, requires_grad=True)
    out = function(x, (2, 3))
    assert out.shape[:4] == (0, 2, 2, 2)
    out.sum().backward()
    assert x.grad.shape == x.shape


@pytest.mark.parametrize("function", [tile, avgpool2d, maxpool2d])
@pytest.mark.parametrize(
    ("shape", "kernel", "message"),
    [
        ((1, 1, 5, 4), (2, 2), r"2x2 window does not divide an image of 5x4. Crop it to 4x4"),
        ((1, 1, 4, 5), (2, 2), r"Crop it to 4x4"),
        ((1, 4, 4), (2, 2), "batch x channel x height x width"),
        ((1, 1, 4, 4), (0, 2), "at least one row"),
        ((1, 1, 4, 4), (2, -2), "at least one row"),
    ],
)
def test_windows_that_do_not_fit(function, shape, kernel, message):
    with pytest.raises(ShapeError, match=message):
        function(make(np.zeros(shape)), kernel)


@pytest.mark.parametrize("function", [max, argmax, softmax, logsoftmax])
def test_dimensions_that_do_not_exist(function):
    with pytest.raises(IndexingError, match="from -2 to 1"):
        function(make(np.zeros((2, 3))), 2)
    with pytest.raises(ShapeError, match="to compare, got none"):
        function(make(np.zeros((2, 0))), 1)
    assert function(make(np.zeros((0, 3))), 1).shape[0] == 0


@pytest.mark.parametrize("rate", [-0.1, 1.1, math.nan, math.inf])
def test_rates_outside_0_to_1(rate):
    with pytest.raises(ArgumentError, match="from 0 to 1"):
        dropout(make([1.0]), rate)
    with pytest.raises(ArgumentError):
        dropout(make([1.0]), rate, ignore=True)


def test_names_are_where_both_editions_look():
    for name in nn.__all__:
        if name != "Max":
            assert getattr(minitorch, name) is getattr(nn, name)


@pytest.mark.parametrize("name", minitorch.layers.__all__)
def test_a_layer_is_looked_for_where_pytorch_has_it(name):
    """None of them is a function of this module, which would be called with a layer's arguments."""
    with pytest.raises(AttributeError, match=rf"'minitorch\.nn'.*the layer is minitorch\.layers\.{name}\.") as caught:
        getattr(nn, name)
    assert "\n" not in str(caught.value)


def test_other_names_that_are_not_there():
    for name in ("MSELoss", "Modul"):
        assert not hasattr(nn, name)
        with pytest.raises(AttributeError, match=f"no attribute '{name}'.*losses in minitorch.losses"):
            getattr(nn, name)
