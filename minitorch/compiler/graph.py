"""The traced computation: a list of nodes, each one backend operation, and how each reads the results of others.

A node's result is contiguous. A :class:`Ref` says how an operand walks such a result: with a shape, strides and a
start, just as a tensor walks its storage. Permuting, viewing, expanding and narrowing are therefore no nodes at all:
they change the walk, and there is nothing left of them when the program runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..kernels.geometry import Geometry
from ..tensor_data import strides_from_shape
from .arguments import ARGUMENTS

__all__ = ["UNSTORED", "Graph", "Node", "Ref", "compose", "describe", "line"]

# Results that no memory holds: a loop that reads one makes each element where it needs it.
UNSTORED = ("constant", "number", "uniform")


class Node:
    """One operation.

    Attributes:
        op: its name: a method of :class:`~minitorch.tensor_ops.TensorOps` (``map``, ``conv``, ...), the second result
            of one (``max_place``, ``max_pool_place``), where its result comes from (``input``, ``constant``,
            ``number``, and ``uniform``, which draws random numbers), or what a pass made of several (``conv_act``,
            ``conv_pool`` and ``conv_pool_place``, ``conv_line`` and ``conv_line_place``,
            ``conv_at``, ``conv_weight_at``, ``conv_line_weight``, ``conv_bias``).
        inputs: how it walks the results that it reads.
        args: what else it depends on, fixed when the step was traced: a tuple, for some operations with names
            (``arguments.py``).
        shape: of its result, which is contiguous.
        dtype: of its result.
    """

    args: Any  # a tuple

    __slots__ = ("args", "dtype", "inputs", "number", "op", "shape", "size")

    def __init__(
        self, op: str, inputs: Sequence[Ref], args: tuple[Any, ...], shape: Sequence[int], dtype: np.dtype[Any]
    ) -> None:
        self.op = op
        self.inputs = tuple(inputs)
        self.args = ARGUMENTS[op](*args) if op in ARGUMENTS else args
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self.size = math.prod(self.shape)
        self.number = -1  # its place in the graph

    @property
    def name(self) -> str:
        """What the program calls its result."""
        return f"v{self.number}"

    def ref(self) -> Ref:
        """Walk the whole result in its own order."""
        return Ref(self, self.shape, strides_from_shape(self.shape))

    def __repr__(self) -> str:
        return f"Node({self.name} = {describe(self)})"


@dataclass(frozen=True, slots=True)
class Ref:
    r"""A walk through a node's result: the element at index $i$ is at position ``start`` $+ \sum_d i_d s_d$."""

    node: Node
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    start: int = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the elements."""
        return self.node.dtype

    @property
    def size(self) -> int:
        """How many elements the walk visits."""
        return math.prod(self.shape)

    def is_whole(self) -> bool:
        """Tell whether it visits every element once, in order, whatever the shape."""
        return self.start == 0 and self.size == self.node.size and self.is_contiguous()

    def is_contiguous(self) -> bool:
        """Tell whether it visits neighbours one after the other."""
        expected = 1
        for n, s in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if n != 1:
                if s != expected:
                    return False
                expected *= n
        return True

    def expand(self, shape: tuple[int, ...]) -> Ref:
        """Repeat sizes of 1 by strides of zero."""
        missing = len(shape) - len(self.shape)
        strides = (0,) * missing + tuple(0 if n == 1 else s for n, s in zip(self.shape, self.strides, strict=True))
        return Ref(self.node, shape, strides, self.start)

    def key(self) -> tuple[Any, ...]:
        """What tells two walks apart."""
        # The stride of a size of 1 is never used.
        strides = tuple(0 if n == 1 else s for n, s in zip(self.shape, self.strides, strict=True))
        return self.node.number, self.shape, strides, self.start

    def __repr__(self) -> str:
        if self.is_whole():
            return self.node.name + ("" if self.shape == self.node.shape else f".view{self.shape}")
        start = f"{self.start} + " if self.start else ""
        return f"{self.node.name}[{start}{self.shape} by {self.strides}]"


class Graph:
    """Nodes, each after all that it reads, and the results that are wanted.

    Attributes:
        nodes: in the order in which they can be computed.
        outputs: the walks that the caller receives, in the order in which it asked for them.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.outputs: list[Ref] = []

    def add(
        self,
        op: str,
        inputs: Sequence[Ref],
        args: tuple[Any, ...],
        shape: Sequence[int],
        dtype: np.dtype[Any],
    ) -> Node:
        """Append an operation."""
        return self.append(Node(op, inputs, args, shape, dtype))

    def append(self, node: Node) -> Node:
        """Append a node and number it."""
        node.number = len(self.nodes)
        self.nodes.append(node)
        return node

    def copy(self) -> Graph:
        """Make the same graph of new nodes."""
        return self.rebuild(lambda new, node, inputs: None)

    def rebuild(self, rule: Callable[[Graph, Node, tuple[Ref, ...]], Node | Ref | None]) -> Graph:
        """Make the graph anew, node by node.

        Args:
            rule: receives the new graph, an old node and its operands in the new graph. It gives what stands for the
                old node: a new node, a walk through one, or None for the same operation.
        """
        new = Graph()
        stands_for: dict[int, Ref] = {}

        def moved(ref: Ref) -> Ref:
            base = stands_for[ref.node.number]
            if base.is_whole():
                return Ref(base.node, ref.shape, ref.strides, ref.start)
            composed = compose(ref, base)
            assert composed is not None, "a rule gave a walk that later operands cannot follow"
            return composed

        for node in self.nodes:
            inputs = tuple(moved(ref) for ref in node.inputs)
            result = rule(new, node, inputs)
            if result is None:
                result = new.add(node.op, inputs, node.args, node.shape, node.dtype)
            stands_for[node.number] = result.ref() if isinstance(result, Node) else result
        new.outputs = [moved(ref) for ref in self.outputs]
        return new

    def users(self) -> dict[int, list[Node]]:
        """List for each node, by number, those that read it, once for every operand."""
        users: dict[int, list[Node]] = {node.number: [] for node in self.nodes}
        for node in self.nodes:
            for ref in node.inputs:
                users[ref.node.number].append(node)
        return users

    def live(self) -> set[int]:
        """Find the numbers of the nodes that the outputs depend on."""
        seen: set[int] = set()
        stack = [ref.node for ref in self.outputs]
        while stack:
            node = stack.pop()
            if node.number not in seen:
                seen.add(node.number)
                stack.extend(ref.node for ref in node.inputs)
        return seen

    def draw(self, path: str | Path) -> None:
        """Write a drawing of the graph, as ``.svg``, ``.png`` or ``.pdf``; see ``draw.py``."""
        from .draw import draw  # draw.py knows graphs; on first use

        draw(self, path)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def __str__(self) -> str:
        return "\n".join([*map(line, self.nodes), f"return {', '.join(map(repr, self.outputs))}"])


def line(node: Node) -> str:
    """Write an operation in one line: its name, what it computes, and the shape of the result."""
    shape = f"{node.dtype} {' x '.join(map(str, node.shape)) or 'number'}"
    return f"{node.name:>5} = {describe(node):<60} {shape}"


def describe(node: Node) -> str:
    """Write an operation in one line, without its shape."""
    operands = ", ".join(map(repr, node.inputs))
    if node.op in ("map", "zip", "reduce"):
        function, *rest = node.args
        notes = "".join(f", {value}" for value in rest)
        prefix = "reduce " if node.op == "reduce" else ""
        return f"{prefix}{function.__name__}({operands}{notes})"
    notes = ", ".join(map(_note, node.args))
    return f"{node.op}({', '.join(part for part in (operands, notes) if part)})"


def _note(value: Any) -> str:
    """Write an argument; of a geometry what is not as usual."""
    if isinstance(value, Geometry):
        usual = Geometry(value.size)._asdict()
        rest = [f"{name} {n}" for name, n in value._asdict().items() if n != usual[name]]
        return f"{value.size} windows" + "".join(f", {note}" for note in rest)
    if isinstance(value, tuple) and any(isinstance(part, Geometry) for part in value):
        return f"({'; '.join(map(_note, value))})"
    return repr(value)


def compose(outer: Ref, inner: Ref) -> Ref | None:
    """Walk through a walk: ``outer`` visits a result of shape ``inner.shape``, whose elements ``inner`` reads.

    Returns:
        One walk through ``inner.node``; None where no single set of strides does it.
    """
    if 0 in outer.shape:
        return Ref(inner.node, outer.shape, (0,) * len(outer.shape))
    sizes = [n for n in inner.shape if n != 1]
    steps = [s for n, s in zip(inner.shape, inner.strides, strict=True) if n != 1]
    # Neighbouring dimensions that are walked as one are one.
    merged: list[tuple[int, int]] = []
    for n, s in zip(sizes, steps, strict=True):
        if merged and merged[-1][1] == n * s:
            merged[-1] = (merged[-1][0] * n, s)
        else:
            merged.append((n, s))
    sizes, steps = [n for n, _ in merged], [s for _, s in merged]
    own = strides_from_shape(sizes)

    start, rest = inner.start, outer.start
    index = []
    for size, stride, step in zip(sizes, own, steps, strict=True):
        i, rest = divmod(rest, stride)
        if i >= size:
            return None
        index.append(i)
        start += i * step

    strides = []
    reach = list(index)
    for n, s in zip(outer.shape, outer.strides, strict=True):
        if n == 1 or s == 0:
            strides.append(0)
            continue
        for d, (size, stride, step) in enumerate(zip(sizes, own, steps, strict=True)):
            if s % stride == 0 and s // stride < size:
                count = s // stride
                reach[d] += (n - 1) * count
                if reach[d] >= size:
                    return None
                strides.append(count * step)
                break
        else:
            return None
    return Ref(inner.node, outer.shape, tuple(strides), start)
