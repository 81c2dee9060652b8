"""The backend for an NVIDIA GPU: the contract of :mod:`minitorch.tensor_ops` on CUDA kernels (course module 3).

Like :mod:`minitorch.fast_ops` it has two sets of kernels. **The readable ones** are the course's: :func:`tensor_map`,
:func:`tensor_zip`, :func:`tensor_reduce`, :data:`tensor_matrix_multiply`, and the two of the practice tasks. **The
fast ones**, in :mod:`minitorch.kernels.cuda`, are what :class:`CudaOps` runs.

A tensor's data stays on the GPU (:mod:`minitorch.cuda_data`). An operation only starts a kernel and returns, so that
Python prepares the next operations while the GPU works; it waits where numbers are read. Every kernel writes a number
from one thread, in an order that depends on shapes alone: equal inputs give equal bits.

>>> try:
...     CudaOps.check()
... except BackendError as error:
...     assert str(error).startswith("CudaOps cannot run here: ")
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .cuda_data import CudaData, flat_full, map_into
from .errors import BackendError, IndexingError, ShapeError
from .kernels import elements
from .kernels.cuda import conv, extremes, matmul, places, softmax, sort, strided
from .kernels.cuda.driver import obstacle, simulated
from .kernels.cuda.dropout import dropout_kernel
from .kernels.cuda.elementwise import zip_kernel
from .kernels.cuda.fold import fold
from .kernels.cuda.launch import Kernel, blocks_for, cuda, threads_for
from .kernels.cuda.memory import empty, empty_cache
from .kernels.cuda.product import Tiling, choose, parts_of
from .kernels.cuda.strided import (
    THREADS_PER_BLOCK,
    _mm_practice,
    _sum_practice,
    _tensor_matrix_multiply,
    tensor_map,
    tensor_matrix_multiply,
    tensor_reduce,
    tensor_zip,
)
from .kernels.cuda.walk import joined
from .kernels.geometry import Space
from .tensor_data import TensorData, expanded_strides, shape_broadcast, strides_from_shape
from .tensor_ops import MapProto, TensorOps, matmul_shape

if TYPE_CHECKING:
    from .tensor import Tensor
    from .tensor_data import Storage, UserShape

__all__ = [
    "THREADS_PER_BLOCK",
    "CudaOps",
    "_mm_practice",
    "_sum_practice",
    "_tensor_matrix_multiply",
    "device_name",
    "empty_cache",
    "mm_practice",
    "sum_practice",
    "tensor_map",
    "tensor_matrix_multiply",
    "tensor_reduce",
    "tensor_zip",
]


class CudaOps(TensorOps):
    """The operations as CUDA kernels."""

    cuda = True

    @staticmethod
    def check() -> None:
        """Raise a BackendError with the reason and the remedy where CUDA cannot run."""
        found = obstacle()
        if found is not None:
            raise BackendError(f"CudaOps cannot run here: {found.reason}. What helps: {found.fix}.")

    @staticmethod
    def place(data: TensorData) -> TensorData:
        """Copy data to the GPU, unless it is there."""
        return CudaData.upload(data)

    @staticmethod
    def map(fn: Callable[[float], float]) -> MapProto:
        """Run a thread for each element."""

        def operation(a: Tensor, out: Tensor | None = None) -> Tensor:
            _require_on_gpu(a, *(() if out is None else (out,)))
            result = a._new(CudaData.empty(a.shape, a.dtype)) if out is None else out
            map_into(fn, result._tensor, a._tensor)
            return result

        return operation

    @staticmethod
    def zip(
        fn: Callable[[float, float], float], dtype: npt.DTypeLike | None = None
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """Run a thread for each element of the broadcast shape."""

        def operation(a: Tensor, b: Tensor) -> Tensor:
            _require_on_gpu(a, b)
            left, right = a._tensor, b._tensor
            shape = shape_broadcast(left.shape, right.shape)
            out = CudaData.empty(shape, left.dtype if dtype is None else dtype)
            walks = (expanded_strides(x.shape, x.strides, out.shape) for x in (left, right))
            layout = joined(out.shape, *walks)
            zip_kernel(fn).for_each(out.size, out._storage, left._storage, right._storage, out.size, *layout)
            return a._new(out)

        return operation

    @staticmethod
    def reduce(
        fn: Callable[[float, float], float], start: float = 0.0
    ) -> Callable[[Tensor, int | Sequence[int]], Tensor]:
        """Fold runs of neighbouring dimensions at once, in an order of their own: ``fn`` has to be commutative too."""

        def operation(a: Tensor, dim: int | Sequence[int]) -> Tensor:
            _require_on_gpu(a)
            return a._new(_fold(fn, start, a._tensor, {dim} if isinstance(dim, int) else set(dim)))

        return operation

    @staticmethod
    def matrix_multiply(a: Tensor, b: Tensor) -> Tensor:
        """Multiply in tiles of shared memory, of any layout."""
        _require_on_gpu(a, b)
        shape = matmul_shape(a.shape, b.shape)
        *batch, rows, columns = shape
        left, right = (x._tensor.expand((*batch, *x.shape[-2:])) for x in (a, b))
        walk = (
            *joined(tuple(batch), left.strides[:-2], right.strides[:-2]),
            *left.strides[-2:],
            *right.strides[-2:],
            rows,
            columns,
        )
        operands = left._storage, right._storage
        return a._new(_product(matmul.matmul, shape, math.prod(batch), rows, columns, a.shape[-1], operands, walk))

    @staticmethod
    def conv(input: Tensor, weight: Tensor, geometry: Space) -> Tensor:
        """Multiply the weight with what the windows see; see :mod:`minitorch.kernels.cuda.conv`."""
        batch, out_channels = input.shape[0], weight.shape[0]
        places = tuple(g.size for g in geometry)
        kernel = weight.shape[2:]
        strides = weight._tensor.strides
        if len(kernel) == 1:
            strides = (*strides[:2], 0, strides[2])
        walk = (*conv.walk_of(input.shape, kernel, geometry), *strides, out_channels)
        columns, inner = batch * math.prod(places), math.prod(weight.shape[1:])
        operands = weight._tensor._storage, input._tensor.flat()
        shape = (batch, out_channels, *places)
        return input._new(_product(conv.convolve, shape, 1, out_channels, columns, inner, operands, walk))

    @staticmethod
    def conv_weight(input: Tensor, grad: Tensor, kernel: UserShape, geometry: Space) -> Tensor:
        """Multiply the gradient with what the windows saw; see :mod:`minitorch.kernels.cuda.conv`."""
        out_channels = grad.shape[1]
        shape = (out_channels, input.shape[1], *kernel)
        walk = (*conv.walk_of(input.shape, tuple(kernel), geometry), out_channels)
        inner = grad.shape[0] * math.prod(grad.shape[2:])
        operands = grad._tensor.flat(), input._tensor.flat()
        columns = math.prod(shape[1:])
        return input._new(_product(conv.convolve_weight, shape, 1, out_channels, columns, inner, operands, walk))

    @staticmethod
    def max(a: Tensor, dim: int) -> tuple[Tensor, Tensor]:
        """Compare parts of lines, and then their maxima."""
        shape = (*a.shape[:dim], 1, *a.shape[dim + 1 :])
        n, inner = a.shape[dim], math.prod(a.shape[dim + 1 :])
        if not math.prod(shape):
            return a._new(CudaData.empty(shape, a.dtype)), a._new(CudaData.empty(shape, np.int64))
        found = extremes.max_axis(
            a._tensor.flat(), math.prod(a.shape[:dim]), n, inner, _maker(a.dtype), _maker(np.dtype(np.int64))
        )
        values, at = (a._new(_contiguous(flat, shape)) for flat in found)
        return values, at

    @staticmethod
    def max_pool(a: Tensor, kernel: tuple[int, int], geometry: Space) -> tuple[Tensor, Tensor]:
        """Run a thread for each window."""
        shape = (*a.shape[:2], *(g.size for g in geometry))
        values, at = CudaData.empty(shape, a.dtype), CudaData.empty(shape, np.int64)
        lies = [(g.stride, g.dilation, g.offset) for g in geometry]
        rows, columns = shape[2:]
        arrays = values._storage, at._storage, a._tensor.flat()
        extremes.max_pool.for_each(values.size, *arrays, *a.shape[2:], *kernel, rows, lies[0], columns, lies[1])
        return a._new(values), a._new(at)

    @staticmethod
    def take(a: Tensor, index: Tensor) -> Tensor:
        """Read, a thread for each place. A place outside raises when numbers are read back."""
        out = CudaData.empty(index.shape, a.dtype)
        places.take.for_each(out.size, out._storage, a._tensor.flat(), index._tensor.flat(), places.faults.watch())
        return a._new(out)

    @staticmethod
    def put(a: Tensor, index: Tensor, shape: UserShape) -> Tensor:
        """Add up each place's elements in a fixed order. A place outside raises when numbers are read back."""
        if index.size != a.size:
            raise IndexingError(f"expected a place for each of {a.size} elements, got {index.size}. Give one for each.")
        out = CudaData.full(shape, 0, a.dtype)
        arrays = out._storage, a._tensor.flat(), index._tensor.flat()
        at, seen = arrays[2], places.faults.watch()
        if a.size <= places.FEW:
            first, count = flat_full(out.size, a.size, np.int64), flat_full(out.size, 0, np.int64)
            places.note.for_each(a.size, first, count, at, seen)
            places.add_noted.for_each(a.size, *arrays, first, count)
        else:
            order = empty(a.size, np.int64)
            sort.argsort_axis(order, at, a.size, 1, False, _maker(np.dtype(np.int64)))
            heads = empty(blocks_for(a.size, places.PART), a.dtype)
            places.add_runs.for_each(heads.size, out._storage, heads, *arrays[1:], order, seen)
            places.join_runs.for_each(heads.size, out._storage, heads, at, order)
        return a._new(out)

    @staticmethod
    def argsort(a: Tensor, dim: int, descending: bool) -> Tensor:
        """Run a sorting network along each line."""
        out = CudaData.empty(a.shape, np.int64)
        if out.size:
            n, inner = a.shape[dim], math.prod(a.shape[dim + 1 :])
            sort.argsort_axis(out._storage, a._tensor.flat(), n, inner, descending, _maker(np.dtype(np.int64)))
        return a._new(out)

    @staticmethod
    def softmax(a: Tensor, dim: int) -> Tensor:
        """Run a block for each line."""
        return _along_lines(softmax.softmax, a, dim)

    @staticmethod
    def logsoftmax(a: Tensor, dim: int) -> Tensor:
        """Run a block for each line."""
        return _along_lines(softmax.logsoftmax, a, dim)

    @staticmethod
    def dropout(a: Tensor, rate: float, scale: float, seed: int, stream: int) -> Tensor:
        """Draw each number where it is used: the same ones as on every other backend."""
        out = CudaData.empty(a.shape, a.dtype)
        real = a.dtype.type
        numbers = real(rate), real(scale), np.uint64(seed), np.uint64(stream)
        dropout_kernel(a.dtype).for_each(out.size, out._storage, a._tensor.flat(), *numbers)
        return a._new(out)


def device_name() -> str:
    """Name the GPU that computes, and its generation: ``Tesla T4, compute capability 7.5``."""
    if simulated():
        return "a simulated GPU"
    device = cuda.get_current_device()
    name = device.name if isinstance(device.name, str) else device.name.decode()
    return f"{name}, compute capability {'.'.join(map(str, device.compute_capability))}"


# --- helpers -------------------------------------------------------------------------------------------------


def _require_on_gpu(*tensors: Tensor) -> None:
    for x in tensors:
        if not isinstance(x._tensor, CudaData):
            raise BackendError(
                f"CudaOps computes with tensors on the GPU, got one on {x.backend}. Nothing is moved silently: move it "
                "with t.to(backend)."
            )


def _contiguous(flat: Storage, shape: tuple[int, ...]) -> CudaData:
    return CudaData.of(flat, shape, strides_from_shape(shape))


def _maker(dtype: np.dtype[Any]) -> Callable[[int], Any]:
    return lambda size: empty(size, dtype)


def number_of(value: float, dtype: np.dtype[Any]) -> Any:
    """Give a number the type of the elements it meets; an infinity is the smallest or the largest of whole numbers.

    >>> number_of(2.0, np.dtype("int64")), number_of(-math.inf, np.dtype("uint8"))
    (2, 0)
    """
    if dtype.kind == "f":
        return dtype.type(value)
    if math.isfinite(value):
        return int(value)
    ends = (0, 1) if dtype.kind == "b" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    return ends[value > 0]


def _fold(fn: Callable[[float, float], float], start: float, data: TensorData, dims: set[int]) -> TensorData:
    """Reduce over ``dims``, neighbouring dimensions at once, from the last to the first."""
    flat, shape, begin = data.flat(), list(data.shape), number_of(start, data.dtype)
    left = sorted(dims)
    while left:
        last = first = left.pop()
        while left and left[-1] == first - 1:
            first = left.pop()
        outer, n, inner = (math.prod(part) for part in (shape[:first], shape[first : last + 1], shape[last + 1 :]))
        shape[first : last + 1] = [1] * (last + 1 - first)
        if n and outer * inner:
            flat = fold(fn, begin, flat, outer, n, inner, _maker(data.dtype))
        else:
            flat = flat_full(outer * inner, begin, data.dtype)
    return _contiguous(flat, tuple(shape))


def _product(
    kernels: dict[Tiling, Kernel],
    shape: tuple[int, ...],
    batch: int,
    rows: int,
    columns: int,
    inner: int,
    operands: tuple[Storage, Storage],
    walk: tuple[Any, ...],
) -> CudaData:
    """Run a kernel of :mod:`minitorch.kernels.cuda.product`, and add up the parts of a long sum."""
    size = math.prod(shape)
    parts = parts_of(size, inner)
    tiling = choose(rows, columns, batch * parts)
    out = empty(parts * size, operands[0].dtype)
    blocks = tiling.blocks(rows, columns) * batch * parts
    kernels[tiling](blocks, (tiling.side, tiling.side), out, *operands, rows, columns, inner, parts, size, walk)
    if parts > 1:
        out = fold(elements.add, number_of(0, out.dtype), out, 1, parts, size, _maker(out.dtype))
    return _contiguous(out, shape)


def _along_lines(kernel: Kernel, a: Tensor, dim: int) -> Tensor:
    out = CudaData.empty(a.shape, a.dtype)
    if out.size:
        n, inner = a.shape[dim], math.prod(a.shape[dim + 1 :])
        kernel(out.size // n, threads_for(n), out._storage, a._tensor.flat(), n, inner)
    return a._new(out)


# --- the practice tasks --------------------------------------------------------------------------------------


def sum_practice(a: Tensor) -> TensorData:
    """Add up every 32 elements of a vector (course task 3.3).

    Args:
        a: one dimension, on this backend.

    Returns:
        A sum for each block of 32, and two at least.

    Raises:
        BackendError: the vector is on another backend.
        ShapeError: it is no vector.
    """
    _require_on_gpu(a)
    if a.dims != 1:
        raise ShapeError(f"sum_practice adds up a vector, expected one dimension, got {a.shape}. Flatten it with view.")
    (size,) = a.shape
    blocks = max(2, blocks_for(size, THREADS_PER_BLOCK))
    out = CudaData.empty((blocks,), a.dtype)
    strided.sum_practice(blocks, THREADS_PER_BLOCK, out._storage, a._tensor.flat(), size)
    return out


def mm_practice(a: Tensor, b: Tensor) -> TensorData:
    """Multiply two square matrices of at most 32 x 32 in one block (course task 3.4).

    Args:
        a: ``size x size``, on this backend.
        b: the same.

    Returns:
        ``size x size``.

    Raises:
        BackendError: a matrix is on another backend.
        ShapeError: the matrices are no squares of one size, or larger.
    """
    _require_on_gpu(a, b)
    size = a.shape[-1] if a.dims else 0
    if not 0 < size <= THREADS_PER_BLOCK or not a.shape == b.shape == (size, size):
        raise ShapeError(
            f"mm_practice multiplies two square matrices of 1 to {THREADS_PER_BLOCK} rows in one block, got {a.shape} "
            f"and {b.shape}. Multiply others with a @ b."
        )
    out = CudaData.empty((size, size), a.dtype)
    strided.mm_practice(1, (size, size), out._storage, a._tensor.flat(), b._tensor.flat(), size)
    return out
