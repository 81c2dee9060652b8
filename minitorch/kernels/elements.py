"""What an operation does to one element, exactly: run by Python on NumPy scalars, or compiled into a loop by Numba.

These are the neutral functions under both faces of the library. The course's own versions, which differ in places
(its log adds 1e-6, its comparisons give 1.0 or 0.0), are in :mod:`minitorch.operators`.

NaN goes through every one of them, and a result has the dtype of its arguments.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = [
    "OUTSIDE",
    "add",
    "both",
    "div",
    "drop",
    "either",
    "exp",
    "identity",
    "index_from_either_end",
    "index_from_zero",
    "inv",
    "keep",
    "log",
    "log_grad",
    "maximum",
    "minimum",
    "mul",
    "neg",
    "normal",
    "power",
    "precedes",
    "relu",
    "relu_grad",
    "second",
    "sigmoid",
    "sqrt",
    "tanh",
]


def identity(x: Any) -> Any:
    """$x$."""
    return x


def neg(x: Any) -> Any:
    """$-x$."""
    return -x


def inv(x: Any) -> Any:
    r"""$1 / x$; infinity at zero."""
    return 1 / x


def exp(x: Any) -> Any:
    r"""$e^x$; infinity where it overflows."""
    return np.exp(x)


def log(x: Any) -> Any:
    r"""$\ln x$; minus infinity at zero, NaN below."""
    return np.log(x)


def log_grad(x: Any, d: Any) -> Any:
    r"""$d / x$: the derivative of :func:`log` times ``d``."""
    return d / x


def sqrt(x: Any) -> Any:
    r"""$\sqrt{x}$; NaN below zero."""
    return np.sqrt(x)


def sigmoid(x: Any) -> Any:
    r"""$1 / (1 + e^{-x})$, written so that no exponential overflows."""
    e = np.exp(-abs(x))
    return 1 / (1 + e) if x >= 0 else e / (1 + e)


def tanh(x: Any) -> Any:
    r"""$\tanh x$, accurate near zero too."""
    return np.tanh(x)


def relu(x: Any) -> Any:
    r"""$\max(x, 0)$."""
    return 0.0 if x <= 0 else x


def relu_grad(x: Any, d: Any) -> Any:
    """Pass ``d`` on where $x > 0$ (and where it is NaN); the slope at zero is taken as zero."""
    return 0.0 if x <= 0 else d


def add(x: Any, y: Any) -> Any:
    """$x + y$."""
    return x + y


def mul(x: Any, y: Any) -> Any:
    """$x y$."""
    return x * y


def div(x: Any, y: Any) -> Any:
    """$x / y$, rounded once; an infinity or NaN where $y$ is zero."""
    return x / y


def maximum(x: Any, y: Any) -> Any:
    """The larger of two, the first when they are equal; NaN when either is."""
    return x if x >= y or x != x else y


def minimum(x: Any, y: Any) -> Any:
    """The smaller of two, the first when they are equal; NaN when either is."""
    return x if x <= y or x != x else y


def power(x: Any, y: Any) -> Any:
    """$x^y$; NaN where $x$ is negative and $y$ is not whole."""
    return x**y


def normal(u: Any, v: Any) -> Any:
    r"""A draw from the standard normal distribution, of two from the uniform one on $[0, 1)$ (Box and Muller, 1958).

    $\sqrt{-2 \ln (1 - u)} \cos(2 \pi v)$ takes numbers and whole arrays.
    """
    return np.sqrt(-2.0 * np.log1p(-u)) * np.cos(2.0 * np.pi * v)


# --- masks, order and places ---------------------------------------------------------------------------------

# The operands of these may differ in type; the result has that of the first.


def keep(x: Any, mask: Any) -> Any:
    """$x$ where the mask is not zero, else 0."""
    return x if mask != 0 else 0


def drop(x: Any, mask: Any) -> Any:
    """$x$ where the mask is zero, else 0."""
    return 0 if mask != 0 else x


def both(x: Any, y: Any) -> Any:
    """1 where neither is zero, else 0."""
    return 1 if x != 0 and y != 0 else 0


def either(x: Any, y: Any) -> Any:
    """1 where one of the two is not zero, else 0."""
    return 1 if x != 0 or y != 0 else 0


def second(x: Any, y: Any) -> Any:
    """$y$ in the type of $x$."""
    return y


def precedes(x: Any, y: Any) -> Any:
    """1 where $x$ stands before $y$ in ascending order, else 0; NaN comes last, and no NaN before another."""
    return 1 if x < y or (x == x and y != y) else 0


# Stands for an index that does not exist. Multiplied by any stride, with other terms added, it stays a negative place
# and no overflow, as long as a tensor has fewer elements than this.
OUTSIDE = -(2**31)


def index_from_zero(n: Any, i: Any) -> Any:
    """The index $i$ if it is from 0 to $n - 1$."""
    return i if 0 <= i < n else OUTSIDE


def index_from_either_end(n: Any, i: Any) -> Any:
    """The index $i$ if it is from $-n$ to $n - 1$; below zero it counts from the end."""
    if i < 0:
        i = i + n
    return i if 0 <= i < n else OUTSIDE
