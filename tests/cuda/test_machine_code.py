"""Every kernel becomes machine code for the oldest and a new generation of GPUs, without one: no driver is asked.

The simulator runs Python; what only the compiler refuses (a type that does not unify, an array whose size is no
constant) shows here, and so does a kernel whose largest block a device could not hold. A compiler that is missing is a
failure: ``pip install "numba-cuda[cu12]"`` brings it.
"""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from minitorch.kernels import elements
from minitorch.kernels.cuda import elementwise, fold
from minitorch.tensor_ops import TensorBackend, TensorOps

from . import steps
from .conftest import CAPABILITIES, ELEMENTS, pytest_collection_modifyitems
from .table import is_compiled, signatures

# What every device has, of the two generations too: registers of a block, given out in eights to each thread, and
# bytes of shared memory that a kernel may take without asking for more.
REGISTERS, SHARED = 65_536, 49_152

# The kernels that compute in float64 where the elements are float32: the sums of softmax, the start of a sum of the
# course's, and functions with constants that Numba takes for float64, in kernels that walk and in written ones.
IN_FLOAT64 = {
    *("softmax", "logsoftmax", "_tensor_reduce_add"),
    *("map_sigmoid", "zip_normal", "zip_inv_back"),
    *("uniform_normal_kernel", "lt_erf_keep_and_more_kernel", "neg_exp_mul_and_more_kernel"),
}

FUNCTIONS = {name: getattr(elements, name) for name in elements.__all__ if callable(getattr(elements, name))}


@pytest.mark.parametrize("dtype", ELEMENTS)
def test_every_kernel_compiles_and_fits_into_a_device(compilations, dtype):
    process = compilations[dtype]
    output, errors = process.communicate()
    assert process.returncode == 0, errors[-4000:]
    lines = [line.split() for line in output.splitlines()]
    by_target = {target: [name for name, of, *_ in lines if of == target] for target in CAPABILITIES}
    assert sum(map(len, by_target.values())) == len(lines)
    for names in by_target.values():
        assert len(set(names)) == len(names) > 150
        assert sum(name.endswith("_kernel") for name in names) > 30  # were written for steps
    for name, _, *numbers in lines:
        threads, registers, shared, in_float64 = map(int, numbers)
        assert threads * -(-registers // 8) * 8 <= REGISTERS, (name, threads, registers)
        assert shared <= SHARED, (name, shared)
        if dtype == "float32":
            assert (in_float64 > 0) == (name.partition("-")[2] in IN_FLOAT64), (name, in_float64)


# --- what is compiled is everything --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ELEMENTS)
def test_every_function_of_an_element_is_compiled(dtype):
    """In a kernel that walks every layout, as its number of arguments says."""
    compiled = {kernel for kernel, _ in signatures(dtype)}
    for function in FUNCTIONS.values():
        one = len(inspect.signature(function).parameters) == 1
        assert (elementwise.map_kernel if one else elementwise.zip_kernel)(function) in compiled, function


@pytest.mark.parametrize("dtype", ELEMENTS)
def test_everything_that_a_backend_has_is_compiled(dtype):
    noted = []

    class Noted(TensorOps):
        map = staticmethod(lambda fn: noted.append(elementwise.map_kernel(fn)))
        zip = staticmethod(lambda fn: noted.append(elementwise.zip_kernel(fn)))
        reduce = staticmethod(lambda fn, start: noted.extend([fold.fold_columns(fn), fold.fold_lines(fn)]))

    TensorBackend.__init__(object.__new__(TensorBackend), Noted)
    assert len(noted) > 16
    assert {kernel.__name__ for kernel in noted} <= {kernel.__name__ for kernel, _ in signatures(dtype)}


@pytest.mark.parametrize("dtype", ELEMENTS)
def test_every_function_of_an_element_is_in_a_written_kernel(dtype):
    """In those that the compiler writes for the steps, and so is what differs by its numbers: a mask of dropout."""
    found = set()
    for made in steps.programs(dtype):
        found |= made.functions
    assert set(FUNCTIONS) | {"dropout"} <= found


def test_what_is_not_in_the_table_is_found():
    """By the check behind every test here (conftest.py), whatever the lengths of tuples."""
    a, b = np.zeros(1, np.float32), np.zeros(1, np.float16)
    assert is_compiled(elementwise.fill, (a, 1.0))
    assert not is_compiled(elementwise.fill, (b, 1.0))
    negate = elementwise.map_kernel(elements.neg)
    for walk in ((1,), (1, 2, 3, 4)):
        assert is_compiled(negate, (a, a, 1, walk, walk, walk))
    assert not is_compiled(elementwise.map_kernel(elements.keep), (a, a, 1, walk, walk, walk))


def test_more_tests_with_large_blocks_are_refused():
    class Large:
        def get_closest_marker(self, name):
            return name == "large_block"

    pytest_collection_modifyitems([Large()] * 20)
    with pytest.raises(pytest.UsageError, match="21 tests start large blocks; 20 may"):
        pytest_collection_modifyitems([Large()] * 21)
