"""The operators of module 0 with their derivatives, their curves, and a check by central difference."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

import minitorch
from minitorch import operators

__all__ = ["OPERATORS", "Check", "Operator", "check", "curves", "read_numbers"]

STEP = 1e-6
CURVE_POINTS = 241


@dataclass(frozen=True)
class Operator:
    """A function of one or two numbers.

    Attributes:
        name: its name in ``minitorch.operators``.
        formula: its value, as LaTeX.
        slope: its derivative with respect to each argument, as LaTeX.
        fn: the function.
        gradient: gives the derivatives for the same arguments.
        low: where its curve begins.
        high: where it ends.
    """

    name: str
    formula: str
    slope: str
    fn: Callable[..., float]
    gradient: Callable[..., tuple[float, ...]]
    low: float = -4.0
    high: float = 4.0

    @property
    def arguments(self) -> int:
        """How many it takes."""
        return self.fn.__code__.co_argcount


def _one(back: Callable[[float, float], float]) -> Callable[[float], tuple[float, ...]]:
    """Make a derivative of the function that multiplies by it."""
    return lambda x: (back(x, 1.0),)


def _flat(*arguments: float) -> tuple[float, ...]:
    """The derivative of what only jumps."""
    return (0.0,) * len(arguments)


OPERATORS: dict[str, Operator] = {
    operator.name: operator
    for operator in (
        Operator("id", "x", "f' = 1", operators.id, lambda x: (1.0,)),
        Operator("neg", "-x", "f' = -1", operators.neg, lambda x: (-1.0,)),
        Operator("inv", r"\frac{1}{x}", r"f' = -\frac{1}{x^2}", operators.inv, _one(operators.inv_back)),
        Operator("exp", "e^x", "f' = e^x", operators.exp, _one(operators.exp_back), -3.0, 3.0),
        Operator(
            "log",
            r"\ln(x + 10^{-6})",
            r"f' = \frac{1}{x + 10^{-6}}",
            operators.log,
            _one(operators.log_back),
            0.05,
            6.0,
        ),
        Operator(
            "sigmoid",
            r"\sigma(x) = \frac{1}{1 + e^{-x}}",
            r"f' = \sigma(x)\,(1 - \sigma(x))",
            operators.sigmoid,
            _one(operators.sigmoid_back),
            -6.0,
            6.0,
        ),
        Operator(
            "relu",
            r"\max(x, 0)",
            r"f' = 1 \text{ above } 0,\; 0 \text{ elsewhere}",
            operators.relu,
            _one(operators.relu_back),
        ),
        Operator(
            "add",
            "x + y",
            r"\tfrac{\partial f}{\partial x} = 1,\; \tfrac{\partial f}{\partial y} = 1",
            operators.add,
            lambda x, y: (1.0, 1.0),
        ),
        Operator(
            "mul",
            "x y",
            r"\tfrac{\partial f}{\partial x} = y,\; \tfrac{\partial f}{\partial y} = x",
            operators.mul,
            lambda x, y: (y, x),
        ),
        Operator(
            "max",
            r"\max(x, y)",
            r"\tfrac{\partial f}{\partial x} = 1 \text{ where } x \ge y \text{, else } 0",
            operators.max,
            lambda x, y: (1.0, 0.0) if x >= y else (0.0, 1.0),
        ),
        Operator("lt", r"1 \text{ where } x < y \text{, else } 0", "f' = 0 ", operators.lt, _flat),
        Operator("eq", r"1 \text{ where } x = y \text{, else } 0", "f' = 0 ", operators.eq, _flat),
        Operator(
            "is_close", r"1 \text{ where } |x - y| < 10^{-2} \text{, else } 0", "f' = 0 ", operators.is_close, _flat
        ),
    )
}


@dataclass(frozen=True)
class Check:
    """A derivative beside the slope that the values alone show.

    Attributes:
        argument: the name of what is moved.
        derivative: from the rule.
        difference: the central difference.
        left: the slope to the left alone.
        right: the slope to the right alone.
    """

    argument: str
    derivative: float
    difference: float
    left: float
    right: float

    @property
    def agrees(self) -> bool:
        """Tell whether the two are equal, as far as float64 can tell."""
        return _near(self.derivative, self.difference)

    @property
    def verdict(self) -> str:
        """Say it in words: ``agrees``, or what is special about the point.

        A jump by 1 has a slope of a million over so small a step, on the side where it lies.
        """
        if min(abs(self.left), abs(self.right)) < 1e4 < max(abs(self.left), abs(self.right)):
            return "a jump: there is no derivative here"
        if self.agrees:
            return "agrees"
        if not _near(self.left, self.right):
            return "a kink: the slopes to the left and to the right differ, and the rule takes one of them"
        return "differs"


def _near(a: float, b: float) -> bool:
    return a == b or abs(a - b) <= 1e-4 * max(1.0, abs(a), abs(b))


def check(operator: Operator, *point: float) -> list[Check]:
    """Compare the derivatives of an operator with central differences.

    Args:
        operator: the function.
        point: its arguments.

    Returns:
        One comparison for each argument.

    >>> [row.verdict for row in check(OPERATORS["sigmoid"], 0.5)]
    ['agrees']
    """
    derivatives = operator.gradient(*point)
    rows = []
    for arg, derivative in enumerate(derivatives):
        middle = operator.fn(*point)
        below, above = ([x + s * (i == arg) for i, x in enumerate(point)] for s in (-STEP, STEP))
        rows.append(
            Check(
                "xy"[arg],
                derivative,
                minitorch.central_difference(operator.fn, *point, arg=arg, epsilon=STEP),
                (middle - operator.fn(*below)) / STEP,
                (operator.fn(*above) - middle) / STEP,
            )
        )
    return rows


def curves(operator: Operator, y: float = 1.0) -> dict[str, list[float | None]]:
    """Give the points of the curves of a function and of its derivative with respect to $x$.

    Args:
        operator: the function.
        y: its second argument, where it has one.

    Returns:
        The columns ``x``, ``value`` and ``derivative``. What is too far away to be drawn is None.
    """
    axis = np.linspace(operator.low, operator.high, CURVE_POINTS).tolist()
    points = [(x,) if operator.arguments == 1 else (x, y) for x in axis]
    return {
        "x": axis,
        "value": [_drawable(operator.fn(*point)) for point in points],
        "derivative": [_drawable(operator.gradient(*point)[0]) for point in points],
    }


def _drawable(value: float) -> float | None:
    return value if math.isfinite(value) and abs(value) <= 20.0 else None


def read_numbers(text: str, most: int = 20) -> Sequence[float]:
    """Read numbers that are parted by commas or spaces.

    Raises:
        ArgumentError: something else stands among them, or there are too many.

    >>> read_numbers("1, 2.5 -3")
    [1.0, 2.5, -3.0]
    """
    words = text.replace(",", " ").split()
    if len(words) > most:
        raise minitorch.ArgumentError(f"expected at most {most} numbers, got {len(words)}. Take some away.")
    try:
        return [float(word) for word in words]
    except ValueError:
        raise minitorch.ArgumentError(
            f"expected numbers, parted by commas, such as 1, 2.5, -3; got {text!r}."
        ) from None
