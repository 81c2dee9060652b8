"""The chain rule: numerical derivatives, the order of the walk, and what each variable receives."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch import operators
from minitorch.autodiff import (
    Context,
    backpropagate,
    central_difference,
    is_grad_enabled,
    no_grad,
    topological_sort,
)
from minitorch.errors import DTypeError, GraphError
from minitorch.scalar import Scalar, ScalarHistory
from minitorch.scalar_functions import ScalarFunction

from .strategies import small_floats


class AddTen(ScalarFunction):
    @staticmethod
    def forward(ctx, x, y):
        return x + y + 10

    @staticmethod
    def backward(ctx, d_output):
        return d_output, d_output


class MulPlusFirst(ScalarFunction):
    """The function x y + x, with derivatives y + 1 and x."""

    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x * y + x

    @staticmethod
    def backward(ctx, d_output):
        x, y = ctx.saved_values
        return d_output * (y + 1), d_output * x


# --- task 1.1 ---


@pytest.mark.task1_1
@given(small_floats, small_floats)
def test_central_difference_of_a_product_and_a_sum(x, y):
    np.testing.assert_allclose(central_difference(operators.mul, x, y, arg=0), y, atol=1e-4)
    np.testing.assert_allclose(central_difference(operators.mul, x, y, arg=1), x, atol=1e-4)
    np.testing.assert_allclose(central_difference(operators.add, x, y, arg=1), 1.0, atol=1e-4)


@pytest.mark.task1_1
def test_central_difference_is_of_second_order():
    """A tenth of the step leaves a hundredth of the error."""
    errors = [central_difference(math.exp, 1.0, epsilon=h) - math.e for h in (1e-2, 1e-3)]
    assert errors[0] == pytest.approx(math.e / 6 * 1e-4, rel=1e-3)
    assert errors[0] / errors[1] == pytest.approx(100, rel=1e-2)


@pytest.mark.task1_1
def test_central_difference_of_scalars_is_a_scalar():
    slope = central_difference(lambda x, y: x * y, Scalar(2.0), Scalar(7.0), arg=0)
    assert isinstance(slope, Scalar)
    assert slope.data == pytest.approx(7.0)


# --- task 1.3 ---


@pytest.mark.task1_3
def test_the_context_keeps_values_unless_told_not_to():
    ctx = Context()
    ctx.save_for_backward(1.0, 2.0)
    assert ctx.saved_values == ctx.saved_tensors == (1.0, 2.0)
    ctx = Context(no_grad=True)
    ctx.save_for_backward(1.0)
    assert ctx.saved_values == ()


@pytest.mark.task1_3
def test_the_chain_rule_covers_every_input_of_a_hand_made_history():
    x = Scalar(0.0)
    y = Scalar(0.0, ScalarHistory(AddTen, ctx=Context(), inputs=[x, x]))
    assert list(y.chain_rule(d_output=5)) == [(x, 5), (x, 5)]


@pytest.mark.task1_3
@given(small_floats, small_floats, small_floats)
def test_the_chain_rule_multiplies_by_each_derivative(x, y, d):
    first, second = Scalar(x), Scalar(y)
    pairs = list(MulPlusFirst.apply(first, second).chain_rule(d))
    assert [variable is expected for (variable, _), expected in zip(pairs, [first, second])] == [True, True]
    np.testing.assert_allclose([derivative for _, derivative in pairs], [d * (y + 1), d * x])


@pytest.mark.task1_3
def test_a_plain_number_becomes_a_leaf_of_its_own():
    y = Scalar(5)
    (constant, _), (variable, derivative) = MulPlusFirst.apply(10, y).chain_rule(d_output=5)
    assert (constant.data, constant.is_leaf()) == (10.0, True)
    assert (variable is y, derivative) == (True, 50)


@pytest.mark.task1_3
@pytest.mark.parametrize(("derivatives", "count"), [((1.0,), 1), ((1.0, 2.0, 3.0), 3), (1.0, 1)])
def test_a_wrong_number_of_derivatives_is_named(derivatives, count):
    class Careless(AddTen):
        @staticmethod
        def backward(ctx, d_output):
            return derivatives

    with pytest.raises(GraphError, match=rf"Careless.backward to return 2 derivatives.*got {count}"):
        Careless.apply(1.0, 2.0).backward()


@pytest.mark.task1_3
def test_a_forward_must_return_a_number():
    class Wordy(AddTen):
        @staticmethod
        def forward(ctx, x, y):
            return str(x)

    class Whole(AddTen):
        @staticmethod
        def forward(ctx, x, y):
            return 3

    with pytest.raises(DTypeError, match=r"Wordy.forward to return a float, got str"):
        Wordy.apply(1.0, 2.0)
    assert type(Whole._forward(Context(), 1.0, 2.0)) is float
    assert Whole.apply(1.0, 2.0).data == 3.0


@pytest.mark.task1_3
def test_no_chain_rule_without_a_function():
    for scalar in (Scalar(1.0), Scalar(1.0, None)):
        with pytest.raises(GraphError, match="a leaf or a constant"):
            scalar.chain_rule(1.0)


# --- task 1.4 ---


@pytest.mark.task1_4
def test_backpropagation_adds_over_every_path():
    x = Scalar(0)
    AddTen.apply(0, AddTen.apply(0, x)).backward(d_output=5)
    assert x.derivative == 5

    x = Scalar(0)
    AddTen.apply(AddTen.apply(0, x), AddTen.apply(0, x)).backward(d_output=5)
    assert x.derivative == 10

    x = Scalar(0)
    inner = AddTen.apply(0, x)
    AddTen.apply(AddTen.apply(0, inner), AddTen.apply(0, inner)).backward(d_output=5)
    assert x.derivative == 10


@pytest.mark.task1_4
def test_a_diamond_waits_for_both_of_its_sides():
    a = Scalar(1.0)
    b = a + a
    c = b + b
    c.backward()
    assert a.derivative == 4.0
    assert b.derivative is None


@st.composite
def expressions(draw):
    """A random graph: each value after the first two is a sum or a product of two before it."""
    steps = []
    for i in range(draw(st.integers(1, 12))):
        before = st.integers(0, i + 1)
        steps.append((draw(st.sampled_from([operators.add, operators.mul])), draw(before), draw(before)))
    return steps


def evaluate(steps, x, y):
    values = [x, y]
    for function, i, j in steps:
        values.append(function(values[i], values[j]))
    return values


@pytest.mark.task1_4
@given(expressions(), st.floats(-1.5, 1.5), st.floats(-1.5, 1.5))
def test_any_graph_has_the_derivatives_of_forward_differentiation(steps, x, y):
    """Forward mode, a value and its derivative side by side, needs no order and no graph."""

    class Dual:
        def __init__(self, value, slope):
            self.value, self.slope = value, slope

        def __add__(self, other):
            return Dual(self.value + other.value, self.slope + other.slope)

        def __mul__(self, other):
            return Dual(self.value * other.value, self.value * other.slope + self.slope * other.value)

    leaves = Scalar(x), Scalar(y)
    evaluate(steps, *leaves)[-1].backward()
    for leaf, direction in zip(leaves, [(1.0, 0.0), (0.0, 1.0)]):
        expected = evaluate(steps, Dual(x, direction[0]), Dual(y, direction[1]))[-1].slope
        np.testing.assert_allclose(leaf.derivative or 0.0, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.task1_4
@given(expressions())
def test_the_order_lists_each_variable_once_before_its_inputs(steps):
    values = evaluate(steps, Scalar(1.0), Scalar(2.0))
    order = topological_sort(values[-1])
    place = {scalar.unique_id: i for i, scalar in enumerate(order)}
    assert order[0] is values[-1]
    assert len(place) == len(order)
    for scalar in order:
        assert all(place[parent.unique_id] > place[scalar.unique_id] for parent in scalar.parents)


@pytest.mark.task1_4
def test_constants_are_left_out():
    x, constant = Scalar(3.0), Scalar(2.0, None)
    y = x * constant
    assert topological_sort(y) == [y, x]
    assert topological_sort(constant) == []
    y.backward()
    assert (x.derivative, constant.derivative) == (2.0, None)


@pytest.mark.task1_4
def test_an_input_without_a_derivative_receives_none():
    class FirstOnly(AddTen):
        @staticmethod
        def backward(ctx, d_output):
            return d_output, None

    x, y = Scalar(1.0), Scalar(2.0)
    inner = y * 3.0
    backpropagate(FirstOnly.apply(x, inner), 1.0)
    assert (x.derivative, y.derivative) == (1.0, None)


def test_two_threads_inside_one_function_that_does_not_record():
    """Each leaves it as it came: one recording, one not, and the one that came first leaves first."""
    inside, left, found = threading.Event(), threading.Event(), []

    @no_grad()
    def wait_inside(mine, other):
        mine.set()
        assert other.wait(60)

    def without():
        with no_grad():
            assert inside.wait(60)
            wait_inside(entered, left)
            found.append(is_grad_enabled())

    entered = threading.Event()
    worker = threading.Thread(target=without)
    worker.start()
    wait_inside(inside, entered)
    recording = is_grad_enabled()
    left.set()
    worker.join()
    assert (recording, found) == (True, [False])
