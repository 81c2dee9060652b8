"""Run a program: one compiled function for all of them goes through its calls (pass 7).

The program comes as a list of integers, and its arrays through a table of addresses, because a call with one array
costs 0.2 microseconds and one with thirty costs several. To add up an operand's address takes a nanosecond.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from numba import prange  # type: ignore[attr-defined]

from ...errors import IndexingError
from ...kernels import blas
from ...kernels.addresses import call, integers, take_number
from ...kernels.compile import jit, threads
from ..emit.program import SCRATCH, Program
from ..passes.memory import ALIGNMENT, HEAD

__all__ = ["Faster", "Machine", "Memory", "run_call"]

# What stands where in a program's list of integers; the last name of each line is how many there are. The list begins
# with the number of waves, and where calls and operands begin.
WAVES, CALLS, OPERANDS, FIRST = range(4)
# A wave: where its first task is, how many it has, and whether the cores share them.
TASKS_AT, TASKS, SHARED, WAVE = range(4)
# A task: see program.Task.
FIRST_CALL, LAST_CALL, CHUNK, BEGIN, END, TASK = range(6)
# A call: the address of its kernel, its operands, and the end of its range outside regions.
KERNEL, FIRST_OPERAND, LAST_OPERAND, EXTENT, CALL = range(5)
# An operand: see program.Operand.
SLOT, OFFSET, BY_IMAGE, BY_CHUNK, OPERAND = range(5)


# --- in compiled code ----------------------------------------------------------------------------------------------


@jit
def run_call(code, table, at, scratch, chunk, begin, end):
    """Run the call at a place of the list; an end of -1 stands for its own extent."""
    operands = integers(scratch)
    first, last = code[at + FIRST_OPERAND], code[at + LAST_OPERAND]
    for k in range(first, last):
        place = code[OPERANDS] + k * OPERAND
        slot = code[place + SLOT]
        base = scratch if slot == SCRATCH else table[slot]
        moved = begin * code[place + BY_IMAGE] + chunk * code[place + BY_CHUNK]
        operands[k - first] = base + code[place + OFFSET] + moved
    call(code[at + KERNEL], (scratch, begin, code[at + EXTENT] if end < 0 else end))


@jit
def _run_task(code, table, task, scratch):
    chunk, begin, end = code[task + CHUNK], code[task + BEGIN], code[task + END]
    for k in range(code[task + FIRST_CALL], code[task + LAST_CALL]):
        run_call(code, table, code[CALLS] + k * CALL, scratch, chunk, begin, end)


@jit
def run_serial(code, table, scratch, scratch_bytes, cores):
    """Run a program on one core, whatever ``cores`` says."""
    for wave in range(code[WAVES]):
        at = FIRST + wave * WAVE
        for i in range(code[at + TASKS]):
            _run_task(code, table, code[at + TASKS_AT] + i * TASK, scratch + ALIGNMENT)


@partial(jit, parallel=True)
def run_parallel(code, table, scratch, scratch_bytes, cores):
    """Run a program on so many cores, of which Numba may not have fewer.

    They are counted outside: code that asks Numba contains an address of its process, and cannot be kept on disk.
    """
    for wave in range(code[WAVES]):
        at = FIRST + wave * WAVE
        first, tasks = code[at + TASKS_AT], code[at + TASKS]
        if code[at + SHARED]:
            # Each thread has a share of the tasks, the same ones in every call: what they work on is still in its
            # cache. Then it takes from other shares: a core that other programs use too does less.
            shares = min(tasks, cores)
            for k in range(shares):
                integers(scratch + k * ALIGNMENT)[0] = k * tasks // shares
            for k in prange(shares):
                own = scratch + cores * ALIGNMENT + numba.get_thread_id() * scratch_bytes  # type: ignore[attr-defined]
                for other in range(k, k + shares):
                    share = other % shares
                    end = (share + 1) * tasks // shares
                    task = take_number(scratch + share * ALIGNMENT)
                    while task < end:
                        _run_task(code, table, first + task * TASK, own)
                        task = take_number(scratch + share * ALIGNMENT)
        else:
            for i in range(tasks):
                _run_task(code, table, first + i * TASK, scratch + ALIGNMENT)


# --- in Python -----------------------------------------------------------------------------------------------------


class Memory:
    """What one call of a program works in: two calls at the same time have two."""

    def __init__(self, program: Program) -> None:
        self.numbers = np.zeros(len(program.numbers), np.float64)
        self.streams = np.zeros(2 * len(program.streams), np.uint64)
        self.arena = _aligned(program.memory.arena_bytes)
        self.scratch_bytes = HEAD + program.memory.scratch_bytes
        # Before the parts of the threads, a cache line for each with the number of the next task of its share.
        threads = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
        self.scratch = _aligned((ALIGNMENT + self.scratch_bytes) * threads)
        self.faults = np.zeros(1, np.int32)  # 1 where a place was out of range
        fixed = [self.arena, self.numbers, self.streams, self.faults, *program.constants]
        self.table = np.zeros(program.bound + len(fixed), np.int64)
        self.table[program.bound :] = [array.ctypes.data for array in fixed]
        self.arguments = self.table, self.scratch.ctypes.data, self.scratch_bytes
        self.seen: list[Any] = [None] * len(program.inputs)  # the tensors and arrays whose addresses the table holds
        self.turns: dict[int, Any] = {}  # the two tensors that take turns as each output


def _aligned(size: int) -> npt.NDArray[np.uint8]:
    whole = np.empty(size + ALIGNMENT, np.uint8)
    start = -whole.ctypes.data % ALIGNMENT
    return whole[start : start + size]


class Faster:
    """Chooses between two functions that do the same by the time that they take.

    Where other programs hold the cores, a parallel region waits for milliseconds for a thread that is not running:
    an epoch took 2 s instead of 0.1 s. One core is then faster than two. The results have the same bits.

    Args:
        serial: the function for one core.
        parallel: the function for all cores.
    """

    # Of so many calls, each function has the first few in turn, and the faster one has the rest.
    CALLS, TRIALS = 128, 3

    def __init__(self, serial: Callable[..., object], parallel: Callable[..., object]) -> None:
        self.serial, self.parallel = serial, parallel
        self.calls = 0
        self.serial_seconds = self.parallel_seconds = math.inf

    def __call__(self, *args: Any) -> None:
        """Run the faster one, or one that has to be timed."""
        number = self.calls % self.CALLS
        self.calls += 1
        if number >= 2 * self.TRIALS:
            if self.parallel_seconds <= self.serial_seconds:
                self.parallel(*args)
            else:
                self.serial(*args)
            return
        if number == 0:
            self.serial_seconds = self.parallel_seconds = math.inf
        start = time.perf_counter()
        if number % 2 == 0:
            self.parallel(*args)
            self.parallel_seconds = min(self.parallel_seconds, time.perf_counter() - start)
        else:
            self.serial(*args)
            self.serial_seconds = min(self.serial_seconds, time.perf_counter() - start)


class Machine:
    """A program with its kernels compiled: call it with a :class:`Memory` whose table is filled in."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.faster = Faster(run_serial, run_parallel)

    @cached_property
    def code(self) -> npt.NDArray[np.int64]:
        """The program as the list of integers that :func:`run_serial` goes through; kernels are compiled here."""
        program = self.program
        tasks = [task for wave in program.waves for task in wave.tasks]
        first_task = FIRST + WAVE * len(program.waves)
        first_call = first_task + TASK * len(tasks)
        code = [len(program.waves), first_call, first_call + CALL * len(program.calls)]
        for wave in program.waves:
            code += [first_task, len(wave.tasks), int(wave.parallel and program.parallel)]
            first_task += TASK * len(wave.tasks)
        for task in tasks:
            code += [task.first, task.last, task.chunk, task.begin, task.end]
        operand = 0
        for each in program.calls:
            code += [each.entry.address, operand, operand + len(each.operands), each.extent]
            operand += len(each.operands)
        for each in program.calls:
            for o in each.operands:
                code += [o.slot, o.offset, o.by_image, o.by_chunk]
        return np.array(code, np.int64)

    def place(self, call: int) -> int:
        """Find a call in the list."""
        return int(self.code[CALLS]) + CALL * call

    def run(self, memory: Memory) -> None:
        """Run the program."""
        if self.program.holds_blas:
            with blas.one_thread:
                self._run(memory)
        else:
            self._run(memory)
        if self.program.checks_places and memory.faults[0]:
            memory.faults[0] = 0
            raise IndexingError(
                "a compiled step was given a place out of range: a class label that is no class, or the number of a "
                "row that a table lacks. Check labels and indices; eager steps name the first wrong one."
            )

    def _run(self, memory: Memory) -> None:
        cores = numba.get_num_threads()
        several = self.program.parallel and not threads.forked and cores > 1
        run = self.faster if several else run_serial
        run(self.code, *memory.arguments, cores)
