"""A traced step at work: what lasts from call to call, and what a call is made of.

The call itself is a Python function that :mod:`~minitorch.compiler.run.calls` writes for each trace; this file has what
it uses. It is written for speed: addresses of arrays that have not changed stay in the table, and each output of the
program is one of two tensors that take turns, as long as nobody else holds on to them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from sys import getrefcount
from typing import Any
from weakref import getweakrefcount

import numpy as np
import numpy.typing as npt

from ...fast_ops import FastBackend
from ...function import History
from ...tensor import Tensor
from ...tensor_data import TensorData
from ...tensor_ops import TensorBackend
from ..trace.sources import Source
from .machine import Machine, Memory

__all__ = ["UNFIT", "CompiledStep", "HostNumber", "Input", "Output", "Runtime", "Turns", "address", "again"]

# What a call gives, before anything has happened, when the program is not for these arguments or this state.
UNFIT: Any = object()


# --- what stands for values in what a step returns and writes --------------------------------------------------------


@dataclass(frozen=True)
class Output:
    """Stands for output ``index`` of the program.

    ``grad`` says what its tensor is: a ``constant``, a ``leaf`` whose gradient is wanted, or ``made`` by the step from
    such a leaf.
    """

    index: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    grad: str


@dataclass(frozen=True)
class Input:
    """Stands for a tensor from outside that is handed on: number ``index`` among the tracer's sources."""

    index: int


@dataclass(frozen=True)
class HostNumber:
    """Stands for a number that is computed from numbers."""

    name: str


class CompiledStep:
    """Stands as the function that made a result of a compiled step: its history stayed in the program."""

    without_graph = (
        "a compiled step made this tensor, and how it did stayed in the program. Call backward() inside the step, or "
        "run the step inside `with minitorch.debug():`."
    )


# --- the tensors that outputs are written to -------------------------------------------------------------------------


class Turns:
    """Two tensors that take turns as one output of a program, so that most calls make no new ones.

    Attributes:
        address: of the elements of the tensor that :meth:`next` gave.
    """

    __slots__ = ("_alone", "_history", "_last", "_made", "_output", "address")

    def __init__(self, output: Output) -> None:
        self._output = output
        self._history = _history(output)
        self._made = [self._new(), self._new()]
        self._last = 1
        self._alone = 0
        self.address = 0

    def _make(self) -> Tensor:
        data = TensorData.empty(self._output.shape, self._output.dtype)
        return Tensor(data, self._history, backend=FastBackend)

    def _find(self, tensor: Tensor) -> Any:
        return address(tensor._tensor._storage)

    def _new(self) -> tuple[Tensor, Any, Any, Any]:
        """Make a tensor; give it with its data and its storage, and where its elements are."""
        tensor = self._make()
        return tensor, tensor._tensor, tensor._tensor._storage, self._find(tensor)

    def next(self) -> Tensor:
        """Give the one that was not given last, or a new one in its place where somebody still holds it."""
        k = self._last = 1 - self._last
        tensor, data, storage, self.address = self._made[k]
        # A user may hold the tensor, or a view, which shares the storage. How many references are ours depends on the
        # version of Python: they are counted when the first of the two, which nobody has seen, is given.
        references = getrefcount(tensor) + getweakrefcount(tensor) + getrefcount(data) + getrefcount(storage)
        if references == self._alone:
            tensor.grad = tensor._name = None
            tensor.history = self._history
        elif self._alone == 0:
            self._alone = references
        else:
            self._made[k] = self._new()
            tensor, _, _, self.address = self._made[k]
        return tensor


def again(tensor: Tensor, output: Output) -> Tensor:
    """Make a second tensor of an output that the step uses with and without a gradient: the elements are shared."""
    return Tensor(tensor._tensor, _history(output), backend=tensor.backend)


def _history(output: Output) -> History | None:
    if output.grad == "constant":
        return None
    return History(CompiledStep) if output.grad == "made" else History()  # type: ignore[arg-type]


_nothing: Any = ctypes.c_char * 0


def address(array: npt.NDArray[Any]) -> int:
    """Find where the elements of an array are: ``array.ctypes.data``, in a fifth of the time."""
    try:
        return ctypes.addressof(_nothing.from_buffer(array))
    except (TypeError, ValueError):  # read-only, or with gaps
        return array.ctypes.data


# --- a call ----------------------------------------------------------------------------------------------------------


class Runtime:
    """What one traced step does in every call.

    Args:
        machine: runs the program.
        sources: of the tensors that the step gets from outside.
        outputs: what stands for each output of the program.

    Attributes:
        backend: of all tensors.
        address: finds where the elements of an array are, as the program's table has it.
        step: the function that :mod:`~minitorch.compiler.run.calls` has written.
    """

    backend: TensorBackend = FastBackend
    address = staticmethod(address)
    step: Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]

    def __init__(self, machine: Machine, sources: Sequence[Source], outputs: Mapping[int, Output]) -> None:
        self.machine, self.sources, self.outputs = machine, sources, outputs
        self.places = {number: place for place, number in enumerate(machine.program.inputs)}
        self.forms = [(s.like.shape, s.like.dtype, s.like.history is not None) for s in sources]
        self.memories: list[Memory] = []

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the program; gives :data:`UNFIT`, and nothing has happened, where it is not for this call."""
        memory = self.memories.pop() if self.memories else self._memory()
        try:
            return self.step(memory, args, kwargs)
        finally:
            self.memories.append(memory)

    def _memory(self) -> Memory:
        memory = Memory(self.machine.program)
        memory.seen = [None] * len(self.sources)
        memory.turns = {i: Turns(output) for i, output in self.outputs.items()}
        return memory

    def copy_of_last(self) -> Memory:
        """Make a memory with the inputs of the last call, in which the program can run again unseen.

        In the last call's own memory the inputs have moved on: an output that became a weight is the next input.
        """
        last, memory = self.memories[-1], self._memory()
        inputs = len(self.machine.program.inputs)
        memory.seen, memory.table[:inputs] = list(last.seen), last.table[:inputs]
        memory.numbers[:], memory.streams[:] = last.numbers, last.streams
        for i, turns in memory.turns.items():
            turns.next()
            memory.table[inputs + i] = turns.address
        return memory

    def bind(self, memory: Memory, number: int, tensor: Any) -> bool:
        """Put the address of a tensor that is new at its source into the table; tells whether it fits there."""
        shape, dtype, variable = self.forms[number]
        if not isinstance(tensor, Tensor) or tensor.backend is not self.backend:
            return False
        data = tensor._tensor
        if data.shape != shape or data._storage.dtype != dtype:
            return False
        seen = memory.seen
        # Gradients of one tensor at two sources would have to be added up.
        if variable and any(_is_of(tensor, seen[k]) for k in range(len(seen)) if k != number):
            return False
        if data.is_contiguous():
            flat, seen[number] = data._storage, tensor
        else:
            flat = data.flat()
            seen[number] = tensor, flat  # copied anew in every call
        if number in self.places:
            memory.table[self.places[number]] = self.address(flat)
        return True

    def bind_array(self, memory: Memory, number: int, array: Any, shape: tuple[int, ...]) -> bool:
        """Do the same for a NumPy array among the arguments."""
        if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != self.forms[number][1]:
            return False
        memory.seen[number] = flat = np.ascontiguousarray(array)
        if number in self.places:
            memory.table[self.places[number]] = self.address(flat)
        return True


def _is_of(tensor: Tensor, seen: Any) -> bool:
    return seen is tensor or (isinstance(seen, tuple) and seen[0] is tensor)
