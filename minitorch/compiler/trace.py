"""Run a step once on tensors that hold no numbers, and write down every operation (pass 1).

A traced tensor is an ordinary :class:`~minitorch.tensor.Tensor` on a backend of its own, :class:`TraceOps`, whose data
is a walk through a node of a :class:`~minitorch.compiler.graph.Graph`. So the library's own functions run unchanged,
forward, backward and the optimiser's update, and each backend operation that they call becomes a node.

What the step reads from outside becomes an input of the program, looked up anew in every call: its arguments, the
tensors that it refers to, and cells (see :mod:`minitorch.cells`). Numbers read from cells stay symbols, and the
arithmetic on them is written down as Python. What the step decides by becomes a guard. What the program could not
repeat is refused, with the line where it stands.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt

from ..autodiff import grad_mode
from ..cells import look, tracing
from ..errors import BackendError, CompileError
from ..fast_ops import FastBackend
from ..kernels import elements
from ..random import Generator
from ..sorting import argsort_by_counting
from ..tensor import Tensor
from ..tensor_data import TensorData, shape_broadcast
from ..tensor_functions import History
from ..tensor_ops import TensorBackend, TensorOps, matmul_shape
from .graph import Graph, Node, Ref

if TYPE_CHECKING:
    from ..kernels.geometry import Space
    from ..tensor_data import UserShape

__all__ = ["ARRAY_LIMIT", "Cell", "Number", "Source", "TraceBackend", "Tracer"]

# Bytes of a NumPy array that a step may use; its guards compare them in every call.
ARRAY_LIMIT = 1 << 16

# What a tensor can be converted to in a step.
CONVERTED = tuple(np.dtype(name) for name in ("float32", "float64", "int64"))

PACKAGE = str(Path(__file__).parents[1])


# --- what a traced tensor holds ------------------------------------------------------------------------------


class _NoStorage:
    """Stands where a storage would be: it has a dtype and nothing to read."""

    __slots__ = ("dtype", "itemsize", "size", "tracer")

    def __init__(self, tracer: Tracer, dtype: np.dtype[Any], size: int) -> None:
        self.tracer, self.dtype, self.size, self.itemsize = tracer, dtype, size, dtype.itemsize

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        self.tracer.refuse_reading()

    __array__ = __getitem__ = __setitem__ = __len__ = __iter__ = _refuse


class TracedData(TensorData):
    """The data of a traced tensor: a walk through a node."""

    __slots__ = ("ref", "tracer")

    def __init__(self, ref: Ref, tracer: Tracer) -> None:
        self.ref, self.tracer = ref, tracer
        self._set(_NoStorage(tracer, ref.dtype, ref.size), ref.shape, ref.strides)  # type: ignore[arg-type]

    def _walk(self, shape: tuple[int, ...], strides: tuple[int, ...], start: int = 0) -> TensorData:
        walked = TracedData(Ref(self.ref.node, shape, strides, self.ref.start + start), self.tracer)
        walked._version = self._version
        return walked

    def _refuse(self, *_: object) -> NoReturn:
        self.tracer.refuse_reading()

    array = property(_refuse)  # type: ignore[assignment]
    flat = get = set = tuple = _refuse  # type: ignore[assignment]


class Number:
    """A number of which only the formula is fixed: a learning rate, a step count, what is computed from them.

    Arithmetic gives further numbers. Comparing one, or asking for its value, makes a guard: the step is traced again
    when the value changes.
    """

    __slots__ = ("name", "tracer", "value")

    def __init__(self, tracer: Tracer, name: str, value: float) -> None:
        self.tracer, self.name, self.value = tracer, name, value

    def as_operand(self, like: Tensor) -> Tensor:
        """Give the number the dtype and backend of a tensor that it is combined with."""
        return self.tracer.number_operand(self, like)

    def _binary(self, other: Any, write: str, compute: Callable[[Any, Any], Any]) -> Any:
        if isinstance(other, Number):
            text, value = other.name, other.value
        elif isinstance(other, (int, float)):
            text, value = f"({other!r})", other
        else:
            return NotImplemented
        return self.tracer.host(write.format(self.name, text), compute(self.value, value))

    def __add__(self, other: Any) -> Any:
        return self._binary(other, "{0} + {1}", lambda a, b: a + b)

    def __radd__(self, other: Any) -> Any:
        return self._binary(other, "{1} + {0}", lambda a, b: b + a)

    def __sub__(self, other: Any) -> Any:
        return self._binary(other, "{0} - {1}", lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Any:
        return self._binary(other, "{1} - {0}", lambda a, b: b - a)

    def __mul__(self, other: Any) -> Any:
        return self._binary(other, "{0} * {1}", lambda a, b: a * b)

    def __rmul__(self, other: Any) -> Any:
        return self._binary(other, "{1} * {0}", lambda a, b: b * a)

    def __truediv__(self, other: Any) -> Any:
        return self._binary(other, "{0} / {1}", lambda a, b: a / b)

    def __rtruediv__(self, other: Any) -> Any:
        return self._binary(other, "{1} / {0}", lambda a, b: b / a)

    def __pow__(self, other: Any) -> Any:
        return self._binary(other, "{0} ** {1}", lambda a, b: a**b)

    def __rpow__(self, other: Any) -> Any:
        return self._binary(other, "{1} ** {0}", lambda a, b: b**a)

    def __neg__(self) -> Number:
        return self.tracer.host(f"-{self.name}", -self.value)

    def _read(self) -> Any:
        return self.tracer.fix(self)

    def __float__(self) -> float:
        return float(self._read())

    def __int__(self) -> int:
        return int(self._read())

    def __index__(self) -> int:
        return self._read().__index__()

    def __bool__(self) -> bool:
        return bool(self._read())

    def __eq__(self, other: object) -> bool:
        return self._read() == (other._read() if isinstance(other, Number) else other)

    def __lt__(self, other: Any) -> bool:
        return self._read() < (other._read() if isinstance(other, Number) else other)

    def __le__(self, other: Any) -> bool:
        return self._read() <= (other._read() if isinstance(other, Number) else other)

    def __gt__(self, other: Any) -> bool:
        return self._read() > (other._read() if isinstance(other, Number) else other)

    def __ge__(self, other: Any) -> bool:
        return self._read() >= (other._read() if isinstance(other, Number) else other)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"Number({self.name} = {self.value!r})"


# --- what a step reads and writes outside ----------------------------------------------------------------------


@dataclass
class Source:
    """Where the array of an input comes from in each call.

    Attributes:
        kind: ``argument`` (number ``index`` among the tensors of the arguments), ``cell`` (the tensor in
            ``holder``'s ``key``), ``gradient`` (of the tensor ``holder``), or ``tensor`` (``holder`` itself).
        like: the tensor that was there while tracing; later ones must have its shape and dtype.
    """

    kind: str
    like: Any
    index: int = -1
    holder: Any = None
    key: str = ""


@dataclass
class Cell:
    """A cell that the step has read or written."""

    holder: Any
    key: str
    before: Any  # the value before the step
    now: Any  # what stands for it
    written: bool = False


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
    first: int = 0  # place of the seed in the program's table of seeds and streams


@dataclass(frozen=True)
class Stream:
    """Stands for a seed and a stream: number ``index`` of those that the step draws."""

    generator: int
    index: int


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
    fixed: list[tuple[str, Any]] = field(default_factory=list)  # numbers whose value was asked for
    choices: list[tuple[Any, str, Callable[[Any], Any], Any]] = field(default_factory=list)
    met_again: list[tuple[Tensor, Source]] = field(default_factory=list)  # tensors with a stand-in, elsewhere
    open: bool = True
    _stand_ins: dict[int, tuple[Any, Tensor]] = field(default_factory=dict)
    _operands: dict[Any, Tensor] = field(default_factory=dict)

    # --- refusing --------------------------------------------------------------------------------------------

    def refuse(self, why: str) -> NoReturn:
        """Raise, naming the line of the user's code."""
        raise CompileError(f"{why}{_where()}")

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
        if tensor.backend is not FastBackend:
            raise BackendError(
                f"minitorch.compile runs on {FastBackend}, got a tensor on {tensor.backend}. Make it with "
                "backend=minitorch.FastBackend, or move it with t.to(minitorch.FastBackend)."
            )
        if tensor.history is not None and tensor.history.last_fn is not None and grad_mode.enabled:
            self.refuse(
                "the step uses a tensor whose history was recorded outside, and gradients would have to leave the "
                "program. Compute it inside the step, or pass t.detach()."
            )
        node = self.graph.add("input", (), (len(self.sources), source.kind), tensor.shape, tensor.dtype)
        self.sources.append(source)
        traced = self.wrap(node)
        self._stand_ins[id(tensor)] = (tensor, traced)  # the tensor is kept, so that its id stays its own
        if tensor.is_leaf():
            traced.history = History()
            gradient = None
            if tensor.grad is not None:
                gradient = self.adopt(tensor.grad, Source("gradient", tensor.grad, holder=source))
                traced.grad = gradient
            self.leaves.append(Leaf(tensor, traced, gradient, cell))
        return traced

    def lift(self, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """Replace the tensors from outside among the inputs of a function."""
        return tuple(
            self.adopt(x, Source("tensor", x, holder=x))
            if isinstance(x, Tensor) and x.backend is not TraceBackend
            else x
            for x in inputs
        )

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
        node = self.graph.add("input", (), (len(self.sources), "tensor"), data.shape, data.dtype)
        fixed = Tensor(TensorData.from_array(np.ascontiguousarray(data.array)), backend=FastBackend)
        self.sources.append(Source("tensor", fixed, holder=fixed))
        return node.ref()

    # --- cells -----------------------------------------------------------------------------------------------

    def _cell(self, holder: Any, key: str) -> Cell:
        known = self.cells.get((id(holder), key))
        if known is None:
            value = look(holder, key)
            known = self.cells[id(holder), key] = Cell(holder, key, value, None)
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
            cell = self.cells[id(holder), key] = Cell(holder, key, None, None)
        if isinstance(value, Tensor):
            (value,) = self.lift((value,))
        cell.now, cell.written = value, True

    def is_set(self, holder: Any, key: str) -> bool:
        """Answer for the value as it is, and guard the answer."""
        cell = self.cells.get((id(holder), key))
        if cell is not None and cell.written:
            return bool(cell.now.value if isinstance(cell.now, Number) else cell.now is not None)
        value = look(holder, key)
        answer = _truth(value)
        self.choices.append((holder, key, _truth, answer))
        return answer

    # --- numbers ---------------------------------------------------------------------------------------------

    def _name(self) -> str:
        return f"n{len(self.lines) + len(self.number_cells) + len(self.number_arguments)}"

    def _number_from_cell(self, value: Any, cell: Cell, index: int) -> Number:
        number = Number(self, self._name(), value)
        self.number_cells.append((number.name, cell.holder, cell.key, index))
        return number

    def number_argument(self, value: float, index: int) -> Number:
        """Stand for a float among the arguments."""
        number = Number(self, self._name(), value)
        self.number_arguments.append((number.name, index))
        return number

    def host(self, expression: str, value: float) -> Number:
        """Write down arithmetic on numbers."""
        for name, known in self.lines:
            if known == expression:
                return Number(self, name, value)
        number = Number(self, self._name(), value)
        self.lines.append((number.name, expression))
        return number

    def fix(self, number: Number) -> Any:
        """Give the value of a number, and guard it."""
        if (number.name, number.value) not in self.fixed:
            self.fixed.append((number.name, number.value))
        return number.value

    def number_operand(self, number: Number, like: Tensor) -> Tensor:
        """Make a tensor of one element of a number."""
        shape = (1,) if like.dims else ()
        key = number.name, like.dtype, shape
        if key not in self._operands:
            self._operands[key] = self.wrap(self.graph.add("number", (), (number.name,), shape, like.dtype))
        return self._operands[key]

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


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _truth(value: Any) -> bool:
    return value is not None and bool(value) if not isinstance(value, Tensor) else True


def _same(value: Any) -> Any:
    return value


def _where() -> str:
    """Find the innermost line outside this package, as `` (file.py:12: loss.item())``."""
    for frame, line in traceback.walk_stack(sys._getframe(1)):
        path = frame.f_code.co_filename
        if not path.startswith(PACKAGE):
            text = traceback.FrameSummary(path, line, "", lookup_line=True).line
            return f" ({Path(path).name}:{line}: {text})" if text else f" ({Path(path).name}:{line})"
    return ""


# --- the backend that records ----------------------------------------------------------------------------------


def _tracer() -> Tracer:
    tracer = tracing.tracer
    if tracer is None:
        raise CompileError(
            "this tensor was only traced and never held numbers: a compiled step left it behind. Return it from the "
            f"step, or run the step inside `with minitorch.debug():`.{_where()}"
        )
    return tracer


def _record(op: str, tensors: Sequence[Tensor], args: tuple[Any, ...], shape: UserShape, dtype: Any = None) -> Tensor:
    tracer = _tracer()
    refs = [tracer.ref(t) for t in tensors]
    return tracer.wrap(tracer.graph.add(op, refs, args, shape, refs[0].dtype if dtype is None else dtype))


class TraceOps(TensorOps):
    """The contract of a backend, written down instead of computed."""

    @staticmethod
    def map(fn: Callable[[float], float]) -> Any:
        """Record ``map``."""

        def operation(a: Tensor, out: Tensor | None = None) -> Tensor:
            if out is not None:
                _tracer().refuse("a compiled step cannot write into a tensor that exists: use the function's result.")
            return _record("map", (a,), (fn,), a.shape)

        return operation

    @staticmethod
    def zip(fn: Callable[[float, float], float]) -> Callable[[Tensor, Tensor], Tensor]:
        """Record ``zip``, its operands expanded to the broadcast shape."""

        def operation(a: Tensor, b: Tensor) -> Tensor:
            tracer = _tracer()
            shape = shape_broadcast(a.shape, b.shape)
            refs = tracer.ref(a).expand(shape), tracer.ref(b).expand(shape)
            return tracer.wrap(tracer.graph.add("zip", refs, (fn,), shape, a.dtype))

        return operation

    @staticmethod
    def reduce(
        fn: Callable[[float, float], float], start: float = 0.0
    ) -> Callable[[Tensor, int | Sequence[int]], Tensor]:
        """Record ``reduce``."""

        def operation(a: Tensor, dim: int | Sequence[int]) -> Tensor:
            dims = tuple(sorted({dim} if isinstance(dim, int) else set(dim)))
            shape = tuple(1 if d in dims else n for d, n in enumerate(a.shape))
            return _record("reduce", (a,), (fn, start, dims), shape)

        return operation

    @staticmethod
    def matrix_multiply(a: Tensor, b: Tensor) -> Tensor:
        """Record ``matrix_multiply``."""
        return _record("matrix_multiply", (a, b), (), matmul_shape(a.shape, b.shape))

    @staticmethod
    def conv(input: Tensor, weight: Tensor, geometry: Space) -> Tensor:
        """Record ``conv``."""
        shape = (input.shape[0], weight.shape[0], *(g.size for g in geometry))
        return _record("conv", (input, weight), (tuple(geometry),), shape)

    @staticmethod
    def conv_weight(input: Tensor, grad: Tensor, kernel: UserShape, geometry: Space) -> Tensor:
        """Record ``conv_weight``."""
        shape = (grad.shape[1], input.shape[1], *kernel)
        return _record("conv_weight", (input, grad), (tuple(kernel), tuple(geometry)), shape)

    @staticmethod
    def max(a: Tensor, dim: int) -> tuple[Tensor, Tensor]:
        """Record ``max`` and ``max_place``."""
        shape = (*a.shape[:dim], 1, *a.shape[dim + 1 :])
        return _record("max", (a,), (dim,), shape), _record("max_place", (a,), (dim,), shape, np.int64)

    @staticmethod
    def max_pool(a: Tensor, kernel: tuple[int, int], geometry: Space) -> tuple[Tensor, Tensor]:
        """Record ``max_pool`` and ``max_pool_place``."""
        shape = (*a.shape[:2], *(g.size for g in geometry))
        args = (tuple(kernel), tuple(geometry))
        return _record("max_pool", (a,), args, shape), _record("max_pool_place", (a,), args, shape, np.int64)

    @staticmethod
    def cat(tensors: Sequence[Tensor], dim: int) -> Tensor:
        """Record ``cat``."""
        first = tensors[0]
        shape = (*first.shape[:dim], sum(t.shape[dim] for t in tensors), *first.shape[dim + 1 :])
        return _record("cat", tensors, (dim,), shape)

    @staticmethod
    def convert(a: Tensor, dtype: np.dtype[Any]) -> Tensor:
        """Record a ``zip`` that gives its second operand in the type of its first."""
        if dtype not in CONVERTED:
            _tracer().refuse(
                f"a compiled step converts to {', '.join(map(str, CONVERTED))}, got {dtype}. Convert outside the step."
            )
        zero = a._new(TensorData.from_array(np.zeros((1,) * a.dims, dtype)))
        return TraceOps.zip(elements.second)(zero, a)

    @staticmethod
    def take(a: Tensor, index: Tensor) -> Tensor:
        """Record ``take``."""
        return _record("take", (a, index), (), index.shape)

    @staticmethod
    def put(a: Tensor, index: Tensor, shape: UserShape) -> Tensor:
        """Record ``put``."""
        return _record("put", (a, index), (), shape)

    @staticmethod
    def argsort(a: Tensor, dim: int, descending: bool) -> Tensor:
        """Record the operations of a sort by counting."""
        return argsort_by_counting(a, dim, descending)

    @staticmethod
    def softmax(a: Tensor, dim: int) -> Tensor:
        """Record ``softmax``."""
        return _record("softmax", (a,), (dim,), a.shape)

    @staticmethod
    def logsoftmax(a: Tensor, dim: int) -> Tensor:
        """Record ``logsoftmax``."""
        return _record("logsoftmax", (a,), (dim,), a.shape)

    @staticmethod
    def dropout(a: Tensor, rate: float, scale: float, seed: Any, stream: Any) -> Tensor:
        """Record ``dropout``; seed and stream are one :class:`Stream`."""
        if not isinstance(stream, Stream):
            _tracer().refuse("a compiled step draws its masks anew in every call: use layers.Dropout or nn.dropout.")
        return _record("dropout", (a,), (float(rate), float(scale), stream), a.shape)


TraceBackend = TensorBackend(TraceOps)
