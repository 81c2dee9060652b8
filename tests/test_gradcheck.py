"""The check of gradients, checked: right ones pass, also at kinks, and wrong ones do not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitorch
from minitorch.errors import GradientError
from minitorch.fast_ops import FastBackend
from minitorch.gradcheck import grad_central_difference, grad_check
from minitorch.random import default_generator, manual_seed
from minitorch.tensor_functions import Function, Mul, ReLUGrad

from .cases import BACKENDS, DTYPES, LAYOUTS, make
from .tensor_strategies import shapes, tensors

both_backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))


@pytest.fixture
def registry():
    """Take classes that a test defines off the list again."""
    before = list(Function.registry)
    yield
    Function.registry[:] = before


def square_with_slope(factor):
    """Make $x^2$ with a derivative that is ``factor`` times the right one."""

    class Square(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.backend.mul_zip(x, x)

        @staticmethod
        def backward(ctx, d):
            (x,) = ctx.saved_values
            return Mul.apply(d, x * (2.0 * factor))

    return Square.apply


def relu_with_slope_at_zero(slope):
    """Make ReLU with a derivative of ``slope`` at its kink."""

    class Kinked(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.backend.relu_map(x)

        @staticmethod
        def backward(ctx, d):
            (x,) = ctx.saved_values
            return ReLUGrad.apply(x, d) + d * (x == 0.0) * slope

    return Kinked.apply


# --- right gradients pass ------------------------------------------------------------------------------------


@pytest.mark.task2_4
@both_backends
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
def test_right_gradients_pass(layout, dtype, backend):
    rng = np.random.default_rng(1)
    a, b = (make(rng.uniform(0.5, 1.5, (2, 3)), backend, dtype, layout) for _ in range(2))
    grad_check(lambda x, y: (x * y).sigmoid() + x.exp() / y, a, b)
    grad_check(lambda x: x.sum(1) * x.mean(0), a)
    grad_check(lambda x, y: x.permute(1, 0) @ y, a, b)


@pytest.mark.task2_4
@given(st.lists(st.sampled_from([0.0, -0.0, 1e-7, -1e-7, 1.0, -1.0]), min_size=1, max_size=4), st.floats(0, 1))
def test_any_slope_of_a_kink_is_right(values, slope):
    before = list(Function.registry)
    try:
        grad_check(relu_with_slope_at_zero(slope), make(values))
    finally:
        Function.registry[:] = before


@pytest.mark.parametrize(
    "function",
    [
        lambda x: minitorch.max(x, 0),
        lambda x: minitorch.max(x, 1),
        lambda x: x.relu(),
        lambda x: (x.relu() * 3).relu() - x.relu(),
        lambda x: minitorch.max(x, 1) + x.sum(1),
    ],
)
def test_ties_everywhere(function):
    """Every element is at a kink of its own."""
    grad_check(function, make(np.zeros((2, 3))))
    grad_check(function, make(np.zeros((3, 2)), FastBackend))


@pytest.mark.parametrize("function", [lambda x: x < 1.0, lambda x: x == 1.0, lambda x: x.is_close(1.01)])
def test_jumps_are_not_held_against_a_gradient(function):
    """On a jump one difference is as large as one likes; a derivative of zero lies between it and the other."""
    grad_check(function, make([1.0, 2.0, 0.0]))


@given(shapes(max_dims=2).flatmap(lambda shape: tensors(shape, st.floats(-3, 3))))
def test_functions_of_the_course(x):
    """Small shapes: each element costs four calls of each of twenty functions."""
    for _, _, function in minitorch.MathTestVariable._comp_testing()[0]:
        grad_check(function, x)


def test_where_there_is_no_slope():
    grad_check(lambda x: 1.0 / x, make([0.0, 1.0]))
    grad_check(lambda x: x.exp(), make([1e4]))
    grad_check(lambda x: x * 2, make([math.nan]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_pole_next_door_is_no_mistake(dtype):
    grad_check(lambda x: 1.0 / x, make([1e-4, -0.01, 0.3, 2.0], dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("distance", [1e-5, 1e-3, 0.1])
def test_a_kink_next_door_is_no_mistake(dtype, distance):
    grad_check(lambda x: (x - 1.0).relu() * 5.0 + x, make([1.0 - distance, 1.0 + distance], dtype=dtype))


def test_a_tensor_without_dimensions():
    grad_check(lambda x, y: x * y + x.exp(), make(0.5), make(2.0))


def test_a_tensor_of_nothing():
    grad_check(lambda x: x * 2, make(np.zeros((0, 3))))


def test_an_argument_that_has_no_part():
    grad_check(lambda x, y: x * 2, make([1.0]), make([2.0]))


def test_random_functions_draw_the_same_every_time():
    manual_seed(3)
    grad_check(lambda x: minitorch.dropout(x, 0.5), make(np.ones((5, 5))))


# --- wrong gradients do not ----------------------------------------------------------------------------------


@both_backends
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("factor", [0.99, 1.01, -1.0, 0.0])
def test_a_gradient_wrong_by_a_hundredth_fails(registry, factor, dtype, backend):
    for values in ([1.0], [1.0, -2.0, 3.0], np.linspace(0.5, 1.5, 6).reshape(2, 3), np.arange(1.0, 31.0).reshape(5, 6)):
        x = make(values, backend, dtype)
        grad_check(square_with_slope(1.0), x)
        with pytest.raises(GradientError) as raised:
            grad_check(square_with_slope(factor), x)
        assert "argument 0" in str(raised.value)
        assert isinstance(raised.value, AssertionError)  # the course's kind


# Slopes that one step cannot find by its size alone: hidden under a large value, small, bent, or near a pole.
HARD = {
    "large value": (lambda x: 1e6 + x, np.ones_like),
    "small slope": (lambda x: 1.0 + 1e-8 * x, lambda x: 1e-8 * np.ones_like(x)),
    "oscillation": (lambda x: np.sin(50.0 * x), lambda x: 50.0 * np.cos(50.0 * x)),
    "inflection": (lambda x: (x - 0.7) ** 3 + 1e-4 * x, lambda x: 3.0 * (x - 0.7) ** 2 + 1e-4),
    "pole": (lambda x: 1.0 / (x - 0.6999), lambda x: -1.0 / (x - 0.6999) ** 2),
}


@pytest.mark.parametrize("name", HARD)
def test_a_hundredth_is_seen_where_one_step_says_little(registry, name):
    function, slope = HARD[name]

    class Planted(Function):
        factor = 1.0

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return make(function(x.to_numpy()), x.backend)

        @staticmethod
        def backward(ctx, d):
            (x,) = ctx.saved_values
            return make(Planted.factor * slope(x.to_numpy()) * d.to_numpy(), d.backend)

    for values in ([0.7], [1.3, 0.7, 2.0]):
        Planted.factor = 1.0
        grad_check(Planted.apply, make(values))
        for Planted.factor in (0.99, 1.01):
            with pytest.raises(GradientError):
                grad_check(Planted.apply, make(values))


@pytest.mark.parametrize("factor", [0.997, 1.003])
def test_in_float64_three_thousandths_are_enough(registry, factor):
    with pytest.raises(GradientError):
        grad_check(square_with_slope(factor), make([1.0, -20.0, 3e-3]))


@given(tensors(elements=st.floats(0.1, 100), repeats=False), st.sampled_from([0.99, 1.01]))
def test_a_wrong_gradient_fails_anywhere(x, factor):
    before = list(Function.registry)
    try:
        with pytest.raises(GradientError):
            grad_check(square_with_slope(factor), x)
    finally:
        Function.registry[:] = before


@pytest.mark.parametrize("slope", [-0.01, 1.01])
def test_a_slope_outside_those_of_a_kink_fails(registry, slope):
    with pytest.raises(GradientError, match="argument 0"):
        grad_check(relu_with_slope_at_zero(slope), make([5.0, 0.0]))


def test_a_softmax_whose_gradient_is_zero_fails(registry):
    """The sum of a softmax is constant: only a check with weights sees this."""

    class Flat(Function):
        @staticmethod
        def forward(ctx, x):
            return x.backend.ops.softmax(x, 0)

        @staticmethod
        def backward(ctx, d):
            return d.zeros(d.shape)

    with pytest.raises(GradientError):
        grad_check(Flat.apply, make([1.0, 2.0, 3.0]))


def test_one_wrong_element_of_many_fails(registry):
    class AlmostRight(Function):
        @staticmethod
        def forward(ctx, x):
            return x.backend.neg_map(x)

        @staticmethod
        def backward(ctx, d):
            out = -d.to_numpy().copy()
            out[7] *= 1.5
            return make(out, d.backend)

    with pytest.raises(GradientError):
        grad_check(AlmostRight.apply, make(np.ones(200)))


def test_the_wrong_argument_is_named(registry):
    class WrongInB(Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a.backend.mul_zip(a, b)

        @staticmethod
        def backward(ctx, d):
            a, b = ctx.saved_values
            return d * b, d * a * 1.02

    with pytest.raises(GradientError, match="argument 1"):
        grad_check(WrongInB.apply, make([1.0, 2.0]), make([3.0, 4.0]))


def test_a_missing_gradient_fails():
    with pytest.raises(GradientError):
        grad_check(lambda x: x * x.detach() + x, make([1.0, 2.0]))


# --- what it leaves ------------------------------------------------------------------------------------------


def test_the_arguments_stay_as_they_are():
    x = make([1.0, 2.0], requires_grad=True)
    (x * 3).sum().backward()
    grad_check(lambda t: t * t, x)
    assert x.grad.tolist() == [3.0, 3.0]
    assert x.tolist() == [1.0, 2.0]
    c = make([1.0])
    grad_check(lambda t: t * t, c)
    assert c.is_constant()


def test_nothing_is_drawn_from_the_default_generator():
    """The course's check reseeds Python's random numbers, and later draws repeat."""
    manual_seed(9)
    state = default_generator.state
    grad_check(lambda x: x * x, make([1.0, 2.0]))
    assert default_generator.state == state


# --- central differences -------------------------------------------------------------------------------------


@pytest.mark.task2_4
@given(tensors(elements=st.floats(-2, 2)), st.data())
def test_central_differences(x, draw):
    index = draw.draw(st.tuples(*(st.integers(0, n - 1) for n in x.shape)))
    found = grad_central_difference(lambda t: t.exp(), x, arg=0, ind=index)
    assert found == pytest.approx(math.exp(x[index]), rel=1e-6, abs=1e-7)


def test_central_differences_of_another_argument():
    a, b = make([[2.0, 3.0]]), make([[5.0], [7.0]])
    assert grad_central_difference(lambda u, v: u * v, a, b, arg=1, ind=(1, 0)) == pytest.approx(5.0)
    assert grad_central_difference(lambda u, v: u * v, a, b, arg=0, ind=(0, 1)) == pytest.approx(12.0)
    assert grad_central_difference(lambda u: u * u, a, ind=(0, 0), epsilon=1e-3) == pytest.approx(4.0)


def test_a_smooth_function_is_evaluated_twice_a_direction():
    """The course's tests check thousands of gradients; thirty-five evaluations a direction would take an hour."""
    calls = []

    def square(x):
        calls.append(x)
        return x * x

    x = make(np.arange(1.0, 28.0).reshape(3, 3, 3))
    grad_check(square, x)
    directions = 1 + 16  # one through all elements, and the elements that are checked alone
    assert len(calls) <= 2 + 2 * directions


def test_a_function_that_is_undefined_on_one_side_is_judged_by_the_other():
    def root(x):
        if x[0] < 0.0:
            raise ValueError("no root")
        return x * x

    grad_check(root, make([0.0]))


@pytest.mark.parametrize("shift", [0.0, -300.0])
def test_a_flat_function_is_settled_at_once(shift):
    """``exp(x - 300)``, whose slope of 1e-130 no step could find, and a constant."""
    calls = []

    def flat(x):
        calls.append(x)
        return (x + shift).exp() if shift else x * 0.0

    grad_check(flat, make([1.0, 2.0]))
    assert len(calls) <= 2 + 2 * 3
