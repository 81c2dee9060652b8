"""Kernels at addresses, and what is kept of them on disk."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

from minitorch.compiler.entries import Entry, entry
from minitorch.compiler.families import _over_lines, logsoftmax_lines, softmax_lines


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
