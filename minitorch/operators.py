r"""Mathematics on single numbers, and three functions that lift it to lists (course module 0, tasks 0.1 and 0.3).

These are the course's own versions: :func:`log` adds $10^{-6}$ to its argument, comparisons give 1.0 or 0.0, and
:func:`is_close` means closer than $10^{-2}$.

Every arithmetic function here is a *total* function of floats: where Python's own arithmetic raises, it returns
what IEEE 754 prescribes (``inv(0.0)`` is infinity, the logarithm of a negative number is NaN), and NaN is never lost.
None of them calls another or catches an exception, so ``numba.njit`` compiles each one as it stands, and the
compiled version gives the same values. :func:`map`, :func:`zipWith` and :func:`reduce` then turn a function of
numbers into a function of lists; tensors do the same with strided arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from .errors import ShapeError

__all__ = [
    "EPS",
    "add",
    "addLists",
    "eq",
    "exp",
    "exp_back",
    "id",
    "inv",
    "inv_back",
    "is_close",
    "log",
    "log_back",
    "lt",
    "map",
    "max",
    "mul",
    "neg",
    "negList",
    "prod",
    "reduce",
    "relu",
    "relu_back",
    "sigmoid",
    "sigmoid_back",
    "sum",
    "zipWith",
]

EPS = 1e-6
"""What :func:`log` adds, so that the logarithm of a probability that has become zero is finite."""

CLOSE = 1e-2
# The natural logarithm of the largest float64; math.exp raises above it.
EXP_LIMIT = 709.782712893384

# --- task 0.1: functions of numbers --------------------------------------------------------------------------


def mul(x: float, y: float) -> float:
    """Multiply: $f(x, y) = x y$.

    >>> mul(3.0, 4.0)
    12.0
    """
    return x * y


def id(x: float) -> float:
    """Return the argument: $f(x) = x$.

    >>> id(3.0)
    3.0
    """
    return x


def add(x: float, y: float) -> float:
    """Add: $f(x, y) = x + y$.

    >>> add(3.0, 4.0)
    7.0
    """
    return x + y


def neg(x: float) -> float:
    """Negate: $f(x) = -x$.

    >>> neg(3.0)
    -3.0
    """
    return -x


def lt(x: float, y: float) -> float:
    """Give 1.0 where $x < y$, else 0.0.

    >>> lt(3.0, 4.0), lt(4.0, 4.0)
    (1.0, 0.0)
    """
    return 1.0 if x < y else 0.0


def eq(x: float, y: float) -> float:
    """Give 1.0 where $x = y$, else 0.0.

    >>> eq(4.0, 4.0), eq(3.0, 4.0)
    (1.0, 0.0)
    """
    return 1.0 if x == y else 0.0


def max(x: float, y: float) -> float:
    """Return the larger of two numbers: the first when they are equal, NaN when either is.

    >>> max(3.0, 4.0)
    4.0
    >>> max(math.nan, 4.0), max(4.0, math.nan)
    (nan, nan)
    """
    # Only NaN differs from itself. A NaN in y fails the comparison and is returned.
    return x if x >= y or x != x else y


def is_close(x: float, y: float) -> float:
    """Give 1.0 where $|x - y| < 10^{-2}$, else 0.0; an infinity is close to itself.

    >>> is_close(1.0, 1.009), is_close(1.0, 1.01)
    (1.0, 0.0)
    """
    return 1.0 if x == y or abs(x - y) < CLOSE else 0.0


def sigmoid(x: float) -> float:
    r"""Squash to the interval $(0, 1)$:

    $$\sigma(x) = \frac{1}{1 + e^{-x}} = \frac{e^x}{1 + e^x}$$

    The form is chosen by the sign of $x$, so that the exponential is never above 1 and cannot overflow.

    >>> sigmoid(0.0), sigmoid(-1000.0), sigmoid(1000.0)
    (0.5, 0.0, 1.0)
    """
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


def sigmoid_back(x: float, d: float) -> float:
    r"""Multiply ``d`` by the derivative of :func:`sigmoid` at ``x``:

    $$d\,\sigma(x)\,(1 - \sigma(x)) = d\,\frac{e^{-|x|}}{(1 + e^{-|x|})^2}$$

    The second form keeps its digits where $\sigma(x)$ rounds to 1.

    >>> sigmoid_back(0.0, 2.0)
    0.5
    """
    e = math.exp(-abs(x))
    return d * e / ((1.0 + e) * (1.0 + e))


def relu(x: float) -> float:
    r"""Replace a negative number by zero: $f(x) = \max(x, 0)$.

    >>> relu(3.0), relu(-3.0)
    (3.0, 0.0)
    """
    return 0.0 if x < 0.0 else x


def relu_back(x: float, d: float) -> float:
    """Multiply ``d`` by the derivative of :func:`relu` at ``x``: 1 above zero, 0 below, and 0 at zero itself.

    >>> relu_back(3.0, 5.0), relu_back(-3.0, 5.0)
    (5.0, 0.0)
    """
    return 0.0 if x <= 0.0 else d


def log(x: float) -> float:
    r"""Take the course's natural logarithm, $f(x) = \ln(x + 10^{-6})$: finite at zero, NaN below $-10^{-6}$.

    >>> round(log(1.0), 4), round(log(0.0), 4)
    (0.0, -13.8155)
    """
    shifted = x + EPS
    if shifted > 0.0:
        return math.log(shifted)
    return -math.inf if shifted == 0.0 else math.nan


def log_back(x: float, d: float) -> float:
    r"""Multiply ``d`` by the derivative of :func:`log` at ``x``: $d / (x + 10^{-6})$.

    >>> round(log_back(4.0, 2.0), 4)
    0.5
    """
    shifted = x + EPS
    return d / shifted if shifted != 0.0 else d * math.inf


def exp(x: float) -> float:
    """Take the exponential, $f(x) = e^x$: infinity where it overflows.

    >>> exp(0.0), exp(1000.0)
    (1.0, inf)
    """
    return math.inf if x > EXP_LIMIT else math.exp(x)


def exp_back(x: float, d: float) -> float:
    """Multiply ``d`` by the derivative of :func:`exp` at ``x``: $d e^x$.

    >>> exp_back(0.0, 2.0)
    2.0
    """
    return d * math.inf if x > EXP_LIMIT else d * math.exp(x)


def inv(x: float) -> float:
    """Invert: $f(x) = 1 / x$, with the infinity of the right sign at zero.

    >>> inv(4.0), inv(0.0), inv(-0.0)
    (0.25, inf, -inf)
    """
    return 1.0 / x if x != 0.0 else math.copysign(math.inf, x)


def inv_back(x: float, d: float) -> float:
    """Multiply ``d`` by the derivative of :func:`inv` at ``x``: $-d / x^2$.

    >>> inv_back(2.0, 4.0)
    -1.0
    """
    square = x * x
    return -d / square if square != 0.0 else -d * math.inf


# --- task 0.3: functions of lists ----------------------------------------------------------------------------


def map(fn: Callable[[float], float]) -> Callable[[Iterable[float]], list[float]]:
    """Lift a function of one number to lists.

    Args:
        fn: a function of one number.

    Returns:
        A function that takes an iterable and gives the list of ``fn(x)``, one for each of its elements.

    >>> map(neg)([1.0, 2.0])
    [-1.0, -2.0]
    """

    def apply(ls: Iterable[float]) -> list[float]:
        return [fn(x) for x in ls]

    return apply


def zipWith(fn: Callable[[float, float], float]) -> Callable[[Iterable[float], Iterable[float]], list[float]]:
    """Lift a function of two numbers to pairs of lists.

    Args:
        fn: a function of two numbers.

    Returns:
        A function that takes two iterables of one length and gives the list of ``fn(x, y)``. It raises
        :class:`~minitorch.errors.ShapeError` when the lengths differ.

    >>> zipWith(mul)([1.0, 2.0], [3.0, 4.0])
    [3.0, 8.0]
    """

    def apply(ls1: Iterable[float], ls2: Iterable[float]) -> list[float]:
        first, second = list(ls1), list(ls2)
        if len(first) != len(second):
            raise ShapeError(
                f"Expected two lists of the same length, got {len(first)} and {len(second)} elements. "
                "Cut or pad one of them first."
            )
        return [fn(x, y) for x, y in zip(first, second)]

    return apply


def reduce(fn: Callable[[float, float], float], start: float) -> Callable[[Iterable[float]], float]:
    r"""Lift a function of two numbers to one that folds a list from the left.

    Args:
        fn: a function of two numbers: what is folded so far, and the next element.
        start: what the fold begins with, and gives for an empty list.

    Returns:
        A function that takes $[x_1, x_2, \dots]$ and gives
        $\mathrm{fn}(\dots \mathrm{fn}(\mathrm{fn}(\mathrm{start}, x_1), x_2) \dots)$.

    >>> reduce(max, -math.inf)([3.0, 5.0, 4.0])
    5.0
    """

    def apply(ls: Iterable[float]) -> float:
        result = start
        for x in ls:
            result = fn(result, x)
        return result

    return apply


def negList(ls: Iterable[float]) -> list[float]:
    """Negate every element.

    >>> negList([1.0, -2.0])
    [-1.0, 2.0]
    """
    return map(neg)(ls)


def addLists(ls1: Iterable[float], ls2: Iterable[float]) -> list[float]:
    """Add two lists of one length, element by element.

    Raises:
        ShapeError: the lengths differ.

    >>> addLists([1.0, 2.0], [3.0, 4.0])
    [4.0, 6.0]
    """
    return zipWith(add)(ls1, ls2)


def sum(ls: Iterable[float]) -> float:
    """Add up a list; an empty one gives 0.0.

    >>> sum([1.0, 2.0, 3.0])
    6.0
    """
    return reduce(add, 0.0)(ls)


def prod(ls: Iterable[float]) -> float:
    """Multiply up a list; an empty one gives 1.0.

    >>> prod([2.0, 3.0, 4.0])
    24.0
    """
    return reduce(mul, 1.0)(ls)
