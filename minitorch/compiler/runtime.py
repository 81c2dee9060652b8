"""A traced step at work: find its inputs, run the program, and put the results where the step would have put them.

This runs in every call, so it is written for speed: addresses of arrays that have not changed stay in the table, and
what replaces a parameter's value is one of two tensors that take turns, as long as nobody else holds on to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from sys import getrefcount
from typing import Any

import numpy as np

from ..cells import look, write
from ..fast_ops import FastBackend
from ..tensor import Tensor
from ..tensor_data import TensorData
from ..tensor_functions import History
from .machine import Machine, Memory
from .trace import Cell, Source, Tracer
from .tree import mapped

__all__ = ["Argument", "HostNumber", "Output", "Runtime"]


@dataclass(frozen=True)
class Output:
    """Stands for output ``index`` of the program in what a step returns and writes.

    ``grad`` says what its tensor is: a ``constant``, a ``leaf`` whose gradient is wanted, or ``made`` by the step from
    such a leaf.
    """

    index: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    grad: str


@dataclass(frozen=True)
class Argument:
    """Stands for an argument that is handed back."""

    index: int


@dataclass(frozen=True)
class HostNumber:
    """Stands for a number that is computed from numbers."""

    index: int


class CompiledStep:
    """Stands as the function that made a result of a compiled step: its history stayed in the program."""


class _Turns:
    """Two tensors that take turns as the value of a cell."""

    __slots__ = ("addresses", "alone", "output", "tensors")

    def __init__(self, output: Output) -> None:
        self.output = output
        self.tensors = [_empty(output), _empty(output)]
        self.addresses = [t._tensor._storage.ctypes.data for t in self.tensors]
        self.alone = self._references(0)

    def _references(self, k: int) -> tuple[int, int, int]:
        """Count the references to a tensor, its data and its storage.

        How many of them are ours depends on the version of Python, so it is counted once while nobody else has any.
        """
        tensor = self.tensors[k]
        data = tensor._tensor
        return getrefcount(tensor), getrefcount(data), getrefcount(data._storage)

    def free(self, current: Any) -> tuple[Tensor, int]:
        """Give the one that nobody holds, and its address; a new one where somebody does."""
        k = 1 if current is self.tensors[0] else 0
        if self._references(k) != self.alone:
            self.tensors[k] = _empty(self.output)
            self.addresses[k] = self.tensors[k]._tensor._storage.ctypes.data
        tensor = self.tensors[k]
        tensor.grad = None
        return tensor, self.addresses[k]


def _empty(output: Output) -> Tensor:
    return _tensor(TensorData.empty(output.shape, output.dtype), output)


def _tensor(data: TensorData, output: Output) -> Tensor:
    """Make the tensor that stands for an output."""
    tensor = Tensor(data, backend=FastBackend)
    if output.grad == "leaf":
        tensor.history = History()
    elif output.grad == "made":
        tensor.history = History(CompiledStep)  # type: ignore[arg-type]
    return tensor


class Runtime:
    """What one traced step does in every call."""

    def __init__(
        self,
        tracer: Tracer,
        machine: Machine,
        result: Any,
        writes: Sequence[tuple[Cell, Any]],
        gradients: Sequence[tuple[Source, Any]],
        numbers: Callable[[Any, Sequence[float]], Any],
    ) -> None:
        self.machine, self.result, self.gradients, self.numbers = machine, result, gradients, numbers
        program = machine.program
        self.draws = tracer.draws
        self.streams = [(k, tracer.draws[s.generator].generator, s.index) for k, s in enumerate(program.streams)]
        self.sources = [(place, tracer.sources[number]) for place, number in enumerate(program.inputs)]
        self.expected = [
            (s.like.shape, s.like.dtype, s.like.history is None, s.like.grad is None) for _, s in self.sources
        ]
        self.outputs = [(len(program.inputs) + i, node) for i, node in enumerate(program.outputs)]
        # An output that becomes the value of a cell, and nothing else, is written where the cell's next value lives.
        uses = _count(result) + [i for _, value in writes for i in _count(value)]
        uses += [i for _, value in gradients for i in _count(value)]
        self.turns: dict[int, tuple[Cell, Output]] = {}
        self.writes: list[tuple[Cell, Any]] = []
        for cell, value in writes:
            if isinstance(value, Output) and uses.count(value.index) == 1:
                self.turns[value.index] = cell, value
            else:
                self.writes.append((cell, value))
        self.memories: list[Memory] = []

    def call(self, tensors: list[Tensor], floats: list[float]) -> tuple[bool, Any]:
        """Run the program; the first result is False, and nothing has happened, where it does not fit the inputs."""
        memory = self.memories.pop() if self.memories else self._memory()
        table, seen = memory.table, memory.seen
        kept = []  # copies that must live until the program has run
        for (place, source), (shape, dtype, constant, without) in zip(self.sources, self.expected, strict=True):
            tensor = _current(source, tensors)
            if tensor is None or (tensor.history is None) != constant or (tensor.grad is None) != without:
                return self._unfit(memory)
            data = tensor._tensor
            storage = data._storage
            if seen[place] is not storage or data.shape != shape:
                if data.shape != shape or storage.dtype != dtype or tensor.backend is not FastBackend:
                    return self._unfit(memory)
                flat = data.flat()
                if flat is storage:
                    seen[place] = storage
                else:
                    kept.append(flat)
                    seen[place] = None
                table[place] = flat.ctypes.data
        numbers = self.numbers(memory.numbers, floats)
        if numbers is None:
            return self._unfit(memory)
        if self.draws:
            for k, generator, index in self.streams:
                seed, stream = generator.state
                memory.streams[2 * k], memory.streams[2 * k + 1] = seed, stream + index
            for draws in self.draws:
                seed, stream = draws.generator.state
                draws.generator.state = seed, stream + draws.count
        made: list[Any] = []
        for i, (place, node) in enumerate(self.outputs):
            if i in self.turns:
                cell, _ = self.turns[i]
                holder = cell.holder
                current = holder.get(cell.key) if isinstance(holder, dict) else getattr(holder, cell.key, None)
                tensor, address = memory.turns[i].free(current)
                made.append(tensor)
                table[place] = address
            else:
                data = TensorData.empty(node.shape, node.dtype)
                made.append(data)
                table[place] = data._storage.ctypes.data
        self.machine.run(memory)

        given = [
            (_current(source, tensors), self._give(value, made, numbers, tensors)) for source, value in self.gradients
        ]
        for tensor, value in given:
            tensor.grad = value
        for i, (cell, _) in self.turns.items():
            write(cell.holder, cell.key, made[i])
        for cell, value in self.writes:
            write(cell.holder, cell.key, self._give(value, made, numbers, tensors))
        result = self._give(self.result, made, numbers, tensors)
        self.memories.append(memory)
        return True, result

    def _memory(self) -> Memory:
        memory = Memory(self.machine.program)
        memory.turns = {i: _Turns(output) for i, (_, output) in self.turns.items()}
        return memory

    def _unfit(self, memory: Memory) -> tuple[bool, Any]:
        self.memories.append(memory)
        return False, None

    def _give(self, value: Any, made: list[Any], numbers: Any, tensors: list[Tensor]) -> Any:
        """Replace what stands for values by the values."""

        def given(value: Any) -> Any:
            if isinstance(value, Output):
                data = made[value.index]
                return _tensor(data if data.shape == value.shape else data.view(value.shape), value)
            if isinstance(value, HostNumber):
                return numbers[value.index]
            return tensors[value.index] if isinstance(value, Argument) else value

        return mapped(given, value)


def _count(value: Any) -> list[int]:
    """List the outputs in a result."""
    found: list[int] = []
    mapped(lambda v: found.append(v.index) if isinstance(v, Output) else None, value)
    return found


def _current(source: Source, tensors: list[Tensor]) -> Any:
    """Find the tensor of an input as it is now."""
    if source.kind == "argument":
        return tensors[source.index]
    if source.kind == "cell":
        return look(source.holder, source.key)
    if source.kind == "gradient":
        return getattr(_current(source.holder, tensors), "grad", None)
    return source.holder
