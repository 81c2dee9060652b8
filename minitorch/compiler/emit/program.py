"""What the compiler makes of a step: kernels, the calls of them, and the tasks that the cores share.

A program has no machine code of its own. It is a list of calls, and one function for all programs
(:mod:`~minitorch.compiler.run.machine`) goes through it: for each operand it adds up an address, then it calls the
kernel.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..graph import Node
from ..passes.memory import Layout
from .entries import Entry

__all__ = ["SCRATCH", "Call", "Operand", "Program", "Task", "Wave"]

# Stands in the place of a slot for the memory of the thread that the call runs on.
SCRATCH = -1


@dataclass(frozen=True)
class Operand:
    """Where a kernel finds an operand: at ``table[slot] + offset + by_image * b0 + by_chunk * chunk``, in bytes.

    Attributes:
        name: what the program's text calls it.
        slot: of the table of addresses, or ``SCRATCH``.
        offset: from there.
        by_image: for each image before the first of the chunk.
        by_chunk: for each chunk before this one.
    """

    name: str
    slot: int
    offset: int = 0
    by_image: int = 0
    by_chunk: int = 0

    def plus(self, offset: int, name: str) -> Operand:
        """Give what lies some bytes behind it."""
        return replace(self, name=name, offset=self.offset + offset)


@dataclass
class Call:
    """A call of a kernel.

    Attributes:
        name: of the call, unlike all others of the program.
        kernel: the name of the kernel, under which the program's text has it.
        entry: the kernel.
        operands: in the order in which it expects them.
        title: what it computes, with the shape of the result.
        bytes: read and written, if each result is read once.
        flops: additions and multiplications.
        extent: the end of the range that a call outside a region works on.
        blocks: parts that this range can be divided into, which are independent of each other.
    """

    name: str
    kernel: str
    entry: Entry
    operands: list[Operand]
    title: str
    bytes: int
    flops: int
    extent: int = 0
    blocks: int = 1


@dataclass(frozen=True)
class Task:
    """What one core does in one go: calls ``first`` to ``last`` for a range.

    Attributes:
        first: the first call.
        last: the one behind the last.
        chunk: the number of the chunk of the batch; 0 outside regions.
        begin: the first image of the chunk, or the first element of the range.
        end: the one behind the last; -1 for the whole extent of each call.
    """

    first: int
    last: int
    chunk: int
    begin: int
    end: int


@dataclass
class Wave:
    """Tasks that are independent of each other.

    Attributes:
        tasks: they run in any order.
        parallel: whether several cores share them.
    """

    tasks: list[Task]
    parallel: bool


@dataclass
class Program:
    """A step's program, and what it needs to run.

    Attributes:
        source: its text, for people: the kernels that were written for it, and the calls.
        calls: the calls of kernels.
        waves: the tasks, wave after wave.
        numbers: the names of the numbers that it reads, in the order of its array of numbers.
        streams: the streams that it reads, in the order of its array of seeds and streams.
        inputs: for each slot of the table that belongs to an input, the place of its source.
        outputs: the nodes that the outputs are; their slots follow.
        constants: what the last slots hold: arrays, such as the plans of convolutions.
        memory: where results live.
        parallel: whether any of its waves is worth several cores.
        holds_blas: whether BLAS is held to one thread: a kernel calls it for a product that it would divide.
        checks_places: whether a kernel of it notes places that are out of range.
    """

    source: str = ""
    calls: list[Call] = field(default_factory=list)
    waves: list[Wave] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    streams: list[Any] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[Node] = field(default_factory=list)
    constants: list[npt.NDArray[Any]] = field(default_factory=list)
    memory: Layout = field(default_factory=lambda: Layout({}, {}, 0, 0))
    parallel: bool = False
    holds_blas: bool = False
    checks_places: bool = False

    # --- the table -------------------------------------------------------------------------------------------------

    @property
    def bound(self) -> int:
        """The number of slots of inputs and outputs, which change from call to call."""
        return len(self.inputs) + len(self.outputs)

    @property
    def arena(self) -> int:
        """The slot of the arena. Behind it are those of numbers, of streams, of faults, and of the constants."""
        return self.bound

    def number(self, name: str) -> Operand:
        """Give a number as an operand; it is appended where it is new."""
        if name not in self.numbers:
            self.numbers.append(name)
        return Operand(name, self.arena + 1, 8 * self.numbers.index(name))

    def stream(self, stream: Any) -> Operand:
        """Give a stream and its seed as an operand."""
        if stream not in self.streams:
            self.streams.append(stream)
        place = self.streams.index(stream)
        return Operand(f"stream_{place}", self.arena + 2, 16 * place)

    def fault(self) -> Operand:
        """Give the note of wrong places as an operand: all kernels of a program share it, and nothing else is there."""
        self.checks_places = True
        return Operand("faults", self.arena + 3)

    def constant(self, value: npt.NDArray[Any]) -> Operand:
        """Give an array that stays the same as an operand; equal ones are one."""
        for i, known in enumerate(self.constants):
            if known is value or (known.dtype == value.dtype and np.array_equal(known, value)):
                return Operand(f"plan_{i}", self.arena + 4 + i)
        self.constants.append(value)
        return self.constant(value)
