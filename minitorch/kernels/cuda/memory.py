"""Memory of the GPU that is used again, because to ask the driver for more waits for everything that was started.

An array lies in a *block* that it has for itself. When the array and all its views are gone, the :class:`Pool` keeps
the block for the next array of its size. Kernels that were started before and still read or write it do no harm: the
GPU works through one stream in order, so what the next owner starts comes behind them. Memory that another stream uses,
or a graph that is replayed, has to be held for as long as they do.
"""

from __future__ import annotations

import gc
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import BackendError
from .driver import require_same_process, simulated
from .launch import cuda, recording

__all__ = ["Pool", "empty", "empty_cache", "pool", "rounded", "to_device", "upload"]

# Blocks that nobody uses fill this part of the GPU's memory at most, or so many bytes where it is simulated.
SHARE = 0.5
SIMULATED = 1 << 28

# What blocks begin at a multiple of, and what the smallest one holds, in bytes.
SMALLEST = 512


class Pool:
    """Blocks that nobody uses, by their sizes.

    Args:
        allocate: makes a block of so many bytes; raises MemoryError where there is no room.
        limit: the bytes to keep at most. Beyond, the next :meth:`take` drops blocks, first those of the size that was
            used longest ago.

    >>> pool = Pool(bytearray, limit=2048)
    >>> block = bytearray(1024)
    >>> pool.give_back(1024, block)
    >>> pool.take(1024) is block
    True
    """

    def __init__(self, allocate: Callable[[int], Any], limit: float) -> None:
        self.allocate, self.limit = allocate, limit
        self.kept = 0  # bytes
        self._free: OrderedDict[int, list[Any]] = OrderedDict()
        self._returned: deque[tuple[int, Any]] = deque()
        self._lock = Lock()

    def take(self, size: int) -> Any:
        """Give a block of exactly so many bytes: one that was given back, or else a new one.

        Raises:
            MemoryError: there is no room for a new one, not even after everything kept was dropped, and what only
                Python's garbage collector finds.
        """
        with self._lock:
            self._sort_in()
            block = None
            if size in self._free:
                self._free.move_to_end(size)
                block = self._remove(size)
            while self.kept > self.limit:
                self._remove(next(iter(self._free)))
        if block is not None:
            return block
        try:
            return self.allocate(size)
        except MemoryError:
            gc.collect()  # tensors that refer to each other in a circle
            self.clear()
            return self.allocate(size)

    def give_back(self, size: int, block: Any) -> None:
        """Keep a block for its next owner.

        The garbage collector calls this, at any moment and in any thread, also in the midst of :meth:`take`. So it
        never waits: where the pool is in use, whoever uses it next sorts the block in. And it drops nothing, for to
        free memory takes a thread that uses the GPU.
        """
        self._returned.append((size, block))
        if self._lock.acquire(blocking=False):
            try:
                self._sort_in()
            finally:
                self._lock.release()

    def clear(self) -> None:
        """Drop every block that nobody uses."""
        with self._lock:
            self._returned.clear()
            self._free.clear()
            self.kept = 0

    def _sort_in(self) -> None:
        """Put away what was given back."""
        while self._returned:
            size, block = self._returned.popleft()
            self._free.setdefault(size, []).append(block)
            self._free.move_to_end(size)
            self.kept += size

    def _remove(self, size: int) -> Any:
        blocks = self._free[size]
        block = blocks.pop()
        if not blocks:
            del self._free[size]
        self.kept -= size
        return block


def rounded(size: int) -> int:
    """Round a number of bytes up, by an eighth at most where there are many, so that arrays of like sizes share blocks.

    >>> rounded(1), rounded(513), rounded(1_000_000)
    (512, 1024, 1048576)
    """
    step = max(SMALLEST, 1 << max(size.bit_length() - 4, 0))
    return -(-size // step) * step


def empty(size: int, dtype: npt.DTypeLike) -> Any:
    """Make a flat device array whose elements are not set yet: they are what its block held before.

    While a recorder takes down what an operation does, it gives a place of the program's memory instead.

    Raises:
        BackendError: the GPU has no room for it, or this process was forked from the one that uses the GPU.
    """
    if recording.recorder is not None:
        return recording.recorder.empty(size, np.dtype(dtype))
    return _empty(size, np.dtype(dtype))


def _empty(size: int, dtype: np.dtype[Any]) -> Any:
    if not size:
        return cuda.device_array(0, dtype)
    require_same_process()
    length = rounded(size * dtype.itemsize)
    try:
        block = pool().take(length)
    except MemoryError:
        raise BackendError(
            f"expected room for {size} elements of {dtype} in the GPU's memory, got less than {length} bytes. Let go "
            "of tensors that are no longer needed, take smaller batches, or compute inside no_grad() where no gradient "
            "is wanted."
        ) from None
    array, owner = _array_in(block, size, dtype)
    weakref.finalize(owner, pool().give_back, length, block).atexit = False
    return array


def to_device(array: npt.NDArray[Any]) -> Any:
    """Copy a flat array to the GPU, behind everything that was started before."""
    there = _empty(array.size, array.dtype)
    upload(array, there)
    return there


def upload(array: npt.NDArray[Any], there: Any) -> None:
    """Copy a flat array to one on the GPU that is as long."""
    if array.size:
        there.copy_to_device(array)


def empty_cache() -> None:
    """Give the GPU's memory that no tensor uses back to the driver, for other programs."""
    pool().clear()
    if not simulated():
        cuda.current_context().memory_manager.deallocations.clear()  # what Numba has put off to free


@cache
def pool() -> Pool:
    """Give the pool of all device arrays, which is made when the first one is."""
    limit = SIMULATED if simulated() else SHARE * cuda.current_context().get_memory_info().total
    return Pool(_allocate, limit)


class _Owner:
    """Lives as long as an array of the GPU and its views."""


def _array_in(block: Any, size: int, dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """Make an array at the beginning of a block, and give what lives as long as that and its views."""
    if simulated():
        numbers = np.frombuffer(block, dtype, size)  # NumPy's views keep the array that they are views of
        return cuda.devicearray.FakeCUDAArray(numbers), numbers
    owner = _Owner()
    where = {"shape": (size,), "typestr": dtype.str, "data": (block.device_ctypes_pointer.value, False), "version": 3}
    return cuda.from_cuda_array_interface(where, owner=owner, sync=False), owner


def _allocate(size: int) -> Any:
    """Ask the driver for a block."""
    if simulated():
        return bytearray(size)
    driver = cuda.cudadrv.driver
    try:
        return cuda.device_array(size, np.uint8)
    except driver.CudaAPIError as error:
        if error.code != driver.binding.CUresult.CUDA_ERROR_OUT_OF_MEMORY:
            raise
        raise MemoryError from None
