"""What a step reads and writes outside: where each value comes from in every call, and where each result goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...random import Generator
from ...tensor import Tensor

__all__ = ["Cell", "Draws", "Leaf", "Source"]


@dataclass
class Source:
    """Where the array of an input comes from in each call.

    Attributes:
        kind: ``argument`` (number ``index`` among the tensors of the arguments), ``cell`` (the tensor in
            ``holder``'s ``key``), ``gradient`` (of the tensor ``holder``), or ``tensor`` (``holder`` itself).
        like: the tensor that was there while tracing; later ones must have its shape and dtype.
        number: its place among the tracer's sources.
        array: whether it was a NumPy array, which is on no backend yet.
    """

    kind: str
    like: Any
    index: int = -1
    holder: Any = None
    key: str = ""
    number: int = -1
    array: bool = False


@dataclass
class Cell:
    """A cell that the step has read or written."""

    holder: Any
    key: str
    now: Any  # what stands for it
    written: bool = False
    source: Source | None = None  # of the tensor that was found there, if it was found there first


@dataclass
class Leaf:
    """A tensor from outside whose gradient the step may set."""

    tensor: Tensor
    traced: Tensor
    gradient: Tensor | None  # the stand-in of the gradient that it had before
    cell: Cell | None = None  # where it was found


@dataclass
class Draws:
    """A generator, and how many of its streams the step uses."""

    generator: Generator
    count: int = 0
