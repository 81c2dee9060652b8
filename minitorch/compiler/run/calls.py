"""Write the Python function that a call of a compiled step runs: straight-line code, made for one trace.

Around a program that takes ten microseconds, loops over arguments and parameters would take thirty. This is the whole
function of a step that moves one weight along its gradient. ``x0`` is the argument, ``t1`` the weight, ``n0`` the
learning rate; ``m0`` and ``m1`` are the tensors that come out::

    def call(memory, args, kwargs):
        if grad_mode.enabled is not True: return UNFIT
        # arguments
        if type(args) is not tuple or len(args) != 1: return UNFIT
        [x0] = args
        if type(kwargs) is not dict or len(kwargs) != 0: return UNFIT
        if not hold(): return UNFIT
        # tensors
        seen, table, turns = memory.seen, memory.table, memory.turns
        if x0 is not seen[0] and not bind(memory, 0, x0): return UNFIT
        if x0.history is not None or x0.grad is not None: return UNFIT
        t1 = holder_0._value
        if t1 is not seen[1] and not bind(memory, 1, t1): return UNFIT
        if t1.history is None or t1.grad is not None: return UNFIT
        # numbers
        n0 = holder_1.get('lr')
        n1 = -n0
        memory.numbers[0] = n1
        # outputs
        m0 = turns[0].next()
        table[2] = turns[0].address
        m1 = turns[1].next()
        table[3] = turns[1].address
        run(memory)
        # results
        holder_0._value = seen[1] = m1
        table[1] = turns[1].address
        return m0

Everything up to the numbers only looks: where something is not as it was traced, the function leaves with ``UNFIT``.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from functools import partial
from math import inf, nan
from types import BuiltinMethodType, MethodType
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autodiff import grad_mode
from ...fast_ops import FastBackend
from ...tensor import Tensor
from ...tensor_data import TensorData
from ...tensor_ops import TensorBackend
from ..guard.places import same
from ..tree import filled, mapped
from ..written import WrittenFunction
from .runtime import UNFIT, HostNumber, Input, Output, Runtime, again

if TYPE_CHECKING:
    from ..emit.program import Program
    from ..trace.sources import Cell, Source
    from ..trace.tracer import Tracer

__all__ = ["CallWriter"]

# Types of arguments that are compared by their values, and of those that are equal only where they are one.
NUMBERS_AND_TEXTS = (int, float, complex, bool, str, bytes, range, type(None))
METHODS = (MethodType, BuiltinMethodType)


class CallWriter:
    """Writes the function of one trace.

    Args:
        tracer: what the step reads from outside.
        program: what the function runs.

    Attributes:
        text: the function.
        outputs: what stands for each output of the program.
    """

    def __init__(self, tracer: Tracer, program: Program) -> None:
        self.tracer, self.program = tracer, program
        self.outputs: dict[int, Output] = {}
        self.places = {number: place for place, number in enumerate(program.inputs)}  # of sources, in the table
        self.text = WrittenFunction(
            "def call(memory, args, kwargs):",
            UNFIT=UNFIT,
            grad_mode=grad_mode,
            inf=inf,
            nan=nan,
            float64=np.float64,
            same=same,
            filled=filled,
        )
        # The arguments that are tensors or arrays, the shapes of the arrays among them, and those that are floats.
        self._tensors: list[str] = []
        self._arrays: dict[str, tuple[int, ...]] = {}
        self._floats: list[str] = []
        self._arguments = 0

    def write(
        self,
        arguments: tuple[tuple[Any, ...], dict[str, Any]],
        result: Any,
        writes: Sequence[tuple[Cell, Any]],
        gradients: Sequence[tuple[Source, Any]],
    ) -> None:
        """Write the function.

        Args:
            arguments: what the step was traced with.
            result: what it returns, with stand-ins for what is computed in each call.
            writes: the cells that it sets, and to what.
            gradients: the sources of the tensors whose gradient it sets, and to what.
        """
        mapped(self._meet, [result, [value for _, value in writes], [value for _, value in gradients]])
        self._unfit_if(f"grad_mode.enabled is not {grad_mode.enabled}")
        self.text.add("# arguments")
        for value, name in zip(arguments, ("args", "kwargs"), strict=True):
            self._argument(value, name)
        self._unfit_if("not hold()")
        self._find_tensors()
        self._compute_numbers()
        self._draw_streams()
        self.text.add("# outputs")
        for i in range(len(self.program.outputs)):
            self.text.add(f"m{i} = turns[{i}].next()", f"table[{len(self.program.inputs) + i}] = turns[{i}].address")
        self.text.add("run(memory)", "# results")
        for source, value in gradients:
            self.text.add(f"{self._tensor(source)}.grad = {self._given(value)}")
        for cell, value in writes:
            self._write(cell, value)
        self.text.add(f"return {self._given(result)}")

    def made(self, hold: Callable[[], bool], runtime: Runtime) -> Callable[..., Any]:
        """Make the function."""
        run, bind, bind_array = runtime.machine.run, runtime.bind, runtime.bind_array
        wrap = partial(as_tensor, backend=runtime.backend)
        return self.text.made(hold=hold, run=run, bind=bind, bind_array=bind_array, again=again, as_tensor=wrap)

    def _unfit_if(self, condition: str) -> None:
        self.text.add(f"if {condition}: return UNFIT")

    # --- arguments -----------------------------------------------------------------------------------------------

    def _argument(self, value: Any, name: str) -> None:
        """Check one argument, and take a nest of them apart, in the order in which they were traced."""
        if isinstance(value, Tensor):
            self._tensors.append(name)
        elif isinstance(value, np.ndarray):
            self._tensors.append(name)
            self._arrays[name] = value.shape
        elif type(value) is float:
            self._floats.append(name)
            self._unfit_if(f"type({name}) is not float")
        elif isinstance(value, dict):
            self._unfit_if(f"type({name}) is not {self._kind(value)} or len({name}) != {len(value)}")
            for key, other in zip(value, self._taken_apart(name, len(value)), strict=True):
                self._unfit_if(self._is_another(other, key))
            self._elements(list(value.values()), f"{name}.values()")
        elif isinstance(value, (list, tuple)):
            self._unfit_if(f"type({name}) is not {self._kind(value)} or len({name}) != {len(value)}")
            self._elements(value, name)
        else:
            self._unfit_if(self._is_another(name, value))

    def _is_another(self, name: str, value: Any) -> str:
        """Write that something is not a value, and none that no step could tell from it."""
        like = self.text.name("value", value)
        another = f"{name} is not {like}"
        if _is_number_or_text(value):
            return f"{another} and not same({name}, {like})"
        # Equal objects may differ in what the comparison leaves out; a bound method is made anew whenever it is named.
        if isinstance(value, METHODS):
            return f"{another} and {name} != {like}"
        return another

    def _elements(self, values: Sequence[Any], text: str) -> None:
        for value, name in zip(values, self._taken_apart(text, len(values)), strict=True):
            self._argument(value, name)

    def _taken_apart(self, text: str, count: int) -> list[str]:
        """Give names to what something has in it."""
        names = [f"x{i}" for i in range(self._arguments, self._arguments + count)]
        self._arguments += count
        if names:
            self.text.add(f"[{', '.join(names)}] = {text}")
        return names

    def _kind(self, value: Any) -> str:
        kind = type(value)
        return kind.__name__ if vars(builtins).get(kind.__name__) is kind else self.text.name("kind", kind)

    # --- tensors from outside ------------------------------------------------------------------------------------

    def _find_tensors(self) -> None:
        """Look up the tensor at each source, and check that it is as it was."""
        self.text.add("# tensors", "seen, table, turns = memory.seen, memory.table, memory.turns")
        for k, source in enumerate(self.tracer.sources):
            name = self._tensor(source)
            if name in self._arrays:
                self._unfit_if(f"not bind_array(memory, {k}, {name}, {self._arrays[name]})")
                continue
            if source.kind != "argument":
                self.text.add(f"{name} = {self._place(source)}")
            self._unfit_if(f"{name} is not seen[{k}] and not bind(memory, {k}, {name})")
            history, grad = ("is not" if x is None else "is" for x in (source.like.history, source.like.grad))
            self._unfit_if(f"{name}.history {history} None or {name}.grad {grad} None")
        self._keep_apart()
        # A tensor that the step met in two places has to be in both of them again.
        also = {self._place(other): self.tracer.source_of(tensor) for tensor, other in self.tracer.met_again}
        for place, source in also.items():
            if source is not None and place != self._place(source):
                self._unfit_if(f"{place} is not {self._tensor(source)}")

    def _keep_apart(self) -> None:
        """Check that an argument is none of the tensors that it was not: ``x is y`` may have decided something.

        Only tensors of one form can be one. Those that gradients are wanted of are kept apart where they are bound.
        """
        alike: dict[Any, list[Source]] = {}
        for source in self.tracer.sources:
            like = source.like
            if like.history is None:
                alike.setdefault((source.array, like.shape, like.dtype, like.grad is None), []).append(source)
        for group in alike.values():
            if len(group) > 1 and any(source.kind == "argument" for source in group):
                ids = ", ".join(f"id({self._tensor(source)})" for source in group)
                self._unfit_if(f"len({{{ids}}}) != {len(group)}")

    def _tensor(self, source: Source) -> str:
        """Give the name of the variable for a source."""
        if source.kind == "argument":
            return self._tensors[source.index]
        return f"t{source.number}"

    def _place(self, source: Source) -> str:
        """Write where the tensor of a source is found."""
        if source.kind == "argument":
            return self._tensors[source.index]
        if source.kind == "gradient":
            return f"{self._tensor(source.holder)}.grad"
        return (
            self.text.cell(source.holder, source.key)
            if source.kind == "cell"
            else self.text.name("tensor", source.holder)
        )

    # --- numbers -------------------------------------------------------------------------------------------------

    def _compute_numbers(self) -> None:
        """Write the arithmetic on numbers, and what of it is guarded."""
        tracer = self.tracer
        if tracer.number_cells or tracer.number_arguments:
            self.text.add("# numbers")
        for name, holder, key, index in tracer.number_cells:
            self.text.add(f"{name} = {self.text.cell(holder, key)}" + (f"[{index}]" if index >= 0 else ""))
        for name, index in tracer.number_arguments:
            self.text.add(f"{name} = {self._floats[index]}")
        # Each guard stands where the step asked: what it computed later may fail for another number.
        asked = sorted(tracer.fixed.items(), key=lambda item: item[1][1])
        lines = [f"{name} = {expression}" for name, expression in tracer.lines]
        written = 0
        for text, (value, behind) in asked:
            self.text.add(*lines[written:behind])
            written = behind
            self._unfit_if(self._is_another(text, value))
        self.text.add(*lines[written:])
        self.text.add(*[f"memory.numbers[{k}] = {name}" for k, name in enumerate(self.program.numbers)])

    def _draw_streams(self) -> None:
        """Reserve the streams of random numbers that this call uses."""
        for d, draws in enumerate(self.tracer.draws):
            name = self.text.name("generator", draws.generator)
            self.text.add("# random streams", f"seed, stream = {name}.reserve({draws.count})")
            for k, stream in enumerate(self.program.streams):
                if stream.generator == d:
                    self.text.add(
                        f"memory.streams[{2 * k}] = seed", f"memory.streams[{2 * k + 1}] = stream + {stream.index}"
                    )

    # --- results -------------------------------------------------------------------------------------------------

    def _meet(self, value: Any) -> None:
        """Give each output the form in which the step uses it first."""
        if isinstance(value, Output):
            self.outputs.setdefault(value.index, value)

    def _given(self, value: Any) -> str:
        """Write what a value is in a call: a nest of stand-ins and of values that stay."""
        if isinstance(value, Output):
            same = value == self.outputs[value.index]
            return f"m{value.index}" if same else f"again(m{value.index}, {self.text.name('form', value)})"
        if isinstance(value, Input):
            name = self._tensor(self.tracer.sources[value.index])
            return f"as_tensor({name})" if name in self._arrays else name
        if isinstance(value, HostNumber):
            return value.name
        if isinstance(value, (list, tuple)):
            elements = f"[{', '.join(map(self._given, value))}]"
            make = self._kind(value) + ("._make" if hasattr(value, "_make") else "")  # of a named tuple
            return elements if type(value) is list else f"{make}({elements})"
        if isinstance(value, dict):
            pairs = [f"{self.text.name('key', k)}: {self._given(v)}" for k, v in value.items()]
            text = f"{{{', '.join(pairs)}}}"
            return text if type(value) is dict else f"filled({self.text.name('like', value)}, {text})"
        return self.text.name("value", value)

    def _write(self, cell: Cell, value: Any) -> None:
        """Set a cell; where it is a source too, the next call knows where its tensor is."""
        holder, given = self.text.name("holder", cell.holder), self._given(value)
        target = f"{holder}[{cell.key!r}]" if isinstance(cell.holder, dict) else f"{holder}.{cell.key}"
        source = cell.source
        if source is not None and source.number in self.places and given.startswith("m"):
            like, number = source.like, source.number
            if (value.shape, value.dtype) == (like.shape, like.dtype):
                self.text.add(f"{target} = seen[{number}] = {given}")
                self.text.add(f"table[{self.places[number]}] = turns[{value.index}].address")
                return
        self.text.add(f"{target} = {given}")


def _is_number_or_text(value: Any) -> bool:
    """Tell whether a value is a number, text, None, or a tuple of them, of no class that could have more to it."""
    if type(value) is tuple:
        return all(map(_is_number_or_text, value))
    return type(value) in NUMBERS_AND_TEXTS or isinstance(value, np.generic)


def as_tensor(array: Any, backend: TensorBackend = FastBackend) -> Tensor:
    """Make a tensor of an array among the arguments, which the step hands back."""
    return Tensor(TensorData.from_array(np.ascontiguousarray(array)), backend=backend)
