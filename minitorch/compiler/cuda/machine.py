"""Run a list of launches: what lasts from call to call, and what a call does.

The Python function around the program is that of every compiled step (:mod:`~minitorch.compiler.run.calls`). Where it
puts addresses into a table on the CPU, it puts :class:`Bound` arrays here. Tensors that are another one in each call,
the step's arguments, are copied to a fixed place first, and what the step returns is copied from one: so the launches
between these two see the same arrays in every call, but for parameters and averages, which take turns between two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ...cuda_data import CudaData
from ...kernels import elements
from ...kernels.cuda.driver import require_same_process
from ...kernels.cuda.elementwise import map_kernel
from ...kernels.cuda.launch import cuda
from ...kernels.cuda.memory import empty, upload
from ...kernels.cuda.places import faults
from ...kernels.cuda.settings import send
from ...tensor import Tensor
from ...tensor_ops import TensorBackend
from ..run.runtime import Output, Runtime, Turns
from ..trace.sources import Source
from .emit import Program
from .record import ARENA, Launch, Place
from .replay import Replay, graph_driver

__all__ = ["Bound", "CudaMachine", "CudaMemory", "CudaRuntime"]

WORD = np.dtype(np.int64)


@dataclass(frozen=True, slots=True)
class Bound:
    """An array in the table, and where it is: on the device, but for an argument that is one of NumPy's."""

    array: Any
    address: int


def bound(array: Any) -> Bound:
    """Note where an array is."""
    return Bound(array.reshape(-1) if isinstance(array, np.ndarray) else array, address_of(array))


def address_of(array: Any) -> int:
    """Find where the elements of a device array are; the simulator's are in the computer's memory."""
    interface = getattr(array, "__cuda_array_interface__", None) or array.__array_interface__
    return interface["data"][0]


class CudaTurns(Turns):
    """Two tensors on the GPU that take turns as one output of a program."""

    def __init__(self, output: Output, backend: TensorBackend) -> None:
        self._backend = backend
        super().__init__(output)

    def _make(self) -> Tensor:
        data = CudaData.empty(self._output.shape, self._output.dtype)
        return Tensor(data, self._history, backend=self._backend)

    def _find(self, tensor: Tensor) -> Bound:
        return bound(tensor._tensor._storage)


class CudaMemory:
    """What the calls of a program work in.

    Attributes:
        table: the arrays of inputs and outputs, and of numbers and streams.
        numbers: the numbers that the next call reads, in the computer's memory.
        streams: its seeds and streams.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.arena = empty(max(1, program.arena_bytes), np.uint8)
        words = len(program.numbers) + 2 * len(program.streams)
        self._host = np.zeros(words, WORD)
        self._sent: bytes | None = None
        self._device = empty(max(1, words), WORD)
        split = len(program.numbers)
        self.numbers, self.streams = self._host[:split].view(np.float64), self._host[split:].view(np.uint64)
        settings = [
            bound(self._device[first:last].view(dtype)) if last > first else None
            for first, last, dtype in [(0, split, np.float64), (split, words, np.uint64)]
        ]
        self.table: list[Any] = [None] * program.bound + settings
        self.seen: list[Any] = [None] * len(program.inputs)
        self.turns: dict[int, CudaTurns] = {}
        self._arrays: dict[Any, Any] = {}  # of the arena, by start, size and type
        self.launches = [self._resolved(launch) for launch in program.launches]
        self.results = [self._resolved(launch) for launch in program.results]
        self.copies = [(slot, self._array(place)) for slot, place in program.copied.items()]
        places = [launch.args[k] for launch, _, open_places in self.launches for k in open_places]
        self._own = sorted({place.slot for place in places if place.slot < program.bound})
        self._replay = Replay(graph_driver())

    # --- where arrays are ----------------------------------------------------------------------------------------

    def _array(self, place: Place) -> Any:
        """Find an array of the arena."""
        key = place.start, place.size, place.dtype
        if key not in self._arrays:
            self._arrays[key] = cuda.device_array(0, place.dtype)
            if place.size:
                self._arrays[key] = self.arena[place.start : place.start + place.bytes].view(place.dtype)
        return self._arrays[key]

    def _resolved(self, launch: Launch) -> tuple[Launch, list[Any], list[int]]:
        """Put arrays in the places of a launch that stay, and list the positions of the others."""
        arguments = [self._array(a) if isinstance(a, Place) and a.slot == ARENA else a for a in launch.args]
        return launch, arguments, [k for k, a in enumerate(arguments) if isinstance(a, Place)]

    def _now(self, place: Place) -> Any:
        """Find an array of the table."""
        array = self.table[place.slot].array
        whole = place.start == 0 and place.size == array.size
        return array if whole else array[place.start : place.start + place.size]

    # --- a call --------------------------------------------------------------------------------------------------

    def copy_arguments(self) -> None:
        """Copy what is another tensor in each call to where the program reads it."""
        copy = map_kernel(elements.identity)
        for slot, to in self.copies:
            array = self.table[slot].array
            if isinstance(array, np.ndarray):
                upload(array, to)
            else:
                copy.for_each(to.size, to, array, to.size, (to.size,), (1,), (1,))

    def send_numbers(self) -> None:
        """Send the numbers of this call, unless they are those of the last one."""
        words = self._host.tobytes()
        if words and words != self._sent:
            send(self._device, self._host.tolist())
            self._sent = words

    def run(self) -> None:
        """Run the program."""
        self._replay.run(tuple(self.table[slot].address for slot in self._own), partial(self.start, self.launches))

    def start(self, launches: Sequence[tuple[Launch, list[Any], list[int]]], stream: Any = 0) -> None:
        """Start launches one by one."""
        for launch, fixed, open_places in launches:
            arguments = list(fixed)  # nothing here keeps an array of a tensor that others look at
            for k in open_places:
                arguments[k] = self._now(arguments[k])
            launch.kernel.start(launch.blocks, launch.threads, arguments, stream)


class CudaMachine:
    """A program for the GPU: call it with a :class:`CudaMemory` whose table is filled in."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def run(self, memory: CudaMemory) -> None:
        """Start everything, and wait for nothing, unless an argument is one of NumPy's.

        Raises:
            BackendError: this process was forked from the one that uses the GPU.
        """
        require_same_process()
        cuda.current_context()  # a thread that has not used the GPU yet gets it
        memory.copy_arguments()
        memory.send_numbers()
        if self.program.watches:
            faults.watch()
        memory.run()
        memory.start(memory.results)


class CudaRuntime(Runtime):
    """What one traced step does in every call on a GPU."""

    address = staticmethod(bound)  # type: ignore[assignment]

    def __init__(
        self, backend: TensorBackend, machine: Any, sources: Sequence[Source], outputs: Mapping[int, Output]
    ) -> None:
        super().__init__(machine, sources, outputs)
        self.backend = backend

    def _memory(self) -> Any:
        program: Any = self.machine.program
        memory = CudaMemory(program)
        memory.seen = [None] * len(self.sources)
        memory.turns = {i: CudaTurns(output, self.backend) for i, output in self.outputs.items()}
        return memory
