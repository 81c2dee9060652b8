"""Make the list of launches: written kernels for what is element by element, recorded ones for everything else."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

from ...cuda_data import CudaData, map_into
from ...cuda_ops import number_of
from ...kernels import elements
from ...kernels.cuda.fold import COLUMN, fold, part_length
from ...kernels.cuda.launch import Kernel, grid_for, threads_for
from ...kernels.cuda.memory import empty
from ...kernels.cuda.places import faults
from ...tensor import Tensor
from ...tensor_data import strides_from_shape
from ...tensor_ops import TensorBackend
from ..emit.family import PAIRS
from ..emit.grouping import inlined, kernels, read_by
from ..graph import UNSTORED, Graph, Node, Ref, describe
from ..passes.operands import copied
from ..passes.simplify import POINTWISE, drop_dead
from .record import ARENA, Launch, Place, Recorder
from .text import CudaWriter, written

__all__ = ["Program", "emit", "lay_out"]


@dataclass
class Program:
    """A step's launches, and what they need.

    Attributes:
        source: its text, for people: the kernels that were written for it, and the launches.
        launches: in order; the same ones in each call.
        results: those that copy to the tensors that the caller receives.
        inputs: for each slot of the table that belongs to an input, the place of its source.
        copied: the slots of inputs that are another tensor in each call, with the place that each is copied to.
        outputs: the nodes that the outputs are; their slots follow.
        numbers: the names of the numbers that it reads, in order.
        streams: the streams that it reads, in order.
        arena_bytes: of the memory that results share.
        watches: whether it looks at places, which may be outside of a tensor.
    """

    source: str = ""
    launches: list[Launch] = field(default_factory=list)
    results: list[Launch] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    copied: dict[int, Place] = field(default_factory=dict)
    outputs: list[Node] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    streams: list[Any] = field(default_factory=list)
    arena_bytes: int = 0
    watches: bool = False

    @property
    def bound(self) -> int:
        """The number of slots of inputs and outputs. Behind them are those of numbers and of streams."""
        return len(self.inputs) + len(self.outputs)


def lay_out(graph: Graph, states: set[int]) -> Graph:
    """Give what stays for the next call a kernel of its own, and every other operation operands in memory.

    Args:
        graph: the graph.
        states: the outputs that stay.
    """
    graph = graph.copy()  # what was given stays as it was
    taken: set[int] = set()
    outputs = []
    for i, ref in enumerate(graph.outputs):
        if ref.node.op in UNSTORED or (i in states and not _is_own(ref, taken)):
            ref = copied(graph, ref)
        if i in states:
            taken.add(ref.node.number)
        outputs.append(ref)
    graph.outputs = outputs
    copies: dict[Any, Ref] = {}

    def rule(new: Graph, node: Node, inputs: tuple[Ref, ...]) -> Node | None:
        if node.op in POINTWISE or _is_fold(node):
            return None
        there = []
        for ref in inputs:
            if ref.node.op in UNSTORED and ref.key() not in copies:
                copies[ref.key()] = copied(new, ref)
            there.append(copies.get(ref.key(), ref))
        return new.add(node.op, there, node.args, node.shape, node.dtype)

    return drop_dead(graph.rebuild(rule))


def _is_own(ref: Ref, taken: set[int]) -> bool:
    """Tell whether a written kernel computes an output, whole and for nobody else."""
    return ref.is_whole() and ref.node.op in POINTWISE and ref.node.number not in taken


def emit(graph: Graph, states: set[int], backend: TensorBackend) -> Program:
    """Write the program of a graph; ``states`` are the outputs that stay for the next call."""
    return _Emitter(graph, states, backend).run()


class _Emitter:
    def __init__(self, graph: Graph, states: set[int], backend: TensorBackend) -> None:
        self.graph, self.states, self.backend = graph, states, backend
        self.program = Program()
        self.recorder = Recorder()
        self.places: dict[int, Place] = {}  # of results, by node number
        # A reduction with nothing to reduce is left to the library, and nothing is computed inside it.
        stage = {node.number: int(node.op == "reduce" and not _is_fold(node)) for node in graph}
        self.inside = inlined(graph, stage)
        self.texts: dict[str, str] = {}  # of written kernels, by name
        self.names: dict[int, str] = {}  # of written kernels, by id

    def run(self) -> Program:
        program, graph = self.program, self.graph
        read = {ref.node.number for node in graph for ref in node.inputs} | {ref.node.number for ref in graph.outputs}
        for node in graph:
            if node.op == "input":
                self._input(node, node.number in read)
        program.outputs = [ref.node for ref in graph.outputs]
        states = {}
        for i in sorted(self.states):
            node = program.outputs[i]
            states[node.number] = Place(node.name, len(program.inputs) + i, 0, node.size, node.dtype)
        operations = [node for node in graph if node.op not in ("input", *UNSTORED)]
        groups = kernels(operations, self.inside, lambda node: False)
        local = self._local(groups)
        last = self._last_readers(groups)
        for position, group in enumerate(groups):
            with self.recorder.operation(_title(group, self.inside)):
                self.places.update({n.number: states[n.number] for n in group if n.number in states})
                if group[0].op in POINTWISE:
                    self._element_wise(group, local)
                elif _is_fold(group[0]) and self._is_computed(group[0].inputs[0]):
                    self._fold(group[0], local)
                else:
                    self._library(group)
            self._give_back(position, group, last)
        program.launches = list(self.recorder.launches)
        self._results()
        program.arena_bytes = self.recorder.arena_bytes
        program.watches = any(argument is faults._seen for launch in program.launches for argument in launch.args)
        program.source = self._source()
        return program

    def _is_computed(self, ref: Ref) -> bool:
        """Tell whether an operand has to be computed, or gathered, while it is read."""
        return ref.node.number in self.inside or not ref.is_contiguous()

    def _input(self, node: Node, read: bool) -> None:
        """Read an input where its tensor is; one that is another in each call is copied first."""
        program = self.program
        slot = len(program.inputs)
        program.inputs.append(node.args[0])
        if read and node.args[1] == "argument":
            place = program.copied[slot] = self.recorder.empty(node.size, node.dtype)
            place.name = node.name
        else:
            place = Place(node.name, slot, 0, node.size, node.dtype)
        self.places[node.number] = place

    # --- memory --------------------------------------------------------------------------------------------------

    def _last_readers(self, groups: Sequence[Sequence[Node]]) -> dict[int, int]:
        """Find the position of the last kernel that reads each node."""
        last = {number: position for position, group in enumerate(groups) for number in read_by(group, self.inside)}
        return {**last, **{ref.node.number: len(groups) for ref in self.graph.outputs}}

    def _local(self, groups: Sequence[Sequence[Node]]) -> set[int]:
        """Find the results that only their own kernel reads, and that are never written."""
        own = [{node.number for node in group} for group in groups if group[0].op in POINTWISE]
        wanted = {ref.node.number for ref in self.graph.outputs}
        for group in groups:
            members = {node.number for node in group}
            wanted |= {number for number in read_by(group, self.inside) if number not in members}
        return set().union(*own) - wanted

    def _give_back(self, position: int, group: Sequence[Node], last: dict[int, int]) -> None:
        """Let the next kernels have the memory of what nobody reads any more."""
        kept = {id(self.places[node.number].whole) for node in group if node.number in self.places}
        for place in self.recorder.made:
            if id(place) not in kept:
                self.recorder.give_back(place)
        done = [node.number for node in group if node.number not in last]
        done += [number for number, end in last.items() if end == position]
        for number in done:
            place = self.places.get(number)
            if place is not None and place.slot == ARENA and place not in self.program.copied.values():
                self.recorder.give_back(place)

    def _make(self, node: Node) -> Place:
        """Give the place that a result is written to."""
        if node.number not in self.places:
            self._name(node, self.recorder.empty(node.size, node.dtype))
        return self.places[node.number]

    def _name(self, node: Node, place: Place) -> None:
        place.name = node.name
        self.places[node.number] = place

    # --- written kernels -----------------------------------------------------------------------------------------

    def _element_wise(self, group: list[Node], local: set[int]) -> None:
        for node in group:
            if node.number not in local:
                self._make(node)
        writer = CudaWriter(group, self.inside, local)
        text = writer.element_wise()
        if group[0].size:
            size = group[0].size
            self._written(writer, text)(*grid_for(size), *self._operands(writer), *writer.sizes, size)

    def _fold(self, node: Node, local: set[int]) -> None:
        """Reduce the last run of neighbouring dimensions by a written kernel, and what is left by the library."""
        fn, start, dims = node.args
        (ref,) = node.inputs
        first, behind = _last_run(dims)
        outer, n, inner = (math.prod(p) for p in (ref.shape[:first], ref.shape[first:behind], ref.shape[behind:]))
        length = part_length(inner)
        in_lines = length != COLUMN
        parts = -(-n // length)
        out = empty(outer * parts * inner, node.dtype)
        writer = CudaWriter([node], self.inside, local)
        kernel = self._written(writer, writer.fold(n, inner, in_lines, parts == 1))
        inside = [inner] if inner > 1 else []
        arguments = (*self._operands(writer), *writer.sizes, out, n, *inside, length, parts)
        if in_lines:
            kernel(out.size, threads_for(min(n, length)), *arguments)
        else:
            kernel(*grid_for(out.size), *arguments, out.size)
        if parts > 1:
            out = fold(fn, number_of(start, node.dtype), out, outer, parts, inner, lambda size: empty(size, node.dtype))
        rest = [d for d in dims if d < first]
        if rest:
            shape = (*ref.shape[:first], *(1,) * (behind - first), *ref.shape[behind:])
            out = self._stored(self.backend.ops.reduce(fn, start)(self._tensor(out, shape), rest))
        self._name(node, out)

    def _written(self, writer: CudaWriter, text: str) -> Kernel:
        """Give the kernel of a text; the program's text has each once."""
        kernel = written(text, writer.text.functions)
        if id(kernel) not in self.names:
            given, ending = text[len("def ") : text.index("(")], ""
            unlike = count(2)
            while f"{given}{ending}" in self.texts:
                ending = f"_{next(unlike)}"
            name = self.names[id(kernel)] = f"{given}{ending}"
            self.texts[name] = text.replace(given, name, 1)
        return kernel

    def _operands(self, writer: CudaWriter) -> list[Place]:
        found = []
        for parameter in writer.text.parameters:
            if parameter.kind == "number":
                found.append(self._setting(self.program.numbers, parameter.value, 0, 1, np.dtype(np.float64)))
            elif parameter.kind == "stream":
                found.append(self._setting(self.program.streams, parameter.value, 1, 2, np.dtype(np.uint64)))
            else:
                place = self.places[parameter.value.number]
                found.append(place[parameter.start :] if parameter.start else place)
        return found

    def _setting(self, known: list[Any], value: Any, behind: int, words: int, dtype: np.dtype[Any]) -> Place:
        """Give the place of a number, or of a stream and its seed, that is read anew in each call."""
        if value not in known:
            known.append(value)
        index = known.index(value)
        name = value if words == 1 else f"stream_{index}"
        return Place(name, self.program.bound + behind, index * words, words, dtype)

    # --- recorded operations -------------------------------------------------------------------------------------

    def _tensor(self, place: Any, shape: tuple[int, ...], strides: tuple[int, ...] | None = None) -> Tensor:
        return Tensor(CudaData.of(place, shape, strides or strides_from_shape(shape)), backend=self.backend)

    def _operand(self, ref: Ref) -> Tensor:
        place = self.places[ref.node.number]
        return self._tensor(place[ref.start :] if ref.start else place, ref.shape, ref.strides)

    def _stored(self, tensor: Tensor) -> Place:
        place: Any = tensor._tensor._storage
        return place

    def _library(self, group: Sequence[Node]) -> None:
        """Run an operation of the backend, which is recorded."""
        node = group[0]
        results = self._run(node)
        second = node.op in PAIRS.values()  # of a pair, somebody reads the second alone
        for each, tensor in zip(group, results[1:] if second else results, strict=False):
            place = self._stored(tensor)
            if not any(place is made for made in self.recorder.made) or place.size != each.size:
                # It is an operand's own memory, which others get when its readers have run.
                self._make(each)
                map_into(elements.identity, self._tensor(self.places[each.number], each.shape)._tensor, tensor._tensor)
            else:
                self._name(each, place)

    def _run(self, node: Node) -> tuple[Tensor, ...]:
        ops = self.backend.ops
        inputs = [self._operand(ref) for ref in node.inputs]
        if node.op == "reduce":
            fn, start, dims = node.args
            return (ops.reduce(fn, start)(inputs[0], dims),)
        if node.op in ("max", "max_place"):
            return ops.max(inputs[0], *node.args)
        if node.op in ("max_pool", "max_pool_place"):
            return ops.max_pool(inputs[0], *node.args)
        if node.op == "cat":
            return (ops.cat(inputs, *node.args),)
        if node.op == "put":
            return (ops.put(inputs[0], inputs[1], node.shape),)
        operation: Callable[..., Tensor] = getattr(ops, node.op)
        return (operation(*inputs, *node.args),)

    # --- results -------------------------------------------------------------------------------------------------

    def _results(self) -> None:
        """Copy to the tensors that the caller receives what does not stay for the next call."""
        program = self.program
        first = len(self.recorder.launches)
        for i, ref in enumerate(self.graph.outputs):
            if i not in self.states and ref.size:
                out = Place(f"m{i}", len(program.inputs) + i, 0, ref.size, ref.dtype)
                with self.recorder.operation(f"result {i}: {ref!r}"):
                    map_into(elements.identity, self._tensor(out, ref.shape)._tensor, self._operand(ref)._tensor)
        program.results = self.recorder.launches[first:]

    def _source(self) -> str:
        program = self.program
        lines = []
        for launch in (*program.launches, *program.results):
            if launch.title:
                lines.append(f"    # {launch.title}")
            lines.append(f"    {launch.text(self.names.get(id(launch.kernel), launch.kernel.__name__))}")
        return "\n\n".join([*self.texts.values(), "\n".join(["def program():", *(lines or ["    pass"])])])


# --- what a reduction runs over -----------------------------------------------------------------------------------


def _last_run(dims: Sequence[int]) -> tuple[int, int]:
    """Find the last neighbouring dimensions: the first of them, and the one behind."""
    run = next(k for k in count(1) if dims[-1] - k not in dims)
    return dims[-1] - run + 1, dims[-1] + 1


def _is_fold(node: Node) -> bool:
    """Tell whether there is anything to reduce, and anything that it is reduced to."""
    return node.op == "reduce" and bool(node.args[2]) and node.inputs[0].size > 0


def _title(group: Sequence[Node], inside: set[int]) -> str:
    """Say what a kernel computes."""
    names: list[str] = []
    stack = list(reversed(group))
    seen: set[int] = set()
    while stack:
        node = stack.pop()
        if node.number in seen or node.op in ("constant", "number"):
            continue
        seen.add(node.number)
        names.append(node.args[0].__name__ if node.op in ("map", "zip") else node.op)
        stack.extend(ref.node for ref in node.inputs if ref.node.number in inside)
    what = describe(group[0]) if group[0].op not in (*POINTWISE, "reduce") else ", ".join(dict.fromkeys(names))
    shape = " x ".join(map(str, group[0].shape)) or "number"
    return f"{what}: {shape} {group[0].dtype}"
