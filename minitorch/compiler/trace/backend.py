"""The backend of traced tensors: the library's operations, written down instead of computed (pass 1).

The tracer that is at work (``trace.py``) knows what the step reads from outside; this file only asks it for its graph.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...cells import tracing
from ...errors import CompileError
from ...kernels import elements
from ...sorting import argsort_by_counting
from ...tensor import Tensor
from ...tensor_data import TensorData, shape_broadcast
from ...tensor_ops import TensorBackend, TensorOps, matmul_shape
from .stand_ins import Stream

if TYPE_CHECKING:
    from ...kernels.geometry import Space
    from ...tensor_data import UserShape
    from .tracer import Tracer

__all__ = ["TraceBackend", "TraceOps", "where"]

# What a tensor can be converted to in a step.
CONVERTED = tuple(np.dtype(name) for name in ("float32", "float64", "int64", "bool"))

# The longest line that a step sorts: by n * n comparisons of its n elements, 7 ms instead of 0.3 for an eager sort.
SORTED = 4096

PACKAGE = str(Path(__file__).parents[2])


def where() -> str:
    """Find the innermost line outside this package, as `` (file.py:12: loss.item())``."""
    for frame, line in traceback.walk_stack(sys._getframe(1)):
        path = frame.f_code.co_filename
        if not path.startswith(PACKAGE):
            text = traceback.FrameSummary(path, line, "", lookup_line=True).line
            return f" ({Path(path).name}:{line}: {text})" if text else f" ({Path(path).name}:{line})"
    return ""


def _tracer() -> Tracer:
    tracer = tracing.tracer
    if tracer is None:
        raise CompileError(
            "this tensor was only traced and never held numbers: a compiled step left it behind. Return it from the "
            f"step, or run the step inside `with minitorch.debug():`.{where()}"
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
    def zip(
        fn: Callable[[float, float], float], dtype: npt.DTypeLike | None = None
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """Record ``zip``, its operands expanded to the broadcast shape."""

        def operation(a: Tensor, b: Tensor) -> Tensor:
            tracer = _tracer()
            shape = shape_broadcast(a.shape, b.shape)
            refs = tracer.ref(a).expand(shape), tracer.ref(b).expand(shape)
            kind = a.dtype if dtype is None else np.dtype(dtype)
            return tracer.wrap(tracer.graph.add("zip", refs, (fn,), shape, kind))

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
        if a.shape[dim] > SORTED:
            _tracer().refuse(
                "a compiled step sorts by comparing each element with every other, so it takes lines of up to "
                f"{SORTED}; got {a.shape[dim]} along dimension {dim} of {a.shape}. Sort outside the step and pass the "
                "positions in. The largest alone comes from topk(x, 1) or x.argmax(dim), however long the line is."
            )
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
