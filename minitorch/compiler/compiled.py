"""``minitorch.compile``: a step that is traced once and then runs as one program."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import ContextDecorator
from dataclasses import dataclass
from threading import local
from types import FunctionType, MethodType
from typing import Any
from weakref import WeakSet

import numpy as np

from ..autodiff import grad_mode
from ..cells import tracing
from ..errors import BackendError, CompileError
from ..fast_ops import FastBackend
from ..tensor import Tensor
from .graph import Graph, Ref
from .guard.guards import Guards
from .guard.places import is_plain
from .pipeline import run_passes
from .run.calls import CallWriter, as_tensor
from .run.machine import Machine
from .run.profile import Profile, measure
from .run.runtime import UNFIT, HostNumber, Input, Output, Runtime
from .trace.backend import TraceBackend
from .trace.sources import Source
from .trace.stand_ins import Number
from .trace.tracer import Tracer
from .tree import mapped

__all__ = ["Compiled", "Debug"]

# Programs that one compiled step keeps: shapes, dtypes, modes and choices that it has met.
PROGRAMS = 16
# Another thread may change what the step reads between its trace and the program's first run.
ATTEMPTS = 3

# Two threads that ask for a method of one object at once are given one and the same.
_binding = threading.RLock()

_living: WeakSet[Compiled] = WeakSet()


def _after_fork() -> None:
    # The threads that were inside a step, and will never leave it here, stayed behind in the parent.
    global _binding
    _binding = threading.RLock()
    for step in _living:
        step._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


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
    """One traced run of a step: what each pass made, its program, the text of a call, and what runs it."""

    passes: dict[str, Any]
    machine: Any  # a Machine, or what stands for it on a GPU
    guards: Guards
    call_source: str
    runtime: Runtime
    tensors: list[Any]  # the shapes and dtypes of the arguments
    numbers: dict[str, Any]  # that the program is for, by the names of arguments and of what the step reads


class Compiled:
    """A compiled step; see :func:`minitorch.compile`.

    Attributes:
        compile_seconds: the time spent in calls that traced and compiled a program, or loaded its kernels from disk.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn
        self.traces: list[Trace] = []  # the one that ran last comes first
        self.compile_seconds = 0.0
        self._warned = False
        self._lock = threading.RLock()
        self._bound: tuple[Compiled, Any] | None = None  # the class's own and the object, where this is its method
        _living.add(self)
        functools.update_wrapper(self, fn, updated=())

    def __get__(self, instance: Any, owner: type | None = None) -> Compiled:
        """Compile a method: each object gets programs of its own, and keeps them."""
        if instance is None or not isinstance(self.fn, FunctionType):
            return self
        # Not under the method's own name, where Python would find it and ask here no more: a copy of the object has the
        # entry too, and is another object.
        kept, key = vars(instance), f"_compiled_{id(self):x}"
        with _binding:
            made = kept.get(key)
            if made is None or made.fn.__self__ is not instance or made.fn.__func__ is not self.fn:
                made = kept[key] = Compiled(MethodType(self.fn, instance))
                made._bound = self, instance
            return made

    def __reduce__(self) -> Any:
        """Give to a copy, or to a pickle, what is compiled: programs stay behind, and the copy traces anew."""
        if self._bound is not None:
            return Compiled.__get__, self._bound
        # For a decorated function its name stands, and finds this again.
        name = getattr(self, "__qualname__", "")
        found: Any = sys.modules.get(self.__module__)
        for part in name.split("."):
            found = getattr(found, part, None)
        return name if found is self else (Compiled, (self.fn,))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program that fits the arguments; trace the step first where none does."""
        if tracing.tracer is not None or _debug.depth:
            return self.fn(*args, **kwargs)
        with self._lock:  # a step changes its parameters: one call at a time
            for trace in self.traces:
                if (result := trace.runtime.call(args, kwargs)) is not UNFIT:
                    if trace is not self.traces[0]:
                        self._put_first(trace)
                    return result
            started = time.perf_counter()
            result = self._trace_and_run(args, kwargs)
            self.compile_seconds += time.perf_counter() - started
        self._warn_of_numbers()
        return result

    def _trace_and_run(self, args: Any, kwargs: Any) -> Any:
        """Trace the step for these arguments, and run the program."""
        for _ in range(ATTEMPTS):
            trace = _make(self.fn, args, kwargs)
            self._put_first(trace)
            result = trace.runtime.call(args, kwargs)  # compiles what is new
            if result is not UNFIT:
                return result
        raise CompileError(
            "the program does not fit the call that it was traced for: something that the step reads is different "
            "each time it is looked at, or another thread changes it. Read it outside and pass it in, or run "
            "inside `with minitorch.debug():`."
        )

    def _put_first(self, trace: Trace) -> None:
        """Try this trace first in the next call, and forget the one that ran longest ago where there are too many."""
        self.traces = [trace, *[other for other in self.traces if other is not trace]][:PROGRAMS]

    def _warn_of_numbers(self) -> None:
        """Warn once, where the programs differ in nothing but a number: each call traces and none is met again."""
        newest = self.traces[0]
        if self._warned or len(self.traces) < PROGRAMS or any(t.tensors != newest.tensors for t in self.traces):
            return
        for name in newest.numbers:
            if len({trace.numbers.get(name) for trace in self.traces}) == PROGRAMS:
                self._warned = True
                step = getattr(self.fn, "__name__", type(self.fn).__name__)
                warnings.warn(
                    f"the compiled step {step!r} was traced {PROGRAMS} times, each time for another value of `{name}`: "
                    "a Python integer, and a number whose value the step looks at, are part of a program. Pass it as a "
                    "float that the step only computes with, or as a tensor.",
                    RuntimeWarning,
                    stacklevel=3,
                )
                return

    def _newest(self) -> Trace:
        if not self.traces:
            raise CompileError("the step has not run yet, so there is no program. Call it once with real arguments.")
        return self.traces[0]

    @property
    def source(self) -> str:
        """The Python text of the program that ran last."""
        return self._newest().machine.program.source

    @property
    def call_source(self) -> str:
        """The Python text of what a call does around the program that ran last; see :mod:`.run.calls`."""
        return self._newest().call_source

    @property
    def graph(self) -> Graph:
        """The graph of the program that ran last, after all passes; :attr:`passes` has it after each."""
        passes = self._newest().passes
        return passes["split"].graph if "split" in passes else passes["lay out"]  # a GPU splits nothing

    @property
    def passes(self) -> dict[str, Any]:
        """What each pass made, by its name: all can be printed; see :func:`~minitorch.compiler.pipeline.run_passes`."""
        return self._newest().passes

    def profile(self, *args: Any, rounds: int = 20, **kwargs: Any) -> Profile:
        """Time every kernel of the program that runs for these arguments, on one core.

        The step itself runs once, as in any call; the kernels are timed on copies of what it left.

        Args:
            args: the step's arguments.
            rounds: how often each kernel runs; its time is the median.
            kwargs: the step's arguments.

        Returns:
            A table: printed, it shows for each kernel its time and its speed.
        """
        if _debug.depth:
            raise CompileError("inside debug() nothing is compiled, so there are no kernels to time. Leave it first.")
        with self._lock:  # another thread's call borrows the memory that is copied
            self(*args, **kwargs)
            trace = self._newest()
            memory = None if trace.runtime.backend.cuda else trace.runtime.copy_of_last()
        if memory is None:
            raise BackendError(
                "a profile is of kernels on a CPU's core, and this program's run on a GPU. Time them by NVIDIA's "
                "tools, as in `nsys profile python train.py`; print(step.source) shows what is launched."
            )
        return measure(trace.machine, memory, rounds)

    def __repr__(self) -> str:
        return f"Compiled({getattr(self.fn, '__name__', self.fn)!r}, {len(self.traces)} programs)"


# --- arguments and results -------------------------------------------------------------------------------------------


def _take_apart(value: Any, tensors: list[Source], numbers: list[float], arrays: dict[int, Tensor]) -> None:
    """Take the tensors and floats out of nested arguments; an array that is met again is one tensor, by its id."""
    if isinstance(value, Tensor):
        tensors.append(Source("argument", value, len(tensors)))
    elif isinstance(value, np.ndarray):
        like = arrays.setdefault(id(value), as_tensor(value))
        tensors.append(Source("argument", like, len(tensors), array=True))
    elif type(value) is float:
        numbers.append(value)
    elif isinstance(value, (list, tuple, dict)):
        for element in value.values() if isinstance(value, dict) else value:
            _take_apart(element, tensors, numbers, arrays)
    else:
        try:
            hash(value)
        except TypeError:
            raise CompileError(
                "a compiled step takes tensors, arrays, numbers, text, and lists, tuples and dictionaries of them; got "
                f"{type(value).__name__}. Let the step refer to it from outside instead."
            ) from None


def _rebuild(value: Any, tensors: list[Any], numbers: list[Any]) -> Any:
    """Put stand-ins in the place of tensors and floats, in the order in which :func:`_take_apart` took them."""

    def stand_in(value: Any) -> Any:
        if isinstance(value, (Tensor, np.ndarray)):
            return tensors.pop(0)
        return numbers.pop(0) if type(value) is float else value

    return mapped(stand_in, value)


def _make(fn: Callable[..., Any], args: Any, kwargs: Any) -> Trace:
    """Trace a step and compile it."""
    arguments: list[Source] = []
    floats: list[float] = []
    _take_apart((args, kwargs), arguments, floats, {})
    tracer = Tracer()
    guards = Guards.before(fn, (args, kwargs))
    tracing.tracer = tracer
    before = grad_mode.enabled
    try:
        stand_ins = [tracer.adopt(source.like, source) for source in arguments]
        symbols = [tracer.number_argument(x, i) for i, x in enumerate(floats)]
        new_args, new_kwargs = _rebuild((args, kwargs), list(stand_ins), list(symbols))
        result = guards.run(fn, new_args, new_kwargs)
        tracer.open = False
        collected = _Collected(tracer)
        returned = collected.take(result)
        writes = [(cell, collected.take(cell.now)) for cell in tracer.cells.values() if cell.written]
        gradients = _gradients(tracer, collected)
        guards.after(tracer)
    finally:
        tracing.tracer = None
        tracer.open = False
        grad_mode.enabled = before
    tracer.settle()
    tensors = [source.like for source in arguments]
    states = {value.index for _, value in writes if isinstance(value, Output)}
    tracer.graph.outputs = collected.refs
    passes, machine, make_runtime = _built(tracer, _batch(tensors), states)
    writer = CallWriter(tracer, machine.program)
    writer.write((args, kwargs), returned, writes, gradients)
    runtime = make_runtime(machine, tracer.sources, writer.outputs)
    runtime.step = writer.made(guards.hold, runtime)
    shapes = [(tensor.shape, tensor.dtype) for tensor in tensors]
    places = dict(tracer.number_arguments)
    read = {f"float argument {places[name]}": value for name, (value, _) in tracer.fixed.items() if name in places}
    numbers = {**guards.numbers, **_numbers(fn, args, kwargs), **read}
    return Trace(passes, machine, guards, str(writer.text), runtime, shapes, numbers)


def _numbers(fn: Callable[..., Any], args: Any, kwargs: Any) -> dict[str, Any]:
    """Name the numbers among the arguments that are part of a program: all but floats."""
    try:
        named = inspect.signature(fn).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):  # no signature
        named = {"args": args, **kwargs}
    found: dict[str, Any] = {}

    def look(value: Any, name: str) -> None:
        if isinstance(value, dict):
            for key, element in value.items():
                look(element, f"{name}[{key!r}]")
        elif isinstance(value, (list, tuple)):
            for i, element in enumerate(value):
                look(element, f"{name}[{i}]")
        elif isinstance(value, (int, np.number)) and is_plain(value):
            found[name] = value

    for name, value in named.items():
        look(value, name)
    return found


class _Collected:
    """The outputs of a program: every traced tensor that the step returns, or writes somewhere."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self.refs: list[Ref] = []
        self.known: dict[Any, int] = {}

    def take(self, value: Any) -> Any:
        """Replace traced values by what stands for them in every later call."""
        return mapped(self._taken, value)

    def _taken(self, value: Any) -> Any:
        if type(value) is Number:
            return HostNumber(value._name)
        if isinstance(value, Tensor):
            if value.backend is (self.tracer.backend or FastBackend):
                (value,) = self.tracer.lift((value,))  # handed on as it is: the guards have to know
            elif value.backend is not TraceBackend:
                return value
            if (source := self.tracer.source_of(value)) is not None:
                return Input(source.number)
            ref = self.tracer.ref(value)
            if ref.key() not in self.known:
                self.known[ref.key()] = len(self.refs)
                self.refs.append(ref)
            grad = "constant" if value.history is None else "leaf" if value.history.last_fn is None else "made"
            return Output(self.known[ref.key()], value.shape, value.dtype, grad)
        return value


def _gradients(tracer: Tracer, collected: _Collected) -> list[tuple[Source, Any]]:
    """List the tensors from outside whose gradient the step sets: where they are, and what they receive."""
    changed = []
    for leaf in tracer.leaves:
        if leaf.cell is not None and leaf.cell.written and leaf.cell.now is not leaf.traced:
            continue  # replaced: nobody looks at the old value's gradient
        if leaf.traced.grad is not leaf.gradient:
            source = tracer.source_of(leaf.tensor)
            assert source is not None
            changed.append((source, None if leaf.traced.grad is None else collected.take(leaf.traced.grad)))
    return changed


def _batch(tensors: list[Tensor]) -> int:
    """Find the size of the batch: dimension 0 of the largest argument."""
    with_batch = [t for t in tensors if t.dims]
    return max(with_batch, key=lambda t: t.size).shape[0] if with_batch else 0


def _built(tracer: Tracer, batch: int, states: set[int]) -> tuple[dict[str, Any], Any, Callable[..., Runtime]]:
    """Make the program, for the backend that the step's tensors are on.

    Args:
        tracer: the traced step.
        batch: the size of the batch.
        states: the outputs that stay for the next call, such as parameters.

    Returns:
        What each pass made, what runs the program, and what makes its runtime.
    """
    if tracer.backend is not None and tracer.backend.cuda:
        from .cuda import build  # on first use: it loads CUDA

        return build(tracer.graph, states, tracer.backend)
    passes, program = run_passes(tracer.graph, batch, states)
    return passes, Machine(program), Runtime
