"""Kernels at addresses, and what is kept of them on disk."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba.core.ccallback import CFunc
from scipy import special

import minitorch
from minitorch.compiler.emit.entries import Entry, entry
from minitorch.compiler.emit.families import _over_lines, logsoftmax_lines, softmax_lines


def run(compiled: Entry, *operands: np.ndarray[Any, Any]) -> None:
    """Call a kernel for the first image."""
    addresses = np.array([operand.ctypes.data for operand in operands])
    ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 3)(compiled.address)(addresses.ctypes.data, 0, 1)


@pytest.mark.parametrize("time", ["compiled", "found on disk"])
@pytest.mark.parametrize(
    ("kernel", "reference"), [(softmax_lines, special.softmax), (logsoftmax_lines, special.log_softmax)]
)
def test_kernels_of_one_template_have_code_of_their_own(kernel: Any, reference: Callable[..., Any], time: str) -> None:
    x, out = np.array([0.0, 1.0, 3.0]), np.empty(3)
    fresh = entry.__wrapped__(_over_lines, x.dtype, kernel)
    run(fresh, out, x, np.array([3, 3, 1]))
    np.testing.assert_allclose(out, reference(x))


def test_each_kernel_is_compiled_once_and_only_its_address_is_kept() -> None:
    """Programs come and go; Numba keeps machine code for the life of the process, so what is there is used again."""
    before = [held for held in gc.get_objects() if type(held) is CFunc]  # another test may hold some
    step = minitorch.compile(lambda x: (x * 2.0).sum(1))
    made: dict[int, set[int]] = {}
    for width in (*range(1, 21), *range(1, 5)):
        x = minitorch.tensor(np.ones((2, width)), backend=minitorch.FastBackend)
        assert step(x).tolist() == [[2.0 * width]] * 2
        entries = {id(call.entry) for call in step.traces[0].machine.program.calls}
        assert entries == made.setdefault(width, entries)
    assert len(step.traces) == 16
    gc.collect()
    after = [held for held in gc.get_objects() if type(held) is CFunc]
    assert {id(held) for held in after} <= {id(held) for held in before}
