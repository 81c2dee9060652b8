"""``minitorch.compile``: a step that is traced once and then runs as one program."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextlib import ContextDecorator
from dataclasses import dataclass, field
from threading import local
from typing import Any

import numpy as np

from ..autodiff import grad_mode
from ..cells import tracing
from ..errors import CompileError
from ..fast_ops import FastBackend
from ..kernels import elements
from ..tensor import Tensor
from ..tensor_data import TensorData
from ..tensor_functions import History
from .emit import Program, emit
from .fuse import fuse, inlined, lay_out
from .graph import Graph, Ref
from .guards import Guards
from .machine import Machine, Memory
from .simplify import drop_dead, simplify
from .split import split
from .trace import Cell, Number, Source, TracedData, Tracer

__all__ = ["Compiled", "Debug"]

# Programs that one compiled step keeps: shapes, dtypes, modes and choices that it has met.
PROGRAMS = 16


class _Debug(local):
    depth = 0


_debug = _Debug()


class Debug(ContextDecorator):
    """What :func:`minitorch.debug` gives."""

    def __enter__(self) -> None:
        _debug.depth += 1

    def __exit__(self, *_: object) -> None:
        _debug.depth -= 1


class _Step:
    """Stands as the function that made a result of a compiled step: its history stayed in the program."""

    __name__ = "a compiled step"


@dataclass
class Trace:
    """One traced run, as a program, and how its values get in and out."""

    tracer: Tracer
    passes: dict[str, Graph]
    program: Program
    machine: Machine
    guards: Guards
    result: Any  # what the step returned, with places of outputs in it
    writes: list[tuple[Cell, Any]]
    gradients: list[tuple[Source | None, Any, Any]]
    numbers: Callable[..., Any]
    arguments: list[Any]
    memories: list[Memory] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Output:
    """Stands for output ``index`` of the program in what a step returns and writes."""

    index: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    grad: str  # "", "leaf" or "made"


class Compiled:
    """A compiled step; see :func:`minitorch.compile`."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn
        self.traces: dict[Any, list[Trace]] = {}
        self._lock = threading.RLock()
        self._last: Trace | None = None
        functools.update_wrapper(self, fn, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if tracing.tracer is not None or _debug.depth:
            return self.fn(*args, **kwargs)
        tensors: list[Tensor] = []
        numbers: list[float] = []
        key = (_flatten((args, kwargs), tensors, numbers), grad_mode.enabled)
        trace = self._find(key)
        if trace is None:
            with self._lock:
                trace = self._find(key) or self._trace(key, args, kwargs)
        return _run(trace, tensors, numbers)

    def _find(self, key: Any) -> Trace | None:
        for trace in self.traces.get(key, ()):
            if trace.guards.hold():
                self._last = trace
                return trace
        return None

    def _trace(self, key: Any, args: Any, kwargs: Any) -> Trace:
        trace = _make(self.fn, args, kwargs)
        known = self.traces.setdefault(key, [])
        known.append(trace)
        while sum(map(len, self.traces.values())) > PROGRAMS:
            oldest = next(iter(self.traces))
            self.traces[oldest].pop(0)
            if not self.traces[oldest]:
                del self.traces[oldest]
        self._last = trace
        return trace

    def _newest(self) -> Trace:
        if self._last is None:
            raise CompileError("the step has not run yet, so there is no program. Call it once with real arguments.")
        return self._last

    @property
    def source(self) -> str:
        """The Python text of the program that ran last."""
        return self._newest().program.source

    @property
    def graph(self) -> Graph:
        """The graph of the program that ran last, after all passes; :attr:`passes` has it after each."""
        return list(self._newest().passes.values())[-1]

    @property
    def passes(self) -> dict[str, Graph]:
        """The graph after each pass, by the pass's name."""
        return self._newest().passes

    def __repr__(self) -> str:
        return f"Compiled({getattr(self.fn, '__name__', self.fn)!r}, {sum(map(len, self.traces.values()))} programs)"


# --- arguments and results -------------------------------------------------------------------------------------------


def _flatten(value: Any, tensors: list[Tensor], numbers: list[float]) -> Any:
    """Take the tensors and floats out of nested arguments, and give what is left: the key of a program."""
    if isinstance(value, Tensor):
        tensors.append(value)
        same = next(i for i, t in enumerate(tensors) if t is value)
        return Tensor, value.shape, value.dtype.str, value.history is not None, value.grad is None, value.backend, same
    if isinstance(value, np.ndarray):
        made = Tensor(TensorData.from_array(np.ascontiguousarray(value)), backend=FastBackend)
        tensors.append(made)
        return np.ndarray, value.shape, value.dtype.str
    if type(value) is float:
        numbers.append(value)
        return float
    if isinstance(value, (list, tuple)):
        return type(value), tuple(_flatten(v, tensors, numbers) for v in value)
    if isinstance(value, dict):
        return dict, tuple((k, _flatten(v, tensors, numbers)) for k, v in value.items())
    try:
        hash(value)
    except TypeError:
        raise CompileError(
            f"a compiled step takes tensors, arrays, numbers, text, and lists, tuples and dictionaries of them; got "
            f"{type(value).__name__}. Let the step refer to it from outside instead."
        ) from None
    return type(value), value


def _rebuild(value: Any, tensors: list[Any], numbers: list[Any]) -> Any:
    """Put stand-ins in the place of tensors and floats, in the order in which :func:`_flatten` took them."""
    if isinstance(value, (Tensor, np.ndarray)):
        return tensors.pop(0)
    if type(value) is float:
        return numbers.pop(0)
    if isinstance(value, (list, tuple)):
        return type(value)(_rebuild(v, tensors, numbers) for v in value)
    if isinstance(value, dict):
        return {k: _rebuild(v, tensors, numbers) for k, v in value.items()}
    return value


def _make(fn: Callable[..., Any], args: Any, kwargs: Any) -> Trace:
    """Trace a step and compile it."""
    tensors: list[Tensor] = []
    floats: list[float] = []
    _flatten((args, kwargs), tensors, floats)
    tracer = Tracer()
    guards = Guards.before(fn)
    tracing.tracer = tracer
    before = grad_mode.enabled
    try:
        stand_ins = [tracer.adopt(t, Source("argument", t, i)) for i, t in enumerate(tensors)]
        numbers = [tracer.number_argument(x, i) for i, x in enumerate(floats)]
        new_args, new_kwargs = _rebuild((args, kwargs), list(stand_ins), list(numbers))
        result = fn(*new_args, **new_kwargs)
        guards.after(tracer)
        collected = _Collected(tracer)
        returned = collected.take(result)
        writes = [(cell, collected.take(cell.now)) for cell in tracer.cells.values() if cell.written]
        gradients = _gradients(tracer, collected)
    finally:
        tracing.tracer = None
        tracer.open = False
        grad_mode.enabled = before
    passes, program = _passes(tracer.graph, collected.refs, _batch(tensors))
    return Trace(
        tracer, passes, program, Machine(program), guards, returned, writes, gradients,
        _host(tracer, program, collected), tensors,
    )


class _Collected:
    """The outputs of a program: every traced tensor that the step returns, or writes somewhere."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self.refs: list[Ref] = []
        self.known: dict[Any, int] = {}
        self.numbers: list[str] = []

    def take(self, value: Any) -> Any:
        """Replace traced values by what stands for them in every later call."""
        if isinstance(value, Tensor):
            if not isinstance(value._tensor, TracedData):
                return value
            for original, stand_in in self.tracer._stand_ins.values():
                if stand_in is value:
                    return original if not self._is_argument(original) else Argument(self._argument(original))
            ref = self.tracer.ref(value)
            if ref.key() not in self.known:
                self.known[ref.key()] = len(self.refs)
                self.refs.append(ref)
            grad = "" if value.history is None else "leaf" if value.history.last_fn is None else "made"
            return Output(self.known[ref.key()], value.shape, value.dtype, grad)
        if isinstance(value, Number):
            if value.name not in self.numbers:
                self.numbers.append(value.name)
            return HostNumber(self.numbers.index(value.name))
        if isinstance(value, (list, tuple)):
            return type(value)(self.take(v) for v in value)
        if isinstance(value, dict):
            return {k: self.take(v) for k, v in value.items()}
        return value

    def _is_argument(self, tensor: Tensor) -> bool:
        return any(s.kind == "argument" and s.like is tensor for s in self.tracer.sources)

    def _argument(self, tensor: Tensor) -> int:
        return next(s.index for s in self.tracer.sources if s.kind == "argument" and s.like is tensor)


@dataclass(frozen=True)
class Argument:
    """Stands for an argument that is handed back."""

    index: int


@dataclass(frozen=True)
class HostNumber:
    """Stands for a number that is computed from numbers."""

    index: int


def _gradients(tracer: Tracer, collected: _Collected) -> list[tuple[Source | None, Any, Any]]:
    """List the tensors from outside whose gradient the step sets: where they are, and what they receive."""
    changed = []
    for leaf in tracer.leaves:
        if leaf.cell is not None and leaf.cell.written and leaf.cell.now is not leaf.traced:
            continue  # replaced: nobody looks at the old value's gradient
        if leaf.traced.grad is not leaf.gradient:
            source = next(s for s in tracer.sources if s.like is leaf.tensor)
            value = None if leaf.traced.grad is None else collected.take(leaf.traced.grad)
            changed.append((source, leaf.tensor, value))
    return changed


def _batch(tensors: list[Tensor]) -> int:
    """Find the size of the batch: dimension 0 of the largest argument."""
    with_batch = [t for t in tensors if t.dims]
    return max(with_batch, key=lambda t: t.size).shape[0] if with_batch else 0


def _passes(graph: Graph, outputs: list[Ref], batch: int) -> tuple[dict[str, Graph], Program]:
    graph.outputs = outputs
    passes = {"trace": graph}
    passes["simplify"] = simplify(graph)
    passes["fuse"] = fuse(passes["simplify"])
    passes["lay out"] = drop_dead(lay_out(_own_outputs(passes["fuse"])))
    schedule = split(passes["lay out"], batch)
    passes["split"] = schedule.graph
    inside = inlined(schedule.graph, schedule.stage)
    return passes, emit(schedule, inside)


def _own_outputs(graph: Graph) -> Graph:
    """Give every output a node of its own, written in order, by copying what is a view, an input or a constant."""
    taken: set[int] = set()
    outputs = []
    for ref in graph.outputs:
        own = ref.is_whole() and ref.node.op not in ("input", "constant", "number") and ref.node.number not in taken
        if not own:
            ref = graph.add("map", (ref,), (elements.identity,), ref.shape, ref.dtype).ref()
        taken.add(ref.node.number)
        outputs.append(ref)
    graph.outputs = outputs
    return graph


# --- numbers ----------------------------------------------------------------------------------------------------------


def _host(tracer: Tracer, program: Program, collected: _Collected) -> Callable[..., Any]:
    """Write the arithmetic on numbers as a Python function: it fills the program's array, checks, and gives results."""
    names: dict[str, Any] = {}
    lines = ["def numbers(out, floats):"]
    for k, (name, holder, key, index) in enumerate(tracer.number_cells):
        names[f"holder_{k}"] = holder
        read = f"holder_{k}[{key!r}]" if isinstance(holder, dict) else f"holder_{k}.{key}"
        lines.append(f"    {name} = {read}" + (f"[{index}]" if index >= 0 else ""))
    for name, index in tracer.number_arguments:
        lines.append(f"    {name} = floats[{index}]")
    lines += [f"    {name} = {expression}" for name, expression in tracer.lines]
    for k, (name, value) in enumerate(tracer.fixed):
        names[f"fixed_{k}"] = value
        lines.append(f"    if {name} != fixed_{k}: return None")
    lines += [f"    out[{k}] = {name}" for k, name in enumerate(program.numbers)]
    lines.append(f"    return ({''.join(name + ', ' for name in collected.numbers)})")
    exec("\n".join(lines), names)
    return names["numbers"]


# --- running ----------------------------------------------------------------------------------------------------------


def _current(source: Source, tensors: list[Tensor]) -> Tensor:
    if source.kind == "argument":
        return tensors[source.index]
    if source.kind == "cell":
        holder = source.holder
        return holder[source.key] if isinstance(holder, dict) else getattr(holder, source.key)
    if source.kind == "gradient":
        return _current(source.holder, tensors).grad  # type: ignore[return-value]
    return source.holder


def _run(trace: Trace, tensors: list[Tensor], floats: list[float]) -> Any:
    program = trace.program
    memory = trace.memories.pop() if trace.memories else Memory(program)
    table, seen = memory.table, memory.seen
    kept = []  # copies that must live until the program has run
    for place, number in enumerate(program.inputs):
        source = trace.tracer.sources[number]
        tensor = _current(source, tensors)
        data = tensor._tensor
        storage = data._storage
        if storage is not seen[place] or not data.is_contiguous():
            flat = data.flat()
            if flat is not storage:
                kept.append(flat)
                seen[place] = None
            else:
                seen[place] = storage
            table[place] = flat.ctypes.data
    results = trace.numbers(memory.numbers, floats)
    if results is None:
        raise CompileError("a number that the step compared has changed")
    for k, stream in enumerate(program.streams):
        draws = trace.tracer.draws[stream.generator]
        if stream.index == 0 or k == 0:
            pass
        memory.streams[2 * k] = draws.generator.seed
        memory.streams[2 * k + 1] = draws.generator.stream + stream.index
    for draws in trace.tracer.draws:
        draws.generator.stream += draws.count
    outputs = []
    base = len(program.inputs)
    for i, node in enumerate(program.outputs):
        data = TensorData.empty(node.shape, node.dtype)
        outputs.append(data)
        table[base + i] = data._storage.ctypes.data
    trace.machine.run(memory)
    trace.memories.append(memory)

    def give(value: Any) -> Any:
        if isinstance(value, Output):
            data = outputs[value.index]
            made = Tensor(data if data.shape == value.shape else data.view(value.shape), backend=FastBackend)
            if value.grad:
                made.history = History() if value.grad == "leaf" else History(_Step)  # type: ignore[arg-type]
            return made
        if isinstance(value, HostNumber):
            return results[value.index]
        if isinstance(value, Argument):
            return tensors[value.index]
        if isinstance(value, (list, tuple)):
            return type(value)(give(v) for v in value)
        if isinstance(value, dict):
            return {k: give(v) for k, v in value.items()}
        return value

    targets = [(_current(source, tensors), value) for source, _, value in trace.gradients if source is not None]
    for tensor, value in targets:
        tensor.grad = give(value)
    for cell, value in trace.writes:
        new = give(value)
        if isinstance(cell.holder, dict):
            cell.holder[cell.key] = new
        else:
            setattr(cell.holder, cell.key, new)
    return give(trace.result)


