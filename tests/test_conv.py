"""Convolution in one and two dimensions, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitorch
from minitorch import Conv1dFun, Conv2dFun, conv1d, conv2d, grad_check
from minitorch.autodiff import Context
from minitorch.errors import ShapeError

from .cases import BACKENDS, DTYPES, assert_close, correlate, correlate_weight, make
from .tensor_strategies import tensors

both_backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))


@st.composite
def operands(draw, backend, dtype, dims):
    """Draw an input and a weight of any layout whose channels fit."""
    sides = st.integers(1, 4)
    batch, channels, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    space, kernel = [tuple(draw(sides) for _ in range(dims)) for _ in range(2)]
    return (
        draw(tensors((batch, channels, *space), backend=backend, dtype=dtype)),
        draw(tensors((outputs, channels, *kernel), backend=backend, dtype=dtype)),
    )


@pytest.mark.task4_1
@both_backends
@pytest.mark.parametrize("dtype", DTYPES)
@given(st.data(), st.booleans())
def test_conv1d(backend, dtype, data, reverse):
    x, w = data.draw(operands(backend, dtype, 1))
    assert_close(conv1d(x, w, reverse).to_numpy(), correlate(x.to_numpy(), w.to_numpy(), reverse))


@pytest.mark.task4_2
@both_backends
@pytest.mark.parametrize("dtype", DTYPES)
@given(st.data(), st.booleans())
def test_conv2d(backend, dtype, data, reverse):
    x, w = data.draw(operands(backend, dtype, 2))
    assert_close(conv2d(x, w, reverse).to_numpy(), correlate(x.to_numpy(), w.to_numpy(), reverse))


@pytest.mark.task4_1
@pytest.mark.task4_2
@both_backends
@pytest.mark.parametrize("dims", [1, 2])
@given(st.data(), st.booleans())
def test_both_gradients_with_a_random_upstream_one(backend, dims, data, reverse):
    """The gradient of the input is that of the linear map, the gradient of the weight NumPy's sum over places."""
    x, w = data.draw(operands(backend, "float64", dims))
    x, w = x.detach().requires_grad_(True), w.detach().requires_grad_(True)
    out = (conv1d if dims == 1 else conv2d)(x, w, reverse)
    d = data.draw(tensors(out.shape, backend=backend))
    out.backward(d)
    expected = correlate_weight(x.to_numpy(), d.to_numpy(), w.shape[2:], reverse)
    assert_close(w.grad.to_numpy(), expected)
    swapped = np.swapaxes(w.to_numpy(), 0, 1)
    assert_close(x.grad.to_numpy(), correlate(d.to_numpy(), swapped, not reverse))
    # A linear map and its transpose: <d, A x> = <A' d, x>.
    assert_close((x.grad.to_numpy() * x.to_numpy()).sum(), (d.to_numpy() * out.to_numpy()).sum(), "float64")


@pytest.mark.task4_1
@pytest.mark.parametrize(
    ("reverse", "expected"),
    [(False, [8.0, 14.0, 8.0, 3.0]), (True, [0.0, 1.0, 4.0, 10.0])],
    ids=["left", "right"],
)
@both_backends
def test_where_a_kernel_is_anchored(backend, reverse, expected):
    x, w = make([[[0, 1, 2, 3]]], backend), make([[[1, 2, 3]]], backend)
    assert conv1d(x, w, reverse).tolist() == [[expected]]
    flat = conv2d(x.view(1, 1, 1, 4), w.view(1, 1, 1, 3), reverse)
    assert flat.tolist() == [[[expected]]]
    assert conv2d(x.view(1, 1, 4, 1), w.view(1, 1, 3, 1), reverse).view(4).tolist() == expected


@pytest.mark.task4_2
@both_backends
def test_where_a_kernel_of_two_dimensions_is_anchored(backend):
    x, w = make([[[[1, 2], [3, 4]]]], backend), make([[[[1, 10], [100, 1000]]]], backend)
    assert conv2d(x, w).tolist() == [[[[4321.0, 402.0], [43.0, 4.0]]]]
    assert conv2d(x, w, reverse=True).tolist() == [[[[1.0, 12.0], [103.0, 1234.0]]]]


@pytest.mark.task4_1
@both_backends
def test_channels_add_up(backend):
    x, w = make(np.ones((2, 3, 4)), backend), make(np.ones((5, 3, 1)), backend)
    assert conv1d(x, w).tolist() == [[[3.0] * 4] * 5] * 2


@both_backends
@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        pytest.param(Conv1dFun.apply, ((2, 2, 6), (3, 2, 2)), marks=pytest.mark.task4_1),
        pytest.param(Conv1dFun.apply, ((1, 1, 3), (1, 1, 5)), marks=pytest.mark.task4_1),
        pytest.param(Conv2dFun.apply, ((2, 2, 4, 4), (3, 2, 2, 4)), marks=pytest.mark.task4_2),
        pytest.param(Conv2dFun.apply, ((1, 1, 2, 2), (2, 1, 3, 1)), marks=pytest.mark.task4_2),
    ],
)
def test_the_courses_check(function, shapes, backend):
    rng = np.random.default_rng(2)
    x, w = (make(rng.normal(size=s), backend) for s in shapes)
    grad_check(function, x, w)
    grad_check(lambda a, b: function(a, b, True), x, w)


@both_backends
def test_no_batch_no_output_channel_no_width(backend):
    for x_shape, w_shape, out_shape in [
        ((0, 2, 4), (3, 2, 2), (0, 3, 4)),
        ((1, 2, 4), (0, 2, 2), (1, 0, 4)),
        ((1, 2, 0), (3, 2, 2), (1, 3, 0)),
    ]:
        x, w = (make(np.ones(s), backend, requires_grad=True) for s in (x_shape, w_shape))
        out = conv1d(x, w)
        assert out.shape == out_shape
        out.sum().backward()
        assert (x.grad.shape, w.grad.shape) == (x_shape, w_shape)
        assert not w.grad.to_numpy().any() or w.size == 0


def test_backward_can_be_called_by_hand():
    """The 2020 edition's tests do."""
    x, w = make([[[1.0, 2.0, 3.0]]], requires_grad=True), make([[[1.0, 10.0]]], requires_grad=True)
    ctx = Context()
    out = Conv1dFun.forward(ctx, x, w)
    assert out.tolist() == [[[21.0, 32.0, 3.0]]]
    for_x, for_w = Conv1dFun.backward(ctx, make([[[1.0, 1.0, 1.0]]]))
    assert for_x.tolist() == [[[1.0, 11.0, 11.0]]]
    assert for_w.tolist() == [[[6.0, 5.0]]]


def test_they_are_where_both_editions_look():
    from minitorch import fast_conv, nn

    for module in (minitorch, nn, fast_conv):
        assert module.conv1d is conv1d
        assert module.conv2d is conv2d
    assert fast_conv.Conv2dFun is Conv2dFun


@pytest.mark.parametrize(
    ("function", "x_shape", "w_shape", "message"),
    [
        (conv1d, (2, 6), (1, 2, 3), "batch x in_channels x width"),
        (conv1d, (1, 2, 6), (2, 3), "batch x in_channels x width"),
        (conv1d, (1, 2, 6), (4, 3, 3), "has 2 channels, but the weight"),
        (conv2d, (1, 2, 6), (4, 2, 3), "height x width"),
        (conv2d, (1, 2, 6, 6), (4, 1, 3, 3), r"shape\[1\]"),
    ],
)
@both_backends
def test_shapes_that_do_not_fit(function, x_shape, w_shape, message, backend):
    with pytest.raises(ShapeError, match=message) as raised:
        function(make(np.ones(x_shape), backend), make(np.ones(w_shape), backend))
    assert str(x_shape) in str(raised.value)
    assert str(w_shape) in str(raised.value)
