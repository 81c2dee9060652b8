"""How a program calls the kernels that are not written for it: one entry for each operation.

A family looks at a node and says which kernel computes it and what the kernel needs beside the operands. Shapes come
to it in an array of integers, its plan, so that one piece of machine code serves all of them. The kernels here are
small; convolutions have a file of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ...kernels import blas
from ...kernels.addresses import array, call, int32_at, integers
from ...kernels.compile import jit
from ...kernels.cpu import pool, softmax
from ...kernels.cpu.block_product import block_product, is_for_blocks, plan_product
from ...kernels.cpu.row_product import row_product, row_product_turned
from ..graph import Node, Ref
from .convolutions import CONVOLUTIONS
from .entries import entry
from .family import Family, other_of_pair, with_work
from .lines import LINES

__all__ = ["FAMILIES"]

real: Any = None  # bound in the copy of a template for each type of elements, with what follows
itemsize: Any = None
real_at: Any = None
kernel: Any = None  # bound where one template serves several


def _plan(*numbers: int) -> npt.NDArray[np.int64]:
    return np.array(numbers, np.int64)


def _per_image(node: Node, ref: Ref) -> tuple[int, int]:
    """Count the elements of an image of an operand and of a result."""
    batch = max(1, ref.shape[0] if ref.shape else 1)
    return ref.size // batch, node.size // batch


@jit
def _some(address, first, n, dtype, size):
    """Make an array of the ``n`` elements from ``first`` on."""
    return array(address + first * size, n, dtype)


# --- softmax -------------------------------------------------------------------------------------------------------

softmax_lines = jit(softmax._softmax.fn, keep=False, fastmath={"contract"})
logsoftmax_lines = jit(softmax._logsoftmax.fn, keep=False, fastmath={"contract"})


def _over_lines(operands, b0, b1):
    at = integers(operands)
    plan = integers(at[2])
    first, n = b0 * plan[0], (b1 - b0) * plan[0]
    kernel(_some(at[0], first, n, real, itemsize), _some(at[1], first, n, real, itemsize), plan[1], plan[2])


def _softmax(kernel: Any) -> Callable[[Node, int], Family]:
    def family(node: Node, images: int) -> Family:
        (ref,) = node.inputs
        (dim,) = node.args
        image, _ = _per_image(node, ref)
        return Family(
            name=node.op,
            entry=entry(_over_lines, ref.dtype, kernel) if ref.size else None,
            tables=[_plan(image, ref.shape[dim], math.prod(ref.shape[dim + 1 :]))],
            flops=20 * ref.size,
            extent=ref.shape[0],
        )

    return family


# --- maxima --------------------------------------------------------------------------------------------------------

find_in_lines = jit(pool._max_of_lines.fn, keep=False)
find_in_rows = jit(pool._max_of_rows.fn, keep=False)
find_beside = jit(pool._max_pool.fn, keep=False)
find_anywhere = jit(pool._max_pool_anywhere.fn, keep=False)


@jit
def max_of_lines(out, places, values, plan):
    find_in_lines(out, places, values, plan[2])


@jit
def max_of_rows(out, places, values, plan):
    find_in_rows(out, places, values, plan[2], plan[3])


@jit
def max_pool_beside(out, places, values, plan):
    find_beside(out, places, values, plan[2], plan[3], plan[4], plan[5], plan[6], plan[7])


@jit
def max_pool_anywhere(out, places, values, plan):
    rows, columns = (plan[6], plan[7], plan[8], plan[9]), (plan[10], plan[11], plan[12], plan[13])
    find_anywhere(out, places, values, plan[2], plan[3], plan[4], plan[5], *rows, *columns)


def _find_maxima(operands, b0, b1):
    at = integers(operands)
    plan = integers(at[3])
    image, maxima, images = plan[0], plan[1], b1 - b0
    out = _some(at[0], b0 * maxima, images * maxima, real, itemsize)
    places = _some(at[1], b0 * maxima, images * maxima, np.int64, 8)
    kernel(out, places, _some(at[2], b0 * image, images * image, real, itemsize), plan)
    # The kernel counts from the start of its chunk, not of the whole array.
    for i in range(places.size):
        places[i] += b0 * image


def _max(node: Node, images: int) -> Family:
    (ref,) = node.inputs
    (dim,) = node.args
    n, inner = ref.shape[dim], math.prod(ref.shape[dim + 1 :])
    # Along the batch there are no images.
    image, lines = _per_image(node, ref) if dim else (ref.size, node.size)
    kernel = max_of_lines if inner == 1 else max_of_rows
    return Family(
        name=kernel.__name__,
        entry=entry(_find_maxima, ref.dtype, kernel) if node.size else None,
        tables=[_plan(image, lines, n, inner)],
        other=other_of_pair(node, ref.dtype),
        flops=ref.size,
        extent=ref.shape[0] if dim else 1,
    )


def _max_pool(node: Node, images: int) -> Family:
    (ref,) = node.inputs
    (kh, kw), geometry = node.args.kernel, node.args.geometry
    _, _, height, width = ref.shape
    down, right = geometry
    beside = down == (height // kh, kh, 1, 1, 0) and right == (width // kw, kw, 1, 1, 0)
    if beside:
        kernel, numbers = max_pool_beside, (height, width, down.size, right.size, kh, kw)
    else:
        windows = [(g.size, g.stride, g.dilation, g.offset) for g in geometry]
        kernel, numbers = max_pool_anywhere, (height, width, kh, kw, *windows[0], *windows[1])
    return Family(
        name=kernel.__name__,
        entry=entry(_find_maxima, ref.dtype, kernel) if node.size else None,
        tables=[_plan(*_per_image(node, ref), *numbers)],
        other=other_of_pair(node, ref.dtype),
        flops=ref.size,
        extent=ref.shape[0],
    )


# --- places --------------------------------------------------------------------------------------------------------


def _put(operands, b0, b1):
    """Add values at places, where ``windows`` is not 0 those of a plane, of which ``windows`` values belong to each."""
    at = integers(operands)
    out, values, places = real_at(operands, 0), real_at(operands, 1), integers(at[2])
    faults, plan = int32_at(operands, 3), integers(at[4])
    image, count, windows, plane, size = plan[0], plan[1], plan[2], plan[3], plan[4]
    for i in range(b0 * image, b1 * image):
        out[i] = 0
    for i in range(b0 * count, b1 * count):
        place = places[i] + (i // windows * plane if windows else 0)
        if place < 0 or place >= size:
            faults[0] = 1
        else:
            out[place] += values[i]


def _take(operands, b0, b1):
    """Read values at places."""
    at = integers(operands)
    out, values, places = real_at(operands, 0), real_at(operands, 1), integers(at[2])
    faults, plan = int32_at(operands, 3), integers(at[4])
    count, windows, plane, size = plan[1], plan[2], plan[3], plan[4]
    for i in range(b0 * count, b1 * count):
        place = places[i] + (i // windows * plane if windows else 0)
        if place < 0 or place >= size:
            faults[0] = 1
        else:
            out[i] = values[place]


def _places(node: Node, images: int) -> Family:
    values, places = node.inputs
    put = node.op == "put"
    listed, size = (values.size, node.size) if put else (node.size, values.size)
    # The values and the elements of each plane that places count in; 0 where they count in the whole array.
    windows, plane = (math.prod(places.node.shape[2:]), math.prod(node.args[0][2:])) if node.args else (0, 0)
    batch = (values if put else places).shape[:1]
    # A chunk has the images of a region; outside, everything is one.
    images = batch[0] if batch and batch[0] and listed % batch[0] == 0 and node.size % batch[0] == 0 else 1
    return Family(
        name=node.op,
        entry=entry(_put if put else _take, values.dtype) if node.size else None,
        tables=[_plan(node.size // images, listed // images, windows, plane, size)],
        flops=listed,
        extent=images,
        checks_places=True,
    )


# --- products ------------------------------------------------------------------------------------------------------

# What the range of a call counts: rows of the result, the dimension that is summed over, or columns.
ROWS, INNER, COLUMNS = range(3)

# The fewest rows or columns of the result that a product is divided into.
STRIP = 64

# Products of fewer rows than this are divided into columns, if there are more of these.
FEW_ROWS = 4 * STRIP

# A product keeps its sizes, the ends of its rows and two factors behind the addresses of its operands, at this byte.
CELLS = 128


def _product(operands, b0, b1):
    """Multiply matrices by BLAS, which reads all numbers from memory and counts along columns: $C^T = B^T A^T$."""
    at = integers(operands)
    plan = integers(at[3])
    gemm, count, ranged = plan[0], plan[1], plan[2]
    m, k, n = plan[3], plan[4], plan[5]
    if ranged == ROWS:
        m = b1 - b0
    elif ranged == INNER:
        k = b1 - b0
    else:
        n = b1 - b0
    cells = operands + CELLS
    at[8], at[9] = cells, cells + 40
    numbers, factors = int32_at(operands, 8), real_at(operands, 9)
    numbers[0], numbers[1], numbers[2] = n, m, k
    for j in range(5):  # whether B and A are read transposed, as letters, and the rows of B, A and C
        numbers[3 + j] = plan[9 + j]
    factors[0], factors[1] = real(1), real(0)
    for i in range(count):
        c = at[0] + (i * plan[14] + b0 * plan[6]) * itemsize
        a = at[1] + (i * plan[15] + b0 * plan[7]) * itemsize
        b = at[2] + (i * plan[16] + b0 * plan[8]) * itemsize
        letters, rows = cells + 12, cells + 20
        sizes = (letters, letters + 4, cells, cells + 4, cells + 8)
        call(gemm, (*sizes, cells + 40, b, rows, a, rows + 4, cells + 40 + itemsize, c, rows + 8))


def _row(operands, b0, b1):
    plan = integers(integers(operands)[3])
    kernel(real_at(operands, 0), real_at(operands, 1), real_at(operands, 2), plan[0], plan[1], b0, b1)


def _block_product(operands, b0, b1):
    """Operands: result, both factors, plan, work."""
    c, a, b = real_at(operands, 0), real_at(operands, 1), real_at(operands, 2)
    block_product(c, a, b, integers(integers(operands)[3]), real_at(operands, 4), b0, b1)


def _matrix_multiply(node: Node, images: int) -> Family:
    a, b = node.inputs
    m, n = node.shape[-2:]
    k = a.shape[-1]
    count = math.prod(a.shape[:-2])
    if len(node.shape) == 2 and m == 1:
        kernel = row_product_turned if _lies_by_columns(b) else row_product
        return Family(
            name=kernel.__name__,
            entry=entry(_row, node.dtype, kernel) if n else None,
            tables=[_plan(k, n)],
            flops=2 * n * k,
            extent=n,
            strip=STRIP,
        )
    a_turned, b_turned = _lies_by_columns(a), _lies_by_columns(b)
    if len(node.shape) == len(a.shape) == 2 and images == m and is_for_blocks(m, k, n, node.dtype):
        # The rows of a gradient are the output channels of a weight, and its update is divided along them.
        by_columns = m < min(n, FEW_ROWS)
        product = plan_product(m, k, n, a_turned, b_turned, by_columns)
        return Family(
            name="block_product",
            entry=entry(_block_product, node.dtype),
            tables=[product.numbers],
            arrange=with_work,
            scratch=product.scratch * node.dtype.itemsize,
            flops=2 * m * n * k,
            extent=n if by_columns else m,
            strip=STRIP,
        )
    # A partial sum has a dimension of chunks in front of the matrix, and the inner dimension is that of the batch.
    ranged = INNER if len(node.shape) > len(a.shape) else COLUMNS if images == m < n and count == 1 else ROWS
    # How far the result and both factors are from the last of a range to the next.
    steps = {
        ROWS: (n, 1 if a_turned else k, 0),
        INNER: (0, m if a_turned else 1, 1 if b_turned else n),
        COLUMNS: (1, 0, k if b_turned else 1),
    }[ranged]
    letters = [ord("T" if turned else "N") for turned in (b_turned, a_turned)]
    rows = [max(1, length) for length in (k if b_turned else n, m if a_turned else k, n)]
    numbers = [count, ranged, m, k, n, *steps, *letters, *rows, m * n, m * k, k * n]
    return Family(
        name="product",
        entry=entry(_product, node.dtype) if m * n * count else None,
        tables=[_plan(blas.gemm(node.dtype), *numbers)],
        flops=2 * count * m * n * k,
        extent={ROWS: m, INNER: k, COLUMNS: n}[ranged],
        strip=STRIP if count == 1 and ranged != INNER else 0,
        holds_blas=m * n * k > blas.UNDIVIDED,
    )


def _lies_by_columns(ref: Ref) -> bool:
    """Tell whether a matrix lies in memory column by column."""
    (rows, columns), (down, across) = ref.shape[-2:], ref.strides[-2:]
    return not ((across == 1 or columns == 1) and (down == columns or rows == 1))


FAMILIES: dict[str, Callable[[Node, int], Family]] = {
    "softmax": _softmax(softmax_lines),
    "logsoftmax": _softmax(logsoftmax_lines),
    "max": _max,
    "max_place": _max,
    "max_pool": _max_pool,
    "max_pool_place": _max_pool,
    "put": _places,
    "take": _places,
    "matrix_multiply": _matrix_multiply,
    **CONVOLUTIONS,
    **LINES,
}
