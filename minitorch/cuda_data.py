"""A tensor's data on the GPU: shape and strides in Python, the storage in the device's memory.

:class:`CudaData` is a :class:`~minitorch.tensor_data.TensorData` whose storage is a device array. Views share it as
they share a storage in the computer's memory, and cost no launch. Numbers come back only where somebody looks at
them: :attr:`CudaData.array`, which ``to_numpy``, ``tolist`` and printing read, and single elements. Only there does
Python wait for the GPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .kernels import elements
from .kernels.cuda.driver import require_same_process
from .kernels.cuda.elementwise import fill, map_kernel
from .kernels.cuda.memory import empty, to_device
from .kernels.cuda.places import faults, write
from .kernels.cuda.walk import joined
from .tensor_data import Shape, Storage, Strides, TensorData, UserIndex, UserShape, expanded_strides, strides_from_shape

__all__ = ["CudaData", "flat_full", "map_into", "places_of", "repeated"]


class CudaData(TensorData):
    """Data whose storage lies in the memory of the GPU."""

    __slots__ = ("_base",)

    @classmethod
    def empty(cls, shape: UserShape, dtype: npt.DTypeLike) -> CudaData:
        """Make contiguous data on the device whose elements are not set yet."""
        shape = tuple(shape)
        data = cls.of(empty(math.prod(shape), dtype), shape, strides_from_shape(shape))
        data._contiguous = True
        return data

    @classmethod
    def full(cls, shape: UserShape, value: float, dtype: npt.DTypeLike) -> CudaData:
        """Make contiguous data on the device whose elements are all equal."""
        shape = tuple(shape)
        return cls.of(flat_full(math.prod(shape), value, dtype), shape, strides_from_shape(shape))

    @classmethod
    def upload(cls, data: TensorData) -> CudaData:
        """Copy data to the device, in the same layout; data that is there already is handed back."""
        if isinstance(data, cls):
            return data
        storage = data._storage
        if storage.size == 1:  # a number between tensors: to hand it to a kernel does not wait for the device
            storage = flat_full(1, storage[0].item(), storage.dtype)
        else:
            storage = to_device(storage)
        return cls.of(storage, data.shape, data.strides)

    @property
    def array(self) -> npt.NDArray[Any]:
        """A copy of the elements in the computer's memory.

        Raises:
            IndexingError: an earlier operation met a place outside of a tensor.
            BackendError: this process was forked from the one that uses the GPU.
        """
        require_same_process()
        flat: Any = self.flat()
        host = flat.copy_to_host()
        faults.check()
        return host.reshape(self.shape)

    def host(self) -> TensorData:
        """Give a copy in the computer's memory."""
        return TensorData.from_array(self.array)

    def astype(self, dtype: npt.DTypeLike) -> TensorData:
        """Convert the elements, contiguous, on the device."""
        out = self.empty(self.shape, dtype)
        out.copy_from(self)
        return out

    def copy_from(self, source: TensorData) -> None:
        """Copy the elements of data on the device, converted."""
        map_into(elements.identity, self, source)

    def assign(self, key: Any, values: TensorData) -> None:
        """Write the elements that a NumPy index names; of several values for one place the last stays."""
        if values._version is self._version:  # they may be read where they are written
            values = values.astype(values.dtype)
        parts = key if isinstance(key, tuple) else (key,)
        if all(k is Ellipsis or (isinstance(k, slice) and k == slice(None)) for k in parts):
            map_into(elements.identity, self, repeated(values, self.shape))
        else:
            places = places_of(self.shape, self.strides, key)
            values = repeated(values, places.shape)
            # From the back, as of equal places the first is found.
            to, behind = np.unique(places.reshape(-1)[::-1], return_index=True)
            sources = to_device(places.size - 1 - behind)
            walk = joined(values.shape, values.strides)
            write.for_each(to.size, self._storage, to_device(to), values._storage, sources, *walk)
        self._version[0] += 1

    def _walk(self, shape: tuple[int, ...], strides: tuple[int, ...], start: int = 0) -> TensorData:
        walked = super()._walk(shape, strides, start)
        # A part of a device array is an array of its own: this tells, as long as it lives, that it is in use.
        walked._base = self  # type: ignore[attr-defined]
        return walked

    def tuple(self) -> tuple[Storage, Shape, Strides]:
        """Give ``(storage, shape, strides)`` on the device, as the course's kernels take them."""
        return self._storage, to_device(self._shape), to_device(self._strides)

    def flat(self) -> Storage:
        """Give the elements in row-major order as a flat device array: the storage when contiguous, else a copy."""
        if self.is_contiguous():
            return self._storage if self._storage.size == self.size else self._storage[: self.size]
        return self.astype(self.dtype)._storage

    def get(self, key: int | UserIndex) -> float:
        """Read one element as a Python number; raises as :attr:`array` does."""
        require_same_process()
        value = super().get(key)
        faults.check()
        return value

    def set(self, key: int | UserIndex, val: float) -> None:
        """Write one element; every view of the storage sees it."""
        require_same_process()
        super().set(key, val)


def flat_full(size: int, value: float, dtype: npt.DTypeLike) -> Any:
    """Make a flat device array of equal elements."""
    storage = empty(size, dtype)
    fill.for_each(size, storage, value)
    return storage


def repeated(data: TensorData, shape: tuple[int, ...]) -> TensorData:
    """Repeat dimensions of size 1 to reach a shape, as NumPy does for what is written into an array.

    Raises:
        ValueError: the sizes do not fit.
    """
    more = max(data.dims - len(shape), 0)
    kept = data.shape[more:]
    fits = all(n in (1, m) for n, m in zip(reversed(kept), reversed(shape)))
    if not fits or any(n != 1 for n in data.shape[:more]):
        raise ValueError(f"{data.shape} does not broadcast to {shape}")
    return data.of(data._storage, shape, expanded_strides(kept, data.strides[more:], shape), data)


def places_of(shape: tuple[int, ...], strides: tuple[int, ...], key: Any) -> npt.NDArray[np.int64]:
    """Find where in the storage the elements lie that a NumPy index names.

    >>> places_of((2, 3), (3, 1), (slice(None), [2, 0])).tolist()
    [[2, 0], [5, 3]]
    """
    places = np.zeros((), np.int64)
    for d, (n, stride) in enumerate(zip(shape, strides, strict=True)):
        along = (np.arange(n) * stride).reshape(n, *[1] * (len(shape) - d - 1))
        # Only what the index names is copied: the other dimensions are repeated by strides of zero.
        places = places + np.broadcast_to(along, shape)[key]
    return np.asarray(places)


def map_into(function: Callable[[Any], Any], out: TensorData, a: TensorData) -> None:
    """Write ``function(a[i])`` to every element of ``out``, which ``a`` is broadcast to; any layouts."""
    sizes, to, walk = joined(out.shape, out.strides, expanded_strides(a.shape, a.strides, out.shape))
    map_kernel(function).for_each(out.size, out._storage, a._storage, out.size, sizes, to, walk)
