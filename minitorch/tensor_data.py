r"""A tensor's data: a flat storage, and the shape and strides that say how to walk it (course module 2).

The element at index $(i_0, \dots, i_{n-1})$ lives in the storage at position $\sum_d i_d\, s_d$, where $s_d$ is the
stride of dimension $d$, counted in elements. Permuting, viewing, slicing and broadcasting therefore change three
small tuples and move no data: a transposed matrix swaps its strides, and a broadcast dimension has stride zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from .dtypes import default_dtype, storage_dtype
from .errors import BroadcastError, IndexingError, ShapeError
from .random import default_generator

__all__ = [
    "MAX_DIMS",
    "Index",
    "IndexingError",
    "OutIndex",
    "Shape",
    "Storage",
    "Strides",
    "TensorData",
    "UserIndex",
    "UserShape",
    "UserStrides",
    "broadcast_index",
    "expanded_strides",
    "index_to_position",
    "shape_broadcast",
    "strides_from_shape",
    "to_index",
]

MAX_DIMS = 32

# The arrays that kernels work on.
Storage: TypeAlias = npt.NDArray[Any]
OutIndex: TypeAlias = npt.NDArray[np.int64]
Index: TypeAlias = npt.NDArray[np.int64]
Shape: TypeAlias = npt.NDArray[np.int64]
Strides: TypeAlias = npt.NDArray[np.int64]

# The tuples that people write.
UserIndex: TypeAlias = Sequence[int]
UserShape: TypeAlias = Sequence[int]
UserStrides: TypeAlias = Sequence[int]


# These three run as they are, and Numba compiles them into the general kernels of `fast_ops`.


def index_to_position(index: Index, strides: Strides) -> int:
    r"""Turn a multidimensional index into a position in the storage: $\sum_d i_d s_d$ (course task 2.1).

    >>> index_to_position(np.array([1, 2]), np.array([5, 1]))
    7
    """
    position = 0
    for d in range(len(strides)):
        position += int(index[d]) * int(strides[d])
    return position


def to_index(ordinal: int, shape: Shape, out_index: OutIndex) -> None:
    """Write into ``out_index`` the index of the ``ordinal``-th element in row-major order (course task 2.1).

    Every ordinal from 0 to the size of ``shape`` less one gives another index, whatever the strides.

    >>> index = np.zeros(2, dtype=np.int64)
    >>> to_index(4, np.array([2, 3]), index)
    >>> index.tolist()
    [1, 1]
    """
    rest = ordinal + 0  # a copy, as Numba gives a parallel loop's own variable a type of its own
    for d in range(len(shape) - 1, -1, -1):
        out_index[d] = rest % shape[d]
        rest = rest // shape[d]


def broadcast_index(big_index: Index, big_shape: Shape, shape: Shape, out_index: OutIndex) -> None:
    """Write into ``out_index`` the element of a ``shape`` that ``big_index`` of a broadcast shape reads (task 2.2).

    Dimensions are matched from the right: those that ``shape`` lacks are dropped, and those of size 1 read element 0.

    >>> index = np.zeros(1, dtype=np.int64)
    >>> broadcast_index(np.array([1, 2]), np.array([2, 3]), np.array([3]), index)
    >>> index.tolist()
    [2]
    """
    missing = len(big_shape) - len(shape)
    for d in range(len(shape)):
        out_index[d] = big_index[d + missing] if shape[d] != 1 else 0


def shape_broadcast(shape1: UserShape, shape2: UserShape) -> tuple[int, ...]:
    """Find the shape that two shapes stretch to (course task 2.2; the rules are NumPy's).

    Aligned at the right, two sizes fit when they are equal or one of them is 1; a missing size counts as 1.

    Raises:
        BroadcastError: some pair of sizes does not fit.

    >>> shape_broadcast((5, 1, 3), (4, 1))
    (5, 4, 3)
    """
    return _broadcast(tuple(shape1), tuple(shape2))


# A training uses the same few shapes again and again; working them out anew took a tenth of an epoch of LeNet.
_remember = lru_cache(maxsize=4096)


@_remember
def _broadcast(shape1: tuple[int, ...], shape2: tuple[int, ...]) -> tuple[int, ...]:
    if shape1 == shape2:
        return shape1
    dims = max(len(shape1), len(shape2))
    padded1 = (1,) * (dims - len(shape1)) + shape1
    padded2 = (1,) * (dims - len(shape2)) + shape2
    for d, (n1, n2) in enumerate(zip(padded1, padded2, strict=True)):
        if n1 != n2 and n1 != 1 and n2 != 1:
            raise BroadcastError(
                f"shapes {shape1} and {shape2} do not broadcast: aligned at the right, dimension {d - dims} is {n1} in "
                f"one and {n2} in the other. Expected equal sizes, or a 1 to be repeated; insert one with view, or "
                "permute an operand."
            )
    return tuple(n2 if n1 == 1 else n1 for n1, n2 in zip(padded1, padded2, strict=True))


def strides_from_shape(shape: UserShape) -> tuple[int, ...]:
    """List the strides of a contiguous tensor: each is the number of elements behind its dimension.

    >>> strides_from_shape((2, 3, 4))
    (12, 4, 1)
    """
    return _row_major(tuple(shape))


@_remember
def _row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides = []
    stride = 1
    for n in reversed(shape):
        strides.append(stride)
        stride *= n
    return tuple(reversed(strides))


@_remember
def expanded_strides(shape: tuple[int, ...], strides: tuple[int, ...], target: tuple[int, ...]) -> tuple[int, ...]:
    """List the strides that repeat a ``shape`` to ``target``: zero where it has size 1 or no dimension.

    >>> expanded_strides((3, 1), (1, 1), (2, 3, 4))
    (0, 1, 0)
    """
    missing = len(target) - len(shape)
    return (0,) * missing + tuple(0 if n == 1 else s for n, s in zip(shape, strides, strict=True))


class TensorData:
    """A storage with a shape and strides.

    Args:
        storage: the elements, flat: an array that is used as it is, or any sequence of numbers, which is copied
            into an array of the default dtype.
        shape: the size of each dimension; ``()`` holds one element, and a size may be 0.
        strides: the distance in the storage between neighbours along each dimension; contiguous when left out.

    Raises:
        IndexingError: ``strides`` and ``shape`` differ in length, or a stride is negative.
        ShapeError: the storage does not hold the elements that shape and strides reach, or a size is negative.

    >>> data = TensorData([0, 1, 2, 3, 4, 5], (2, 3))
    >>> data.strides, data.permute(1, 0).strides
    ((3, 1), (1, 3))
    """

    __slots__ = ("_contiguous", "_storage", "_version", "dims", "shape", "size", "strides")

    def __init__(
        self, storage: Storage | Sequence[float], shape: UserShape, strides: UserStrides | None = None
    ) -> None:
        if isinstance(storage, np.ndarray):
            if storage.dtype != (dtype := storage_dtype(storage.dtype)):
                storage = storage.astype(dtype)
            flat = storage if storage.ndim == 1 else storage.reshape(-1)
            # Kernels are compiled for arrays that can be written and have no gaps.
            if not (flat.flags.c_contiguous and flat.flags.writeable):
                flat = flat.copy()
        else:
            flat = np.asarray(list(storage), dtype=default_dtype())
        shape = tuple(int(n) for n in shape)
        self._check(flat, shape, strides)
        self._set(flat, shape, tuple(int(s) for s in strides) if strides is not None else strides_from_shape(shape))

    @staticmethod
    def _check(flat: Storage, shape: tuple[int, ...], strides: UserStrides | None) -> None:
        if any(n < 0 for n in shape):
            raise ShapeError(
                f"a shape has sizes of 0 or more, got {shape}. Only view() takes -1, and works that size out."
            )
        if len(shape) > MAX_DIMS:
            raise ShapeError(f"a tensor has at most {MAX_DIMS} dimensions, got {len(shape)}. Join some of them.")
        if strides is None:
            if flat.size != math.prod(shape):
                raise ShapeError(
                    f"shape {shape} holds {math.prod(shape)} elements, but the storage has {flat.size}. "
                    "Give as many elements, or strides that say how they are walked."
                )
            return
        if len(strides) != len(shape):
            raise IndexingError(
                f"expected one stride for each dimension of {shape}, got strides {tuple(strides)}. Leave them out for "
                "contiguous elements."
            )
        if any(s < 0 for s in strides):
            raise IndexingError(f"strides must be 0 or more, got {tuple(strides)}. Copy a reversed array first.")
        last = sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        if math.prod(shape) and last >= flat.size:
            raise ShapeError(
                f"shape {shape} with strides {tuple(strides)} reaches position {last}, but the storage has {flat.size} "
                "elements. Give a longer storage or smaller strides."
            )

    def _set(self, flat: Storage, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self._storage = flat
        self.shape = shape
        self.strides = strides
        self.dims = len(shape)
        self.size = math.prod(shape)
        self._contiguous: bool | None = None  # worked out when first asked
        # How often an element was written, shared by every view of the storage: autodiff sees stale values by it.
        self._version = [0]

    @classmethod
    def of(
        cls, flat: Storage, shape: tuple[int, ...], strides: tuple[int, ...], base: TensorData | None = None
    ) -> Self:
        """Wrap arrays that are known to fit, without checks; ``base`` is the data that the storage is shared with."""
        data = cls.__new__(cls)
        data._set(flat, shape, strides)
        if base is not None:
            data._version = base._version
        return data

    @classmethod
    def from_array(cls, array: npt.NDArray[Any]) -> TensorData:
        """Wrap a C-contiguous array; its memory is shared."""
        return cls.of(array.reshape(-1), array.shape, strides_from_shape(array.shape))

    @classmethod
    def empty(cls, shape: UserShape, dtype: npt.DTypeLike) -> TensorData:
        """Make contiguous data whose elements are not set yet."""
        shape = tuple(shape)
        data = cls.of(np.empty(math.prod(shape), dtype), shape, strides_from_shape(shape))
        data._contiguous = True
        return data

    # --- layout ----------------------------------------------------------------------------------------------

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return self._storage.dtype

    @property
    def _shape(self) -> Shape:
        return np.array(self.shape, dtype=np.int64)

    @property
    def _strides(self) -> Strides:
        return np.array(self.strides, dtype=np.int64)

    def tuple(self) -> tuple[Storage, Shape, Strides]:
        """Give ``(storage, shape, strides)`` as the arrays that the course's kernels take."""
        return self._storage, self._shape, self._strides

    def is_contiguous(self) -> bool:
        """Tell whether row-major order visits the storage front to back, without a gap.

        The stride of a dimension of size 1 is never used, so it does not matter.

        >>> TensorData([1.0, 2.0, 3.0], (1, 3), (7, 1)).is_contiguous()
        True
        """
        if self._contiguous is None:
            self._contiguous = self._has_no_gap()
        return self._contiguous

    def _has_no_gap(self) -> bool:
        expected = 1
        for n, s in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if n == 0:
                return True
            if n != 1:
                if s != expected:
                    return False
                expected *= n
        return True

    @property
    def array(self) -> npt.NDArray[Any]:
        """The same memory as a NumPy array of this shape and these strides."""
        if self._storage.size == self.size and self.is_contiguous():
            return self._storage.reshape(self.shape)
        itemsize = self._storage.itemsize
        return np.ndarray(
            self.shape, self._storage.dtype, self._storage, strides=tuple(s * itemsize for s in self.strides)
        )

    def flat(self) -> Storage:
        """Give the elements in row-major order as a flat array: the storage itself when contiguous, else a copy."""
        if self.is_contiguous():
            return self._storage if self._storage.size == self.size else self._storage[: self.size]
        return self.array.reshape(-1)

    def host(self) -> TensorData:
        """Give the same data in the computer's memory, where it is."""
        return self

    def astype(self, dtype: npt.DTypeLike) -> TensorData:
        """Convert the elements, contiguous, in memory of their own."""
        return self.from_array(self.array.astype(dtype, order="C"))

    def copy_from(self, source: TensorData) -> None:
        """Copy the elements of data of the same kind and shape, converted; every view of the storage sees them."""
        self.array[...] = source.array

    # --- elements --------------------------------------------------------------------------------------------

    def index(self, index: int | UserIndex) -> int:
        """Find the position of an index in the storage.

        Raises:
            IndexingError: the number of indices is not the number of dimensions, or one is out of range (negative
                ones too, as in the course).
        """
        key: tuple[Any, ...] = tuple(index) if isinstance(index, Iterable) else (index,)
        if not all(isinstance(i, (int, np.integer)) for i in key):
            raise IndexingError(
                f"expected an integer for each dimension of {self.shape}, got {key}. A part of a tensor is "
                "read with t[...]."
            )
        if len(key) != self.dims:
            raise IndexingError(
                f"expected {self.dims} indices for shape {self.shape}, got {len(key)}: {key}. "
                "One index for each dimension picks one element."
            )
        for d, (i, n) in enumerate(zip(key, self.shape, strict=True)):
            if not 0 <= i < n:
                raise IndexingError(
                    f"index {i} of dimension {d} is out of range: expected 0 to {n - 1} for shape {self.shape}. "
                    "Counting from the end is written out: size - 1 is the last."
                )
        return sum(int(i) * s for i, s in zip(key, self.strides, strict=True))

    def get(self, key: int | UserIndex) -> float:
        """Read one element as a Python number."""
        return self._storage[self.index(key)].item()

    def set(self, key: int | UserIndex, val: float) -> None:
        """Write one element; every view of the storage sees it."""
        self._storage[self.index(key)] = val
        self._version[0] += 1

    def assign(self, key: Any, values: TensorData) -> None:
        """Write the elements that a NumPy index names; every view of the storage sees them.

        >>> data = TensorData([0, 1, 2, 3], (2, 2))
        >>> data.assign((slice(None), 1), TensorData([7, 8], (2,)))
        >>> data.array.tolist()
        [[0.0, 7.0], [2.0, 8.0]]
        """
        self.array[key] = values.array
        self._version[0] += 1

    def indices(self) -> Iterator[tuple[int, ...]]:
        """List every index in row-major order.

        >>> list(TensorData([1, 2], (2, 1)).indices())
        [(0, 0), (1, 0)]
        """
        return np.ndindex(*self.shape)

    def sample(self) -> tuple[int, ...]:
        """Draw an index from the default generator."""
        return tuple(int(default_generator.integers(0, n, 1)[0]) for n in self.shape)

    # --- views -----------------------------------------------------------------------------------------------

    def permute(self, *order: int) -> TensorData:
        """Reorder the dimensions; the storage is shared.

        Args:
            order: for each new dimension, the old one that it is.

        Raises:
            IndexingError: ``order`` is not a permutation of the dimensions.

        >>> TensorData([0, 1, 2, 3, 4, 5], (2, 3)).permute(1, 0).array.tolist()
        [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
        """
        if sorted(order) != list(range(self.dims)):
            raise IndexingError(
                f"expected each dimension of {self.shape} once, got the order {order}. "
                f"A permutation names 0 to {self.dims - 1}."
            )
        shape = tuple(self.shape[d] for d in order)
        return self._walk(shape, tuple(self.strides[d] for d in order))

    def view(self, shape: UserShape) -> TensorData:
        """Regroup contiguous elements into another shape; the storage is shared."""
        shape = tuple(shape)
        return self._walk(shape, strides_from_shape(shape))

    def expand(self, shape: UserShape) -> TensorData:
        """Repeat dimensions of size 1 to reach ``shape``, by strides of zero; the storage is shared."""
        shape = tuple(shape)
        return self._walk(shape, expanded_strides(self.shape, self.strides, shape))

    def narrow(self, dim: int, start: int, stop: int) -> TensorData:
        """Keep the elements ``start`` to ``stop - 1`` of a dimension; the storage is shared.

        >>> TensorData([0, 1, 2, 3, 4, 5], (2, 3)).narrow(1, 1, 3).array.tolist()
        [[1.0, 2.0], [4.0, 5.0]]
        """
        shape = (*self.shape[:dim], stop - start, *self.shape[dim + 1 :])
        return self._walk(shape, self.strides, start * self.strides[dim])

    def step(self, dim: int, step: int) -> TensorData:
        """Keep every ``step``-th element of a dimension, from the first on; the storage is shared.

        >>> TensorData([0, 1, 2, 3, 4], (5,)).step(0, 2).array.tolist()
        [0.0, 2.0, 4.0]
        """
        shape = (*self.shape[:dim], -(-self.shape[dim] // step), *self.shape[dim + 1 :])
        return self._walk(shape, (*self.strides[:dim], self.strides[dim] * step, *self.strides[dim + 1 :]))

    def squeeze(self, shape: UserShape) -> TensorData:
        """Drop or insert dimensions of size 1 to reach ``shape``; the storage is shared.

        >>> TensorData([0, 1, 2], (3, 1)).squeeze((1, 3)).array.tolist()
        [[0.0, 1.0, 2.0]]
        """
        shape = tuple(shape)
        walked = iter(s for n, s in zip(self.shape, self.strides, strict=True) if n != 1)
        return self._walk(shape, tuple(0 if n == 1 else next(walked) for n in shape))

    def _walk(self, shape: tuple[int, ...], strides: tuple[int, ...], start: int = 0) -> TensorData:
        """Walk the same storage in another way, from position ``start`` on. Every view comes down to this."""
        return self.of(self._storage[start:] if start else self._storage, shape, strides, self)

    @staticmethod
    def shape_broadcast(shape_a: UserShape, shape_b: UserShape) -> tuple[int, ...]:
        """The module's :func:`shape_broadcast`, where the course has it."""
        return shape_broadcast(shape_a, shape_b)

    def to_string(self) -> str:
        """Write the elements with brackets for the dimensions; long tensors are shortened.

        >>> print(TensorData([1, 2, 3, 4], (2, 2)).to_string())
        [[1., 2.],
         [3., 4.]]
        """
        return np.array2string(self.array, separator=", ")

    def __repr__(self) -> str:
        return f"TensorData(shape={self.shape}, strides={self.strides}, dtype={self.dtype})"
