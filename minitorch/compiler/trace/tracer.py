"""Run a step once on tensors that hold no numbers, and write down every operation (pass 1).

A traced tensor is an ordinary :class:`~minitorch.tensor.Tensor` on a backend of its own (``trace_ops.py``), whose data
is a walk through a node of a :class:`~minitorch.compiler.graph.Graph` (``stand_ins.py``). So the library's own
functions run unchanged, forward, backward and the optimiser's update, and each backend operation that they call becomes
a node.

What the step reads from outside becomes an input of the program, looked up anew in every call: its arguments, the
tensors that it refers to, and cells (see :mod:`minitorch.cells`). Numbers read from cells stay symbols, and the
arithmetic on them is written down as Python. What the step decides by becomes a guard. What the program could not
repeat is refused, with the line where it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from ...autodiff import grad_mode
from ...cells import look
from ...errors import BackendError, CompileError
from ...fast_ops import FastBackend
from ...kernels import elements
from ...random import Generator
from ...tensor import Tensor
from ...tensor_data import TensorData
from ...tensor_functions import History
from ...tensor_ops import TensorBackend
from ..graph import Graph, Node, Ref
from .backend import TraceBackend, where
from .sources import Cell, Draws, Leaf, Source
from .stand_ins import Number, Stream, TracedArray, TracedData

__all__ = ["ARRAY_LIMIT", "Tracer"]

# Bytes of a NumPy array that a step may use; its guards compare them in every call.
ARRAY_LIMIT = 1 << 16


@dataclass
class Tracer:
    """Records one run of a step."""

    graph: Graph = field(default_factory=Graph)
    sources: list[Source] = field(default_factory=list)
    cells: dict[tuple[int, str], Cell] = field(default_factory=dict)
    leaves: list[Leaf] = field(default_factory=list)
    draws: list[Draws] = field(default_factory=list)
    # The arithmetic on numbers: (name, Python expression), and the cells that numbers are read from.
    lines: list[tuple[str, str]] = field(default_factory=list)
    number_cells: list[tuple[str, Any, str, int]] = field(default_factory=list)  # name, holder, key, index or -1
    number_arguments: list[tuple[str, int]] = field(default_factory=list)
    # What of them was asked for: the value, and how many lines were there then.
    fixed: dict[str, tuple[Any, int]] = field(default_factory=dict)
    choices: list[tuple[Any, str, Callable[[Any], Any], Any]] = field(default_factory=list)
    met_again: list[tuple[Tensor, Source]] = field(default_factory=list)  # tensors with a stand-in, elsewhere
    open: bool = True
    backend: TensorBackend | None = None  # of the tensors from outside
    _stand_ins: dict[int, tuple[Any, Tensor]] = field(default_factory=dict)
    _sources: dict[int, Source] = field(default_factory=dict)  # of tensors from outside, and of their stand-ins, by id
    _expressions: dict[str, str] = field(default_factory=dict)  # the names of what is in ``lines``
    _operands: dict[Any, Tensor] = field(default_factory=dict)

    # --- refusing --------------------------------------------------------------------------------------------

    def refuse(self, why: str) -> NoReturn:
        """Raise, naming the line of the user's code."""
        raise CompileError(f"{why}{where()}")

    def refuse_reading(self) -> NoReturn:
        """Raise because the value of a traced tensor was asked for."""
        if not self.open:
            self.refuse(
                "this tensor was only traced and never held numbers: a compiled step left it behind, in an attribute "
                "or a list. Return it from the step, or run the step inside `with minitorch.debug():`."
            )
        self.refuse(
            "a compiled step cannot read the value of a tensor: the step is traced once, without numbers, and the "
            "choice would be frozen. Return the tensor and look at it outside, write the choice with tensor functions "
            "(a comparison gives 1.0 or 0.0 to multiply by), or run inside `with minitorch.debug():`."
        )

    def check_array(self, array: npt.NDArray[Any], name: str) -> None:
        """Raise where a step uses an array that is too large to be compared in every call."""
        if array.nbytes > ARRAY_LIMIT:
            self.refuse(
                f"a compiled step uses the NumPy array `{name}` of {array.nbytes} bytes. Its numbers would be frozen, "
                f"and beyond {ARRAY_LIMIT} bytes nobody notices when they change. Pass the array, or what is needed "
                "of it, to the step as an argument, or make a tensor of it outside."
            )

    # --- tensors from outside --------------------------------------------------------------------------------

    def wrap(self, ref: Ref | Node) -> Tensor:
        """Make a traced tensor of a walk."""
        return Tensor(TracedData(ref.ref() if isinstance(ref, Node) else ref, self), backend=TraceBackend)

    def adopt(self, tensor: Tensor, source: Source, cell: Cell | None = None) -> Tensor:
        """Give the stand-in for a tensor from outside: a new input, unless it has one."""
        if (known := self._stand_ins.get(id(tensor))) is not None:
            self.met_again.append((tensor, source))
            return known[1]
        if not source.array:
            self._check_backend(tensor.backend)
        if tensor.history is not None and tensor.history.last_fn is not None and grad_mode.enabled:
            self.refuse(
                "the step uses a tensor whose history was recorded outside, and gradients would have to leave the "
                "program. Compute it inside the step, or pass t.detach()."
            )
        traced = self.wrap(self._input(source))
        if source.array:
            traced = TracedArray(traced._tensor, backend=TraceBackend)
        self._stand_ins[id(tensor)] = (tensor, traced)  # both are kept, so that their ids stay their own
        self._sources[id(tensor)] = self._sources[id(traced)] = source
        if cell is not None:
            cell.source = source
        if tensor.is_leaf():
            traced.history = History()
            gradient = None
            if tensor.grad is not None:
                gradient = self.adopt(tensor.grad, Source("gradient", tensor.grad, holder=source))
                traced.grad = gradient
            self.leaves.append(Leaf(tensor, traced, gradient, cell))
        return traced

    def _input(self, source: Source) -> Node:
        """Make an input of the program of what is at a source."""
        source.number = len(self.sources)
        self.sources.append(source)
        return self.graph.add("input", (), (source.number, source.kind), source.like.shape, source.like.dtype)

    def source_of(self, tensor: Tensor) -> Source | None:
        """Find where a tensor from outside, or the one that a stand-in stands for, is found in every call."""
        return self._sources.get(id(tensor))

    def is_array(self, value: Any) -> bool:
        """Tell whether a value stands for a NumPy array among the arguments."""
        source = self.source_of(value)
        return source is not None and source.kind == "argument" and source.array

    def on(self, array: Tensor, backend: TensorBackend) -> Tensor:
        """Make the tensor on a backend that is made of such an array."""
        self._check_backend(backend)
        return array.detach()

    def _check_backend(self, backend: TensorBackend) -> None:
        """Let the first tensor from outside say where the program runs, and hold the others to it."""
        if backend is TraceBackend:
            return
        if self.backend is None and (backend is FastBackend or backend.cuda):
            self.backend = backend
        if self.backend is None:
            raise BackendError(
                f"minitorch.compile runs on {FastBackend} and on a GPU, got a tensor on {backend}. Make it with "
                "backend=minitorch.FastBackend, or move it with t.to(minitorch.FastBackend)."
            )
        if backend is not self.backend:
            wanted = "minitorch.FastBackend" if self.backend is FastBackend else "backend"
            raise BackendError(
                f"the tensors of a compiled step are on one backend: this one's are on {self.backend}, got one on "
                f"{backend}. Make it with backend={wanted}, or move it with t.to({wanted})."
            )

    def settle(self) -> None:
        """Move the constants that were made on the way to where the program runs."""
        for source in self.sources:
            if source.kind == "tensor" and source.array and self.backend not in (None, FastBackend):
                source.holder = source.like = source.like.to(self.backend)

    def lift(self, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """Replace tensors from outside, and what stands for arrays, among the inputs of a function."""
        return tuple(map(self._lifted, inputs))

    def _lifted(self, x: Any) -> Any:
        if type(x) is TracedArray:
            return Tensor(x._tensor, backend=TraceBackend)
        if isinstance(x, Tensor) and x.backend is not TraceBackend:
            return self.adopt(x, Source("tensor", x, holder=x))
        return x

    def ref(self, tensor: Tensor) -> Ref:
        """Find how to read a tensor."""
        (tensor,) = self.lift((tensor,))
        data = tensor._tensor
        if isinstance(data, TracedData):
            if data.tracer is not self:
                data.tracer.refuse_reading()
            return data.ref
        # Numbers, zeros and ones that the library's functions made on the way.
        values = data._storage
        if values.size and (values == values[0]).all():
            node = self.graph.add("constant", (), (values[0].item(),), (), data.dtype)
            return Ref(node, data.shape, (0,) * data.dims)
        fixed = Tensor(TensorData.from_array(np.ascontiguousarray(data.array)), backend=FastBackend)
        return self._input(Source("tensor", fixed, holder=fixed, array=True)).ref()

    # --- cells -----------------------------------------------------------------------------------------------

    def _cell(self, holder: Any, key: str) -> Cell:
        known = self.cells.get((id(holder), key))
        if known is None:
            value = look(holder, key)
            known = self.cells[id(holder), key] = Cell(holder, key, None)
            known.now = self._stand_in(value, known)
        return known

    def _stand_in(self, value: Any, cell: Cell) -> Any:
        if isinstance(value, Tensor):
            return self.adopt(value, Source("cell", value, holder=cell.holder, key=cell.key), cell)
        if isinstance(value, tuple) and value and all(_is_number(v) for v in value):
            return tuple(self._number_from_cell(v, cell, i) for i, v in enumerate(value))
        if _is_number(value):
            return self._number_from_cell(value, cell, -1)
        if value is None or isinstance(value, (bool, str, tuple)):
            self.choices.append((cell.holder, cell.key, _same, value))
            return value
        self.refuse(
            f"a compiled step trains tensors, but the cell {cell.key!r} holds a {type(value).__name__}. Make the "
            "parameter a tensor on minitorch.FastBackend."
        )

    def read(self, holder: Any, key: str) -> Any:
        """Stand for the value of a cell."""
        return self._cell(holder, key).now

    def write(self, holder: Any, key: str, value: Any) -> None:
        """Remember what a cell receives; nothing is written while tracing."""
        if isinstance(holder, dict) or hasattr(holder, key):
            cell = self._cell(holder, key)
        else:
            cell = self.cells[id(holder), key] = Cell(holder, key, None)
        if type(value) is not Number and isinstance(value, Tensor):
            (value,) = self.lift((value,))
        cell.now, cell.written = value, True

    def is_set(self, holder: Any, key: str) -> bool:
        """Answer for the value as it is, and guard the answer."""
        cell = self.cells.get((id(holder), key))
        if cell is not None and cell.written:
            return bool(cell.now) if type(cell.now) is Number else cell.now is not None
        value = look(holder, key)
        answer = _truth(value)
        self.choices.append((holder, key, _truth, answer))
        return answer

    # --- numbers ---------------------------------------------------------------------------------------------

    def _name(self) -> str:
        return f"n{len(self.lines) + len(self.number_cells) + len(self.number_arguments)}"

    def _number_from_cell(self, value: Any, cell: Cell, index: int) -> Number:
        number = Number(self, self._name(), value)
        self.number_cells.append((number._name, cell.holder, cell.key, index))
        return number

    def number_argument(self, value: float, index: int) -> Number:
        """Stand for a float among the arguments."""
        number = Number(self, self._name(), value)
        self.number_arguments.append((number._name, index))
        return number

    def host(self, expression: str, value: float) -> Number:
        """Write down arithmetic on numbers."""
        self._require_open()
        if expression in self._expressions:
            return Number(self, self._expressions[expression], value)
        number = Number(self, self._name(), value)
        self._expressions[expression] = number._name
        self.lines.append((number._name, expression))
        return number

    def fix(self, number: Number) -> Any:
        """Give the value of a number, and guard it."""
        self._require_open()
        self.fixed.setdefault(number._name, (number._value, len(self.lines)))
        return number._value

    def fix_type(self, number: Number) -> None:
        """Guard the type of a number, while the step runs; that of an argument is guarded already."""
        if self.open and number._name not in dict(self.number_arguments):
            self.fixed.setdefault(f"type({number._name})", (type(number._value), len(self.lines)))

    def _require_open(self) -> None:
        if not self.open:
            self.refuse(
                "this number was only traced and stands for another one in each call: a compiled step left it behind, "
                "in an attribute, a set or an object. Return it from the step, alone or in a list, a tuple or a "
                "dictionary, or write float(number) where it is to be one number."
            )

    def number_operand(self, number: Number, like: Tensor) -> Tensor:
        """Make a tensor of one element of a number."""
        self._require_open()
        shape = (1,) if like.dims else ()
        key = number._name, like.dtype, shape
        if key not in self._operands:
            self._operands[key] = self.wrap(self.graph.add("number", (), (number._name,), shape, like.dtype))
        return self._operands[key]

    def full(self, shape: Sequence[int], number: Number, dtype: Any, backend: TensorBackend) -> Tensor:
        """Stand for a tensor that holds a number everywhere."""
        self._check_backend(backend)
        node = self.graph.add("number", (), (number._name,), (), dtype)
        return self.wrap(Ref(node, tuple(shape), (0,) * len(shape)))

    # --- random streams --------------------------------------------------------------------------------------

    def next_stream(self, generator: Generator) -> tuple[Any, Any]:
        """Name the next stream of a generator; each call of the program reserves as many as the step used."""
        known = [draws.generator is generator for draws in self.draws]
        number = known.index(True) if True in known else len(known)
        if number == len(known):
            self.draws.append(Draws(generator))
        draws = self.draws[number]
        draws.count += 1
        stream = Stream(number, draws.count - 1)
        return stream, stream

    def uniform(self, generator: Generator, shape: Sequence[int], dtype: Any, backend: TensorBackend) -> Tensor:
        """Stand for what each call draws by ``generator.uniform(shape, dtype)``."""
        self._check_backend(backend)
        stream, _ = self.next_stream(generator)
        return self.wrap(self.graph.add("uniform", (), (stream,), shape, dtype))

    def normal(self, generator: Generator, shape: Sequence[int], dtype: Any, backend: TensorBackend) -> Tensor:
        """Stand for what each call draws by ``generator.normal(shape, dtype)``."""
        u, v = (self.ref(self.uniform(generator, shape, np.float64, backend)) for _ in range(2))
        return self.wrap(self.graph.add("zip", (u, v), (elements.normal,), shape, dtype))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _truth(value: Any) -> bool:
    return value is not None and bool(value) if not isinstance(value, Tensor) else True


def _same(value: Any) -> Any:
    return value
