"""Matrix products through BLAS: directly while they are small, in strips over the cores when they are large."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import config, prange

from .. import blas
from ..addresses import call
from ..compile import kernel

__all__ = ["matmul"]

# Below this many multiplications, handing strips out costs more than a second core brings.
LARGE = 1 << 22

# A strip has at least this many rows or columns, and this many multiplications: BLAS arranges the other matrix anew for
# each. That depends on nothing but the shapes, so the same product is always cut in the same way.
STRIP = 64
WORK = 1 << 21

# What BLAS reads by address: letters that say whether a matrix is transposed, and the factors of a product.
_LETTERS = np.frombuffer(b"NT", np.int8)
_FACTORS = {np.dtype(t): np.array([1, 0], t) for t in (np.float32, np.float64)}
LETTERS = _LETTERS.ctypes.data
FACTORS = {t: (array.ctypes.data, array.ctypes.data + t.itemsize) for t, array in _FACTORS.items()}


@kernel()
def _strips(gemm, letters, factors, a, b, c, turned, lines, sizes, steps, strips, numbers):
    """Call BLAS for every strip of every matrix; it reads all numbers from memory.

    BLAS counts along columns, so it is asked for $C^T = B^T A^T$.
    """
    m, k, n = sizes
    by_rows = m >= n
    extent = max(m, n)
    one, zero = factors
    for i in prange(numbers.shape[0]):
        matrix, strip = i // strips, i % strips
        first = extent * strip // strips
        count = extent * (strip + 1) // strips - first
        own = numbers[i]
        own[0], own[1], own[2] = n if by_rows else count, count if by_rows else m, k
        own[3], own[4], own[5] = lines[1], lines[0], n
        at = numbers.ctypes.data + i * own.nbytes
        # The addresses of both letters, of the three sizes, a factor, B and its line, A and its line, a factor, C.
        call(
            gemm,
            (
                letters + turned[1],
                letters + turned[0],
                at,
                at + 4,
                at + 8,
                one,
                b[matrix] + first * steps[1],
                at + 12,
                a[matrix] + first * steps[0],
                at + 16,
                zero,
                c[matrix] + first * steps[2],
                at + 20,
            ),
        )


def matmul(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Multiply ``... x m x k`` by ``... x k x n``; leading dimensions broadcast. The result is contiguous.

    The bits depend on the operands only, not on the number of threads of BLAS or Numba.
    """
    (m, k), n = a.shape[-2:], b.shape[-1]
    work = m * k * n
    strips = min(max(m, n) // STRIP, work // WORK)
    # Plain Python (NUMBA_DISABLE_JIT) cannot call an address.
    if work >= LARGE and strips > 1 and a.dtype in FACTORS and not config.DISABLE_JIT:  # type: ignore[attr-defined]
        return _in_strips(a, b, strips)
    # Infinity arises without a warning, as in compiled loops.
    with blas.one_thread, np.errstate(all="ignore"):
        return np.ascontiguousarray(np.matmul(a, b))


def _in_strips(a: npt.NDArray[Any], b: npt.NDArray[Any], strips: int) -> npt.NDArray[Any]:
    """Cut the longer side of the result, rows or columns, into strips of nearly the same size, a call of BLAS each."""
    (m, k), n = a.shape[-2:], b.shape[-1]
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    out = np.empty((*batch, m, n), a.dtype)
    (a, a_turned, a_line), (b, b_turned, b_line) = _as_blas(a), _as_blas(b)
    steps = (a.strides[-2], 0, out.strides[-2]) if m >= n else (0, b.strides[-1], out.strides[-1])
    with blas.one_thread:
        _strips.run(
            LARGE,
            blas.gemm(a.dtype),
            LETTERS,
            FACTORS[a.dtype],
            *(_places(matrices, batch) for matrices in (a, b, out)),
            (a_turned, b_turned),
            (a_line, b_line),
            (m, k, n),
            steps,
            strips,
            np.empty((math.prod(batch) * strips, 6), np.int32),
        )
    return out


def _as_blas(matrix: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], bool, int]:
    """Give matrices as BLAS reads them, whether they lie by columns, and from one line to the next how many elements.

    They are copied only where neither their rows nor their columns are contiguous.
    """
    rows, columns = matrix.shape[-2:]
    down, across = (stride // matrix.itemsize for stride in matrix.strides[-2:])
    if across == 1 and down >= columns:
        return matrix, False, down
    if down == 1 and across >= rows:
        return matrix, True, across
    return np.ascontiguousarray(matrix), False, columns


def _places(matrices: npt.NDArray[Any], batch: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Give the address of every matrix of a batch."""
    places = np.array(matrices.ctypes.data)
    if batch:
        strides = np.broadcast_to(matrices, (*batch, *matrices.shape[-2:])).strides[:-2]
        for index, stride in zip(np.ogrid[tuple(map(slice, batch))], strides, strict=True):
            places = places + index * stride
    return places.reshape(-1)
