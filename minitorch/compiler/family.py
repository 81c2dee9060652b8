"""What the compiler knows of a kernel of the library that computes an operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from .entries import Entry
from .program import Operand

__all__ = ["Family"]

# From the results, the operands of the operation, the constant arrays, and the memory to work in.
Arrange = Callable[[list[Operand], list[Operand], list[Operand], Operand], list[Operand]]


def _one_after_the_other(
    results: list[Operand], inputs: list[Operand], tables: list[Operand], work: Operand
) -> list[Operand]:
    return [*results, *inputs, *tables]


@dataclass
class Family:
    """How a kernel is called for one operation.

    Attributes:
        name: of the kernel.
        entry: the kernel; None where there is nothing to do.
        tables: constant arrays that become operands.
        arrange: gives the operands in the kernel's order.
        scratch: bytes of memory that the kernel works in.
        flops: additions and multiplications.
        extent: the end of the range that the kernel works on where no chunk gives one.
        strip: the shortest part of this range that is worth a call of its own; 0 where the range is not divisible.
        uses_blas: whether it calls BLAS.
        checks_places: whether it notes places that are out of range; the note comes before the constant arrays.
    """

    name: str
    entry: Entry | None
    tables: list[npt.NDArray[Any]] = field(default_factory=list)
    arrange: Arrange = _one_after_the_other
    scratch: int = 0
    flops: int = 0
    extent: int = 0
    strip: int = 0
    uses_blas: bool = False
    checks_places: bool = False
