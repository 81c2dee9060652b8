"""How a plain loop becomes a kernel: compiled on first use for each element type, and started without waiting.

A kernel is a module-level function that every thread runs; ``cuda.grid(1)`` tells a thread which one it is. What a
kernel calls is a :func:`device` function. A template names a function that does not exist where it is written, and
:func:`~minitorch.kernels.compile.bind` gives each copy its own, as on the CPU.

A launch returns at once: the GPU works through what it was given in order, and only reading a result waits for it.
In Numba's simulator (``NUMBA_ENABLE_CUDASIM=1``) a launch runs every thread of every block as a Python thread.

While :data:`recording` has a recorder, nothing is launched and nothing allocated: the recorder receives both, so that
the compiler can make a list of what an operation would do.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from threading import local
from types import FunctionType, ModuleType
from typing import Any

import numba.cuda
import numpy as np

from .driver import require_same_process, simulated

__all__ = [
    "BLOCKS",
    "THREADS",
    "Kernel",
    "blocks_for",
    "cuda",
    "device",
    "grid_for",
    "kernel",
    "recording",
    "threads_for",
]

# Inside a kernel its members are other things than Numba's annotations say: which thread this is, and shared memory.
cuda: Any = numba.cuda

# Networks are made of small operations too: Numba need not warn of every grid that leaves a part of the GPU idle.
# And to free memory means to wait for the GPU, so it happens for many arrays at once.
cuda.config.CUDA_LOW_OCCUPANCY_WARNINGS = 0
if "NUMBA_CUDA_MAX_PENDING_DEALLOCS_COUNT" not in os.environ:
    cuda.config.CUDA_DEALLOCS_COUNT = 1000

# Threads of a block at most: few enough for every device and kernel, and expected to be enough to hide the memory's
# latency. Such numbers, here and in the kernels, were chosen by rules of thumb: none was measured on a device yet.
THREADS = 256

# Threads that run in step; a block has whole warps.
WARP = 32

# Blocks of one launch; threads of kernels that visit one element after the other walk on by the size of the grid.
BLOCKS = 65_535

# For the GPU Numba knows these functions of NumPy by Python's names only, and they keep the type of their argument.
PYTHONS = {
    "abs": abs,
    "absolute": abs,
    "cos": math.cos,
    "exp": math.exp,
    "log": math.log,
    "log1p": math.log1p,
    "sqrt": math.sqrt,
    "tanh": math.tanh,
}


class _Recording(local):
    recorder: Any = None


recording = _Recording()


class Kernel:
    """A function of arrays and numbers that many threads run at once.

    Args:
        fn: a module-level function, which finds out by :data:`cuda` which thread it is.
        most: the threads of a block at most. The compiler gives each thread no more registers than these can share.
    """

    def __init__(self, fn: Callable[..., None], most: int = THREADS) -> None:
        assert isinstance(fn, FunctionType)
        self.fn, self.most = fn, most
        self.__doc__ = fn.__doc__
        self.__name__ = fn.__name__

    @cached_property
    def dispatcher(self) -> Any:
        """Numba's object, which compiles for the types of the arguments that it meets."""
        return cuda.jit(self.fn) if simulated() else cuda.jit(self.fn, launch_bounds=self.most)

    def __call__(self, blocks: int, threads: int | tuple[int, int], *args: Any) -> None:
        """Start as many blocks of as many threads."""
        if recording.recorder is not None:
            recording.recorder.launch(self, blocks, threads, args)
        else:
            self.start(blocks, threads, args)

    def start(self, blocks: int, threads: int | tuple[int, int], args: Sequence[Any], stream: Any = 0) -> None:
        """Start them on a stream of the driver, whoever records."""
        if not blocks:
            return
        assert (threads if isinstance(threads, int) else math.prod(threads)) <= self.most
        if simulated():
            with warnings.catch_warnings():
                # 1 / 0 is infinity without a word on the GPU, and so it is in the simulator's threads.
                warnings.simplefilter("ignore", RuntimeWarning)
                self.dispatcher[blocks, threads](*args)
        else:
            require_same_process()
            self.dispatcher[blocks, threads, stream](*args)

    def for_each(self, size: int, *args: Any) -> None:
        """Start a thread for each of ``size`` elements; of very many elements each thread takes several."""
        self(*grid_for(size), *args)

    def __repr__(self) -> str:
        return f"Kernel({self.fn.__module__}.{self.fn.__qualname__})"


def kernel(fn: Callable[..., None]) -> Kernel:
    """Declare a module-level function as a :class:`Kernel`."""
    return Kernel(fn)


@cache
def device(fn: Callable[..., Any]) -> Any:
    """Make a function that kernels call; one that Numba compiled, for the CPU or the GPU, is taken by its source."""
    source = getattr(fn, "py_func", fn)
    if simulated():
        return source
    if PYTHONS.keys() & set(source.__code__.co_names):
        names = {name: _numpy_for_kernels() if value is np else value for name, value in source.__globals__.items()}
        source = FunctionType(source.__code__, names, source.__name__, source.__defaults__, source.__closure__)
    return cuda.jit(device=True)(source)


@cache
def _numpy_for_kernels() -> ModuleType:
    """Make a NumPy whose functions are Python's where kernels can call only those."""
    numpy = ModuleType("numpy")
    vars(numpy).update(vars(np), **PYTHONS)
    return numpy


def threads_for(size: int) -> int:
    """Give the threads of a block that has ``size`` elements to visit: whole warps.

    >>> threads_for(1), threads_for(33), threads_for(10_000)
    (32, 64, 256)
    """
    return min(-(-max(size, 1) // WARP) * WARP, THREADS)


def blocks_for(size: int, threads: int) -> int:
    """Give the number of blocks that have ``size`` threads together."""
    return -(-size // threads)


def grid_for(size: int) -> tuple[int, int]:
    """Give blocks and threads for a kernel whose threads walk on by the size of the grid.

    >>> grid_for(0), grid_for(300), grid_for(10**9)
    ((0, 32), (2, 256), (65535, 256))
    """
    threads = threads_for(size)
    return min(blocks_for(size, threads), BLOCKS), threads
