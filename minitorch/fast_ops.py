"""The backend for the processor: the contract of :mod:`minitorch.tensor_ops` on compiled loops (course module 3).

Two sets of kernels live side by side:

* **The readable ones**, public as in the course: :func:`tensor_map`, :func:`tensor_zip`, :func:`tensor_reduce` and
  :data:`tensor_matrix_multiply` are Numba dispatchers over storages, shapes and strides. They accept every memory
  layout, run in parallel, and are what one reads to learn how strides work.
* **The fast ones**, in :mod:`minitorch.kernels.cpu`, for contiguous data. :class:`FastOps` runs these: before an
  operation it simplifies the layout (neighbouring dimensions that are walked alike become one) and copies an
  operand only where that leaves no simple layout.

``tests/test_fast_ops.py`` holds both against :class:`~minitorch.tensor_ops.SimpleOps` on the same cases.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numba import prange

from . import tensor_data
from .kernels import elements
from .kernels.compile import bind, jit, jit_element
from .kernels.cpu import conv, dropout, pool, softmax
from .kernels.cpu.elementwise import map_kernel, zip_kernel
from .kernels.cpu.matmul import matmul
from .kernels.cpu.reduce import reduce_kernel
from .kernels.geometry import Space
from .kernels.strided import _tensor_matrix_multiply
from .tensor_data import MAX_DIMS, TensorData, expanded_strides, shape_broadcast
from .tensor_ops import MapProto, TensorBackend, TensorOps, matmul_shape

if TYPE_CHECKING:
    from .tensor import Tensor
    from .tensor_data import Shape, Storage, Strides, UserShape

__all__ = [
    "FastBackend",
    "FastOps",
    "_tensor_matrix_multiply",
    "tensor_map",
    "tensor_matrix_multiply",
    "tensor_reduce",
    "tensor_zip",
]

# --- the readable kernels ------------------------------------------------------------------------------------

fn: Any = None  # bound in every copy of the templates

to_index = jit_element(tensor_data.to_index)
index_to_position = jit_element(tensor_data.index_to_position)
broadcast_index = jit_element(tensor_data.broadcast_index)


def _tensor_map(
    out: Storage, out_shape: Shape, out_strides: Strides, in_storage: Storage, in_shape: Shape, in_strides: Strides
) -> None:
    size = np.prod(out_shape)
    for i in prange(size):
        out_index = np.empty(MAX_DIMS, np.int64)[: len(out_shape)]
        in_index = np.empty(MAX_DIMS, np.int64)[: len(in_shape)]
        to_index(i, out_shape, out_index)
        broadcast_index(out_index, out_shape, in_shape, in_index)
        value = fn(in_storage[index_to_position(in_index, in_strides)])
        out[index_to_position(out_index, out_strides)] = value


def _tensor_zip(
    out: Storage,
    out_shape: Shape,
    out_strides: Strides,
    a_storage: Storage,
    a_shape: Shape,
    a_strides: Strides,
    b_storage: Storage,
    b_shape: Shape,
    b_strides: Strides,
) -> None:
    size = np.prod(out_shape)
    for i in prange(size):
        out_index = np.empty(MAX_DIMS, np.int64)[: len(out_shape)]
        a_index = np.empty(MAX_DIMS, np.int64)[: len(a_shape)]
        b_index = np.empty(MAX_DIMS, np.int64)[: len(b_shape)]
        to_index(i, out_shape, out_index)
        broadcast_index(out_index, out_shape, a_shape, a_index)
        broadcast_index(out_index, out_shape, b_shape, b_index)
        left = a_storage[index_to_position(a_index, a_strides)]
        right = b_storage[index_to_position(b_index, b_strides)]
        out[index_to_position(out_index, out_strides)] = fn(left, right)


def _tensor_reduce(
    out: Storage,
    out_shape: Shape,
    out_strides: Strides,
    a_storage: Storage,
    a_shape: Shape,
    a_strides: Strides,
    reduce_dim: int,
) -> None:
    size = np.prod(out_shape)
    for i in prange(size):
        index = np.empty(MAX_DIMS, np.int64)[: len(out_shape)]
        to_index(i, out_shape, index)
        o = index_to_position(index, out_strides)
        p = index_to_position(index, a_strides)
        total = out[o]
        for j in range(a_shape[reduce_dim]):
            total = fn(total, a_storage[p + j * a_strides[reduce_dim]])
        out[o] = total


def _dispatcher(template: Callable[..., None], function: Callable[..., Any]) -> Any:
    # Never kept on disk: code that comes from there has no parallel diagnostics to print.
    bound = bind(template, f"{template.__name__}_{function.__name__}", fn=jit_element(function))
    return jit(bound, keep=False, parallel=True)


@cache
def tensor_map(fn: Callable[[float], float]) -> Any:
    """Compile ``out[i] = fn(in[i])`` over storages of any layout, in parallel (course task 3.1).

    Args:
        fn: a function of one number, plain or compiled by Numba; the result is memoised by it.

    Returns:
        A Numba dispatcher of ``(out, out_shape, out_strides, in, in_shape, in_strides)``.
    """
    return _dispatcher(_tensor_map, fn)


@cache
def tensor_zip(fn: Callable[[float, float], float]) -> Any:
    """Compile ``out[i] = fn(a[i], b[i])`` over storages of any layout, in parallel (course task 3.1).

    Args:
        fn: a function of two numbers, plain or compiled by Numba; the result is memoised by it.

    Returns:
        A Numba dispatcher of three arrays (storage, shape, strides) for each of ``out``, ``a`` and ``b``.
    """
    return _dispatcher(_tensor_zip, fn)


@cache
def tensor_reduce(fn: Callable[[float, float], float]) -> Any:
    """Compile the fold of one dimension into ``out``, which holds the starting values (course task 3.1).

    Args:
        fn: an associative function of two numbers, plain or compiled by Numba; the result is memoised by it.

    Returns:
        A Numba dispatcher of three arrays for ``out``, three for ``a``, and the dimension to fold.
    """
    return _dispatcher(_tensor_reduce, fn)


tensor_matrix_multiply = jit(_tensor_matrix_multiply, keep=False, parallel=True)


# --- layouts -------------------------------------------------------------------------------------------------


def _plan_zip(a: TensorData, b: TensorData, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Choose storages and a walk for :func:`~minitorch.kernels.cpu.elementwise.zip_kernel`.

    Returns:
        The storages of ``a`` and ``b``, the sizes ``rows, mids, cols``, and the three strides of each.
    """
    if a.shape == b.shape and a.is_contiguous() and b.is_contiguous():
        return a._storage, b._storage, 1, 1, a.size, 0, 0, 1, 0, 0, 1
    if b.size == 1 and a.shape == shape and a.is_contiguous():
        return a._storage, b._storage, 1, 1, a.size, 0, 0, 1, 0, 0, 0
    walk = _walk(shape, expanded_strides(a.shape, a.strides, shape), expanded_strides(b.shape, b.strides, shape))
    if walk is None:
        a, b = (TensorData.from_array(np.ascontiguousarray(x.expand(shape).array)) for x in (a, b))
        return a._storage, b._storage, 1, 1, a.size, 0, 0, 1, 0, 0, 1
    return a._storage, b._storage, *walk


@lru_cache(maxsize=4096)
def _walk(shape: tuple[int, ...], a_strides: tuple[int, ...], b_strides: tuple[int, ...]) -> tuple[int, ...] | None:
    """Find three dimensions that visit both operands: their sizes, then the strides of each; None if it takes more.

    Neighbouring dimensions that both operands walk as one become one.
    """
    dims: list[tuple[int, int, int]] = []  # size, stride of a, stride of b
    for n, sa, sb in zip(shape, a_strides, b_strides, strict=True):
        if n == 1:
            continue
        if dims:
            size, outer_a, outer_b = dims[-1]
            if outer_a == n * sa and outer_b == n * sb:
                dims[-1] = (size * n, sa, sb)
                continue
        dims.append((n, sa, sb))
    if len(dims) > 3:
        return None
    dims = [(1, 0, 0)] * (3 - len(dims)) + dims
    sizes, a_walk, b_walk = zip(*dims, strict=True)
    return *sizes, *a_walk, *b_walk


# A long sum is cut into partial sums of this length, which depends on no thread count. It also keeps float32 sums
# accurate: the error grows with the length of one chain of additions.
PARTIAL = 4096


def _fold(function: Callable[[float, float], float], start: float, data: TensorData, dims: Sequence[int]) -> TensorData:
    """Reduce contiguous ``data`` over ``dims``, neighbouring dimensions at once, from the last to the first."""
    kernel = reduce_kernel(function)
    flat, shape = data.flat(), list(data.shape)
    dims = sorted(set(dims))
    while dims:
        last = first = dims.pop()
        while dims and dims[-1] == first - 1:
            first = dims.pop()
        n = math.prod(shape[first : last + 1])
        outer = math.prod(shape[:first])
        inner = math.prod(shape[last + 1 :])
        shape[first : last + 1] = [1] * (last + 1 - first)
        while inner == 1 and outer == 1 and n > 2 * PARTIAL:
            partial = np.empty(-(-n // PARTIAL), flat.dtype)
            whole = n // PARTIAL
            kernel.run(n, partial, flat, start, whole, PARTIAL, 1)
            if n > whole * PARTIAL:
                kernel(partial[whole:], flat[whole * PARTIAL : n], start, 1, n - whole * PARTIAL, 1)
            flat, n = partial, partial.size
        out = np.empty(outer * inner, flat.dtype)
        kernel.run(outer * n * inner, out, flat, start, outer, n, inner)
        flat = out
    return TensorData.of(flat, tuple(shape), tensor_data.strides_from_shape(shape))


def _contiguous(a: Tensor) -> np.ndarray[Any, Any]:
    """Give the elements as a C-contiguous array of the tensor's shape, copying only when they are not so."""
    return np.ascontiguousarray(a._tensor.array)


# --- the backend ---------------------------------------------------------------------------------------------


class FastOps(TensorOps):
    """The operations as compiled loops: on one core while they are small, on all cores when they are large."""

    @staticmethod
    def map(fn: Callable[[float], float]) -> MapProto:
        """Run one loop over the flat elements."""

        def operation(a: Tensor, out: Tensor | None = None) -> Tensor:
            data = a._tensor
            if out is not None:
                if fn is not elements.identity:
                    data = operation(a)._tensor
                out._tensor.array[...] = data.array
                return out
            result = TensorData.empty(data.shape, data.dtype)
            if fn is elements.identity:
                result.array[...] = data.array
            else:
                map_kernel(fn).run(data.size, result._storage, data.flat(), data.size)
            return a._new(result)

        return operation

    @staticmethod
    def zip(
        fn: Callable[[float, float], float], dtype: npt.DTypeLike | None = None
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """Run one loop over at most three dimensions, which every common broadcast comes down to."""

        def operation(a: Tensor, b: Tensor) -> Tensor:
            left, right = a._tensor, b._tensor
            shape = shape_broadcast(left.shape, right.shape)
            out = TensorData.empty(shape, left.dtype if dtype is None else dtype)
            if out.size:
                zip_kernel(fn).run(out.size, out._storage, *_plan_zip(left, right, out.shape))
            return a._new(out)

        return operation

    @staticmethod
    def reduce(
        fn: Callable[[float, float], float], start: float = 0.0
    ) -> Callable[[Tensor, int | Sequence[int]], Tensor]:
        """Fold runs of neighbouring dimensions at once, long ones by partial results in a fixed order."""

        def operation(a: Tensor, dim: int | Sequence[int]) -> Tensor:
            return a._new(_fold(fn, start, a._tensor, (dim,) if isinstance(dim, int) else dim))

        return operation

    @staticmethod
    def matrix_multiply(a: Tensor, b: Tensor) -> Tensor:
        """Multiply through BLAS, large products in row blocks over the cores."""
        matmul_shape(a.shape, b.shape)
        return a._new(TensorData.from_array(matmul(a._tensor.array, b._tensor.array)))

    @staticmethod
    def conv(input: Tensor, weight: Tensor, geometry: Space) -> Tensor:
        """Run the blocked kernels of :mod:`minitorch.kernels.cpu.conv`."""
        out = TensorData.empty((input.shape[0], weight.shape[0], *(g.size for g in geometry)), input.dtype)
        conv.convolve(out.array, _contiguous(input), weight._tensor.array, geometry)
        return input._new(out)

    @staticmethod
    def conv_weight(input: Tensor, grad: Tensor, kernel: UserShape, geometry: Space) -> Tensor:
        """Run the blocked kernels of :mod:`minitorch.kernels.cpu.conv`."""
        out = TensorData.empty((grad.shape[1], input.shape[1], *kernel), input.dtype)
        conv.convolve_weight(out.array, _contiguous(input), _contiguous(grad), geometry)
        return input._new(out)

    @staticmethod
    def max(a: Tensor, dim: int) -> tuple[Tensor, Tensor]:
        """Run the kernels of :mod:`minitorch.kernels.cpu.pool`."""
        shape = (*a.shape[:dim], 1, *a.shape[dim + 1 :])
        values, places = TensorData.empty(shape, a.dtype), TensorData.empty(shape, np.int64)
        pool.max_axis(values._storage, places._storage, a._tensor.flat(), a.shape[dim], math.prod(a.shape[dim + 1 :]))
        return a._new(values), a._new(places)

    @staticmethod
    def max_pool(a: Tensor, kernel: tuple[int, int], geometry: Space) -> tuple[Tensor, Tensor]:
        """Run the kernels of :mod:`minitorch.kernels.cpu.pool`."""
        shape = (*a.shape[:2], *(g.size for g in geometry))
        values, places = TensorData.empty(shape, a.dtype), TensorData.empty(shape, np.int64)
        pool.max_pool(values.array, places.array, _contiguous(a), kernel, geometry)
        return a._new(values), a._new(places)

    @staticmethod
    def take(a: Tensor, index: Tensor) -> Tensor:
        """Read, spread over the cores."""
        out = TensorData.empty(index.shape, a.dtype)
        pool.take(out._storage, a._tensor.flat(), index._tensor.flat())
        return a._new(out)

    @staticmethod
    def put(a: Tensor, index: Tensor, shape: UserShape) -> Tensor:
        """Add in order, on one core."""
        out = TensorData.empty(shape, a.dtype)
        pool.put(out._storage, a._tensor.flat(), index._tensor.flat())
        return a._new(out)

    @staticmethod
    def argsort(a: Tensor, dim: int, descending: bool) -> Tensor:
        """Run NumPy's stable sort; read from the end, it keeps the order of equal elements the other way round."""
        lines = np.moveaxis(a._tensor.array, dim, -1)
        if descending:
            order = a.shape[dim] - 1 - np.argsort(lines[..., ::-1], -1, kind="stable")[..., ::-1]
        else:
            order = np.argsort(lines, -1, kind="stable")
        return a._new(TensorData.from_array(np.ascontiguousarray(np.moveaxis(order, -1, dim), np.int64)))

    @staticmethod
    def softmax(a: Tensor, dim: int) -> Tensor:
        """Run the kernels of :mod:`minitorch.kernels.cpu.softmax`."""
        out = TensorData.empty(a.shape, a.dtype)
        softmax.softmax(out._storage, a._tensor.flat(), a.shape[dim], math.prod(a.shape[dim + 1 :]))
        return a._new(out)

    @staticmethod
    def logsoftmax(a: Tensor, dim: int) -> Tensor:
        """Run the kernels of :mod:`minitorch.kernels.cpu.softmax`."""
        out = TensorData.empty(a.shape, a.dtype)
        softmax.logsoftmax(out._storage, a._tensor.flat(), a.shape[dim], math.prod(a.shape[dim + 1 :]))
        return a._new(out)

    @staticmethod
    def dropout(a: Tensor, rate: float, scale: float, seed: int, stream: int) -> Tensor:
        """Make the mask while multiplying; see :mod:`minitorch.kernels.cpu.dropout`."""
        out = TensorData.empty(a.shape, a.dtype)
        dropout.dropout(out._storage, a._tensor.flat(), rate, scale, seed, stream)
        return a._new(out)


FastBackend = TensorBackend(FastOps)
