"""What the compiler knows of a kernel of the library that computes an operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..graph import Node
from .entries import Entry
from .program import Operand

__all__ = ["PAIRS", "Family", "Other", "other_of_pair", "with_work", "zeros_for_bias"]

# A maximum and its places are found together.
PAIRS = {
    "max": "max_place",
    "max_pool": "max_pool_place",
    "conv_pool": "conv_pool_place",
    "conv_line": "conv_line_place",
}

# From the results, the operands of the operation, the constant arrays, and the memory to work in.
Arrange = Callable[[list[Operand], list[Operand], list[Operand], Operand], list[Operand]]


def _one_after_the_other(
    results: list[Operand], inputs: list[Operand], tables: list[Operand], work: Operand
) -> list[Operand]:
    return [*results, *inputs, *tables]


def with_work(results: list[Operand], inputs: list[Operand], tables: list[Operand], work: Operand) -> list[Operand]:
    """Give operands one after the other, and behind them the memory to work in."""
    return [*results, *inputs, *tables, work]


def zeros_for_bias(node: Node, place: int, out_channels: int) -> list[npt.NDArray[Any]]:
    """Give what stands for the bias of a kernel that always adds one: nothing where operand ``place`` is the bias."""
    return [] if len(node.inputs) > place else [np.zeros(out_channels, node.inputs[0].dtype)]


class Other(NamedTuple):
    """The second of two results that a kernel always writes, where nobody reads it: as large as the one that is read.

    Attributes:
        place: among the two.
        dtype: of its elements.
    """

    place: int
    dtype: np.dtype[Any]


def other_of_pair(node: Node, dtype: np.dtype[Any]) -> Other:
    """Give what belongs to maxima or to their places: the places behind the maxima, or the maxima before the places.

    Args:
        node: of one of :data:`PAIRS`.
        dtype: of the maxima.
    """
    return Other(1, np.dtype(np.int64)) if node.op in PAIRS else Other(0, dtype)


@dataclass
class Family:
    """How a kernel is called for one operation.

    Attributes:
        name: of the kernel.
        entry: the kernel; None where there is nothing to do.
        tables: constant arrays that become operands.
        arrange: gives the operands in the kernel's order.
        scratch: bytes of memory that the kernel works in.
        other: the result that the kernel writes beside the operation's, as the maxima beside their places.
        flops: additions and multiplications.
        extent: the end of the range that the kernel works on where no chunk gives one.
        strip: the shortest part of this range that is worth a call of its own; 0 where the range is not divisible.
        holds_blas: whether it calls BLAS for products large enough to be divided: it is held to one thread.
        checks_places: whether it notes places that are out of range; the note comes before the constant arrays.
    """

    name: str
    entry: Entry | None
    tables: list[npt.NDArray[Any]] = field(default_factory=list)
    arrange: Arrange = _one_after_the_other
    scratch: int = 0
    other: Other | None = None
    flops: int = 0
    extent: int = 0
    strip: int = 0
    holds_blas: bool = False
    checks_places: bool = False
