"""Numbers with a history: they compute as Python's do, know their derivatives, and wrong derivatives are found."""

from __future__ import annotations

import gc
import math
import operator
import weakref

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from minitorch.autodiff import no_grad
from minitorch.errors import DTypeError, GradientError, GraphError
from minitorch.module import Parameter
from minitorch.scalar import Scalar, ScalarHistory, derivative_check
from minitorch.scalar_functions import Exp, Mul, ScalarFunction
from minitorch.testing import MathTestVariable

from .strategies import any_floats, small_floats, small_scalars

ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv]
COMPARISONS = [operator.lt, operator.gt, operator.le, operator.ge, operator.eq, operator.ne]


def either_way(function, x, y):
    """Apply to two Scalars, and to a number on either side."""
    return [function(Scalar(x), Scalar(y)), function(Scalar(x), y), function(x, Scalar(y))]


# --- task 1.2: values ---


@pytest.mark.task1_2
@pytest.mark.parametrize("function", ARITHMETIC)
@given(x=small_floats, y=small_floats)
def test_arithmetic_is_pythons(function, x, y):
    assume(function is not operator.truediv or abs(y) > 1e-3)
    for result in either_way(function, x, y):
        assert isinstance(result, Scalar)
        np.testing.assert_allclose(result.data, function(x, y), rtol=1e-15)


@pytest.mark.task1_2
@pytest.mark.parametrize("function", COMPARISONS)
@given(x=any_floats, y=any_floats)
@example(x=math.nan, y=1.0)
@example(x=1.0, y=math.nan)
def test_comparisons_are_pythons_as_numbers(function, x, y):
    for a, b in [(x, y), (x, x)]:
        for result in either_way(function, a, b):
            assert isinstance(result, Scalar)
            assert result.data == (1.0 if function(a, b) else 0.0)


@pytest.mark.task1_2
@given(small_floats)
def test_functions_are_numpys(x):
    np.testing.assert_allclose((-Scalar(x)).data, -x)
    np.testing.assert_allclose(Scalar(x).exp().data, np.exp(x), rtol=1e-14)
    np.testing.assert_allclose(Scalar(x).sigmoid().data, 1 / (1 + np.exp(-x)), rtol=1e-14)
    np.testing.assert_allclose(Scalar(x).relu().data, np.maximum(x, 0))
    np.testing.assert_allclose(Scalar(abs(x)).log().data, np.log(abs(x) + 1e-6), rtol=1e-12)


@pytest.mark.task1_2
def test_numpys_numbers_are_numbers():
    for number in (np.float32(2.0), np.float64(2.0), np.int64(2), True + True):
        for result in (number * Scalar(3.0), Scalar(3.0) * number):
            assert isinstance(result, Scalar)
            assert (type(result.data), result.data) == (float, 6.0)
        assert isinstance(number < Scalar(3.0), Scalar)
    with pytest.raises(DTypeError, match="got ndarray"):
        np.array([1.0, 2.0]) * Scalar(3.0)


@pytest.mark.task1_2
def test_a_division_by_zero_is_infinite():
    assert (Scalar(-1.0) / 0.0).data == -math.inf
    assert (1.0 / Scalar(0.0)).data == math.inf


@pytest.mark.task1_2
def test_the_fields_and_their_order():
    history = ScalarHistory()
    x = Scalar(2, history, 1.5, "x")
    assert (x.data, x.history, x.derivative, x.name) == (2.0, history, 1.5, "x")
    assert type(x.data) is float
    unnamed = Scalar(1.0)
    assert unnamed.name == str(unnamed.unique_id)
    assert unnamed.unique_id > x.unique_id
    unnamed.name = "y"
    assert unnamed.name == "y"
    with pytest.raises(AttributeError):
        unnamed.derivate = 1.0


@pytest.mark.task1_2
def test_a_scalar_reads_as_a_number():
    assert (repr(Scalar(5)), str(Scalar(-0.5))) == ("Scalar(5.0)", "Scalar(-0.5)")
    assert float(Scalar(2.5)) == 2.5
    assert Scalar(0.1)
    assert not Scalar(0.0)
    assert not Scalar(3.0) < Scalar(2.0)


@pytest.mark.task1_2
def test_a_scalar_is_itself_in_sets_and_lists():
    x, y = Scalar(1.0), Scalar(1.0)
    assert len({x, y, x}) == 2
    assert {x: "found"}[x] == "found"
    assert x != None  # noqa: E711
    assert x != "1.0"
    assert x in ["a", None, 1.0]


@pytest.mark.task1_2
def test_what_is_no_number_is_refused():
    for bad in ("5", None, [1.0], 1j):
        with pytest.raises(DTypeError, match="Expected a number or a Scalar"):
            Scalar(bad)
    with pytest.raises(DTypeError, match="got str"):
        Scalar(1.0) + "a"
    with pytest.raises(DTypeError, match=r"got Parameter\. Did you mean its \.value\?"):
        Scalar(1.0) * Parameter(2.0)
    with pytest.raises(DTypeError, match="got Scalar"):
        Scalar(Scalar(1.0))


# --- history ---


@pytest.mark.task1_3
def test_leaves_constants_and_results():
    leaf, constant = Scalar(2.0), Scalar(2.0, None)
    result = leaf * constant
    assert [leaf.is_leaf(), constant.is_leaf(), result.is_leaf()] == [True, False, False]
    assert [leaf.is_constant(), constant.is_constant(), result.is_constant()] == [False, True, False]
    assert result.history.last_fn is Mul
    assert result.history.last_fn.__name__ == "Mul"
    assert list(result.history.inputs) == list(result.parents) == [leaf, constant]
    assert (list(leaf.parents), list(constant.parents)) == ([], [])


@pytest.mark.task1_3
def test_leaves_do_not_share_a_history():
    assert Scalar(1.0).history is not Scalar(1.0).history


@pytest.mark.task1_4
def test_derivatives_accumulate_in_leaves_only():
    x = Scalar(2.0)
    (x * x).backward()
    (x * 3.0).backward(d_output=2.0)
    assert x.derivative == 4.0 + 6.0
    with pytest.raises(GraphError, match="Expected a leaf"):
        (x * x).accumulate_derivative(1.0)
    with pytest.raises(GraphError, match="Expected a leaf"):
        Scalar(1.0, None).accumulate_derivative(1.0)


@pytest.mark.task1_4
def test_the_derivative_of_a_leaf_with_respect_to_itself_is_one():
    x = Scalar(2.0)
    x.backward()
    assert x.derivative == 1.0


@pytest.mark.task1_4
def test_a_constant_cannot_be_differentiated():
    with pytest.raises(GraphError, match="the constant Scalar"):
        Scalar(1.0, None).backward()


@pytest.mark.task1_4
def test_a_graph_is_kept_unless_it_is_to_be_freed():
    x = Scalar(3.0)
    y = x * x
    y.backward()
    y.backward(retain_graph=False)
    assert x.derivative == 12.0
    with pytest.raises(GraphError, match="retain_graph=True"):
        y.backward()
    assert (x.derivative, y.data, y.is_leaf()) == (12.0, 9.0, False)
    with pytest.raises(GraphError, match="released"):
        (y + 1.0).backward()


@pytest.mark.task1_4
def test_releasing_a_leaf_or_a_constant_changes_nothing():
    for scalar in (Scalar(1.0), Scalar(1.0, None)):
        before = scalar.history
        scalar.release_graph()
        assert scalar.history is before


@pytest.mark.task1_4
def test_nothing_is_recorded_under_no_grad():
    x = Scalar(3.0)
    with no_grad():
        y = x * x + 1.0
    assert (y.data, y.is_constant()) == (10.0, True)
    (y * x).backward()
    assert x.derivative == 10.0


LONG = 100_000


@pytest.mark.task1_4
@pytest.mark.parametrize("retain_graph", [True, False])
def test_a_chain_of_a_hundred_thousand_operations_differentiates_and_is_freed(retain_graph):
    x = Scalar(0.5)
    y = x
    for i in range(LONG):
        y = y * 1.0001 if i % 2 else y - 0.25 * x
    middle = weakref.ref(y.history.inputs[0])
    y.backward(retain_graph=retain_graph)
    slope = 1.0
    for i in range(LONG):
        slope = slope * 1.0001 if i % 2 else slope - 0.25
    assert x.derivative == pytest.approx(slope, rel=1e-9)
    assert (middle() is not None) == retain_graph
    del y
    gc.collect()
    assert middle() is None


# --- task 1.4: derivatives ---

one_arg, two_arg, _ = MathTestVariable._tests()


@pytest.mark.task1_4
@pytest.mark.parametrize("named", one_arg, ids=lambda named: named[0])
@given(x=small_scalars)
def test_the_derivatives_of_functions_of_one_argument(named, x):
    derivative_check(named[1], x)
    assert x.derivative is None


@pytest.mark.task1_4
@pytest.mark.parametrize("named", two_arg, ids=lambda named: named[0])
@given(x=small_scalars, y=small_scalars)
def test_the_derivatives_of_functions_of_two_arguments(named, x, y):
    derivative_check(named[1], x, y)


@pytest.mark.task1_4
@given(st.floats(0.1, 20.0))
def test_derivatives_in_closed_form(x):
    for function, expected in [
        (lambda a: a.exp(), math.exp(x)),
        (lambda a: a.log(), 1 / (x + 1e-6)),
        (lambda a: a.sigmoid(), math.exp(-x) / (1 + math.exp(-x)) ** 2),
        (lambda a: 1 / a, -1 / x**2),
        (lambda a: 2 - a / 4, -0.25),
        (lambda a: (-a).relu() + (3 * a).relu(), 3.0),
        (lambda a: (a < 5) + (a == x) + a * a, 2 * x),
        (lambda a: (a >= x) * a, 1.0),
        (lambda a: (a != 5) * a * a * a, 3 * x**2 if x != 5 else 0.0),
    ]:
        leaf = Scalar(x)
        function(leaf).backward()
        np.testing.assert_allclose(leaf.derivative, expected, rtol=1e-12)


# --- the check, fed with wrong derivatives ---


def wrong(factor=1.0, offset=0.0):
    """The identity, with a derivative that is not 1."""

    class Wrong(ScalarFunction):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, d_output):
            return d_output * factor + offset

    return Wrong.apply


SMOOTH = {
    "square": lambda x: x * x,
    "cube": lambda x: x * x * x,
    "exp": lambda x: x.exp(),
    "small exp": lambda x: (x - 200).exp(),
    "sigmoid": lambda x: x.sigmoid(),
    "log": lambda x: (x + 100000).log(),
    "inverse": lambda x: 1 / x,
    "steep": lambda x: 1000000 * x - 1000000000,
}
POINTS = [-20.25, -3.0, -0.7, 0.001, 0.3, 1.0, 15.5]


def must_be_found(f, x):
    """The right derivative passes, and no wrong one does."""
    derivative_check(f, x)
    for factor in (0.99, 1.01, 0.0, -1.0, math.nan, math.inf):
        tampered = wrong(factor)
        with pytest.raises(GradientError, match="argument 0"):
            derivative_check(lambda a: f(tampered(a)), x)  # noqa: B023


@pytest.mark.parametrize("x", POINTS)
@pytest.mark.parametrize("name", SMOOTH)
def test_one_percent_is_found_in_a_smooth_function(name, x):
    must_be_found(SMOOTH[name], x)


@pytest.mark.parametrize("distance", [0.5, 1e-3, 1e-6])
@pytest.mark.parametrize("x", POINTS)
def test_one_percent_is_found_beside_a_kink_and_beside_a_jump(x, distance):
    must_be_found(lambda a: (a - (x - distance)).relu(), x)
    must_be_found(lambda a: (a < x + distance) * 3.0 * a, x)


def test_the_wrong_argument_is_named():
    tampered = wrong(1.01)
    with pytest.raises(
        GradientError, match=r"Expected a derivative between 1.99 .*argument 1 at \(2.0, 3.0\), got 2.02"
    ):
        derivative_check(lambda x, y: x * tampered(y), Scalar(2.0), Scalar(3.0))


def test_a_derivative_that_never_arrives_counts_as_zero():
    derivative_check(lambda x, y: x * 2.0, Scalar(1.0), Scalar(1.0))
    with pytest.raises(GradientError, match="got 0 from backward"):
        derivative_check(lambda x: Scalar(x.data * 2.0), Scalar(1.0))


def ramp(slope):
    """The function max(x, 0), with the same derivative everywhere."""

    class Ramp(ScalarFunction):
        @staticmethod
        def forward(ctx, x):
            return max(x, 0.0)

        @staticmethod
        def backward(ctx, d_output):
            return slope * d_output

    return Ramp.apply


def test_a_kink_accepts_what_lies_between_its_slopes_and_nothing_else():
    for slope in (0.0, 0.3, 1.0):
        derivative_check(ramp(slope), 0.0)
    for slope in (-0.02, 1.02):
        with pytest.raises(GradientError):
            derivative_check(ramp(slope), 0.0)
    # Beside the kink there is one slope.
    for x, slope in [(1e-3, 0.3), (-1e-3, 0.3), (1e-3, 0.99), (-1e-3, 0.01)]:
        with pytest.raises(GradientError):
            derivative_check(ramp(slope), x)


def test_at_a_jump_the_finite_slope_and_its_direction_count():
    """The course's comparisons have derivative zero; at the jump the function only falls."""
    derivative_check(lambda x, y: x < y, Scalar(2.0), Scalar(2.0))
    derivative_check(lambda x, y: x == y, Scalar(2.0), Scalar(2.0))
    derivative_check(lambda x: x * (x < 2.0), Scalar(2.0))
    rises = wrong(0.0, offset=1.0)
    with pytest.raises(GradientError, match="between -inf"):
        derivative_check(lambda x: (x < 2.0) + 0.0 * rises(x), Scalar(2.0))


class Root(ScalarFunction):
    """The square root, which fails below zero, with a derivative that may be told to be wrong."""

    factor = 1.0

    @staticmethod
    def forward(ctx, x):
        root = math.sqrt(x)
        ctx.save_for_backward(root)
        return root

    @classmethod
    def backward(cls, ctx, d_output):
        (root,) = ctx.saved_values
        return cls.factor * d_output * (0.5 / root if root else math.inf)


class WrongRoot(Root):
    factor = 1.01


def test_where_one_side_fails_the_other_decides():
    """The root fails left of zero: near it long steps to the left fail, at it every step does."""
    for x in (1e-7, 1.0):
        derivative_check(Root.apply, x)
        with pytest.raises(GradientError):
            derivative_check(WrongRoot.apply, x)
    derivative_check(Root.apply, 0.0)

    def fails_on_the_left(x):
        if x.data < 1.0:
            raise ZeroDivisionError
        return 3.0 * x

    derivative_check(fails_on_the_left, 1.0)
    tampered = wrong(1.01)
    with pytest.raises(GradientError):
        derivative_check(lambda x: fails_on_the_left(tampered(x)), 1.0)


def test_where_one_side_is_infinite_the_other_decides():
    def blows_up_on_the_left(x):
        return x * 3.0 + (0.0 if x.data >= 1.0 else math.inf)

    derivative_check(blows_up_on_the_left, Scalar(1.0))
    tampered = wrong(1.01)
    with pytest.raises(GradientError):
        derivative_check(lambda x: blows_up_on_the_left(tampered(x)), Scalar(1.0))


def test_where_the_function_has_no_finite_value_nothing_is_wrong():
    derivative_check(lambda x: 1 / x, Scalar(0.0))
    derivative_check(lambda x: (x - 5.0).log(), Scalar(1.0))
    derivative_check(lambda x: (x * 1000.0).exp(), Scalar(1.0))


def test_the_check_refuses_what_is_no_scalar():
    with pytest.raises(DTypeError, match="return a Scalar, got float"):
        derivative_check(lambda x: x.data, Scalar(1.0))


def test_the_check_takes_plain_numbers_and_saturated_functions():
    derivative_check(Exp.apply, 1.5)
    derivative_check(lambda x: (x.sigmoid() * 1.0).log(), 36.5)
    derivative_check(lambda x: (x + 1e9) - 1e9, 1.0)
