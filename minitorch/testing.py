"""One list of functions, written for plain numbers and again for variables (course modules 0 to 4).

A test runs both versions on the same arguments and compares. The names pair them: a name that ends in ``2`` takes
two arguments, a name that ends in ``red`` takes a list or a tensor to reduce, and every other takes one.

The constants are the course's: they keep random arguments in $[-100, 100]$ inside the domain of each function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import operators

__all__ = ["MathTest", "MathTestVariable"]

Named = tuple[str, Callable[..., Any]]
Compared = tuple[str, Callable[..., Any], Callable[..., Any]]


class MathTest:
    """The functions on plain numbers and lists of them.

    >>> MathTest.cube(2.0)
    8.0
    """

    @staticmethod
    def neg(a: Any) -> Any:
        """Negate."""
        return -a

    @staticmethod
    def addConstant(a: Any) -> Any:
        """Add to a constant."""
        return 5 + a

    @staticmethod
    def square(a: Any) -> Any:
        """Multiply by itself."""
        return a * a

    @staticmethod
    def cube(a: Any) -> Any:
        """Multiply by itself twice."""
        return a * a * a

    @staticmethod
    def subConstant(a: Any) -> Any:
        """Subtract a constant."""
        return a - 5

    @staticmethod
    def multConstant(a: Any) -> Any:
        """Multiply by a constant."""
        return 5 * a

    @staticmethod
    def div(a: Any) -> Any:
        """Divide by a constant."""
        return a / 5

    @staticmethod
    def inv(a: Any) -> Any:
        """Invert, away from zero for most arguments."""
        return operators.inv(a + 3.5)

    @staticmethod
    def sig(a: Any) -> Any:
        """Apply the sigmoid."""
        return operators.sigmoid(a)

    @staticmethod
    def log(a: Any) -> Any:
        """Take the logarithm of a large number."""
        return operators.log(a + 100000)

    @staticmethod
    def relu(a: Any) -> Any:
        """Apply ReLU, with its kink away from zero."""
        return operators.relu(a + 5.5)

    @staticmethod
    def exp(a: Any) -> Any:
        """Take the exponential of a negative number."""
        return operators.exp(a - 200)

    @staticmethod
    def explog(a: Any) -> Any:
        """Add a logarithm and an exponential of the same argument."""
        return operators.log(a + 100000) + operators.exp(a - 200)

    @staticmethod
    def complex(a: Any) -> Any:
        """Nest ReLU twice, sigmoid and logarithm."""
        inner = operators.relu(a * 10 + 7)
        outer = operators.relu(inner * 6 + 5)
        return operators.log(operators.sigmoid(outer * 10)) / 50

    @staticmethod
    def add2(a: Any, b: Any) -> Any:
        """Add."""
        return a + b

    @staticmethod
    def mul2(a: Any, b: Any) -> Any:
        """Multiply."""
        return a * b

    @staticmethod
    def div2(a: Any, b: Any) -> Any:
        """Divide."""
        return a * operators.inv(b + 5.5)

    @staticmethod
    def gt2(a: Any, b: Any) -> Any:
        """Compare, greater."""
        return operators.lt(b, a + 1.2)

    @staticmethod
    def lt2(a: Any, b: Any) -> Any:
        """Compare, less."""
        return operators.lt(a + 1.2, b)

    @staticmethod
    def eq2(a: Any, b: Any) -> Any:
        """Compare, equal."""
        return operators.eq(a, b + 5.5)

    @staticmethod
    def sum_red(a: Any) -> Any:
        """Add up."""
        return operators.sum(a)

    @staticmethod
    def mean_red(a: Any) -> Any:
        """Average."""
        return operators.sum(a) / len(a)

    @staticmethod
    def mean_full_red(a: Any) -> Any:
        """Average; over every axis, where there are several."""
        return operators.sum(a) / len(a)

    @classmethod
    def _tests(cls) -> tuple[list[Named], list[Named], list[Named]]:
        """List this class's version of each function, as (name, function).

        Returns:
            Those of one argument, those of two, and the reductions.
        """
        one_arg: list[Named] = []
        two_arg: list[Named] = []
        reductions: list[Named] = []
        for name in sorted(vars(MathTest)):
            if name.startswith("_"):
                continue
            if name.endswith("2"):
                group = two_arg
            elif name.endswith("red"):
                group = reductions
            else:
                group = one_arg
            group.append((name, getattr(cls, name)))
        return one_arg, two_arg, reductions

    @classmethod
    def _comp_testing(cls) -> tuple[list[Compared], list[Compared], list[Compared]]:
        """List each function twice, as (name, version on numbers, this class's version), grouped as in ``_tests``."""
        one_arg, two_arg, reductions = (_pair(*groups) for groups in zip(MathTest._tests(), cls._tests()))
        return one_arg, two_arg, reductions


def _pair(plain: Sequence[Named], other: Sequence[Named]) -> list[Compared]:
    return [(name, on_numbers, on_others) for (name, on_numbers), (_, on_others) in zip(plain, other)]


class MathTestVariable(MathTest):
    """The same functions through the methods of a Scalar or a Tensor; what operators alone can say is inherited."""

    @staticmethod
    def inv(a: Any) -> Any:
        """Invert, away from zero for most arguments."""
        return 1.0 / (a + 3.5)

    @staticmethod
    def sig(a: Any) -> Any:
        """Apply the sigmoid."""
        return a.sigmoid()

    @staticmethod
    def log(a: Any) -> Any:
        """Take the logarithm of a large number."""
        return (a + 100000).log()

    @staticmethod
    def relu(a: Any) -> Any:
        """Apply ReLU, with its kink away from zero."""
        return (a + 5.5).relu()

    @staticmethod
    def exp(a: Any) -> Any:
        """Take the exponential of a negative number."""
        return (a - 200).exp()

    @staticmethod
    def explog(a: Any) -> Any:
        """Add a logarithm and an exponential of the same argument."""
        return (a + 100000).log() + (a - 200).exp()

    @staticmethod
    def complex(a: Any) -> Any:
        """Nest ReLU twice, sigmoid and logarithm."""
        inner = (a * 10 + 7).relu()
        outer = (inner * 6 + 5).relu()
        return (outer * 10).sigmoid().log() / 50

    @staticmethod
    def div2(a: Any, b: Any) -> Any:
        """Divide."""
        return a / (b + 5.5)

    @staticmethod
    def gt2(a: Any, b: Any) -> Any:
        """Compare, greater."""
        return a + 1.2 > b

    @staticmethod
    def lt2(a: Any, b: Any) -> Any:
        """Compare, less."""
        return a + 1.2 < b

    @staticmethod
    def eq2(a: Any, b: Any) -> Any:
        """Compare, equal."""
        return a == (b + 5.5)

    @staticmethod
    def sum_red(a: Any) -> Any:
        """Add up along the first axis."""
        return a.sum(0)

    @staticmethod
    def mean_red(a: Any) -> Any:
        """Average along the first axis."""
        return a.mean(0)

    @staticmethod
    def mean_full_red(a: Any) -> Any:
        """Average over every axis."""
        return a.mean()
