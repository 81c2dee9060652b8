"""The contract between tensors and what computes them, and its definition in plain Python (course module 2).

A backend is a :class:`TensorOps` class: three higher-order functions (map, zip, reduce), the matrix product, and
what the networks of module 4 add. :class:`SimpleOps` writes each as the loop that a reader expects; every other
backend is compared with it. Operations receive operands that :mod:`minitorch.tensor_functions` has checked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from . import operators
from .errors import BackendError, ShapeError
from .kernels import elements, strided
from .kernels.cpu.pool import outside_error
from .kernels.geometry import Space
from .random import Generator
from .tensor_data import (
    TensorData,
    broadcast_index,
    index_to_position,
    shape_broadcast,
    strides_from_shape,
    to_index,
)

if TYPE_CHECKING:
    from .tensor import Tensor
    from .tensor_data import Shape, Storage, Strides, UserShape

__all__ = [
    "MapProto",
    "SimpleBackend",
    "SimpleOps",
    "TensorBackend",
    "TensorOps",
    "tensor_map",
    "tensor_reduce",
    "tensor_zip",
]


class MapProto(Protocol):
    """A map: from a tensor to a new one, or into ``out``, which the input is then broadcast to."""

    def __call__(self, x: Tensor, out: Tensor | None = ..., /) -> Tensor:
        """Apply the function to every element."""
        ...


class TensorOps:
    """What a backend provides. Each method takes and gives tensors of that backend and records nothing."""

    cuda: ClassVar[bool] = False

    @staticmethod
    def check() -> None:
        """Raise a :class:`~minitorch.errors.BackendError` if this backend cannot run here; the CPU always can."""

    @staticmethod
    def place(data: TensorData) -> TensorData:
        """Give data in the memory that this backend computes in, without a copy where it is there."""
        return data.host()

    @staticmethod
    def map(fn: Callable[[float], float]) -> MapProto:
        """Make the tensor operation that applies ``fn`` to every element."""
        raise NotImplementedError

    @staticmethod
    def zip(
        fn: Callable[[float, float], float], dtype: npt.DTypeLike | None = None
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """Make the tensor operation that applies ``fn`` to pairs of elements, broadcasting the operands.

        The result has elements of ``dtype``; of the first operand's where it is left out.
        """
        raise NotImplementedError

    @staticmethod
    def reduce(
        fn: Callable[[float, float], float], start: float = 0.0
    ) -> Callable[[Tensor, int | Sequence[int]], Tensor]:
        """Make the tensor operation that folds dimensions to size 1 with an associative ``fn``, from ``start``."""
        raise NotImplementedError

    @staticmethod
    def matrix_multiply(a: Tensor, b: Tensor) -> Tensor:
        """Multiply ``... x m x k`` by ``... x k x n``; leading dimensions broadcast."""
        raise NotImplementedError

    @staticmethod
    def conv(input: Tensor, weight: Tensor, geometry: Space) -> Tensor:
        r"""Convolve ``batch x in_channel x *space`` with ``out_channel x in_channel x *kernel``.

        $y_{b,o,i} = \sum_{c,k} x_{b,c,j(i,k)}\, w_{o,c,k}$ with the places $j$ of
        :class:`~minitorch.kernels.geometry.Geometry`, one for each of the one or two dimensions of space, which also
        say how large the output is. What a tap does not see counts as zero.
        """
        raise NotImplementedError

    @staticmethod
    def conv_weight(input: Tensor, grad: Tensor, kernel: UserShape, geometry: Space) -> Tensor:
        r"""Give the gradient of a :meth:`conv` for a weight of this kernel: $\sum_{b,i} g_{b,o,i}\, x_{b,c,j(i,k)}$."""
        raise NotImplementedError

    @staticmethod
    def max(a: Tensor, dim: int) -> tuple[Tensor, Tensor]:
        """Find the maximum along ``dim``, and the place of the first one: int64, in row-major order of all of ``a``.

        Both results have size 1 along ``dim``. A NaN counts as larger than every number.
        """
        raise NotImplementedError

    @staticmethod
    def max_pool(a: Tensor, kernel: tuple[int, int], geometry: Space) -> tuple[Tensor, Tensor]:
        """Find the same for windows of ``kh x kw`` taps over ``batch x channel x height x width``.

        The geometry has no spread and no negative dilation, and every window sees an element.
        """
        raise NotImplementedError

    @staticmethod
    def cat(tensors: Sequence[Tensor], dim: int) -> Tensor:
        """Write tensors behind each other along ``dim``: data of every kind can be copied."""
        first = tensors[0]
        shape = (*first.shape[:dim], sum(t.shape[dim] for t in tensors), *first.shape[dim + 1 :])
        out = first._tensor.empty(shape, first.dtype)
        start = 0
        for t in tensors:
            stop = start + t.shape[dim]
            out.narrow(dim, start, stop).copy_from(t._tensor)
            start = stop
        return first._new(out)

    @staticmethod
    def convert(a: Tensor, dtype: np.dtype[Any]) -> Tensor:
        """Copy into elements of another type, as NumPy converts them."""
        return a._new(a._tensor.astype(dtype))

    @staticmethod
    def take(a: Tensor, index: Tensor) -> Tensor:
        """Read the elements at places ``index`` of row-major order, in the shape of ``index``."""
        raise NotImplementedError

    @staticmethod
    def put(a: Tensor, index: Tensor, shape: UserShape) -> Tensor:
        """Add each element to place ``index`` of a tensor of zeros; equal places add up in order."""
        raise NotImplementedError

    @staticmethod
    def argsort(a: Tensor, dim: int, descending: bool) -> Tensor:
        """Give the positions along ``dim`` in the order of what stands there: int64, of the shape of ``a``.

        Equal elements keep their order. A NaN counts as larger than every number.
        """
        raise NotImplementedError

    @staticmethod
    def softmax(a: Tensor, dim: int) -> Tensor:
        r"""Compute $e^{x_i} / \sum_j e^{x_j}$ along ``dim``."""
        raise NotImplementedError

    @staticmethod
    def logsoftmax(a: Tensor, dim: int) -> Tensor:
        r"""Compute $x_i - \log \sum_j e^{x_j}$ along ``dim``."""
        raise NotImplementedError

    @staticmethod
    def dropout(a: Tensor, rate: float, scale: float, seed: int, stream: int) -> Tensor:
        """Multiply by ``scale`` where the draw of that seed, stream and place is at least ``rate``, else by 0."""
        raise NotImplementedError


class TensorBackend:
    """A backend's operations, made once and ready to call.

    Two backends of the same :class:`TensorOps` are the same object.

    Args:
        ops: the class that computes.

    Raises:
        BackendError: ``ops`` is no class of operations, or cannot run here.

    >>> TensorBackend(SimpleOps) is TensorBackend(SimpleOps)
    True
    """

    _made: ClassVar[dict[type[TensorOps], TensorBackend]] = {}

    def __new__(cls, ops: type[TensorOps]) -> TensorBackend:
        """Give the one backend of ``ops``."""
        if not (isinstance(ops, type) and issubclass(ops, TensorOps)):
            raise BackendError(
                f"expected a class of operations, got {ops!r}. Write TensorBackend(FastOps), for example."
            )
        if ops not in cls._made:
            ops.check()
            cls._made[ops] = super().__new__(cls)
        return cls._made[ops]

    def __init__(self, ops: type[TensorOps]) -> None:
        if hasattr(self, "ops"):
            return
        self.ops = ops
        self.cuda = ops.cuda
        # The course's names. The functions are exact; Tensor.log adds the course's 1e-6.
        self.id_map = ops.map(elements.identity)
        self.neg_map = ops.map(elements.neg)
        self.inv_map = ops.map(elements.inv)
        self.exp_map = ops.map(elements.exp)
        self.log_map = ops.map(elements.log)
        self.sqrt_map = ops.map(elements.sqrt)
        self.relu_map = ops.map(elements.relu)
        self.sigmoid_map = ops.map(elements.sigmoid)
        self.add_zip = ops.zip(elements.add)
        self.mul_zip = ops.zip(elements.mul)
        self.lt_zip = ops.zip(operators.lt)
        self.eq_zip = ops.zip(operators.eq)
        self.is_close_zip = ops.zip(operators.is_close)
        self.relu_back_zip = ops.zip(elements.relu_grad)
        self.log_back_zip = ops.zip(elements.log_grad)
        self.inv_back_zip = ops.zip(operators.inv_back)
        self.add_reduce = ops.reduce(elements.add, 0.0)
        self.mul_reduce = ops.reduce(elements.mul, 1.0)
        self.max_reduce = ops.reduce(elements.maximum, -math.inf)
        self.matrix_multiply = ops.matrix_multiply

    def __reduce__(self) -> tuple[Any, ...]:
        return TensorBackend, (self.ops,)

    def __repr__(self) -> str:
        return f"TensorBackend({self.ops.__name__})"


# --- the definition ------------------------------------------------------------------------------------------


def _quiet() -> np.errstate:
    """Let 1 / 0 be infinity without a warning, as in compiled code."""
    return np.errstate(all="ignore")


class SimpleOps(TensorOps):
    """Every operation as a loop in plain Python: slow, and what the others are measured against."""

    @staticmethod
    def map(fn: Callable[[float], float]) -> MapProto:
        """Make ``out[i] = fn(a[i])`` for every index ``i``."""
        run = tensor_map(fn)

        def operation(a: Tensor, out: Tensor | None = None) -> Tensor:
            if out is None:
                out = _empty(a, a.shape)
            run(*out.tuple(), *a.tuple())
            return out

        return operation

    @staticmethod
    def zip(
        fn: Callable[[float, float], float], dtype: npt.DTypeLike | None = None
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """Make ``out[i] = fn(a[i], b[i])`` for every index ``i`` of the broadcast shape."""
        run = tensor_zip(fn)

        def operation(a: Tensor, b: Tensor) -> Tensor:
            out = _empty(a, shape_broadcast(a.shape, b.shape), dtype)
            run(*out.tuple(), *a.tuple(), *b.tuple())
            return out

        return operation

    @staticmethod
    def reduce(
        fn: Callable[[float, float], float], start: float = 0.0
    ) -> Callable[[Tensor, int | Sequence[int]], Tensor]:
        """Make ``out[i] = fn(... fn(fn(start, a[i, 0]), a[i, 1]) ...)``, one dimension after the other."""
        run = tensor_reduce(fn)

        def operation(a: Tensor, dim: int | Sequence[int]) -> Tensor:
            for d in (dim,) if isinstance(dim, int) else dim:
                out = _empty(a, (*a.shape[:d], 1, *a.shape[d + 1 :]))
                out._tensor._storage[:] = start
                run(*out.tuple(), *a.tuple(), d)
                a = out
            return a

        return operation

    @staticmethod
    def matrix_multiply(a: Tensor, b: Tensor) -> Tensor:
        r"""Compute $c_{nij} = \sum_k a_{nik}\, b_{nkj}$."""
        shape = matmul_shape(a.shape, b.shape)
        # The kernel has one batch dimension; give it one, and take it away again.
        batch = shape[:-2]
        out = TensorData.empty((math.prod(batch), *shape[-2:]), a.dtype)
        strided._tensor_matrix_multiply(*out.tuple(), *_batched(a, batch).tuple(), *_batched(b, batch).tuple())
        return a._new(out.view(shape))

    @staticmethod
    def conv(input: Tensor, weight: Tensor, geometry: Space) -> Tensor:
        """Slide the kernel over the input."""
        out = _empty(input, (input.shape[0], weight.shape[0], *(g.size for g in geometry)))
        places = [(g.stride, g.spread, g.dilation, g.offset) for g in geometry]
        _convolve(out._tensor, input._tensor, weight._tensor, places)
        return out

    @staticmethod
    def conv_weight(input: Tensor, grad: Tensor, kernel: UserShape, geometry: Space) -> Tensor:
        """Convolve the input with the gradient, batch and channels exchanged (the course's backward).

        A tap is the sum, over batch and places, of the gradient times the input that the tap saw there. What was a
        step between windows is now a step between taps: stride and dilation change places.
        """
        swap = (1, 0, *range(2, input.dims))
        out = TensorData.empty((grad.shape[1], input.shape[1], *kernel), input.dtype)
        places = [(g.dilation, g.spread, g.stride, g.offset) for g in geometry]
        _convolve(out.permute(*swap), input._tensor.permute(*swap), grad._tensor.permute(*swap), places)
        return input._new(out)

    @staticmethod
    def max(a: Tensor, dim: int) -> tuple[Tensor, Tensor]:
        """Walk along ``dim`` and keep the first element that nothing before it reaches."""
        shape = (*a.shape[:dim], 1, *a.shape[dim + 1 :])

        def line(index: tuple[int, ...]) -> list[tuple[int, ...]]:
            return [(*index[:dim], i, *index[dim + 1 :]) for i in range(a.shape[dim])]

        return _first_maxima(a, shape, line)

    @staticmethod
    def max_pool(a: Tensor, kernel: tuple[int, int], geometry: Space) -> tuple[Tensor, Tensor]:
        """Look through each window from left to right, top to bottom."""
        shape = (*a.shape[:2], *(g.size for g in geometry))

        def seen(dim: int, i: int) -> list[int]:
            g, size = geometry[dim], a.shape[2 + dim]
            places = (g.stride * i + g.dilation * k + g.offset for k in range(kernel[dim]))
            return [place for place in places if 0 <= place < size]

        def window(index: tuple[int, ...]) -> list[tuple[int, ...]]:
            b, c, i, j = index
            return [(b, c, row, column) for row in seen(0, i) for column in seen(1, j)]

        return _first_maxima(a, shape, window)

    @staticmethod
    def take(a: Tensor, index: Tensor) -> Tensor:
        """Read one element after the other."""
        out = _empty(a, index.shape)
        elements_of_a = a._tensor.flat()
        for i, place in enumerate(_places(index, a.size)):
            out._tensor._storage[i] = elements_of_a[place]
        return out

    @staticmethod
    def put(a: Tensor, index: Tensor, shape: UserShape) -> Tensor:
        """Add one element after the other."""
        out = a.zeros(shape)
        for value, place in zip(a._tensor.flat(), _places(index, out.size), strict=True):
            out._tensor._storage[place] += value
        return out

    @staticmethod
    def argsort(a: Tensor, dim: int, descending: bool) -> Tensor:
        """Sort the positions of one line after the other by the element at each."""
        out = TensorData.empty(a.shape, np.int64)
        for start in TensorData.empty((*a.shape[:dim], min(1, a.shape[dim]), *a.shape[dim + 1 :]), bool).indices():
            line = [(*start[:dim], i, *start[dim + 1 :]) for i in range(a.shape[dim])]
            values = [a._tensor.get(index) for index in line]
            order = sorted(range(len(line)), key=lambda i, x=values: (x[i] != x[i], x[i]), reverse=descending)
            for index, position in zip(line, order, strict=True):
                out.set(index, position)
        return a._new(out)

    @staticmethod
    def softmax(a: Tensor, dim: int) -> Tensor:
        """Subtract the maximum of each line first, so that no exponential overflows."""
        backend = a.backend
        shifted = backend.add_zip(a, backend.neg_map(backend.max_reduce(a, dim)))
        powers = backend.exp_map(shifted)
        return backend.mul_zip(powers, backend.inv_map(backend.add_reduce(powers, dim)))

    @staticmethod
    def logsoftmax(a: Tensor, dim: int) -> Tensor:
        """Subtract the maximum of each line first, then the logarithm of the sum."""
        backend = a.backend
        shifted = backend.add_zip(a, backend.neg_map(backend.max_reduce(a, dim)))
        total = backend.add_reduce(backend.exp_map(shifted), dim)
        return backend.add_zip(shifted, backend.neg_map(backend.log_map(total)))

    @staticmethod
    def dropout(a: Tensor, rate: float, scale: float, seed: int, stream: int) -> Tensor:
        """Draw a number for every place, and keep the elements whose number reaches ``rate``."""
        generator = Generator(seed)
        generator.state = (seed, stream)
        draws = generator.uniform(a.size, a.dtype)
        out = _empty(a, a.shape)
        for i, (value, draw) in enumerate(zip(a._tensor.flat(), draws, strict=True)):
            out._tensor._storage[i] = value * scale if draw >= rate else 0.0
        return out


def _places(index: Tensor, size: int) -> npt.NDArray[np.int64]:
    """Give the places of an index, which must lie among ``size`` elements."""
    places = index._tensor.flat()
    if not all(0 <= place < size for place in places):
        raise outside_error(places, size)
    return places


def tensor_map(fn: Callable[[float], float]) -> Callable[..., None]:
    """Make the loop ``out[i] = fn(in[i])`` over storages, the input broadcast to the output (course task 2.3).

    Args:
        fn: a function of one number.

    Returns:
        A function of ``(out, out_shape, out_strides, in, in_shape, in_strides)``: three arrays for each tensor.
    """

    def run(
        out: Storage,
        out_shape: Shape,
        out_strides: Strides,
        in_storage: Storage,
        in_shape: Shape,
        in_strides: Strides,
    ) -> None:
        out_index, in_index = np.zeros_like(out_shape), np.zeros_like(in_shape)
        with _quiet():
            for i in range(math.prod(out_shape.tolist())):
                to_index(i, out_shape, out_index)
                broadcast_index(out_index, out_shape, in_shape, in_index)
                value = fn(in_storage[index_to_position(in_index, in_strides)])
                out[index_to_position(out_index, out_strides)] = value

    return run


def tensor_zip(fn: Callable[[float, float], float]) -> Callable[..., None]:
    """Make the loop ``out[i] = fn(a[i], b[i])`` over storages, the inputs broadcast to the output (course task 2.3).

    Args:
        fn: a function of two numbers.

    Returns:
        A function of three arrays (storage, shape, strides) for each of ``out``, ``a`` and ``b``.
    """

    def run(
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
        out_index, a_index, b_index = np.zeros_like(out_shape), np.zeros_like(a_shape), np.zeros_like(b_shape)
        with _quiet():
            for i in range(math.prod(out_shape.tolist())):
                to_index(i, out_shape, out_index)
                broadcast_index(out_index, out_shape, a_shape, a_index)
                broadcast_index(out_index, out_shape, b_shape, b_index)
                left = a_storage[index_to_position(a_index, a_strides)]
                right = b_storage[index_to_position(b_index, b_strides)]
                out[index_to_position(out_index, out_strides)] = fn(left, right)

    return run


def tensor_reduce(fn: Callable[[float, float], float]) -> Callable[..., None]:
    """Make the loop that folds one dimension into ``out``, which holds the starting values (course task 2.3).

    Args:
        fn: an associative function of two numbers.

    Returns:
        A function of three arrays for ``out`` and three for ``a``, and the dimension to fold.
    """

    def run(
        out: Storage,
        out_shape: Shape,
        out_strides: Strides,
        a_storage: Storage,
        a_shape: Shape,
        a_strides: Strides,
        reduce_dim: int,
    ) -> None:
        index = np.zeros_like(out_shape)
        with _quiet():
            for i in range(math.prod(out_shape.tolist())):
                to_index(i, out_shape, index)
                position = index_to_position(index, out_strides)
                for j in range(a_shape[reduce_dim]):
                    index[reduce_dim] = j
                    out[position] = fn(out[position], a_storage[index_to_position(index, a_strides)])

    return run


def matmul_shape(a: UserShape, b: UserShape) -> tuple[int, ...]:
    """Find the shape of a matrix product.

    Raises:
        ShapeError: an operand has fewer than two dimensions, or the inner sizes differ.

    >>> matmul_shape((5, 2, 3), (3, 4))
    (5, 2, 4)
    """
    if len(a) < 2 or len(b) < 2:
        raise ShapeError(
            f"a matrix product needs two dimensions or more, got {tuple(a)} @ {tuple(b)}. "
            "Give a vector a second dimension with view, as a row (1, n) or a column (n, 1)."
        )
    if a[-1] != b[-2]:
        raise ShapeError(
            f"cannot multiply {tuple(a)} @ {tuple(b)}: expected the last size of the left ({a[-1]}) to equal the last "
            f"but one of the right ({b[-2]}). Transpose an operand with permute, or flatten with view before a Linear."
        )
    return (*shape_broadcast(tuple(a[:-2]), tuple(b[:-2])), a[-2], b[-1])


# --- helpers -------------------------------------------------------------------------------------------------


def _empty(like: Tensor, shape: UserShape, dtype: npt.DTypeLike | None = None) -> Tensor:
    return like._new(TensorData.empty(shape, like.dtype if dtype is None else dtype))


def _batched(a: Tensor, batch: Sequence[int]) -> TensorData:
    """Give the matrices of ``a`` one leading dimension of ``prod(batch)``, repeated where they broadcast."""
    shape = (*batch, *a.shape[-2:])
    data = a._tensor.expand(shape)
    return TensorData(data.flat(), (math.prod(batch), *a.shape[-2:]))


def _convolve(out: TensorData, input: TensorData, weight: TensorData, places: Sequence[tuple[int, ...]]) -> None:
    """Run the loop over images; what has one dimension of space is an image of one row."""
    if out.dims == 3:
        out, input, weight = (_one_row(x) for x in (out, input, weight))
        places = [(1, 1, 1, 0), *places]
    strided._tensor_convolve(*out.tuple(), *input.tuple(), *weight.tuple(), np.array(places))


def _one_row(a: TensorData) -> TensorData:
    """See ``a x b x width`` as ``a x b x 1 x width``, in the same storage."""
    return TensorData.of(a._storage, (*a.shape[:2], 1, a.shape[2]), (*a.strides[:2], 0, a.strides[2]), a)


def _first_maxima(
    a: Tensor, shape: tuple[int, ...], candidates: Callable[[tuple[int, ...]], list[tuple[int, ...]]]
) -> tuple[Tensor, Tensor]:
    """For each index of ``shape``, find the first maximum among its candidates in ``a``, and its place."""
    values, places = TensorData.empty(shape, a.dtype), TensorData.empty(shape, np.int64)
    strides = strides_from_shape(a.shape)
    for index in values.indices():
        best, *others = candidates(index)
        for other in others:
            largest, value = a[best], a[other]
            if largest == largest and (value > largest or value != value):
                best = other
        values.set(index, a[best])
        places.set(index, sum(i * s for i, s in zip(best, strides, strict=True)))
    return a._new(values), a._new(places)


SimpleBackend = TensorBackend(SimpleOps)
