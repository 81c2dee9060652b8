"""Functions that become part of others: what they compute, where their code is, and what they leave behind."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from numba.core.codegen import JITCodeLibrary
from numba.core.runtime import _nrt_python, rtsys  # type: ignore[attr-defined]

from minitorch.kernels.compile import jit
from minitorch.kernels.inlined import InlineCompiler


def inlined(fn):
    return jit(fn, keep=False, no_cpython_wrapper=True, no_cfunc_wrapper=True, pipeline_class=InlineCompiler)


@inlined
def _largest(a, start, end):
    largest = a[start]
    for i in range(start + 1, end):
        if a[i] > largest:
            largest = a[i]
    return largest


@inlined
def _ends(a, n):
    """Call another one twice, and give two results."""
    middle = n // 2
    return _largest(a, 0, middle), _largest(a, middle, n)


@numba.njit
def first_half(a):
    return _ends(a, a.size)[0]


@numba.njit
def both_halves(a):
    left, right = _ends(a, a.size)
    return left + 100 * right


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_inlined_within_inlined_in_two_functions_and_three_types(dtype):
    a = np.array([3, 7, 1, 2, 9, 4], dtype)
    assert first_half(a) == 7
    assert both_halves(a) == 7 + 900


def test_only_the_function_that_they_end_up_in_is_optimised(monkeypatch):
    optimised = []
    optimise = JITCodeLibrary._optimize_final_module
    monkeypatch.setattr(
        JITCodeLibrary, "_optimize_final_module", lambda code: [optimised.append(code.name), optimise(code)]
    )

    @numba.njit
    def whole(a):
        return _ends(a, 4)[1]

    # Types that no other test uses: nothing of this is compiled yet.
    assert whole(np.array([1, 2, 3, 4], np.int16)) == 4
    assert [name for name in optimised if "whole" in name]
    assert not [name for name in optimised if "_ends" in name or "_largest" in name or name == "inlined"]


@inlined
def _sum_of_copy(a):
    copy = a + 0
    total = 0.0
    for i in range(copy.size):
        total += copy[i]
    return total


@numba.njit
def sum_of_copies(a, times):
    total = 0.0
    for _ in range(times):
        total += _sum_of_copy(a)
    return total


def test_an_inlined_function_frees_its_arrays():
    a = np.arange(5.0)
    sum_of_copies(a, 1)
    _nrt_python.memsys_enable_stats()
    try:
        before = rtsys.get_allocation_stats()
        assert sum_of_copies(a, 50) == 500
        after = rtsys.get_allocation_stats()
    finally:
        _nrt_python.memsys_disable_stats()
    # One for each copy, and one for the argument.
    assert after.alloc - before.alloc == after.free - before.free == 51
