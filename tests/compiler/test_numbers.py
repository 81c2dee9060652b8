"""Numbers and arrays among the arguments: what stands for one answers as the value itself does."""

from __future__ import annotations

import copy
import json
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch.errors import CompileError, DTypeError
from minitorch.fast_ops import FastBackend
from minitorch.tensor import Tensor

from ..cases import make

X = np.array([0.5, -1.0, 2.0])


def x_of(values: Any = X, dtype: str = "float64") -> Tensor:
    return make(values, FastBackend, dtype)


def check(step: Callable[[Tensor, Any], Any], *numbers: Any, programs: int | None = None) -> None:
    """Call a step with one number after the other, compiled and eagerly."""
    compiled = minitorch.compile(step)
    for n in numbers:
        found, expected = compiled(x_of(), n), step(x_of(), n)
        if isinstance(expected, Tensor):
            np.testing.assert_allclose(found.to_numpy(), expected.to_numpy(), rtol=1e-15)
        else:
            assert type(found) is type(expected)
            assert repr(found) == repr(expected)
    assert programs is None or len(compiled.traces) == programs


# What Python makes of a number, and how many programs the numbers 2.0, 3.0 and 2.0 take.
USES: dict[str, tuple[Callable[[Tensor, float], Any], int]] = {
    "isinstance float": (lambda x, n: x * n if isinstance(n, float) else x, 1),
    "isinstance int": (lambda x, n: x if isinstance(n, (int, str)) else x * n, 1),
    "match": (lambda x, n: {float: "float", int: "int"}[n.__class__], 1),
    "in a set": (lambda x, n: x * 5.0 if n in {2.0, 7.0} else x, 2),
    "in a tuple": (lambda x, n: x * 5.0 if n in (2.0, 7.0) else x, 2),
    "a key": (lambda x, n: {2.0: "two", 3.0: "three"}[n], 2),
    "text": (lambda x, n: f"{n}, {n!r}, {n:.2f}, {str(n)}, " + "%s %.1f %d" % (n, n, n), 2),  # noqa: RUF010, UP031
    "json": (lambda x, n: json.dumps({"n": float(n)}), 2),
    "compared": (lambda x, n: x * n if n > 1.0 else x, 1),
    "unequal": (lambda x, n: x * n if n != 3.0 else x, 2),
    "the larger": (lambda x, n: x * max(n, 2.5), 2),
    "truth": (lambda x, n: x * n if n else x, 1),
    "numpy's number": (lambda x, n: x * (n * np.float64(2) + 1.0 / (n * np.float64("inf"))), 1),
    "a comparison with numpy's number": (lambda x, n: x * n if n > np.float64(2.5) else x, 2),
    "numpy's other number": (lambda x, n: x * float(np.float32(0.1) * n + n * np.float32(0.1)), 2),
    "an array": (lambda x, n: x * float((n * np.arange(3.0) + np.arange(3.0) * n).sum()), 2),
    "a root of numpy's": (lambda x, n: x * np.sqrt(n), 2),
    "a root of Python's": (lambda x, n: x * math.sqrt(n), 2),
    "remainders": (lambda x, n: x * (n % 1.5 + n // 1.5 + 7 % n + 7 // n), 1),
    "divmod": (lambda x, n: [*divmod(n, 1.5), *divmod(7.5, n)], 1),
    "magnitude": (lambda x, n: x * (abs(-n) + +n), 1),
    "rounded": (lambda x, n: [round(n / 7.0), round(n / 7.0, 2), round(n * 100.0, -2)], 1),
    "whole": (lambda x, n: [int(n), math.floor(n), math.ceil(n), math.trunc(n)], 2),
    "a method": (lambda x, n: [n.is_integer(), n.hex(), n.real], 2),
    "attributes": (lambda x, n: [hasattr(n, name) for name in ("value", "name", "tracer", "shape")], 1),
    "a copy": (lambda x, n: x * copy.deepcopy(n), 2),
    "an exponent": (lambda x, n: (x * x) ** (n * 0.7), 1),
    "the base of a power": (lambda x, n: n**x, 1),
}


@pytest.mark.parametrize(("step", "programs"), USES.values(), ids=USES)
def test_a_number_is_used_as_the_eager_step_uses_it(step: Callable[[Tensor, float], Any], programs: int) -> None:
    check(step, 2.0, 3.0, 2.0, programs=programs)


ROUNDED = (0.0, -0.0, 0.5, 2.5, -3.7, 1e300, math.inf, math.nan)


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne])
def test_a_comparison_is_answered_anew(compare: Callable[[Any, Any], bool]) -> None:
    check(lambda x, n: [compare(n, 0.5), compare(0, n), compare(n, n)], *ROUNDED)


@pytest.mark.parametrize(
    "use",
    [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod],
)
def test_arithmetic_is_that_of_python(use: Callable[[Any, Any], Any]) -> None:
    with np.errstate(invalid="ignore"):  # an infinity has no remainder
        check(lambda x, n: [use(n, 1.5), use(n, 3), use(n, np.float64(0.7)), use(n, True)], *ROUNDED, programs=1)


def test_what_a_number_is_not_divided_by_after_a_comparison_is_not_divided_by() -> None:
    check(lambda x, n: 1.0 / n if n != 0.0 else 7.0, 2.0, 0.0, 4.0, programs=2)


def test_a_division_by_zero_is_python_s() -> None:
    step = minitorch.compile(lambda x, n: x * (1.0 / n))
    step(x_of(), 2.0)
    with pytest.raises(ZeroDivisionError):
        step(x_of(), 0.0)
    assert minitorch.compile(lambda x, n: np.float64(1.0) / n)(x_of(), math.inf) == 0.0


def test_the_type_of_a_learning_rate_is_followed() -> None:
    optimizer = minitorch.SGD([minitorch.Parameter(x_of())], lr=0.5)
    step = minitorch.compile(lambda x: x * optimizer.lr if isinstance(optimizer.lr, float) else x)
    for rate in (0.5, 2, 0.25, 3):
        optimizer.lr = rate
        np.testing.assert_array_equal(step(x_of()).to_numpy(), X * rate if isinstance(rate, float) else X)
    assert len(step.traces) == 2


def test_a_number_meets_whole_numbers_as_in_the_eager_step() -> None:
    step = minitorch.compile(lambda x, n: x * n)
    whole = x_of([1, 2, 3], "int64")
    for n in (2.0, 3.0):
        np.testing.assert_array_equal(step(whole, n).to_numpy(), np.array([1, 2, 3]) * int(n))
    with pytest.raises(DTypeError, match=r"2\.5 is no number of int64"):
        step(whole, 2.5)


def test_a_number_that_is_left_behind_is_worth_nothing() -> None:
    kept: list[Any] = []

    def result_of(n: float) -> Any:
        return type("Result", (), {"rate": n})()

    step = minitorch.compile(lambda x, n: result_of(n * 2.0))
    result = step(x_of(), 2.0)
    for use in (float, str, lambda n: n + 1.0, lambda n: x_of() * n, lambda n: n == 4.0):
        with pytest.raises(CompileError, match=r"number was only traced.*left it behind.*Return it"):
            kept.append(use(result.rate))
    assert not kept
    assert "4.0" in repr(result.rate)


def test_type_tells_a_number_and_an_array_by_what_stands_for_them() -> None:
    """No object can answer ``type`` for another one: ask ``isinstance``."""
    by_type = minitorch.compile(lambda x, n: x * 2.0 if type(n) is float else x)
    np.testing.assert_array_equal(by_type(x_of(), 2.0).to_numpy(), X)
    asked = minitorch.compile(lambda x, n: x * 2.0 if isinstance(n, float) else x)
    np.testing.assert_array_equal(asked(x_of(), 2.0).to_numpy(), X * 2.0)


# --- arrays -----------------------------------------------------------------------------------------------------------


def test_an_array_is_one() -> None:
    def step(x: Any) -> Tensor:
        return minitorch.tensor(x, backend=FastBackend) * 2.0 if isinstance(x, np.ndarray) else x * 3.0

    compiled = minitorch.compile(step)
    for x in (X, x_of(), X + 1.0, x_of(X + 1.0)):
        np.testing.assert_array_equal(compiled(x).to_numpy(), step(x).to_numpy())
    assert len(compiled.traces) == 2


def test_what_is_computed_from_an_array_and_a_weight_has_the_gradient() -> None:
    weight = minitorch.Parameter(x_of())

    def step(x: Any) -> Any:
        weight.value.zero_grad_()
        (x * weight.value).sum().backward()
        return weight.value.grad, x

    compiled = minitorch.compile(step)
    for array in (X, X + 1.0):
        gradient, given = compiled(array)
        np.testing.assert_array_equal(gradient.to_numpy(), array)
        np.testing.assert_array_equal(given.to_numpy(), array)


def test_an_array_that_is_given_twice_is_one() -> None:
    step = minitorch.compile(lambda x, y: x is y)
    other = X + 1.0
    assert [step(*pair) for pair in ((X, other), (X, X), (other, X), (other, other))] == [False, True, False, True]
    assert len(step.traces) == 2


def test_an_array_is_also_a_tensor_and_what_is_computed_from_it_is_one() -> None:
    """A tensor stands for it, as it would if the step were given one."""
    step = minitorch.compile(lambda x: [isinstance(x, Tensor), isinstance(x * 2.0, np.ndarray)])
    assert step(X) == [True, False]


# --- which tensor it is -----------------------------------------------------------------------------------------------


def test_an_argument_is_no_tensor_that_a_name_stands_for() -> None:
    mask = x_of()
    by_name = minitorch.compile(lambda x: x * 2.0 if x is mask else x)
    by_argument = minitorch.compile(lambda x, mask: x * 2.0 if x is mask else x)
    np.testing.assert_array_equal(by_name(mask).to_numpy(), X)
    np.testing.assert_array_equal(by_argument(mask, mask).to_numpy(), X * 2.0)
