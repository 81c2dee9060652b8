"""Arithmetic that somebody types, read without running it, and computed on Scalars (module 1).

The text is parsed by Python's own ``ast`` and walked: only numbers, names, arithmetic, comparisons and four functions
are known, so nothing that is typed can do anything but compute.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from minitorch import ArgumentError, Scalar, central_difference

__all__ = ["FUNCTIONS", "Expression", "parse"]

LONGEST = 200
MOST_OPERATIONS = 40
HIGHEST_POWER = 8
LARGEST = 1e12

FUNCTIONS = ("log", "exp", "sigmoid", "relu")

BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.Gt: operator.gt,
    ast.Eq: operator.eq,
}


@dataclass(frozen=True)
class Expression:
    """A parsed expression.

    Attributes:
        text: as it was typed.
        tree: its syntax tree, of known parts only.
        names: its variables, in the order in which they occur.
    """

    text: str
    tree: ast.expr
    names: tuple[str, ...]

    def compute(self, values: Mapping[str, float]) -> tuple[Scalar, dict[str, Scalar]]:
        """Compute the expression on Scalars.

        Args:
            values: a number for each variable.

        Returns:
            The result, and the leaf that stands for each variable.

        Raises:
            ArgumentError: the result is no finite number.

        >>> result, leaves = parse("x * y + x").compute({"x": 3.0, "y": 2.0})
        >>> result.backward()
        >>> result.data, leaves["x"].derivative
        (9.0, 3.0)
        """
        leaves = {name: Scalar(values[name], name=name) for name in self.names}
        result = _compute(self.tree, leaves)
        if not isinstance(result, Scalar):
            result = Scalar(result)
        if not math.isfinite(result.data):
            raise ArgumentError(f"{self.text} is {result.data} here. Choose other numbers for its variables.")
        return result, leaves

    def slope(self, values: Mapping[str, float], name: str) -> float:
        """Estimate the derivative with respect to a variable from two values: the central difference.

        >>> round(parse("x * y").slope({"x": 3.0, "y": 2.0}, "x"), 6)
        2.0
        """
        return central_difference(lambda x: self.compute({**values, name: x})[0].data, values[name])


def parse(text: str) -> Expression:
    """Read an expression.

    Args:
        text: numbers, names, ``+ - * / **`` with a whole power, ``< > ==``, and log, exp, sigmoid, relu, which may be
            written as functions or as methods.

    Raises:
        ArgumentError: it is empty, too long, or has something else in it; the message says where.

    >>> parse("log(x * 2) + y.relu()").names
    ('x', 'y')
    """
    text = text.strip()
    if not text:
        raise ArgumentError("expected an expression such as x * y + x, got nothing. Type one.")
    if len(text) > LONGEST:
        raise ArgumentError(f"expected at most {LONGEST} characters, got {len(text)}. Make it shorter.")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError) as error:
        where = f" near column {error.offset}" if isinstance(error, SyntaxError) and error.offset else ""
        raise ArgumentError(f"{text!r} is no expression: it breaks off{where}. Write x * y + x, for example.") from None
    names: dict[str, None] = {}
    _check(tree, names)
    operations = sum(isinstance(node, (ast.BinOp, ast.UnaryOp, ast.Compare, ast.Call)) for node in ast.walk(tree))
    if operations > MOST_OPERATIONS:
        raise ArgumentError(
            f"expected at most {MOST_OPERATIONS} operations, got {operations}: no graph would fit here."
        )
    return Expression(text, tree, tuple(names))


def _check(node: ast.expr, names: dict[str, None]) -> None:
    """Refuse what is not known, and collect the names."""
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            if abs(number) > LARGEST:
                raise ArgumentError(f"expected numbers up to {LARGEST:g}, got one of {len(str(number))} digits.")
        case ast.Name(id=name) if name not in FUNCTIONS:
            names.setdefault(name)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=inner):
            _check(inner, names)
        case ast.BinOp(left=base, op=ast.Pow(), right=ast.Constant(value=int(power))):
            if not 1 <= power <= HIGHEST_POWER:
                raise _refusal(node, f"a power is a whole number from 1 to {HIGHEST_POWER}")
            _check(base, names)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            _check(left, names)
            _check(right, names)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in COMPARE:
            _check(left, names)
            _check(right, names)
        case ast.Call(func=ast.Name(id=name), args=[inner], keywords=[]) if name in FUNCTIONS:
            _check(inner, names)
        case ast.Call(func=ast.Attribute(value=inner, attr=name), args=[], keywords=[]) if name in FUNCTIONS:
            _check(inner, names)
        case _:
            raise _refusal(node, "expected numbers, names, + - * / **, one of < > ==, and " + ", ".join(FUNCTIONS))


def _refusal(node: ast.expr, reason: str) -> ArgumentError:
    return ArgumentError(f"{ast.unparse(node)!r} is not known here: {reason}.")


def _compute(node: ast.expr, leaves: Mapping[str, Scalar]) -> Any:
    match node:
        case ast.Constant(value=value):
            return float(value)  # type: ignore[arg-type]
        case ast.Name(id=name):
            return leaves[name]
        case ast.UnaryOp(op=op, operand=inner):
            return -_compute(inner, leaves) if isinstance(op, ast.USub) else _compute(inner, leaves)
        case ast.BinOp(left=base, op=ast.Pow(), right=ast.Constant(value=int(power))):
            factor = result = _compute(base, leaves)
            for _ in range(power - 1):
                result = result * factor
            return result
        case ast.BinOp(left=left, op=op, right=right):
            return _apply(BINARY[type(op)], _compute(left, leaves), _compute(right, leaves))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _apply(COMPARE[type(op)], _compute(left, leaves), _compute(right, leaves))
        case ast.Call(func=ast.Name(id=name), args=[inner]):
            return getattr(_scalar(_compute(inner, leaves)), name)()
        case ast.Call(func=ast.Attribute(value=inner, attr=name)):
            return getattr(_scalar(_compute(inner, leaves)), name)()
    raise AssertionError("checked before")


def _apply(function: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    """Compute with Scalars, plain numbers being constants: no derivative flows into them, and 1 / 0 is infinite."""
    return function(_scalar(left), _scalar(right))


def _scalar(value: Any) -> Scalar:
    return value if isinstance(value, Scalar) else Scalar(value, history=None)
