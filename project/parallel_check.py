"""Print what Numba made parallel in the kernels of module 3 and 4 (course tasks 3.1, 3.2, 4.1 and 4.2).

    python project/parallel_check.py

Look for the loops marked as parallel, for loops that were fused into one, and for allocations that were hoisted out
of a loop. The report is made while a kernel is compiled, so every kernel here is compiled afresh on each run: one that
comes from a disk cache has nothing to tell.
"""

from __future__ import annotations

from typing import Any

from numba import njit

import minitorch
from minitorch import fast_conv, fast_ops

tensor_map = fast_ops.tensor_map(njit()(minitorch.operators.id))
tensor_zip = fast_ops.tensor_zip(njit()(minitorch.operators.eq))
tensor_reduce = fast_ops.tensor_reduce(njit()(minitorch.operators.add))


def report(title: str, kernel: Any, *arguments: Any) -> None:
    """Compile a kernel by running it once, and print its parallel diagnostics."""
    print(f"\n{title}\n", flush=True)
    kernel(*arguments)
    kernel.parallel_diagnostics(level=3)


def arrays(*shape: int) -> tuple[Any, ...]:
    """Make the storage, shape and strides of a tensor of zeros."""
    return minitorch.zeros(shape).tuple()


def main() -> None:
    """Go through the kernels."""
    report("MAP", tensor_map, *arrays(10), *arrays(10))
    report("ZIP", tensor_zip, *arrays(10), *arrays(10), *arrays(10))
    report("REDUCE", tensor_reduce, *arrays(1), *arrays(10), 0)
    report(
        "MATRIX MULTIPLY", fast_ops.tensor_matrix_multiply, *arrays(1, 10, 10), *arrays(1, 10, 20), *arrays(1, 20, 10)
    )

    out, input, weight = arrays(2, 4, 10), arrays(2, 3, 10), arrays(4, 3, 5)
    report("CONVOLUTION 1D", fast_conv.tensor_conv1d, *out, out[0].size, *input, *weight, False)
    out, input, weight = arrays(2, 4, 6, 6), arrays(2, 3, 6, 6), arrays(4, 3, 3, 3)
    report("CONVOLUTION 2D", fast_conv.tensor_conv2d, *out, out[0].size, *input, *weight, False)


if __name__ == "__main__":
    main()
