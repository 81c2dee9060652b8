"""From the program's text to machine code, and the memory that it runs in (pass 7).

A program is compiled by Numba as one unit and kept on disk under a hash of its text, so that a process that traces the
same step again loads it. Its arrays come through a table of addresses.
"""

from __future__ import annotations

import hashlib
import linecache
from functools import cached_property, partial
from types import FunctionType
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from numba import carray, prange  # type: ignore[attr-defined]

from ..errors import IndexingError
from ..kernels import blas
from ..kernels.compile import bind, jit, jit_element, threads
from ..kernels.cpu import dropout
from .emit import Program
from .entries import Entry, call, pointer
from .memory import ALIGNMENT

__all__ = ["DTYPES", "Machine", "Memory", "library"]


# Kernels of a program that are joined to one function at most.
JOINED = 40


def _array_at(address, n):
    return carray(pointer(address), (n,), element)


element: Any = None  # bound in the copy for each type of elements


def _thread():
    return numba.get_thread_id()  # type: ignore[attr-defined]


def _dot(a, b, out):
    np.dot(a, b, out)


_inner: Any = partial(jit, keep=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)

# What a program's arrays hold.
DTYPES = tuple(np.dtype(t) for t in (np.float32, np.float64, np.int64, np.int32, np.bool_))

_LIBRARY: dict[str, Any] = {
    **{f"{t.name}_at": _inner(bind(_array_at, f"{t.name}_at", element=t.type)) for t in DTYPES},
    "thread": _inner(_thread),
    "dot": _inner(_dot),
    "uniform_32": dropout._uniform_32,
    "uniform_64": dropout._uniform_64,
    "call": call,
    "prange": prange,
    "float32": np.float32,
    "float64": np.float64,
    "int64": np.int64,
    "uint64": np.uint64,
    "np": np,
}


class Memory:
    """What one call of a program works in: two calls at the same time have two."""

    def __init__(self, program: Program) -> None:
        self.numbers = np.zeros(len(program.numbers), np.float64)
        self.streams = np.zeros(2 * len(program.streams), np.uint64)
        self.arena = _aligned(program.memory.arena_bytes)
        self.scratch = _aligned(program.memory.scratch_bytes * numba.config.NUMBA_NUM_THREADS)  # type: ignore
        fixed = [self.arena, self.scratch, *program.constants]  # arrays, and entries of kernels
        bound = len(program.inputs) + len(program.outputs)
        self.table = np.zeros(bound + len(fixed), np.int64)
        self.table[bound:] = [x.address if isinstance(x, Entry) else x.ctypes.data for x in fixed]
        self.seen: list[Any] = [None] * len(program.inputs)  # the storages whose addresses the table holds
        self.turns: dict[int, Any] = {}  # the tensors that take turns as values of cells, by output


def _aligned(size: int) -> npt.NDArray[np.uint8]:
    whole = np.empty(size + ALIGNMENT, np.uint8)
    start = -whole.ctypes.data % ALIGNMENT
    return whole[start : start + size]


def library(program: Program) -> dict[str, Any]:
    """List what the text of a program may mention, by name."""
    own = {name: jit_element(fn) for name, fn in program.functions.items()}
    return {**_LIBRARY, **own, "__name__": __name__}


class Machine:
    """A compiled program: call it with a :class:`Memory` whose table is filled in."""

    def __init__(self, program: Program) -> None:
        self.program = program
        faults = [a for a in program.constants if isinstance(a, np.ndarray) and a.dtype == np.int32]
        self.faults = faults[0] if faults else None
        self.uses_blas = "dot(" in program.source
        identity = [f"{fn.__module__}.{fn.__qualname__}" for fn in map(_python, program.functions.values())]
        text = "\n".join([program.source, *identity])
        self.digest = hashlib.sha256(text.encode()).hexdigest()[:16]

    def _functions(self, parallel: bool) -> Any:
        """Compile every function of the text, each seeing those before it.

        No rewrite of the arithmetic is allowed: LLVM might choose another one when it sees the function again, and a
        process that loads a program from disk would have other bits than the one that compiled it.
        """
        filename = f"<minitorch program {self.digest}>"
        source = self.program.source
        linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
        names = library(self.program)
        exec(compile(source, filename, "exec"), names)
        for name, fn in list(names.items()):
            if isinstance(fn, FunctionType) and fn.__code__.co_filename == filename and name != "program":
                # Joined before LLVM sees them: a function costs it a tenth of a second, and a very long one more.
                # What runs on several cores stays one too. None is called from Python: the ways in take time.
                whole = len(self.program.kernels) > JOINED or (parallel and name.startswith("stage_"))
                names[name] = _inner(fn, **({} if whole else {"inline": "always"}))
        program = names["program"]
        program.__qualname__ = f"program_{self.digest}{'_parallel' if parallel else ''}"
        program.__module__ = __name__
        return jit(program, keep=self.program.keep, parallel=parallel)

    @cached_property
    def serial(self) -> Any:
        """The program for one core."""
        return self._functions(parallel=False)

    @cached_property
    def parallel(self) -> Any:
        """The program for all cores."""
        return self._functions(parallel=True)

    def run(self, memory: Memory) -> None:
        """Run the program."""
        args = memory.table, memory.numbers, memory.streams
        if self.uses_blas:
            blas.one_thread.load_scipy()
            with blas.one_thread:
                self._run(args)
        else:
            self._run(args)
        if self.faults is not None and self.faults[0]:
            self.faults[0] = 0
            raise IndexingError(
                "a compiled step was given a place out of range: a class label that is no class, or the number of a "
                "row that a table lacks. Check labels and indices; eager steps name the first wrong one."
            )

    def _run(self, args: tuple[Any, ...]) -> None:
        if self.program.parallel and not threads.forked:
            self.parallel(*args)
        else:
            self.serial(*args)


def _python(fn: Any) -> Any:
    return getattr(fn, "py_func", fn)
