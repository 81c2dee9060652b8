"""Which kernels there are, and with arguments of which types they are started: what is compiled without a GPU.

A type is written as Numba names it, an array of one dimension with brackets behind: ``float32[]``. A tuple is a tuple
of types. What the tests launch on the simulator has to be here, up to the lengths of tuples (tests/cuda/conftest.py).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from typing import Any

import numpy as np

from minitorch import operators
from minitorch.activations import erf
from minitorch.compiler.cuda import text
from minitorch.kernels import cuda as package
from minitorch.kernels import elements
from minitorch.kernels.compile import is_ours
from minitorch.kernels.cuda import (
    conv,
    dropout,
    elementwise,
    extremes,
    fold,
    matmul,
    places,
    settings,
    softmax,
    sort,
    strided,
    strided_conv,
)
from minitorch.kernels.cuda.launch import Kernel
from minitorch.kernels.cuda.product import TILINGS

__all__ = ["described", "is_compiled", "module_level_kernels", "signatures"]

Types = tuple[Any, ...]
Signature = tuple[Kernel, Types]

INT, FLAG = "int64", "boolean"
WALK = (INT,) * 3
AT, MASK = "int64[]", "boolean[]"
STORED = ("float32", "float64", "int32", "int64", "uint8", "boolean")

UNARY = [
    elements.identity,
    elements.neg,
    elements.inv,
    elements.exp,
    elements.log,
    elements.sqrt,
    elements.relu,
    elements.sigmoid,
    elements.tanh,
]
BINARY = [
    elements.add,
    elements.mul,
    elements.div,
    elements.power,
    elements.maximum,
    elements.minimum,
    elements.normal,
    elements.log_grad,
    elements.relu_grad,
    elements.precedes,
    elements.second,
]
COMPARISONS = [operators.lt, operators.eq, operators.is_close, operators.inv_back]
MASKED = [elements.keep, elements.drop, elements.second]
COUNTED = [
    elements.index_from_zero,
    elements.index_from_either_end,
    elements.add,
    elements.mul,
    elements.keep,
    elements.drop,
    operators.lt,
    operators.eq,
]


def scaled(factor: float) -> Any:
    """Make what a user may map: functions of NumPy's, with a number from around it."""
    return lambda x: np.exp(np.abs(x)) * np.float32(factor)


def signatures(real: str) -> Iterator[Signature]:
    """Pair every kernel with the types of its arguments, for elements of a type; conversions go with float32."""
    yield from element_wise(real)
    if real == "float32":
        yield from conversions()
    yield from folds(real)
    yield from products(real)
    yield from searches(real)
    yield from at_places(real)
    yield from readable(real)


def element_wise(real: str) -> Iterator[Signature]:
    a = f"{real}[]"
    for value in (real, "float64", INT):
        yield elementwise.fill, (a, value)
    for function in [*UNARY, erf, scaled(2.0)]:
        yield elementwise.map_kernel(function), (a, a, INT, WALK, WALK, WALK)
    for function in [*BINARY, *COMPARISONS]:
        yield elementwise.zip_kernel(function), (a, a, a, INT, WALK, WALK, WALK)
    for function, mask in product(MASKED, ("float32[]", "float64[]", AT, MASK)):
        yield elementwise.zip_kernel(function), (a, a, mask, INT, WALK, WALK, WALK)
        yield elementwise.zip_kernel(function), (AT, AT, mask, INT, WALK, WALK, WALK)
    yield elementwise.map_kernel(elements.neg), (AT, AT, INT, WALK, WALK, WALK)
    for function, operand in product(COMPARISONS[:2], (AT, MASK)):
        yield elementwise.zip_kernel(function), (MASK, operand, operand, INT, WALK, WALK, WALK)
    for function in (elements.add, elements.mul, elements.keep, elements.drop):
        yield elementwise.zip_kernel(function), (MASK, MASK, MASK, INT, WALK, WALK, WALK)
    for function in (elements.both, elements.either):
        for operands in ((MASK, MASK, MASK), (MASK, MASK, a), (a, a, a)):
            yield elementwise.zip_kernel(function), (*operands, INT, WALK, WALK, WALK)
    for function in COUNTED:
        yield elementwise.zip_kernel(function), (AT, AT, AT, INT, WALK, WALK, WALK)
    number = real, real, "uint64", "uint64"
    yield dropout.dropout_kernel(np.dtype(real)), (a, a, *number)


def conversions() -> Iterator[Signature]:
    for dtype in STORED:
        for value in ("float64", INT, FLAG):
            yield elementwise.fill, (f"{dtype}[]", value)
        for other in STORED:
            yield elementwise.map_kernel(elements.identity), (f"{dtype}[]", f"{other}[]", INT, WALK, WALK, WALK)
            if other != dtype:
                yield elementwise.zip_kernel(elements.second), (AT, AT, f"{other}[]", INT, WALK, WALK, WALK)


def folds(real: str) -> Iterator[Signature]:
    for function in (elements.add, elements.mul, elements.maximum):
        for dtype in (real, INT, "int32", "uint8", FLAG):
            a, start = f"{dtype}[]", real if dtype == real else INT
            arguments = (a, a, INT, INT, INT, INT, start, FLAG)
            yield fold.fold_columns(function), arguments
            yield fold.fold_lines(function), arguments


def products(real: str) -> Iterator[Signature]:
    a = f"{real}[]"
    for tiling in TILINGS:
        arguments = (a, a, a, INT, INT, INT, INT, INT)
        yield matmul.matmul[tiling], (*arguments, (WALK, WALK, WALK, *(INT,) * 6))
        yield conv.convolve[tiling], (*arguments, (INT,) * 20)
        yield conv.convolve_weight[tiling], (*arguments, (INT,) * 16)


def searches(real: str) -> Iterator[Signature]:
    """Maxima, softmax, sorting."""
    for a in (f"{real}[]", AT):
        yield extremes.start_max_axis, (a, AT, a, INT, INT, INT)
        yield extremes.max_of_parts, (a, AT, a, AT, INT, INT, INT)
        yield sort.sort_short, (AT, a, INT, INT, INT, FLAG)
        yield sort.compare_stage, (AT, a, *(INT,) * 5, FLAG)
    a = f"{real}[]"
    yield extremes.max_pool, (a, AT, a, *(INT,) * 5, WALK, INT, WALK)
    for kernel in (softmax.softmax, softmax.logsoftmax):
        yield kernel, (a, a, INT, INT)
    yield sort.number, (AT, INT)
    yield sort.collect, (AT, AT, INT, INT, INT)


def at_places(real: str) -> Iterator[Signature]:
    for dtype in (real, "int32", INT, "uint8", FLAG):
        a = f"{dtype}[]"
        yield places.take, (a, a, AT, AT)
        yield places.write, (a, AT, a, AT, WALK, WALK)
        yield places.add_runs, (a, a, a, AT, AT, AT)
        yield places.join_runs, (a, a, AT, AT)
        yield places.add_noted, (a, a, AT, AT, AT)
    yield places.note, (AT, AT, AT, AT)
    yield settings.write_words, (AT, INT, (INT,) * settings.AT_ONCE)


def readable(real: str) -> Iterator[Signature]:
    """The course's kernels."""
    a = f"{real}[]"
    out, tensor = (a, AT, AT, INT), (a, AT, AT)
    yield strided.kernel_of(strided._tensor_map, operators.neg), (*out, *tensor)
    yield strided.kernel_of(strided._tensor_zip, operators.mul), (*out, *tensor, *tensor)
    yield strided.kernel_of(strided._tensor_reduce, operators.add), (*out, *tensor, INT, "float64")
    yield strided.sum_practice, (a, a, INT)
    yield strided.mm_practice, (a, a, a, INT)
    yield strided.matrix_multiply, (*out, *tensor, *tensor)
    yield strided_conv.conv1d, (*out, *tensor, *tensor, FLAG)
    yield strided_conv.conv2d, (*out, *tensor, *tensor, FLAG)


def module_level_kernels() -> set[Kernel]:
    """Find every kernel that is an attribute of a module, or in a table that is one."""
    found = set()
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        for value in vars(importlib.import_module(info.name)).values():
            for kernel in value.values() if isinstance(value, dict) else [value]:
                if isinstance(kernel, Kernel):
                    found.add(kernel)
    return found


# --- the types of what is launched ---------------------------------------------------------------------------


def described(argument: Any) -> Any:
    """Write the type of an argument: of an array, of what stands for one, of a number, or of a tuple of them."""
    if isinstance(argument, tuple):
        return tuple(described(a) for a in argument)
    if isinstance(argument, np.generic):
        return named(argument.dtype)
    if isinstance(argument, (bool, int, float)):
        return {bool: FLAG, int: INT, float: "float64"}[type(argument)]
    return f"{named(argument.dtype)}[]"


def named(dtype: np.dtype[Any]) -> str:
    """Name an element type as Numba does."""
    return FLAG if dtype == np.bool_ else dtype.name


def joined_tuples(types: Any) -> Any:
    """Make tuples of integers of every length one, for a walk has a number for each dimension."""
    if not isinstance(types, tuple):
        return types
    return "integers" if all(t == INT for t in types) else tuple(joined_tuples(t) for t in types)


@cache
def _known() -> set[tuple[Kernel, Any]]:
    return {(kernel, joined_tuples(types)) for real in ("float32", "float64") for kernel, types in signatures(real)}


def is_compiled(kernel: Kernel, args: Sequence[Any]) -> bool:
    """Tell whether a kernel is in the table with such arguments.

    What is bound to a function of a test, as users bind their own, counts as if it were. So does what is written for a
    step: such kernels are compiled for the steps of :mod:`.steps`.
    """
    function = kernel.fn.__globals__.get("fn")
    if kernel.fn.__module__ == text.__name__ or (function is not None and not is_ours(function)):
        return True
    return (kernel, joined_tuples(described(tuple(args)))) in _known()
