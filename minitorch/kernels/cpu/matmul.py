"""Matrix products through BLAS: directly while they are small, in row blocks over the cores when they are large."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import prange

from .. import blas
from ..compile import kernel

__all__ = ["matmul"]

# Rows of one block. It depends on nothing, so the same product is always cut in the same way.
ROWS = 128

# Below this many multiplications, handing blocks out costs more than a second core brings.
LARGE = 1 << 22


@kernel()
def _rows(out, a, b):
    """Multiply blocks of rows of ``a`` by ``b``, each by one BLAS call."""
    blocks = (a.shape[0] + ROWS - 1) // ROWS
    for block in prange(blocks):
        first = block * ROWS
        last = min(first + ROWS, a.shape[0])
        np.dot(a[first:last], b, out[first:last])


def _as_blas(matrix: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Give a matrix whose rows or columns are contiguous, as BLAS reads it: itself where it is so already."""
    if matrix.flags.c_contiguous or matrix.flags.f_contiguous:
        return matrix
    return np.ascontiguousarray(matrix)


def matmul(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Multiply ``... x m x k`` by ``... x k x n``; leading dimensions broadcast. The result is contiguous.

    The bits depend on the operands only, not on the number of threads of BLAS or Numba.
    """
    multiplications = a.shape[-2] * a.shape[-1] * b.shape[-1]
    if multiplications >= LARGE and a.shape[-2] >= 2 * ROWS:
        return _large(a, b)
    # Infinity arises without a warning, as in compiled loops.
    with blas.one_thread, np.errstate(all="ignore"):
        return np.ascontiguousarray(np.matmul(a, b))


def _batched(matrices: npt.NDArray[Any], batch: tuple[int, ...]) -> npt.NDArray[Any]:
    # Only where it must: what NumPy broadcasts is read-only, a type of its own to Numba, which compiles again for it.
    shape = (*batch, *matrices.shape[-2:])
    return matrices if matrices.shape == shape else np.broadcast_to(matrices, shape)


def _large(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[Any]:
    blas.one_thread.load_scipy()
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    out = np.empty((*batch, a.shape[-2], b.shape[-1]), a.dtype)
    left = _batched(a, batch)
    right = _batched(b, batch)
    for index in np.ndindex(*batch):
        # Blocks of rows are cut from the left one, so its rows must be contiguous; the right one stays whole.
        one, two = np.ascontiguousarray(left[index]), _as_blas(right[index])
        with blas.one_thread:
            _rows.run(LARGE, out[index], one, two)
    return out
