"""Dropout with numbers that are made on the spot: the mask depends on seed, stream and position (course task 4.4)."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import prange

from .. import philox
from ..compile import Kernel, bind, jit

__all__ = ["dropout"]

Array = npt.NDArray[Any]

# Elements of one task: a few microseconds of work.
BLOCK = 4096

# A number takes as long as this many simple element operations.
DRAW = 8

# Put into the loop, whose turns then run side by side in vector instructions: 1.4 ns a number instead of 10.
_inlined: Any = partial(jit, keep=False, forceinline=True)
_words = _inlined(philox.words)
_uniform_32 = _inlined(bind(philox.uniform_32, "uniform_32", words=_words))
_uniform_64 = _inlined(bind(philox.uniform_64, "uniform_64", words=_words))

uniform: Any = None  # bound in the copy for each dtype


def _dropout(out, a, rate, scale, seed, stream):
    blocks = (a.size + BLOCK - 1) // BLOCK
    for block in prange(blocks):
        start = block * BLOCK
        to, row = out[start : start + BLOCK], a[start : start + BLOCK]
        for i in range(to.size):
            kept = uniform(np.uint64(start + i), stream, seed) >= rate
            to[i] = row[i] * scale if kept else 0


@cache
def _kernel(dtype: np.dtype[Any]) -> Kernel:
    draw = _uniform_32 if dtype == np.float32 else _uniform_64
    return Kernel(bind(_dropout, f"dropout_{dtype.name}", uniform=draw))


def dropout(out: Array, a: Array, rate: float, scale: float, seed: int, stream: int) -> None:
    r"""Compute $y_i = s\,x_i$ where the draw $u_i \ge r$, and 0 elsewhere, whatever $x_i$ is there.

    $u_i$ is number $i$ that ``Generator.uniform`` draws in the dtype of ``a`` from this seed and stream. It is below
    1, so a rate of 0 keeps everything and a rate of 1 nothing. The gradient is the same function of the upstream
    gradient.

    Args:
        out: flat results.
        a: flat elements, float32 or float64, of the same size.
        rate: $r$, the share of elements to drop, from 0 to 1; compared in the dtype of ``a``.
        scale: $s$, what is kept is multiplied by.
        seed: the seed, from 0 to $2^{64} - 1$.
        stream: the stream, in the same range.

    >>> out = np.empty(3)
    >>> dropout(out, np.ones(3), 0.0, 1.25, 7, 0)
    >>> out.tolist()
    [1.25, 1.25, 1.25]
    """
    real = a.dtype.type
    _kernel(a.dtype).run(a.size * DRAW, out, a, real(rate), real(scale), np.uint64(seed), np.uint64(stream))
