"""The shared list of functions: complete, paired by name, and the same in both versions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minitorch.scalar import Scalar
from minitorch.testing import MathTest, MathTestVariable

# The same functions, written once more with Python's own mathematics.
EXPECTED_ONE = {
    "addConstant": lambda a: 5 + a,
    "complex": lambda a: math.log(1 / (1 + math.exp(-10 * max(max(10 * a + 7, 0) * 6 + 5, 0))) + 1e-6) / 50,
    "cube": lambda a: a**3,
    "div": lambda a: a / 5,
    "exp": lambda a: math.exp(a - 200),
    "explog": lambda a: math.log(a + 100000 + 1e-6) + math.exp(a - 200),
    "inv": lambda a: 1 / (a + 3.5),
    "log": lambda a: math.log(a + 100000 + 1e-6),
    "multConstant": lambda a: 5 * a,
    "neg": lambda a: -a,
    "relu": lambda a: max(a + 5.5, 0),
    "sig": lambda a: 1 / (1 + math.exp(-a)),
    "square": lambda a: a**2,
    "subConstant": lambda a: a - 5,
}
EXPECTED_TWO = {
    "add2": lambda a, b: a + b,
    "div2": lambda a, b: a / (b + 5.5),
    "eq2": lambda a, b: float(a == b + 5.5),
    "gt2": lambda a, b: float(a + 1.2 > b),
    "lt2": lambda a, b: float(a + 1.2 < b),
    "mul2": lambda a, b: a * b,
}
REDUCTIONS = ["mean_full_red", "mean_red", "sum_red"]
POINTS = [-7.25, -0.5, 0.0, 2.0, 40.0]


def names(group):
    return [entry[0] for entry in group]


@pytest.mark.parametrize("cls", [MathTest, MathTestVariable])
def test_the_lists_are_complete_and_sorted_by_number_of_arguments(cls):
    one, two, reductions = cls._tests()
    assert names(one) == list(EXPECTED_ONE)
    assert names(two) == list(EXPECTED_TWO)
    assert names(reductions) == REDUCTIONS


def test_the_comparison_pairs_numbers_with_variables():
    groups = MathTestVariable._comp_testing()
    assert [names(group) for group in groups] == [list(EXPECTED_ONE), list(EXPECTED_TWO), REDUCTIONS]
    for group in groups:
        for name, on_numbers, on_variables in group:
            assert on_numbers is getattr(MathTest, name)
            assert on_variables is getattr(MathTestVariable, name)


@pytest.mark.parametrize("name", EXPECTED_ONE)
def test_a_function_of_one_argument_has_its_value_in_both_versions(name):
    for a in POINTS:
        expected = pytest.approx(EXPECTED_ONE[name](a), rel=1e-9, abs=0)
        assert getattr(MathTest, name)(a) == expected
        assert getattr(MathTestVariable, name)(Scalar(a)).data == expected


@pytest.mark.parametrize("name", EXPECTED_TWO)
def test_a_function_of_two_arguments_has_its_value_in_both_versions(name):
    for a in POINTS:
        # The last two points are where eq2 is one, and where gt2 and lt2 jump.
        for b in [*POINTS, a - 5.5, a + 1.2]:
            if name == "div2" and b + 5.5 == 0.0:
                continue
            expected = pytest.approx(EXPECTED_TWO[name](a, b), rel=1e-12)
            assert getattr(MathTest, name)(a, b) == expected
            assert getattr(MathTestVariable, name)(Scalar(a), Scalar(b)).data == expected


def test_the_reductions_of_a_list():
    ls = [1.0, 2.0, 6.0]
    assert MathTest.sum_red(ls) == 9.0
    assert MathTest.mean_red(ls) == MathTest.mean_full_red(ls) == 3.0


def test_the_reductions_of_an_array_with_the_methods_of_a_tensor():
    """NumPy's arrays have ``sum`` and ``mean`` with the same first argument."""
    array = np.array([[1.0, 2.0], [3.0, 6.0]])
    assert MathTestVariable.sum_red(array).tolist() == [4.0, 8.0]
    assert MathTestVariable.mean_red(array).tolist() == [2.0, 4.0]
    assert MathTestVariable.mean_full_red(array) == 3.0


def test_a_division_by_zero_is_infinite_in_both_versions():
    b = 0.0 - 5.5
    assert MathTest.div2(2.0, b) == MathTestVariable.div2(Scalar(2.0), Scalar(b)).data == math.inf
    assert MathTest.inv(b + 2.0) == MathTestVariable.inv(Scalar(b + 2.0)).data == math.inf
