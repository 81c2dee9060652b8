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
from .kernels.cuda.elementwise import fill, map_kernel
from .kernels.cuda.launch import cuda
from .kernels.cuda.places import faults
from .kernels.cuda.walk import joined
from .tensor_data import Shape, Storage, Strides, TensorData, UserIndex, UserShape, expanded_strides, strides_from_shape

__all__ = ["CudaData", "flat_full", "map_into"]


class CudaData(TensorData):
    """Data whose storage lies in the memory of the GPU."""

    __slots__ = ()

    @classmethod
    def empty(cls, shape: UserShape, dtype: npt.DTypeLike) -> CudaData:
        """Make contiguous data on the device whose elements are not set yet."""
        shape = tuple(shape)
        data = cls.of(cuda.device_array(math.prod(shape), dtype), shape, strides_from_shape(shape))
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
            storage = cuda.to_device(storage)
        return cls.of(storage, data.shape, data.strides)

    @property
    def array(self) -> npt.NDArray[Any]:
        """A copy of the elements in the computer's memory.

        Raises:
            IndexingError: an earlier operation met a place outside of a tensor.
        """
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

    def assign(self, key: Any, values: npt.NDArray[Any]) -> None:
        """Write the elements that a NumPy index names, in a copy in the computer's memory, and copy that back."""
        elements_here = self.array
        elements_here[key] = values
        self.copy_from(self.upload(TensorData.from_array(elements_here)))
        self._version[0] += 1

    def tuple(self) -> tuple[Storage, Shape, Strides]:
        """Give ``(storage, shape, strides)`` on the device, as the course's kernels take them."""
        shape, strides = (cuda.to_device(array) for array in (self._shape, self._strides))
        return self._storage, shape, strides

    def flat(self) -> Storage:
        """Give the elements in row-major order as a flat device array: the storage when contiguous, else a copy."""
        if self.is_contiguous():
            return self._storage if self._storage.size == self.size else self._storage[: self.size]
        return self.astype(self.dtype)._storage

    def get(self, key: int | UserIndex) -> float:
        """Read one element as a Python number."""
        value = super().get(key)
        faults.check()
        return value


def flat_full(size: int, value: float, dtype: npt.DTypeLike) -> Any:
    """Make a flat device array of equal elements."""
    storage = cuda.device_array(size, np.dtype(dtype))
    fill.for_each(size, storage, value)
    return storage


def map_into(function: Callable[[Any], Any], out: TensorData, a: TensorData) -> None:
    """Write ``function(a[i])`` to every element of ``out``, which ``a`` is broadcast to; any layouts."""
    sizes, to, walk = joined(out.shape, out.strides, expanded_strides(a.shape, a.strides, out.shape))
    map_kernel(function).for_each(out.size, out._storage, a._storage, out.size, sizes, to, walk)
