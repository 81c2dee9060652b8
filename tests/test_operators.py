"""Functions of numbers: their values against Python's and SciPy's, their laws, and the same values compiled."""

from __future__ import annotations

import builtins
import math

import numba
import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy import special

from minitorch import operators
from minitorch.autodiff import central_difference
from minitorch.errors import ShapeError
from minitorch.testing import MathTest

from .strategies import any_floats, small_floats

UNARY = [
    operators.id,
    operators.neg,
    operators.sigmoid,
    operators.relu,
    operators.log,
    operators.exp,
    operators.inv,
]
BINARY = [operators.mul, operators.add, operators.lt, operators.eq, operators.max, operators.is_close]
BACKWARD = [
    operators.sigmoid_back,
    operators.relu_back,
    operators.log_back,
    operators.exp_back,
    operators.inv_back,
]


def name_of(function):
    return function.__name__


# --- task 0.1: values ---


@pytest.mark.task0_1
@given(any_floats, any_floats)
def test_arithmetic_is_pythons(x, y):
    pairs = [(operators.mul(x, y), x * y), (operators.add(x, y), x + y), (operators.neg(x), -x), (operators.id(x), x)]
    for actual, expected in pairs:
        np.testing.assert_equal(actual, expected)


@pytest.mark.task0_1
@given(any_floats, any_floats)
def test_comparisons_give_one_or_zero(x, y):
    for actual, expected in [(operators.lt(x, y), x < y), (operators.eq(x, y), x == y)]:
        assert isinstance(actual, float)
        assert actual == (1.0 if expected else 0.0)


@pytest.mark.task0_1
@given(any_floats, any_floats)
@example(math.nan, 1.0)
@example(1.0, math.nan)
def test_max_is_the_larger_and_keeps_nan(x, y):
    np.testing.assert_equal(operators.max(x, y), float(np.maximum(x, y)))


@pytest.mark.task0_1
def test_is_close_means_nearer_than_a_hundredth():
    assert operators.is_close(2.0, 2.0 + 0.0099) == operators.is_close(2.0 + 0.0099, 2.0) == 1.0
    assert operators.is_close(2.0, 2.0 + 0.0101) == operators.is_close(2.0 + 0.0101, 2.0) == 0.0
    assert operators.is_close(math.inf, math.inf) == 1.0
    assert operators.is_close(math.inf, -math.inf) == operators.is_close(math.nan, math.nan) == 0.0


@pytest.mark.task0_1
@given(st.floats(allow_nan=False))
def test_sigmoid_is_scipys(x):
    np.testing.assert_allclose(operators.sigmoid(x), special.expit(x), rtol=1e-15)


@pytest.mark.task0_1
@given(any_floats)
@example(math.nan)
def test_relu_is_numpys_maximum_with_zero(x):
    np.testing.assert_equal(operators.relu(x) + 0.0, float(np.maximum(x, 0.0)) + 0.0)


@pytest.mark.task0_1
@given(any_floats)
@example(0.0)
@example(-1e-6)
@example(-1.0)
def test_log_is_numpys_a_millionth_further(x):
    with np.errstate(all="ignore"):
        expected = float(np.log(np.float64(x) + 1e-6))
    np.testing.assert_allclose(operators.log(x), expected, rtol=1e-15)


@pytest.mark.task0_1
@given(any_floats)
@example(709.782712893384)
@example(math.nextafter(709.782712893384, math.inf))
def test_exp_is_numpys(x):
    with np.errstate(all="ignore"):
        expected = float(np.exp(np.float64(x)))
    np.testing.assert_allclose(operators.exp(x), expected, rtol=1e-15, atol=0)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(operators.exp_back(x, 2.0), np.float64(2.0) * expected, rtol=1e-15)


@pytest.mark.task0_1
@given(any_floats)
@example(0.0)
@example(-0.0)
@example(5e-324)
def test_inv_is_numpys(x):
    with np.errstate(all="ignore"):
        expected = float(np.float64(1.0) / np.float64(x))
        slope = float(np.float64(-3.0) / (np.float64(x) * np.float64(x)))
    np.testing.assert_equal(operators.inv(x), expected)
    np.testing.assert_equal(operators.inv_back(x, 3.0), slope)


@pytest.mark.task0_1
@pytest.mark.parametrize(
    ("function", "backward"),
    [
        (operators.sigmoid, operators.sigmoid_back),
        (operators.exp, operators.exp_back),
        (operators.inv, operators.inv_back),
        (operators.log, operators.log_back),
        (operators.relu, operators.relu_back),
    ],
    ids=["sigmoid", "exp", "inv", "log", "relu"],
)
@given(x=st.floats(0.1, 20.0), sign=st.sampled_from([-1.0, 1.0]), d=small_floats)
def test_a_backward_function_is_the_slope_times_d(function, backward, x, sign, d):
    x = x if function is operators.log else sign * x
    np.testing.assert_allclose(backward(x, d), d * central_difference(function, x), rtol=1e-3, atol=1e-7)


@pytest.mark.task0_1
def test_the_slope_of_relu_at_its_kink_is_zero():
    assert operators.relu_back(0.0, 5.0) == 0.0
    assert operators.relu_back(5e-324, 5.0) == 5.0


@pytest.mark.task0_1
def test_the_slope_of_sigmoid_keeps_its_digits_far_out():
    """At 50 the sigmoid rounds to 1, and s (1 - s) would be zero."""
    np.testing.assert_allclose(operators.sigmoid_back(50.0, 1.0), math.exp(-50.0), rtol=1e-12)
    np.testing.assert_allclose(operators.sigmoid_back(-50.0, 1.0), math.exp(-50.0), rtol=1e-12)


# --- task 0.2: laws ---


@pytest.mark.task0_2
@given(st.floats(-20.0, 20.0), st.floats(1e-3, 10.0))
def test_sigmoid(a, step):
    """It stays within (0, 1), is one minus its mirror image, passes 0.5 at zero, and increases."""
    value = operators.sigmoid(a)
    assert 0.0 < value < 1.0
    np.testing.assert_allclose(1.0 - value, operators.sigmoid(-a), atol=1e-15)
    assert operators.sigmoid(0.0) == 0.5
    assert operators.lt(operators.sigmoid(a - step), value) == 1.0


@pytest.mark.task0_2
@given(small_floats, small_floats, small_floats)
def test_transitive(a, b, c):
    """Of a < b and b < c follows a < c."""
    a, b, c = sorted([a, b, c])
    assume(a < b < c)
    assert operators.lt(a, b) == operators.lt(b, c) == operators.lt(a, c) == 1.0
    assert operators.lt(c, a) == 0.0


@pytest.mark.task0_2
@given(any_floats, any_floats)
def test_symmetric(a, b):
    """The order of the factors, of the terms and of what is compared does not matter."""
    for function in (operators.mul, operators.add, operators.eq, operators.is_close):
        np.testing.assert_equal(function(a, b), function(b, a))


@pytest.mark.task0_2
@given(small_floats, small_floats, small_floats)
def test_distribute(x, y, z):
    """z (x + y) is z x + z y, but for rounding."""
    whole = operators.mul(z, operators.add(x, y))
    parts = operators.add(operators.mul(z, x), operators.mul(z, y))
    np.testing.assert_allclose(whole, parts, atol=1e-11)


@pytest.mark.task0_2
@given(st.floats(1e-3, 100.0), small_floats)
def test_other(positive, a):
    """Inverses undo: of inv itself, of log and exp, of neg and add."""
    np.testing.assert_allclose(operators.inv(operators.inv(positive)), positive, rtol=1e-15)
    np.testing.assert_allclose(operators.exp(operators.log(positive)), positive + 1e-6, rtol=1e-14)
    assert operators.add(a, operators.neg(a)) == 0.0
    assert operators.max(a, operators.neg(a)) == abs(a)
    assert operators.add(operators.relu(a), operators.neg(operators.relu(-a))) == a


# --- task 0.3: lists ---

small_lists = st.lists(small_floats)
pairs_of_lists = st.lists(st.tuples(small_floats, small_floats)).map(
    lambda ps: ([a for a, _ in ps], [b for _, b in ps])
)


@pytest.mark.task0_3
@given(small_lists)
def test_map_applies_to_each(ls):
    assert operators.map(operators.relu)(ls) == [builtins.max(x, 0.0) for x in ls]
    assert operators.negList(iter(ls)) == [-x for x in ls]


@pytest.mark.task0_3
@given(pairs_of_lists)
def test_zip_with(lists):
    first, second = lists
    assert operators.addLists(first, second) == [x + y for x, y in zip(first, second)]
    assert operators.zipWith(operators.lt)(first, iter(second)) == [float(x < y) for x, y in zip(first, second)]


@pytest.mark.task0_3
def test_lists_of_different_lengths_do_not_pair():
    with pytest.raises(ShapeError, match="same length, got 2 and 3 elements"):
        operators.addLists([1.0, 2.0], [1.0, 2.0, 3.0])


@pytest.mark.task0_3
def test_reduce_folds_from_the_left():
    trace = operators.reduce(lambda so_far, x: 10 * so_far + x, 0.0)
    assert trace([1.0, 2.0, 3.0]) == 123.0
    assert trace([]) == 0.0


@pytest.mark.task0_3
@given(pairs_of_lists)
def test_sum_distribute(lists):
    """The sum of two lists added is the sum of their sums, but for rounding."""
    first, second = lists
    np.testing.assert_allclose(
        operators.sum(operators.addLists(first, second)), operators.sum(first) + operators.sum(second), atol=1e-9
    )


@pytest.mark.task0_3
@given(small_lists)
def test_sum_and_prod_are_pythons(ls):
    np.testing.assert_allclose(operators.sum(ls), math.fsum(ls), atol=1e-9)
    np.testing.assert_allclose(operators.prod(ls), math.prod(ls), rtol=1e-12)
    assert (operators.sum([]), operators.prod([])) == (0.0, 1.0)


# --- compiled ---

HARD = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.005,
    -1e-6,
    5e-324,
    -36.0,
    36.0,
    700.0,
    710.0,
    -746.0,
    1e200,
    math.inf,
    -math.inf,
    math.nan,
]


@pytest.mark.parametrize("function", UNARY, ids=name_of)
def test_a_compiled_function_gives_the_same_values(function):
    compiled = numba.njit(function)
    for x in HARD:
        np.testing.assert_allclose(compiled(x), function(x), rtol=1e-15, err_msg=str(x))


@pytest.mark.parametrize("function", BINARY + BACKWARD, ids=name_of)
def test_a_compiled_function_of_two_gives_the_same_values(function):
    compiled = numba.njit(function)
    for x in HARD:
        for y in HARD:
            np.testing.assert_allclose(compiled(x, y), function(x, y), rtol=1e-14, err_msg=f"{x}, {y}")


@pytest.mark.parametrize("function", UNARY, ids=name_of)
def test_float32_is_taken_and_accurate(function):
    """Plain and compiled, within what the argument's 24 bits allow."""
    compiled = numba.njit(function)
    for x in np.array([-2.5, -0.3, 0.0, 0.7, 3.0], np.float32):
        exact = function(float(x))
        np.testing.assert_allclose(compiled(x), exact, rtol=1e-6, err_msg=str(x))
        np.testing.assert_allclose(function(x), exact, rtol=1e-6, err_msg=str(x))


# --- the shared list of functions ---

one_arg, two_arg, reductions = MathTest._tests()


@pytest.mark.parametrize("named", one_arg, ids=lambda named: named[0])
@given(x=small_floats)
def test_functions_of_one_argument_are_finite(named, x):
    assume(x + 3.5 != 0.0)
    assert math.isfinite(named[1](x))


@pytest.mark.parametrize("named", two_arg, ids=lambda named: named[0])
@given(x=small_floats, y=small_floats)
def test_functions_of_two_arguments_are_finite(named, x, y):
    assume(y + 5.5 != 0.0)
    assert math.isfinite(named[1](x, y))


@pytest.mark.parametrize("named", reductions, ids=lambda named: named[0])
@given(ls=st.lists(small_floats, min_size=1))
def test_reductions_lie_between_the_extremes_times_the_length(named, ls):
    value = named[1](ls)
    assert len(ls) * min(ls) - 1e-9 <= value * (len(ls) if "mean" in named[0] else 1) <= len(ls) * max(ls) + 1e-9
