"""Compile every kernel to PTX: ``python -m tests.cuda.compile_kernels float32 7 5`` prints a line for each.

The table below says with which types each kernel is started; a kernel that is not in it ends the script with an error.
Behind it come the kernels that the compiler writes for the steps of :mod:`.steps`.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
import warnings
from collections.abc import Iterator
from itertools import chain
from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import cuda, types
from numba.cuda import dispatcher
from numba.np.numpy_support import from_dtype

from minitorch import operators
from minitorch.activations import erf
from minitorch.compiler.cuda import text
from minitorch.compiler.cuda.record import Place
from minitorch.kernels import cuda as package
from minitorch.kernels import elements
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
from tests.cuda import steps

INT, FLAG = types.int64, types.boolean
UNARY = [
    elements.identity,
    elements.neg,
    elements.inv,
    elements.exp,
    elements.log,
    elements.sqrt,
    elements.relu,
    elements.sigmoid,
]
BINARY = [
    elements.add,
    elements.mul,
    elements.div,
    elements.power,
    elements.maximum,
    elements.log_grad,
    elements.relu_grad,
    elements.precedes,
    elements.second,
]
COMPARISONS = [operators.lt, operators.eq, operators.is_close, operators.inv_back]
MASKED = [elements.keep, elements.drop, elements.second]
COUNTED = [elements.index_from_zero, elements.index_from_either_end, elements.add, elements.mul]


def scaled(factor: float) -> Any:
    """Make what a user may map: a function of NumPy's, with a number from around it."""
    return lambda x: np.exp(x) * factor


def array(dtype: Any) -> Any:
    return types.Array(dtype, 1, "C")


def integers(count: int) -> Any:
    return types.UniTuple(INT, count)


def signatures(real: Any) -> Iterator[tuple[Kernel, tuple[Any, ...]]]:
    """Pair every kernel with the types of its arguments."""
    a, at = array(real), array(INT)
    mask = array(types.boolean)
    walk = integers(3)
    yield elementwise.fill, (a, types.float64)
    yield elementwise.fill, (at, INT)
    for function in [*UNARY, erf]:
        yield elementwise.map_kernel(function), (a, a, INT, walk, walk, walk)
    yield elementwise.map_kernel(scaled(2.0)), (a, a, INT, walk, walk, walk)
    for out, source in ((at, a), (a, at), (mask, a), (a, mask)):
        yield elementwise.map_kernel(elements.identity), (out, source, INT, walk, walk, walk)
    for function in [*BINARY, *COMPARISONS]:
        yield elementwise.zip_kernel(function), (a, a, a, INT, walk, walk, walk)
    for function in MASKED:
        yield elementwise.zip_kernel(function), (a, a, at, INT, walk, walk, walk)
        yield elementwise.zip_kernel(function), (at, at, a, INT, walk, walk, walk)
    for function in COUNTED:
        yield elementwise.zip_kernel(function), (at, at, at, INT, walk, walk, walk)
    for function in (elements.add, elements.mul, elements.maximum):
        for storage, start in ((a, real), (at, INT)):
            arguments = (storage, storage, INT, INT, INT, INT, start, FLAG)
            yield fold.fold_columns(function), arguments
            yield fold.fold_lines(function), arguments
    sizes = (INT, INT, INT, INT, INT)
    for tiling in TILINGS:
        batched = types.Tuple([integers(2), integers(2), integers(2), *[INT] * 6])
        yield matmul.matmul[tiling], (a, a, a, *sizes, batched)
        yield conv.convolve[tiling], (a, a, a, *sizes, integers(20))
        yield conv.convolve_weight[tiling], (a, a, a, *sizes, integers(16))
    yield extremes.start_max_axis, (a, at, a, INT, INT, INT)
    yield extremes.max_of_parts, (a, at, a, at, INT, INT, INT)
    yield extremes.max_pool, (a, at, a, *[INT] * 5, walk, INT, walk)
    for kernel in (softmax.softmax, softmax.logsoftmax):
        yield kernel, (a, a, INT, INT)
    for dtype in ("float32", "float64"):
        draw = array(getattr(types, dtype))
        number = getattr(types, dtype)
        yield dropout.dropout_kernel(np.dtype(dtype)), (draw, draw, number, number, types.uint64, types.uint64)
    for storage in (a, at):
        yield sort.sort_short, (at, storage, INT, INT, INT, FLAG)
        yield sort.compare_stage, (at, storage, *[INT] * 5, FLAG)
    yield sort.number, (at, INT)
    yield sort.collect, (at, at, INT, INT, INT)
    for storage in (a, at):
        yield places.take, (storage, storage, at, at)
        yield places.write, (storage, at, storage, at, walk, walk)
        yield places.add_runs, (storage, storage, at, at, at)
        yield places.add_noted, (storage, storage, at, at, at)
    yield places.note, (at, at, at, at)
    yield settings.write_words, (at, INT, integers(settings.AT_ONCE))
    yield from strided_signatures(a, at, real)


def strided_signatures(a: Any, at: Any, real: Any) -> Iterator[tuple[Kernel, tuple[Any, ...]]]:
    out, tensor = (a, at, at, INT), (a, at, at)
    yield strided.kernel_of(strided._tensor_map, operators.neg), (*out, *tensor)
    yield strided.kernel_of(strided._tensor_zip, operators.mul), (*out, *tensor, *tensor)
    yield strided.kernel_of(strided._tensor_reduce, operators.add), (*out, *tensor, INT, types.float64)
    yield strided.sum_practice, (a, a, INT)
    yield strided.mm_practice, (a, a, a, INT)
    yield strided.matrix_multiply, (*out, *tensor, *tensor)
    yield strided_conv.conv1d, (*out, *tensor, *tensor, FLAG)
    yield strided_conv.conv2d, (*out, *tensor, *tensor, FLAG)


def written_signatures(dtype: str) -> Iterator[tuple[Kernel, tuple[Any, ...]]]:
    """Pair the kernels that are written for steps with the types of their arguments."""
    seen = set()
    for program in steps.programs(dtype):
        for launch in program.launches:
            if launch.kernel in text._kernels.values() and launch.kernel not in seen:
                seen.add(launch.kernel)
                yield (
                    launch.kernel,
                    tuple(array(from_dtype(a.dtype)) if isinstance(a, Place) else INT for a in launch.args),
                )


def module_level_kernels() -> set[int]:
    """Find every kernel that is an attribute of a module, or in a table that is one."""
    found = set()
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        for value in vars(importlib.import_module(info.name)).values():
            for kernel in value.values() if isinstance(value, dict) else [value]:
                if isinstance(kernel, Kernel):
                    found.add(id(kernel))
    return found


def main(dtype: str, major: str, minor: str) -> None:
    warnings.simplefilter("ignore")
    capability = int(major), int(minor)
    # Device functions are compiled for the current device, of which nothing else is asked.
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=capability)
    compiled = set()
    tables = signatures(getattr(types, dtype)), written_signatures(dtype)
    for i, (kernel, arguments) in enumerate(chain(*tables)):
        ptx, _ = cuda.compile_ptx(kernel.fn, arguments, cc=capability)
        compiled.add(id(kernel))
        print(f"{i}-{kernel.__name__} {re.search(r'.target (sm_[0-9]+)', ptx)[1]}")
    missing = module_level_kernels() - compiled
    assert not missing, f"{len(missing)} kernels have no signature in this table"


if __name__ == "__main__":
    main(*sys.argv[1:])
