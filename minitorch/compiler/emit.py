"""Write the program: one Python function a kernel, one a stage, and one that runs the stages (pass 6).

The text is what Numba compiles. It sees its arrays through a table of addresses (``table``), because a call with one
array costs 0.2 microseconds and one with thirty costs several. A result that lives in the scratch of a thread is
addressed as if its chunk were part of the whole batch, so that every kernel counts images from the first of the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..kernels import elements
from ..kernels.compile import is_ours
from .entries import Entry
from .families import FAMILIES, Call
from .fuse import PAIRS, kernels
from .graph import Node, Ref, compose, describe
from .memory import Memory, aligned, plan_memory
from .simplify import POINTWISE
from .split import Schedule

__all__ = ["Program", "emit"]

# Written as operators, because they read better so.
OPERATORS: dict[Any, str] = {
    elements.add: "{0} + {1}",
    elements.mul: "{0} * {1}",
    elements.neg: "-{0}",
    elements.inv: "{real}(1) / {0}",
    elements.div: "{0} / {1}",
    elements.identity: "{0}",
}


# A program shares its regions out over the cores where they have this many additions, multiplications and bytes to do:
# less is done before a second core has begun.
PARALLEL_WORK = 1 << 18


# Sums that a long sum is divided into, which vector instructions add up side by side.
LANES = 32


@dataclass
class Program:
    """A step's program, and what it needs to run.

    Attributes:
        source: the Python text.
        functions: the functions of one element, or of the library, that the text mentions, by name.
        numbers: the names of the numbers that it reads, in the order of its array of numbers.
        streams: the streams that it reads, in the order of its array of seeds and streams.
        inputs: for each entry of the table that belongs to an input, the place of its source.
        outputs: the nodes that the outputs are.
        constants: what the table holds besides: arrays, such as the plans of convolutions, and entries of kernels.
        memory: where results live.
        kernels: what each kernel does, for the profile.
        keep: whether its machine code may be kept on disk: nothing in it was defined by a user.
        parallel: whether its regions are worth several cores.
    """

    source: str = ""
    functions: dict[str, Any] = field(default_factory=dict)
    numbers: list[str] = field(default_factory=list)
    streams: list[Any] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[Node] = field(default_factory=list)
    constants: list[npt.NDArray[Any] | Entry] = field(default_factory=list)
    memory: Memory = field(default_factory=lambda: Memory({}, {}, 0, 0))
    kernels: list[Kernel] = field(default_factory=list)
    keep: bool = True
    parallel: bool = False


@dataclass
class Kernel:
    """One function of the program."""

    name: str
    title: str
    bytes: int
    flops: int
    stage: int


def emit(schedule: Schedule, inside: set[int]) -> Program:
    """Write the program of a schedule; ``inside`` are the nodes that are computed in their reader's loop."""
    return _Emitter(schedule, inside).run()


class _Emitter:
    def __init__(self, schedule: Schedule, inside: set[int]) -> None:
        self.schedule, self.inside = schedule, inside
        self.graph = schedule.graph
        self.program = Program()
        self.slots: dict[int, int] = {}  # place in the table, by node number
        self.calls: dict[int, Call] = {}  # what kernels of the library are called with, by node number
        self.text: list[str] = []

    # --- the whole -------------------------------------------------------------------------------------------

    def run(self) -> Program:
        program, schedule = self.program, self.schedule
        for node in self.graph:
            if node.op == "input":
                self.slots[node.number] = len(program.inputs)
                program.inputs.append(node.args[0])
        program.outputs = [ref.node for ref in self.graph.outputs]
        for i, node in enumerate(program.outputs):
            self.slots[node.number] = len(program.inputs) + i
        written = [kernels(stage.nodes, self.inside, schedule.is_batched) for stage in schedule.stages]
        self.local = self._local(written)
        needs: dict[int, int] = {}
        for group in (group for groups in written for group in groups):
            node = group[0]
            if node.op in FAMILIES:
                images = schedule.chunk if schedule.is_batched(node) or self._is_partial(node) else _images(node)
                call = self.calls[node.number] = FAMILIES[node.op](node, images)
                needs[node.number] = call.scratch
                if node.op in PAIRS and len(group) == 1:
                    # The kernel writes both; what nobody reads is written over.
                    needs[node.number] = aligned(call.scratch) + node.size * 8
        program.memory = plan_memory(schedule, written, {*self.slots, *self.local}, needs)
        self.base = len(program.inputs) + len(program.outputs)
        bodies = [self._stage(number, groups) for number, groups in enumerate(written)]
        self._program(bodies)
        program.source = "\n".join(self.text)
        return program

    def _local(self, written: list[list[list[Node]]]) -> set[int]:
        """Find the results that only their own kernel reads, and that are never written."""
        users = self.graph.users()
        home = {n.number: group[0].number for groups in written for group in groups for n in group}
        # What is computed inside another loop belongs to its reader's kernel.
        for node in reversed(self.graph.nodes):
            if node.number not in home and users[node.number]:
                home[node.number] = home.get(users[node.number][0].number, -1)
        several = [n for groups in written for group in groups if group[0].op in POINTWISE for n in group]
        return {
            node.number
            for node in several
            if node.number not in self.slots
            and users[node.number]
            and all(home[user.number] == home[node.number] for user in users[node.number])
        }

    def _program(self, bodies: list[str]) -> None:
        schedule = self.schedule
        self.text.append("def program(table, numbers, streams):")
        for number, body in enumerate(bodies):
            if not body:
                continue
            if schedule.stages[number].parallel:
                self.text.append(f"    for chunk in prange({schedule.chunks}):")
                self.text.append(f"        {body}(chunk, table, numbers, streams)")
            else:
                self.text.append(f"    {body}(0, table, numbers, streams)")
        if not any(bodies):
            self.text.append("    pass")
        work = sum(k.flops + k.bytes for k in self.program.kernels if schedule.stages[k.stage].parallel)
        self.program.parallel = work >= PARALLEL_WORK
        self.text.append("")

    # --- a stage ---------------------------------------------------------------------------------------------

    def _is_partial(self, node: Node) -> bool:
        return node.number in self.schedule.partial

    def _stage(self, number: int, groups: list[list[Node]]) -> str:
        if not groups:
            return ""
        schedule = self.schedule
        parallel = schedule.stages[number].parallel
        name = f"stage_{number}"
        arrays: dict[str, str] = {}
        calls: list[str] = []
        for group in groups:
            kernel = _Writer(self, *group)
            kernel.write()
            self.text += [*kernel.lines, ""]
            for other, line in kernel.arrays.items():
                arrays.setdefault(other, line)
            calls.append(f"    {kernel.name}({', '.join([*kernel.parameters, *kernel.tail])})")
            self.program.kernels.append(kernel.summary(number))
        lines = [f"def {name}(chunk, table, numbers, streams):"]
        if parallel:
            lines.append(f"    b0 = chunk * {schedule.chunk}")
            lines.append(f"    b1 = min(b0 + {schedule.chunk}, {schedule.batch})")
            lines.append(f"    scratch = table[{self.base + 1}] + thread() * {self.program.memory.scratch_bytes}")
        else:
            lines.append(f"    scratch = table[{self.base + 1}]")
        lines += [f"    {line}" for line in arrays.values()]
        self.text += [*lines, *calls, ""]
        return name

    def address(self, node: Node) -> str:
        """Write where a result begins."""
        if node.number in self.slots:
            return f"table[{self.slots[node.number]}]"
        memory = self.program.memory
        if node.number in memory.scratch:
            image = node.size // self.schedule.batch * node.dtype.itemsize
            return f"scratch + {memory.scratch[node.number]} - b0 * {image}"
        return f"table[{self.base}] + {memory.arena[node.number]}"

    def function(self, fn: Callable[..., Any]) -> str:
        """Give a function a name in the program."""
        name = fn.__name__ if fn.__name__.isidentifier() else "function"
        name = "power" if name == "pow" else name
        unique, count = name, 1
        while self.program.functions.get(unique, fn) is not fn:
            count += 1
            unique = f"{name}_{count}"
        self.program.functions[unique] = fn
        self.program.keep = self.program.keep and is_ours(getattr(fn, "py_func", fn))
        return unique

    def number(self, name: str) -> int:
        """Find the place of a number, which is appended when it is new."""
        if name not in self.program.numbers:
            self.program.numbers.append(name)
        return self.program.numbers.index(name)

    def stream(self, stream: Any) -> int:
        """Find the place of a stream."""
        if stream not in self.program.streams:
            self.program.streams.append(stream)
        return self.program.streams.index(stream)

    def constant(self, value: npt.NDArray[Any] | Entry) -> int:
        """Find the place in the table of an array that stays the same, or of a kernel."""
        for i, known in enumerate(self.program.constants):
            if known is value or (
                isinstance(known, np.ndarray)
                and isinstance(value, np.ndarray)
                and known.dtype == value.dtype
                and np.array_equal(known, value)
            ):
                return self.base + 2 + i
        self.program.constants.append(value)
        return self.base + 1 + len(self.program.constants)


def _images(node: Node) -> int:
    ref = node.inputs[0]
    return ref.shape[0] if ref.shape else 1


class _Writer:
    """Writes the function of one kernel."""

    def __init__(self, emitter: _Emitter, node: Node, *others: Node) -> None:
        self.emitter, self.node, self.others = emitter, node, others
        self.second = others[0] if others else None
        self.computed: dict[int, str] = {}  # results of the same loop, by node number
        self.schedule = emitter.schedule
        self.batched = self.schedule.is_batched(node)
        self.partial = emitter._is_partial(node)
        self.chunked = self.batched or self.partial
        self.lines: list[str] = []
        self.arrays: dict[str, str] = {}
        self.parameters: list[str] = []
        self.leaves: dict[Any, tuple[Ref, str]] = {}
        self.statements: list[str] = []
        self.before: list[str] = []
        self.names: list[str] = []  # of the functions in it
        self.flops = 0
        self.tail = ["b0", "b1"] if self.chunked else []

    def write(self) -> None:
        """Write it."""
        node = self.node
        if node.op in POINTWISE:
            self._pointwise()
        elif node.op == "reduce":
            self._reduce()
        elif node.op == "matrix_multiply":
            self._matrix_multiply()
        elif node.op == "cat":
            self._cat()
        else:
            self._library()

    def summary(self, stage: int) -> Kernel:
        """Describe it for the profile."""
        return Kernel(self.name, self.title, self.bytes, self.flops, stage)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the result without the partial sums."""
        return self.node.shape[1:] if self.partial else self.node.shape

    # --- arrays ----------------------------------------------------------------------------------------------

    def array(self, node: Node) -> str:
        """Make a result a parameter."""
        name = node.name
        if name not in self.arrays:
            length = node.size
            line = f"{name} = {node.dtype.name}_at({self.emitter.address(node)}, int64({length}))"
            self.arrays[name] = line
            self.parameters.append(name)
        return name

    def result(self, node: Node | None = None) -> str:
        """Make a result of the kernel a parameter: for a partial sum, the part of the chunk."""
        node = node or self.node
        if not self.emitter._is_partial(node):
            return self.array(node)
        name, size = f"{node.name}_part", math.prod(node.shape[1:])
        if name not in self.arrays:
            self.arrays[name] = f"{name} = {node.dtype.name}_at({self._begin(node)}, int64({size}))"
            self.parameters.append(name)
        return name

    def _begin(self, node: Node) -> str:
        """Write where a result begins: the chunk's part of it, for a partial sum."""
        address = self.emitter.address(node)
        if self.emitter._is_partial(node):
            address += f" + chunk * {math.prod(node.shape[1:]) * node.dtype.itemsize}"
        return address

    # --- the head --------------------------------------------------------------------------------------------

    def _define(self, name: str, body: list[str], size: int) -> None:
        node = self.node
        self.name = f"{name}_{node.number}"
        self.bytes = sum(ref.node.size * ref.dtype.itemsize for ref in self._read()) + size * node.dtype.itemsize
        shape = " x ".join(map(str, self.shape)) or "1"
        what = ", ".join(dict.fromkeys(self.names)) or node.op
        self.title = f"{what}: {shape} {node.dtype.name}"
        cost = f"{_amount(self.bytes)}B" + (f", {_amount(self.flops)}flop" if self.flops else "")
        self.lines = [
            f"def {self.name}({', '.join([*self.parameters, *self.tail])}):",
            f"    # {self.title}; {cost}",
            *(f"    # {line}" for line in self._formulas()),
            *(f"    {line}" for line in body),
        ]

    def _read(self) -> list[Ref]:
        """List the results that the kernel reads, once each."""
        found: dict[int, Ref] = {}

        def visit(node: Node) -> None:
            for ref in node.inputs:
                if ref.node.number in self.emitter.inside:
                    visit(ref.node)
                else:
                    found.setdefault(ref.node.number, ref)

        visit(self.node)
        return list(found.values())

    def _formulas(self) -> list[str]:
        return [] if self.node.op in (*POINTWISE, "reduce") else [f"{self.node.name} = {describe(self.node)}"]

    # --- element by element ------------------------------------------------------------------------------------

    def expression(self, ref: Ref) -> str:
        """Write the statements for the element of a walk that the loop is at, and give its name."""
        node = ref.node
        key = ref.key()
        if key in self.leaves:
            return self.leaves[key][1]
        if node.number in self.computed:
            return self.computed[node.number]
        real = node.dtype.name
        if node.op == "constant":
            value = node.args[0]
            text = f"{real}({value!r})" if math.isfinite(value) else f'{real}(float("{value}"))'
            return text
        if node.op == "number":
            name = f"number_{node.args[0]}_{real}"
            line = f"{name} = {real}(numbers[{self.emitter.number(node.args[0])}])"
            if line not in self.before:
                self.before.append(line)
                self.tail = [*self.tail, "numbers"] if "numbers" not in self.tail else self.tail
            return name
        name = f"x{len(self.leaves)}"
        if node.number not in self.emitter.inside:
            self.leaves[key] = (ref, name)
            return name
        if node.op == "dropout":
            value = self._dropout(ref)
        else:
            operands = [self._operand(ref, operand) for operand in node.inputs]
            value = self._apply(node.args[0], operands, real)
        name = f"t{len(self.statements)}"
        self.statements.append(f"{name} = {value}")
        self.leaves[key] = (ref, name)
        return name

    def _operand(self, ref: Ref, operand: Ref) -> str:
        walk = compose(ref, operand) if operand.size != 1 or operand.shape else operand.expand(ref.shape)
        assert walk is not None
        return self.expression(walk)

    def _apply(self, fn: Callable[..., Any], operands: list[str], real: str) -> str:
        self.flops += self._elements
        self.names.append(fn.__name__)
        if fn in OPERATORS:
            return OPERATORS[fn].format(*operands, real=real)
        return f"{real}({self.emitter.function(fn)}({', '.join(operands)}))"

    def _dropout(self, ref: Ref) -> str:
        """Keep or drop by the number that is drawn for the element's place in its own tensor."""
        node = ref.node
        rate, scale, stream = node.args
        place = self._place(ref)
        x = self._operand(ref, node.inputs[0])
        k = self.emitter.stream(stream)
        real = node.dtype.name
        self.names.append("dropout")
        self.flops += 40 * self._elements
        for line in (f"seed_{k} = streams[{2 * k}]", f"stream_{k} = streams[{2 * k + 1}]"):
            if line not in self.before:
                self.before.append(line)
        self.tail = [*self.tail, "streams"] if "streams" not in self.tail else self.tail
        draw = f"uniform_{8 * node.dtype.itemsize}(uint64({place}), stream_{k}, seed_{k})"
        return f"{x} * {real}({scale!r}) if {draw} >= {real}({rate!r}) else {real}(0)"

    def _place(self, ref: Ref) -> str:
        """Write where in its tensor the element is."""
        key = ("place", *ref.key())
        if key not in self.leaves:
            self.leaves[key] = (Ref(ref.node, ref.shape, ref.strides, ref.start), f"p{len(self.leaves)}")
        return self.leaves[key][1]

    def _pointwise(self) -> None:
        """Write one loop for all results of the kernel."""
        written = []
        for node in (self.node, *self.others):
            self._elements = node.size
            if node.op == "dropout":
                value = self._dropout(node.ref())
            else:
                value = self._apply(node.args[0], [self.expression(ref) for ref in node.inputs], node.dtype.name)
            name = node.name + "_i"
            self.statements.append(f"{name} = {value}")
            self.computed[node.number] = name
            if node.number not in self.emitter.local:
                written.append((node.ref(), self.array(node), name))
        if not self.node.size:
            self._define("empty", ["pass"], 0)
            return
        outs = [(ref, array) for ref, array, _ in written]
        names = [name for _, _, name in written]
        body = self._loops(outs, lambda at: [f"{a} = {x}" for a, x in zip(at, names, strict=True)])
        unique = list(dict.fromkeys(self.names))
        title = "_".join(unique if len(unique) <= 4 else [*unique[:3], "and_more"])
        self._define(title or "copy", body, self.node.size * len(written))

    # --- loops -------------------------------------------------------------------------------------------------

    def _loops(
        self,
        outs: list[tuple[Ref, str]],
        finish: Callable[[list[str]], list[str]],
        accumulate: Callable[[str], tuple[str, str]] | None = None,
    ) -> list[str]:
        """Write nested loops.

        Args:
            outs: how the results are walked, with strides of zero where they are reduced, and their arrays.
            finish: gives the statements that write the results, from how their elements are written.
            accumulate: for a reduction along the innermost dimension, gives the first value of the accumulator, and
                what it becomes.
        """
        walks = [(_without_ones(ref), "", array) for ref, array in outs]
        for key, (ref, name) in self.leaves.items():
            if key[0] == "place":
                walks.append((_without_ones(ref), name, ""))
            elif ref.node.number not in self.emitter.inside:
                walks.append((_without_ones(ref), name, self.array(ref.node)))
        dims, flat = self._dims([ref for ref, _, _ in walks])
        lines = list(self.before)
        bases = [[str(ref.start)] if ref.start else [] for ref, _, _ in walks]
        for d, (n, strides) in enumerate(dims[:-1]):
            chunk = d == 0 and self.chunked
            index = "b" if chunk else f"i{d}"
            lines.append("    " * d + f"for {index} in {'range(b0, b1)' if chunk else f'range({n})'}:")
            for base, stride in zip(bases, strides, strict=True):
                if stride:
                    base.append(_times(index, stride))
        n, strides = dims[-1]
        pad = "    " * (len(dims) - 1)
        begin, count = "0", str(n)
        if len(dims) == 1 and self.chunked:
            begin, count = _times("b0", flat), f"({_times('b1', flat)} - {_times('b0', flat)})"
        element: list[str] = []
        for k, ((_, name, array), base, stride) in enumerate(zip(walks, bases, strides, strict=True)):
            terms = base if begin == "0" or not stride else [*base, _times(begin, stride)]
            start, local = " + ".join(terms) or "0", f"a{k}"
            if not array:  # the place itself is what is read
                lines.append(f"{pad}{local} = {start}")
                element.append(f"{local} + {_times('i', stride)}")
            elif stride == 0 and not name:
                lines.append(f"{pad}{local} = {start}")
                element.append(f"{array}[{local}]")
            elif stride == 0:
                lines.append(f"{pad}{local} = {array}[{start}]")
                element.append(local)
            elif stride == 1:
                lines.append(f"{pad}{local} = {array}[{start} : {start} + {count}]")
                element.append(f"{local}[i]")
            else:
                lines.append(f"{pad}{local} = {array}[{start} :]")
                element.append(f"{local}[i * {stride}]")
        loads = [f"{name} = {text}" for (_, name, _), text in zip(walks, element, strict=True) if name]
        body = [*loads, *self.statements]
        inner = pad + "    "
        results = element[: len(outs)]
        if accumulate is not None and strides[0] == 0:
            first, step = accumulate(results[0])
            lines.append(f"{pad}total = {first}")
            rest = f"range({count})"
            if step.startswith("total + ") and ((len(dims) == 1 and self.chunked) or n >= 2 * LANES):
                # Side by side, in an order that is written here: LLVM would have to be allowed to choose one, and
                # might choose another one the next time.
                term = step.removeprefix("total + ")
                lines.insert(0, f"lanes = np.zeros({LANES}, {self.node.dtype.name})")
                lines.append(f"{pad}whole = {count} // {LANES} * {LANES}")
                lines.append(f"{pad}for k in range(0, whole, {LANES}):")
                lines.append(f"{inner}for j in range({LANES}):")
                side = [*(["i = k + j"]), *body, f"lanes[j] = lanes[j] + {term}"]
                lines += [f"{inner}    {line}" for line in side]
                lines.append(f"{pad}for j in range({LANES}):")
                lines += [f"{inner}total = total + lanes[j]", f"{inner}lanes[j] = {self.node.dtype.name}(0)"]
                rest = f"range(whole, {count})"
            lines.append(f"{pad}for i in {rest}:")
            lines += [inner + line for line in [*body, f"total = {step}"]]
            lines.append(f"{pad}{results[0]} = total")
            return lines
        lines.append(f"{pad}for i in range({count}):")
        lines += [inner + line for line in [*body, *finish(results)]]
        return lines

    def _dims(self, walks: list[Ref]) -> tuple[list[tuple[int, list[int]]], int]:
        """Join neighbouring dimensions that every walk goes through as one; the batch stays the outermost loop.

        Returns:
            Size and strides of each loop, and, where the batch is the innermost loop too, the elements of an image.
        """
        shape = walks[0].shape
        dims: list[tuple[int, list[int]]] = []
        for d, n in enumerate(shape):
            strides = [ref.strides[d] if ref.shape[d] != 1 else 0 for ref in walks]
            if n == 1 and not (d == 0 and self.chunked):
                continue
            fixed = self.chunked and len(dims) == 1
            if dims and not fixed and all(o == n * s for o, s in zip(dims[-1][1], strides, strict=True)):
                dims[-1] = (dims[-1][0] * n, strides)
            else:
                dims.append((n, strides))
        if self.chunked and len(dims) == 2:
            (batch, outer), (n, inner) = dims
            if all(o == n * s for o, s in zip(outer, inner, strict=True)):
                return [(batch * n, inner)], n
        return dims or [(1, [0] * len(walks))], 1

    # --- reductions --------------------------------------------------------------------------------------------

    def _reduce(self) -> None:
        node = self.node
        fn, start, dims = node.args
        (ref,) = node.inputs
        self._elements = ref.size
        x = self.expression(ref)
        self.names = [*dict.fromkeys(self.names), "sum" if fn is elements.add else fn.__name__]
        kept = Ref(node, self.shape, _row_major(self.shape))
        out = Ref(node, ref.shape, tuple(0 if d in dims else s for d, s in enumerate(kept.strides)))
        result = self.result() if self.partial else self.array(node)
        real = node.dtype.name
        size = math.prod(self.shape)
        if self.batched:
            image = size // self.schedule.batch
            fill = [f"for i in range(b0 * {image}, b1 * {image}):"]
        else:
            fill = [f"for i in range({size}):"]
        first = f"{real}({start!r})" if math.isfinite(start) else f'{real}(float("{start}"))'
        fill.append(f"    {result}[i] = {first}")
        body = list(fill)
        if ref.size:
            name = "_".join(self.names)

            def step(total: str) -> str:
                names, flops = list(self.names), self.flops
                text = self._apply(fn, [total, x], real)
                self.names, self.flops = names, flops
                return text

            self.flops += ref.size
            body += self._loops(
                [(out, result)],
                lambda at: [f"{at[0]} = {step(at[0])}"],
                lambda total: (total, step("total")),
            )
        else:
            name = "fill"
        self._define(name, body, size)

    # --- products and joins --------------------------------------------------------------------------------------

    def _matrix_multiply(self) -> None:
        node = self.node
        a, b = node.inputs
        self.flops = 2 * math.prod(self.shape) * a.shape[-1]
        out, rows = self.result(), f"({', '.join(map(str, self.shape))})"
        left, right = self.array(a.node), self.array(b.node)
        if len(self.shape) > 2:
            count = math.prod(self.shape[:-2])
            inner = a.shape[-1]
            m, n = self.shape[-2:]
            body = [
                f"a = {left}.reshape(({count}, {m}, {inner}))",
                f"b = {right}.reshape(({count}, {inner}, {n}))",
                f"c = {out}.reshape(({count}, {m}, {n}))",
                f"for i in range({count}):",
                "    dot(a[i], b[i], c[i])",
            ]
        elif self.partial:
            body = [
                f"a = {_matrix(left, a, by_batch='columns')}",
                f"b = {_matrix(right, b, by_batch='rows')}",
                f"dot(a, b, {out}.reshape({rows}))",
            ]
        else:
            part = "[b0:b1]" if self.batched else ""
            body = [
                f"a = {_matrix(left, a, by_batch='rows' if self.batched else '')}",
                f"b = {_matrix(right, b)}",
                f"dot(a, b, {out}.reshape({rows}){part})",
            ]
        self._define("matrix_multiply", body if math.prod(self.shape) else ["pass"], math.prod(self.shape))

    def _cat(self) -> None:
        """Copy each operand to its part of the result."""
        node = self.node
        (dim,) = node.args
        body: list[str] = []
        start = 0
        result = self.array(node)
        strides = node.ref().strides
        for ref in node.inputs:
            self.leaves, self.statements, self.before = {}, [], []
            self._elements = 0
            x = self.expression(ref)
            out = Ref(node, ref.shape, strides, start * strides[dim])
            if ref.size:
                body += self._loops([(out, result)], lambda at, x=x: [f"{at[0]} = {x}"])
            start += ref.shape[dim]
        self._define("cat", body or ["pass"], node.size)

    def _library(self) -> None:
        """Call a kernel of the library."""
        node = self.node
        call = self.emitter.calls[node.number]
        place, place_result = (self.address, self.address) if call.entry else (self.array, self.result)
        results = [place_result(node)]
        names = [place(ref.node) for ref in node.inputs]
        if self.second is not None:
            results.append(place_result(self.second))
            known = {ref.node.number for ref in node.inputs}
            names += [place(ref.node) for ref in self.second.inputs if ref.node.number not in known]
        extra = []
        for i, array in enumerate(call.tables):
            at = f"table[{self.emitter.constant(array)}]"
            value = at if call.entry else f"{array.dtype.name}_at({at}, int64({array.size}))"
            extra.append(self._extra(value, f"plan_{i}"))
        start = self.emitter.program.memory.scratch.get(-1 - node.number, 0)
        if node.op in (*PAIRS, *PAIRS.values()) and self.second is None:
            unread = self._unread(start + aligned(call.scratch), bool(call.entry))
            results = [unread, *results] if node.op.endswith("place") else [*results, unread]
        if call.scratch:
            extra.append(self._extra(f"scratch + {start}", "work"))
        self.flops = call.flops
        self.emitter.program.functions.update(call.functions)
        b0, b1 = ("b0", "b1") if self.chunked else ("0", str(_images(node)))
        body = call.write(results, names, extra, b0, b1)
        if call.entry:
            at = self._extra(f"table[{self.emitter.constant(call.entry)}]", call.entry.name)
            body = [f"call({at}, ({', '.join(body)}))"]
        self._define(node.op, body, math.prod(self.shape))

    def address(self, node: Node) -> str:
        """Make the address of a result a parameter: of the chunk's part, for a partial sum."""
        name = f"at_{node.number}"
        if name not in self.arrays:
            self.arrays[name] = f"{name} = {self._begin(node)}"
            self.parameters.append(name)
        return name

    def _extra(self, value: str, name: str) -> str:
        """Make an address that belongs to this kernel alone a parameter."""
        name = f"{name}_{self.node.number}"
        self.arrays[name] = f"{name} = {value}"
        self.parameters.append(name)
        return name

    def _unread(self, start: int, address: bool) -> str:
        """Find memory for the half of a kernel's results that nobody reads."""
        node = self.node
        dtype = node.inputs[0].dtype if node.op.endswith("place") else np.dtype(np.int64)
        # Addressed as if the chunk were part of the batch, like every result in the scratch.
        first = f" - b0 * {dtype.itemsize * (node.size // self.schedule.batch)}" if self.batched else ""
        value = f"scratch + {start}{first}"
        return self._extra(value if address else f"{dtype.name}_at({value}, int64({node.size}))", "unread")


def _matrix(name: str, ref: Ref, by_batch: str = "") -> str:
    """Write an operand as a matrix, and the part of it that belongs to a chunk."""
    (rows, columns), (down, across) = ref.shape, ref.strides
    if (across == 1 or columns == 1) and (down == columns or rows == 1):
        part = {"": "", "rows": "[b0:b1]", "columns": "[:, b0:b1]"}[by_batch]
        return f"{name}.reshape(({rows}, {columns})){part}"
    part = {"": "", "rows": "[:, b0:b1]", "columns": "[b0:b1]"}[by_batch]
    return f"{name}.reshape(({columns}, {rows})){part}.T"


def _without_ones(ref: Ref) -> Ref:
    """Leave out the dimensions of size 1, which no loop runs over."""
    kept = [d for d, n in enumerate(ref.shape) if n != 1]
    return Ref(ref.node, tuple(ref.shape[d] for d in kept), tuple(ref.strides[d] for d in kept), ref.start)


def _times(index: str, stride: int) -> str:
    return index if stride == 1 else f"{index} * {stride}"


def _row_major(shape: Sequence[int]) -> tuple[int, ...]:
    strides, stride = [], 1
    for n in reversed(shape):
        strides.append(stride)
        stride *= n
    return tuple(reversed(strides))


def _amount(n: float) -> str:
    for unit in ("", "k", "M", "G"):
        if n < 1000:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:.3g} T"
