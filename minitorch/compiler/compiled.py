"""``minitorch.compile``: a step that is traced once and then runs as one program."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextlib import ContextDecorator
from dataclasses import dataclass
from threading import local
from types import MethodType
from typing import Any

import numpy as np

from ..autodiff import grad_mode
from ..cells import tracing
from ..errors import CompileError
from ..fast_ops import FastBackend
from ..kernels import elements
from ..tensor import Tensor
from ..tensor_data import TensorData
from .emit import emit
from .fuse import fuse, inlined, lay_out
from .graph import Graph, Ref
from .guards import Guards
from .machine import Machine
from .profile import Profile, measure
from .program import Program
from .runtime import Argument, HostNumber, Output, Runtime
from .simplify import drop_dead, simplify
from .split import split
from .trace import Number, Source, TracedData, Tracer
from .tree import mapped

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


@dataclass
class Trace:
    """One traced run of a step: the graph after each pass, its program, and what runs it."""

    passes: dict[str, Graph]
    machine: Machine
    guards: Guards
    runtime: Runtime


class Compiled:
    """A compiled step; see :func:`minitorch.compile`."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn
        self.traces: dict[Any, list[Trace]] = {}
        self._lock = threading.RLock()
        self._last: Trace | None = None
        functools.update_wrapper(self, fn, updated=())

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Compiled:
        """Compile a method: each object gets programs of its own, and keeps them."""
        if instance is None:
            return self
        vars(instance)[self._name] = compiled = Compiled(MethodType(self.fn, instance))
        return compiled

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program that fits the arguments; trace the step first where none does."""
        if tracing.tracer is not None or _debug.depth:
            return self.fn(*args, **kwargs)
        tensors: list[Tensor] = []
        floats: list[float] = []
        key = (*[_flatten(arg, tensors, floats) for arg in args], grad_mode.enabled)
        if kwargs:
            key = (*key, _flatten(kwargs, tensors, floats))
        with self._lock:  # a step changes its parameters: one call at a time
            for trace in self.traces.get(key, ()):
                if trace.guards.hold():
                    ran, result = trace.runtime.call(tensors, floats)
                    if ran:
                        self._last = trace
                        return result
            ran, result = self._trace(key, args, kwargs).runtime.call(tensors, floats)
        assert ran, "a program fits the call that it was traced for"
        return result

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
        return self._newest().machine.program.source

    @property
    def graph(self) -> Graph:
        """The graph of the program that ran last, after all passes; :attr:`passes` has it after each."""
        return list(self._newest().passes.values())[-1]

    @property
    def passes(self) -> dict[str, Graph]:
        """The graph after each pass, by the pass's name."""
        return self._newest().passes

    def profile(self, *args: Any, rounds: int = 20, **kwargs: Any) -> Profile:
        """Time every kernel of the program that runs for these arguments, on one core.

        The step itself runs once, as in any call; the kernels are timed on what it left in memory.

        Args:
            args: the step's arguments.
            rounds: how often each kernel runs; its time is the median.
            kwargs: the step's arguments.

        Returns:
            A table: printed, it shows for each kernel its time and its speed.
        """
        if _debug.depth:
            raise CompileError("inside debug() nothing is compiled, so there are no kernels to time. Leave it first.")
        self(*args, **kwargs)
        trace = self._newest()
        return measure(trace.machine, trace.runtime.memories[-1], rounds)

    def __repr__(self) -> str:
        return f"Compiled({getattr(self.fn, '__name__', self.fn)!r}, {sum(map(len, self.traces.values()))} programs)"


# --- arguments and results -------------------------------------------------------------------------------------------


def _flatten(value: Any, tensors: list[Tensor], numbers: list[float]) -> Any:
    """Take the tensors and floats out of nested arguments, and give what is left: the key of a program."""
    if isinstance(value, Tensor):
        # Its place among the arguments tells x * y from x * x.
        same = next((i for i, t in enumerate(tensors) if t is value), -1)
        tensors.append(value)
        data = value._tensor
        return data.shape, data._storage.dtype.num, same, value.history is None, value.grad is None
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

    def stand_in(value: Any) -> Any:
        if isinstance(value, (Tensor, np.ndarray)):
            return tensors.pop(0)
        return numbers.pop(0) if type(value) is float else value

    return mapped(stand_in, value)


def _make(fn: Callable[..., Any], args: Any, kwargs: Any) -> Trace:
    """Trace a step and compile it."""
    tensors: list[Tensor] = []
    floats: list[float] = []
    _flatten((args, kwargs), tensors, floats)
    tracer = Tracer()
    guards = Guards.before(fn, (args, kwargs))
    tracing.tracer = tracer
    before = grad_mode.enabled
    try:
        stand_ins = [tracer.adopt(t, Source("argument", t, i)) for i, t in enumerate(tensors)]
        symbols = [tracer.number_argument(x, i) for i, x in enumerate(floats)]
        new_args, new_kwargs = _rebuild((args, kwargs), list(stand_ins), list(symbols))
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
    machine = Machine(program)
    numbers = _host(tracer, program, collected)
    return Trace(passes, machine, guards, Runtime(tracer, machine, returned, writes, gradients, numbers))


class _Collected:
    """The outputs of a program: every traced tensor that the step returns, or writes somewhere."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self.refs: list[Ref] = []
        self.known: dict[Any, int] = {}
        self.numbers: list[str] = []

    def take(self, value: Any) -> Any:
        """Replace traced values by what stands for them in every later call."""
        return mapped(self._taken, value)

    def _taken(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            if not isinstance(value._tensor, TracedData):
                return value
            for original, stand_in in self.tracer._stand_ins.values():
                if stand_in is value:
                    places = [s.index for s in self.tracer.sources if s.kind == "argument" and s.like is original]
                    return Argument(places[0]) if places else original
            ref = self.tracer.ref(value)
            if ref.key() not in self.known:
                self.known[ref.key()] = len(self.refs)
                self.refs.append(ref)
            grad = "constant" if value.history is None else "leaf" if value.history.last_fn is None else "made"
            return Output(self.known[ref.key()], value.shape, value.dtype, grad)
        if isinstance(value, Number):
            if value.name not in self.numbers:
                self.numbers.append(value.name)
            return HostNumber(self.numbers.index(value.name))
        return value


def _gradients(tracer: Tracer, collected: _Collected) -> list[tuple[Source, Any]]:
    """List the tensors from outside whose gradient the step sets: where they are, and what they receive."""
    changed = []
    for leaf in tracer.leaves:
        if leaf.cell is not None and leaf.cell.written and leaf.cell.now is not leaf.traced:
            continue  # replaced: nobody looks at the old value's gradient
        if leaf.traced.grad is not leaf.gradient:
            source = next(s for s in tracer.sources if s.like is leaf.tensor)
            changed.append((source, None if leaf.traced.grad is None else collected.take(leaf.traced.grad)))
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
