"""Write the kernels of element-wise operations, reductions and joins: nested loops, as Python text (pass 6).

The text names nothing of the step that it was written for: operands are ``a0, a1, ...``, and the outermost loop runs
over a range that comes with the call. So equal loops of different programs, or of one program for different sizes of
the batch, are one text, and are compiled once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ...kernels import elements
from ...tensor_data import strides_from_shape
from ..graph import Node, Ref, compose
from ..passes.memory import SIDE_SUMS
from ..passes.simplify import POINTWISE

__all__ = ["LoopOperand", "Text", "Writer", "times"]

# Written as operators, because they read better so.
OPERATORS: dict[Any, str] = {
    elements.add: "{0} + {1}",
    elements.mul: "{0} * {1}",
    elements.neg: "-{0}",
    elements.inv: "{real}(1) / {0}",
    elements.div: "{0} / {1}",
    elements.identity: "{0}",
}


# A join of more operands than this, walked alike, has one loop for them: a loop for each, with sizes that LLVM knows,
# takes it a tenth of a second to compile.
LOOPS = 4

# What a random number costs, in additions and multiplications.
DRAW_FLOPS = 40


@dataclass(frozen=True)
class LoopOperand:
    """What an operand of a kernel is.

    Attributes:
        kind: a ``result``, the chunk's ``part`` of a partial sum, a ``number``, a ``stream``, or ``lanes``.
        value: the node, the number's name, or the stream.
        start: elements before the first one.
        dtype: of the elements.
    """

    kind: str
    value: Any
    start: int
    dtype: np.dtype[Any]


@dataclass
class Text:
    """A kernel in Python.

    Attributes:
        title: what it does, in words joined by underscores.
        lines: of its body.
        parameters: its operands, in order.
        functions: the functions of one element that it mentions, by name.
        names: of all functions of one element, those that are written as operators too.
        flops: additions and multiplications.
        extent: the end of the range of the outermost loop, outside regions.
        divisible: whether parts of this range are independent of each other.
    """

    title: str = ""
    lines: list[str] = field(default_factory=list)
    parameters: list[LoopOperand] = field(default_factory=list)
    functions: dict[str, Callable[..., Any]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    flops: int = 0
    extent: int = 0
    divisible: bool = False

    def function(self, name: str) -> str:
        """Give the whole function."""
        heads = [f"    a{k} = {p.dtype.name}_at(operands, {k})" for k, p in enumerate(self.parameters)]
        return "\n".join([f"def {name}(operands, b0, b1):", *heads, *(f"    {line}" for line in self.lines)])


class _Part(NamedTuple):
    """An operand of a join: where it goes, how it is walked, and the loops over both."""

    out: Ref
    ref: Ref
    dims: list[tuple[int, list[int]]]
    flat: int


class Writer:
    """Writes one kernel.

    Args:
        group: the nodes whose results it computes; more than one are element-wise and of one shape.
        inside: the numbers of nodes that are computed in their reader's loop.
        local: the numbers of those in the group whose result nobody else reads.
        states: the numbers of nodes that stay for the next call: numbers too small to be normal are written as 0.
        batch: the number of images, of which the kernel works on ``b0`` to ``b1``; 0 where it works on everything.
        partial: whether the result is a sum over the chunk's images.
    """

    def __init__(
        self, group: Sequence[Node], inside: set[int], local: set[int], states: set[int], batch: int, partial: bool
    ) -> None:
        self.group, self.inside, self.local, self.states = group, inside, local, states
        self.node = group[0]
        self.batch, self.partial = batch, partial
        self.text = Text()
        self.leaves: dict[Any, tuple[Ref, str]] = {}  # what the loop reads
        self.computed: dict[int, str] = {}  # results of the same loop, by node number
        self.statements: list[str] = []  # of the innermost loop
        self.before: list[str] = []  # of the function, before any loop
        self.tables: dict[tuple[int, ...], str] = {}  # of a loop over operands: their names by what they hold
        self._elements = 0

    def write(self) -> Text:
        """Write it; the text has no lines where there is nothing to do."""
        if self.node.op in POINTWISE:
            self._pointwise()
        elif self.node.op == "reduce":
            self._reduce()
        else:
            assert self.node.op == "cat"
            self._cat()
        return self.text

    # --- operands ------------------------------------------------------------------------------------------------

    def _parameter(self, kind: str, value: Any, dtype: Any, start: int = 0) -> str:
        """Make something an operand, and give its name in the text."""
        parameter = LoopOperand(kind, value, start, np.dtype(dtype))
        if parameter not in self.text.parameters:
            self.text.parameters.append(parameter)
        return f"a{self.text.parameters.index(parameter)}"

    def _result(self, node: Node, start: int = 0) -> str:
        return self._parameter("result", node, node.dtype, start)

    def _once(self, line: str) -> None:
        if line not in self.before:
            self.before.append(line)

    # --- expressions ---------------------------------------------------------------------------------------------

    def _expression(self, ref: Ref) -> str:
        """Write the statements for the element of a walk that the loop is at, and give its name."""
        node = ref.node
        key = ref.key()
        if key in self.leaves:
            return self.leaves[key][1]
        if node.number in self.computed:
            return self.computed[node.number]
        real = node.dtype.name
        if node.op == "constant":
            return self._literal(node.args[0], real)
        if node.op == "number":
            operand = self._parameter("number", node.args[0], np.float64)
            self._once(f"n{operand[1:]} = {real}({operand}[0])")
            return f"n{operand[1:]}"
        name = f"x{len(self.leaves)}"
        if node.number not in self.inside:
            self.leaves[key] = (ref, name)
            return name
        if node.op == "dropout":
            value = self._dropout(ref)
        elif node.op == "uniform":
            self.text.names.append("uniform")
            value = self._draw(ref, *node.args)
        else:
            value = self._apply(node.args[0], [self._operand(ref, operand) for operand in node.inputs], real)
        name = f"t{len(self.statements)}"
        self.statements.append(f"{name} = {value}")
        self.leaves[key] = (ref, name)
        return name

    def _literal(self, value: float, real: str) -> str:
        """Write a number in the type of the elements."""
        return f"{real}({value!r})" if math.isfinite(value) else f'{real}(float("{value}"))'

    def _operand(self, ref: Ref, operand: Ref) -> str:
        walk = compose(ref, operand) if operand.size != 1 or operand.shape else operand.expand(ref.shape)
        assert walk is not None
        return self._expression(walk)

    def _apply(self, fn: Callable[..., Any], operands: list[str], real: str) -> str:
        self.text.flops += self._elements
        self.text.names.append(fn.__name__)
        if fn in OPERATORS and real != "bool":  # there they are whole numbers, which do not stay 0 and 1
            return OPERATORS[fn].format(*operands, real=real)
        return f"{real}({self._function(fn)}({', '.join(operands)}))"

    def _function(self, fn: Callable[..., Any]) -> str:
        """Give a function a name in the text, where nothing else begins with ``f_``, whatever a user calls his own."""
        name = unique = f"f_{fn.__name__ if fn.__name__.isidentifier() else 'function'}"
        count = 1
        while self.text.functions.get(unique, fn) is not fn:
            count += 1
            unique = f"{name}_{count}"
        self.text.functions[unique] = fn
        return unique

    def _dropout(self, ref: Ref) -> str:
        """Keep or drop by the number that is drawn for the element."""
        node = ref.node
        rate, scale, stream = node.args
        drawn = self._draw(ref, stream)
        x = self._operand(ref, node.inputs[0])
        self.text.names.append("dropout")
        real = node.dtype.name
        return f"{x} * {real}({scale!r}) if {drawn} >= {real}({rate!r}) else {real}(0)"

    def _draw(self, ref: Ref, stream: Any) -> str:
        """Draw the number of a stream that belongs to the element's place in its own tensor."""
        place = self._place(ref)
        streams = self._parameter("stream", stream, np.uint64)
        seed, number = f"seed_{streams[1:]}", f"stream_{streams[1:]}"
        self._once(f"{seed}, {number} = {streams}[0], {streams}[1]")
        self.text.flops += DRAW_FLOPS * self._elements
        return f"uniform_{8 * ref.dtype.itemsize}(uint64({place}), {number}, {seed})"

    def _place(self, ref: Ref) -> str:
        """Write where in its tensor the element is."""
        key = ("place", *ref.key())
        if key not in self.leaves:
            self.leaves[key] = (ref, f"place_{len(self.leaves)}")
        return self.leaves[key][1]

    # --- element by element --------------------------------------------------------------------------------------

    def _pointwise(self) -> None:
        """Write one loop for all results of the kernel."""
        if not self.node.size:
            return
        outs: list[tuple[Ref, str]] = []
        names: list[str] = []
        for node in self.group:  # results come first among the operands
            if node.number not in self.local:
                self._result(node)
        for node in self.group:
            self._elements = node.size
            if node.op == "dropout":
                value = self._dropout(node.ref())
            else:
                value = self._apply(node.args[0], [self._expression(ref) for ref in node.inputs], node.dtype.name)
            name = f"y{len(self.computed)}"
            self.statements.append(f"{name} = {value}")
            if node.number in self.states and node.dtype.kind == "f":
                self.statements.append(f"{name} = {self._kept(name, node.dtype)}")
            self.computed[node.number] = name
            if node.number not in self.local:
                outs.append((node.ref(), self._result(node)))
                names.append(name)
        unique = list(dict.fromkeys(self.text.names))
        self.text.title = "_".join(unique if len(unique) <= 4 else [*unique[:3], "and_more"])
        self.text.divisible = not self.batch
        self._loops(outs, lambda at: [f"{a} = {x}" for a, x in zip(at, names, strict=True)])

    def _kept(self, name: str, dtype: np.dtype[Any]) -> str:
        """Write what stays of a number for the next call: 0 if its magnitude is below that of all normal numbers.

        Such a number takes a hundred times as long to add or to multiply. The averages of an optimiser would stay among
        them for good where gradients have become 0: times 0.9, the smallest of all is itself.
        """
        real = dtype.name
        return f"{real}(0) if abs({name}) < {real}({float(np.finfo(dtype).tiny)!r}) else {name}"

    # --- joins ---------------------------------------------------------------------------------------------------

    def _cat(self) -> None:
        """Copy each operand to its part of the result; operands that are walked alike are copied by one loop."""
        node = self.node
        (dim,) = node.args
        start = 0
        strides = node.ref().strides
        alike: dict[Any, list[_Part]] = {}
        for ref in node.inputs:
            out = Ref(node, ref.shape, strides, start * strides[dim])
            if ref.size:
                dims, flat = self._dims([_without_ones(out), _without_ones(ref)])
                kind = [tuple(stride if stride in (0, 1) else None for stride in along) for _, along in dims]
                written = ref.node.number in self.inside  # a constant, and no operand
                alike.setdefault((written, flat == 1, *kind), []).append(_Part(out, ref, dims, flat))
            start += ref.shape[dim]
        for (written, *_), parts in alike.items():
            if written or len(parts) <= LOOPS:
                for part in parts:
                    self._copy(part)
            else:
                self._copies(parts)
        self.text.names.append("cat")
        self.text.title = "cat"

    def _copy(self, part: _Part) -> None:
        """Write a loop for one operand of a join."""
        self.leaves, self.statements = {}, []
        x = self._expression(part.ref)
        result = self._result(self.node, part.out.start)
        self._loops([(part.out, result)], lambda at: [f"{at[0]} = {x}"])

    def _copies(self, parts: Sequence[_Part]) -> None:
        """Write a loop over operands of a join, with tables of the numbers that differ."""
        columns: list[int | str] = []
        for column in zip(*(self._numbers(part) for part in parts), strict=True):
            if len(set(column)) == 1:
                columns.append(column[0])
                continue
            if column not in self.tables:
                self.tables[column] = str(len(self.tables))
                self.text.lines.append(f"table_{self.tables[column]} = {column}")
            columns.append(f"n_{self.tables[column]}")
        looked_up = [f"{n} = table_{n[2:]}[part]" for n in dict.fromkeys(columns) if isinstance(n, str)]
        self.text.lines.append(f"for part in range({len(parts)}):")
        pointer = f"{self.node.dtype.name}_at(operands, {{}})"
        to, origin, flat, *rest = columns
        dims = [(rest[k], rest[k + 1 : k + 3]) for k in range(0, len(rest), 3)]
        inside, self.text.lines = self.text.lines, []
        walks = [(parts[0].out, "", "to"), (parts[0].ref, "x", "origin")]
        self._nest(walks, dims, flat, lambda at: [f"{at[0]} = x"])
        lines = [*looked_up, f"to = {pointer.format(to)}", f"origin = {pointer.format(origin)}", *self.text.lines]
        self.text.lines = [*inside, *(f"    {line}" for line in lines)]

    def _numbers(self, part: _Part) -> list[int]:
        """List the numbers in the loop of an operand of a join: its operands', and the sizes and strides."""
        operands = self._result(self.node, part.out.start), self._result(part.ref.node, part.ref.start)
        dims = [number for n, strides in part.dims for number in (n, *strides)]
        return [*(int(name[1:]) for name in operands), part.flat, *dims]

    # --- reductions ----------------------------------------------------------------------------------------------

    def _reduce(self) -> None:
        node = self.node
        fn, first, dims = node.args
        (ref,) = node.inputs
        shape = node.shape[1:] if self.partial else node.shape
        real = node.dtype.name
        result = self._parameter("part" if self.partial else "result", node, node.dtype)
        self._elements = ref.size
        x = self._expression(ref)
        self.text.names = [*dict.fromkeys(self.text.names), "sum" if fn is elements.add else fn.__name__]
        self.text.title = "_".join(self.text.names)
        kept = Ref(node, shape, strides_from_shape(shape))
        out = Ref(node, ref.shape, tuple(0 if d in dims else s for d, s in enumerate(kept.strides)))
        begin = self._literal(first, real)
        self._elements = ref.size
        step = self._apply(fn, ["{0}", x], real)
        self.text.names.pop()
        size = math.prod(shape)
        by_image = self.batch and not self.partial
        if by_image:
            image = size // self.batch
            fill = [f"for i in range({times('b0', image)}, {times('b1', image)}):", f"    {result}[i] = {begin}"]
        elif size == 1:
            fill = [f"{result}[0] = {begin}"]
        else:
            fill = [f"for i in range({size}):", f"    {result}[i] = {begin}"]
        self.before = [*self.before, *fill]
        if not ref.size:
            self.text.lines += self.before if size else []
            return
        self._loops(
            [(out, result)],
            lambda at: [f"{at[0]} = {step.format(at[0])}"],
            lambda total: (total, step.format("total")),
        )

    # --- loops ---------------------------------------------------------------------------------------------------

    def _loops(
        self,
        outs: list[tuple[Ref, str]],
        finish: Callable[[list[str]], list[str]],
        accumulate: Callable[[str], tuple[str, str]] | None = None,
    ) -> None:
        """Write nested loops.

        Args:
            outs: how the results are walked, with strides of zero where they are reduced, and their operands.
            finish: gives the statements that write the results, from how their elements are written.
            accumulate: for a reduction along the innermost dimension, gives the first value of the accumulator, and
                what it becomes.
        """
        walks = self._walks(outs)
        dims, flat = self._dims([ref for ref, _, _ in walks])
        self._nest(walks, dims, flat, finish, accumulate)

    def _walks(self, outs: list[tuple[Ref, str]]) -> list[tuple[Ref, str, str]]:
        """List what a loop walks: its results, and what it reads, with the name of an element, and the operand."""
        walks = [(_without_ones(ref), "", operand) for ref, operand in outs]
        for key, (ref, name) in self.leaves.items():
            if key[0] == "place":
                walks.append((_without_ones(ref), name, ""))
            elif ref.node.number not in self.inside:
                walks.append((_without_ones(ref), name, self._result(ref.node, ref.start)))
        return walks

    def _nest(
        self,
        walks: Sequence[tuple[Ref, str, str]],
        dims: Sequence[tuple[Any, Sequence[Any]]],
        flat: Any,
        finish: Callable[[list[str]], list[str]],
        accumulate: Callable[[str], tuple[str, str]] | None = None,
    ) -> None:
        """Write nested loops of known sizes.

        Args:
            walks: what is walked, with the name that an element that is read gets, and the operand; those without a
                name are the results.
            dims: size and strides of each loop: numbers, or the names of numbers.
            flat: where the batch is the innermost loop too, the elements of an image.
            finish: as for :meth:`_loops`.
            accumulate: as for :meth:`_loops`.
        """
        lines = [*self.before]
        self.before = []
        # Along the range of the call; several loops, as of a join, have ranges of their own.
        ranged = bool(self.batch) or self.node.op != "cat"
        self.text.extent = dims[0][0] if ranged and not self.batch else 0
        positions: list[list[str]] = [
            [str(ref.start)] if not operand and ref.start else [] for ref, _, operand in walks
        ]
        for d, (n, strides) in enumerate(dims[:-1]):
            index = "b" if d == 0 else f"i{d}"
            lines.append("    " * d + f"for {index} in {'range(b0, b1)' if d == 0 and ranged else f'range({n})'}:")
            for position, stride in zip(positions, strides, strict=True):
                if stride:
                    position.append(times(index, stride))
        n, strides = dims[-1]
        pad, inner = "    " * (len(dims) - 1), "    " * len(dims)
        begin, end = "0", str(n)
        if len(dims) == 1 and ranged:
            begin, end = times("b0", flat), times("b1", flat)
        read: list[str] = []
        known: dict[str, str] = {}  # positions that several walks are at
        for k, ((_, name, operand), position, stride) in enumerate(zip(walks, positions, strides, strict=True)):
            start = " + ".join(position)
            if len(position) > 1 or (position and stride):
                if start not in known:
                    known[start] = f"p{k}"
                    lines.append(f"{pad}p{k} = {start}")
                start = known[start]
            at = " + ".join(part for part in (start, times("i", stride) if stride else "") if part) or "0"
            if not operand:  # the place itself is what is read
                read.append(at)
            elif stride == 0 and name:
                lines.append(f"{pad}{name} = {operand}[{at}]")
                read.append(name)
            else:
                read.append(f"{operand}[{at}]")
        loads = [f"{name} = {text}" for (_, name, _), text in zip(walks, read, strict=True) if name and name != text]
        body = [*loads, *self.statements]
        results = [text for (_, name, _), text in zip(walks, read, strict=True) if not name]
        if accumulate is not None and strides[0] == 0:
            first, step = accumulate(results[0])
            lines.append(f"{pad}total = {first}")
            if step.startswith("total + ") and ((len(dims) == 1 and self.batch) or n >= 2 * SIDE_SUMS):
                lines, begin = self._lanes(lines, pad, body, step, begin, end)
            lines.append(f"{pad}for i in range({begin}, {end}):" if begin != "0" else f"{pad}for i in range({end}):")
            lines += [inner + line for line in [*body, f"total = {step}"]]
            lines.append(f"{pad}{results[0]} = total")
        else:
            lines.append(f"{pad}for i in range({begin}, {end}):" if begin != "0" else f"{pad}for i in range({end}):")
            lines += [inner + line for line in [*body, *finish(results)]]
        self.text.lines += lines

    def _lanes(
        self, lines: list[str], pad: str, body: list[str], step: str, begin: str, end: str
    ) -> tuple[list[str], str]:
        """Sum side by side, in an order that is written here: one that LLVM chose might be another the next time."""
        lanes = self._parameter("lanes", None, self.node.dtype)
        zero = f"{self.node.dtype.name}(0)"
        term = step.removeprefix("total + ")
        side = ["i = k + j", *body, f"{lanes}[j] = {lanes}[j] + {term}"]
        return [
            f"for j in range({SIDE_SUMS}):",
            f"    {lanes}[j] = {zero}",
            *lines,
            f"{pad}whole = {end} - ({end} - {begin}) % {SIDE_SUMS}",
            f"{pad}for k in range({begin}, whole, {SIDE_SUMS}):",
            f"{pad}    for j in range({SIDE_SUMS}):",
            *(f"{pad}        {line}" for line in side),
            f"{pad}for j in range({SIDE_SUMS}):",
            f"{pad}    total = total + {lanes}[j]",
            f"{pad}    {lanes}[j] = {zero}",
        ], "whole"

    def _dims(self, walks: list[Ref]) -> tuple[list[tuple[int, list[int]]], int]:
        """Join neighbouring dimensions that every walk goes through as one; the batch stays the outermost loop.

        Returns:
            Size and strides of each loop, and, where the batch is the innermost loop too, the elements of an image.
        """
        shape = walks[0].shape
        dims: list[tuple[int, list[int]]] = []
        for d, n in enumerate(shape):
            strides = [ref.strides[d] if ref.shape[d] != 1 else 0 for ref in walks]
            if n == 1 and not (d == 0 and self.batch):
                continue
            fixed = self.batch and len(dims) == 1
            if dims and not fixed and all(o == n * s for o, s in zip(dims[-1][1], strides, strict=True)):
                dims[-1] = (dims[-1][0] * n, strides)
            else:
                dims.append((n, strides))
        if self.batch and len(dims) == 2:
            (batch, outer), (n, inner) = dims
            if all(o == n * s for o, s in zip(outer, inner, strict=True)):
                return [(batch * n, inner)], n
        return dims or [(1, [0] * len(walks))], 1


def _without_ones(ref: Ref) -> Ref:
    """Leave out the dimensions of size 1, which no loop runs over."""
    kept = [d for d, n in enumerate(ref.shape) if n != 1]
    return Ref(ref.node, tuple(ref.shape[d] for d in kept), tuple(ref.strides[d] for d in kept), ref.start)


def times(index: str, stride: int | str) -> str:
    """Write a product with a stride."""
    return index if stride == 1 else f"{index} * {stride}"
