"""What an operation launches and allocates, taken down instead of done.

The operations of :class:`~minitorch.cuda_ops.CudaOps` decide by shapes alone which kernels they start, so a list of
these launches serves every call of a program. Where an array would be allocated they receive a :class:`Place`: a part
of one piece of memory, the arena, which others have as soon as nobody reads it any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...kernels.cuda.launch import Kernel, recording
from ..passes.memory import Free, aligned

__all__ = ["ARENA", "Launch", "Place", "Recorder"]

# Stands in the place of a slot for the program's own memory.
ARENA = -1

# Arrays begin at multiples of this many bytes, as those do that the driver allocates.
ALIGNMENT = 256


class Place:
    """A flat device array that is not there yet: what the host code of an operation asks of one.

    Args:
        name: what the program's text calls it.
        slot: of the table of arrays, or ``ARENA``.
        start: bytes of the arena, or elements of the slot's array, before it.
        size: elements.
        dtype: of the elements.
    """

    __slots__ = ("_part", "_whole", "dtype", "name", "size", "slot", "start")

    def __init__(self, name: str, slot: int, start: int, size: int, dtype: np.dtype[Any]) -> None:
        self.name, self.slot, self.start, self.size, self.dtype = name, slot, start, size, np.dtype(dtype)
        self._whole: Place = self
        self._part = ""

    @property
    def whole(self) -> Place:
        """What it is a part of, or itself."""
        return self._whole

    @property
    def bytes(self) -> int:
        """Of all elements."""
        return self.size * self.dtype.itemsize

    def __getitem__(self, part: slice) -> Place:
        first, stop, _ = part.indices(self.size)
        unit = self.dtype.itemsize if self.slot == ARENA else 1
        piece = Place(self.name, self.slot, self.start + first * unit, max(0, stop - first), self.dtype)
        before = (piece.start - self._whole.start) // unit
        piece._whole, piece._part = self._whole, f"[{before}:{before + piece.size}]"
        return piece

    def __repr__(self) -> str:
        return f"{self._whole.name}{self._part}"


@dataclass
class Launch:
    """A launch of a kernel.

    Attributes:
        kernel: what runs.
        blocks: how many.
        threads: of each.
        args: places, arrays that are there already, and numbers.
        title: what it computes; of several launches that do something together, the first has one.
    """

    kernel: Kernel
    blocks: int
    threads: int | tuple[int, int]
    args: tuple[Any, ...]
    title: str = ""

    def text(self, name: str) -> str:
        """Write it, with what the kernel is called."""
        arguments = ", ".join("faults" if hasattr(a, "copy_to_host") else str(a) for a in self.args)
        return f"{name}[{self.blocks}, {self.threads}]({arguments})"


class Recorder:
    """Takes down launches, and gives out places.

    Attributes:
        launches: in order.
        made: the places that were given out since :meth:`begin`.
    """

    def __init__(self) -> None:
        self.launches: list[Launch] = []
        self.made: list[Place] = []
        self._free = Free()
        self._title = ""

    @property
    def arena_bytes(self) -> int:
        """How large the arena has to be."""
        return self._free.end

    @contextmanager
    def operation(self, title: str) -> Iterator[None]:
        """Take down what one operation does."""
        self.made, self._title = [], title
        before, recording.recorder = recording.recorder, self
        try:
            yield
        finally:
            recording.recorder = before

    def empty(self, size: int, dtype: np.dtype[Any]) -> Place:
        """Give out memory for an array."""
        place = Place("work", ARENA, 0, size, dtype)
        place.start = self._free.take(aligned(place.bytes, ALIGNMENT))
        self.made.append(place)
        return place

    def launch(self, kernel: Kernel, blocks: int, threads: int | tuple[int, int], args: tuple[Any, ...]) -> None:
        """Take down a launch."""
        if blocks:
            self.launches.append(Launch(kernel, blocks, threads, args, self._title))
            self._title = ""

    def give_back(self, place: Place) -> None:
        """Let others have the memory of an array."""
        if place.size:
            self._free.give_back(place.start, aligned(place.bytes, ALIGNMENT))
